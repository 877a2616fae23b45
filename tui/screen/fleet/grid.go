package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// levels is the step of each GPU's utilisation that is on screen.
type levels map[gpu.UUID]int

// update moves the steps, each with its own hysteresis.
func (l levels) update(s *cluster.Snapshot) {
	for i := range s.GPUs {
		g := &s.GPUs[i]
		u := g.Util()
		if u == nil {
			delete(l, g.UUID)
			continue
		}
		last, ok := l[g.UUID]
		if !ok {
			last = -1
		}
		l[g.UUID] = ui.HeatLevel(*u, last)
	}
	if len(l) > 2*len(s.GPUs)+16 { // devices that left
		clear(l)
	}
}

// grouping says what the cells of the map are put together by.
type grouping int

const (
	byNode grouping = iota
	byPool
	byModel
	byJob
	groupings
)

func (b grouping) String() string {
	return [...]string{"node", "pool", "model", "job"}[b]
}

// group is some GPUs under a name.
type group struct {
	name string
	gpus []*cluster.GPU
	bad  int // failed and down
	warn int
}

// grid is the map: one cell per GPU. Groups of up to tileMax GPUs stand side by
// side with their name in front, larger ones have a heading and as many lines
// as they need.
type grid struct {
	env    *screen.Env
	by     grouping
	w, h   int
	snap   *cluster.Snapshot
	levels levels
	filter ui.Filter

	groups []group
	lines  []gridLine
	seq    []position // all GPUs in the order of the map
	cur    int        // index into seq
	sel    gpu.UUID
	top    int
}

// gridLine is some pieces side by side: a name or cells.
type gridLine struct{ pieces []piece }

type piece struct {
	x     int
	text  string
	style theme.Style
	gpus  []*cluster.GPU
}

// position is where a GPU's cell is.
type position struct {
	gpu     *cluster.GPU
	line, x int
}

const tileMax = 16

func newGrid(e *screen.Env) *grid { return &grid{env: e, snap: &cluster.Snapshot{}} }

func (g *grid) setSize(w, h int) {
	if g.w != w || g.h != h {
		g.w, g.h = w, h
		g.arrange()
	}
}

func (g *grid) setSnapshot(s *cluster.Snapshot, l levels, f ui.Filter) {
	g.snap, g.levels, g.filter = s, l, f
	g.build()
	g.arrange()
}

func (g *grid) nextGroup() {
	g.by = (g.by + 1) % groupings
	g.build()
	g.arrange()
}

// build puts the GPUs into groups, the worst first.
func (g *grid) build() {
	at := map[string]int{}
	g.groups = g.groups[:0]
	for i := range g.snap.GPUs {
		d := &g.snap.GPUs[i]
		name := g.nameOf(d)
		if !g.filter.Empty() && !g.filter.Match(name+" "+d.NodeName+" "+d.Model+" "+d.State()) {
			continue
		}
		n, ok := at[name]
		if !ok {
			n = len(g.groups)
			at[name] = n
			g.groups = append(g.groups, group{name: name})
		}
		gr := &g.groups[n]
		gr.gpus = append(gr.gpus, d)
		switch st := d.State(); {
		case st == "failed" || st == "down":
			gr.bad++
		case st == "rogue" || st == "idle" || degraded(d):
			gr.warn++
		}
	}
	slices.SortStableFunc(g.groups, func(a, b group) int {
		return cmp.Or(cmp.Compare(b.bad, a.bad), cmp.Compare(b.warn, a.warn), cmp.Compare(a.name, b.name))
	})
}

func (g *grid) nameOf(d *cluster.GPU) string {
	switch g.by {
	case byPool:
		if n := g.snap.Node(d.Node); n != nil {
			return ui.Clean(n.Pool)
		}
		return "no pool"
	case byModel:
		return screen.ShortModel(d.Model)
	case byJob:
		if d.Holder == nil {
			return screen.Nobody(g.env.Theme, d).Text
		}
		return ui.Clean(d.Holder.Job.String())
	}
	return ui.Clean(d.NodeName)
}

