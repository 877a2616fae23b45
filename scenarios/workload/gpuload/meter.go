package gpuload

import (
	"sync"
	"time"
)

const (
	window = time.Second
	slots  = 10
	slot   = window / slots
	// computeScale stands for the size of the network: one that needs a GPU
	// keeps it busy far longer for a request than this one keeps a CPU.
	computeScale = 100
	// A server that answered something lately is not idle, however quick it
	// was; a reading of 0 would call it that.
	recently     = 2 * time.Second
	leastPercent = 3
)

// Meter turns the time spent on requests into a utilisation: the busy share of
// the last second, in percent.
type Meter struct {
	now func() time.Time

	mu   sync.Mutex
	last time.Time
	busy [slots]struct {
		index int64 // which slot of time this is
		spent time.Duration
	}
}

// NewMeter makes a meter that reads the time from now.
func NewMeter(now func() time.Time) *Meter { return &Meter{now: now} }

// Add counts a request that is done: compute is the time measured on the CPU,
// which is scaled up, and delay the service time added on purpose, which is
// not.
func (m *Meter) Add(compute, delay time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = m.now()
	index := m.last.UnixNano() / int64(slot)
	b := &m.busy[index%slots]
	if b.index != index {
		b.index, b.spent = index, 0
	}
	b.spent += compute*computeScale + delay
}

// Util is the utilisation over the last second, 0 to 100 percent.
func (m *Meter) Util() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if m.last.IsZero() || now.Sub(m.last) > recently {
		return 0
	}
	index := now.UnixNano() / int64(slot)
	spent := time.Duration(0)
	for _, b := range m.busy {
		if b.index > index-slots && b.index <= index {
			spent += b.spent
		}
	}
	return min(max(100*float64(spent)/float64(window), leastPercent), 100)
}
