package ui

import (
	"cmp"
	"time"

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
	// Number has a column of Align Auto stand on the right.
	Number bool
}

// Txt is a plain cell of text that may come from a remote machine.
func Txt(s string) Cell { return Cell{Text: Clean(s)} }

// In is Txt in a style.
func In(st theme.Style, s string) Cell { return Cell{Text: Clean(s), Style: st} }

// Column describes one column of rows of type R.
type Column[R any] struct {
	// Name is that of the column in a view of package facts, where there is one:
	// by it people choose columns and put rows in order.
	Name  string
	Title string
	// Min and Max bound the width in cells. Between them a column is as wide
	// as its widest content so far: it grows when it must, and does not
	// shrink, so columns do not jump. A Max below Min means Min.
	Min, Max int
	// Least, if set, is a Min that follows what is shown; it counts where it is more.
	Least func() int
	// Ahead lets a column take all that it needs before others grow.
	Ahead bool
	Align Align
	// Drop says in which order columns go when the screen is narrow: the
	// highest number first, 0 never.
	Drop int
	// Extra columns are shown only when somebody chose them, and words of a
	// filter are not looked for in them.
	Extra bool
	// Graph says that it is a picture: no word can be looked for in it.
	Graph bool
	// When, if set, says whether the column has something to show; if not it is
	// shown only when somebody chose it.
	When func() bool
	Cell func(r *R) Cell
	// By makes the column sortable; ties keep the given order.
	By func(r *R) Key
	// Desc begins with the largest when sorted: right for numbers.
	Desc bool
}

// Key is what rows are put in order by. The zero value is unknown, and stands
// last whichever way the order goes.
type Key struct {
	known bool
	num   float64
	text  string
}

// ByText orders by a text; an empty one comes first.
func ByText(s string) Key { return Key{known: true, text: s} }

// By orders by a number.
func By[N ~int | ~int64 | ~uint64 | ~float64](n N) Key { return Key{known: true, num: float64(n)} }

// ByKnown orders by a number that may be unknown.
func ByKnown[N ~int | ~int64 | ~uint64 | ~float64](n *N) Key {
	if n == nil {
		return Key{}
	}
	return By(*n)
}

// ByAge puts the youngest first; a time that never was is unknown.
func ByAge(t time.Time) Key {
	if t.IsZero() {
		return Key{}
	}
	return By(-t.UnixNano())
}

// ByValue orders by a value of a row of facts: an age where it is a time.
func ByValue(v any) Key {
	switch v := v.(type) {
	case nil:
		return Key{}
	case string:
		return ByText(v)
	case int:
		return By(v)
	case uint64:
		return By(v)
	case float64:
		return By(v)
	case time.Time:
		return ByAge(v)
	case bool:
		if v {
			return By(1)
		}
		return By(0)
	}
	return ByText(Value("", v, time.Time{}))
}

func (k Key) compare(o Key, desc bool) int {
	switch {
	case k.known != o.known && k.known:
		return -1
	case k.known != o.known:
		return 1
	case desc:
		k, o = o, k
	}
	if c := cmp.Compare(k.num, o.num); c != 0 {
		return c
	}
	return cmp.Compare(k.text, o.text)
}
