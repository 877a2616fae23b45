package parts

import (
	"math"
	"strings"

	"stoker/tui/theme"
	"stoker/tui/ui"
)

// scaleWidth is the room for a chart's scale on its left, with its space.
const scaleWidth = 10

// Chart is a curve over a fixed scale, one point a cell, oldest on the left.
type Chart struct {
	Name, Value string
	Points      []float64 // NaN is a gap
	Low, High   float64
	// What the scale says at its ends.
	LowText, HighText string
}

// ChartWidth is the width of a chart with so many points.
func ChartWidth(points int) int { return points + scaleWidth }

// PlotWidth is the number of points that a chart of w cells has room for.
func PlotWidth(w int) int { return max(w-scaleWidth, 1) }

// Lines draws the chart in h lines of w cells, its name in the first. The area
// is lighter the higher it reaches, so a low curve is calm.
func (c *Chart) Lines(th *theme.Theme, w, h int) []string {
	plot := PlotWidth(w)
	points := c.Points[max(len(c.Points)-plot, 0):]
	head := th.Muted.Render(c.Name) + " " + c.Value
	switch {
	case h <= 0:
		return nil
	case h == 1:
		return []string{ui.Fit(head, w)}
	}
	out := []string{ui.Fit(ui.Spaces(scaleWidth)+head, w)}
	rows := h - 1
	for r := range rows {
		scale := ""
		switch {
		case r == 0:
			scale = c.HighText
		case r == rows-1:
			scale = c.LowText
		}
		var b strings.Builder
		for _, p := range points {
			b.WriteString(c.cell(th, p, rows-1-r, rows))
		}
		st := th.Heat[(rows-1-r)*theme.HeatLevels/rows]
		line := th.Faint.Render(ui.FitRight(scale, scaleWidth-1)) + " " + ui.Spaces(plot-len(points)) + st.Render(b.String())
		out = append(out, ui.Fit(line, w))
	}
	return out
}

// cell is the glyph of a point in the line that is so many above the lowest.
func (c *Chart) cell(th *theme.Theme, p float64, line, lines int) string {
	if math.IsNaN(p) || c.High <= c.Low {
		return " "
	}
	steps := int(math.Round((p - c.Low) / (c.High - c.Low) * float64(lines*8)))
	steps = max(min(steps, lines*8), 1) - line*8 // what is known shows, at 0 too
	switch {
	case steps <= 0:
		return " "
	case steps >= 8:
		return th.G.Spark[7]
	}
	return th.G.Spark[steps-1]
}

// Row draws a chart in one line: its name, its value in so many cells, and a
// curve of at most w cells.
func (c *Chart) Row(th *theme.Theme, value, w int) string {
	var b strings.Builder
	points := c.Points[max(len(c.Points)-w, 0):]
	for _, p := range points {
		b.WriteString(c.cell(th, p, 0, 1))
	}
	return "  " + th.Muted.Render(ui.Fit(c.Name, Label)) + ui.Fit(c.Value, value) + " " + ui.Spaces(w-len(points)) + th.Accent.Render(b.String())
}

// Window fits the last n points into w cells, the newest on the right: what is
// not there yet is a gap, so the curve moves and does not stretch.
func Window(points []float64, n, w int) []float64 {
	if over := len(points) - n; over > 0 {
		points = points[over:]
	}
	all := make([]float64, 0, n)
	for range n - len(points) {
		all = append(all, math.NaN())
	}
	return ui.Shrink(append(all, points...), w)
}

// Bytes makes points of a quantised series.
func Bytes(points []uint8) []float64 {
	out := make([]float64, len(points))
	for i, p := range points {
		out[i] = float64(p)
		if p == ui.Unread {
			out[i] = math.NaN()
		}
	}
	return out
}

// Span is the least and the largest known value; ok is false when there is none.
func Span(points []float64) (low, high float64, ok bool) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, p := range points {
		if !math.IsNaN(p) {
			low, high = min(low, p), max(high, p)
		}
	}
	return low, high, low <= high
}

// Ceiling is a round number not below v, for the top of a scale: 1, 2 or 5
// times a power of ten.
func Ceiling(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*unit {
			return m * unit
		}
	}
	return 10 * unit
}

// Beside puts blocks of lines next to each other, so many cells apart.
func Beside(gap int, blocks ...[]string) []string {
	most := 0
	for _, b := range blocks {
		most = max(most, len(b))
	}
	out := make([]string, most)
	for i := range out {
		var parts []string
		for _, b := range blocks {
			if i < len(b) {
				parts = append(parts, b[i])
			} else if len(b) > 0 {
				parts = append(parts, ui.Spaces(ui.Width(b[0])))
			}
		}
		out[i] = strings.Join(parts, ui.Spaces(gap))
	}
	return out
}
