package ui

import (
	"math"
	"strings"

	"stoker/tui/theme"
)

// Unread marks an unknown point of a quantised series, as in cluster.History.
const Unread = 255

// Spark draws the last w points of a series against a fixed full scale, oldest
// first. NaN is a gap. A series shorter than w stands on the right.
func Spark(g *theme.Glyphs, points []float64, w int, full float64) string {
	if over := len(points) - w; over > 0 {
		points = points[over:]
	}
	var b strings.Builder
	b.WriteString(Spaces(w - len(points)))
	for _, p := range points {
		if math.IsNaN(p) || full <= 0 {
			b.WriteByte(' ')
			continue
		}
		b.WriteString(g.Spark[min(max(int(p/full*8), 0), 7)])
	}
	return b.String()
}

// SparkBytes is Spark for quantised points, of which Unread is a gap.
func SparkBytes(g *theme.Glyphs, points []uint8, w int, full uint8) string {
	if over := len(points) - w; over > 0 {
		points = points[over:]
	}
	var b strings.Builder
	b.WriteString(Spaces(w - len(points)))
	for _, p := range points {
		if p == Unread || full == 0 {
			b.WriteByte(' ')
			continue
		}
		b.WriteString(g.Spark[min(int(p)*8/int(full), 7)])
	}
	return b.String()
}

// Shrink averages points down to at most w of them, so that a whole series
// fits; NaN points are left out of their mean.
func Shrink(points []float64, w int) []float64 {
	if w <= 0 || len(points) <= w {
		return points
	}
	out := make([]float64, w)
	for i := range out {
		from, to := i*len(points)/w, (i+1)*len(points)/w
		sum, n := 0.0, 0
		for _, p := range points[from:to] {
			if !math.IsNaN(p) {
				sum += p
				n++
			}
		}
		out[i] = math.NaN()
		if n > 0 {
			out[i] = sum / float64(n)
		}
	}
	return out
}

// Part is one stretch of a Meter.
type Part struct {
	N     int
	Glyph string
	Style theme.Style
}

// Meter draws parts of a whole in w cells. A part that is not 0 has at least
// one cell: one failed GPU of thousands must be seen. What is left over is empty.
func Meter(th *theme.Theme, parts []Part, whole, w int) string {
	if w <= 0 {
		return ""
	}
	cells := make([]int, len(parts))
	left, last := w, 0
	for i, p := range parts {
		if p.N > 0 && whole > 0 {
			cells[i] = max(1, int(math.Round(float64(p.N)*float64(w)/float64(whole))))
			left -= cells[i]
			if cells[i] > cells[last] {
				last = i
			}
		}
	}
	if left < 0 && len(cells) > 0 { // rounding took too much: the longest gives
		cells[last] = max(cells[last]+left, 0)
		left = 0
	}
	var b strings.Builder
	used := 0
	for i, p := range parts {
		n := min(cells[i], w-used)
		used += n
		b.WriteString(p.Style.Render(strings.Repeat(p.Glyph, n)))
	}
	b.WriteString(th.Faint.Render(strings.Repeat(th.G.Empty, max(w-used, 0))))
	return b.String()
}

// HeatLevel is the step of the ramp for a utilisation in percent. Given the
// step that is on screen now, it moves only when the value is a quarter of a
// step beyond the edge, so that a value on an edge does not flicker; last is
// -1 when there is none.
func HeatLevel(util float64, last int) int {
	const step = 100.0 / theme.HeatLevels
	level := min(max(int(util/step), 0), theme.HeatLevels-1)
	if last < 0 || last == level {
		return level
	}
	if low, high := float64(last)*step-step/4, float64(last+1)*step+step/4; util >= low && util < high {
		return last
	}
	return level
}
