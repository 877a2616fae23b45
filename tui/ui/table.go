package ui

import (
	"slices"
	"strings"

	"stoker/tui/theme"
)

const (
	gap    = 2 // cells between columns
	gutter = 2 // cells before the first, for the marks of the selection
	sample = 256
)

// Table shows rows of type R, each with an identity of type K. Selection and
// marks follow the identity through every change. Only rows that are seen are
// drawn, and drawn rows are kept until something changes; what a filter says of
// a row, and what it is put in order by, is kept for as long as the row is the same.
type Table[R any, K comparable] struct {
	th    *theme.Theme
	key   func(*R) K
	same  func(old, now *R) bool // nil: any row may have changed
	cols  []Column[R]
	w, h  int
	rows  []R
	memo  []memo // beside rows
	spare []memo
	order []int // indexes into rows: filtered and sorted
	cur   int   // index into order
	top   int
	sel   K
	has   bool // sel was set
	seen  K    // what the cursor was on when it was drawn last
	drew  bool
	float bool
	marks map[K]bool
	sort  int // column, or -1 for the given order
	rev   bool
	f     Filter
	keep  func(*R) bool // in place of f; nil keeps all
	in    func(*R) bool // beside both; nil keeps all
	dim   bool
	old   func(*R) bool // rows that are drawn faint; nil: none

	judged, keyed int // which filter and which order memos are of, from 1 on

	chosen  []int // columns that somebody chose; nil is those that are there unless one does
	offered []int // columns that there would be with room enough
	visible []int // columns shown
	widths  []int
	right   []bool // of each column
	grown   []int  // widest content so far, of each column
	least   []int  // fewest cells, of each column
	head    string
	lines   map[int][2]string // row -> plain state, selected state
}

// memo is what is known of one row.
type memo struct {
	judged, keyed  int // 0 is never
	kept, measured bool
	key            Key
	rank           int // from 1 on, in the order of the last time
}

// NewTable makes an empty table.
func NewTable[R any, K comparable](th *theme.Theme, key func(*R) K, cols []Column[R]) *Table[R, K] {
	t := &Table[R, K]{th: th, key: key, sort: -1, lines: map[int][2]string{}, marks: map[K]bool{}, judged: 1, keyed: 1}
	t.AddColumns(cols...)
	return t
}

// AddColumns adds columns after those that there are.
func (t *Table[R, K]) AddColumns(cols ...Column[R]) {
	for _, c := range cols {
		t.cols = append(t.cols, c)
		t.grown = append(t.grown, 0)
		t.least = append(t.least, c.Min)
		t.right = append(t.right, c.Align == Right)
	}
	t.offer()
}

// EachColumn lets columns be completed before there are rows.
func (t *Table[R, K]) EachColumn(do func(c *Column[R])) {
	for i := range t.cols {
		do(&t.cols[i])
	}
}

// LeadColumns adds columns before those that there are. It is for a table that
// nobody has seen yet.
func (t *Table[R, K]) LeadColumns(cols ...Column[R]) {
	behind := t.cols
	t.cols, t.grown, t.least, t.right = nil, nil, nil, nil
	t.AddColumns(cols...)
	t.AddColumns(behind...)
}

// SetSame says how to tell that a row with the same identity is as it was: then
// what was worked out of it stands. It must not say so of a row of which a
// filter could say something else, or an order.
func (t *Table[R, K]) SetSame(same func(old, now *R) bool) { t.same = same }

// SetSize sets the cells that View fills, heading included, and draws all rows
// anew; call it after a change of theme, too.
func (t *Table[R, K]) SetSize(w, h int) {
	t.w, t.h = w, h
	t.layout()
	t.scroll()
}

// SetRows replaces the rows. They are read later, too, and must not change.
func (t *Table[R, K]) SetRows(rows []R) {
	t.remember(rows)
	t.rows = rows
	t.forgetMarks()
	t.offer()
	t.arrange()
}

// remember takes the memos of rows that are as they were over to the new ones.
func (t *Table[R, K]) remember(rows []R) {
	if t.same != nil && len(rows) > 0 && len(rows) == len(t.rows) && &rows[0] == &t.rows[0] {
		return // the very same
	}
	memos := append(t.spare[:0], make([]memo, len(rows))...)
	if t.same != nil {
		var index map[K]int
		shift := 0 // rows mostly stand where they stood, or a few further down
		for i := range rows {
			k := t.key(&rows[i])
			j := i + shift
			if j < 0 || j >= len(t.rows) || t.key(&t.rows[j]) != k {
				if index == nil {
					index = t.index()
				}
				at, ok := index[k]
				if !ok {
					continue
				}
				j, shift = at, at-i
			}
			if t.same(&t.rows[j], &rows[i]) {
				memos[i] = t.memo[j]
			}
		}
	}
	t.spare, t.memo = t.memo, memos
}

