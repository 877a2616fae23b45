package wire

import (
	"runtime/debug"
	"sync"
	"time"

	"stoker/tui"
)

// How much garbage may gather beside what is in use, in percent of it. A screen is
// open all day beside other work on a bastion, and less memory is worth some more
// collecting. While somebody is at the keys it is the other way round: on a large
// fleet collecting takes both of two cores for some hundredths of a second, and a
// key waits for it.
const (
	restPercent = 25
	handPercent = 200
	// handLasts is for how long after the last key somebody is taken to be there.
	handLasts = 3 * time.Second
)

// Until the first lists are there it is more, as long as all is under a limit: twice
// of what a fleet needs.
const (
	startPercent = 400
	startLimit   = 128 << 20 // bytes, and
	nodeLimit    = 128 << 10 // for each node
)

// collector says how much garbage may gather.
type collector struct {
	mu    sync.Mutex
	ready bool        // the first lists are there
	hand  *time.Timer // runs while somebody is at the keys; nil before the first
	busy  bool        // it does
}

// run lets nearly nothing be collected until the first lists are there: the picture
// is waited for, and all of it is kept. What they took while they were read is
// given back at once.
func (c *collector) run(feed tui.Feed) {
	debug.SetGCPercent(startPercent)
	limit := debug.SetMemoryLimit(startLimit)
	snapshots, stop := feed.Subscribe()
	defer stop()
	for s := range snapshots {
		debug.SetMemoryLimit(max(startLimit, int64(len(s.Nodes))*nodeLimit))
		if s.Ready {
			break
		}
	}
	debug.SetMemoryLimit(limit)
	c.mu.Lock()
	c.ready = true
	c.set()
	c.mu.Unlock()
	debug.FreeOSMemory()
}

// touched is told of each key.
func (c *collector) touched() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hand == nil {
		c.hand = time.AfterFunc(handLasts, c.rest)
	}
	c.hand.Reset(handLasts)
	if !c.busy {
		c.busy = true
		c.set()
	}
}

// rest gives back what gathered while somebody was there.
func (c *collector) rest() {
	c.mu.Lock()
	c.busy = false
	c.set()
	ready := c.ready
	c.mu.Unlock()
	if ready {
		debug.FreeOSMemory() // takes a while: a key need not wait for it
	}
}

func (c *collector) set() {
	switch {
	case !c.ready:
	case c.busy:
		debug.SetGCPercent(handPercent)
	default:
		debug.SetGCPercent(restPercent)
	}
}
