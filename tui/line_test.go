package tui

import (
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
)

// kept is a past in memory.
type kept struct{ lines []string }

func (k *kept) Lines() []string       { return k.lines }
func (k *kept) Add(line string) error { k.lines = append(k.lines, line); return nil }

func TestCommands(t *testing.T) {
	for typed, want := range map[string]struct {
		screen screen.Name
		sees   string
	}{
		"no":                            {screen.Nodes, "[2 nodes]"},
		"clients gpu-b":                 {screen.Nodes, "/gpu-b  1 of 3"},
		"jobs ns=prod":                  {screen.Jobs, "/ns=prod  2 of 8"},
		"gpus util < 5 && held":         {screen.GPUs, "/util < 5 && held  2 of 20"},
		`gpus node == "gpu-c" and free`: {screen.GPUs, "1 of 20"},
		"q!":                            {screen.Fleet, ""},
		"":                              {screen.Fleet, ""},
		"  jo  ":                        {screen.Jobs, "[4 jobs]"},
	} {
		r := newRig(t, fixture.Lab())
		r.press(":", `"`+typed+`"`)
		_, cmd := r.Update(key("enter"))
		if typed == "q!" {
			if _, ok := cmd().(tea.QuitMsg); !ok {
				t.Error("q! does not quit")
			}
			continue
		}
		r.run(cmd)
		if r.active().name != want.screen {
			t.Errorf("%q leads to %s", typed, r.active().name)
		}
		r.sees(want.sees)
	}
}

// TestWrongCommands: the line stays with what is wrong under it.
func TestWrongCommands(t *testing.T) {
	for typed, want := range map[string]string{
		"m":                   ":m could be models, messages",
		"bogus":               "there is no command :bogus",
		"gpus utl < 5":        "^ no field utl: did you mean util?",
		"gpus held && x == 1": "^ no field x",
		"sort":                "by which column?",
		"sort nod":            "gpus have no field nod: did you mean node?",
		"sort node down":      "behind the column stands desc, asc or nothing",
		"columns node,nod":    "gpus have no field nod: did you mean node?",
		"theme pink":          `no theme "pink": take one of auto`,
		"fleet":               "",
	} {
		r := newRig(t, fixture.Lab())
		r.press("3", ":", `"`+typed+`"`, "enter")
		if want == "" {
			continue
		}
		if r.line == nil || r.line.Value() != typed {
			t.Errorf("%q: the line went away", typed)
		}
		r.sees(want)
		r.send(tea.WindowSizeMsg{Width: 60, Height: 16}) // there is no third line
		r.sees(want[:min(len(want), 40)])
		r.press("x")
		r.misses(want)
	}
	r := newRig(t, fixture.Lab())
	r.press(":", `"sort util"`, "enter")
	r.sees("fleet is no table")
}

// TestTheCaretIsUnderTheFault also where the line is longer than the screen.
func TestTheCaretIsUnderTheFault(t *testing.T) {
	for _, typed := range []string{
		"utl < 5", "held && utl < 5", strings.Repeat("held && ", 5) + "utl < 5", strings.Repeat("held && ", 9) + "utl < 5", strings.Repeat("held && ", 30) + "utl < 5",
		"ns=prod utl=5",
	} {
		for _, w := range []int{60, 80, 120} {
			r := newRig(t, fixture.Lab())
			r.send(tea.WindowSizeMsg{Width: w, Height: 24})
			r.press("3", "/", `"`+typed+`"`)
			lines := strings.Split(fixture.Picture(r.draw()), "\n")
			lines = slices.DeleteFunc(lines, func(l string) bool { return l == "" })
			line, under := []rune(lines[len(lines)-2]), []rune(lines[len(lines)-1])
			at := slices.Index(under, '^')
			if at < 0 || !strings.HasPrefix(string(line[at:]), "utl") || !strings.Contains(string(under), "no field utl: did you mean util?") {
				t.Errorf("%d: at %d:\n%s\n%s", w, at, string(line), string(under))
			}
		}
	}
}

