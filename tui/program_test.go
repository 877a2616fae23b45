package tui

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vttest"
	"go.uber.org/goleak"

	"stoker/cluster"
	"stoker/jobs/action"
	"stoker/tui/screen/fixture"
	"stoker/tui/theme"
)

// streaming is a Feed that a test publishes to.
type streaming struct {
	first *cluster.Snapshot
	ch    chan *cluster.Snapshot
}

func (f *streaming) Latest() *cluster.Snapshot { return f.first }

func (f *streaming) Subscribe() (<-chan *cluster.Snapshot, func()) { return f.ch, func() {} }

// TestProgram runs the whole program on a pseudo-terminal: it starts, takes a
// snapshot, a key and a new size, quits and leaves the terminal as it was.
func TestProgram(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("github.com/charmbracelet/x/vttest.NewTerminal.func1"))
	term, err := vttest.NewTerminal(t, 120, 40)
	if err != nil {
		t.Skipf("this machine gives no pseudo-terminal: %v", err)
	}
	defer func() { _ = term.Close() }()
	feed := &streaming{first: fixture.Starting(), ch: make(chan *cluster.Snapshot, 1)}
	ended := make(chan error, 1)
	go func() {
		ended <- Run(context.Background(), Config{
			Context: "lab", Feed: feed, Now: fixture.Now, Theme: theme.Dark,
			Runner: &action.Runner{Scheduler: &scheduler{}, Now: fixture.Now},
			In:     term.Input(), Out: term.Output(), Env: []string{"TERM=xterm-256color", "LANG=C.UTF-8"},
		})
	}()
	waitFor(t, term, "connection refused")
	if !term.Snapshot().AltScreen {
		t.Error("not on the alternate screen")
	}
	feed.ch <- fixture.Lab()
	waitFor(t, term, "NEEDS ATTENTION")
	term.SendText("2")
	waitFor(t, term, "[2 nodes]")
	if err := term.Resize(80, 24); err != nil {
		t.Fatal(err)
	}
	// The terminal's size comes as a signal to a process; here the test is it.
	waitWidth(t, term)
	term.SendKey(uv.KeyPressEvent{Code: 'c', Mod: uv.ModCtrl})
	select {
	case err := <-ended:
		if err != nil && !errors.Is(err, tea.ErrInterrupted) {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("ctrl+c does not quit")
	}
	deadline := time.Now().Add(5 * time.Second)
	for term.Snapshot().AltScreen && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	if term.Snapshot().AltScreen {
		t.Error("still on the alternate screen")
	}
}

func text(term *vttest.Terminal) string {
	var b strings.Builder
	for _, row := range term.Snapshot().Cells {
		for _, c := range row {
			b.WriteString(c.Content)
		}
		b.WriteByte('\n')
	}
	return ansi.Strip(b.String())
}

func waitFor(t *testing.T, term *vttest.Terminal, want string) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		if strings.Contains(text(term), want) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%q did not appear:\n%s", want, text(term))
}

// waitWidth waits until the rule under the header is as wide as the terminal.
func waitWidth(t *testing.T, term *vttest.Terminal) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		lines := strings.Split(text(term), "\n")
		if len(lines) > 23 && strings.Contains(lines[23], "[2 nodes]") {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("not drawn for the new size:\n%s", text(term))
}
