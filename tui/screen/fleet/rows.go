package fleet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// problem is one line of NEEDS ATTENTION.
type problem struct {
	cluster.Problem
	id   problemID
	more []string // the subjects of others that say the same
}

// problemID stays the same from snapshot to snapshot while the problem does.
type problemID struct {
	subject string
	gpu     gpu.UUID
	node    cluster.NodeID
	job     cluster.JobID
	key     string
	source  string
	level   cluster.Level
}

// merge makes one line of GPUs of one node that have the same problem, and of
// all that one job holds without using them: twenty lines that say the same hide
// the next. The age is that of the last to join.
func merge(in []cluster.Problem) []problem {
	out := make([]problem, 0, len(in))
	idle := map[cluster.JobID]int{} // the line of a holder
	for _, p := range in {
		at, known := idle[p.Holder]
		if p.Holder == (cluster.JobID{}) {
			at = len(out) - 1
			known = at >= 0 && p.GPU != "" && out[at].GPU != "" && out[at].Level == p.Level && out[at].Text == p.Text && nodeOf(p.Subject) == nodeOf(out[at].Subject)
		} else if !known {
			idle[p.Holder] = len(out)
		}
		if known {
			out[at].more = append(out[at].more, p.Subject)
			if p.Since.After(out[at].Since) {
				out[at].Since = p.Since
			}
			continue
		}
		out = append(out, problem{Problem: p, id: problemID{p.Subject, p.GPU, p.Node, p.Job, p.Key, p.Source, p.Level}})
	}
	for i := range out {
		out[i].Subject = subject(out[i].Subject, out[i].more)
	}
	return out
}

func nodeOf(subject string) string {
	node, _, _ := strings.Cut(subject, "/")
	return node
}

// subject names all GPUs of the first node, "gpu-a/0-3,6", and how many more
// there are on others.
func subject(first string, more []string) string {
	if len(more) == 0 {
		return first
	}
	node := nodeOf(first)
	var on []int
	others := 0
	for _, s := range append([]string{first}, more...) {
		n, index, _ := strings.Cut(s, "/")
		if i, err := strconv.Atoi(index); err == nil && n == node {
			on = append(on, i)
		} else {
			others++
		}
	}
	text := node + "/" + ranges(on)
	if others > 0 {
		text += fmt.Sprintf(" and %d more", others)
	}
	return text
}

// ranges is "0-3,6" for 0, 1, 2, 3 and 6.
func ranges(list []int) string {
	slices.Sort(list)
	var b strings.Builder
	for i := 0; i < len(list); {
		to := i
		for to+1 < len(list) && list[to+1] == list[to]+1 {
			to++
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, list[i])
		switch {
		case to == i+1:
			fmt.Fprintf(&b, ",%d", list[to])
		case to > i:
			fmt.Fprintf(&b, "-%d", list[to])
		}
		i = to + 1
	}
	return b.String()
}

// open goes to where one can act on the problem.
func (p *problem) open(s *cluster.Snapshot) tea.Cmd {
	switch {
	case p.Holder != cluster.JobID{}:
		return screen.Open(screen.Jobs, screen.Target{Job: p.Holder, Details: true})
	case p.GPU != "":
		t := screen.Target{GPU: p.GPU, Details: true}
		if g := s.GPU(p.GPU); g != nil {
			t.Node = g.Node
		}
		return screen.Open(screen.GPUs, t)
	case p.Node != "":
		return screen.Open(screen.Nodes, screen.Target{Node: p.Node, Details: true})
	case p.Job != cluster.JobID{}:
		return screen.Open(screen.Jobs, screen.Target{Job: p.Job, Details: true})
	case p.Key != "":
		return screen.Open(screen.Keys, screen.Target{Key: p.Key, Details: true})
	}
	return screen.Open(screen.Events, screen.Target{})
}

func (p *problem) hint() string {
	switch {
	case p.Holder != cluster.JobID{}:
		return "job"
	case p.GPU != "":
		return "gpu"
	case p.Node != "":
		return "node"
	case p.Job != cluster.JobID{}:
		return "job"
	case p.Key != "":
		return "key"
	}
	return "events"
}

func problemColumns(e *screen.Env) []ui.Column[problem] {
	th := e.Theme
	return []ui.Column[problem]{
		{Min: 1, Cell: func(p *problem) ui.Cell { g, st := screen.Mark(th, p.Level); return ui.In(st, g) }},
		{Min: 10, Max: 44, Ahead: true, Cell: func(p *problem) ui.Cell { return ui.In(th.Title, p.Subject) }},
		{Min: 4, Align: ui.Right, Cell: func(p *problem) ui.Cell {
			if p.Since.IsZero() {
				return ui.Cell{}
			}
			return ui.In(th.Muted, ui.Age(p.Since, e.Now()))
		}},
		{Min: 24, Max: 200, Cell: func(p *problem) ui.Cell { return ui.Txt(p.Text) }},
		{Min: 7 + ui.Width(th.G.Enter), Drop: 1, Cell: func(p *problem) ui.Cell { return ui.In(th.Key, th.G.Enter+" "+p.hint()) }},
	}
}

// nodeRow is one node with its GPUs added up.
type nodeRow struct {
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
		rows[i].node, rows[i].claims = &s.Nodes[i], s.Fleet.Claims
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
		if degraded(g) {
			r.degraded++
		}
		switch g.State() {
		case "failed":
			r.failed++
		case "idle":
			r.idle++
		case "rogue":
			r.rogue++
		}
		if g.Sample == nil {
			continue
		}
		r.util.Add(g.Sample.UtilPercent)
		r.power.Add(g.Sample.PowerWatts)
		if t := g.Sample.TempCelsius; t != nil && (r.hottest == nil || *t > *r.hottest) {
			r.hottest = t
		}
		if m := g.Sample.MemoryUsedBytes; m != nil {
			bytes := float64(*m)
			r.memory.Add(&bytes)
		}
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
	case degraded(g) && u < 1:
		return th.G.Warn, th.Warn
	case g.Rogue(), g.Idle(), degraded(g):
		st = th.Warn
	case g.Holder == nil && u < 1:
		return th.G.Free, th.Faint
	}
	if e.Now().Sub(g.AsOf()) > staleAfter {
		st = th.Faint
	}
	return fmt.Sprintf("%.0f", u), st
}

// degraded tells of a GPU that works, but not as it should.
func degraded(g *cluster.GPU) bool { return !g.Failed() && g.Health.Verdict == gpu.VerdictDegraded }

func stateOf(e *screen.Env, r *nodeRow) ui.Cell {
	th := e.Theme
	if r.node.Status == cluster.NodeDown || r.node.Status == cluster.NodeDisconnected {
		text := th.G.Bad + " " + string(r.node.Status)
		if len(r.gpus) > 0 && e.Now().Sub(r.gpus[0].AsOf()) > staleAfter && !r.gpus[0].AsOf().IsZero() {
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
