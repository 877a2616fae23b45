package gpus

import (
	"strings"

	"stoker/cluster"
	"stoker/tui/screen/parts"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// historyPoints is the length of a whole History.
const historyPoints = 120

// from is the time at the left edge of a chart, where the source is as fast as
// the points; a slower one leaves a wider chart of unknown times.
func from(g *cluster.GPU) string {
	if g.History == nil || g.Source != "agent" && g.Source != "nvml" {
		return "older"
	}
	return ui.Dur(historyPoints*g.History.Step) + " ago"
}

// charts draws the recent past, in two by two charts where h allows, else in a
// line each.
func (d *detail) charts(g *cluster.GPU, h int) []string {
	th := d.Env.Theme
	list := series(th, g)
	const least = 8 // two charts of a heading and three lines
	if d.W < 100 || h < least+1 {
		return d.rows(g, list)
	}
	return grid(th, list, 2, from(g), d.W, min(h, 15))
}

// grid draws charts in so many columns, on w by at most h cells with the line
// under the lowest that says from when to when they are.
func grid(th *theme.Theme, list []parts.Chart, columns int, from string, w, h int) []string {
	const gap = 2
	rows := (len(list) + columns - 1) / columns
	wide := min((w-2-columns*gap)/columns, parts.ChartWidth(historyPoints))
	high := (h - 1) / rows
	var out []string
	for len(list) > 0 {
		n := min(columns, len(list))
		blocks := make([][]string, n)
		for i := range n {
			c := list[i]
			c.Points = parts.Window(c.Points, historyPoints, min(parts.PlotWidth(wide), historyPoints))
			blocks[i] = c.Lines(th, wide, high)
		}
		for _, line := range parts.Beside(gap, blocks...) {
			out = append(out, "  "+line)
		}
		list = list[n:]
	}
	axis := ui.Spaces(wide-parts.PlotWidth(wide)) + ui.Sides(from, "now", parts.PlotWidth(wide))
	return append(out, "  "+th.Faint.Render(strings.Repeat(axis+ui.Spaces(gap), columns)))
}

// rows draws each chart in one line: name, value, curve.
func (d *detail) rows(g *cluster.GPU, list []parts.Chart) []string {
	th := d.Env.Theme
	const value = 18
	w := min(d.W-parts.Label-value-6, historyPoints)
	out := make([]string, 0, len(list)+1)
	for _, c := range list {
		c.Points = parts.Window(c.Points, historyPoints, w)
		out = append(out, c.Row(th, value, w))
	}
	axis := ui.Spaces(2+parts.Label+value+1) + ui.Sides(from(g), "now", w)
	return append(out, th.Faint.Render(axis))
}

// series is what is drawn over time. History holds percent, and °C.
func series(th *theme.Theme, g *cluster.GPU) []parts.Chart {
	past := g.History
	chart := func(name, value string, points []uint8, high float64, low, top string) parts.Chart {
		return parts.Chart{Name: name, Value: value, Points: parts.Bytes(points), High: high, LowText: low, HighText: top}
	}
	full := "100 %"
	if limit(g) != nil {
		full = ui.Watts(limit(g))
	}
	size := "100 %"
	if g.MemoryBytes > 0 {
		size = ui.Bytes(g.MemoryBytes)
	}
	return []parts.Chart{
		chart("util", ui.Percent(g.Util()), past.Util(), 100, "0 %", "100 %"),
		chart("power", power(g, " of "), past.Power(), 100, "0 W", full),
		chart("temp", parts.Temp(th, g).Text, past.Temp(), 100, "0 °C", "100 °C"),
		chart("memory", strings.Replace(memory(g), "/", " of ", 1), past.Memory(), 100, "0 B", size),
	}
}
