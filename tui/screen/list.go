package screen

import (
	"cmp"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/jobs/action"
	"stoker/tui/keys"
	"stoker/tui/ui"
)

// List is the base of a screen that is one table under one line of summary.
// Embed it, and write SetSnapshot, Update and Actions:
//
//	func (m *Model) SetSnapshot(s *cluster.Snapshot) { m.Fill(s, s.Nodes) }
//	func (m *Model) Update(msg tea.Msg) tea.Cmd {
//		k, ok := m.Keys(msg) // moves, sorts, marks and redraws by itself
//		if !ok { return nil }
//		switch row := m.Selected(); k { … }
//	}
//
// It is Filterer, Tabular, Pointed, Focused and Keeper.
type List[R any, K comparable] struct {
	*ui.Table[R, K]
	Env  *Env
	Snap *cluster.Snapshot // the latest; never nil

	things  string
	summary func(*cluster.Snapshot) string
	filter  string // as it was typed
	passing bool   // what it keeps changes as time goes by
	facts   *factual[R]
	about   func(*cluster.Snapshot, *R) Subject           // nil: rows are nothing that others are related to
	within  func(*cluster.Snapshot, Target) func(*R) bool // nil: by about
	narrow  Target                                        // its Within says that only what belongs to it is shown
	belongs func(*R) bool                                 // to narrow, in the latest snapshot
	covered func() bool                                   // something lies over the list; nil: nothing ever does
	at      int                                           // the line in which the table begins
	w, h    int
}

// factual reads the facts of rows.
type factual[R any] struct {
	view  *facts.View
	make  func(*cluster.Snapshot, *R) facts.Row
	cells func(*R) facts.Cells // the same by columns; nil: make is cheap enough
	snap  *cluster.Snapshot
	last  *R // several columns of one row are asked for, one after the other
	row   facts.Row
}

func (f *factual[R]) of(r *R) facts.Cells {
	if f.cells != nil {
		return f.cells(r)
	}
	if f.last != r {
		f.last, f.row = r, f.make(f.snap, r)
	}
	return func(column int) any { return f.row[column] }
}

// NewList makes a List. things is the plural for an empty table; summary is
// one line above the table, drawn with each snapshot and tick.
func NewList[R any, K comparable](e *Env, things string, summary func(*cluster.Snapshot) string, key func(*R) K, cols []ui.Column[R]) List[R, K] {
	return List[R, K]{
		Table: ui.NewTable(e.Theme, key, cols), Env: e, Snap: &cluster.Snapshot{},
		things: things, summary: summary, at: 2,
	}
}

// Facts says of which view of line mode the rows are, and how the view's row is
// made. The list can then be filtered by expressions over its columns, and each
// that it has no drawing for can be shown all the same. Columns that were given
// without a Cell show the value of the view as it is.
func (l List[R, K]) Facts(view string, row func(*cluster.Snapshot, *R) facts.Row) List[R, K] {
	v, ok := facts.Find(view)
	if !ok {
		return l
	}
	f := &factual[R]{view: v, make: row, snap: l.Snap}
	l.facts = f
	drawn := map[string]*ui.Column[R]{}
	l.EachColumn(func(c *ui.Column[R]) { drawn[c.Name] = c })
	var first, more []ui.Column[R]
	for i := range v.Columns {
		p := plain(l.Env, f, i)
		switch c := drawn[p.Name]; {
		case c == nil && p.Name == "cluster":
			first = append(first, whose(l.Env, f, i))
		case c == nil:
			more = append(more, p)
		case c.Cell == nil:
			p.Title, p.Min, p.Max, p.Ahead, p.Drop, p.Extra = cmp.Or(c.Title, p.Title), c.Min, c.Max, c.Ahead, c.Drop, false
			*c = p
		case c.By == nil:
			c.By = p.By
		}
	}
	l.LeadColumns(first...)
	l.AddColumns(more...)
	return l
}

// whose is the column that says of which cluster a row is.
func whose[R any](e *Env, f *factual[R], i int) ui.Column[R] {
	c := Whose(e, func() *cluster.Snapshot { return f.snap }, f.place)
	p := plain(e, f, i)
	c.Name, c.Title, c.Align = p.Name, p.Title, p.Align
	return c
}

// place is where a row is from: every view begins with it.
func (f *factual[R]) place(r *R) cluster.Place {
	at := f.of(r)
	name, _ := at(0).(string)
	region, _ := at(1).(string)
	return cluster.Place{Cluster: name, Region: region}
}

// Cells lets single columns of a row be read, where there are thousands of rows
// and all of one is much.
func (l List[R, K]) Cells(cells func(*R) facts.Cells) List[R, K] {
	l.facts.cells = cells
	return l
}

