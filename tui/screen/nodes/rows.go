package nodes

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"stoker/cluster"
	"stoker/tui/screen"
	"stoker/tui/screen/parts"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// row is one node with its GPUs and allocations added up.
type row struct {
	*cluster.Node
	first, model       string // of the first GPU in full, and of all in short
	gpus               int
	held, free, failed int
	claims             bool // whether held and free are known
	util, power        screen.Adder
	read               time.Time // when a GPU was read last
	allocs, jobs       int
}

// rows makes a row for each node, in one pass over GPUs and allocations.
func rows(s *cluster.Snapshot) []row {
	out := make([]row, len(s.Nodes))
	at := make(map[cluster.NodeID]*row, len(out))
	for i := range s.Nodes {
		out[i].Node, out[i].claims = &s.Nodes[i], s.Fleet.Claims
		at[s.Nodes[i].ID] = &out[i]
	}
	for i := range s.GPUs {
		g := &s.GPUs[i]
		if r := at[g.Node]; r != nil {
			r.addGPU(g)
		}
	}
	countAllocs(s, at)
	return out
}

func (r *row) addGPU(g *cluster.GPU) {
	r.gpus++
	if r.gpus == 1 {
		r.first, r.model = g.Model, screen.ShortModel(g.Model)
	} else if r.first != g.Model {
		r.model = "mixed"
	}
	switch {
	case g.Holder != nil:
		r.held++
	case g.Free():
		r.free++
	}
	if g.Failed() && g.NodeUp {
		r.failed++
	}
	if at := g.AsOf(); at.After(r.read) {
		r.read = at
	}
	if g.Sample != nil && g.NodeUp {
		r.util.Add(g.Sample.UtilPercent)
		r.power.Add(g.Sample.PowerWatts)
	}
}

func countAllocs(s *cluster.Snapshot, at map[cluster.NodeID]*row) {
	last := map[cluster.NodeID]cluster.JobID{} // allocations are sorted by job
	for i := range s.Allocs {
		a := &s.Allocs[i]
		r := at[a.Node]
		if r == nil || a.Terminal() {
			continue
		}
		r.allocs++
		if last[a.Node] != a.Job {
			last[a.Node] = a.Job
			r.jobs++
		}
	}
}