// arrange places the groups on lines.
func (g *grid) arrange() {
	g.lines, g.seq = g.lines[:0], g.seq[:0]
	name, most := 4, 1
	for i := range g.groups {
		name = max(name, min(ui.Width(g.groups[i].name), 20))
		most = max(most, len(g.groups[i].gpus))
	}
	if most <= tileMax {
		g.tiles(name, most)
	} else {
		g.blocks()
	}
	g.cur = min(g.cur, max(len(g.seq)-1, 0))
	for i := range g.seq {
		if g.seq[i].gpu.UUID == g.sel {
			g.cur = i
			break
		}
	}
	g.scroll()
}

func (g *grid) tiles(name, most int) {
	th := g.env.Theme
	tile := name + 1 + most
	per := max((g.w-4+3)/(tile+3), 1)
	for i := range g.groups {
		gr := &g.groups[i]
		if i%per == 0 {
			g.lines = append(g.lines, gridLine{})
		}
		x := 2 + (i%per)*(tile+3)
		st := th.Muted
		if gr.bad > 0 {
			st = th.Bad
		}
		g.piece(piece{x: x, text: ui.Fit(gr.name, name), style: st})
		g.piece(piece{x: x + name + 1, gpus: gr.gpus})
	}
}

func (g *grid) blocks() {
	th := g.env.Theme
	width := max(g.w-4, 1)
	for i := range g.groups {
		gr := &g.groups[i]
		g.lines = append(g.lines, gridLine{})
		text, st := fmt.Sprintf("%s  %s", gr.name, ui.Count(len(gr.gpus), "GPU")), th.Muted
		if gr.warn > 0 {
			text += fmt.Sprintf("  %s %d idle, rogue or degraded", th.G.Warn, gr.warn)
			st = th.Warn
		}
		if gr.bad > 0 {
			text += fmt.Sprintf("  %s %d failed or down", th.G.Bad, gr.bad)
			st = th.Bad
		}
		g.piece(piece{x: 2, text: ui.Fit(text, width), style: st})
		for rest := gr.gpus; len(rest) > 0; {
			n := min(len(rest), width)
			g.lines = append(g.lines, gridLine{})
			g.piece(piece{x: 2, gpus: rest[:n]})
			rest = rest[n:]
		}
	}
}

func (g *grid) piece(p piece) {
	last := len(g.lines) - 1
	g.lines[last].pieces = append(g.lines[last].pieces, p)
	for i, d := range p.gpus {
		g.seq = append(g.seq, position{d, last, p.x + i})
	}
}

func (g *grid) selected() *cluster.GPU {
	if g.cur >= len(g.seq) {
		return nil
	}
	return g.seq[g.cur].gpu
}

// page is the number of map lines: one is the heading, one names the GPU.
func (g *grid) page() int { return max(g.h-2, 1) }

func (g *grid) scroll() {
	if len(g.seq) == 0 {
		g.top = 0
		return
	}
	line := g.seq[g.cur].line
	if line == 1 {
		line = 0 // with the heading of its block
	}
	g.top = min(g.top, line)
	g.top = max(g.top, g.seq[g.cur].line-g.page()+1, 0)
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
		to = g.near(-g.page())
	case keys.PageDown:
		to = g.near(g.page())
	case keys.Top:
		to = 0
	case keys.Bottom:
		to = len(g.seq) - 1
	}
	to = min(max(to, 0), len(g.seq)-1)
	if to == g.cur {
		return false
	}
	g.cur, g.sel = to, g.seq[to].gpu.UUID
	g.scroll()
	return true
}

// near finds the GPU in the same column, so many lines away.
func (g *grid) near(lines int) int {
	want, best := g.seq[g.cur], g.cur
	dist := func(p position) int {
		dx, dy := p.x-want.x, p.line-(want.line+lines)
		return max(dx, -dx) + 1000*max(dy, -dy)
	}
	for i, p := range g.seq {
		if ahead := (p.line - want.line) * lines; ahead > 0 && (best == g.cur || dist(p) < dist(g.seq[best])) {
			best = i
		}
	}
	return best
}

