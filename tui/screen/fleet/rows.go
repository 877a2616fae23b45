package fleet

import (
	"fmt"
	"strings"
	"time"

	"stoker/cluster"
	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// nodeRow is one node with its GPUs added up.
type nodeRow struct {
	at          time.Time // of the snapshot
	node        *cluster.Node
	gpus        []cluster.GPU // part of the snapshot's slice
	model       string
	util, power screen.Adder
	memory      screen.Adder // bytes
	hottest     *float64
	jobs        int
	claims      bool // whether it is known what runs there
	failed      int
	degraded    int
	idle, rogue int
}

// nodeRows makes the rows, in one pass: GPUs and nodes are both sorted by node
// name. It also says how many GPUs the largest node has.
func nodeRows(s *cluster.Snapshot) (rows []nodeRow, most int) {
	at := make(map[cluster.NodeID]int, len(s.Nodes))
	rows = make([]nodeRow, len(s.Nodes))
	for i := range s.Nodes {
		rows[i].at, rows[i].node, rows[i].claims = s.At, &s.Nodes[i], s.Fleet.Claims
		at[s.Nodes[i].ID] = i
	}
	for from := 0; from < len(s.GPUs); {
		to := from
		for to < len(s.GPUs) && s.GPUs[to].Node == s.GPUs[from].Node {
			to++
		}
		if i, ok := at[s.GPUs[from].Node]; ok {
			rows[i].add(s.GPUs[from:to])
			most = max(most, to-from)
		}
		from = to
	}
	last := map[cluster.NodeID]cluster.JobID{} // allocations are sorted by job
	for i := range s.Allocs {
		a := &s.Allocs[i]
		r, ok := at[a.Node]
		if ok && !a.Terminal() && last[a.Node] != a.Job {
			last[a.Node] = a.Job
			rows[r].jobs++
		}
	}
	return rows, most
}

func (r *nodeRow) add(gpus []cluster.GPU) {
	r.gpus = gpus
	if len(gpus) > 0 {
		r.model = screen.ShortModel(gpus[0].Model)
	}
	for i := range gpus {
		g := &gpus[i]
		if g.Model != gpus[0].Model {
			r.model = "mixed"
		}
		if !g.NodeUp {
			continue
		}
		if worn(g) {
			r.degraded++
		}
		switch g.Standing() {
		case "failed":
			r.failed++
		case "idle":
			r.idle++
		case "rogue":
			r.rogue++
		}
		r.read(g)
	}
}

// read adds what a GPU reports.
func (r *nodeRow) read(g *cluster.GPU) {
	now := g.Live(r.at)
	if now == nil {
		return
	}
	r.util.Add(now.UtilPercent)
	r.power.Add(now.PowerWatts)
	if t := now.TempCelsius; t != nil && (r.hottest == nil || *t > *r.hottest) {
		r.hottest = t
	}
	if m := now.MemoryUsedBytes; m != nil {
		bytes := float64(*m)
		r.memory.Add(&bytes)
	}
}

// maxCells bounds the cells of a row; a node with more says how many more.
const maxCells = 16

func nodeColumns(e *screen.Env, cells int) []ui.Column[nodeRow] {
	th := e.Theme
	cells = min(cells, maxCells)
	var head strings.Builder
	for i := range cells {
		fmt.Fprintf(&head, "%3d", i)
	}
	type R = nodeRow
	return []ui.Column[R]{
		{Title: "NODE", Min: 10, Max: 24, Cell: func(r *R) ui.Cell { return ui.Txt(r.node.Name) }, By: func(r *R) ui.Key { return ui.ByText(r.node.Name) }},
		{Title: "MODEL", Min: 9, Max: 18, Drop: 4, Cell: func(r *R) ui.Cell { return ui.In(th.Muted, r.model) }, By: func(r *R) ui.Key { return ui.ByText(r.model) }},
		{Title: head.String(), Min: 3 * cells, Cell: func(r *R) ui.Cell { return cellsOf(e, r, cells) }},
		{Title: "UTIL", Min: 5, Align: ui.Right, Drop: 1, Cell: func(r *R) ui.Cell { return ui.Txt(ui.Percent(r.util.Mean())) }, By: func(r *R) ui.Key { return ui.ByKnown(r.util.Mean()) }, Desc: true},
		{Title: "MEMORY", Min: 8, Align: ui.Right, Drop: 5, Cell: func(r *R) ui.Cell { return ui.Txt(memoryOf(r)) }, Desc: true},
		{Title: "POWER", Min: 7, Align: ui.Right, Drop: 3, Cell: func(r *R) ui.Cell { return ui.Txt(ui.Watts(r.power.Sum())) }, By: func(r *R) ui.Key { return ui.ByKnown(r.power.Sum()) }, Desc: true},
		{Title: "TEMP", Min: 5, Align: ui.Right, Drop: 6, Cell: func(r *R) ui.Cell { return ui.Txt(ui.Celsius(r.hottest)) }, By: func(r *R) ui.Key { return ui.ByKnown(r.hottest) }, Desc: true},
		{Title: "JOBS", Min: 4, Align: ui.Right, Drop: 2, Cell: func(r *R) ui.Cell { return ui.Txt(jobsOf(r)) }, By: func(r *R) ui.Key { return ui.By(r.jobs) }, Desc: true},
		{Title: "STATE", Min: 14, Cell: func(r *R) ui.Cell { return stateOf(e, r) }},
	}
}

func jobsOf(r *nodeRow) string {
	if !r.claims {
		return ui.None
	}
	return ui.Int(r.jobs)
}

func memoryOf(r *nodeRow) string {
	sum := r.memory.Sum()
	if sum == nil {
		return ui.None
	}
	return ui.Bytes(uint64(*sum))
}

// cellsOf draws three cells a GPU: its utilisation in percent, "·" without
// work, "▲" when degraded besides, "✖" failed, and faint when the reading is old.
func cellsOf(e *screen.Env, r *nodeRow, cells int) ui.Cell {
	th := e.Theme
	var plain, styled strings.Builder
	for i := range r.gpus[:min(len(r.gpus), cells)] {
		text, st := cellOf(e, &r.gpus[i])
		text = ui.FitRight(text, 3)
		plain.WriteString(text)
		styled.WriteString(st.Render(text))
	}
	if more := len(r.gpus) - cells; more > 0 {
		text := fmt.Sprintf(" +%d", more)
		plain.WriteString(text)
		styled.WriteString(th.Muted.Render(text))
	}
	return ui.Cell{Text: plain.String(), Styled: styled.String()}
}

func cellOf(e *screen.Env, g *cluster.GPU) (string, theme.Style) {
	th := e.Theme
	switch {
	case !g.NodeUp:
		return th.G.None, th.Faint
	case g.Failed():
		return th.G.Failed, th.Bad
	case g.Util() == nil:
		if g.Holder == nil {
			return th.G.Free, th.Faint
		}
		return th.G.None, th.Unknown
	}
	u := *g.Util()
	st := th.Heat[ui.HeatLevel(u, -1)]
	switch {
	case worn(g) && u < 1:
		return th.G.Warn, th.Warn
	case g.Rogue(), g.Idle(), worn(g):
		st = th.Warn
	case g.Holder == nil && u < 1:
		return th.G.Free, th.Faint
	}
	if g.Stale(e.Now()) {
		st = th.Faint
	}
	return fmt.Sprintf("%.0f", u), st
}

func stateOf(e *screen.Env, r *nodeRow) ui.Cell {
	th := e.Theme
	if r.node.Status == cluster.NodeDown || r.node.Status == cluster.NodeDisconnected {
		text := th.G.Bad + " " + string(r.node.Status)
		if len(r.gpus) > 0 && e.Now().Sub(r.gpus[0].AsOf()) >= time.Second && !r.gpus[0].AsOf().IsZero() {
			text += " " + ui.Age(r.gpus[0].AsOf(), e.Now())
		}
		return ui.In(th.Bad, text)
	}
	switch {
	case r.failed > 0:
		return ui.In(th.Bad, fmt.Sprintf("%s %d failed", th.G.Bad, r.failed))
	case r.node.Draining || !r.node.Eligible || r.node.Status != cluster.NodeReady:
		return screen.NodeState(th, r.node)
	case r.degraded > 0:
		return ui.In(th.Warn, fmt.Sprintf("%s %d degraded", th.G.Warn, r.degraded))
	case r.rogue > 0:
		return ui.In(th.Warn, fmt.Sprintf("%s %d rogue", th.G.Warn, r.rogue))
	case r.idle > 0:
		return ui.In(th.Warn, fmt.Sprintf("%s %d idle", th.G.Warn, r.idle))
	}
	return screen.NodeState(th, r.node)
}
