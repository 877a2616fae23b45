package measure

import (
	"fmt"
	"image/color"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// Terminal is a program in a terminal that understands what it draws.
type Terminal struct {
	cmd  *exec.Cmd
	tty  *os.File
	w, h int

	mu      sync.Mutex
	emu     *vt.Emulator
	bytes   int64
	arrived time.Time     // of the last bytes
	err     error         // why reading ended
	changed chan struct{} // closed and replaced at each change
	ended   chan struct{}
}

// Open starts a program in a terminal of w by h cells.
func Open(w, h int, cmd *exec.Cmd) (*Terminal, error) {
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: uint16(w), Rows: uint16(h)})
	if err != nil {
		return nil, err
	}
	t := &Terminal{cmd: cmd, tty: tty, w: w, h: h, emu: vt.NewEmulator(w, h), changed: make(chan struct{}), ended: make(chan struct{})}
	// Programs ask the terminal for its colours and wait for the answer.
	go func() { _, _ = io.Copy(tty, t.emu) }()
	go t.read()
	return t, nil
}

func (t *Terminal) read() {
	defer close(t.ended)
	buf := make([]byte, 64<<10)
	for {
		n, err := t.tty.Read(buf)
		at := time.Now() // understanding them takes time that is not the program's
		t.mu.Lock()
		t.arrived = at
		t.bytes += int64(n)
		_, _ = t.emu.Write(buf[:n])
		t.err = err
		close(t.changed)
		t.changed = make(chan struct{})
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// PID is the program's.
func (t *Terminal) PID() int { return t.cmd.Process.Pid }

// Bytes is how much the program has drawn so far.
func (t *Terminal) Bytes() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bytes
}

// Screen is the text on the screen, a line for each row.
func (t *Terminal) Screen() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.emu.String()
}

// Keys types.
func (t *Terminal) Keys(keys string) error {
	_, err := io.WriteString(t.tty, keys)
	return err
}

// Wait waits until the screen is as wanted, and gives the time since began, at
// which the last bytes for that came.
func (t *Terminal) Wait(began time.Time, limit time.Duration, wanted func(screen string) bool) (time.Duration, error) {
	return t.wait(began, limit, func() bool { return wanted(t.emu.String()) })
}

// WaitCursor waits until the marked row is another one than before.
func (t *Terminal) WaitCursor(began time.Time, limit time.Duration, before int) (time.Duration, error) {
	return t.wait(began, limit, func() bool { return t.cursor() != before })
}

func (t *Terminal) wait(began time.Time, limit time.Duration, wanted func() bool) (time.Duration, error) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		t.mu.Lock()
		is, at, changed, err := wanted(), t.arrived.Sub(began), t.changed, t.err
		t.mu.Unlock()
		switch {
		case is:
			return max(0, at), nil
		case err != nil:
			return 0, fmt.Errorf("the program has ended (%w):\n%s", err, t.Screen())
		}
		select {
		case <-changed:
		case <-deadline.C:
			return 0, fmt.Errorf("not on the screen within %s:\n%s", limit, t.Screen())
		}
	}
}

// Cursor is the row that is marked: with a bar at its left, else the first with a
// background of its own below the head; -1 when none is.
func (t *Terminal) Cursor() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cursor()
}

func (t *Terminal) cursor() int {
	for y := range t.h {
		if c := t.emu.CellAt(0, y); c != nil && strings.ContainsAny(c.Content, "▌>") {
			return y
		}
	}
	// How the rows of a list usually look, those without a mark.
	var usual color.Color
	if c := t.emu.CellAt(2, t.h-4); c != nil {
		usual = c.Style.Bg
	}
	for y := t.h / 4; y < t.h-2; y++ {
		if c := t.emu.CellAt(2, y); c != nil && c.Style.Bg != usual {
			return y
		}
	}
	return -1
}

// Close ends the program, which is given a while to leave by itself.
func (t *Terminal) Close(quit string, grace time.Duration) {
	_ = t.Keys(quit)
	select {
	case <-t.ended:
	case <-time.After(grace):
		_ = t.cmd.Process.Kill()
	}
	_ = t.cmd.Wait()
	_ = t.tty.Close()
	_ = t.emu.Close()
}
