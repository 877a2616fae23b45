package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"stoker/gpu"
)

// device is what the samples say of one GPU.
type device struct {
	*gpu.Device // never nil; shared with snapshots and with who told it
	*Reading    // of sample; never nil, and shared in the same way
	node        NodeID
	sample      *gpu.Sample
	past        *History
	events      []GPUEvent
	visits      []visit
	tenure      *tenure // never nil: who has it
	// counted is up to when the accounts have what it used.
	counted time.Time
	payer   payer
}

// reporter is one source of one node's samples.
type reporter struct {
	node   NodeID
	source string
}

// report is what a reporter told last of which devices there are: once a second,
// as a rule, it tells the same.
type report struct {
	devices []gpu.Device
	kept    []*device // beside devices, as of rev
	rev     int       // that of devices
}

// batch takes one node's samples. Sources are ranked: a better one is not
// overwritten by a lesser one while it is fresh.
func (st *state) batch(b gpu.Batch) {
	st.clock(&b)
	st.hears(&b)
	with := &Reading{Heard: st.now(), Source: b.Source, Driver: b.Driver, CUDA: b.CUDA, Lacks: b.Lacks}
	for i, dev := range st.report(&b) {
		d := &b.Devices[i]
		st.reading(&b, dev, d, sampleOf(&b, d.UUID, i), with)
	}
	for _, e := range b.Events {
		st.gpuEvent(NodeID(b.Node), e)
	}
}

// hears lets the source of a batch be as recent as what it said: it tells of its
// state only when that changes.
func (st *state) hears(b *gpu.Batch) {
	n := st.nodes.rows[NodeID(b.Node)]
	if n == nil {
		return
	}
	if s, there := st.sources[OfNode(b.Source)+n.Name]; there {
		s.AsOf = st.now()
		st.sources[s.Name] = s
	}
}

// sampleOf finds the sample of a device, at i as a rule; nil where there is none.
func sampleOf(b *gpu.Batch, id gpu.UUID, i int) *gpu.Sample {
	if i >= len(b.Samples) || b.Samples[i].UUID != id {
		i = slices.IndexFunc(b.Samples, func(s gpu.Sample) bool { return s.UUID == id })
	}
	if i < 0 {
		return nil
	}
	return &b.Samples[i]
}

// report notes which devices a source knows, and gives what is kept of each.
// Those that their own source no longer knows are forgotten: a GPU that was
// taken out, a MIG instance that was dissolved.
func (st *state) report(b *gpu.Batch) []*device {
	if len(b.Devices) == 0 { // a source that begins knows none yet
		return nil
	}
	from := reporter{NodeID(b.Node), b.Source}
	r := st.reports[from]
	if r == nil {
		r = &report{}
		st.reports[from] = r
	}
	if Same(r.devices, b.Devices) && r.rev == st.deviceRev {
		return r.kept
	}
	for _, d := range r.devices {
		dev := st.devices[d.UUID]
		gone := !slices.ContainsFunc(b.Devices, func(c gpu.Device) bool { return c.UUID == d.UUID })
		if gone && dev != nil && dev.node == from.node && dev.Source == from.source {
			delete(st.devices, d.UUID)
			st.deviceRev++
		}
	}
	r.devices, r.kept = b.Devices, make([]*device, len(b.Devices))
	for i := range b.Devices {
		r.kept[i] = st.device(b.Devices[i].UUID)
	}
	r.rev = st.deviceRev
	return r.kept
}

// device is what is kept of a device, which begins when a source first tells of it.
func (st *state) device(id gpu.UUID) *device {
	dev := st.devices[id]
	if dev == nil {
		dev = &device{Device: &gpu.Device{}, Reading: &Reading{}, tenure: st.tenure(id)}
		st.devices[id] = dev
		st.deviceRev++
	}
	return dev
}

// reading takes what one source says of one device; s is nil for a device that
// did not answer: its last sample stands, and where that came from. with is what
// all samples of the batch have in common.
func (st *state) reading(b *gpu.Batch, dev *device, d *gpu.Device, s *gpu.Sample, with *Reading) {
	better, back := false, false
	if dev.sample != nil {
		if rank(b.Source) < rank(dev.Source) && b.At.Sub(dev.sample.At) < freshFor(dev.Source) {
			return
		}
		if s == nil {
			return // silent
		}
		// Each source measures at its own times: a better one need not be the latest.
		better = rank(b.Source) > rank(dev.Source) && dev.sample.At.Sub(s.At) < freshFor(b.Source)
		back = dev.Source == b.Source && dev.node == NodeID(b.Node) && dev.sample.At.Sub(s.At) > setBack
		if s.At.Before(dev.sample.At) && !better && !back {
			return // late: a newer reading is already here
		}
	}
	d = st.complete(NodeID(b.Node), dev.Device, d)
	if s != nil && dev.sample != nil {
		st.account(dev, d, dev.Source == b.Source, s)
	}
	if back {
		dev.counted = s.At // what is counted from here on is new, whatever the clock says
	}
	if dev.node != NodeID(b.Node) || dev.Index != d.Index || dev.Parent != d.Parent {
		st.deviceRev++
	}
	dev.Device, dev.node = d, NodeID(b.Node)
	news := s != nil && (dev.sample == nil || better || back || s.At.After(dev.sample.At))
	if news || s == nil {
		dev.Reading = with.after(dev.Reading)
	}
	if news {
		dev.sample = s
		dev.past, dev.visits = dev.past.with(s, d, st.step), seen(dev.visits, s)
	}
}

