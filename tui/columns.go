package tui

import (
	"errors"
	"slices"

	tea "charm.land/bubbletea/v2"

	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// chooser chooses the columns of a table. Nothing changes until it is taken.
type chooser struct {
	env   *screen.Env
	table screen.Tabular
	all   []screen.TableColumn
	at    int
	order string
	desc  bool
	page  int
	err   error
}

func newChooser(e *screen.Env, t screen.Tabular) *chooser {
	c := &chooser{env: e, table: t, all: t.Columns()}
	c.order, c.desc = t.Order()
	return c
}

func (c *chooser) paste(string) {}

func (c *chooser) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	id, _ := c.env.Keys.Lookup(k.String(), keys.Choose)
	switch id {
	case keys.Cancel:
		return nil, true
	case keys.Accept:
		c.err = c.take()
		return nil, c.err == nil
	case keys.Restore:
		c.err = c.table.ShowColumns(nil)
		return nil, c.err == nil
	}
	if len(c.all) == 0 {
		return nil, false
	}
	switch id {
	case keys.Up:
		c.at--
	case keys.Down:
		c.at++
	case keys.PageUp:
		c.at -= c.page
	case keys.PageDown:
		c.at += c.page
	case keys.Top:
		c.at = 0
	case keys.Bottom:
		c.at = len(c.all) - 1
	case keys.Toggle:
		c.all[c.at].Shown = !c.all[c.at].Shown
	case keys.MoveUp:
		c.move(-1)
	case keys.MoveDown:
		c.move(1)
	case keys.Sort:
		name := c.all[c.at].Name
		c.order, c.desc = name, name == c.order && !c.desc
	}
	c.at = max(min(c.at, len(c.all)-1), 0)
	return nil, false
}

// move takes the column along.
func (c *chooser) move(n int) {
	if to := c.at + n; to >= 0 && to < len(c.all) {
		c.all[c.at], c.all[to] = c.all[to], c.all[c.at]
		c.at = to
	}
}

func (c *chooser) take() error {
	names := shownNames(c.all)
	if len(names) == 0 {
		return errors.New("a table needs a column: space shows one")
	}
	if !slices.Equal(names, shownNames(c.table.Columns())) {
		if err := c.table.ShowColumns(names); err != nil {
			return err
		}
	}
	return c.table.OrderBy(c.order, c.desc)
}

func shownNames(all []screen.TableColumn) []string {
	var names []string
	for _, c := range all {
		if c.Shown {
			names = append(names, c.Name)
		}
	}
	return names
}

func (c *chooser) view(w, h int) []string {
	th := c.env.Theme
	w = min(w, 64)
	c.page = max(h-4, 1)
	from := max(min(c.at-c.page/2, len(c.all)-c.page), 0)
	var lines []string
	for i := from; i < min(from+c.page, len(c.all)); i++ {
		lines = append(lines, c.line(i, w-4))
	}
	foot := th.Muted.Render("space show  J K move  o order  r as it was  " + th.G.Enter + " take  esc no")
	if c.err != nil {
		foot = th.Bad.Render(th.G.Bad + " " + ui.Clean(c.err.Error()))
	}
	return ui.Box(th, "columns", append(lines, "", ui.Fit(foot, w-4)), w)
}

func (c *chooser) line(i, w int) string {
	th, col := c.env.Theme, c.all[i]
	sign, st := th.G.Off, th.Muted
	if col.Shown {
		sign, st = th.G.OK, th.Text
	}
	order := ""
	if col.Name == c.order {
		order = th.G.Up + " order"
		if c.desc {
			order = th.G.Down + " order"
		}
	}
	text := ui.Fit(sign+" "+ui.Clean(col.Name), max(w/2+4, 1)) + "  " + ui.Clean(col.Title)
	line := ui.Sides(text, order, w-2)
	if i == c.at {
		return th.Selected.Render(th.G.Select + " " + line)
	}
	return "  " + st.Render(line)
}
