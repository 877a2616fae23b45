package tui

import (
	"strings"

	"stoker/tui/keys"
	"stoker/tui/ui"
)

// newHelp lists the keys of the active screen, from the table that dispatches them.
func newHelp(m *model) overlay {
	e, th := m.env, m.env.Theme
	var lines []string
	section := func(title string, scope keys.Scope) {
		var rows []string
		for _, b := range e.Keys.In(scope) {
			if m.hidden(b) {
				continue
			}
			names := make([]string, len(b.Keys))
			for i, k := range b.Keys {
				names[i] = keys.Binding{Keys: []string{k}}.Shown()
			}
			rows = append(rows, "  "+th.Key.Render(ui.Fit(strings.Join(names, " "), 24))+"  "+b.Help)
		}
		if len(rows) > 0 {
			lines = append(append(lines, th.Title.Render(title)), append(rows, "")...)
		}
	}
	section("on "+string(m.active().name), m.active().scope)
	section("everywhere", keys.Global)
	section("in rows", keys.List)
	if m.cfg.ReadOnly {
		lines = append(lines, th.Muted.Render("Read-only: the keys that change the cluster are off."))
	} else {
		lines = append(lines, th.Muted.Render("Changes show what they will touch, and ask, before they begin."))
	}
	return newBox(e, "help", func(int) []string { return lines })
}

// hidden leaves out what cannot be done: changes that are not allowed, and
// screens that are not there.
func (m *model) hidden(b keys.Binding) bool {
	if def, change := b.Change(); change && m.env.Allowed(def.ID) != nil {
		return true
	}
	if !strings.HasPrefix(string(b.ID), "go ") || b.Scope != keys.Global {
		return false
	}
	for _, s := range m.screens {
		if s.key == b.ID {
			return false
		}
	}
	return true
}