func (g *grid) view(focus bool) []string {
	th := g.env.Theme
	right := ""
	if len(g.lines) > g.page() {
		right = th.Muted.Render(fmt.Sprintf("lines %s to %s of %s", ui.Int(g.top+1), ui.Int(min(g.top+g.page(), len(g.lines))), ui.Int(len(g.lines)))) + "  "
	}
	out := make([]string, 0, g.h)
	out = append(out, ui.Sides("  "+th.Muted.Render("GPUS BY "+strings.ToUpper(g.by.String())+", worst first"), right, g.w))
	for i := g.top; i < len(g.lines) && len(out) < g.h-1; i++ {
		out = append(out, g.line(i, focus))
	}
	for len(out) < g.h-1 {
		out = append(out, ui.Spaces(g.w))
	}
	return append(out, ui.Fit("  "+g.under(), g.w))[:max(g.h, 0)]
}

// line draws one line; neighbours of one style share an escape sequence.
func (g *grid) line(i int, focus bool) string {
	th := g.env.Theme
	var b strings.Builder
	at := 0
	for _, p := range g.lines[i].pieces {
		b.WriteString(ui.Spaces(p.x - at))
		at = p.x + ui.Width(p.text) + len(p.gpus)
		b.WriteString(p.style.Render(p.text))
		var run strings.Builder
		var style theme.Style
		for _, d := range p.gpus {
			text, st := g.cell(d)
			if focus && g.selected() == d {
				st = th.Selected
			}
			if st != style {
				b.WriteString(style.Render(run.String()))
				run.Reset()
				style = st
			}
			run.WriteString(text)
		}
		b.WriteString(style.Render(run.String()))
	}
	return ui.Fit(b.String(), g.w)
}

func (g *grid) cell(d *cluster.GPU) (string, theme.Style) {
	th := g.env.Theme
	switch d.State() {
	case "down":
		return th.G.None, th.Faint
	case "failed":
		return th.G.Failed, th.Bad
	}
	level, ok := g.levels[d.UUID]
	switch {
	case !ok && d.Holder != nil:
		return th.G.None, th.Unknown
	case degraded(d) && (!ok || *d.Util() < 1):
		return th.G.Warn, th.Warn
	case d.Holder == nil && (!ok || *d.Util() < 1):
		return th.G.Free, th.Faint
	}
	glyph := th.G.Spark[[theme.HeatLevels]int{0, 1, 3, 5, 7}[level]]
	if st := d.State(); st == "idle" || st == "rogue" || degraded(d) {
		return glyph, th.Warn
	}
	return glyph, th.Heat[level]
}

// under names the GPU under the cursor.
func (g *grid) under() string {
	d := g.selected()
	th := g.env.Theme
	if d == nil {
		return th.Muted.Render("no GPU matches the filter")
	}
	st := screen.GPUState(th, d)
	segs := []ui.Seg{
		{Text: th.Title.Render(fmt.Sprintf("%s/%d", ui.Clean(d.NodeName), d.Index))},
		{Text: st.Style.Render(st.Text)},
		{Text: "util " + ui.Percent(d.Util())},
		{Text: th.Muted.Render(screen.ShortModel(d.Model)), Drop: 4},
	}
	if s := d.Sample; s != nil {
		segs = append(segs, ui.Seg{Text: ui.BytesOf(s.MemoryUsedBytes), Drop: 3}, ui.Seg{Text: ui.Watts(s.PowerWatts), Drop: 5}, ui.Seg{Text: ui.Celsius(s.TempCelsius), Drop: 6})
	}
	if h := d.Holder; h != nil {
		segs = append(segs, ui.Seg{Text: th.Muted.Render("held by ") + ui.Clean(h.Job.Namespace+"/"+h.Name), Drop: 1})
	}
	return ui.Segs(segs, 3, g.w-4)
}
