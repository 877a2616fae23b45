package explain

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"stoker/cluster"
	"stoker/gpu"
)

// world is what the snapshot says of the nodes, as the scheduler sees them. It
// is not changed; a change is tried on copies of its hosts.
type world struct {
	snap  *cluster.Snapshot
	place cluster.Place
	hosts []host
	check *checker
}

// host is one node with who is on it.
type host struct {
	*cluster.Node
	cpu, memory, disk int // free, MHz and MB
	allocs            []*cluster.Alloc
	held              map[gpu.UUID]*cluster.Alloc
	piles             []pile
	gave              []string // values that a change would give it: drivers and volumes
	waived            []string // constraints that are not asked of it
	welcome           bool     // in the job's pool and datacenters whatever they are
}

func newWorld(s *cluster.Snapshot, place cluster.Place) *world {
	w := &world{snap: s, place: place, check: newChecker()}
	at := make(map[cluster.NodeID]int, len(s.Nodes))
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if n.Place != place || n.Alone {
			continue
		}
		at[n.ID] = len(w.hosts)
		w.hosts = append(w.hosts, host{Node: n})
	}
	counts := make([]int, len(w.hosts))
	rows := make([]int, len(s.Allocs))
	for i := range s.Allocs {
		a := &s.Allocs[i]
		rows[i] = -1
		// What was told to stop holds its node until it is gone.
		if h, ok := at[a.Node]; ok && a.Place == place && !a.Terminal() {
			rows[i] = h
			counts[h]++
		}
	}
	for i := range w.hosts {
		w.hosts[i].allocs = make([]*cluster.Alloc, 0, counts[i])
	}
	for i, h := range rows {
		if h >= 0 {
			w.hosts[h].allocs = append(w.hosts[h].allocs, &s.Allocs[i])
		}
	}
	for i := range w.hosts {
		w.hosts[i].count()
	}
	return w
}

// count adds up what is free.
func (h *host) count() {
	h.cpu, h.memory, h.disk, h.held = h.CPUMHz, h.MemoryMB, h.DiskMB, nil
	for _, a := range h.allocs {
		h.cpu, h.memory, h.disk = h.cpu-a.CPUMHz, h.memory-a.MemoryMB, h.disk-a.DiskMB
		for _, id := range a.GPUs {
			if h.held == nil {
				h.held = make(map[gpu.UUID]*cluster.Alloc, len(h.Devices))
			}
			if was := h.held[id]; was == nil || !was.Stays() {
				h.held[id] = a
			}
		}
	}
	h.pileUp()
}

// without is the host after some allocations are gone.
func (h host) without(gone []cluster.AllocID) host {
	h.allocs = slices.DeleteFunc(slices.Clone(h.allocs), func(a *cluster.Alloc) bool { return slices.Contains(gone, a.ID) })
	h.count()
	return h
}

// with is the host with one more allocation.
func (h host) with(a *cluster.Alloc) host {
	h.allocs = append(slices.Clone(h.allocs), a)
	h.count()
	return h
}

// changed is the host with its node as f makes it.
func (h host) changed(f func(*cluster.Node)) host {
	n := *h.Node
	f(&n)
	h.Node = &n
	h.count()
	return h
}

// portHolders are who has a port, once it is taken on each address of the node;
// nobody means that the node keeps it for itself.
func (h *host) portHolders(port int) (by []*cluster.Alloc, taken bool) {
	if reserved(h.ReservedPorts, port) {
		return nil, true
	}
	free := len(h.PortAddresses)
	for _, a := range h.allocs {
		for _, p := range a.Ports {
			if p.Port != port {
				continue
			}
			by = append(by, a)
			if p.Host == "" || free == 0 { // it is not known on which of them
				taken = true
			} else if slices.Contains(h.PortAddresses, p.Host) {
				free--
			}
			taken = taken || free <= 0
		}
	}
	return by, taken
}

// freeAddress is one on which nobody has the port; empty where none is known.
func (h *host) freeAddress(port int) string {
	for _, address := range h.PortAddresses {
		if !slices.ContainsFunc(h.allocs, func(a *cluster.Alloc) bool {
			return slices.ContainsFunc(a.Ports, func(p cluster.Port) bool { return p.Port == port && p.Host == address })
		}) {
			return address
		}
	}
	return ""
}

// reserved reports whether "22,8000-8100" names a port.
func reserved(list string, port int) bool {
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.Atoi(strings.TrimSpace(from))
		if err != nil {
			continue
		}
		b := a
		if isRange {
			if b, err = strconv.Atoi(strings.TrimSpace(to)); err != nil {
				continue
			}
		}
		if a <= port && port <= b {
			return true
		}
	}
	return false
}

// pile is what a node has of one model.
type pile struct {
	vendor, model string
	attributes    map[string]cluster.DeviceAttribute
	healthy, free []gpu.UUID
	failed        []gpu.UUID
	all           []gpu.UUID
}

// pileUp sorts the devices by model, in the order in which the node offers them.
func (h *host) pileUp() {
	h.piles = nil
	for i := range h.Devices {
		d := &h.Devices[i]
		k := slices.IndexFunc(h.piles, func(p pile) bool { return p.model == d.Model && p.vendor == d.Vendor })
		if k < 0 {
			k = len(h.piles)
			ids := make([]gpu.UUID, 0, 3*len(h.Devices)) // one piece for the three lists
			n := len(h.Devices)
			h.piles = append(h.piles, pile{vendor: d.Vendor, model: d.Model, attributes: h.attributes(d), all: ids[:0:n], healthy: ids[n : n : 2*n], free: ids[2*n : 2*n]})
		}
		p := &h.piles[k]
		p.all = append(p.all, d.UUID)
		switch {
		case !d.Healthy:
			p.failed = append(p.failed, d.UUID)
			continue
		case h.held[d.UUID] == nil:
			p.free = append(p.free, d.UUID)
		}
		p.healthy = append(p.healthy, d.UUID)
	}
}

func (h *host) attributes(d *cluster.NodeDevice) map[string]cluster.DeviceAttribute {
	for i := range h.Models {
		if m := &h.Models[i]; m.Name == d.Model && m.Vendor == d.Vendor {
			return m.Attributes
		}
	}
	return nil
}

// holders are who has some of the devices, the most first.
func (w *world) holders(h *host, ids []gpu.UUID) []Holder {
	return w.gathered(h.allocs, func(a *cluster.Alloc) int {
		n := 0
		for _, id := range ids {
			if h.held[id] == a {
				n++
			}
		}
		return n
	})
}

// gathered adds up what the allocations of each job have, the most first.
func (w *world) gathered(allocs []*cluster.Alloc, has func(*cluster.Alloc) int) []Holder {
	var out []Holder
	for _, a := range allocs {
		n := has(a)
		if n <= 0 {
			continue
		}
		i := slices.IndexFunc(out, func(o Holder) bool { return o.Job == a.Job })
		if i < 0 {
			i = len(out)
			j := w.snap.Job(a.Job)
			out = append(out, Holder{Job: a.Job, Batch: j != nil && j.Type == "batch", Since: a.Created})
		}
		out[i].Allocs = append(out[i].Allocs, a.ID)
		out[i].Amount += n
		if a.Created.Before(out[i].Since) {
			out[i].Since = a.Created
		}
	}
	slices.SortStableFunc(out, func(a, b Holder) int { return cmp.Or(cmp.Compare(b.Amount, a.Amount), a.Job.Compare(b.Job)) })
	return out
}
