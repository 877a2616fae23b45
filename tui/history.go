package tui

import (
	"slices"

	tea "charm.land/bubbletea/v2"
)

// Past keeps what was typed into the command bar and as filters; *settings.History
// is one. Each line begins with ":" or "/".
type Past interface {
	Lines() []string // the oldest first
	// Add keeps one more. It takes the time that a disk does.
	Add(line string) error
}

// typedPast is what was typed, of this session and of those before it.
type typedPast struct {
	store Past // nil: of this session alone
	lines map[kind][]string
}

func newPast(store Past) typedPast {
	p := typedPast{store: store, lines: map[kind][]string{}}
	if store == nil {
		return p
	}
	for _, l := range store.Lines() {
		if r := []rune(l); len(r) > 1 {
			p.put(kind(r[0]), string(r[1:]))
		}
	}
	return p
}

// put makes a line the newest.
func (p *typedPast) put(k kind, text string) {
	p.lines[k] = append(slices.DeleteFunc(p.lines[k], func(l string) bool { return l == text }), text)
}

// add keeps a line. That the file cannot be written costs no more than the past.
func (p *typedPast) add(k kind, text string) tea.Cmd {
	if text == "" {
		return nil
	}
	p.put(k, text)
	if p.store == nil {
		return nil
	}
	return func() tea.Msg { _ = p.store.Add(string(rune(k)) + text); return nil }
}

// at is the n-th line back of those that begin as what was typed; 0 is that itself.
func (p *typedPast) at(k kind, n int, typed string) (string, bool) {
	if n == 0 {
		return typed, true
	}
	lines := p.lines[k]
	if n < 0 || n > len(lines) {
		return "", false
	}
	return lines[len(lines)-n], true
}
