package cluster

import (
	"cmp"
	"slices"

	"stoker/gpu"
)

// layout is which GPU rows there are and in which order: by node and index.
type layout struct {
	rows    []GPU     // what nodes tell of them
	devices []*device // beside rows: what samples tell; nil where none came
	at      map[gpu.UUID]int
	nodes   map[NodeID]span
}

// joinGPUs puts one row per device into s: what nodes offer, what samples say,
// and which live allocation the scheduler gave it to.
func (st *state) joinGPUs(s *Snapshot) {
	j := &st.joined
	if of := [2]int{st.nodeRev, st.deviceRev}; j.layout.at == nil || j.layoutOf != of {
		j.layout, j.layoutOf = st.arrangeGPUs(s.Nodes), of
	}
	l := &j.layout
	clocks := st.clocksApart()
	s.GPUs, s.gpus, s.nodeGPUs = slices.Clone(l.rows), l.at, l.nodes
	for i := range s.GPUs {
		row := &s.GPUs[i]
		if d := l.devices[i]; d != nil {
			d.fill(row)
			row.behind = max(-clocks[row.Node], 0)
		}
		row.Holder, row.Claims = j.holders[row.UUID], s.Claims()
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
	row.Sample, row.Heard, row.Source, row.History, row.Events = d.sample, d.heard, d.source, d.past, d.events
	row.Driver, row.CUDA, row.Lacks = d.driver, d.cuda, d.lacks
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
	owner := owners(nodes)
	extra := map[NodeID][]*device{} // known from samples alone
	for id, d := range st.devices {
		if _, offered := owner[id]; !offered {
			extra[d.node] = append(extra[d.node], d)
		}
	}
	l := layout{at: make(map[gpu.UUID]int, len(owner)), nodes: make(map[NodeID]span, len(nodes))}
	for i := range nodes {
		n := &nodes[i]
		from := len(l.rows)
		for j, d := range n.Devices {
			if owner[d.UUID] != n {
				continue
			}
			row := gpuRow(st.place, n)
			if sampled := st.devices[d.UUID]; sampled != nil {
				row.Device = sampled.Device
			} else {
				row.Device = &gpu.Device{UUID: d.UUID, Index: j, Model: d.Model, PCI: d.PCI}
			}
			row.Known, row.Schedulable = true, d.Healthy
			if !d.Healthy {
				row.Health = gpu.Health{Verdict: gpu.VerdictFailed, Reason: d.HealthText}
			}
			l.rows = append(l.rows, row)
		}
		for _, d := range extra[n.ID] {
			row := gpuRow(st.place, n)
			row.Device = d.Device
			l.rows = append(l.rows, row)
		}
		slices.SortFunc(l.rows[from:], func(a, b GPU) int {
			return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Parent, b.Parent), cmp.Compare(a.UUID, b.UUID))
		})
		l.nodes[n.ID] = span{from, len(l.rows)}
	}
	for i := range l.rows {
		l.at[l.rows[i].UUID] = i
		l.devices = append(l.devices, st.devices[l.rows[i].UUID])
	}
	return l
}

func gpuRow(place Place, n *Node) GPU {
	return GPU{Place: place, Node: n.ID, NodeName: n.Name, Pool: n.Pool, NodeUp: n.Status == NodeReady, NodeOpen: n.Open(), Alone: n.Alone}
}

// owners says which node offers each device. A machine that was set up anew
// has a new ID, and its old self stays on the list for a day, down, with the
// same devices: they belong to the one that is up, or came last.
func owners(nodes []Node) map[gpu.UUID]*Node {
	out := map[gpu.UUID]*Node{}
	for i := range nodes {
		n := &nodes[i]
		for _, d := range n.Devices {
			was := out[d.UUID]
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
	return out
}

// holders says which live allocation has each device. The rows lie together:
// on a large fleet there are thousands, made anew when any allocation changes.
func holders(s *Snapshot) map[gpu.UUID]*Holder {
	rows := make([]Holder, 0, len(s.Allocs))
	out := make(map[gpu.UUID]*Holder, len(s.Allocs))
	leaving := map[gpu.UUID]bool{}
	var job *Job // of the last allocation: they are in order of jobs
	for i := range s.Allocs {
		a := &s.Allocs[i]
		if a.Terminal() {
			continue
		}
		if job == nil || job.ID != a.Job {
			job = s.Job(a.Job)
		}
		leaves := !a.Stays()
		for _, t := range a.Tasks {
			if len(t.GPUs) == 0 {
				continue
			}
			rows = append(rows, Holder{Alloc: a.ID, Name: a.Name, Job: a.Job, Task: t.Name, Since: a.Created})
			h := &rows[len(rows)-1]
			if job != nil {
				h.Kind, h.Model = job.Kind, job.Model
			}
			for _, id := range t.GPUs {
				// While one leaves and the next is already placed, the next has it.
				if out[id] != nil && leaves && !leaving[id] {
					continue
				}
				out[id] = h
				if leaves {
					leaving[id] = true
				} else if len(leaving) > 0 {
					delete(leaving, id)
				}
			}
		}
	}
	return out
}
