package tui

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// twiceWithin is how soon two clicks on one place are one double click.
const twiceWithin = 400 * time.Millisecond

// wheelLines is how far one notch of the wheel scrolls.
const wheelLines = 3

// pointer is what is known of the mouse.
type pointer struct {
	x, y int
	at   time.Time // of the last click
}

// twice says that a click is the second one on its place.
func (p *pointer) twice(x, y int, now time.Time) bool {
	again := p.x == x && p.y == y && now.Sub(p.at) < twiceWithin
	*p = pointer{x, y, now}
	if again {
		p.at = time.Time{} // a third one begins anew
	}
	return again
}

// click takes a press of the left button: on a screen's number it goes there, on
// the body it is the screen's.
func (m *model) click(msg tea.MouseClickMsg) tea.Cmd {
	if !m.mouse || m.over != nil || m.line != nil || msg.Button != tea.MouseLeft || m.tooSmall() {
		return nil
	}
	twice := m.pointer.twice(msg.X, msg.Y, m.env.Now())
	if msg.Y == m.h-1 && m.footerLines() > 2 && !m.typing() {
		if i, ok := m.tabAt(msg.X); ok {
			return m.switchTo(i)
		}
		return nil
	}
	r := m.body()
	if p, ok := m.active().Screen.(screen.Pointed); ok && msg.Y >= r.Y && msg.Y < r.Y+r.H {
		m.log.clear()
		return p.Click(msg.X, msg.Y-r.Y, twice)
	}
	return nil
}

// wheel scrolls what is on top.
func (m *model) wheel(msg tea.MouseWheelMsg) tea.Cmd {
	n := wheelLines
	switch msg.Button {
	case tea.MouseWheelUp:
		n = -n
	case tea.MouseWheelDown:
	default:
		return nil
	}
	switch p, ok := m.active().Screen.(screen.Pointed); {
	case !m.mouse:
	case m.over != nil:
		return m.scrollOver(n)
	case ok && m.line == nil:
		p.Wheel(n)
	}
	return nil
}

// scrollOver scrolls what lies over the screen, by its own keys.
func (m *model) scrollOver(n int) tea.Cmd {
	code := tea.KeyDown
	if n < 0 {
		code, n = tea.KeyUp, -n
	}
	var cmds []tea.Cmd
	for range n {
		if m.over == nil {
			break
		}
		cmd, closed := m.over.key(tea.KeyPressMsg{Code: code})
		if closed {
			m.over = nil
		}
		cmds = append(cmds, cmd)
	}
	return tea.Batch(cmds...)
}

// tabAt is the screen whose number stands at a cell of the last line.
func (m *model) tabAt(x int) (int, bool) {
	from := 1
	for _, t := range m.tabList() {
		w := ui.Width(t.text)
		if x >= from && x < from+w {
			return t.screen, true
		}
		from += w
	}
	return 0, false
}

// tab is one screen in the last line.
type tab struct {
	screen int
	text   string
}

// tabList names the screens; where that is too long, only the open one is named.
func (m *model) tabList() []tab {
	list, width := m.tabsNamed(true), 1
	for _, t := range list {
		width += ui.Width(t.text)
	}
	if width > m.w {
		return m.tabsNamed(false)
	}
	return list
}

// tabsNamed lists the screens that have a key, and the open one. While keys type,
// no key leads to another screen.
func (m *model) tabsNamed(named bool) []tab {
	th := m.env.Theme
	var out []tab
	for i, s := range m.screens {
		bind, ok := m.env.Keys.Find(s.key, keys.Global)
		switch {
		case !ok && i == m.top():
			out = append(out, tab{i, th.Title.Render("[" + string(s.name) + "]")})
		case !ok:
		case i == m.top():
			out = append(out, tab{i, th.Title.Render("[" + bind.Keys[0] + " " + bind.Label + "]")})
		case m.typing():
		case named:
			out = append(out, tab{i, " " + th.Key.Render(bind.Keys[0]) + " " + th.Muted.Render(bind.Label) + " "})
		default:
			out = append(out, tab{i, " " + th.Key.Render(bind.Keys[0]) + " "})
		}
	}
	return out
}
