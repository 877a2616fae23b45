package fleet

import (
	"fmt"
	"slices"
	"strings"

	"stoker/cluster"
	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// label is a group's name beside its cells, with what is wrong and its mean.
func (g *grid) label(gr *group, w int) string {
	if g.by == byNode {
		return ui.Fit(gr.text, w)
	}
	sign := " "
	switch th := g.env.Theme; {
	case gr.bad > 0:
		sign = th.G.Bad
	case gr.warn > 0:
		sign = th.G.Warn
	}
	return sign + " " + ui.Fit(gr.text, w-2-percent) + ui.FitRight(ui.Percent(gr.mean()), percent)
}

// summary is all there is to say of a group in one line.
func (g *grid) summary(gr *group) string {
	text := fmt.Sprintf("%s  %s on %s  util %s", gr.text, ui.Count(len(gr.gpus), "GPU"), ui.Count(len(gr.starts), "node"), ui.Percent(gr.mean()))
	if g.snap.Fleet.Claims {
		text += fmt.Sprintf("  %s held", ui.Int(gr.held))
	}
	if gr.warn > 0 {
		text += fmt.Sprintf("  %s %s idle, rogue or degraded", g.env.Theme.G.Warn, ui.Int(gr.warn))
	}
	if gr.bad > 0 {
		text += fmt.Sprintf("  %s %s failed or down", g.env.Theme.G.Bad, ui.Int(gr.bad))
	}
	return text
}

func (g *grid) styleOf(gr *group) theme.Style {
	switch th := g.env.Theme; {
	case gr.bad > 0:
		return th.Bad
	case gr.warn > 0 && g.by != byNode:
		return th.Warn
	default:
		return th.Muted
	}
}

func (g *grid) view(focus bool) []string {
	out := make([]string, 0, max(g.h, 4))
	out = append(out, g.heading())
	for i := g.top; i < len(g.lines) && len(out) < 1+g.page(); i++ {
		out = append(out, g.line(i, focus))
	}
	for len(out) < 1+g.page() {
		out = append(out, ui.Spaces(g.w))
	}
	if g.legendLines() > 0 {
		out = append(out, ui.Fit("  "+g.legend(), g.w))
	}
	out = append(out, ui.Fit("  "+g.under(), g.w))
	return out[:max(min(g.h, len(out)), 0)]
}

func (g *grid) heading() string {
	th := g.env.Theme
	what := "GPUS BY " + strings.ToUpper(g.by.String()) + ", worst first"
	if g.only != nil {
		what = "GPUS OF " + strings.ToUpper(g.by.String()) + " " + g.onlyIs
	}
	segs := []ui.Seg{{Text: th.Muted.Render(what)}, {Text: th.Muted.Render(g.now.unit()), Drop: 1}}
	right := ""
	if len(g.lines) > g.page() {
		right = th.Muted.Render(fmt.Sprintf("lines %s to %s of %s", ui.Int(g.top+1), ui.Int(min(g.top+g.page(), len(g.lines))), ui.Int(len(g.lines)))) + "  "
	}
	return ui.Sides("  "+ui.Segs(segs, 3, g.w-ui.Width(right)-4), right, g.w)
}

// legend says what the signs are; those that matter least go first when it is narrow.
func (g *grid) legend() string {
	th := g.env.Theme
	sign := func(c condition, word string, drop int) ui.Seg {
		glyph, st := look{condition: c, level: -1}.draw(th)
		return ui.Seg{Text: st.Render(glyph) + " " + th.Muted.Render(word), Drop: drop}
	}
	var ramp strings.Builder
	for i, st := range th.Heat {
		if g.now.halved() {
			ramp.WriteString(st.Render(th.G.Full))
		} else {
			ramp.WriteString(st.Render(th.G.Level[i]))
		}
	}
	calm := sign(free, "free", 5)
	if g.now.halved() {
		calm.Text = th.Muted.Render("blank free")
	}
	segs := []ui.Seg{
		{Text: ramp.String() + " " + th.Muted.Render("util 0-100 %")},
		calm,
		sign(idle, "idle", 3), sign(rogue, "rogue", 4), sign(degraded, "degraded", 6), sign(failed, "failed", 1), sign(down, "down", 2),
		sign(silent, "no reading", 7), sign(closed, "closed", 8),
	}
	return ui.Segs(segs, 2, g.w-4)
}

// line draws one line; neighbours of one style share an escape sequence.
func (g *grid) line(i int, focus bool) string {
	var b strings.Builder
	at := 0
	for k := range g.lines[i].pieces {
		p := &g.lines[i].pieces[k]
		b.WriteString(ui.Spaces(p.x - at))
		if p.label != nil {
			at = p.x + ui.Width(p.text)
			b.WriteString(g.styleOf(p.label).Render(p.text))
			continue
		}
		at = p.x + min(p.n, p.columns)
		g.draw(&b, p, focus)
	}
	return ui.Fit(b.String(), g.w)
}

// draw writes the cells of a piece.
func (g *grid) draw(b *strings.Builder, p *piece, focus bool) {
	th := g.env.Theme
	var run strings.Builder
	var style theme.Style
	for c := range min(p.n, p.columns) {
		i := p.from + c
		text, st := "", theme.Style{}
		if low := i + p.columns; low < p.from+p.n {
			text, st = both(th, g.look(i), g.look(low))
		} else if g.now.halved() {
			text, st = both(th, g.look(i), look{condition: free})
		} else {
			text, st = g.look(i).draw(th)
		}
		if focus && (g.cur == i || g.cur == i+p.columns && g.cur < p.from+p.n) {
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

func (g *grid) look(i int) look {
	if i -= g.first; i >= 0 && i < len(g.looks) {
		return g.looks[i].look
	}
	return look{level: -1}
}

// under names what is under the cursor.
func (g *grid) under() string {
	p, th := g.selected(), g.env.Theme
	switch {
	case p == nil && g.filter.Empty():
		return th.Muted.Render("no GPU is known")
	case p == nil:
		return th.Muted.Render("no GPU matches the filter")
	}
	if d := g.device(); d != nil {
		return ui.Segs(g.underGPU(d), 3, g.w-4)
	}
	return ui.Segs(g.underNodes(p), 3, g.w-4)
}

func (g *grid) underGPU(d *cluster.GPU) []ui.Seg {
	th := g.env.Theme
	st := screen.GPUState(th, d)
	segs := []ui.Seg{
		{Text: th.Title.Render(fmt.Sprintf("%s/%d", ui.Clean(d.NodeName), d.Index))},
		{Text: st.Style.Render(st.Text)},
		{Text: "util " + ui.Percent(d.Util())},
		{Text: th.Muted.Render(screen.ShortModel(d.Model)), Drop: 4},
	}
	if s := d.Sample; s != nil {
		segs = append(segs, ui.Seg{Text: ui.BytesOf(s.MemoryUsedBytes), Drop: 3}, ui.Seg{Text: ui.Watts(s.PowerWatts), Drop: 5}, ui.Seg{Text: ui.Celsius(s.TempCelsius), Drop: 6})
		if now := g.env.Now(); d.Stale(now) {
			segs = append(segs, ui.Seg{Text: th.Warn.Render("read " + ui.Ago(d.AsOf(), now)), Drop: 1})
		}
	}
	if h := d.Holder; h != nil {
		segs = append(segs, ui.Seg{Text: th.Muted.Render("held by ") + ui.Clean(h.Job.Namespace+"/"+h.Name), Drop: 2})
	}
	return segs
}

// underNodes sums up a cell that is more than one GPU.
func (g *grid) underNodes(p *position) []ui.Seg {
	th := g.env.Theme
	sum := nodeRow{at: g.snap.At}
	var counts [conditions]int
	var names, jobs []string
	for _, i := range p.gpus {
		d := &g.snap.GPUs[i]
		sum.read(d)
		counts[g.facts[i].condition]++
		if n := ui.Clean(d.NodeName); len(names) == 0 || names[len(names)-1] != n {
			names = append(names, n)
		}
		if d.Holder != nil {
			if j := ui.Clean(d.Holder.Job.String()); !slices.Contains(jobs, j) {
				jobs = append(jobs, j)
			}
		}
	}
	name := names[0]
	if len(names) > 1 {
		name += " to " + names[len(names)-1]
	}
	segs := []ui.Seg{
		{Text: th.Title.Render(name)},
		{Text: stateWords(th, &counts)},
		{Text: "util " + ui.Percent(sum.util.Mean())},
		{Text: ui.Watts(sum.power.Sum()), Drop: 4},
		{Text: ui.Celsius(sum.hottest), Drop: 3},
	}
	if len(jobs) > 0 {
		held := th.Muted.Render("held by ") + jobs[0]
		if len(jobs) > 1 {
			held += fmt.Sprintf(" and %s", ui.Count(len(jobs)-1, "job"))
		}
		segs = append(segs, ui.Seg{Text: held, Drop: 2})
	}
	if g.by != byNode {
		segs = append(segs, ui.Seg{Text: th.Muted.Render("in ") + g.summary(p.group), Short: th.Muted.Render("in ") + p.group.text, Drop: 5})
	}
	return segs
}

// stateWords counts what the GPUs of a cell are, the worst first.
func stateWords(th *theme.Theme, counts *[conditions]int) string {
	words := [conditions]string{
		free: "free", closed: "closed", working: "at work", silent: "without reading", idle: "idle",
		degraded: "degraded", rogue: "rogue", down: "down", failed: "failed",
	}
	var out []string
	for c := failed; ; c-- {
		if n := counts[c]; n > 0 {
			glyph, st := look{condition: c, level: -1}.draw(th)
			if c == working {
				glyph, st = th.G.OK, th.OK
			}
			out = append(out, st.Render(glyph)+" "+ui.Int(n)+" "+words[c])
		}
		if c == free {
			break
		}
	}
	return strings.Join(out, "  ")
}
