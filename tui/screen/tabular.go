package screen

import (
	tea "charm.land/bubbletea/v2"

	"stoker/cluster/facts"
)

// Tabular is a screen whose top is one table of a facts.View: what the command
// bar, saved views, hotkeys and the export know of it. All names are those of
// the view's columns, as line mode and filters use them; what only a screen can
// draw, such as a trend, has a name of its own that the view does not know.
type Tabular interface {
	// Columns are all that the table can show: first what is shown, in order.
	Columns() []TableColumn
	// ShowColumns shows these and no others, in this order; none means those
	// that are shown unless somebody chose. An unknown name is an error that
	// says which there are, and changes nothing.
	ShowColumns(names []string) error
	// Picked says that somebody chose the columns.
	Picked() bool
	// Order is the column that the rows are in order of; empty is the given order.
	Order() (column string, descending bool)
	// OrderBy orders the rows; an unknown name is an error and changes nothing.
	OrderBy(column string, descending bool) error
	// Rows are those that the filter keeps, in the order shown, with every
	// column of the view; without a view there are none.
	Rows() (view *facts.View, rows []facts.Row)
}

// Factual is a screen that says of which view the rows on top are, so that what
// is typed about them can be completed; nil where there are only words.
type Factual interface{ Lists() *facts.View }

// Chooser is a screen on which one means rows: those marked, else the one under
// the cursor.
type Chooser interface {
	Chosen() (view *facts.View, rows []facts.Row)
}

// Part is one of several lists on one screen: all that is asked of such a screen
// is asked of the one in which the keys move. A List is one.
type Part interface {
	Tabular
	Filterer
	Factual
	Chooser
	// FocusRow is the row of facts of what the cursor is on; nil without one.
	FocusRow() (*facts.View, facts.Row)
	// Clear takes the marks away; false when there are none.
	Clear() bool
}

// Layered is a screen on which something may lie over the list, such as details:
// all that is typed about a table is not about the list then.
type Layered interface {
	Covered() bool
	// Inner are the rows of what lies over the list: of a table there the one in
	// which the cursor is. Without a view nothing there is made of facts.
	Inner() (view *facts.View, rows []facts.Row)
}

// TableColumn is one column of a Tabular.
type TableColumn struct {
	Name, Title string
	Shown       bool
}

// Pointed is a screen that follows the mouse. x and y count from the top left
// of what View draws.
type Pointed interface {
	// Click selects what is there, or orders by the column whose heading it is;
	// twice on the same row opens it.
	Click(x, y int, twice bool) tea.Cmd
	// Wheel scrolls by lines, down when n is positive.
	Wheel(n int)
}
