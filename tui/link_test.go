package tui

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"

	"stoker/cluster"
	"stoker/jobs/action"
	"stoker/tui/screen/fixture"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// line is a terminal behind a line of so many bytes a second, 0 for no limit.
// It counts what came.
type line struct {
	rate  int
	stuck chan struct{} // nothing is taken until it is closed; nil: all is

	mu    sync.Mutex
	emu   *vt.Emulator
	bytes int
}

func newLine(rate, w, h int) *line { return &line{rate: rate, emu: vt.NewEmulator(w, h)} }

func (l *line) Write(p []byte) (int, error) {
	if l.rate > 0 {
		time.Sleep(time.Duration(len(p)) * time.Second / time.Duration(l.rate))
	}
	l.mu.Lock()
	stuck := l.stuck
	l.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes += len(p)
	_, err := l.emu.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))) // as a terminal does that is not raw
	return len(p), err
}

func (l *line) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return ansi.Strip(l.emu.Render())
}

func (l *line) sent() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes
}

// program runs the whole program on such a line, in the time of a synctest bubble.
type program struct {
	*line
	t     *testing.T
	looks []*cluster.Snapshot // what is published in turn
	feed  *streaming
	keys  *io.PipeWriter
	ended chan error
	n     int
}

func newOnLine(t *testing.T, rate int) *program {
	t.Helper()
	return newProgram(t, rate, 80, 24, theme.None, fixture.Now, fixture.Lab(), fixture.Calm())
}

// newProgram starts the program on a line; looks are what it can publish.
func newProgram(t *testing.T, rate, w, h int, palette string, now func() time.Time, looks ...*cluster.Snapshot) *program {
	t.Helper()
	in, keys := io.Pipe()
	p := &program{line: newLine(rate, w, h), t: t, looks: looks, feed: &streaming{first: looks[0], ch: make(chan *cluster.Snapshot)}, keys: keys, ended: make(chan error, 1)}
	go func() { _, _ = io.Copy(io.Discard, p.emu) }() // its replies to queries
	go func() {
		p.ended <- run(t.Context(), Config{
			Context: "lab", Feed: p.feed, Now: now, Theme: palette,
			Runner: &action.Runner{Scheduler: &scheduler{}, Now: now},
			In:     in, Out: p.line, Env: []string{"TERM=xterm-256color", "COLORTERM=truecolor", "LANG=C.UTF-8", "SSH_TTY=/dev/pts/1"},
		}, tea.WithWindowSize(w, h), tea.WithoutSignalHandler())
	}()
	return p
}

// publish sends a snapshot that differs much from the one before.
func (p *program) publish() {
	p.t.Helper()
	p.n++
	s := *p.looks[p.n%len(p.looks)]
	s.Rev = 10_000 + uint64(p.n)
	s.Fleet.Pending, s.Fleet.PendingJobs = 1000+p.n, 1
	select {
	case p.feed.ch <- &s:
	case <-time.After(time.Second):
		p.t.Fatal("the program does not take snapshots: it is frozen")
	}
}

func (p *program) types(keys string) {
	p.t.Helper()
	took := make(chan error, 1)
	go func() { _, err := p.keys.Write([]byte(keys)); took <- err }()
	select {
	case err := <-took:
		if err != nil {
			p.t.Fatal(err)
		}
	case <-time.After(time.Second):
		p.t.Fatal("the program does not take keys: it is frozen")
	}
}

func (p *program) shows(want string, within time.Duration) {
	p.t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		if strings.Contains(p.text(), want) {
			return
		}
		if time.Now().After(end) {
			break
		}
	}
	p.t.Errorf("%q does not come within %v:\n%s", want, within, p.text())
}

func (p *program) quit(within time.Duration) {
	p.t.Helper()
	p.types("q")
	begun := time.Now()
	if err := <-p.ended; err != nil {
		p.t.Error(err)
	}
	if took := time.Since(begun); took > within {
		p.t.Errorf("it took %v to quit", took)
	}
	p.end()
}

// end lets the goroutines go that the program leaves to end by themselves.
func (p *program) end() {
	_ = p.keys.Close()
	_ = p.emu.InputPipe().(io.Closer).Close()
	time.Sleep(2 * time.Second)
}

// TestSlowLine: on a line of 9,600 baud the program takes every snapshot and
// every key at once and draws as often as the line allows, the newest each time.
func TestSlowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newOnLine(t, 960)
		p.shows("NEEDS ATTENTION", 20*time.Second)
		time.Sleep(5 * time.Second)
		before := p.sent()
		for range 300 { // ten a second for 30 seconds
			p.publish()
			time.Sleep(100 * time.Millisecond)
		}
		sent := p.sent() - before
		if all := 30 * 960; sent > all*3/4 || sent < all/4 { // it rests as long as it sends
			t.Errorf("%d bytes in 30 seconds on a line that takes %d", sent, all)
		}
		p.shows("pending 1,300 GPUs", 4*time.Second)
		p.shows("line 960 B/s", 0)
		p.types("2") // while nothing is on its way: drawn at once, as fast as the line can
		p.shows("[2", 6*time.Second)
		for range 20 {
			p.publish()
		}
		p.types("1")
		p.shows("pending 1,320 GPUs", 12*time.Second)
		p.publish()
		p.quit(linkLast + time.Second)
	})
}

// TestFastLine: where the line is fast, each snapshot is drawn.
func TestFastLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newOnLine(t, 0)
		p.shows("NEEDS ATTENTION", time.Second)
		for i := range 20 {
			p.publish()
			p.shows("pending "+ui.Int(1001+i)+" GPUs", 100*time.Millisecond)
		}
		p.quit(100 * time.Millisecond)
		if p.emu.IsAltScreen() {
			t.Error("the terminal is left on the alternate screen")
		}
	})
}

// TestStuckTerminal: a terminal that takes nothing at all holds nothing up, not
// even the end.
func TestStuckTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newOnLine(t, 0)
		p.shows("NEEDS ATTENTION", time.Second)
		p.mu.Lock()
		p.stuck = make(chan struct{}) // as ctrl-s does
		p.mu.Unlock()
		for range 100 {
			p.publish()
			time.Sleep(20 * time.Millisecond)
		}
		p.types("q")
		begun := time.Now()
		<-p.ended
		if took := time.Since(begun); took > linkLast+100*time.Millisecond {
			t.Errorf("it took %v to quit", took)
		}
		close(p.stuck)
		p.end()
	})
}

// TestLinkIsBounded: what waits does not grow without end, and what was dropped
// is drawn again from the start.
func TestLinkIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		woken := make(chan bool, 1)
		l := newLink(w, func(lost bool) { woken <- lost })
		frame := []byte(strings.Repeat("x", 60<<10))
		for range 20 {
			if _, err := l.Write(frame); err != nil {
				t.Fatal(err)
			}
		}
		l.mu.Lock()
		waits := len(l.queue)
		l.mu.Unlock()
		if waits > linkMost {
			t.Errorf("%d bytes wait", waits)
		}
		go func() { _, _ = io.Copy(io.Discard, r) }()
		if lost := <-woken; !lost {
			t.Error("nobody is told that the picture is not whole")
		}
		l.close(time.Second)
		_ = w.Close()
	})
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("input/output error") }

// TestLinkBreaks: a terminal that went away makes no frame wait.
func TestLinkBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(broken{}, func(bool) {})
		_, _ = l.Write([]byte("a frame"))
		synctest.Wait()
		if _, err := l.Write([]byte("x")); err == nil || l.behind(false) {
			t.Errorf("error %v", err)
		}
		l.close(time.Second)
	})
}
