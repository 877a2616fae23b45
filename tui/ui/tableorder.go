package ui

import (
	"fmt"
	"slices"
	"strings"
)

// NextSort sorts by the next sortable column that is shown, and at last by none.
func (t *Table[R, K]) NextSort() {
	next := -1
	for _, c := range t.visible[1+slices.Index(t.visible, t.sort):] {
		if t.cols[c].By != nil {
			next = c
			break
		}
	}
	t.sortBy(next, next >= 0 && t.cols[next].Desc)
}

// Reverse turns the sort order around.
func (t *Table[R, K]) Reverse() { t.sortBy(t.sort, !t.rev) }

// Order is the name of the column that rows are sorted by; empty is the given order.
func (t *Table[R, K]) Order() (name string, desc bool) {
	if t.sort < 0 {
		return "", t.rev
	}
	return t.cols[t.sort].Name, t.rev
}

// OrderBy sorts by a column; an empty name puts rows in the given order.
func (t *Table[R, K]) OrderBy(name string, desc bool) error {
	if name == "" {
		t.sortBy(-1, desc)
		return nil
	}
	c, err := t.find(name)
	if err == nil && t.cols[c].By == nil {
		err = fmt.Errorf("rows have no order by %s", name)
	}
	if err == nil {
		t.sortBy(c, desc)
	}
	return err
}

// OrderAt sorts by the column whose heading is at a cell, as it is best begun
// with; a second time turns the order around.
func (t *Table[R, K]) OrderAt(x int) {
	at := gutter
	for i, c := range t.visible {
		if at += t.widths[i] + gap; x < at {
			switch {
			case t.cols[c].By == nil:
			case c == t.sort:
				t.Reverse()
			default:
				t.sortBy(c, t.cols[c].Desc)
			}
			return
		}
	}
}

func (t *Table[R, K]) sortBy(c int, desc bool) {
	if c != t.sort {
		t.keyed++
	}
	t.sort, t.rev = c, desc
	t.rearrange()
	t.heading()
}

// find is the column of a name.
func (t *Table[R, K]) find(name string) (int, error) {
	var names []string
	for i := range t.cols {
		if t.cols[i].Name == name && name != "" {
			return i, nil
		}
		if t.cols[i].Name != "" {
			names = append(names, t.cols[i].Name)
		}
	}
	return 0, fmt.Errorf("there is no column %q; there are %s", Clean(name), strings.Join(names, ", "))
}

// sorted puts the rows in order. Those that are as they were still are in order
// among themselves: only the others are sorted, and merged in.
func (t *Table[R, K]) sorted() {
	by := t.cols[t.sort].By
	order := func(a, b int) int {
		if c := t.memo[a].key.compare(t.memo[b].key, t.rev); c != 0 {
			return c
		}
		return a - b
	}
	settled, fresh := make([]int, len(t.rows)), make([]int, 0, len(t.order))
	for _, i := range t.order {
		m := &t.memo[i]
		if m.keyed != t.keyed {
			m.keyed, m.key, m.rank = t.keyed, by(&t.rows[i]), 0
		}
		if m.rank > 0 && m.rank <= len(settled) && settled[m.rank-1] == 0 {
			settled[m.rank-1] = i + 1
		} else {
			fresh = append(fresh, i)
		}
	}
	settled = slices.DeleteFunc(settled, func(i int) bool { return i == 0 })
	for k := range settled {
		settled[k]--
	}
	slices.SortFunc(fresh, order)
	if !slices.IsSortedFunc(settled, order) {
		slices.SortFunc(settled, order)
	}
	t.order = t.order[:0]
	for len(settled) > 0 && len(fresh) > 0 {
		from := &settled
		if order(fresh[0], settled[0]) < 0 {
			from = &fresh
		}
		t.order, *from = append(t.order, (*from)[0]), (*from)[1:]
	}
	t.order = append(append(t.order, settled...), fresh...)
	for rank, i := range t.order {
		t.memo[i].rank = rank + 1
	}
}
