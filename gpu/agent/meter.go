package agent

import (
	"slices"
	"strings"
	"sync"
	"time"

	"stoker/gpu"
)

// meter wraps the sampler: it joins processes to tasks, in the goroutine that
// reads, and counts what the agent says about itself.
type meter struct {
	next  Sampler
	procs *attributor
	now   func() time.Time

	mu      sync.Mutex
	reads   uint64
	errs    uint64
	seconds float64
	xids    map[xidKey]uint64 // mostXids at most
	lastXid map[gpu.UUID]uint64
	hung    map[gpu.UUID]time.Time // since when, of the last batch
}

// mostXids bounds what is counted: the documented kinds on every GPU that a
// node may hold, and not whatever a driver in trouble makes up.
const mostXids = 4096

type xidKey struct {
	uuid gpu.UUID
	xid  uint64
}

// Read reads, and fills in whose the processes are.
func (m *meter) Read(now time.Time) (gpu.Batch, error) {
	began := m.now()
	b, err := m.next.Read(now)
	if err == nil {
		b.Samples = slices.Clone(b.Samples) // the sampler may have kept its own
		m.procs.fill(b.Samples)
	}
	took := m.now().Sub(began)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	m.seconds += took.Seconds()
	if err != nil {
		m.errs++
	}
	return b, err
}

// Close closes the sampler.
func (m *meter) Close() error { return m.next.Close() }

func (m *meter) count(b gpu.Batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hung = stillHung(m.hung, b)
	for _, e := range b.Events {
		if e.Kind != gpu.EventXid {
			continue
		}
		if m.xids == nil {
			m.xids, m.lastXid = map[xidKey]uint64{}, map[gpu.UUID]uint64{}
		}
		key := xidKey{e.UUID, e.Xid}
		if _, known := m.xids[key]; !known && len(m.xids) >= mostXids {
			continue
		}
		m.xids[key]++
		m.lastXid[e.UUID] = e.Xid
	}
}

// hungWords begin the reason of a device whose reading has not come back.
const hungWords = "the driver does not answer for this GPU"

// stillHung says since when the devices of a batch hang, if they do.
func stillHung(before map[gpu.UUID]time.Time, b gpu.Batch) map[gpu.UUID]time.Time {
	var out map[gpu.UUID]time.Time
	for i := range b.Samples {
		s := &b.Samples[i]
		if !strings.HasPrefix(s.Health.Reason, hungWords) {
			continue
		}
		since, known := before[s.UUID]
		if !known {
			since = b.At
		}
		if out == nil {
			out = map[gpu.UUID]time.Time{}
		}
		out[s.UUID] = since
	}
	return out
}

// hungSince is since when each device hangs that does.
func (m *meter) hungSince() map[gpu.UUID]time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hung // replaced, never changed
}
