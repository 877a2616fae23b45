package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"stoker/cluster"
	"stoker/gpu"
)

// Change is something that would let allocations of a group run. It was proved:
// made in the model, it leaves nothing in the way.
type Change struct {
	Text  string
	Steps []Step
	Node  string // where an allocation would run then
	Room  int    // how many of the missing allocations would run with it
	cost  int
}

// Step is one thing to do. Node is where; empty for what is changed in the job.
type Step struct {
	Do     Do
	Node   cluster.NodeID
	Name   string     // of the node
	GPUs   []gpu.UUID // to repair
	Stop   []Holder   // whose allocations are to go
	What   string     // the driver, volume, constraint, pool, port, model that it is about
	From   int        // what is asked for now, and
	To     int        // what is to be asked for
	labels []string   // of the GPUs
	kind   Kind       // what there is too little of
}

// Do is the verb of a step.
type Do string

// What can be done, the least first.
const (
	Evaluate  Do = "evaluate"
	Open      Do = "make eligible"
	Repair    Do = "repair"
	Stop      Do = "stop or move"
	AskLess   Do = "ask for less"
	EndDrain  Do = "end drain"
	OtherPort Do = "other port"
	Raise     Do = "raise quota"
	OtherGPU  Do = "other model"
	Give      Do = "give" // the node a driver or a volume
	BringBack Do = "bring back"
	Share     Do = "share" // let allocations be together
	Waive     Do = "waive" // a constraint
	Admit     Do = "admit" // the node's pool or datacenter
)

// cost orders changes, the simplest first: what costs an operator a word, then
// hands on the machine, then what takes from others or from the job itself,
// then what the job says about where it may run.
func (s *Step) cost() int {
	switch s.Do {
	case Evaluate:
		return 1
	case Open:
		return 5
	case Repair:
		return 15 * len(s.GPUs)
	case Stop:
		sum := 30
		for i := range s.Stop {
			sum += 4*len(s.Stop[i].Allocs) + 1
			if s.kind == GPUs {
				sum += s.Stop[i].Amount
			}
		}
		return sum
	case AskLess:
		return 40
	case EndDrain:
		return 45
	case OtherPort:
		return 50
	case Raise:
		return 60
	case OtherGPU:
		return 75
	case Give:
		return 85
	case BringBack:
		return 90
	case Share:
		return 95
	case Waive:
		return 110
	}
	return 120
}

const (
	mostChanges = 3
	mostSteps   = 5
	perVerdict  = 8   // nodes of one verdict that are tried
	mostTried   = 200 // nodes that are tried
)

// changes proposes what would let the group run, at most mostChanges ways that
// differ in what is done.
func (w *world) changes(g *Group, a *ask, order []int) []Change {
	best := map[string]Change{}
	keep := func(c Change) {
		var verbs []string
		for _, s := range c.Steps {
			verbs = append(verbs, string(s.Do))
		}
		key := strings.Join(distinct(verbs), ",")
		if old, ok := best[key]; !ok || c.cost < old.cost || c.cost == old.cost && c.Room > old.Room {
			best[key] = c
		}
	}
	room := 0
	for i := range g.Nodes {
		room += g.Nodes[i].Room
	}
	if g.Fitting > 0 && room > 0 {
		s := Step{Do: Evaluate, What: evalCommand(a.job.ID)}
		keep(Change{Text: s.text(), Steps: []Step{s}, Node: g.Nodes[0].Name, Room: room, cost: s.cost()})
	}
	if room < g.Missing {
		tried := 0
		for _, v := range g.Verdicts {
			if v.Kind == Fits || v.Kind == Has || tried >= mostTried {
				continue
			}
			for _, i := range v.Nodes[:min(len(v.Nodes), perVerdict)] {
				tried++
				for _, prefer := range []Do{Repair, Stop, AskLess} {
					if c, ok := w.change(&w.hosts[order[i]], a, g.Missing, prefer); ok {
						keep(c)
					}
				}
			}
		}
	}
	out := make([]Change, 0, len(best))
	for _, c := range best {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Change) int { return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(a.Text, b.Text)) })
	return simplest(out)
}

// simplest leaves out what is another change with something added.
func simplest(sorted []Change) []Change {
	var out []Change
	for _, c := range sorted {
		more := slices.ContainsFunc(out, func(o Change) bool {
			return !slices.ContainsFunc(o.Steps, func(s Step) bool {
				return !slices.ContainsFunc(c.Steps, func(also Step) bool { return also.Do == s.Do })
			})
		})
		if !more && len(out) < mostChanges {
			out = append(out, c)
		}
	}
	return out
}

// change does away with what is in the way on one node, one thing after the
// other, and looks again after each.
func (w *world) change(h *host, a *ask, missing int, prefer Do) (Change, bool) {
	c := Change{Node: h.Name}
	now, ask := *h, a
	for {
		reasons, where := w.judge(&now, ask)
		if len(reasons) == 0 {
			c.Room = w.room(&now, ask, where, missing)
			return c, len(c.Steps) > 0
		}
		s, ok := w.step(&now, ask, &reasons[0], prefer)
		if !ok || len(c.Steps) == mostSteps {
			return c, false
		}
		now, ask = s.apply(now, ask)
		c.add(s)
	}
}

func (c *Change) add(s Step) {
	if i := len(c.Steps) - 1; i >= 0 && s.Do == AskLess && c.Steps[i].Do == AskLess && c.Steps[i].less() == s.less() {
		s.From = c.Steps[i].From // less, and still less
		c.Steps[i] = s
	} else {
		c.Steps = append(c.Steps, s)
	}
	c.cost = 0
	var parts []string
	for i := range c.Steps {
		c.cost += c.Steps[i].cost()
		parts = append(parts, c.Steps[i].text())
	}
	c.Text = strings.Join(parts, ", and ")
}

