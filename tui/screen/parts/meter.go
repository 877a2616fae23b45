package parts

import (
	"math"
	"strings"

	"stoker/cluster"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// numberWidth is "100 %" and the space before it.
const numberWidth = 6

// Meter is a bar of w cells and the number behind it, "█████░░░  62 %". Of an
// unknown number only "–" is drawn. The bar has the colour of a utilisation.
func Meter(th *theme.Theme, percent *float64, w int) ui.Cell {
	if percent == nil {
		return ui.Txt(ui.FitRight(ui.None, w+numberWidth))
	}
	return Bar(th, percent, w, th.Heat[ui.HeatLevel(*percent, -1)])
}

// Bar is Meter in a style of its own, for what is not a utilisation.
func Bar(th *theme.Theme, percent *float64, w int, st theme.Style) ui.Cell {
	if percent == nil {
		return ui.Txt(ui.FitRight(ui.None, w+numberWidth))
	}
	full := min(max(int(math.Round(*percent*float64(w)/100)), 0), w)
	if full == 0 && *percent >= 1 {
		full = 1
	}
	on, off := strings.Repeat(th.G.Full, full), strings.Repeat(th.G.Empty, w-full)
	number := ui.FitRight(ui.Percent(percent), numberWidth)
	return ui.Cell{Text: on + off + number, Styled: st.Render(on) + th.Faint.Render(off) + number}
}

// Faded is a cell in one faint style: what it says is old.
func Faded(th *theme.Theme, c ui.Cell) ui.Cell { return ui.Cell{Text: c.Text, Style: th.Faint} }

// FadeLines makes lines faint.
func FadeLines(th *theme.Theme, lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = th.Faint.Render(ui.Plain(l))
	}
	return out
}

// Fade makes every column faint for the rows of which old is true.
func Fade[R any](th *theme.Theme, cols []ui.Column[R], old func(*R) bool) []ui.Column[R] {
	for i := range cols {
		draw := cols[i].Cell
		cols[i].Cell = func(r *R) ui.Cell {
			if c := draw(r); !old(r) {
				return c
			} else {
				return Faded(th, c)
			}
		}
	}
	return cols
}

// Latency is a quantile with what its buckets can say: "1.9 s", "≥ 30 s", "< 10 ms".
func Latency(q *cluster.Quantile) string {
	if q == nil {
		return ui.None
	}
	text := Seconds(q.Seconds)
	if q.Bound != "" {
		text = q.Bound + " " + text
	}
	return text
}

// Seconds is a short duration with as many digits as it deserves.
func Seconds(sec float64) string {
	ms := sec * 1000
	switch {
	case sec < 0.00995:
		return ui.Num(&ms, 1, "ms")
	case sec < 0.9995:
		return ui.Num(&ms, 0, "ms")
	case sec < 9.95:
		return ui.Num(&sec, 1, "s")
	}
	return ui.Num(&sec, 0, "s")
}

// Rate is a number with one decimal while it is small.
func Rate(v *float64) string {
	if v != nil && math.Abs(*v) < 99.95 {
		return ui.Num(v, 1, "")
	}
	return ui.Num(v, 0, "")
}

// Worth drops a word when it says nothing.
func Worth(v string) string {
	if v == ui.None {
		return ""
	}
	return v
}