func TestSortAndColumns(t *testing.T) {
	r := newRig(t, fixture.Lab())
	tab := func() screen.Tabular { return r.active().Screen.(screen.Tabular) }
	r.press("3", ":", `"sort util desc"`, "enter")
	if name, desc := tab().Order(); name != "util_percent" || !desc {
		t.Errorf("%s %v", name, desc)
	}
	r.press(":", `"sort -temp"`, "enter", ":", `"columns node, util,held"`, "enter")
	var shown []string
	for _, c := range tab().Columns() {
		if c.Shown {
			shown = append(shown, c.Name)
		}
	}
	if name, desc := tab().Order(); name != "temperature_celsius" || !desc || !slices.Equal(shown, []string{"node", "util_percent", "held"}) {
		t.Errorf("%s %v, columns %v", name, desc, shown)
	}
	r.press(":", `"columns"`, "enter")
	if n := len(slices.DeleteFunc(tab().Columns(), func(c screen.TableColumn) bool { return !c.Shown })); n < 6 {
		t.Errorf("%d columns", n)
	}
}

func TestTabCompletes(t *testing.T) {
	for _, c := range []struct {
		keys []string
		want string
	}{
		{[]string{":", `"ev"`, "tab"}, "events"},
		{[]string{":", `"m"`, "tab"}, "models"},
		{[]string{":", `"m"`, "tab", "tab"}, "messages"},
		{[]string{":", `"m"`, "tab", "tab", "tab"}, "models"},
		{[]string{":", `"m"`, "shift+tab"}, "messages"},
		{[]string{":", `"gpus he"`, "tab"}, "gpus health"},
		{[]string{":", `"jobs ns=p"`, "tab"}, "jobs ns=prod"},
		{[]string{":", `"theme col"`, "tab"}, "theme colour-blind"},
		{[]string{"3", ":", `"sort -uti"`, "tab"}, "sort -util_percent"},
		{[]string{"3", ":", `"sort node "`, "tab"}, "sort node desc"},
		{[]string{"3", ":", `"columns node,sta"`, "tab"}, "columns node,state"},
		{[]string{"3", "/", `"uti"`, "tab"}, "util"},
		{[]string{"3", "/", `"state == i"`, "tab"}, `state == "idle"`},
		{[]string{"3", "/", `"state == "`, "tab"}, `state == "failed"`},
		{[]string{"3", "/", `"ut < 5"`, "left", "left", "left", "left", "tab"}, "util < 5"},
		{[]string{"3", "/", `"zzz"`, "tab"}, "zzz"},
	} {
		r := newRig(t, fixture.Lab())
		r.press(c.keys...)
		if got := r.line.Value(); got != c.want {
			t.Errorf("%v: %q, want %q", c.keys, got, c.want)
		}
	}
}

// TestAnUnfinishedNameIsNoFault: what it may become is listed, until one insists.
func TestAnUnfinishedNameIsNoFault(t *testing.T) {
	r := newRig(t, fixture.Lab())
	r.press("3", "/", `"util < 5 && hel"`)
	r.sees("  held_by  held")
	r.misses("no field hel")
	r.press("enter")
	r.sees("^ no field hel: did you mean held?")
	r.press("d")
	r.misses("no field")
}

// TestCompletedNamesFilter: what tab writes is typed.
func TestCompletedNamesFilter(t *testing.T) {
	r := newRig(t, fixture.Lab())
	r.press("3", "/", `"state="`, "tab")
	if got, _ := r.filter(); got != "state=failed" {
		t.Errorf("%q", got)
	}
	r.sees("1 of 20")
}

func TestHistory(t *testing.T) {
	k := &kept{lines: []string{":nodes", "/gpu-a", ":jobs ns=prod"}}
	r := newRig(t, fixture.Lab(), func(c *Config) { c.Typed = k })
	r.press("2", "/", `"gpu-b"`, "enter", "/", "esc", ":", "up")
	if got := r.line.Value(); got != "jobs ns=prod" {
		t.Errorf("%q", got)
	}
	r.press("up", "up", "up")
	if got := r.line.Value(); got != "nodes" {
		t.Errorf("the oldest is %q", got)
	}
	r.press("down", "down", "down")
	if got := r.line.Value(); got != "" {
		t.Errorf("what was typed is %q", got)
	}
	r.press(`"bogus"`, "enter", "esc", ":", `"gpus"`, "enter")
	if want := []string{":nodes", "/gpu-a", ":jobs ns=prod", "/gpu-b", ":gpus"}; !slices.Equal(k.lines, want) {
		t.Errorf("%q", k.lines) // what was wrong is not kept
	}
	r.press("/", "up", "up")
	if got, _ := r.filter(); got != "gpu-a" { // a filter from before filters at once
		t.Errorf("%q", got)
	}
}
