package fleet

import (
	"math"
	"sort"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/keys"
	"stoker/tui/screen"
)

// scale says what one cell of the map stands for, from the finest on.
type scale int

const (
	auto     scale = iota // the finest with which all fits
	asRows                // nodes are rows of a table: no map
	perGPU                // a cell is a GPU
	twoGPUs               // two GPUs, one above the other
	perNode               // a cell is a node, or what the group has of it
	twoNodes              // two nodes
	perGroup              // a line is a group, its cells some nodes each
	scales
)

// unit is what a cell is called in the heading.
func (s scale) unit() string {
	return [...]string{perGPU: "a cell is a GPU", twoGPUs: "a half cell is a GPU", perNode: "a cell is a node", twoNodes: "a half cell is a node", perGroup: "a line is a group", scales: ""}[s]
}

func (s scale) halved() bool { return s == twoGPUs || s == twoNodes }

// grid is the map of all GPUs. Groups whose cells fit on a line with their name
// stand side by side; else each has a heading and as many lines as it needs.
type grid struct {
	env    *screen.Env
	by     grouping
	zoom   scale   // as the user wants it
	only   *string // the one group that is shown; nil shows all
	onlyIs string  // its name as it is drawn
	w, h   int
	snap   *cluster.Snapshot
	facts  []fact
	filter selection

	now    scale // what is drawn
	groups []group
	places map[string]place
	lines  []gridLine
	seq    []position // all cells in the order of the map
	cur    int        // index into seq
	sel    gpu.UUID   // the first GPU of the cell under the cursor, or
	group  string     // of its group, where the line is one
	top    int
	pace   *pace
	looks  []shown // of the cells on the screen: those of seq from first on
	first  int
}

// gridLine is some pieces side by side: a name or cells.
type gridLine struct{ pieces []piece }

// piece is a text, or some cells: columns wide, and up to two rows of halves.
type piece struct {
	x       int
	text    string
	label   *group // whose name it is
	from, n int    // its cells in seq
	columns int
}

// position is where a cell is, and what it shows.
type position struct {
	group *group
	gpus  []int32
	line  int
	x     int
	low   bool // the lower half
}

const (
	nameMax = 20 // of a name beside its cells
	between = 3  // cells between two groups on one line
	percent = 5  // cells of a group's mean, " 61 %"
)

func newGrid(e *screen.Env) *grid {
	return &grid{env: e, snap: &cluster.Snapshot{}, pace: newPace()}
}

func (g *grid) setSize(w, h int) {
	if g.w != w || g.h != h {
		g.w, g.h = w, h
		g.arrange()
	}
}

func (g *grid) setSnapshot(s *cluster.Snapshot, facts []fact, f selection) {
	if f.text != g.filter.text {
		g.pace.reset()
	}
	g.snap, g.facts, g.filter = s, facts, f
	g.build()
}

// build puts the GPUs into groups, and those on lines.
func (g *grid) build() {
	keep := func(string, *cluster.GPU) bool { return true }
	if !g.filter.Empty() {
		keep = g.filter.keeps
	}
	g.groups = gather(g.snap, g.facts, g.by, g.only, len(g.places), keep)
	if g.only != nil && len(g.groups) == 0 && g.filter.Empty() {
		g.only = nil // it went away
		g.groups = gather(g.snap, g.facts, g.by, nil, 0, keep)
	}
	g.groups = order(g.groups, g.places)
	g.places = places(g.groups)
	g.arrange()
}

// regroup takes the next grouping that tells anything apart.
func (g *grid) regroup() {
	g.only = nil
	for g.by = (g.by + 1) % groupings; !g.by.known(g.snap); {
		g.by = (g.by + 1) % groupings
	}
	g.places = nil
	g.build()
}

// within shows one group alone, or all of them again.
func (g *grid) within(name *string, text string) {
	g.only, g.onlyIs, g.zoom = name, text, auto
	g.places = nil
	g.build()
}

// choose takes the scale that the user wants, or the finest with which all fits.
func (g *grid) choose() scale {
	if g.zoom > asRows {
		return g.zoom
	}
	var best scale
	for s := perGPU; s < scales; s++ {
		if !g.can(s) {
			continue
		}
		if best = s; g.need(s) <= g.page() {
			break
		}
	}
	return best
}

// can says whether a scale makes sense here: halves want colours.
func (g *grid) can(s scale) bool {
	switch s {
	case perGPU, perNode:
		return true
	case twoGPUs, twoNodes:
		_, _, ok := g.env.Theme.Halves(0, 0)
		return ok
	case perGroup:
		return g.by != byNode && g.only == nil
	}
	return false
}

