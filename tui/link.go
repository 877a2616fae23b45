package tui

import (
	"io"
	"sync"
	"time"

	"github.com/charmbracelet/x/term"
)

const (
	// linkChunk is what is handed to the terminal at a time: when the program
	// ends, no more than that is in the way of what puts the terminal right.
	linkChunk = 512
	// linkMost bounds what waits, in bytes. A frame is drawn only when nothing
	// waits, so more comes together only while somebody drags the window's edge.
	linkMost = 256 << 10
	// linkSlow is from when on a frame that is still on its way is felt.
	linkSlow = 100 * time.Millisecond
	// linkRest bounds the pause after a frame that took long.
	linkRest = 3 * time.Second
	// linkLast is how long the program waits at its end for a slow terminal.
	linkLast = 2 * time.Second
)

// cancel ends an escape sequence that was cut off.
const cancel = "\x18"

// link is the way to the terminal. Bubble Tea writes a frame under the lock that
// Update's picture waits for, so a terminal that takes its bytes slowly would
// freeze the program. Write of a link never waits: one goroutine hands the bytes
// on, and while some are on their way the root draws nothing new (behind) and is
// told when it may (Wake). The picture is then late, but never more than one frame.
type link struct {
	w io.Writer

	mu      sync.Mutex
	queue   []byte
	sending bool
	owed    bool // somebody wanted to draw
	urgent  bool // and it was a key's answer
	lost    bool // bytes were dropped: the terminal does not show what was drawn
	leaving bool
	err     error
	began   time.Time // of what is on its way
	bytes   int       // of the same
	rest    time.Time // until then nothing is drawn unasked
	rate    float64   // bytes a second when last it took long; 0 when it did not

	more chan struct{} // there is something to send, or the rest is over
	done chan struct{} // closed when the goroutine ended
	stop chan struct{}
	wake func(lost bool)
}

// newLink makes a link and starts it. wake is called when a frame that was owed
// may be drawn; lost says that all of it must be.
func newLink(w io.Writer, wake func(lost bool)) *link {
	l := &link{w: w, wake: wake, more: make(chan struct{}, 1), done: make(chan struct{}), stop: make(chan struct{})}
	go l.run()
	return l
}

// writer is the link as Bubble Tea wants it: of a terminal it asks the size.
func (l *link) writer() io.Writer {
	if f, ok := l.w.(term.File); ok {
		return linkFile{f, l}
	}
	return l
}

type linkFile struct {
	term.File
	link *link
}

// Write implements io.Writer.
func (f linkFile) Write(p []byte) (int, error) { return f.link.Write(p) }

// Write takes p and returns at once. The error is that of an earlier write to
// the terminal.
func (l *link) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.err != nil:
		return 0, l.err
	case len(l.queue) > 0 && len(l.queue)+len(p) > linkMost && !l.leaving:
		l.lost, l.owed = true, true
		return len(p), nil
	}
	if !l.busy() {
		l.began, l.bytes = time.Now(), 0
	}
	l.queue = append(l.queue, p...)
	l.bytes += len(p)
	l.kick()
	return len(p), nil
}

func (l *link) busy() bool { return l.sending || len(l.queue) > 0 }

func (l *link) kick() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// behind says that nothing should be drawn now; wake is then called when it may.
// What a key does is drawn as soon as the terminal took all; what nobody asked
// for waits a little longer on a slow line, so that a key need not queue.
func (l *link) behind(urgent bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || !l.busy() && (urgent || !time.Now().Before(l.rest)) {
		return false
	}
	l.owed = true
	l.urgent = l.urgent || urgent
	l.kick()
	return true
}

// slow is how many bytes a second the terminal took, if it made the program wait.
func (l *link) slow() (rate float64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rate, l.rate > 0
}

// leave drops the pictures that are on their way: what comes next puts the
// terminal right, and must not wait for them.
func (l *link) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leaving = true; len(l.queue) > 0 {
		l.queue = append(l.queue[:0], cancel...)
	}
}

// close waits for what is on its way, but not forever.
func (l *link) close(limit time.Duration) {
	close(l.stop)
	l.kick()
	select {
	case <-l.done:
	case <-time.After(limit): // it does not read: its goroutine ends with the process
	}
}

func (l *link) run() {
	defer close(l.done)
	for {
		select {
		case <-l.more:
		case <-l.stop:
		}
		for l.send() {
		}
		select {
		case <-l.stop:
			return
		default:
		}
		l.settle()
	}
}

// send hands one piece on; false when there is none.
func (l *link) send() bool {
	l.mu.Lock()
	piece := append([]byte(nil), l.queue[:min(len(l.queue), linkChunk)]...)
	l.queue = l.queue[len(piece):]
	l.sending = len(piece) > 0
	l.mu.Unlock()
	if len(piece) == 0 {
		return false
	}
	_, err := l.w.Write(piece)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sending = false
	if err != nil {
		l.err, l.queue = err, nil
	}
	if len(l.queue) == 0 {
		l.queue = nil // it may have been large
		l.measure()
	}
	return true
}

// measure notes how long the bytes took, and rests as long on a slow line.
func (l *link) measure() {
	now := time.Now()
	l.rate, l.rest = 0, time.Time{}
	if took := now.Sub(l.began); took >= linkSlow {
		l.rate = float64(l.bytes) / took.Seconds()
		l.rest = now.Add(min(took, linkRest))
	}
}

// settle tells the root that it may draw, now or when the rest is over.
func (l *link) settle() {
	l.mu.Lock()
	wait := time.Until(l.rest)
	if l.urgent || l.err != nil {
		wait = 0
	}
	tell, lost := l.owed && !l.busy() && wait <= 0, l.lost
	owed := l.owed
	if tell {
		l.owed, l.urgent, l.lost = false, false, false
	}
	l.mu.Unlock()
	switch {
	case tell:
		l.wake(lost)
	case owed && wait > 0:
		time.AfterFunc(wait, l.kick)
	}
}
