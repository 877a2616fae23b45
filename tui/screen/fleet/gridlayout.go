package fleet

import (
	"slices"

	"stoker/tui/ui"
)

// shape is how the groups are laid out at a scale: beside each other with their
// names (tile is their width), or as blocks.
type shape struct {
	name, columns int
	tile          int // 0: blocks
	across        int // tiles on a line
}

func (g *grid) shape(s scale) shape {
	var sh shape
	if g.loose(s) {
		return shape{columns: g.width()}
	}
	most := 1
	sh.name = 4
	for i := range g.groups {
		sh.name = max(sh.name, min(ui.Width(g.groups[i].text), nameMax))
		most = max(most, g.cells(&g.groups[i], s))
	}
	if g.by != byNode {
		sh.name += 2 + percent
	} else if s == twoGPUs {
		sh.name = -1 // no room for names
	}
	if sh.columns = most; s.halved() {
		sh.columns = (most + 1) / 2
	}
	if sh.tile = sh.name + 1 + sh.columns; sh.tile > g.width() {
		return shape{columns: g.width()}
	}
	gap := between
	if sh.name < 0 {
		gap = 1
	}
	sh.across = max((g.width()+gap)/(sh.tile+gap), 1)
	return sh
}

// loose says that the cells have no groups: nodes of which each is one.
func (g *grid) loose(s scale) bool { return g.by == byNode && (s == perNode || s == twoNodes) }

func (g *grid) width() int { return max(g.w-4, 1) }

// need is the number of lines that a scale takes.
func (g *grid) need(s scale) int {
	if s == perGroup {
		return len(g.groups)
	}
	high := 1
	if s.halved() {
		high = 2
	}
	sh := g.shape(s)
	switch {
	case g.loose(s):
		return (len(g.groups) + g.width()*high - 1) / (g.width() * high)
	case sh.tile > 0:
		return (len(g.groups) + sh.across - 1) / sh.across
	}
	n := 0
	for i := range g.groups {
		n += 1 + (g.cells(&g.groups[i], s)+g.width()*high-1)/(g.width()*high)
	}
	return n
}

// arrange places the groups on lines and finds the cursor's cell again.
func (g *grid) arrange() {
	was := g.now
	g.now = g.choose()
	if g.now != was {
		g.pace.reset()
	}
	g.lines, g.seq = g.lines[:0], g.seq[:0]
	switch sh := g.shape(g.now); {
	case g.now == perGroup:
		g.bars()
	case g.loose(g.now):
		g.pack()
	case sh.tile > 0:
		g.tiles(sh)
	default:
		g.blocks()
	}
	g.find()
	g.scroll()
	g.settle()
}

// find puts the cursor on the cell that it was on, else leaves it at its place.
func (g *grid) find() {
	g.cur = min(g.cur, max(len(g.seq)-1, 0))
	if g.sel == "" {
		return
	}
	for i := range g.seq {
		p := &g.seq[i]
		if g.now == perGroup && g.group != "" && p.group.name != g.group {
			continue
		}
		if slices.ContainsFunc(p.gpus, func(d int32) bool { return g.snap.GPUs[d].UUID == g.sel }) {
			g.cur = i
			return
		}
	}
}

// put adds cells of a group to the last line: n of them, so many columns wide.
func (g *grid) put(gr *group, x, columns, from, n int) {
	line := len(g.lines) - 1
	at := len(g.seq)
	for i := range n {
		gpus := gr.gpus[from+i : from+i+1]
		if g.now == perNode || g.now == twoNodes {
			gpus = gr.node(from + i)
		}
		g.seq = append(g.seq, position{gr, gpus, line, x + i%columns, i >= columns})
	}
	g.lines[line].pieces = append(g.lines[line].pieces, piece{x: x, from: at, n: n, columns: columns})
}

func (g *grid) text(p piece) {
	line := &g.lines[len(g.lines)-1]
	line.pieces = append(line.pieces, p)
}

func (g *grid) tiles(sh shape) {
	gap := between
	if sh.name < 0 {
		gap = 1
	}
	for i := range g.groups {
		gr := &g.groups[i]
		if i%sh.across == 0 {
			g.lines = append(g.lines, gridLine{})
		}
		x := 2 + (i%sh.across)*(sh.tile+gap)
		if sh.name > 0 {
			g.text(piece{x: x, text: g.label(gr, sh.name), label: gr})
		}
		n := g.cells(gr, g.now)
		columns := n
		if g.now.halved() {
			columns = (n + 1) / 2
		}
		g.put(gr, x+sh.name+1, columns, 0, n)
	}
}

// blocks gives each group a heading and as many lines as it needs.
func (g *grid) blocks() {
	most := g.width()
	if g.now.halved() {
		most *= 2
	}
	for i := range g.groups {
		gr := &g.groups[i]
		g.lines = append(g.lines, gridLine{})
		g.text(piece{x: 2, text: ui.Fit(g.summary(gr), g.width()), label: gr})
		for all, from := g.cells(gr, g.now), 0; from < all; from += most {
			n := min(all-from, most)
			g.lines = append(g.lines, gridLine{})
			g.put(gr, 2, g.columns(n), from, n)
		}
	}
}

// columns is how wide so many cells are: all of the width as long as they fill it.
func (g *grid) columns(n int) int {
	if g.now.halved() {
		return min((n+1)/2, g.width())
	}
	return min(n, g.width())
}

// pack puts nodes beside each other, each of which is a group of its own.
func (g *grid) pack() {
	most := g.width()
	if g.now.halved() {
		most *= 2
	}
	for from := 0; from < len(g.groups); from += most {
		n := min(len(g.groups)-from, most)
		columns := g.columns(n)
		line, at := len(g.lines), len(g.seq)
		for i := range n {
			gr := &g.groups[from+i]
			g.seq = append(g.seq, position{gr, gr.gpus, line, 2 + i%columns, i >= columns})
		}
		g.lines = append(g.lines, gridLine{[]piece{{x: 2, from: at, n: n, columns: columns}}})
	}
}

// bars gives each group a line: its summary, and cells for as many nodes each as
// it takes for the largest to fit.
func (g *grid) bars() {
	names, most := 4, 1
	for i := range g.groups {
		names = max(names, min(ui.Width(g.groups[i].text), nameMax))
		most = max(most, len(g.groups[i].starts))
	}
	head := names + 2 + percent + 2 + len("12,345 GPUs") + 2
	room := max(g.width()-head-1, 8)
	each := (most + room - 1) / room
	for i := range g.groups {
		gr := &g.groups[i]
		g.lines = append(g.lines, gridLine{})
		g.text(piece{x: 2, text: g.label(gr, names+2+percent) + "  " + ui.FitRight(ui.Count(len(gr.gpus), "GPU"), 11), label: gr})
		line, at := len(g.lines)-1, len(g.seq)
		for from, x := 0, 2+head; from < len(gr.starts); from, x = from+each, x+1 {
			to := min(from+each, len(gr.starts))
			g.seq = append(g.seq, position{gr, gr.nodes(from, to), line, x, false})
		}
		n := len(g.seq) - at
		g.text(piece{x: 2 + head, from: at, n: n, columns: n})
	}
}
