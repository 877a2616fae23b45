package tui

import (
	"context"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"

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

// terminal is a pseudo-terminal with an emulator on its other end.
type terminal struct {
	t    *testing.T
	emu  *vt.SafeEmulator
	ptmx *os.File
	tty  *os.File
}

func newTerminal(t *testing.T, w, h int) *terminal {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("this test needs a Unix pseudo-terminal")
	}
	ptmx, tty, err := pty.Open()
	if err != nil {
		t.Skipf("this machine gives no pseudo-terminal: %v", err)
	}
	x := &terminal{t: t, emu: vt.NewSafeEmulator(w, h), ptmx: ptmx, tty: tty}
	x.size(w, h)
	copied := make(chan struct{}, 2)
	go func() { _, _ = io.Copy(x.emu, ptmx); copied <- struct{}{} }()
	go func() { _, _ = io.Copy(ptmx, x.emu); copied <- struct{}{} }() // its replies to queries
	t.Cleanup(func() {
		_ = tty.Close()
		if in, ok := x.emu.InputPipe().(io.Closer); ok { // its Close is not safe beside its Read
			_ = in.Close()
		}
		<-copied
		<-copied
		_ = ptmx.Close()
	})
	return x
}

func (x *terminal) size(w, h int) {
	x.t.Helper()
	if err := pty.Setsize(x.tty, &pty.Winsize{Rows: uint16(h), Cols: uint16(w)}); err != nil {
		x.t.Fatal(err)
	}
	x.emu.Resize(w, h)
}

func (x *terminal) text() string { return ansi.Strip(x.emu.Render()) }

// until polls with a deadline.
func (x *terminal) until(what string, ok func() bool) {
	x.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	x.t.Fatalf("%s did not happen:\n%s", what, x.text())
}

func (x *terminal) shows(want string) {
	x.t.Helper()
	x.until(want, func() bool { return strings.Contains(x.text(), want) })
}

// TestProgram runs the whole program on a pseudo-terminal: it starts, takes a
// snapshot, a key and a new size, quits and leaves the terminal as it was.
func TestProgram(t *testing.T) {
	term := newTerminal(t, 120, 40)
	feed := &streaming{first: fixture.Starting(), ch: make(chan *cluster.Snapshot, 1)}
	ended := make(chan error, 1)
	go func() {
		ended <- Run(context.Background(), Config{
			Context: "lab", Feed: feed, Now: fixture.Now, Theme: theme.Dark,
			Runner: &action.Runner{Scheduler: &scheduler{}, Now: fixture.Now},
			In:     term.tty, Out: term.tty, Env: []string{"TERM=xterm-256color", "LANG=C.UTF-8"},
		})
	}()
	term.shows("connection refused")
	if !term.emu.IsAltScreen() {
		t.Error("not on the alternate screen")
	}
	feed.ch <- fixture.Lab()
	term.shows("held idle 2")
	term.emu.SendText("2")
	term.shows("[2 nodes]")
	term.size(80, 24)
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil { // as the kernel tells a process on this terminal
		t.Fatal(err)
	}
	term.until("a picture of the new size", func() bool {
		lines := strings.Split(term.text(), "\n")
		return len(lines) == 24 && strings.Contains(lines[23], "[2 nodes]")
	})
	term.emu.SendText("q")
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("q does not quit")
	}
	term.until("the normal screen", func() bool { return !term.emu.IsAltScreen() })
}

// TestQuitWithTheContext ends the program from outside.
func TestQuitWithTheContext(t *testing.T) {
	term := newTerminal(t, 80, 24)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{
			Context: "lab", Feed: &streaming{first: fixture.Lab(), ch: make(chan *cluster.Snapshot)}, Now: fixture.Now,
			In: term.tty, Out: term.tty, Env: []string{"TERM=xterm-256color"},
		})
	}()
	term.shows("NEEDS ATTENTION")
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end with its context")
	}
}
