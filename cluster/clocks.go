package cluster

import (
	"fmt"
	"maps"
	"time"

	"stoker/gpu"
)

// How far a node's clock may be from ours before it is spoken of. A reading is
// dated when it is taken and comes a little later, so a clock that is ahead
// shows sooner than one that is behind.
const (
	clockAhead  = 5 * time.Second
	clockBehind = 15 * time.Second
)

// clockReadings is how many readings are compared: the one that took the least
// time to come says most about the clock.
const clockReadings = 6

// clock is what a node's readings say of its clock.
type clock struct {
	last  time.Time // of the last reading
	ahead [clockReadings]time.Duration
	n     int
	told  time.Duration // as it is spoken of; 0 while it is right
}

// clock notes how a batch is dated. Only agents date what they send at once:
// others tell what was measured some time ago.
func (st *state) clock(b *gpu.Batch) {
	if b.Source != "agent" {
		return
	}
	c := st.clocks[NodeID(b.Node)]
	if c == nil {
		c = &clock{}
		st.clocks[NodeID(b.Node)] = c
	}
	if b.At.Equal(c.last) {
		return // the same again
	}
	c.last = b.At
	c.ahead[c.n%clockReadings] = b.At.Sub(st.now())
	c.n++
	if told := c.off(); told != c.told {
		c.told = told
		st.apart = nil
	}
}

// off is by how much the clock is ahead, or behind when negative; 0 where it is
// right, or not known yet. It is rounded, and does not change for little.
func (c *clock) off() time.Duration {
	if c.n < clockReadings {
		return 0
	}
	most := c.ahead[0]
	for _, d := range c.ahead[1:] {
		most = max(most, d)
	}
	switch {
	case most < clockAhead && most > -clockBehind:
		return 0
	case c.told != 0 && (most-c.told).Abs() < 2*time.Second:
		return c.told
	}
	return most.Round(time.Second)
}

// clocksApart are those that differ, for snapshots to share.
func (st *state) clocksApart() map[NodeID]time.Duration {
	if st.apart == nil {
		st.apart = map[NodeID]time.Duration{}
		maps.DeleteFunc(st.clocks, func(id NodeID, _ *clock) bool { return st.nodes.rows[id] == nil })
		for id, c := range st.clocks {
			if c.told != 0 {
				st.apart[id] = c.told
			}
		}
	}
	return st.apart
}

// apart says by how much a clock differs, and what that does.
func apart(off time.Duration) string {
	if off > 0 {
		return fmt.Sprintf("%d s ahead of this machine's: what it dates is not as young as it says", int(off/time.Second))
	}
	return fmt.Sprintf("%d s behind this machine's, or its readings come that late", int(-off/time.Second))
}

func direction(off time.Duration) string {
	if off > 0 {
		return "ahead"
	}
	return "behind"
}

// ClockAhead is by how much a node's clock is ahead of ours, and behind when
// negative; 0 while it is right, or nobody knows.
func (s *Snapshot) ClockAhead(id NodeID) time.Duration {
	off := among(s, func(s *Snapshot) *time.Duration {
		if d, ok := s.clocks[id]; ok {
			return &d
		}
		return nil
	})
	if off == nil {
		return 0
	}
	return *off
}