// after is r, with the versions that its source does not tell as they were told before.
func (r *Reading) after(was *Reading) *Reading {
	driver, cuda := cmp.Or(r.Driver, was.Driver), cmp.Or(r.CUDA, was.CUDA)
	if driver == r.Driver && cuda == r.CUDA {
		return r
	}
	full := *r
	full.Driver, full.CUDA = driver, cuda
	return &full
}

// pastOf takes what somebody else knows of the time before this Feed watched.
func (st *state) pastOf(id gpu.UUID, past []gpu.Sample) {
	if dev := st.devices[id]; dev != nil {
		dev.past = dev.past.after(past, dev.Device, st.step)
	}
}

// complete fills in what a lesser source does not tell: what a better one told
// before, else what the scheduler knows.
func (st *state) complete(node NodeID, was, d *gpu.Device) *gpu.Device {
	if was == d {
		return d // as a source tells it that has nothing new
	}
	full := *d
	if d.Index != gpu.UnknownIndex {
		full.Model, full.MemoryBytes = cmp.Or(d.Model, was.Model), cmp.Or(d.MemoryBytes, was.MemoryBytes)
		if full.Model == d.Model && full.MemoryBytes == d.MemoryBytes {
			return d
		}
		return &full
	}
	if was.UUID != "" {
		if d.MemoryBytes == 0 || d.MemoryBytes == was.MemoryBytes {
			return was
		}
		full = *was
		full.MemoryBytes = d.MemoryBytes
		return &full
	}
	if n := st.nodes.rows[node]; n != nil {
		if i := slices.IndexFunc(n.Devices, func(o NodeDevice) bool { return o.UUID == d.UUID }); i >= 0 {
			full.Index, full.PCI = i, n.Devices[i].PCI
		}
	}
	return &full
}

// freshFor is how long a reading of a source is live: ten that were missed. So
// long it stands against a lesser source, too. What is measured seldom must
// stand longer, or the two would take turns.
func freshFor(source string) time.Duration {
	switch source {
	case "dcgm":
		return 2 * time.Minute // the exporter measures each 30 s unless told otherwise
	case "prometheus":
		return 3 * time.Minute // for which it is asked
	}
	return 10 * time.Second
}

// setBack is from how much on a source's own reading that is older than the one
// before is not a late one: the node's clock was set back. Without that nothing
// would be seen of its GPUs until the clock is where it was.
const setBack = 2 * time.Minute

// rank orders sources from the least to the best.
func rank(source string) int {
	return slices.Index([]string{"prometheus", "dcgm", "nomad", "nvml", "agent"}, source)
}

// gpuIndex is a device's index on its node; or is the scheduler's order, until
// a source told.
func (st *state) gpuIndex(id gpu.UUID, or int) int {
	if d := st.devices[id]; d != nil {
		return d.Index
	}
	return or
}

func (st *state) gpuEvent(node NodeID, e gpu.Event) {
	dev := st.devices[e.UUID]
	if dev == nil {
		return
	}
	for _, old := range dev.events {
		if old.At.Equal(e.At) && old.Kind == e.Kind && old.Xid == e.Xid {
			return // a keyframe repeats what a delta already brought
		}
	}
	on := st.onGPU(e.UUID, e.At)
	event := GPUEvent{e, on}
	dev.events = append(dev.events[:len(dev.events):len(dev.events)], event)
	if over := len(dev.events) - historyLen; over > 0 {
		dev.events = dev.events[over:]
	}
	name := string(node)
	if n := st.nodes.rows[node]; n != nil {
		name = n.Name
	}
	st.event(Event{
		At: e.At, Level: event.Level(), Kind: "gpu", Subject: fmt.Sprintf("%s/%d", name, dev.Index),
		Text: cmp.Or(e.Text, string(e.Kind)), Node: node, GPU: e.UUID, On: on,
	})
}
