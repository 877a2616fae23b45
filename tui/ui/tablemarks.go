package ui

import "slices"

// Mark marks the row under the cursor, or takes its mark away, and goes on to
// the next row.
func (t *Table[R, K]) Mark() {
	r := t.Selected()
	if r == nil {
		return
	}
	k := t.key(r)
	if t.marks[k] {
		delete(t.marks, k)
	} else {
		t.marks[k] = true
	}
	delete(t.lines, t.order[t.cur])
	t.Move(1)
}

// MarkAll marks all rows shown or, when they all are, none.
func (t *Table[R, K]) MarkAll() {
	missing := slices.DeleteFunc(slices.Clone(t.order), func(i int) bool { return t.marks[t.key(&t.rows[i])] })
	for _, i := range missing {
		t.marks[t.key(&t.rows[i])] = true
	}
	if len(missing) == 0 {
		clear(t.marks)
	}
	clear(t.lines)
}

// Unmark takes all marks away and says whether there were any.
func (t *Table[R, K]) Unmark() bool {
	had := len(t.marks) > 0
	clear(t.marks)
	clear(t.lines)
	return had
}

// Marked are the rows with a mark in the order given to SetRows, those that a
// filter hides included; hidden is how many these are.
func (t *Table[R, K]) Marked() (rows []*R, hidden int) {
	if len(t.marks) == 0 {
		return nil, 0
	}
	seen := 0
	for _, i := range t.order {
		if t.marks[t.key(&t.rows[i])] {
			seen++
		}
	}
	for i := range t.rows {
		if r := &t.rows[i]; t.marks[t.key(r)] {
			rows = append(rows, r)
		}
	}
	return rows, len(rows) - seen
}

// forgetMarks takes the marks of rows away that are not there any more.
func (t *Table[R, K]) forgetMarks() {
	if len(t.marks) == 0 {
		return
	}
	left := make(map[K]bool, len(t.marks))
	for i := range t.rows {
		if k := t.key(&t.rows[i]); t.marks[k] {
			left[k] = true
		}
	}
	t.marks = left
}
