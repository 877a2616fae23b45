package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/jobs/action"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// maxStack bounds the way back.
const maxStack = 16

func (m *model) active() entry { return m.screens[m.top()] }

func (m *model) top() int { return m.stack[len(m.stack)-1].screen }

// visit is one screen on the way to the active one.
type visit struct {
	screen int
	from   string // what the cursor was on where one came from
	// restore puts the screen back as it was, where it lies further down, too.
	restore func()
}

// scopes are those in which a key is looked for.
func (m *model) scopes() []keys.Scope {
	own, jump := m.active().scope, keys.Jump
	if s, ok := m.active().Screen.(interface{ Scope() keys.Scope }); ok && s.Scope() != "" {
		own, jump = s.Scope(), ""
	}
	return []keys.Scope{own, jump, keys.List, keys.Global}
}

// find looks a screen up; without one it is the first.
func (m *model) find(name screen.Name) (int, bool) {
	for i, s := range m.screens {
		if s.name == name {
			return i, true
		}
	}
	return 0, false
}

// show gives the active screen what it missed while others were shown.
func (m *model) show() tea.Cmd {
	i := m.top()
	if m.tooSmall() {
		return nil
	}
	m.fit()
	if m.seen[i] != m.snap.Rev || m.snap.Rev == 0 {
		m.screens[i].SetSnapshot(m.snap)
		m.seen[i] = m.snap.Rev
	}
	return nil
}

// open jumps to a screen; esc leads back to where one was.
func (m *model) open(name screen.Name, t screen.Target) tea.Cmd {
	i, ok := m.find(name)
	if !ok {
		m.note(cluster.Warn, "there is no screen "+string(name))
		return nil
	}
	if to := m.screens[i].Screen; i != m.top() || t.Details || t.Within {
		v := visit{screen: i}
		if f, ok := m.active().Screen.(screen.Focused); ok && t != (screen.Target{}) {
			if s, ok := f.Focus(); ok {
				v.from = s.Label
			}
		}
		if k, ok := to.(screen.Keeper); ok && m.onTheWay(i) {
			v.restore = k.Keep()
		}
		m.stack = append(m.stack, v)
		if len(m.stack) > maxStack {
			m.stack = m.stack[1:]
		}
	}
	cmd := m.show()
	if o, ok := m.active().Screen.(screen.Opener); ok {
		cmd = tea.Batch(cmd, o.Open(t))
	}
	m.clearFilter() // it could hide the target
	if err := m.setFilter(t.Filter); err != nil {
		m.note(cluster.Warn, "filter: "+ui.Clean(err.Error()))
	}
	return cmd
}

// onTheWay says that one comes back to a screen.
func (m *model) onTheWay(i int) bool {
	return slices.ContainsFunc(m.stack, func(v visit) bool { return v.screen == i })
}

// switchTo goes to a screen of the first level: there is no way back from it. The
// form that submits is none: one leaves it for where one was.
func (m *model) switchTo(i int) tea.Cmd {
	if m.screens[i].name == screen.Submit {
		return m.open(screen.Submit, screen.Target{})
	}
	m.stack = []visit{{screen: i}}
	cmd := m.show()
	if o, ok := m.active().Screen.(screen.Opener); ok {
		cmd = tea.Batch(cmd, o.Open(screen.Target{}))
	}
	return cmd
}

// leave closes details or goes back to the screen before; false at the top.
func (m *model) leave() (tea.Cmd, bool) {
	if b, ok := m.active().Screen.(screen.Backer); ok && b.Back() {
		return nil, true
	}
	if len(m.stack) > 1 {
		last := m.stack[len(m.stack)-1]
		m.stack = m.stack[:len(m.stack)-1]
		if last.restore != nil {
			last.restore()
		}
		return m.show(), true
	}
	return nil, false
}

// back is esc: it gives up a plan, takes away marks, clears the filter of what
// is on top, shows all where it is narrowed, closes that or goes back.
func (m *model) back() tea.Cmd {
	if m.acts.giveUp() {
		m.log.clear()
		return nil
	}
	if c, ok := m.active().Screen.(interface{ Clear() bool }); ok && c.Clear() {
		return nil
	}
	if m.clearFilter() {
		return nil
	}
	if w, ok := m.active().Screen.(interface{ Widen() bool }); ok && w.Widen() {
		return nil
	}
	cmd, _ := m.leave()
	return cmd
}

