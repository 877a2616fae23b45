package tui

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"stoker/cluster/facts"
	"stoker/tui/ui"
)

// suggestion is what the end of the line could become.
type suggestion struct {
	facts.Completion
	usage string // what follows, where there is nothing to list
}

// suggest looks at the line up to the caret.
func (m *model) suggest() suggestion {
	head := m.line.Head()
	if m.line.kind == filter {
		return suggestion{Completion: m.completeHere(head)}
	}
	word, args, more := strings.Cut(head, " ")
	if !more {
		var names []string
		for _, c := range m.commands() {
			names = append(names, c.name)
		}
		names = append(names, slices.Sorted(maps.Keys(m.user.Aliases))...)
		s := suggestion{Completion: facts.Completion{Options: beginning(names, word)}}
		if c, _, err := m.resolve(word); err == nil && word != "" && len(s.Options) < 2 {
			s.usage = synopsis(c)
		}
		return s
	}
	c, _, err := m.resolve(word)
	if err != nil {
		return suggestion{}
	}
	s := suggestion{usage: synopsis(c)}
	if c.complete != nil {
		s.Completion = c.complete(args)
		s.From += len([]rune(word)) + 1
	}
	return s
}

func synopsis(c command) string {
	text := ":" + c.name
	if c.args != "" {
		text += " " + c.args
	}
	return text + "   " + c.help
}

// complete puts the next thing that the end of the line could become in its
// place; by says in which direction.
func (m *model) complete(by int) {
	l := m.line
	if l.tabs == nil {
		s := m.suggest()
		if len(s.Options) == 0 {
			return
		}
		l.head, l.tail, l.tabs, l.tabAt = string([]rune(l.Head())[:s.From]), l.Tail(), s.Options, -1
		if by < 0 {
			l.tabAt = 0
		}
	}
	l.tabAt = (l.tabAt + by + len(l.tabs)) % len(l.tabs)
	l.old = false
	l.Put(l.head+l.tabs[l.tabAt], l.tail)
	m.typed()
}

// underLine stands under what is typed: what is wrong with it and where, or what
// it may become.
func (m *model) underLine() string {
	th, l := m.env.Theme, m.line
	s := suggestion{Completion: facts.Completion{Options: l.tabs}}
	if l.tabs == nil {
		s = m.suggest()
	}
	if l.err != nil && (l.insisted || len(s.Options) == 0 || !m.unfinished(s.From)) {
		return m.errorLine()
	}
	if len(s.Options) > 0 {
		var parts []string
		from := 0
		for width, i := 0, 0; i <= l.tabAt && l.tabs != nil; i++ { // the one in place is always seen
			if width += ui.Width(s.Options[i]) + 2; width > m.w-4 {
				from, width = i, ui.Width(s.Options[i])+2
			}
		}
		for i, o := range s.Options[from:] {
			if l.tabs != nil && from+i == l.tabAt {
				parts = append(parts, th.Key.Render(ui.Clean(o)))
			} else {
				parts = append(parts, th.Muted.Render(ui.Clean(o)))
			}
		}
		return ui.Fit("  "+strings.Join(parts, "  "), m.w)
	}
	switch {
	case s.usage != "":
		return th.Muted.Render(ui.Fit("  "+s.usage, m.w))
	case l.kind == filter && l.Value() == "":
		text := "  words, or !word to leave out"
		if lists(m.active().Screen) != nil {
			text += ", name=word, or an expression such as " + example(lists(m.active().Screen))
		}
		return th.Muted.Render(ui.Fit(text, m.w))
	}
	return ""
}

// unfinished says that what is wrong is the word that is being typed, which may
// yet become right.
func (m *model) unfinished(from int) bool {
	var wrong *facts.FilterError
	return errors.As(m.line.err, &wrong) && (wrong.At < 0 || wrong.At+m.line.argsAt() >= from)
}

// example is an expression over a view.
func example(v *facts.View) string {
	for _, e := range []string{"util < 5 && held", "util < 5", "waiting && gpus_wanted > 4", `level == "bad"`, "error > 0", "loss > 1"} {
		if _, err := facts.CompileFilter(e, v); err == nil {
			return e
		}
	}
	return v.Columns[2].Name + ` == "…"`
}

// errorLine says what is wrong, with a sign under the place where that is known.
func (m *model) errorLine() string {
	th, l := m.env.Theme, m.line
	text, at := l.err.Error(), -1
	var wrong *facts.FilterError
	if errors.As(l.err, &wrong) {
		if text = wrong.Err.Error(); wrong.At >= 0 {
			at = wrong.At + l.argsAt()
		}
	}
	text, _, _ = strings.Cut(text, "\n")
	text = ui.Clean(text)
	if at >= 0 {
		cell := 2 + l.Cell(at, m.lineRoom())
		switch {
		case cell+2+ui.Width(text) <= m.w:
			return th.Bad.Render(ui.Fit(ui.Spaces(cell)+"^ "+text, m.w))
		case cell >= ui.Width(text)+3:
			return th.Bad.Render(ui.Fit(ui.Spaces(cell-ui.Width(text)-1)+text+" ^", m.w))
		}
	}
	return th.Bad.Render(ui.Fit("  "+th.G.Bad+" "+text, m.w))
}
