package cluster

import (
	"slices"
	"sync"
	"sync/atomic"
)

// outlet hands out the newest snapshot to whoever subscribes.
type outlet struct {
	latest atomic.Pointer[Snapshot]

	mu    sync.Mutex
	subs  []chan *Snapshot
	ended bool
}

// Latest returns the newest snapshot. It is never nil; before the first
// publication it is empty and not Ready.
func (o *outlet) Latest() *Snapshot { return o.latest.Load() }

// Subscribe returns a channel that holds the newest snapshot: a slow reader
// misses those in between. The first is there at once if anything was
// published. The channel is closed when the Feed ends; stop ends the subscription.
func (o *outlet) Subscribe() (snapshots <-chan *Snapshot, stop func()) {
	ch := make(chan *Snapshot, 1)
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.Latest(); s.Rev > 0 {
		ch <- s
	}
	if o.ended {
		close(ch)
		return ch, func() {}
	}
	o.subs = append(o.subs, ch)
	return ch, func() {
		o.mu.Lock()
		o.subs = slices.DeleteFunc(o.subs, func(c chan *Snapshot) bool { return c == ch })
		o.mu.Unlock()
	}
}

func (o *outlet) publish(s *Snapshot) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.latest.Store(s)
	for _, ch := range o.subs {
		select {
		case <-ch: // the reader did not take the last one: it is out of date
		default:
		}
		ch <- s
	}
}

func (o *outlet) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, ch := range o.subs {
		close(ch)
	}
	o.subs, o.ended = nil, true
}
