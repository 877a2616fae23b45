package ui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Align says on which side of a cell text stands.
type Align int

// The sides.
const (
	Left Align = iota
	Right
	Auto // of a column: right when it shows numbers, else left
)

// Width is the number of cells that s takes; escape sequences take none.
func Width(s string) int {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return ansi.StringWidth(s)
		}
	}
	return len(s)
}

// Fit makes s exactly w cells wide: it pads with spaces or cuts with "…".
func Fit(s string, w int) string { return FitAlign(s, w, Left) }

// FitRight is Fit with the text on the right, as numbers stand.
func FitRight(s string, w int) string { return FitAlign(s, w, Right) }

// FitAlign makes s exactly w cells wide.
func FitAlign(s string, w int, a Align) string {
	if w <= 0 {
		return ""
	}
	n := Width(s)
	if n > w {
		s = ansi.Truncate(s, w, "…")
		n = Width(s) // a wide character may have left one cell over
	}
	switch {
	case n == w:
		return s
	case a == Right:
		return Spaces(w-n) + s
	}
	return s + Spaces(w-n)
}

const blank = "                                                                                                                                "

// Spaces is n spaces; none when n is negative.
func Spaces(n int) string {
	switch {
	case n <= 0:
		return ""
	case n <= len(blank):
		return blank[:n]
	}
	return strings.Repeat(" ", n)
}

// Sides puts left and right at the two ends of w cells. The left side gives way.
func Sides(left, right string, w int) string {
	r := Width(right)
	if r >= w {
		return Fit(right, w)
	}
	return Fit(left, w-r) + right
}

// Lines makes exactly h lines of w cells out of any lines.
func Lines(lines []string, w, h int) []string {
	out := make([]string, h)
	for i := range out {
		if i < len(lines) {
			out[i] = Fit(lines[i], w)
		} else {
			out[i] = Spaces(w)
		}
	}
	return out
}

// Block is Lines joined.
func Block(lines []string, w, h int) string { return strings.Join(Lines(lines, w, h), "\n") }

// Wrap breaks plain text at spaces into lines of at most w cells.
func Wrap(s string, w int) []string {
	if w < 1 {
		return nil
	}
	var out []string
	for _, l := range strings.Split(ansi.Wrap(s, w, ""), "\n") {
		if Width(l) > w { // ansi.Wrap lets a space that does not break stand out
			out = append(out, strings.Split(ansi.Hardwrap(l, w, true), "\n")...)
			continue
		}
		out = append(out, l)
	}
	return out
}

// Over draws box over bg with its upper left corner at x, y; both are lines.
func Over(bg, box []string, x, y int) []string {
	out := append([]string(nil), bg...)
	for i, line := range box {
		if row := y + i; row >= 0 && row < len(out) {
			was := out[row]
			w, all := Width(line), Width(was)
			out[row] = Fit(ansi.Truncate(was, x, ""), min(x, all)) + ansi.ResetStyle + line + rightOf(was, x+w, all)
		}
	}
	return out
}

// rightOf is what stands in a line of so many cells from one on. Where a wide
// character is cut in two, a space stands for its half.
func rightOf(line string, from, all int) string {
	want := max(all-from, 0)
	right := ansi.TruncateLeft(line, from, "")
	if Width(right) > want {
		right = ansi.TruncateLeft(line, from+1, "")
	}
	return Spaces(want-Width(right)) + right
}
