package tui

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"stoker/cluster"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// newHelp lists the keys of the active screen and the commands, from the tables
// that dispatch them.
func newHelp(m *model) overlay {
	return newBox(m.env, "help", func(w int) []string {
		th := m.env.Theme
		lines := m.helpOn("on "+string(m.active().name), m.active().scope, w)
		if own := m.scopes()[0]; own == keys.ScopeLog {
			lines = m.helpOn("in the log", own, w)
		}
		if m.active().name == screen.Submit {
			lines = append(lines, m.helpOn("in the form", keys.Form, w)...)
		}
		if _, ok := m.active().Screen.(screen.Focused); ok && !m.cfg.Local && m.scopes()[0] != keys.ScopeLog {
			lines = append(lines, m.helpOn("from a row to what belongs to it", keys.Jump, w)...)
		}
		lines = append(lines, m.helpOn("in rows", keys.List, w)...)
		lines = append(lines, m.helpOn("everywhere", keys.Global, w)...)
		lines = append(lines, m.helpOnOwn(w)...)
		lines = append(lines, m.helpOnCommands(w)...)
		lines = append(lines, m.helpOn("while typing", keys.Input, w)...)
		if m.cfg.ReadOnly {
			return append(lines, th.Muted.Render("Read-only: the keys that change the cluster are off."))
		}
		return append(lines, th.Muted.Render("Changes show what they will touch, and ask, before they begin."))
	})
}

// helpOn lists one scope.
func (m *model) helpOn(title string, scope keys.Scope, w int) []string {
	th := m.env.Theme
	var rows []string
	for _, b := range m.env.Keys.In(scope) {
		text := b.Help
		switch err := m.refused(b); {
		case err != nil:
			text = th.Warn.Render(ui.Clean(err.Error())) + th.Muted.Render(" to "+text)
		case m.hidden(b):
			continue
		}
		rows = append(rows, "  "+th.Key.Render(ui.Fit(strings.Join(b.Keys, "  "), min(28, w/4)))+"  "+text)
	}
	if len(rows) == 0 {
		return nil
	}
	return append(append([]string{th.Title.Render(title)}, rows...), "")
}

// helpOnOwn lists what the user put on keys, and the user's own words.
func (m *model) helpOnOwn(w int) []string {
	th := m.env.Theme
	var out []string
	add := func(sign string, of map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(of)) {
			out = append(out, "  "+th.Key.Render(ui.Fit(ui.Clean(sign+name), min(28, w/4)))+"  :"+ui.Clean(strings.TrimPrefix(of[name], ":")))
		}
	}
	add("", m.user.Hotkeys)
	add(":", m.user.Aliases)
	if len(out) == 0 {
		return nil
	}
	return append(append([]string{th.Title.Render("your own")}, out...), "")
}

// helpOnCommands lists the commands with what else they are called.
func (m *model) helpOnCommands(w int) []string {
	th := m.env.Theme
	out := []string{th.Title.Render("commands")}
	for _, c := range m.commands() {
		name := ":" + c.name
		if c.args != "" {
			name += " " + c.args
		}
		text := c.help
		if len(c.aliases) > 0 {
			text += th.Muted.Render("   also " + strings.Join(c.aliases, ", "))
		}
		out = append(out, "  "+th.Key.Render(ui.Fit(name, min(28, w/3)))+"  "+text)
	}
	return append(out, "")
}

// refused is what a token lacks for a change. It is said before the key is
// pressed; read-only mode is said once for all.
func (m *model) refused(b keys.Binding) error {
	def, change := b.Change()
	if !change {
		return nil
	}
	if err := m.env.Allowed(def.ID); errors.Is(err, cluster.ErrDenied) {
		return err
	}
	return nil
}

// hidden leaves out what cannot be done: changes that are not allowed, and
// screens that are not there.
func (m *model) hidden(b keys.Binding) bool {
	if def, change := b.Change(); change && m.env.Allowed(def.ID) != nil {
		return true
	}
	if b.ID == keys.EndProcess && (m.cfg.ReadOnly || m.cfg.Killer == nil) {
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
