package cluster

import (
	"cmp"
	"slices"

	"stoker/gpu"
)

// layout is which GPU rows there are and in which order: by node and index.
type layout struct {
	rows    []GPU         // those of the last snapshot, if there was one
	devices []*device     // beside rows: what samples tell; nil where none came
	tenures []*tenure     // beside rows: who has them
	told    []*gpu.Health // beside rows: what the scheduler was told; nil where it was told nothing bad
	at      map[gpu.UUID]int
	nodes   map[NodeID]span
	shared  bool // some device is offered by more than one node
}

// joinGPUs puts one row per device into s: what nodes offer, what samples say,
// and which live allocation the scheduler gave it to.
func (st *state) joinGPUs(s *Snapshot) {
	j := &st.joined
	if of := [2]int{st.nodeRev, st.deviceRev}; j.layout.at == nil || j.layoutOf != of {
		j.layout, j.layoutOf = st.arrangeGPUs(s.Nodes), of
	} else {
		j.layout.rows = slices.Clone(j.layout.rows)
		j.layout.renew(st.place, st.touched)
	}
	clear(st.touched)
	l := &j.layout
	clocks, claims := st.clocksApart(), s.Claims()
	s.GPUs, s.gpus, s.nodeGPUs = l.rows, l.at, l.nodes
	for i := range s.GPUs {
		row := &s.GPUs[i]
		row.Split, row.Health = false, gpu.Health{}
		if told := l.told[i]; told != nil {
			row.Health = *told
		}
		if d := l.devices[i]; d != nil {
			d.fill(row)
		}
		if row.behind = 0; len(clocks) > 0 {
			row.behind = max(-clocks[row.Node], 0)
		}
		row.Holder, row.Claims = l.tenures[i].holder, claims
	}
	for i := range s.GPUs {
		row := &s.GPUs[i]
		if row.Parent == "" {
			continue
		}
		if p := at(s.GPUs, s.gpus, row.Parent); p != nil {
			p.Split = true
			if p.Failed() && !row.Failed() { // what breaks a device breaks its instances
				row.Health = p.Health
			}
		}
	}
}

// fill adds what the samples say.
func (d *device) fill(row *GPU) {
	row.Device = d.Device
	row.Reading, row.Sample, row.History, row.Events = d.Reading, d.sample, d.past, d.events
	if d.sample == nil || d.sample.Health.Verdict == gpu.VerdictUnknown {
		return
	}
	// A device that the scheduler was told is unhealthy has failed, whatever
	// the last sample says; where both say so, the sample knows since when.
	if h := d.sample.Health; row.Health.Verdict != gpu.VerdictFailed || h.Verdict == gpu.VerdictFailed {
		row.Health = h
	}
}

// arrangeGPUs makes the rows of all devices that a known node has.
func (st *state) arrangeGPUs(nodes []Node) layout {
	owner, shared := owners(nodes)
	extra := map[NodeID][]*device{} // known from samples alone
	for id, d := range st.devices {
		if _, offered := owner[id]; !offered {
			extra[d.node] = append(extra[d.node], d)
		}
	}
	l := layout{
		rows: make([]GPU, 0, max(len(owner), len(st.devices))),
		at:   make(map[gpu.UUID]int, len(owner)), nodes: make(map[NodeID]span, len(nodes)), shared: shared,
	}
	for i := range nodes {
		n := &nodes[i]
		from, made := len(l.rows), make([]gpu.Device, 0, len(n.Devices))
		blank := GPU{Host: hostOf(st.place, n), Reading: &Reading{}}
		for j := range n.Devices {
			d := &n.Devices[j]
			if owner[d.UUID] != n {
				continue
			}
			row := blank
			if sampled := st.devices[d.UUID]; sampled != nil {
				row.Device = sampled.Device
			} else {
				made = append(made, gpu.Device{UUID: d.UUID, Index: j, Model: d.Model, PCI: d.PCI})
				row.Device = &made[len(made)-1]
			}
			row.Known = true
			l.rows = append(l.rows, row)
		}
		for _, d := range extra[n.ID] {
			row := blank
			row.Device = d.Device
			l.rows = append(l.rows, row)
		}
		slices.SortFunc(l.rows[from:], func(a, b GPU) int {
			return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Parent, b.Parent), cmp.Compare(a.UUID, b.UUID))
		})
		l.nodes[n.ID] = span{from, len(l.rows)}
	}
	l.devices, l.tenures, l.told = make([]*device, len(l.rows)), make([]*tenure, len(l.rows)), make([]*gpu.Health, len(l.rows))
	for i := range l.rows {
		id := l.rows[i].UUID
		l.at[id], l.devices[i], l.tenures[i] = i, st.devices[id], st.tenure(id)
	}
	for i := range nodes {
		l.listen(&nodes[i])
	}
	return l
}

// renew lets rows say what their nodes are now, which offer the same devices.
func (l *layout) renew(place Place, nodes map[NodeID]*Node) {
	for id, n := range nodes {
		host, rows := hostOf(place, n), within(l.rows, l.nodes[id])
		for i := range rows {
			rows[i].Host = host
		}
		l.listen(n)
	}
}

// listen takes what a node tells the scheduler of the devices that it offers.
func (l *layout) listen(n *Node) {
	for i := range n.Devices {
		d := &n.Devices[i]
		at, ok := l.at[d.UUID]
		if !ok || l.rows[at].Node != n.ID || !l.rows[at].Known {
			continue
		}
		l.rows[at].Schedulable, l.told[at] = d.Healthy, nil
		if !d.Healthy {
			l.told[at] = &gpu.Health{Verdict: gpu.VerdictFailed, Reason: d.HealthText}
		}
	}
}

func hostOf(place Place, n *Node) *Host {
	return &Host{Place: place, Node: n.ID, NodeName: n.Name, Pool: n.Pool, NodeUp: n.Status == NodeReady, NodeOpen: n.Open(), Alone: n.Alone}
}

// owners says which node offers each device. A machine that was set up anew
// has a new ID, and its old self stays on the list for a day, down, with the
// same devices: they belong to the one that is up, or came last. shared says
// that there are such.
func owners(nodes []Node) (out map[gpu.UUID]*Node, shared bool) {
	count := 0
	for i := range nodes {
		count += len(nodes[i].Devices)
	}
	out = make(map[gpu.UUID]*Node, count)
	for i := range nodes {
		n := &nodes[i]
		for _, d := range n.Devices {
			was := out[d.UUID]
			shared = shared || was != nil
			switch {
			case was == nil:
			case was.Status == NodeReady && n.Status != NodeReady:
				continue
			case (was.Status == NodeReady) == (n.Status == NodeReady) && was.ModifyIndex > n.ModifyIndex:
				continue
			}
			out[d.UUID] = n
		}
	}
	return out, shared
}
