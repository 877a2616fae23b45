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
	for range mostSteps + 1 {
		reasons, where := w.judge(&now, ask)
		if len(reasons) == 0 {
			c.Room = w.room(&now, ask, where, missing)
			return c, len(c.Steps) > 0
		}
		s, ok := w.step(&now, ask, &reasons[0], prefer)
		if !ok {
			return c, false
		}
		now, ask = s.apply(now, ask)
		c.add(s)
	}
	return c, false
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
