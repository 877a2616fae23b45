package ui

import (
	"slices"
	"strings"

	"stoker/tui/theme"
)

// Cell is what a row shows in one column.
type Cell struct {
	// Text is plain and clean; it decides width and filter, and is what a selected row shows.
	Text  string
	Style theme.Style
	// Styled, when set, is Text with styles inside: the same cells, drawn
	// instead of Style wherever it fits.
	Styled string
}

// Txt is a plain cell of text that may come from a remote machine.
func Txt(s string) Cell { return Cell{Text: Clean(s)} }

// In is Txt in a style.
func In(st theme.Style, s string) Cell { return Cell{Text: Clean(s), Style: st} }

// Column describes one column of rows of type R.
type Column[R any] struct {
	Title string
	// Min and Max bound the width in cells. Between them a column is as wide
	// as its widest content so far: it grows when it must, and does not
	// shrink, so columns do not jump. A Max below Min means Min.
	Min, Max int
	// Ahead lets a column take all that it needs before others grow.
	Ahead bool
	Align Align
	// Drop says in which order columns go when the screen is narrow: the
	// highest number first, 0 never.
	Drop int
	Cell func(r *R) Cell
	// Compare makes the column sortable; ties keep the given order.
	Compare func(a, b *R) int
	// Desc begins with the largest when sorted: right for numbers.
	Desc bool
}

const (
	gap    = 2 // cells between columns
	gutter = 2 // cells before the first, for the mark of the selection
	sample = 256
)

// Table shows rows of type R, each with an identity of type K. The selection
// follows the identity through every change. Rows are drawn when they are first
// seen after a change, and kept.
type Table[R any, K comparable] struct {
	th    *theme.Theme
	key   func(*R) K
	cols  []Column[R]
	w, h  int
	rows  []R
	order []int // indexes into rows: filtered and sorted
	cur   int   // index into order
	top   int
	sel   K
	has   bool // sel was set
	sort  int  // column, or -1 for the given order
	rev   bool
	f     Filter
	keep  func(*R) bool // beside f; nil keeps all
	dim   bool

	visible []int // columns shown
	widths  []int
	grown   []int // widest content so far, per column
	head    string
	lines   map[int][2]string // row -> plain state, selected state
}

// NewTable makes an empty table.
func NewTable[R any, K comparable](th *theme.Theme, key func(*R) K, cols []Column[R]) *Table[R, K] {
	return &Table[R, K]{th: th, key: key, cols: cols, sort: -1, grown: make([]int, len(cols)), lines: map[int][2]string{}}
}

// SetSize sets the cells that View fills, heading included, and draws all rows
// anew; call it after a change of theme, too.
func (t *Table[R, K]) SetSize(w, h int) {
	t.w, t.h = w, h
	t.layout()
	t.scroll()
}

// SetRows replaces the rows. They are read later, too, and must not change.
func (t *Table[R, K]) SetRows(rows []R) {
	t.rows = rows
	t.arrange()
}

// Redraw draws the rows anew, for ages that moved on.
func (t *Table[R, K]) Redraw() { clear(t.lines) }

// SetDim draws rows faint: what they say is old.
func (t *Table[R, K]) SetDim(dim bool) {
	if t.dim != dim {
		t.dim = dim
		clear(t.lines)
	}
}

// SetFilter keeps the rows whose text matches.
func (t *Table[R, K]) SetFilter(f Filter) {
	t.f, t.keep = f, nil
	t.arrange()
}

// SetKeep keeps the rows that keep says, in place of a filter by text.
func (t *Table[R, K]) SetKeep(keep func(*R) bool) {
	t.f, t.keep = Filter{}, keep
	t.arrange()
}

// Shown is the number of rows after the filter, All before it.
func (t *Table[R, K]) Shown() int { return len(t.order) }

// All is the number of rows before the filter.
func (t *Table[R, K]) All() int { return len(t.rows) }

// Selected is the row under the cursor; nil when there are none.
func (t *Table[R, K]) Selected() *R {
	if t.cur >= len(t.order) {
		return nil
	}
	return &t.rows[t.order[t.cur]]
}

// Select puts the cursor on a row. When the row is not there yet, or hidden by
// the filter, it is selected as soon as it appears; false says so.
func (t *Table[R, K]) Select(k K) bool {
	t.sel, t.has = k, true
	return t.follow()
}

// Cursor is the position of the cursor among the shown rows.
func (t *Table[R, K]) Cursor() int { return t.cur }

// Move moves the cursor by n rows and says whether it moved.
func (t *Table[R, K]) Move(n int) bool { return t.moveTo(t.cur + n) }

// Top and Bottom go to the ends.
func (t *Table[R, K]) Top() bool { return t.moveTo(0) }

// Bottom goes to the last row.
func (t *Table[R, K]) Bottom() bool { return t.moveTo(len(t.order) - 1) }

// Part is "6 of 20" when not all rows fit, else empty.
func (t *Table[R, K]) Part() string {
	if fit := max(t.h-1, 0); fit < len(t.order) {
		return Int(fit) + " of " + Int(len(t.order))
	}
	return ""
}

// Page is the number of rows that fit.
func (t *Table[R, K]) Page() int { return max(t.h-1, 1) }

