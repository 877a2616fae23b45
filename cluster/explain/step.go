package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"stoker/cluster"
	"stoker/gpu"
)

// step is what does away with one reason.
func (w *world) step(h *host, a *ask, r *Reason, prefer Do) (Step, bool) {
	s := Step{Node: h.ID, Name: h.Name, What: r.What, kind: r.Kind}
	switch r.Kind {
	case Ineligible:
		s.Do = Open
	case Draining:
		s.Do = EndDrain
	case Down:
		s.Do = BringBack
	case Pool, Datacenter:
		s.Do, s.What = Admit, string(r.Kind)+" "+r.Value
	case Constraint:
		s.Do = Waive
	case Driver, Volume:
		s.Do = Give
	case DistinctHosts, DistinctProperty:
		s.Do = Share
	case Quota:
		s.Do = Raise
	case Port:
		if prefer == Stop {
			return w.stop(s, h, a, r, 1, func(x *cluster.Alloc) int {
				return btoi(slices.ContainsFunc(x.Ports, func(p cluster.Port) bool { return strconv.Itoa(p.Port) == r.What }))
			})
		}
		s.Do = OtherPort
	case Devices, GPUs:
		return w.moreGPUs(s, h, a, r, prefer)
	case CPU, Memory, Disk:
		return w.more(s, h, a, r, prefer)
	default: // it has one, or nobody knows
		return s, false
	}
	return s, true
}

func (w *world) moreGPUs(s Step, h *host, a *ask, r *Reason, prefer Do) (Step, bool) {
	sick := slices.DeleteFunc(slices.Clone(r.Sick), func(id gpu.UUID) bool { return h.held[id] != nil })
	lack := r.Want - r.Free
	less := r.Free > 0 && len(a.group.GPUs) == 1
	switch {
	case r.Want < 1 || lack < 1: // no devices are wanted, or another block has them
		return s, false
	case r.Unmet != "":
		s.Do, s.What = Waive, r.Unmet
		return s, true
	case prefer == Repair && len(sick) > 0 && (r.Kind == GPUs || len(sick) >= lack):
		s.Do, s.GPUs = Repair, sick[:min(len(sick), lack)]
		for _, id := range s.GPUs {
			label := h.Name
			if g := w.snap.GPU(id); g != nil {
				label = fmt.Sprintf("%s/%d", h.Name, g.Index)
			}
			s.labels = append(s.labels, label)
		}
		return s, true
	case r.Kind == GPUs && prefer != AskLess:
		return w.stop(s, h, a, r, lack, func(x *cluster.Alloc) int {
			n := 0
			for i := range h.Devices {
				n += btoi(h.Devices[i].Model == r.What && h.Devices[i].Healthy && h.held[h.Devices[i].UUID] == x)
			}
			return n
		})
	case less:
		s.Do, s.From, s.To = AskLess, r.Want, r.Free
		return s, true
	case r.Kind == Devices && r.Total == 0 && len(h.Devices) > 0 && len(a.group.GPUs) == 1:
		most := slices.MaxFunc(h.piles, func(x, y pile) int { return cmp.Compare(len(x.healthy), len(y.healthy)) })
		s.Do, s.What = OtherGPU, most.model
		return s, len(most.healthy) >= r.Want
	}
	return s, false
}

// more is for what can be added up.
func (w *world) more(s Step, h *host, a *ask, r *Reason, prefer Do) (Step, bool) {
	if r.Total >= r.Want && prefer != AskLess {
		of := func(x *cluster.Alloc) int { return x.CPUMHz }
		switch r.Kind {
		case Memory:
			of = func(x *cluster.Alloc) int { return x.MemoryMB }
		case Disk:
			of = func(x *cluster.Alloc) int { return x.DiskMB }
		}
		return w.stop(s, h, a, r, r.Want-r.Free, of)
	}
	s.Do, s.From, s.To = AskLess, r.Want, r.Free
	if r.Kind != CPU && s.To >= 10<<10 { // as it is written: whole tenths of a GiB
		s.To = s.To * 10 / (1 << 10) * (1 << 10) / 10
	}
	return s, r.Free > 0 && (4*r.Free >= r.Want || r.Total < r.Want) // with a small part of it, it would be another job
}

// stop picks the allocations whose end gives so much: those of the least
// priority, as few as can be, and none of the job itself or of one that runs on
// every node and would be back at once.
func (w *world) stop(s Step, h *host, a *ask, r *Reason, lack int, of func(*cluster.Alloc) int) (Step, bool) {
	s.Do = Stop
	var can []*cluster.Alloc
	for _, x := range h.allocs {
		j := w.snap.Job(x.Job)
		fixed := j == nil || j.Type == "system" || j.Type == "sysbatch"
		if of(x) > 0 && x.Job != a.job.ID && !fixed {
			can = append(can, x)
		}
	}
	priority := func(x *cluster.Alloc) int { return w.snap.Job(x.Job).Priority }
	slices.SortStableFunc(can, func(x, y *cluster.Alloc) int {
		return cmp.Or(cmp.Compare(priority(x), priority(y)), cmp.Compare(of(y), of(x)), x.Job.Compare(y.Job), cmp.Compare(x.ID, y.ID))
	})
	var chosen []*cluster.Alloc
	got := 0
	for _, x := range can {
		if got >= lack {
			break
		}
		chosen, got = append(chosen, x), got+of(x)
	}
	if got < lack {
		return s, false
	}
	for i := 0; i < len(chosen); i++ { // those that the later ones made needless
		if n := of(chosen[i]); got-n >= lack {
			chosen, got = slices.Delete(chosen, i, i+1), got-n
			i--
		}
	}
	if len(chosen) == 1 { // another of the same priority may give less up
		for _, x := range can {
			if of(x) >= lack && of(x) < of(chosen[0]) && priority(x) == priority(chosen[0]) {
				chosen[0] = x
			}
		}
	}
	s.Stop = w.gathered(chosen, of)
	return s, true
}

// evalCommand is how the official program lets a job be evaluated.
func evalCommand(id cluster.JobID) string {
	if id.Namespace == "" || id.Namespace == "default" {
		return "nomad job eval " + id.Name
	}
	return "nomad job eval -namespace " + id.Namespace + " " + id.Name
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
