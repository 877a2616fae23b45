package explain

import (
	"slices"
	"strconv"
	"strings"

	"stoker/cluster"
	"stoker/gpu"
)

// placed are the devices that an allocation would get.
type placed []gpu.UUID

// judge says all that keeps an allocation away from a node, in Nomad's order,
// and if nothing does, which devices it would get.
func (w *world) judge(h *host, a *ask) ([]Reason, placed) {
	var out []Reason
	out = w.reachable(out, h, a)
	out = w.feasible(out, h, a)
	lacking, where := w.devices(h, a)
	if lacking != nil && lacking.Kind == Devices {
		out = append(out, *lacking)
	}
	out = w.apart(out, h, a)
	out = w.roomy(out, h, a)
	if lacking != nil && lacking.Kind == GPUs {
		out = append(out, *lacking)
	}
	out = w.shares(out, h, a)
	return out, where
}

// reachable is what Nomad looks at before it evaluates a node.
func (w *world) reachable(out []Reason, h *host, a *ask) []Reason {
	if a.once && slices.ContainsFunc(h.allocs, func(x *cluster.Alloc) bool {
		return x.Job == a.job.ID && x.Group == a.group.Name && x.Stays()
	}) {
		out = append(out, Reason{Kind: Has})
	}
	if p := a.job.Pool; !h.welcome && p != "" && p != "all" && p != h.Pool {
		out = append(out, Reason{Kind: Pool, What: p, Value: h.Pool})
	}
	if dcs := a.job.Datacenters; !h.welcome && len(dcs) > 0 && !slices.ContainsFunc(dcs, func(dc string) bool { return glob(dc, h.Datacenter) }) {
		out = append(out, Reason{Kind: Datacenter, What: strings.Join(dcs, ", "), Value: h.Datacenter})
	}
	switch {
	case h.Status != cluster.NodeReady:
		out = append(out, Reason{Kind: Down, Value: string(h.Status)})
	case h.Draining:
		out = append(out, Reason{Kind: Draining})
	case !h.Eligible:
		out = append(out, Reason{Kind: Ineligible})
	}
	return out
}

// feasible is what a node is or has, whoever is on it; but for its devices.
func (w *world) feasible(out []Reason, h *host, a *ask) []Reason {
	out = w.constraints(out, h, a.own)
	var lack []string
	for _, d := range a.group.Drivers {
		if !slices.Contains(h.Drivers, d) && !slices.Contains(h.gave, "driver "+d) {
			lack = append(lack, d)
		}
	}
	if len(lack) > 0 {
		out = append(out, Reason{Kind: Driver, What: strings.Join(lack, ", ")})
	}
	return w.constraints(out, h, a.rest)
}

func (w *world) constraints(out []Reason, h *host, all []cluster.Constraint) []Reason {
	for _, c := range all {
		if slices.Contains(h.waived, c.String()) {
			continue
		}
		switch w.check.node(c, h.Node) {
		case no:
			v, _ := target(c.Left, h.Node)
			if !strings.HasPrefix(c.Left, "${") {
				v, _ = target(c.Right, h.Node)
			}
			out = append(out, Reason{Kind: Constraint, What: c.String(), Value: v.text})
		case unread:
			out = append(out, Reason{Kind: Unread, What: c.String()})
		}
	}
	return out
}

// apart is what depends on where the job is already, and what it may not have.
func (w *world) apart(out []Reason, h *host, a *ask) []Reason {
	var lack []string
	for _, v := range a.group.Volumes {
		if h.Detail != nil && !slices.Contains(h.Detail.Volumes, v) && !slices.Contains(h.gave, "volume "+v) {
			lack = append(lack, v)
		}
	}
	switch {
	case h.Detail == nil && len(a.group.Volumes) > 0:
		out = append(out, Reason{Kind: Unread, What: "host volume " + strings.Join(a.group.Volumes, ", ")})
	case len(lack) > 0:
		out = append(out, Reason{Kind: Volume, What: strings.Join(lack, ", ")})
	}
	mine := w.gathered(h.allocs, func(x *cluster.Alloc) int {
		return btoi(x.Job == a.job.ID && (a.hosts == jobwise || a.hosts == groupwise && x.Group == a.group.Name))
	})
	if len(mine) > 0 {
		out = append(out, Reason{Kind: DistinctHosts, Holders: mine})
	}
	for i := range a.property {
		if r := a.property[i].keeps(h); r != nil {
			out = append(out, *r)
		}
	}
	if len(a.quota) > 0 {
		out = append(out, Reason{Kind: Quota, What: strings.Join(a.quota, ", ")})
	}
	return out
}

func (p *property) keeps(h *host) *Reason {
	v, known := target(p.target, h.Node)
	switch {
	case !known || p.unknown:
		return &Reason{Kind: Unread, What: distinctProperty + " " + p.target}
	case p.bad || !v.found:
		return &Reason{Kind: DistinctProperty, What: p.target}
	case p.used[v.text] >= p.most:
		return &Reason{Kind: DistinctProperty, What: p.target, Value: v.text, Total: p.used[v.text], Want: p.most}
	}
	return nil
}

// roomy is about ports.
func (w *world) roomy(out []Reason, h *host, a *ask) []Reason {
	for _, port := range a.group.Ports {
		if by, taken := h.portHolders(port); taken {
			out = append(out, Reason{Kind: Port, What: strconv.Itoa(port), Want: 1, Total: 1, Holders: w.gathered(by, func(*cluster.Alloc) int { return 1 })})
		}
	}
	return out
}

// shares is what can be added up.
func (w *world) shares(out []Reason, h *host, a *ask) []Reason {
	for _, s := range []struct {
		kind              Kind
		want, free, total int
		of                func(*cluster.Alloc) int
	}{
		{CPU, a.group.CPUMHz, h.cpu, h.CPUMHz, func(x *cluster.Alloc) int { return x.CPUMHz }},
		{Memory, a.group.MemoryMB, h.memory, h.MemoryMB, func(x *cluster.Alloc) int { return x.MemoryMB }},
		{Disk, a.group.DiskMB, h.disk, h.DiskMB, func(x *cluster.Alloc) int { return x.DiskMB }},
	} {
		if s.free >= s.want {
			continue
		}
		r := Reason{Kind: s.kind, Want: s.want, Free: s.free, Total: s.total}
		if s.total >= s.want { // else it is nobody's fault
			r.Holders = w.gathered(h.allocs, s.of)
		}
		out = append(out, r)
	}
	return out
}
