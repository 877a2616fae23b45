package nodes

import (
	"fmt"
	"strings"
	"time"

	"stoker/cluster"
	"stoker/tui/screen"
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
	old                bool      // so long ago that no reading is live
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
			r.addGPU(g, s.At)
		}
	}
	countAllocs(s, at)
	return out
}

func (r *row) addGPU(g *cluster.GPU, at time.Time) {
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
	if read := g.AsOf(); read.After(r.read) {
		r.read, r.old = read, g.Stale(at)
	}
	if now := g.Live(at); now != nil {
		r.util.Add(now.UtilPercent)
		r.power.Add(now.PowerWatts)
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
		{Name: "node", Title: "NODE", Min: 10, Max: 28, Cell: func(r *row) ui.Cell { return ui.Txt(r.Name) }, By: func(r *row) ui.Key { return ui.ByText(r.Name) }},
		{Name: "pool", Title: "POOL", Min: 6, Max: 16, Drop: 7, Cell: func(r *row) ui.Cell { return ui.In(th.Muted, r.Pool) }, By: func(r *row) ui.Key { return ui.ByText(r.Pool) }},
		{Name: "state", Title: "STATE", Min: 12, Max: 14, Cell: func(r *row) ui.Cell { return screen.NodeState(th, r.Node) }, By: func(r *row) ui.Key { return ui.ByText(r.State()) }},
		{Name: "gpus", Title: "GPUS", Min: 11, Max: 20, Drop: 1, Cell: func(r *row) ui.Cell { return ui.Txt(gpusOf(r)) }, By: func(r *row) ui.Key { return ui.By(r.gpus) }, Desc: true},
		{Name: "gpus_held", Title: "HELD", Min: 4, Align: ui.Right, Drop: 2, Cell: func(r *row) ui.Cell { return claimed(r, r.held) }, By: func(r *row) ui.Key { return ui.By(r.held) }, Desc: true},
		{Name: "gpus_free", Title: "FREE", Min: 4, Align: ui.Right, Cell: func(r *row) ui.Cell { return claimed(r, r.free) }, By: func(r *row) ui.Key { return ui.By(r.free) }, Desc: true},
		{Name: "gpus_failed", Title: "FAILED", Min: 6, Align: ui.Right, Cell: func(r *row) ui.Cell { return count(r.failed, th.Bad) }, By: func(r *row) ui.Key { return ui.By(r.failed) }, Desc: true},
		{Name: "util_percent", Title: "UTIL", Min: 5, Align: ui.Right, Cell: func(r *row) ui.Cell { return ui.Txt(ui.Percent(r.util.Mean())) }, By: func(r *row) ui.Key { return ui.ByKnown(r.util.Mean()) }, Desc: true},
		{Name: "power_watts", Title: "POWER", Min: 7, Align: ui.Right, Drop: 3, Cell: func(r *row) ui.Cell { return ui.Txt(ui.Watts(r.power.Sum())) }, By: func(r *row) ui.Key { return ui.ByKnown(r.power.Sum()) }, Desc: true},
		{Name: "jobs", Title: "JOBS", Min: 4, Align: ui.Right, Drop: 4, Cell: func(r *row) ui.Cell { return claimed(r, r.jobs) }, By: func(r *row) ui.Key { return ui.By(r.jobs) }, Desc: true},
		{Name: "read", Title: "AGE", Min: 4, Align: ui.Right, Drop: 5, Cell: func(r *row) ui.Cell { return ageOf(e, r) }, By: func(r *row) ui.Key { return ui.ByAge(r.read) }, Desc: true},
		{Name: "cpu_mhz", Title: "CPU", Min: 8, Align: ui.Right, Drop: 9, Cell: func(r *row) ui.Cell { return ui.In(th.Muted, cpuOf(r.Node)) }},
		{Name: "memory_mib", Title: "MEMORY", Min: 9, Align: ui.Right, Drop: 8, Cell: func(r *row) ui.Cell { return ui.In(th.Muted, ui.Bytes(uint64(max(r.MemoryMB, 0))<<20)) }},
		{Name: "version", Title: "NOMAD", Min: 7, Max: 12, Drop: 10, Cell: func(r *row) ui.Cell { return ui.In(th.Muted, r.Version) }, By: func(r *row) ui.Key { return ui.ByText(r.Version) }},
		{Name: "address", Title: "ADDRESS", Min: 10, Max: 24, Drop: 6, Cell: func(r *row) ui.Cell { return ui.In(th.Muted, r.Address) }, By: func(r *row) ui.Key { return ui.ByText(r.Address) }},
	}
}

// ageOf is how old a reading is, loud when it is history.
func ageOf(e *screen.Env, r *row) ui.Cell {
	age := ui.Age(r.read, e.Now())
	if r.old {
		return ui.In(e.Theme.Warn, age)
	}
	return ui.In(e.Theme.Muted, age)
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
