package ui

import (
	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"stoker/tui/theme"
)

// Line is an input of one line: the editing is that of bubbles' text input, the
// drawing our own, so that it fills its cells exactly and follows the theme.
// The zero value is empty and ready.
type Line struct {
	input textinput.Model
	made  bool
}

func (l *Line) ready() *textinput.Model {
	if !l.made {
		l.input = textinput.New()
		l.input.Prompt = ""
		// Pasting comes as a message from the terminal, never from the clipboard
		// of the machine that stoker runs on; completion is the command bar's.
		l.input.KeyMap.Paste = key.NewBinding()
		l.input.KeyMap.AcceptSuggestion = key.NewBinding()
		l.input.KeyMap.NextSuggestion = key.NewBinding()
		l.input.KeyMap.PrevSuggestion = key.NewBinding()
		l.input.Focus()
		l.made = true
	}
	return &l.input
}

// Value is what was typed.
func (l *Line) Value() string { return l.ready().Value() }

// Set replaces the text and puts the caret behind it.
func (l *Line) Set(s string) {
	in := l.ready()
	in.SetValue(Clean(s))
	in.CursorEnd()
}

// Insert puts cleaned text at the caret.
func (l *Line) Insert(s string) {
	in := l.ready()
	*in, _ = in.Update(tea.PasteMsg{Content: Clean(s)})
}

// Key takes an editing key and says whether it was one.
func (l *Line) Key(k tea.KeyPressMsg) bool {
	in := l.ready()
	value, at := in.Value(), in.Position()
	if k.Text != "" {
		k.Text = Clean(k.Text)
	}
	*in, _ = in.Update(k)
	return k.Text != "" || in.Value() != value || in.Position() != at || edits(in.KeyMap, k)
}

// edits says that a key is one for editing, also where it had nothing to do.
func edits(m textinput.KeyMap, k tea.KeyPressMsg) bool {
	return key.Matches(k, m.CharacterForward, m.CharacterBackward, m.WordForward, m.WordBackward,
		m.DeleteWordBackward, m.DeleteWordForward, m.DeleteAfterCursor, m.DeleteBeforeCursor,
		m.DeleteCharacterBackward, m.DeleteCharacterForward, m.LineStart, m.LineEnd)
}

// Head is what stands before the caret, Tail what stands behind it.
func (l *Line) Head() string { return string([]rune(l.Value())[:l.ready().Position()]) }

// Tail is what stands behind the caret.
func (l *Line) Tail() string { return string([]rune(l.Value())[l.ready().Position():]) }

// Put replaces the text and puts the caret between the two parts.
func (l *Line) Put(head, tail string) {
	in := l.ready()
	head = Clean(head)
	in.SetValue(head + Clean(tail))
	in.SetCursor(len([]rune(head)))
}

// Cell is the cell at which View, w cells wide, draws a character.
func (l *Line) Cell(at, w int) int {
	text, from := []rune(l.Value()), l.from(w)
	at = min(max(at, from), len(text))
	return Width(string(text[from:at]))
}

// from is the first character that View draws.
func (l *Line) from(w int) int {
	text, at := []rune(l.Value()), l.ready().Position()
	from := 0
	for from < at && Width(string(text[from:at])) > w-1 {
		from++
	}
	return from
}

// View draws the text with its caret in w cells; a long text scrolls.
func (l *Line) View(th *theme.Theme, w int) string {
	if w < 2 {
		return Spaces(w)
	}
	text, at, from := []rune(l.Value()), l.ready().Position(), l.from(w)
	before, under, after := string(text[from:at]), "", ""
	if at < len(text) {
		under, after = string(text[at]), string(text[at+1:])
		return Fit(before+th.Selected.Render(under)+after, w)
	}
	return Fit(before+th.Accent.Render(th.G.Block), w)
}