// rezoom goes n scales coarser; false at the end. rows says that nodes can be rows.
func (g *grid) rezoom(n int, from scale, rows bool) bool {
	to := from + scale(n)
	for to > asRows && to < scales && !g.can(to) {
		to += scale(n)
	}
	if to < asRows || to >= scales || to == asRows && !rows {
		return false
	}
	g.zoom = to
	g.arrange()
	return true
}

// cells is the number of cells that a group has.
func (g *grid) cells(gr *group, s scale) int {
	if s == perNode || s == twoNodes {
		return len(gr.starts)
	}
	return len(gr.gpus)
}

// page is the number of lines for cells: beside them are the heading, the legend
// where there is room, and the line that names what is under the cursor.
func (g *grid) page() int { return max(g.h-2-g.legendLines(), 1) }

func (g *grid) legendLines() int {
	if g.h < 7 {
		return 0
	}
	return 1
}

func (g *grid) scroll() {
	if len(g.seq) == 0 {
		g.top = 0
		return
	}
	line := g.seq[g.cur].line
	if line == 1 {
		line = 0 // with the heading of its block
	}
	was := g.top
	g.top = min(g.top, line)
	g.top = max(g.top, g.seq[g.cur].line-g.page()+1, 0)
	g.top = max(min(g.top, len(g.lines)-g.page()), 0)
	if g.top != was {
		g.pace.reset()
	}
}

// settle decides what the cells on the screen show.
func (g *grid) settle() {
	on := func(line int) int {
		return sort.Search(len(g.seq), func(i int) bool { return g.seq[i].line >= line })
	}
	last := on(g.top + g.page())
	g.first = on(g.top)
	cells := make([]mark, 0, last-g.first)
	for _, p := range g.seq[g.first:last] {
		d := &g.snap.GPUs[p.gpus[0]]
		cells = append(cells, mark{p.group.name, d.Node, d.UUID})
	}
	g.looks = g.pace.settle(g.env.Now(), cells, func(i int, was look) look {
		return sumUp(g.facts, g.seq[g.first+i].gpus, was)
	})
}

// key moves the cursor; false when it did not.
func (g *grid) key(id keys.ID) bool {
	if len(g.seq) == 0 {
		return false
	}
	to := g.cur
	switch id {
	case keys.Left:
		to--
	case keys.RightOf:
		to++
	case keys.Up:
		to = g.near(-1)
	case keys.Down:
		to = g.near(1)
	case keys.PageUp:
		to = g.near(-2 * g.page())
	case keys.PageDown:
		to = g.near(2 * g.page())
	case keys.Top:
		to = 0
	case keys.Bottom:
		to = len(g.seq) - 1
	}
	to = min(max(to, 0), len(g.seq)-1)
	if to == g.cur {
		return false
	}
	g.moveTo(to)
	return true
}

func (g *grid) moveTo(to int) {
	g.cur = to
	p := &g.seq[to]
	g.sel, g.group = g.snap.GPUs[p.gpus[0]].UUID, p.group.name
	was := g.top
	g.scroll()
	if g.top != was {
		g.settle()
	}
}

// near finds the cell in the same column, so many half lines away.
func (g *grid) near(rows int) int {
	if rows == 1 || rows == -1 {
		if other := g.otherHalf(rows); other >= 0 {
			return other
		}
		rows *= 2
	}
	want, best, least := &g.seq[g.cur], g.cur, math.MaxInt
	line := want.line + rows/2
	for i := range g.seq {
		p := &g.seq[i]
		if ahead := (p.line - want.line) * rows; ahead <= 0 {
			continue
		}
		dx, dy := p.x-want.x, p.line-line
		d := 4*max(dx, -dx) + 4000*max(dy, -dy)
		if p.low != (rows < 0) { // from above one comes to the upper half
			d++
		}
		if d < least {
			best, least = i, d
		}
	}
	return best
}

// otherHalf is the cell that shares its place with that under the cursor, on the
// side of the way; -1 when there is none.
func (g *grid) otherHalf(way int) int {
	p := &g.seq[g.cur]
	if p.low == (way > 0) {
		return -1
	}
	for i := g.cur + way; i >= 0 && i < len(g.seq) && g.seq[i].line == p.line; i += way {
		if g.seq[i].x == p.x {
			return i
		}
	}
	return -1
}

// selected is the cell under the cursor; nil when there is none.
func (g *grid) selected() *position {
	if g.cur >= len(g.seq) {
		return nil
	}
	return &g.seq[g.cur]
}

// device is the GPU under the cursor; nil where there are several.
func (g *grid) device() *cluster.GPU {
	if p := g.selected(); p != nil && (g.now == perGPU || g.now == twoGPUs) {
		return &g.snap.GPUs[p.gpus[0]]
	}
	return nil
}
