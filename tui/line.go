package tui

import (
	"errors"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
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
	old   bool     // what is there is from the last time: typing replaces it
	err   error    // about an expression; the filter is then the last one that was right
	tabs  []string // what the tab key goes through
	tabAt int
}

func newInput(k kind, text string) *inputLine {
	l := &inputLine{kind: k, old: text != ""}
	l.Set(text)
	return l
}

// replace takes the text of the last time away, unless it was edited since.
func (l *inputLine) replace() {
	if l.old {
		l.Set("")
	}
	l.old = false
}

// edit takes an editing key and says whether it was one. The first one replaces
// the old text or, moving the caret, goes on from it.
func (l *inputLine) edit(k tea.KeyPressMsg) bool {
	switch {
	case l.old && k.String() == "backspace":
		l.replace()
		return true
	case k.Text != "":
		l.replace()
	}
	l.old = false
	return l.Key(k)
}

func (m *model) lineKey(k tea.KeyPressMsg) tea.Cmd {
	switch id, _ := m.env.Keys.Lookup(k.String(), keys.Input); id {
	case keys.Cancel:
		if m.line.kind == filter {
			m.clearFilter()
		}
		m.line = nil
	case keys.Accept:
		l := m.line
		if l.err != nil {
			return nil // it stays, to be put right
		}
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
		if m.line.edit(k) {
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
	m.line.err = m.setFilter(m.line.Value())
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
	if len(words) > 1 {
		if err := m.setFilter(strings.Join(words[1:], " ")); err != nil {
			m.note(cluster.Warn, "filter: "+filterError(err))
		}
	}
	return cmd
}

// filterError says in one line what is wrong with an expression, and what could
// be named in it.
func filterError(err error) string {
	text := err.Error()
	var wrong *facts.FilterError
	if errors.As(err, &wrong) {
		text = wrong.Err.Error()
	}
	text, _, _ = strings.Cut(text, "\n") // a drawing of the place follows
	if wrong != nil {
		text += "   " + wrong.Hint()
	}
	return ui.Clean(text)
}

// underLine stands under what is typed: what is wrong with it, or what it may be.
func (m *model) underLine() string {
	th := m.env.Theme
	if m.line.err != nil {
		return th.Bad.Render(ui.Fit("  "+th.G.Bad+" "+filterError(m.line.err), m.w))
	}
	if s, ok := m.active().Screen.(interface{ Fields() []string }); ok && m.line.kind == filter {
		if names := s.Fields(); len(names) > 0 {
			return th.Muted.Render(ui.Fit("  words, !word, or an expression (< == && …) over "+strings.Join(names, ", "), m.w))
		}
	}
	return m.tabs()
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
		hint := "!word leaves out"
		if m.line.old {
			hint = "typing replaces it"
		}
		right = th.Muted.Render(ui.Int(shown) + " of " + ui.Int(all) + "   " + hint)
	}
	right = ui.Fit(right, min(ui.Width(right), w*2/3))
	room := max(w-ui.Width(right)-5, 4)
	text := m.line.View(th, room)
	if m.line.old {
		text = th.Selected.Render(ui.Fit(m.line.Value(), min(ui.Width(m.line.Value()), room)))
	}
	left := " " + th.Key.Render(string(rune(m.line.kind))) + text
	return ui.Sides(left, right+"  ", w)
}