// filter is what the rows on top are filtered by; ok is false where there is
// nothing to filter.
func (m *model) filter() (text string, ok bool) {
	if s, is := m.active().Screen.(screen.Filterer); is {
		return s.Filter()
	}
	return "", false
}

// setFilter filters what is on top. The error is about an expression that does
// not compile; the filter then stays.
func (m *model) setFilter(text string) error {
	was, ok := m.filter()
	if text = strings.TrimSpace(text); !ok || text == was {
		return nil
	}
	return m.active().Screen.(screen.Filterer).SetFilter(text)
}

// onlyWords says that a filter of what is on top is words and no expression.
func (m *model) onlyWords(text string) bool {
	view := lists(m.active().Screen)
	if view == nil {
		return true
	}
	f, err := facts.CompileFilter(text, view)
	return err == nil && f.Words()
}

// clearFilter says whether there was one.
func (m *model) clearFilter() bool {
	was, _ := m.filter()
	return was != "" && m.setFilter("") == nil
}

// typing says that the active screen takes keys as they come.
func (m *model) typing() bool {
	t, ok := m.active().Screen.(screen.Typer)
	return ok && t.Typing()
}

// key takes one key: overlays first, then inputs, then the screen's scopes.
func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	if id, _ := m.env.Keys.Lookup(k.String(), keys.Global); id == keys.QuitNow {
		return tea.Quit
	}
	m.log.clear()
	switch {
	case m.over != nil:
		over := m.over
		cmd, closed := over.key(k)
		if closed && m.over == over {
			m.over = nil
		}
		return cmd
	case m.line != nil:
		return m.lineKey(k)
	case m.typing():
		return m.active().Update(k)
	}
	if line, ok := m.hotkey(k.String()); ok {
		return m.press(line)
	}
	id, ok := m.env.Keys.Lookup(k.String(), m.scopes()...)
	if !ok {
		return nil
	}
	if b, ok := m.env.Keys.Find(id, m.scopes()...); ok {
		if def, change := b.Change(); change {
			if err := m.env.Allowed(def.ID); err != nil {
				m.note(cluster.Warn, def.Verb+": "+err.Error())
				return nil
			}
		}
	}
	return m.dispatch(id)
}

func (m *model) dispatch(id keys.ID) tea.Cmd {
	switch id {
	case keys.Quit:
		if cmd, left := m.leave(); left {
			return cmd
		}
		return tea.Quit
	case keys.Back:
		return m.back()
	case keys.Help:
		m.over = newHelp(m)
	case keys.Messages:
		m.over = newMessages(m)
	case keys.GoNode, keys.GoGPUs, keys.GoJob, keys.GoAllocs, keys.GoDeployments, keys.GoEvaluations, keys.GoServices, keys.GoPool:
		return m.jump(id)
	case keys.Raw:
		return m.raw()
	case keys.Columns:
		tab, err := m.table()
		if err != nil {
			m.note(cluster.Info, "there are no columns to choose here: "+err.Error())
			return nil
		}
		m.over = newChooser(m.env, tab)
	case keys.CopyName:
		return m.press("copy")
	case keys.Export:
		m.line = newInput(commandLine, "export ")
	case keys.Command:
		m.line = newInput(commandLine, "")
	case keys.Filter:
		if text, ok := m.filter(); ok {
			m.line = newInput(filter, text)
		} else {
			m.note(cluster.Info, "there is nothing to filter here")
		}
	default:
		for i, s := range m.screens {
			if s.key == id {
				return m.switchTo(i)
			}
		}
		if id == keys.GoSubmit && m.snap.Members != nil {
			m.note(cluster.Warn, "submit: "+action.ErrSeveral.Error())
			return nil
		}
		return m.active().Update(screen.KeyMsg{ID: id})
	}
	return nil
}

func (m *model) paste(p tea.PasteMsg) tea.Cmd {
	switch {
	case m.over != nil:
		m.over.paste(p.Content)
	case m.line != nil:
		m.line.replace()
		m.line.Insert(p.Content)
		m.line.tabs = nil
		m.typed()
	case m.typing():
		return m.active().Update(p)
	}
	return nil
}