func columns(e *screen.Env) []ui.Column[row] {
	th := e.Theme
	count := func(n int, st theme.Style) ui.Cell {
		if n == 0 {
			return ui.In(th.Faint, "0")
		}
		return ui.In(st, ui.Int(n))
	}
	claimed := func(r *row, n int) ui.Cell {
		if !r.claims {
			return ui.In(th.Unknown, ui.None)
		}
		return count(n, th.Text)
	}
	return []ui.Column[row]{
		{Title: "NODE", Min: 10, Max: 28, Cell: func(r *row) ui.Cell { return ui.Txt(r.Name) }, Compare: func(a, b *row) int { return cmp.Compare(a.Name, b.Name) }},
		{Title: "POOL", Min: 6, Max: 16, Drop: 7, Cell: func(r *row) ui.Cell { return ui.In(th.Muted, r.Pool) }, Compare: func(a, b *row) int { return cmp.Compare(a.Pool, b.Pool) }},
		{Title: "STATE", Min: 12, Max: 14, Cell: func(r *row) ui.Cell { return screen.NodeState(th, r.Node) }, Compare: func(a, b *row) int { return cmp.Compare(a.Status, b.Status) }},
		{Title: "GPUS", Min: 11, Max: 20, Drop: 1, Cell: func(r *row) ui.Cell { return ui.Txt(gpusOf(r)) }, Compare: func(a, b *row) int { return cmp.Compare(a.gpus, b.gpus) }, Desc: true},
		{Title: "HELD", Min: 4, Align: ui.Right, Drop: 2, Cell: func(r *row) ui.Cell { return claimed(r, r.held) }, Compare: func(a, b *row) int { return cmp.Compare(a.held, b.held) }, Desc: true},
		{Title: "FREE", Min: 4, Align: ui.Right, Cell: func(r *row) ui.Cell { return claimed(r, r.free) }, Compare: func(a, b *row) int { return cmp.Compare(a.free, b.free) }, Desc: true},
		{Title: "FAILED", Min: 6, Align: ui.Right, Cell: func(r *row) ui.Cell { return count(r.failed, th.Bad) }, Compare: func(a, b *row) int { return cmp.Compare(a.failed, b.failed) }, Desc: true},
		{Title: "UTIL", Min: 5, Align: ui.Right, Cell: func(r *row) ui.Cell { return ui.Txt(ui.Percent(r.util.Mean())) }, Compare: func(a, b *row) int { return screen.Known(a.util.Mean(), b.util.Mean()) }, Desc: true},
		{Title: "POWER", Min: 7, Align: ui.Right, Drop: 3, Cell: func(r *row) ui.Cell { return ui.Txt(ui.Watts(r.power.Sum())) }, Compare: func(a, b *row) int { return screen.Known(a.power.Sum(), b.power.Sum()) }, Desc: true},
		{Title: "JOBS", Min: 4, Align: ui.Right, Drop: 4, Cell: func(r *row) ui.Cell { return claimed(r, r.jobs) }, Compare: func(a, b *row) int { return cmp.Compare(a.jobs, b.jobs) }, Desc: true},
		{Title: "AGE", Min: 4, Align: ui.Right, Drop: 5, Cell: func(r *row) ui.Cell { return ageOf(e, r.read) }, Compare: func(a, b *row) int { return b.read.Compare(a.read) }, Desc: true},
		{Title: "CPU", Min: 8, Align: ui.Right, Drop: 9, Cell: func(r *row) ui.Cell { return ui.In(th.Muted, cpuOf(r.Node)) }},
		{Title: "MEMORY", Min: 9, Align: ui.Right, Drop: 8, Cell: func(r *row) ui.Cell { return ui.In(th.Muted, ui.Bytes(uint64(max(r.MemoryMB, 0))<<20)) }},
		{Title: "NOMAD", Min: 7, Max: 12, Drop: 10, Cell: func(r *row) ui.Cell { return ui.In(th.Muted, r.Version) }, Compare: func(a, b *row) int { return cmp.Compare(a.Version, b.Version) }},
		{Title: "ADDRESS", Min: 10, Max: 24, Drop: 6, Cell: func(r *row) ui.Cell { return ui.In(th.Muted, r.Address) }, Compare: func(a, b *row) int { return cmp.Compare(a.Address, b.Address) }},
	}
}

// ageOf is how old a reading is, loud when it is history.
func ageOf(e *screen.Env, at time.Time) ui.Cell {
	now := e.Now()
	if !at.IsZero() && now.Sub(at) > parts.StaleAfter {
		return ui.In(e.Theme.Warn, ui.Age(at, now))
	}
	return ui.In(e.Theme.Muted, ui.Age(at, now))
}

func gpusOf(r *row) string {
	if r.gpus == 0 {
		return "none"
	}
	return fmt.Sprintf("%d %s", r.gpus, r.model)
}

func cpuOf(n *cluster.Node) string {
	ghz := float64(n.CPUMHz) / 1000
	return ui.Num(&ghz, 0, "GHz")
}

// summary is the answer in one line: how many nodes, and what is wrong with some.
func summary(th *theme.Theme, s *cluster.Snapshot) string {
	var ready, down, draining, closed int
	for i := range s.Nodes {
		switch n := &s.Nodes[i]; {
		case n.Status == cluster.NodeDown || n.Status == cluster.NodeDisconnected:
			down++
		case n.Draining:
			draining++
		case !n.Eligible:
			closed++
		case n.Status == cluster.NodeReady:
			ready++
		}
	}
	facts := []string{th.Title.Render(ui.Count(len(s.Nodes), "node")), th.OK.Render(fmt.Sprintf("%s %d ready", th.G.OK, ready))}
	add := func(n int, st theme.Style, glyph, word string) {
		if n > 0 {
			facts = append(facts, st.Render(fmt.Sprintf("%s %d %s", glyph, n, word)))
		}
	}
	add(down, th.Bad, th.G.Bad, "down")
	add(draining, th.Warn, th.G.Warn, "draining")
	add(closed, th.Warn, th.G.Warn, "ineligible")
	f := &s.Fleet
	held, free := ui.Int(f.Held), ui.Int(f.Free)
	if !f.Claims {
		held, free = ui.None, ui.None
	}
	facts = append(facts, th.Muted.Render(fmt.Sprintf("%s: %s held, %s free, %d failed", ui.Count(f.GPUs, "GPU"), held, free, f.Failed)))
	return strings.Join(facts, "   ")
}