// less is what less is asked for of.
func (s *Step) less() Kind {
	if s.kind == Devices {
		return GPUs
	}
	return s.kind
}

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

// apply makes the step in the model.
func (s *Step) apply(h host, a *ask) (host, *ask) {
	switch s.Do {
	case Open:
		return h.changed(func(n *cluster.Node) { n.Eligible = true }), a
	case EndDrain:
		return h.changed(func(n *cluster.Node) { n.Draining, n.Eligible = false, true }), a
	case BringBack:
		return h.changed(func(n *cluster.Node) { n.Status = cluster.NodeReady }), a
	case Repair:
		return h.changed(func(n *cluster.Node) {
			n.Devices = slices.Clone(n.Devices)
			for i := range n.Devices {
				n.Devices[i].Healthy = n.Devices[i].Healthy || slices.Contains(s.GPUs, n.Devices[i].UUID)
			}
		}), a
	case Stop:
		var gone []cluster.AllocID
		for i := range s.Stop {
			gone = append(gone, s.Stop[i].Allocs...)
		}
		return h.without(gone), a
	case Give:
		word := "driver "
		if s.kind == Volume {
			word = "volume "
		}
		h.gave = slices.Clone(h.gave)
		for one := range strings.SplitSeq(s.What, ", ") {
			h.gave = append(h.gave, word+one)
		}
		return h, a
	case Waive:
		if s.kind != Devices {
			h.waived = append(slices.Clone(h.waived), s.What)
			return h, a
		}
	case Admit:
		h.welcome = true
		return h, a
	}
	return h, s.asked(a)
}

// asked makes the step in what the job asks for.
func (s *Step) asked(a *ask) *ask {
	next, g := *a, *a.group
	next.group = &g
	switch {
	case s.Do == Raise:
		next.quota = nil
	case s.Do == Share && s.kind == DistinctHosts:
		next.hosts = together
	case s.Do == Share:
		next.property = slices.DeleteFunc(slices.Clone(a.property), func(p property) bool { return p.target == s.What })
	case s.Do == Waive:
		g.GPUs = slices.Clone(g.GPUs)
		for i := range g.GPUs {
			g.GPUs[i].Constraints = slices.DeleteFunc(slices.Clone(g.GPUs[i].Constraints), func(c cluster.Constraint) bool { return c.String() == s.What })
		}
	case s.Do == OtherPort:
		g.Ports = slices.DeleteFunc(slices.Clone(g.Ports), func(p int) bool { return strconv.Itoa(p) == s.What })
	case s.Do == OtherGPU:
		g.GPUs = slices.Clone(g.GPUs)
		g.GPUs[0].Name, g.GPUs[0].Constraints = "nvidia/gpu/"+s.What, nil
	case s.Do == AskLess && s.kind == CPU:
		g.CPUMHz = s.To
	case s.Do == AskLess && s.kind == Memory:
		g.MemoryMB = s.To
	case s.Do == AskLess && s.kind == Disk:
		g.DiskMB = s.To
	case s.Do == AskLess:
		g.GPUs = slices.Clone(g.GPUs)
		g.GPUs[0].Count = s.To
	}
	return &next
}

// text is the step in words.
func (s *Step) text() string {
	switch s.Do {
	case Evaluate:
		return "let Nomad look again: " + s.What
	case Open:
		return "make " + s.Name + " eligible"
	case EndDrain:
		return "end the drain of " + s.Name
	case BringBack:
		return "bring " + s.Name + " back"
	case Repair:
		return "repair " + strings.Join(s.labels, ", ")
	case Stop:
		return s.stopText()
	case AskLess:
		return s.lessText()
	case OtherPort:
		return "ask for another port than " + s.What
	case Raise:
		return "raise the quota: " + s.What
	case OtherGPU:
		return "ask for " + s.What + ", as " + s.Name + " has"
	case Give:
		return fmt.Sprintf("give %s the %s %s", s.Name, map[Kind]string{Driver: "driver", Volume: "host volume"}[s.kind], s.What)
	case Share:
		if s.kind == DistinctProperty {
			return "let more allocations share a " + s.What
		}
		return "let allocations share a node"
	case Waive:
		if s.kind == Devices {
			return "drop the device constraint " + s.What
		}
		return "drop the constraint " + s.What
	case Admit:
		return "let it run in the " + s.What
	}
	return string(s.Do)
}

func (s *Step) stopText() string {
	parts := make([]string, len(s.Stop))
	free := 0
	r := Reason{Kind: s.kind}
	for i, h := range s.Stop {
		free += h.Amount
		parts[i] = h.Job.String()
		if n := len(h.Allocs); n > 1 {
			parts[i] += fmt.Sprintf(" (%s)", count(n, "allocation"))
		}
	}
	who := "stop or move " + strings.Join(parts, ", ")
	switch s.kind {
	case GPUs:
		return fmt.Sprintf("free %s on %s: %s", count(free, "GPU"), s.Name, who)
	case Port:
		return fmt.Sprintf("free port %s on %s: %s", s.What, s.Name, who)
	}
	return fmt.Sprintf("free %s of %s on %s: %s", r.amount(free), s.kind, s.Name, who)
}

func (s *Step) lessText() string {
	switch s.kind {
	case CPU:
		return fmt.Sprintf("ask for %s instead of %s", mhz(s.To), mhz(s.From))
	case Memory, Disk:
		return fmt.Sprintf("ask for %s of %s instead of %s", megabytes(s.To), s.kind, megabytes(s.From))
	}
	return fmt.Sprintf("ask for %s instead of %d", count(s.To, "GPU"), s.From)
}
