package agent

import (
	"slices"
	"sync"
	"time"

	"stoker/gpu"
	"stoker/gpu/proc"
)

// meter wraps the sampler: it joins processes to tasks, in the goroutine that
// reads, and counts what the agent says about itself.
type meter struct {
	next  Sampler
	procs *proc.Attributor
	now   func() time.Time

	mu      sync.Mutex
	reads   uint64
	errs    uint64
	seconds float64
	xids    map[xidKey]uint64 // mostXids at most
	lastXid map[gpu.UUID]uint64
	hung    map[gpu.UUID]time.Time // since when, of the last batch
	dark    dark
}

// dark says since when a node has GPUs and no number of any, and why; zero
// while there are numbers.
type dark struct {
	since  time.Time
	reason string
	hangs  bool // all of them hang
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
		m.procs.Fill(b.Samples)
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
	m.hung = m.hungIn(b)
	m.dark = m.darkness(b)
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

// Hanger is a Sampler that tells which devices have not answered at the last
// Read, and since when. It never waits.
type Hanger interface {
	Hung() map[gpu.UUID]time.Time
}

// hungIn tells since when the devices of a batch hang, instances with their device.
func (m *meter) hungIn(b gpu.Batch) map[gpu.UUID]time.Time {
	h, ok := m.next.(Hanger)
	if !ok {
		return nil
	}
	told := h.Hung()
	if len(told) == 0 {
		return nil
	}
	out := map[gpu.UUID]time.Time{}
	for i := range b.Devices {
		d := &b.Devices[i]
		if at, ok := told[d.UUID]; ok {
			out[d.UUID] = at
		} else if at, ok := told[d.Parent]; ok {
			out[d.UUID] = at
		}
	}
	return out
}

// darkness tells whether a batch has no number of any GPU; it goes on since the
// batch before, if that had none either.
func (m *meter) darkness(b gpu.Batch) dark {
	if len(b.Devices) == 0 {
		return dark{}
	}
	now := dark{since: b.At, hangs: len(m.hung) == len(b.Devices)}
	for i := range b.Samples {
		if hasNumbers(&b.Samples[i]) {
			return dark{}
		}
		if now.reason == "" {
			now.reason = b.Samples[i].Health.Reason
		}
	}
	if !m.dark.since.IsZero() {
		now.since = m.dark.since
	}
	return now
}

// hasNumbers tells a sample of a GPU that was read from one that only says why not.
func hasNumbers(s *gpu.Sample) bool {
	return s.UtilPercent != nil || s.MemoryUsedBytes != nil || s.PowerWatts != nil || s.TempCelsius != nil
}

// hungSince is since when each device hangs that does.
func (m *meter) hungSince() map[gpu.UUID]time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hung // replaced, never changed
}

// darkNow is whether there are no numbers.
func (m *meter) darkNow() dark {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dark
}