// plain is a column of a view that no screen draws in its own way.
func plain[R any](e *Env, f *factual[R], i int) ui.Column[R] {
	c := f.view.Columns[i]
	title := c.Title
	if title == "" {
		title = strings.ToUpper(strings.ReplaceAll(c.Name, "_", " "))
	}
	return ui.Column[R]{
		Name: c.Name, Title: title, Min: ui.Width(title), Max: max(ui.Width(title), 40), Align: ui.Auto, Extra: true,
		Cell: func(r *R) ui.Cell { return FactCell(e, c.Name, f.of(r)(i)) },
		By:   func(r *R) ui.Key { return ui.ByValue(f.of(r)(i)) },
	}
}

// FactCell draws a value of a row of facts as line mode prints it.
func FactCell(e *Env, name string, v any) ui.Cell {
	if v == nil {
		return ui.In(e.Theme.Faint, ui.None)
	}
	c := ui.Txt(ui.Value(name, v, e.Now()))
	c.Number = ui.IsNumber(v)
	return c
}

// Under says how to tell that something lies over the list, such as details:
// the list then has no filter, and no mouse.
func (l List[R, K]) Under(covered func() bool) List[R, K] {
	l.covered = covered
	return l
}

// Same says how to tell that a row is as it was; see ui.Table.SetSame.
func (l List[R, K]) Same(same func(old, now *R) bool) List[R, K] {
	l.SetSame(same)
	return l
}

// Covered says that something lies over the list.
func (l *List[R, K]) Covered() bool { return l.covered != nil && l.covered() }

// Inner implements Layered: of what lies over it a list knows nothing.
func (l *List[R, K]) Inner() (view *facts.View, rows []facts.Row) { return nil, nil }

// SetFilter implements Filterer.
func (l *List[R, K]) SetFilter(text string) error {
	if l.facts == nil {
		l.filter = text
		l.Table.SetFilter(ui.ParseFilter(text))
		return nil
	}
	f, err := facts.CompileFilter(text, l.facts.view)
	if err != nil {
		return err
	}
	was := l.filter
	l.apply(f, text)
	err = f.Mistake()
	if err == nil || l.Shown() > 0 {
		return nil
	}
	if before, bad := facts.CompileFilter(was, l.facts.view); bad == nil {
		l.apply(before, was)
	}
	return err
}

func (l *List[R, K]) apply(f *facts.Filter, text string) {
	l.filter, l.passing = text, f.Passing()
	if f.Words() {
		l.Table.SetFilter(ui.ParseFilter(text))
		return
	}
	l.SetKeep(func(r *R) bool { return f.KeepCells(l.facts.of(r)) })
}

// Lists implements Factual.
func (l *List[R, K]) Lists() *facts.View {
	if l.facts == nil {
		return nil
	}
	return l.facts.view
}

// Filter implements Filterer: under something there is nothing to filter.
func (l *List[R, K]) Filter() (text string, ok bool) {
	if l.Covered() {
		return "", false
	}
	return l.filter, true
}

// Columns implements Tabular.
func (l *List[R, K]) Columns() []TableColumn {
	all := l.Table.Columns()
	out := make([]TableColumn, len(all))
	for i, c := range all {
		out[i] = TableColumn(c)
	}
	return out
}

// Rows implements Tabular. Where there is no view there are none.
func (l *List[R, K]) Rows() (view *facts.View, rows []facts.Row) {
	if l.facts == nil {
		return nil, nil
	}
	l.Each(func(r *R) { rows = append(rows, l.facts.make(l.Snap, r)) })
	return l.facts.view, rows
}

// Chosen implements Chooser.
func (l *List[R, K]) Chosen() (view *facts.View, rows []facts.Row) {
	if l.facts == nil {
		return nil, nil
	}
	chosen, _ := l.Marked()
	if one := l.Selected(); one != nil && (len(chosen) == 0 || l.Covered()) {
		chosen = []*R{one}
	}
	for _, r := range chosen {
		rows = append(rows, l.facts.make(l.Snap, r))
	}
	return l.facts.view, rows
}

// Click implements Pointed.
func (l *List[R, K]) Click(x, y int, twice bool) tea.Cmd {
	switch {
	case l.Covered():
	case y == l.at:
		l.OrderAt(x)
	case l.Point(y-l.at) && twice:
		return Press(keys.Open)
	}
	return nil
}

// Wheel implements Pointed.
func (l *List[R, K]) Wheel(n int) {
	if !l.Covered() {
		l.Scroll(n)
	}
}

// TableAt says in which line of the screen the table begins, where that is not
// under the summary and a blank line.
func (l *List[R, K]) TableAt(line int) { l.at = line }

