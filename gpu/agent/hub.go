package agent

import (
	"sync"
	"time"

	"stoker/gpu"
	"stoker/gpu/stream"
)

// recentEvents is how many events a new client is told.
const recentEvents = 64

// detailEvery is how often a stream has the details of all devices.
const detailEvery = 5 * time.Second

// hub hands each reading to every client's mailbox and never waits for one.
type hub struct {
	keyEvery time.Duration

	mu     sync.Mutex
	last   *tick
	keyAt  time.Time // time of the batch of the last periodic keyframe
	fullAt time.Time // and of the last with all details
	boxes  map[*mailbox]struct{}
	recent []seqEvent
}

type seqEvent struct {
	seq   uint64
	event gpu.Event
}

func newHub(keyEvery time.Duration) *hub {
	return &hub{keyEvery: keyEvery, boxes: map[*mailbox]struct{}{}}
}

// tick is one reading. Its lines are made once, when the first client needs
// them, and shared: the agent's work does not grow with its clients.
type tick struct {
	seq   uint64
	batch gpu.Batch
	prev  gpu.Batch
	key   bool // time for a keyframe, or a delta cannot say it
	full  bool // time for the details

	detailed, plain line
}

type line struct {
	once sync.Once
	text []byte
	err  error
}

// encoded is the line for a client that has the reading before; plain for one
// that wants no details.
func (t *tick) encoded(plain bool) ([]byte, error) {
	l := &t.detailed
	if plain {
		l = &t.plain
	}
	l.once.Do(func() { l.text, l.err = stream.MarshalFrame(t.frame(plain)) })
	return l.text, l.err
}

func (t *tick) frame(plain bool) stream.Frame {
	prev, next, delta := t.prev, t.batch, stream.Delta
	switch {
	case plain:
		prev, next = stream.Plain(prev), stream.Plain(next)
	case t.full:
		delta = stream.FullDelta
	}
	if !t.key {
		if f, ok := delta(t.seq, prev, next); ok {
			return f
		}
	}
	return stream.Key(t.seq, next)
}

func (h *hub) publish(b gpu.Batch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := &tick{seq: 1, batch: b, key: true}
	if h.last != nil {
		t.seq = h.last.seq + 1
		t.prev = h.last.batch
		t.key = b.At.Sub(h.keyAt) >= h.keyEvery
	}
	if t.key {
		h.keyAt = b.At
	}
	// A clock that went back must not stop the details.
	if age := b.At.Sub(h.fullAt); t.key || age < 0 || age >= detailEvery {
		t.full, h.fullAt = true, b.At
	}
	for _, e := range b.Events {
		h.recent = append(h.recent, seqEvent{t.seq, e})
	}
	if n := len(h.recent) - recentEvents; n > 0 {
		h.recent = append([]seqEvent(nil), h.recent[n:]...)
	}
	h.last = t
	for box := range h.boxes {
		box.put(t)
	}
}

func (h *hub) latest() (gpu.Batch, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last == nil {
		return gpu.Batch{}, false
	}
	return h.last.batch, true
}

// join adds a client, whose mailbox holds the last reading already; false when
// there are too many.
func (h *hub) join(most int) (*mailbox, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.boxes) >= most {
		return nil, false
	}
	box := &mailbox{ready: make(chan struct{}, 1)}
	h.boxes[box] = struct{}{}
	if h.last != nil {
		box.put(h.last)
	}
	return box, true
}

func (h *hub) leave(box *mailbox) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.boxes, box)
}

func (h *hub) clients() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.boxes)
}

// line is what a client that has seen reading after needs to see t: the shared
// line, or a keyframe with all events since.
func (h *hub) line(t *tick, after uint64, plain bool) ([]byte, error) {
	if after > 0 && t.seq == after+1 {
		return t.encoded(plain)
	}
	b := t.batch
	if plain {
		b = stream.Plain(b)
	}
	b.Events = nil
	h.mu.Lock()
	for _, e := range h.recent {
		if e.seq > after && e.seq <= t.seq {
			b.Events = append(b.Events, e.event)
		}
	}
	h.mu.Unlock()
	return stream.MarshalFrame(stream.Key(t.seq, b))
}

// mailbox holds the newest reading that a client has not taken. Older ones
// that it missed are replaced: what it can catch up with is the present.
type mailbox struct {
	mu      sync.Mutex
	pending *tick
	ready   chan struct{}
}

func (m *mailbox) put(t *tick) {
	m.mu.Lock()
	m.pending = t
	m.mu.Unlock()
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

func (m *mailbox) take() *tick {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.pending
	m.pending = nil
	return t
}