func (t *Table[R, K]) index() map[K]int {
	out := make(map[K]int, len(t.rows))
	for i := range t.rows {
		out[t.key(&t.rows[i])] = i
	}
	return out
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

// SetOld draws rows faint of which old says that what they say is old; nil is none.
func (t *Table[R, K]) SetOld(old func(*R) bool) {
	if t.old != nil || old != nil {
		t.old = old
		clear(t.lines)
	}
}

// SetFilter keeps the rows whose text matches.
func (t *Table[R, K]) SetFilter(f Filter) {
	t.f, t.keep = f, nil
	t.judged++
	t.rearrange()
}

// Rejudge has the filter say anew of each row whether it is kept, for one that
// says something else as time goes by; SetRows does it.
func (t *Table[R, K]) Rejudge() { t.judged++ }

// SetKeep keeps the rows that keep says, in place of a filter by text.
func (t *Table[R, K]) SetKeep(keep func(*R) bool) {
	t.f, t.keep = Filter{}, keep
	t.judged++
	t.rearrange()
}

// Narrow shows only the rows that in says, to whatever filter there is; nil
// shows all again. It is asked for each row each time, so it must be quick.
func (t *Table[R, K]) Narrow(in func(*R) bool) {
	t.in = in
	t.rearrange()
}

// Shown is the number of rows after the filter, All before it.
func (t *Table[R, K]) Shown() int { return len(t.order) }

// All is the number of rows before the filter.
func (t *Table[R, K]) All() int { return len(t.rows) }

// Each calls do for each row shown, in order.
func (t *Table[R, K]) Each(do func(*R)) {
	for _, i := range t.order {
		do(&t.rows[i])
	}
}

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

// Key is the identity of a row.
func (t *Table[R, K]) Key(r *R) K { return t.key(r) }

// Cursor is the position of the cursor among the shown rows.
func (t *Table[R, K]) Cursor() int { return t.cur }

// Move moves the cursor by n rows and says whether it moved.
func (t *Table[R, K]) Move(n int) bool { return t.moveTo(t.cur + n) }

// Top and Bottom go to the ends.
func (t *Table[R, K]) Top() bool { return t.moveTo(0) }

// Bottom goes to the last row.
func (t *Table[R, K]) Bottom() bool { return t.moveTo(len(t.order) - 1) }

// Scroll moves what is seen by n lines; the cursor stays in sight.
func (t *Table[R, K]) Scroll(n int) {
	page := t.Page()
	t.top = max(min(t.top+n, len(t.order)-page), 0)
	t.moveTo(min(max(t.cur, t.top), t.top+page-1))
}

// Point puts the cursor on the row that is drawn in a line, counted from the
// heading, which is 0; false where there is no row.
func (t *Table[R, K]) Point(line int) bool {
	i := t.top + line - 1
	if line < 1 || line >= t.h || i >= len(t.order) {
		return false
	}
	t.moveTo(i)
	return true
}

// Part is "6 of 20" when not all rows fit, else empty.
func (t *Table[R, K]) Part() string {
	if fit := max(t.h-1, 0); fit < len(t.order) {
		return Int(fit) + " of " + Int(len(t.order))
	}
	return ""
}

// Page is the number of rows that fit.
func (t *Table[R, K]) Page() int { return max(t.h-1, 1) }

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

// rearrange is arrange for who asked for another filter or order: he looks anew.
func (t *Table[R, K]) rearrange() {
	t.drew = false
	t.arrange()
}

// arrange filters, sorts and finds the selection again.
func (t *Table[R, K]) arrange() {
	clear(t.lines)
	t.order = t.order[:0]
	for i := range t.rows {
		if t.keeps(i) {
			t.order = append(t.order, i)
		}
	}
	if t.sort >= 0 {
		t.sorted()
	} else if t.rev {
		slices.Reverse(t.order)
	}
	if t.grow() {
		t.layout()
	}
	t.follow()
	t.cur = min(t.cur, max(len(t.order)-1, 0)) // the row may have gone: stay at its place
	t.scroll()
}

// keeps says whether a row is shown.
func (t *Table[R, K]) keeps(i int) bool {
	r := &t.rows[i]
	if t.in != nil && !t.in(r) {
		return false
	}
	if t.keep == nil && t.f.Empty() {
		return true
	}
	m := &t.memo[i]
	if m.judged != t.judged {
		m.judged = t.judged
		m.kept = t.keep == nil && t.f.Match(t.text(r)) || t.keep != nil && t.keep(r)
	}
	return m.kept
}

// follow puts the cursor on what was chosen or, where nothing was or it is not
// there, on the row that it was seen on: no other may slip under it between a
// look and a key.
func (t *Table[R, K]) follow() bool {
	if t.has && t.goTo(t.sel) {
		return true
	}
	if t.drew && !(t.float && !t.has) {
		t.goTo(t.seen)
	}
	return false
}

func (t *Table[R, K]) goTo(k K) bool {
	if r := t.Selected(); r != nil && t.key(r) == k {
		return true
	}
	for i, r := range t.order {
		if t.key(&t.rows[r]) == k {
			t.cur = i
			t.scroll()
			return true
		}
	}
	return false
}

// Float lets the cursor stay in its place, until somebody moves it, and rows pass
// by under it: for what is watched, and comes newest first.
func (t *Table[R, K]) Float() { t.float = true }

// text is all of a row, of hidden columns too, for the filter.
func (t *Table[R, K]) text(r *R) string {
	var b strings.Builder
	for i := range t.cols {
		if c := &t.cols[i]; !c.Extra && !c.Graph && (c.When == nil || c.When()) {
			b.WriteString(t.cols[i].Cell(r).Text)
			b.WriteByte(' ')
		}
	}
	return b.String()
}

func (t *Table[R, K]) scroll() {
	page := t.Page()
	t.top = min(t.top, t.cur)
	t.top = max(t.top, t.cur-page+1)
	t.top = max(min(t.top, len(t.order)-page), 0)
}