// NextSort sorts by the next sortable column, and at last by none.
func (t *Table[R, K]) NextSort() {
	for t.sort++; t.sort < len(t.cols); t.sort++ {
		if t.cols[t.sort].Compare != nil && slices.Contains(t.visible, t.sort) {
			break
		}
	}
	if t.sort >= len(t.cols) {
		t.sort = -1
	}
	t.rev = t.sort >= 0 && t.cols[t.sort].Desc
	t.arrange()
	t.heading()
}

// Reverse turns the sort order around.
func (t *Table[R, K]) Reverse() {
	t.rev = !t.rev
	t.arrange()
	t.heading()
}

func (t *Table[R, K]) moveTo(i int) bool {
	i = min(max(i, 0), max(len(t.order)-1, 0))
	if i == t.cur || len(t.order) == 0 {
		return false
	}
	t.cur = i
	t.sel, t.has = t.key(t.Selected()), true
	t.scroll()
	return true
}

// arrange filters, sorts and finds the selection again.
func (t *Table[R, K]) arrange() {
	clear(t.lines)
	t.order = t.order[:0]
	for i := range t.rows {
		if r := &t.rows[i]; (t.keep == nil || t.keep(r)) && (t.f.Empty() || t.f.Match(t.text(r))) {
			t.order = append(t.order, i)
		}
	}
	if t.sort >= 0 {
		less := t.cols[t.sort].Compare
		slices.SortStableFunc(t.order, func(a, b int) int {
			if t.rev {
				a, b = b, a
			}
			return less(&t.rows[a], &t.rows[b])
		})
	} else if t.rev {
		slices.Reverse(t.order)
	}
	if t.grow() {
		t.layout()
	}
	if !t.follow() { // the row went away: stay at its place
		t.cur = min(t.cur, max(len(t.order)-1, 0))
	}
	t.scroll()
}

func (t *Table[R, K]) follow() bool {
	if !t.has {
		return false
	}
	for i, r := range t.order {
		if t.key(&t.rows[r]) == t.sel {
			t.cur = i
			t.scroll()
			return true
		}
	}
	return false
}

// text is all of a row, of hidden columns too, for the filter.
func (t *Table[R, K]) text(r *R) string {
	var b strings.Builder
	for i := range t.cols {
		b.WriteString(t.cols[i].Cell(r).Text)
		b.WriteByte(' ')
	}
	return b.String()
}

// grow notes the widest content, of the first rows only: it need not be exact.
func (t *Table[R, K]) grow() (grew bool) {
	for c := range t.cols {
		col := &t.cols[c]
		if col.Max <= col.Min {
			continue
		}
		for i := range t.rows[:min(len(t.rows), sample)] {
			if w := min(Width(col.Cell(&t.rows[i]).Text), col.Max); w > t.grown[c] {
				t.grown[c], grew = w, true
			}
		}
	}
	return grew
}

// layout decides which columns are shown and how wide.
func (t *Table[R, K]) layout() {
	clear(t.lines)
	t.visible = t.visible[:0]
	total := gutter - gap
	for i := range t.cols {
		t.visible = append(t.visible, i)
		total += t.cols[i].Min + gap
	}
	for total > t.w && len(t.visible) > 1 {
		worst := 0
		for i, c := range t.visible {
			if t.cols[c].Drop >= t.cols[t.visible[worst]].Drop {
				worst = i
			}
		}
		if t.cols[t.visible[worst]].Drop == 0 {
			break
		}
		total -= t.cols[t.visible[worst]].Min + gap
		t.visible = slices.Delete(t.visible, worst, worst+1)
	}
	t.widths = t.widths[:0]
	for _, c := range t.visible {
		t.widths = append(t.widths, t.cols[c].Min)
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
		col := &t.cols[c]
		b.WriteString(FitAlign(col.Title, t.widths[i], col.Align))
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

func (t *Table[R, K]) scroll() {
	page := t.Page()
	t.top = min(t.top, t.cur)
	t.top = max(t.top, t.cur-page+1)
	t.top = max(min(t.top, len(t.order)-page), 0)
}

// line draws one row, or takes it from the last time.
func (t *Table[R, K]) line(i int, selected bool) string {
	r := t.order[i]
	if l, ok := t.lines[r]; ok {
		return l[state(selected)]
	}
	var styled, plain strings.Builder
	styled.WriteString(Spaces(gutter))
	plain.WriteString(t.th.G.Select + " ")
	for j, c := range t.visible {
		col, w := &t.cols[c], t.widths[j]
		cell := col.Cell(&t.rows[r])
		text := FitAlign(cell.Text, w, col.Align)
		plain.WriteString(text)
		if cell.Styled != "" && Width(cell.Text) <= w {
			styled.WriteString(FitAlign(cell.Styled, w, col.Align))
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
	if t.dim {
		l[0] = t.th.Faint.Render(Spaces(gutter) + strings.TrimPrefix(sel, t.th.G.Select+" "))
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

// ViewLines is View as lines; without focus no row is marked.
func (t *Table[R, K]) ViewLines(focus bool) []string {
	if t.h <= 0 {
		return nil
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
