package parts

import (
	"strings"

	"stoker/tui/theme"
	"stoker/tui/ui"
)

// Label is the width of the names on the left of a detail.
const Label = 10

// Fact is a value with its name; without a name it stands alone.
type Fact struct {
	Name, Value string
	Style       theme.Style
}

// F is a plain fact.
func F(name, value string) Fact { return Fact{Name: name, Value: value} }

// Facts flows facts over as many lines as w cells need, three spaces apart. The
// label stands before the first line; facts without a value are left out.
func Facts(th *theme.Theme, label string, facts []Fact, w int) []string {
	room := w - Label - 2
	var out []string
	var b strings.Builder
	used := 0
	flush := func() {
		if used > 0 {
			out = append(out, head(th, label, len(out))+b.String())
			b.Reset()
			used = 0
		}
	}
	for _, f := range facts {
		value := ui.Clean(f.Value)
		if value == "" {
			continue
		}
		name := f.Name
		if name != "" {
			name += " "
		}
		n := ui.Width(name) + ui.Width(value)
		if used > 0 && used+3+n > room {
			flush()
		}
		if over := n - room; used == 0 && over > 0 {
			value = ui.Fit(value, max(ui.Width(value)-over, 1))
			n = room
		}
		if used > 0 {
			b.WriteString("   ")
			used += 3
		}
		b.WriteString(th.Muted.Render(name) + f.Style.Render(value))
		used += n
	}
	flush()
	return out
}

// Text wraps a sentence beside its label in at most n lines.
func Text(th *theme.Theme, label, text string, st theme.Style, w, n int) []string {
	if text == "" {
		return nil
	}
	room := max(w-Label-2, 1)
	lines := ui.Wrap(ui.Clean(text), room)
	var out []string
	for i, l := range lines {
		if i == n-1 && len(lines) > n {
			l = ui.Fit(strings.Join(lines[i:], " "), room)
		}
		if i < n {
			out = append(out, head(th, label, i)+st.Render(strings.TrimRight(l, " ")))
		}
	}
	return out
}

func head(th *theme.Theme, label string, line int) string {
	if line > 0 {
		label = ""
	}
	return "  " + th.Muted.Render(ui.Fit(label, Label))
}

// Head is the first line of a detail: what it is, its state and a word about
// both on the left, where the numbers come from on the right.
func Head(th *theme.Theme, name string, state ui.Cell, more, source string, w int) string {
	left := "  " + th.Title.Render(ui.Clean(name)) + "   " + state.Style.Render(state.Text)
	if more != "" {
		left += "   " + th.Muted.Render(ui.Clean(more))
	}
	if source != "" {
		source = th.Muted.Render(ui.Clean(source))
	}
	return ui.Sides(left, source+"  ", w)
}

// Title is the heading of a part of a detail.
func Title(th *theme.Theme, text, note string) string {
	line := "  " + th.Title.Render(text)
	if note != "" {
		line += "   " + th.Muted.Render(note)
	}
	return line
}

// Scroll is a body of lines of which a window is shown. The zero value is ready.
type Scroll struct {
	lines []string
	top   int
	h     int
}

// Set replaces the lines and the height; the place stays where it can.
func (s *Scroll) Set(lines []string, h int) {
	s.lines, s.h = lines, h
	s.Move(0)
}

// Move scrolls by n lines.
func (s *Scroll) Move(n int) bool {
	before := s.top
	s.top = max(min(s.top+n, len(s.lines)-s.h), 0)
	return s.top != before
}

// Top scrolls to the beginning.
func (s *Scroll) Top() bool { return s.Move(-len(s.lines)) }

// Bottom scrolls to the end.
func (s *Scroll) Bottom() bool { return s.Move(len(s.lines)) }

// Page is the number of lines shown.
func (s *Scroll) Page() int { return max(s.h-1, 1) }

// NextSort does nothing: lines have their order.
func (s *Scroll) NextSort() {}

// Reverse does nothing: lines have their order.
func (s *Scroll) Reverse() {}

// View is exactly w by h cells. When there is more below, the last line says so.
func (s *Scroll) View(th *theme.Theme, w int) string {
	lines := s.lines[min(s.top, len(s.lines)):]
	if more := len(lines) - s.h; more > 0 && s.h > 1 {
		lines = append(lines[:s.h-1:s.h-1], "  "+th.Faint.Render(th.G.Down+" "+ui.Count(more+1, "more line")))
	}
	return ui.Block(lines, w, s.h)
}
