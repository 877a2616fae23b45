package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// kind says what is typed in the footer.
type kind rune

const (
	commandLine kind = ':'
	filter      kind = '/'
)

// inputLine is the filter or the command bar.
type inputLine struct {
	kind
	ui.Line
	old    bool   // what is there is from the last time: typing replaces it
	before string // the filter when the line was opened
	loose  bool   // the filter is words, which may yet become an expression
	err    error  // what is wrong; the filter is then the last one that was right
	// insisted says that enter was pressed on what is wrong.
	insisted bool

	// While tab goes through what the end could become: what stands before it
	// and behind it, the options, and which one is in place.
	head, tail string
	tabs       []string
	tabAt      int

	sites []string // contexts that can be named; nil until they are asked for

	past int // how far back in the history; 0 is what was typed, which is kept
	kept string
}

func newInput(k kind, text string) *inputLine {
	l := &inputLine{kind: k, old: text != "" && k == filter, before: text}
	l.Set(text)
	return l
}

// argsAt is where, in characters, what the error is about begins: behind the
// name of a command.
func (l *inputLine) argsAt() int {
	if l.kind == filter {
		return 0
	}
	text := l.Value()
	_, args, _ := strings.Cut(strings.TrimLeft(text, " "), " ")
	return len([]rune(text)) - len([]rune(strings.TrimLeft(args, " ")))
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
		return m.accept()
	case keys.Complete:
		m.complete(1)
	case keys.CompleteBack:
		m.complete(-1)
	case keys.Older:
		m.recall(1)
	case keys.Newer:
		m.recall(-1)
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

// accept takes what was typed. With an error the line stays, to be put right.
func (m *model) accept() tea.Cmd {
	l := m.line
	text := strings.TrimSpace(l.Value())
	if l.kind == filter {
		if l.err != nil {
			l.insisted = true
			return nil
		}
		m.line = nil
		return m.past.add(filter, text)
	}
	m.line = nil // a command may open one of its own
	if text == "" {
		return nil
	}
	cmd, err := m.do(text)
	if err != nil {
		l.err, l.tabs, l.insisted = err, nil, true
		m.line = l
		return cmd
	}
	return tea.Batch(cmd, m.past.add(commandLine, text))
}

// recall goes back and forth in what was typed before.
func (m *model) recall(by int) {
	l := m.line
	if l.past == 0 {
		l.kept = l.Value()
	}
	text, ok := m.past.at(l.kind, l.past+by, l.kept)
	if !ok {
		return
	}
	l.past += by
	l.old, l.tabs = false, nil
	l.Set(text)
	m.typed()
}

// typed filters as one types.
func (m *model) typed() {
	l := m.line
	l.err, l.insisted = nil, false
	if l.kind != filter {
		return
	}
	l.err = m.setFilter(l.Value())
	if l.err != nil && l.loose { // they were the beginning of an expression
		_ = m.setFilter(l.before)
	}
	l.loose = l.err == nil && m.onlyWords(l.Value())
}

// lineRoom is how many cells what is typed has.
func (m *model) lineRoom() int { return max(m.w-ui.Width(m.lineRight())-5, 4) }

// lineRight stands at the right of what is typed.
func (m *model) lineRight() string {
	s, ok := m.active().Screen.(screen.Filterer)
	if m.line.kind != filter || !ok {
		return ""
	}
	shown, all := s.Counts()
	text := ui.Int(shown) + " of " + ui.Int(all)
	if m.line.old {
		text += "   typing replaces it"
	}
	text = ui.Fit(text, min(ui.Width(text), m.w*2/3))
	return m.env.Theme.Muted.Render(text)
}

// lineView draws what is typed.
func (m *model) lineView(w int) string {
	th, room := m.env.Theme, m.lineRoom()
	text := m.line.View(th, room)
	if m.line.old {
		text = th.Selected.Render(ui.Fit(m.line.Value(), min(ui.Width(m.line.Value()), room)))
	}
	left := " " + th.Key.Render(string(rune(m.line.kind))) + text
	return ui.Sides(left, m.lineRight()+"  ", w)
}
