package tui

import (
	"slices"
	"strings"
	"testing"

	"stoker/cluster"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
)

// onlyDrawn are columns that a screen draws and line mode has no word for.
var onlyDrawn = []string{"trend", "read", "jobs", "util_percent", "clock", "progress", "loss_curve", "state", "warnings"}

// TestEveryTableIsTabular holds that columns have the names of line mode, that
// each can be shown and ordered by where it says so, and that a row has them all.
func TestEveryTableIsTabular(t *testing.T) {
	for _, snap := range []*cluster.Snapshot{fixture.Lab(), fixture.Top()} {
		r := newRig(t, snap, func(c *Config) { c.Local = len(snap.Jobs) == 0 })
		for _, s := range r.screens {
			tab, ok := s.Screen.(screen.Tabular)
			if !ok {
				if slices.Contains([]screen.Name{screen.Nodes, screen.GPUs, screen.Jobs, screen.Models, screen.Training, screen.Keys, screen.Events, screen.Usage}, s.name) {
					t.Errorf("%s is not tabular", s.name)
				}
				continue
			}
			if _, ok := s.Screen.(screen.Pointed); !ok {
				t.Errorf("%s does not follow the mouse", s.name)
			}
			s.SetSnapshot(snap)
			checkTable(t, s.name, tab)
		}
	}
}

func checkTable(t *testing.T, name screen.Name, tab screen.Tabular) {
	t.Helper()
	view, rows := tab.Rows()
	if view == nil || len(rows) == 0 {
		t.Errorf("%s: no rows of facts", name)
		return
	}
	known := map[string]bool{}
	for _, c := range view.Columns {
		known[c.Name] = true
	}
	for _, c := range tab.Columns() {
		if !known[c.Name] && !slices.Contains(onlyDrawn, c.Name) {
			t.Errorf("%s: line mode does not know the column %q", name, c.Name)
		}
		delete(known, c.Name)
		if err := tab.ShowColumns([]string{c.Name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if now := tab.Columns(); now[0].Name != c.Name || !now[0].Shown || now[1].Shown {
			t.Errorf("%s: %s is not the only one: %v", name, c.Name, now[:2])
		}
		if err := tab.OrderBy(c.Name, true); err != nil {
			if !slices.Contains(onlyDrawn, c.Name) { // which may have none
				t.Errorf("%s, %s: %v", name, c.Name, err)
			}
		} else if column, down := tab.Order(); column != c.Name || !down {
			t.Errorf("%s: in order of %s", name, column)
		}
	}
	for left := range known {
		t.Errorf("%s: %s of line mode cannot be shown", name, left)
	}
	if err := tab.ShowColumns(nil); err != nil {
		t.Error(err)
	}
	if err := tab.ShowColumns([]string{"nothing"}); err == nil {
		t.Errorf("%s: shows a column that there is not", name)
	}
	if len(rows[0]) != len(view.Columns) {
		t.Errorf("%s: %d values for %d columns", name, len(rows[0]), len(view.Columns))
	}
}

// TestChoosingColumns is the way of a person: C, and keys.
func TestChoosingColumns(t *testing.T) {
	r := newRig(t, fixture.Lab())
	r.press("3", "C")
	r.press("J", "j", "space", "o", "enter")
	tab := r.active().Screen.(screen.Tabular)
	if now := tab.Columns(); now[0].Name != "model" || now[1].Name != "node" || now[2].Name != "util_percent" {
		t.Errorf("%v", now[:4])
	}
	if name, _ := tab.Order(); name != "state" {
		t.Errorf("in order of %q", name)
	}
	r.press("C", "space", "space", "esc", "C", "r")
	if now := tab.Columns(); now[0].Name != "node" || r.over != nil {
		t.Errorf("not as it was: %v", now[:4])
	}
}

func TestEscTakesMarksAwayFirst(t *testing.T) {
	r := newRig(t, fixture.Lab())
	r.press("2")
	r.press("space", "space")
	if !strings.Contains(fixture.Picture(r.draw()), "◆ 2 marked") {
		t.Error(fixture.Picture(r.draw()))
	}
	r.press("/", `"gpu-b"`, "enter", "esc")
	if text, _ := r.filter(); text != "gpu-b" || strings.Contains(r.draw(), "marked") {
		t.Errorf("filter %q", text)
	}
}
