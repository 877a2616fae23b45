package tui

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/tui/encode"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// copyName puts what the chosen rows are called, or what they hold in a column,
// into the clipboard of the terminal that one sits at (OSC 52).
func (m *model) copyName(column string) (tea.Cmd, error) {
	s, ok := m.active().Screen.(screen.Chooser)
	if !ok {
		return nil, fmt.Errorf("there is nothing to copy here")
	}
	view, rows := s.Chosen()
	if len(rows) == 0 {
		return nil, errors.New("no row is selected")
	}
	name := view.Identity
	if column != "" {
		at, err := view.Choose([]string{column})
		if err != nil {
			return nil, err
		}
		name = func(r facts.Row) string { return view.Text(r, at[0]) }
	}
	var lines []string
	for _, r := range rows {
		if text := ui.Clean(name(r)); text != "" {
			lines = append(lines, text)
		}
	}
	if len(lines) == 0 {
		return nil, errors.New("that is unknown: there is nothing to copy")
	}
	what := lines[0]
	if len(lines) > 1 {
		what = fmt.Sprintf("%d lines", len(lines))
	}
	if m.environment("TMUX") != "" {
		what += " (tmux passes it on with: set -g set-clipboard on)"
	}
	m.note(cluster.Info, "copied "+what)
	return tea.SetClipboard(strings.Join(lines, "\n")), nil
}

// environment is a variable of the terminal's.
func (m *model) environment(name string) string {
	for _, e := range slices.Backward(m.cfg.Env) {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// export writes the rows that are shown to a file, with all columns when the
// table shows those that are there unless somebody chose.
func (m *model) export(path string, over bool) (tea.Cmd, error) {
	format := strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
	if format == "yml" {
		format = "yaml"
	}
	if path == "" || !slices.Contains(encode.Formats(), format) {
		return nil, fmt.Errorf("write the name of a file that ends in .csv, .json or .yaml")
	}
	view, columns, rows, err := m.shownRows()
	if err != nil {
		return nil, err
	}
	if home, err := os.UserHomeDir(); err == nil && strings.HasPrefix(path, "~/") {
		path = filepath.Join(home, path[2:])
	}
	return func() tea.Msg {
		if err := writeFile(path, format, columns, rows, over); err != nil {
			return screen.NoteMsg{Level: cluster.Bad, Text: "export: " + err.Error()}
		}
		return screen.NoteMsg{Level: cluster.Info, Text: fmt.Sprintf("wrote %s of %s to %s", ui.Count(len(rows), "row"), view, path)}
	}, nil
}

// shownRows are what an export writes: of details that lie over the list the table
// in which the cursor is. view is the name of the view of line mode.
func (m *model) shownRows() (view string, columns []facts.Column, rows []facts.Row, err error) {
	if l := m.layered(); l != nil {
		v, rows := l.Inner()
		if v == nil {
			return "", nil, nil, errors.New("this part of the details cannot be exported: tab goes to another, esc to the list")
		}
		return v.Name, v.Columns, rows, nil
	}
	tab, err := m.table()
	if err != nil {
		return "", nil, nil, err
	}
	v, rows := tab.Rows()
	if v == nil {
		return "", nil, nil, fmt.Errorf("%s cannot be exported", m.active().name)
	}
	columns = v.Columns
	if chosen := chosenColumns(tab, v); chosen != nil {
		columns, rows = encode.Pick(columns, rows, chosen)
	}
	return v.Name, columns, rows, nil
}

// chosenColumns are those that somebody chose, as columns of the view; nil when
// nobody did.
func chosenColumns(tab screen.Tabular, view *facts.View) []int {
	if !tab.Picked() {
		return nil
	}
	var out []int
	for _, c := range tab.Columns() {
		if at, ok := view.Field(c.Name); ok && c.Shown {
			out = append(out, at)
		}
	}
	return out
}

// writeFile writes rows to a file that only the user reads; one that is there
// stays, unless over says so.
func writeFile(path, format string, columns []facts.Column, rows []facts.Row, over bool) error {
	var b bytes.Buffer
	if err := encode.Write(&b, format, columns, rows); err != nil {
		return err
	}
	if !over {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the user names it
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already; :export! writes over it", path)
		}
		if err != nil {
			return err
		}
		_, err = f.Write(b.Bytes())
		return errors.Join(err, f.Close())
	}
	// What is there is replaced as a whole, and never half.
	f, err := os.CreateTemp(filepath.Dir(path), ".export-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b.Bytes())
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
