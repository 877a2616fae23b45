package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/jobs/action"
	"stoker/tui/screen/fixture"
)

func TestAsk(t *testing.T) {
	const refused = "nothing was changed"
	for _, tt := range []struct {
		name       string
		terminal   bool
		production bool
		target     string // the plan asks for this name; "" for y
		consent    consent
		answer     string
		want       string // the error, "" for none
		hint       string
		asks       string
	}{
		{name: "yes on a terminal", terminal: true, answer: "y\n", asks: "go on? [y/N] "},
		{name: "yes in full", terminal: true, answer: "YES\n", asks: "go on? [y/N] "},
		{name: "just enter is no", terminal: true, answer: "\n", want: refused, asks: "go on? [y/N] "},
		{name: "end of input is no", terminal: true, answer: "", want: refused, asks: "go on? [y/N] "},
		{name: "no", terminal: true, answer: "n\n", want: refused, asks: "go on? [y/N] "},
		{name: "the name where more than one thing is hit", terminal: true, target: "digits", answer: " digits \n", asks: "type digits to go on: "},
		{name: "y is not the name", terminal: true, target: "digits", answer: "y\n", want: refused, asks: "type digits to go on: "},
		{name: "a name that nobody can type as it is", terminal: true, target: "dig\x1b[31mits\u202e", answer: "digits\n", asks: "type digits to go on: "},
		{name: "another name", terminal: true, target: "digits", answer: "digit\n", want: refused, asks: "type digits to go on: "},
		{name: "--yes asks nothing", terminal: true, target: "digits", consent: consent{yes: true}},
		{name: "--yes without a terminal", consent: consent{yes: true}},
		{name: "no terminal", answer: "y\n", want: "nothing is done without an answer, and there is no terminal to ask on", hint: "add --yes, or --dry-run to look only"},
		{name: "production asks for the name", terminal: true, production: true, target: "digits", answer: "digits\n", asks: "type digits to go on: "},
		{name: "production takes no --yes alone", terminal: true, production: true, target: "digits", consent: consent{yes: true}, want: "this context is marked production: nothing is done", hint: "add --confirm digits"},
		{name: "production with the wrong name", production: true, target: "digits", consent: consent{yes: true, confirm: "other"}, want: "this context is marked production: nothing is done", hint: "add --confirm digits"},
		{name: "production in a script", production: true, target: "digits", consent: consent{yes: true, confirm: "digits"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var asked bytes.Buffer
			a := &App{In: strings.NewReader(tt.answer), Err: &asked, Terminal: tt.terminal}
			err := a.ask(t.Context(), &action.Plan{Ask: tt.target}, tt.consent, tt.production)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if diff := cmp.Diff([]string{tt.want, tt.asks}, []string{text, asked.String()}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			var u *usageError
			if errors.As(err, &u) != (tt.hint != "") || u != nil && u.Hint() != tt.hint {
				t.Errorf("error %#v, want a usage error with the hint %q", err, tt.hint)
			}
		})
	}
}

// TestInterruptEndsTheQuestion: nobody should have to press enter after ctrl+c.
func TestInterruptEndsTheQuestion(t *testing.T) {
	in, typing := io.Pipe()
	defer typing.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var asked bytes.Buffer
	a := &App{In: in, Err: &asked, Terminal: true}
	if err := a.ask(ctx, &action.Plan{}, consent{}, false); !errors.Is(err, context.Canceled) || asked.String() != "go on? [y/N] \n" {
		t.Errorf("got %v after %q", err, asked.String())
	}
}

// TestConfirmIsNoYes: without a terminal --confirm alone is no --yes.
func TestConfirmIsNoYes(t *testing.T) {
	a := &App{In: strings.NewReader(""), Err: &bytes.Buffer{}}
	if err := a.ask(t.Context(), &action.Plan{Ask: "digits"}, consent{confirm: "digits"}, false); !IsUsage(err) {
		t.Errorf("got %v, want a usage error", err)
	}
}

func TestFind(t *testing.T) {
	s := &cluster.Snapshot{
		Jobs: []cluster.Job{
			{ID: cluster.JobID{Namespace: "default", Name: "a"}}, {ID: cluster.JobID{Namespace: "dev", Name: "b"}}, {ID: cluster.JobID{Namespace: "prod", Name: "b"}},
		},
		Nodes: []cluster.Node{{ID: "1234-a", Name: "gpu-a"}, {ID: "1234-b", Name: "gpu-b"}, {ID: "5678", Name: "1234"}},
	}
	for name, want := range map[string]string{
		"a": "default/a", "default/a": "default/a", "dev/b": "dev/b",
		"b": `several namespaces have a job "b"`, "c": `there is no job "c"`, "dev/a": `there is no job "dev/a"`,
	} {
		got := ""
		if j, err := findJob(s, name); err != nil {
			got = err.Error()
		} else {
			got = j.ID.String()
		}
		if got != want {
			t.Errorf("job %q: got %s, want %s", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"gpu-a": "gpu-a", "1234-b": "gpu-b", "5678": "1234", "567": `there is no node "567"`, "1234-": `"1234-" means 2 nodes`,
		"1234": "1234", // a name is no prefix
	} {
		got := ""
		if n, err := findNode(s, name); err != nil {
			got = err.Error()
		} else {
			got = n.Name
		}
		if got != want {
			t.Errorf("node %q: got %s, want %s", name, got, want)
		}
	}
}

// TestDeclined: a plan that is refused changes nothing and leaves no trace.
func TestDeclined(t *testing.T) {
	snap := fixture.Lab()
	node := &snap.Nodes[0]
	var out, said bytes.Buffer
	a := &App{In: strings.NewReader("n\n"), Out: &out, Err: &said, Terminal: true}
	session := &Session{Actions: &action.Runner{}} // without a scheduler: asking it would end the test
	_, err := a.perform(context.Background(), session, snap, action.Request{ID: action.Drain, Node: node.ID}, consent{})
	if err == nil || err.Error() != "nothing was changed" || out.Len() != 0 {
		t.Errorf("got %v and %q", err, out.String())
	}
	want := "drain node " + node.Name + "\n  node   " + node.Name + ": takes no new work; stops the rest in 1h\n  alloc  "
	if !strings.HasPrefix(said.String(), want) || !strings.Contains(said.String(), "moves away, with ") {
		t.Errorf("the plan was not shown before asking:\n%s", said.String())
	}
}
