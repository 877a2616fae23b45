package ui

import (
	"strings"

	"stoker/tui/theme"
)

// Rule is a horizontal line of w cells.
func Rule(th *theme.Theme, w int) string {
	return th.Border.Render(strings.Repeat(th.G.H, max(w, 0)))
}

// Box frames lines: the result is w cells wide and two lines higher. The title
// stands in the upper edge.
func Box(th *theme.Theme, title string, lines []string, w int) []string {
	inner := w - 4
	head := Fit(title, min(Width(title), max(w-6, 0)))
	top := th.Border.Render(th.G.TL+th.G.H+" ") + th.Title.Render(head) + th.Border.Render(" "+strings.Repeat(th.G.H, max(w-5-Width(head), 0))+th.G.TR)
	if title == "" {
		top = th.Border.Render(th.G.TL + strings.Repeat(th.G.H, max(w-2, 0)) + th.G.TR)
	}
	out := []string{top}
	side := th.Border.Render(th.G.V)
	for _, l := range lines {
		out = append(out, side+" "+Fit(l, inner)+" "+side)
	}
	return append(out, th.Border.Render(th.G.BL+strings.Repeat(th.G.H, max(w-2, 0))+th.G.BR))
}

// Rect is a part of the screen in cells.
type Rect struct{ X, Y, W, H int }

// Stack cuts h lines into parts from top to bottom: a positive height is fixed,
// and what is left goes to the parts of height 0, the first one taking the odd
// line. When there is too little, the last parts get nothing.
func Stack(w, h int, heights ...int) []Rect {
	fixed, flexible := 0, 0
	for _, n := range heights {
		fixed += n
		if n == 0 {
			flexible++
		}
	}
	rest := max(h-fixed, 0)
	out := make([]Rect, len(heights))
	y := 0
	for i, n := range heights {
		if n == 0 {
			n = (rest + flexible - 1) / flexible
			rest -= n
			flexible--
		}
		n = min(n, h-y)
		out[i] = Rect{0, y, w, n}
		y += n
	}
	return out
}
