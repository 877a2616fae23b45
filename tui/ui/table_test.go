package ui

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// named is a table whose columns can be chosen; drawn counts the cells made, and
// asked the rows that the filter was asked about.
func named(t testing.TB, drawn, asked *int) *Table[item, int] {
	cell := func(of func(*item) Cell) func(*item) Cell {
		return func(i *item) Cell {
			*drawn++
			return of(i)
		}
	}
	tb := NewTable(dark(t), func(i *item) int { return i.id }, []Column[item]{
		{Name: "name", Title: "NAME", Min: 6, Max: 20, Cell: cell(func(i *item) Cell { return Txt(i.name) }), By: func(i *item) Key { return ByText(i.name) }},
		{Name: "n", Title: "N", Min: 4, Align: Right, Drop: 1, Desc: true, Cell: cell(func(i *item) Cell { return Txt(fmt.Sprint(i.n)) }), By: func(i *item) Key { return By(i.n) }},
		{Name: "id", Title: "ID", Min: 2, Max: 8, Align: Auto, Extra: true, Cell: cell(func(i *item) Cell { return Cell{Text: fmt.Sprint("x", i.id), Number: true} })},
	})
	tb.SetSame(func(old, now *item) bool { return *old == *now })
	tb.SetSize(40, 6)
	if asked != nil {
		tb.SetKeep(func(i *item) bool {
			*asked++
			return i.n%2 == 0
		})
	}
	return tb
}

