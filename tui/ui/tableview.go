package ui

import (
	"slices"
	"strings"
)

// Choice is one column of a table for who chooses among them.
type Choice struct {
	Name, Title string
	Shown       bool // chosen, or there because nobody chose
}

// Columns are those with a name: first what is shown, in order, then the others.
func (t *Table[R, K]) Columns() []Choice {
	var out []Choice
	add := func(c int, shown bool) {
		if t.cols[c].Name != "" {
			out = append(out, Choice{Name: t.cols[c].Name, Title: t.cols[c].Title, Shown: shown})
		}
	}
	for _, c := range t.offered {
		add(c, true)
	}
	for c := range t.cols {
		if !slices.Contains(t.offered, c) {
			add(c, false)
		}
	}
	return out
}

// ShowColumns shows the named columns and no others, in this order; none means
// those that are shown unless somebody chose.
func (t *Table[R, K]) ShowColumns(names []string) error {
	var chosen []int
	for _, name := range names {
		c, err := t.find(name)
		if err != nil {
			return err
		}
		if !slices.Contains(chosen, c) {
			chosen = append(chosen, c)
		}
	}
	t.chosen = chosen
	t.offer()
	t.remeasure()
	t.layout()
	return nil
}

// Picked says that somebody chose the columns.
func (t *Table[R, K]) Picked() bool { return t.chosen != nil }

// offer works out which columns there would be with room enough, and how much of
// it each wants at the least.
func (t *Table[R, K]) offer() {
	now := t.chosen
	if now == nil {
		for i := range t.cols {
			if c := &t.cols[i]; !c.Extra && (c.When == nil || c.When()) {
				now = append(now, i)
			}
		}
	}
	wider := false
	for i := range t.cols {
		if c := &t.cols[i]; c.Least != nil {
			was := t.least[i]
			t.least[i] = max(c.Min, c.Least())
			wider = wider || t.least[i] != was
		}
	}
	if wider || !slices.Equal(now, t.offered) {
		t.offered = now
		t.layout()
	}
}

// grow notes the widest content, of the first rows only: it need not be exact.
// Rows that were measured before and are as they were are left out.
func (t *Table[R, K]) grow() (grew bool) {
	for i := range t.rows[:min(len(t.rows), sample)] {
		if t.memo[i].measured {
			continue
		}
		t.memo[i].measured = true
		for _, c := range t.offered {
			col := &t.cols[c]
			if col.Max <= col.Min && col.Align != Auto {
				continue
			}
			cell := col.Cell(&t.rows[i])
			if cell.Number && !t.right[c] {
				t.right[c], grew = true, true
			}
			if w := min(Width(cell.Text), col.Max); w > t.grown[c] {
				t.grown[c], grew = w, true
			}
		}
	}
	return grew
}

// remeasure has all rows looked at again, for columns that were not shown before.
func (t *Table[R, K]) remeasure() {
	for i := range t.memo {
		t.memo[i].measured = false
	}
	t.grow()
}

// layout decides which columns are shown and how wide. Where the screen is too
// narrow for what somebody chose, the last go first.
func (t *Table[R, K]) layout() {
	clear(t.lines)
	t.visible = append(t.visible[:0], t.offered...)
	total := gutter - gap
	for _, c := range t.visible {
		total += t.least[c] + gap
	}
	for total > t.w && len(t.visible) > 1 {
		worst := len(t.visible) - 1
		for i, c := range t.visible {
			if t.chosen == nil && t.cols[c].Drop >= t.cols[t.visible[worst]].Drop {
				worst = i
			}
		}
		if t.chosen == nil && t.cols[t.visible[worst]].Drop == 0 {
			break
		}
		total -= t.least[t.visible[worst]] + gap
		t.visible = slices.Delete(t.visible, worst, worst+1)
	}
	t.widths = t.widths[:0]
	for _, c := range t.visible {
		t.widths = append(t.widths, t.least[c])
	}
	for _, ahead := range []bool{true, false} {
		for grew := true; grew && total < t.w; {
			grew = false
			for i, c := range t.visible {
				if total < t.w && t.cols[c].Ahead == ahead && t.widths[i] < min(t.grown[c], t.cols[c].Max) {
					t.widths[i]++
					total++
					grew = true
				}
			}
		}
	}
	t.heading()
}

func (t *Table[R, K]) heading() {
	var b strings.Builder
	b.WriteString(Spaces(gutter))
	for i, c := range t.visible {
		b.WriteString(FitAlign(t.cols[c].Title, t.widths[i], t.align(c)))
		switch {
		case c == t.sort && t.rev:
			b.WriteString(t.th.G.Down + " ")
		case c == t.sort:
			b.WriteString(t.th.G.Up + " ")
		default:
			b.WriteString(Spaces(gap))
		}
	}
	t.head = t.th.Muted.Render(Fit(strings.TrimRight(b.String(), " "), t.w))
}

func (t *Table[R, K]) align(c int) Align {
	if t.right[c] {
		return Right
	}
	return Left
}

// line draws one row, or takes it from the last time.
func (t *Table[R, K]) line(i int, selected bool) string {
	r := t.order[i]
	if l, ok := t.lines[r]; ok {
		return l[state(selected)]
	}
	mark, markStyled := " ", " "
	if len(t.marks) > 0 && t.marks[t.key(&t.rows[r])] {
		mark, markStyled = t.th.G.Mark, t.th.Accent.Render(t.th.G.Mark)
	}
	var styled, plain strings.Builder
	styled.WriteString(" " + markStyled)
	plain.WriteString(t.th.G.Select + mark)
	for j, c := range t.visible {
		w, align := t.widths[j], t.align(c)
		cell := t.cols[c].Cell(&t.rows[r])
		text := FitAlign(cell.Text, w, align)
		plain.WriteString(text)
		if cell.Styled != "" && Width(cell.Text) <= w {
			styled.WriteString(FitAlign(cell.Styled, w, align))
		} else {
			styled.WriteString(cell.Style.Render(text))
		}
		if j < len(t.visible)-1 {
			styled.WriteString(Spaces(gap))
			plain.WriteString(Spaces(gap))
		}
	}
	sel := Fit(plain.String(), t.w)
	l := [2]string{Fit(styled.String(), t.w), t.th.Selected.Render(sel)}
	if t.dim || t.old != nil && t.old(&t.rows[r]) {
		l[0] = t.th.Faint.Render(" " + strings.TrimPrefix(sel, t.th.G.Select))
	}
	t.lines[r] = l
	return l[state(selected)]
}

func state(selected bool) int {
	if selected {
		return 1
	}
	return 0
}

// View is exactly the size given to SetSize.
func (t *Table[R, K]) View() string { return strings.Join(t.ViewLines(true), "\n") }

// ViewLines is View as lines; without focus no row is selected.
func (t *Table[R, K]) ViewLines(focus bool) []string {
	if t.h <= 0 {
		return nil
	}
	if r := t.Selected(); focus && r != nil {
		t.seen, t.drew = t.key(r), true
	}
	out := make([]string, 0, t.h)
	out = append(out, t.head)
	for i := t.top; i < len(t.order) && len(out) < t.h; i++ {
		out = append(out, t.line(i, focus && i == t.cur))
	}
	for len(out) < t.h {
		out = append(out, Spaces(t.w))
	}
	return out
}
