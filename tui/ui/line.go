package ui

import (
	"slices"
	"unicode"

	tea "charm.land/bubbletea/v2"

	"stoker/tui/theme"
)

// Line is an input of one line. The zero value is empty and ready.
type Line struct {
	text []rune
	at   int // caret, in runes
}

// Value is what was typed.
func (l *Line) Value() string { return string(l.text) }

// Set replaces the text and puts the caret behind it.
func (l *Line) Set(s string) {
	l.text = []rune(Clean(s))
	l.at = len(l.text)
}

// Insert puts cleaned text at the caret.
func (l *Line) Insert(s string) {
	add := []rune(Clean(s))
	l.text = slices.Insert(l.text, l.at, add...)
	l.at += len(add)
}

// Key takes an editing key and says whether it was one.
func (l *Line) Key(k tea.KeyPressMsg) bool {
	switch k.String() {
	case "left", "ctrl+b":
		l.at = max(l.at-1, 0)
	case "right", "ctrl+f":
		l.at = min(l.at+1, len(l.text))
	case "home", "ctrl+a":
		l.at = 0
	case "end", "ctrl+e":
		l.at = len(l.text)
	case "backspace", "ctrl+h":
		if l.at > 0 {
			l.text = slices.Delete(l.text, l.at-1, l.at)
			l.at--
		}
	case "delete":
		if l.at < len(l.text) {
			l.text = slices.Delete(l.text, l.at, l.at+1)
		}
	case "ctrl+u":
		l.text, l.at = slices.Delete(l.text, 0, l.at), 0
	case "ctrl+k":
		l.text = l.text[:l.at]
	case "ctrl+w":
		from := l.at
		for from > 0 && unicode.IsSpace(l.text[from-1]) {
			from--
		}
		for from > 0 && !unicode.IsSpace(l.text[from-1]) {
			from--
		}
		l.text, l.at = slices.Delete(l.text, from, l.at), from
	default:
		if k.Text == "" {
			return false
		}
		l.Insert(k.Text)
	}
	return true
}

// View draws the text with its caret in w cells; a long text scrolls.
func (l *Line) View(th *theme.Theme, w int) string {
	if w < 2 {
		return Spaces(w)
	}
	from := 0
	for from < l.at && Width(string(l.text[from:l.at])) > w-1 {
		from++
	}
	before, under, after := string(l.text[from:l.at]), "", ""
	if l.at < len(l.text) {
		under, after = string(l.text[l.at]), string(l.text[l.at+1:])
		return Fit(before+th.Selected.Render(under)+after, w)
	}
	return Fit(before+th.Accent.Render(th.G.Block), w)
}