// SetSize implements Screen.
func (l *List[R, K]) SetSize(w, h int) {
	l.w, l.h = w, h
	l.Table.SetSize(w, h-2)
}

// Fill shows new rows.
func (l *List[R, K]) Fill(s *cluster.Snapshot, rows []R) {
	l.Snap = s
	if l.facts != nil {
		l.facts.snap, l.facts.last = s, nil
		l.SetOld(nil)
		if old := Old(s, l.things); old != nil {
			l.SetOld(func(r *R) bool { return old(l.facts.place(r)) })
		}
	}
	l.relate()
	if l.passing {
		l.Rejudge()
	}
	l.SetRows(rows)
}

// Counts implements Filterer.
func (l *List[R, K]) Counts() (shown, all int) { return l.Shown(), l.All() }

// Keys takes a message: it moves, sorts and marks for keys of the list, redraws
// ages at a tick, and returns the key that is left for the screen.
func (l *List[R, K]) Keys(msg any) (keys.ID, bool) {
	switch msg := msg.(type) {
	case TickMsg:
		l.Redraw()
	case KeyMsg:
		switch {
		case Move(l.Table, msg.ID):
		case msg.ID == keys.Mark:
			l.Mark()
		case msg.ID == keys.MarkAll:
			l.MarkAll()
		default:
			return msg.ID, true
		}
	}
	return "", false
}

// AskAll asks for an action on all marked rows, or on the one under the cursor
// when none is marked. Rows that mean the same, as GPUs of one node do, are one.
func (l *List[R, K]) AskAll(of func(*R) action.Request) tea.Cmd {
	rows, _ := l.Marked()
	if len(rows) == 0 {
		if r := l.Selected(); r != nil {
			rows = []*R{r}
		}
	}
	var reqs []action.Request
	for _, r := range rows {
		req := of(r)
		if !slices.ContainsFunc(reqs, func(q action.Request) bool { return q.Job == req.Job && q.Node == req.Node }) {
			reqs = append(reqs, req)
		}
	}
	return AskAll(reqs)
}

// Clear takes away what esc takes away first: the marks; false when there are none.
func (l *List[R, K]) Clear() bool { return !l.Covered() && l.Unmark() }

// View implements Screen: summary, a blank line, the table.
func (l *List[R, K]) View() string {
	if l.h < 3 {
		return ui.Block(nil, l.w, l.h)
	}
	summary := l.Env.Theme.Title.Render(l.things)
	if l.All() > 0 || l.Snap.Ready && refusal(l.Snap, l.things) == nil {
		summary = l.summary(l.Snap)
	}
	lines := append(make([]string, 0, l.h), ui.Sides("  "+summary, l.marks(), l.w), l.where())
	lines = append(lines, l.ViewLines(true)...)
	if l.Shown() == 0 {
		for i, text := range ui.Wrap(l.emptyText(), max(l.w-4, 1)) {
			if at := 4 + i; at < len(lines) {
				lines[at] = ui.Fit("  "+l.Env.Theme.Muted.Render(text), l.w)
			}
		}
	}
	return strings.Join(lines, "\n")
}

// marks says how many rows are marked.
func (l *List[R, K]) marks() string {
	rows, hidden := l.Marked()
	if len(rows) == 0 {
		return ""
	}
	th := l.Env.Theme
	text := th.G.Mark + " " + ui.Int(len(rows)) + " marked"
	if hidden > 0 {
		text += ", " + ui.Int(hidden) + " of them hidden"
	}
	return " " + th.Accent.Render(text) + "  "
}

func (l *List[R, K]) emptyText() string {
	switch {
	case l.All() > 0 && l.narrow.Within && l.filter == "":
		return "no " + l.things + " of " + ui.Clean(l.narrow.Words(l.Snap))
	case l.All() > 0:
		return "no " + l.things + " match the filter"
	}
	return EmptyText(l.Snap, l.things, l.Env.Now())
}

// Mover is what Move drives: every ui.Table.
type Mover interface {
	Move(n int) bool
	Top() bool
	Bottom() bool
	Page() int
	NextSort()
	Reverse()
}

// Move does the keys of scope List on a table; false means that id is another key.
func Move(t Mover, id keys.ID) bool {
	switch id {
	case keys.Up:
		t.Move(-1)
	case keys.Down:
		t.Move(1)
	case keys.PageUp:
		t.Move(-t.Page())
	case keys.PageDown:
		t.Move(t.Page())
	case keys.Top:
		t.Top()
	case keys.Bottom:
		t.Bottom()
	case keys.Sort:
		t.NextSort()
	case keys.Reverse:
		t.Reverse()
	default:
		return false
	}
	return true
}