func picture(tb *Table[item, int]) string {
	lines := strings.Split(ansi.Strip(tb.View()), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func TestChosenColumns(t *testing.T) {
	var drawn int
	tb := named(t, &drawn, nil)
	tb.SetRows(items(3))
	if d := cmp.Diff([]Choice{{"name", "NAME", true}, {"n", "N", true}, {"id", "ID", false}}, tb.Columns()); d != "" {
		t.Error(d)
	}
	if err := tb.ShowColumns([]string{"id", "name"}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff("  ID  NAME\n▌ x0  item 0\n  x1  item 1\n  x2  item 2\n\n", picture(tb)); d != "" {
		t.Error(d)
	}
	if err := tb.ShowColumns([]string{"id", "nmae"}); err == nil || !strings.Contains(err.Error(), "name, n, id") {
		t.Errorf("of a name that there is not: %v", err)
	}
	if err := tb.OrderBy("id", false); err == nil {
		t.Error("ordered by a column that has no order")
	}
	tb.Select(0)
	if err := tb.OrderBy("n", true); err != nil { // which is not shown
		t.Fatal(err)
	}
	if tb.Selected().id != 0 || tb.Cursor() != 2 {
		t.Errorf("%d at %d", tb.Selected().id, tb.Cursor())
	}
	if name, desc := tb.Order(); name != "n" || !desc {
		t.Error(name, desc)
	}
	if err := tb.ShowColumns(nil); err != nil || !tb.Columns()[1].Shown {
		t.Error("not as it was", err)
	}
}

func TestTooManyChosenColumnsGoFromTheEnd(t *testing.T) {
	var drawn int
	tb := named(t, &drawn, nil)
	tb.SetRows(items(1))
	tb.SetSize(12, 2)
	if err := tb.ShowColumns([]string{"n", "id", "name"}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff("     N  ID\n▌    0  x0", picture(tb)); d != "" {
		t.Error(d)
	}
}

// TestNoRowSlipsUnderTheCursor: what is done to the selected row is done to the
// one that was seen, also before the first move, and after the one that was
// chosen went away.
func TestNoRowSlipsUnderTheCursor(t *testing.T) {
	var drawn int
	tb := named(t, &drawn, nil)
	rows := items(6)
	tb.SetRows(rows[2:])
	tb.View()
	tb.SetRows(rows)
	if tb.Selected().id != 2 {
		t.Errorf("on %d, seen was 2", tb.Selected().id)
	}
	tb.Select(4)
	tb.View()
	tb.SetRows(append(slices.Clone(rows[:4]), rows[5])) // 4 went: what is at its place is seen next
	if tb.Selected().id != 5 {
		t.Fatalf("on %d", tb.Selected().id)
	}
	tb.View()
	tb.SetRows([]item{rows[5], rows[0]})
	if tb.Selected().id != 5 {
		t.Errorf("on %d, seen was 5", tb.Selected().id)
	}
	tb.SetRows(rows) // and is there again
	if tb.Selected().id != 4 {
		t.Errorf("on %d, chosen was 4", tb.Selected().id)
	}

	tb = named(t, &drawn, nil)
	tb.Float()
	tb.SetRows(rows[2:])
	tb.View()
	if tb.SetRows(rows); tb.Selected().id != 0 {
		t.Errorf("it floats, and is on %d", tb.Selected().id)
	}
}

// TestRejudge: a filter that says something else as time goes by is asked of rows
// that are as they were.
func TestRejudge(t *testing.T) {
	var drawn int
	tb := named(t, &drawn, nil)
	late := false
	tb.SetKeep(func(*item) bool { return !late })
	tb.SetRows(items(3))
	late = true
	if tb.SetRows(items(3)); tb.Shown() != 3 {
		t.Error("asked of a row that did not change")
	}
	tb.Rejudge()
	if tb.SetRows(items(3)); tb.Shown() != 0 {
		t.Errorf("%d rows are shown", tb.Shown())
	}
}

func TestMarksFollowTheRows(t *testing.T) {
	var drawn int
	tb := named(t, &drawn, nil)
	rows := items(6)
	tb.SetRows(rows)
	tb.Mark()
	tb.Move(1)
	tb.Mark() // rows 0 and 2
	if !strings.Contains(picture(tb), " ◆item 0") {
		t.Error(picture(tb))
	}
	tb.SetFilter(ParseFilter("!2"))
	marked, hidden := tb.Marked()
	if len(marked) != 2 || hidden != 1 {
		t.Errorf("%d marked, %d hidden", len(marked), hidden)
	}
	tb.SetRows(rows[1:]) // row 0 went: nothing may be done to it
	if marked, _ = tb.Marked(); len(marked) != 1 || marked[0].id != 2 {
		t.Errorf("%v", marked)
	}
	tb.MarkAll()
	if marked, _ = tb.Marked(); len(marked) != 5 {
		t.Errorf("%d of 4 shown and one hidden", len(marked))
	}
	if !tb.Unmark() || tb.Unmark() {
		t.Error("there were marks, and then none")
	}
}

// TestOnlyWhatChangedIsWorkedOut holds the cost of a snapshot: a filter is asked
// about rows that changed, and no row is drawn that is not seen.
func TestOnlyWhatChangedIsWorkedOut(t *testing.T) {
	var drawn, asked int
	tb := named(t, &drawn, &asked)
	rows := items(5000)
	tb.SetRows(rows)
	_ = tb.View()
	drawn, asked = 0, 0
	next := append([]item{{id: -1, name: "new"}}, rows...) // all moved by one
	next[100].n += 2
	tb.SetRows(next)
	_ = tb.View()
	if asked != 2 {
		t.Errorf("asked about %d rows of which 2 are new", asked)
	}
	if drawn > 40 {
		t.Errorf("%d cells for 5 lines", drawn)
	}
	if tb.Shown() != 2501 {
		t.Error(tb.Shown())
	}
}

// TestOrderIsThatOfSortingAnew plays random changes and looks at the order.
func TestOrderIsThatOfSortingAnew(t *testing.T) {
	var drawn int
	rnd := rand.New(rand.NewPCG(1, 2))
	tb := named(t, &drawn, nil)
	rows := items(60)
	for turn := range 300 {
		rows = slices.Clone(rows)
		for range rnd.IntN(8) {
			rows[rnd.IntN(len(rows))].n = rnd.IntN(20)
		}
		switch at := rnd.IntN(len(rows)); rnd.IntN(8) {
		case 0:
			rows = slices.Delete(rows, at, at+1)
		case 1:
			rows = slices.Insert(rows, at, item{id: 1000 + turn, n: rnd.IntN(20)})
		case 2:
			rnd.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		case 3:
			tb.SetFilter(ParseFilter([]string{"", "item", "1", "!2"}[rnd.IntN(4)]))
		case 4:
			_ = tb.OrderBy([]string{"n", "name"}[rnd.IntN(2)], rnd.IntN(2) == 0)
		}
		tb.SetRows(rows)
		want := slices.DeleteFunc(slices.Clone(rows), func(i item) bool { return !tb.f.Match(tb.text(&i)) })
		by, desc := tb.Order()
		slices.SortStableFunc(want, func(a, b item) int {
			c := 0
			switch by {
			case "n":
				c = a.n - b.n
			case "name":
				c = strings.Compare(a.name, b.name)
			}
			if desc {
				c = -c
			}
			return c
		})
		var got []item
		tb.Each(func(i *item) { got = append(got, *i) })
		if d := cmp.Diff(want, got, cmp.AllowUnexported(item{}), cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("turn %d, by %q: %s", turn, by, d)
		}
	}
}

func TestUnknownStandsLast(t *testing.T) {
	one, two := 1.0, 2.0
	keys := []Key{ByKnown[float64](nil), ByKnown(&two), ByKnown(&one)}
	for _, desc := range []bool{false, true} {
		for _, k := range keys[1:] {
			if k.compare(keys[0], desc) >= 0 {
				t.Error("unknown before known")
			}
		}
	}
	if keys[1].compare(keys[2], false) <= 0 || keys[1].compare(keys[2], true) >= 0 {
		t.Error("numbers out of order")
	}
}

func TestMouse(t *testing.T) {
	var drawn int
	tb := named(t, &drawn, nil)
	tb.SetRows(items(50))
	if !tb.Point(3) || tb.Cursor() != 2 || tb.Point(0) || tb.Point(6) {
		t.Error("pointed at", tb.Cursor())
	}
	tb.Scroll(10)
	if tb.Cursor() != 10 || !strings.Contains(picture(tb), "item 14") {
		t.Error(tb.Cursor(), picture(tb))
	}
	tb.Scroll(-100)
	if tb.Cursor() != 4 {
		t.Error("the cursor is not in sight:", tb.Cursor())
	}
	tb.OrderAt(12)
	if name, desc := tb.Order(); name != "n" || !desc {
		t.Error(name, desc)
	}
	tb.OrderAt(12)
	if _, desc := tb.Order(); desc {
		t.Error("not turned around")
	}
}

func BenchmarkSnapshot(b *testing.B) {
	var drawn int
	for _, by := range []string{"", "n"} {
		for _, filter := range []string{"", "item"} {
			b.Run(fmt.Sprintf("by=%s,filter=%s", by, filter), func(b *testing.B) {
				tb := named(b, &drawn, nil)
				tb.SetSize(120, 40)
				tb.SetFilter(ParseFilter(filter))
				rows, other := items(8000), items(8000)
				for i := 0; i < len(rows); i += 10 { // a tenth changes with each
					other[i].n++
				}
				if err := tb.OrderBy(by, true); err != nil {
					b.Fatal(err)
				}
				tb.SetRows(other)
				for b.Loop() {
					rows, other = other, rows
					tb.SetRows(rows)
					_ = tb.View()
				}
			})
		}
	}
}
