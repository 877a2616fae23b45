package tui

import (
	"fmt"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/jobs/action"
	"stoker/tui/screen/fixture"
)

// newJob is the plan of a job that was not there, with all that Nomad tells of one.
func newJob() *action.Plan {
	p := &action.Plan{
		Request: action.Request{ID: action.Submit}, Title: "submit job default/train-digits",
		Touches: []action.Touch{{Kind: "group", Name: "train-digits.train", Effect: "1 start"}}, Warnings: []string{"it will wait"},
		Job: &cluster.JobPlan{New: true, GPUs: 2},
	}
	for _, l := range []struct {
		indent int
		text   string
	}{
		{0, `job "train-digits"`},
		{1, `AllAtOnce: "false"`},
		{1, `Priority: "50"`},
		{1, `Region: ""`},
		{1, `group "train"`},
		{2, `Count: "0"`},
		{2, `Delay: "0"`},
		{2, `task "train"`},
		{3, `Env[SEED]: "0"`},
		{3, `args[1]: ""`},
		{3, "Resources"},
		{4, `Cores: "0"`},
		{4, `CPU: "100"`},
	} {
		p.Job.Diff = append(p.Job.Diff, cluster.DiffLine{Mark: '+', Indent: l.indent, Text: l.text})
	}
	return p
}

func TestThePlanOfANewJobIsShort(t *testing.T) {
	e := newRig(t, fixture.Lab()).env
	c := newConfirm(e, planText(e, newJob()))
	shown := func() []string {
		var out []string
		for _, l := range c.lines {
			out = append(out, strings.TrimRight(ansi.Strip(l), " "))
		}
		return out
	}
	want := []string{
		"It touches 1 thing:", "  group  train-digits.train  1 start", "It asks for 2 GPUs.", "▲ it will wait", "",
		"The job is new:", `  + job "train-digits"`, `  +   group "train"`, `  +     task "train"`,
	}
	if d := cmp.Diff(want, shown()); d != "" {
		t.Error(d)
	}
	view := func() string { return fixture.Picture(strings.Join(c.view(90, 40), "\n")) }
	if v := view(); !strings.Contains(v, "ctrl+d shows its 9 lines") || strings.Contains(v, "SEED") {
		t.Error(v)
	}
	c.key(tea.KeyPressMsg{Code: 'd', Mod: tea.ModCtrl})
	v := view()
	for _, set := range []string{`Priority: "50"`, `Count: "0"`, `Env[SEED]: "0"`, `args[1]: ""`, `CPU: "100"`} {
		if !strings.Contains(v, set) {
			t.Errorf("%s is not shown:\n%s", set, v)
		}
	}
	for _, unset := range []string{"AllAtOnce", "Region", "Delay", "Cores"} {
		if strings.Contains(v, unset) {
			t.Errorf("%s is shown:\n%s", unset, v)
		}
	}
}

func TestThePlanOfAChangeShowsWhatChanges(t *testing.T) {
	e := newRig(t, fixture.Lab()).env
	p := newJob()
	p.Job.New = false
	a := planText(e, p)
	if text := fmt.Sprint(a.lines); len(a.more) > 0 || !strings.Contains(text, "What changes in the job:") || !strings.Contains(text, "AllAtOnce") {
		t.Errorf("%v, and %v", a.lines, a.more)
	}
}

// TestANameThatNobodyCanType is typed as it is shown.
func TestANameThatNobodyCanType(t *testing.T) {
	for name, typed := range map[string]string{"dig\x1b[31mits\u202e": "digits", "\u202e": "yes"} {
		c := newConfirm(newRig(t, fixture.Lab()).env, asking{name: name})
		c.run = func(int) tea.Cmd { return nil }
		if c.key(key("enter")); !c.wrong {
			t.Errorf("%q: nothing typed is enough", name)
		}
		for _, k := range typed {
			c.key(key(string(k)))
		}
		if _, done := c.key(key("enter")); !done {
			t.Errorf("%q: %s is not the name", name, typed)
		}
	}
}

func TestWhatYesDoes(t *testing.T) {
	for title, want := range map[string]string{
		"drain node gpu-a": "drain", "make node gpu-a ineligible": "make it ineligible", "make node gpu-a eligible": "make it eligible", "quit": "quit",
	} {
		if got := verb(title); got != want {
			t.Errorf("%s: yes is %q, want %q", title, got, want)
		}
	}
}
