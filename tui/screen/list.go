package screen

import (
	"strings"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/tui/keys"
	"stoker/tui/ui"
)

// List is the base of a screen that is one table under one line of summary.
// Embed it, and write SetSnapshot, Update and Actions:
//
//	func (m *Model) SetSnapshot(s *cluster.Snapshot) { m.Fill(s, s.Nodes) }
//	func (m *Model) Update(msg tea.Msg) tea.Cmd {
//		k, ok := m.Keys(msg) // moves, sorts and redraws by itself
//		if !ok { return nil }
//		switch row := m.Selected(); k { … }
//	}
type List[R any, K comparable] struct {
	*ui.Table[R, K]
	Env  *Env
	Snap *cluster.Snapshot // the latest; never nil

	things  string
	summary func(*cluster.Snapshot) string
	filter  string // as it was typed
	view    *facts.View
	fact    func(*cluster.Snapshot, *R) facts.Row // nil where there is no view
	cells   func(*R) facts.Cells                  // the same by columns; nil: fact is cheap enough
	w, h    int
}

// NewList makes a List. things is the plural for an empty table; summary is
// one line above the table, drawn with each snapshot and tick.
func NewList[R any, K comparable](e *Env, things string, summary func(*cluster.Snapshot) string, key func(*R) K, cols []ui.Column[R]) List[R, K] {
	return List[R, K]{
		Table: ui.NewTable(e.Theme, key, cols), Env: e, Snap: &cluster.Snapshot{},
		things: things, summary: summary,
	}
}

// Facts lets the list be filtered by expressions over the columns of a view of
// line mode; row makes the view's row.
func (l List[R, K]) Facts(view string, row func(*cluster.Snapshot, *R) facts.Row) List[R, K] {
	if v, ok := facts.Find(view); ok {
		l.view, l.fact = v, row
	}
	return l
}

// Cells lets expressions read a row by columns, where there are thousands of
// rows and all of one is much.
func (l List[R, K]) Cells(cells func(*R) facts.Cells) List[R, K] {
	l.cells = cells
	return l
}

// SetFilter implements Filterer.
func (l *List[R, K]) SetFilter(text string) error {
	if l.fact == nil {
		l.filter = text
		l.Table.SetFilter(ui.ParseFilter(text))
		return nil
	}
	f, err := facts.CompileFilter(text, l.view)
	if err != nil {
		return err
	}
	l.filter = text
	if f.Words() {
		l.Table.SetFilter(ui.ParseFilter(text))
		return nil
	}
	l.SetKeep(func(r *R) bool {
		if l.cells != nil {
			return f.KeepCells(l.cells(r))
		}
		return f.Keep(l.fact(l.Snap, r))
	})
	return nil
}

// Fields are names that an expression may hold, those that people see in line
// mode; there are more. It is nil where there is no view.
func (l *List[R, K]) Fields() []string {
	if l.fact == nil {
		return nil
	}
	var names []string
	for _, c := range l.view.Columns {
		if c.Title != "" && !c.Wide {
			names = append(names, c.Name)
		}
	}
	return names
}

// Filter implements Filterer.
func (l *List[R, K]) Filter() (text string, ok bool) { return l.filter, true }

// SetSize implements Screen.
func (l *List[R, K]) SetSize(w, h int) {
	l.w, l.h = w, h
	l.Table.SetSize(w, h-2)
}

// Fill shows new rows.
func (l *List[R, K]) Fill(s *cluster.Snapshot, rows []R) {
	l.Snap = s
	l.SetRows(rows)
}

// Counts implements Filterer.
func (l *List[R, K]) Counts() (shown, all int) { return l.Shown(), l.All() }

// Keys takes a message: it moves and sorts for keys of the list, redraws ages
// at a tick, and returns the key that is left for the screen.
func (l *List[R, K]) Keys(msg any) (keys.ID, bool) {
	switch msg := msg.(type) {
	case TickMsg:
		l.Redraw()
	case KeyMsg:
		if !Move(l.Table, msg.ID) {
			return msg.ID, true
		}
	}
	return "", false
}

// View implements Screen: summary, a blank line, the table.
func (l *List[R, K]) View() string {
	if l.h < 3 {
		return ui.Block(nil, l.w, l.h)
	}
	summary := l.Env.Theme.Title.Render(l.things)
	if l.All() > 0 || l.Snap.Ready && refusal(l.Snap, l.things) == nil {
		summary = l.summary(l.Snap)
	}
	lines := append(make([]string, 0, l.h), ui.Fit("  "+summary, l.w), ui.Spaces(l.w))
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

func (l *List[R, K]) emptyText() string {
	if l.All() > 0 {
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
