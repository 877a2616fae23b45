package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// kind says what is typed in the footer.
type kind rune

const (
	command kind = ':'
	filter  kind = '/'
)

// inputLine is the filter or the command bar.
type inputLine struct {
	kind
	ui.Line
	tabs  []string // what the tab key goes through
	tabAt int
}

func newInput(k kind, text string) *inputLine {
	l := &inputLine{kind: k}
	l.Set(text)
	return l
}

func (m *model) lineKey(k tea.KeyPressMsg) tea.Cmd {
	switch id, _ := m.env.Keys.Lookup(k.String(), keys.Input); id {
	case keys.Cancel:
		if m.line.kind == filter {
			m.setFilter(m.top(), ui.Filter{})
		}
		m.line = nil
	case keys.Accept:
		l := m.line
		m.line = nil
		if l.kind == command {
			return m.command(strings.Fields(l.Value()))
		}
	case keys.Complete:
		m.complete()
	default:
		if k.String() == "backspace" && m.line.Value() == "" {
			m.line = nil // as vi and less do
			return nil
		}
		if m.line.Key(k) {
			m.line.tabs = nil
			m.typed()
		}
	}
	return nil
}

// typed filters as one types.
func (m *model) typed() {
	if m.line.kind != filter {
		return
	}
	if f, err := ui.ParseFilter(m.line.Value()); err == nil {
		m.setFilter(m.top(), f)
	}
}

// commands lists what the command bar knows.
func (m *model) commands() []string {
	var out []string
	for _, s := range m.screens {
		out = append(out, string(s.name))
	}
	out = append(out, "help", "messages", "quit")
	for _, t := range theme.Names() {
		out = append(out, "theme "+t)
	}
	return out
}

func (m *model) matches(text string) []string {
	var out []string
	for _, c := range m.commands() {
		if strings.HasPrefix(c, text) {
			out = append(out, c)
		}
	}
	return out
}

func (m *model) complete() {
	l := m.line
	if l.kind != command {
		return
	}
	if l.tabs == nil {
		l.tabs, l.tabAt = m.matches(l.Value()), -1
	}
	if len(l.tabs) > 0 {
		l.tabAt = (l.tabAt + 1) % len(l.tabs)
		l.Set(l.tabs[l.tabAt])
	}
}

// command does what was typed: a screen, with words to filter by, or a word of
// its own. A word may be cut short as long as it is clear.
func (m *model) command(words []string) tea.Cmd {
	if len(words) == 0 {
		return nil
	}
	switch words[0] {
	case "q", "q!", "quit", "exit":
		return tea.Quit
	case "theme":
		return m.restyle(strings.Join(words[1:], " "))
	}
	var found []string
	for _, c := range m.matches(words[0]) {
		if c == words[0] {
			found = []string{c}
			break
		}
		if !strings.Contains(c, " ") {
			found = append(found, c)
		}
	}
	switch {
	case len(found) == 0:
		m.note(cluster.Warn, "there is no command :"+words[0]+"; tab completes, ? lists the keys")
		return nil
	case len(found) > 1:
		m.note(cluster.Warn, ":"+words[0]+" could be "+strings.Join(found, ", "))
		return nil
	case found[0] == "help":
		m.over = newHelp(m)
		return nil
	case found[0] == "messages":
		m.over = newMessages(m)
		return nil
	case found[0] == "quit":
		return tea.Quit
	}
	i, _ := m.find(screen.Name(found[0]))
	cmd := m.switchTo(i)
	if f, err := ui.ParseFilter(strings.Join(words[1:], " ")); err == nil && !f.Empty() {
		m.setFilter(i, f)
	}
	return cmd
}

// lineView draws what is typed, and what it could become.
func (m *model) lineView(w int) string {
	th := m.env.Theme
	right := ""
	if m.line.kind == command {
		right = th.Muted.Render(strings.Join(m.matches(m.line.Value()), "  "))
		if m.line.tabs != nil {
			right = th.Muted.Render(strings.Join(m.line.tabs, "  "))
		}
	} else if s, ok := m.active().Screen.(screen.Filterer); ok {
		shown, all := s.Counts()
		right = th.Muted.Render(ui.Int(shown) + " of " + ui.Int(all) + "   !word leaves out")
	}
	right = ui.Fit(right, min(ui.Width(right), w*2/3))
	left := " " + th.Key.Render(string(rune(m.line.kind))) + m.line.View(th, max(w-ui.Width(right)-5, 4))
	return ui.Sides(left, right+"  ", w)
}
