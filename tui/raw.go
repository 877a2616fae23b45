package tui

import (
	"bytes"
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/tui/encode"
	"stoker/tui/screen"
)

// rawTimeout is how long Nomad may take for one object.
const rawTimeout = 20 * time.Second

// rawMsg is the reply to raw; dropped when it is not of the latest question.
type rawMsg struct {
	id          int
	title, text string
	err         error
}

// raw shows what the cursor is on as Nomad tells it or, of what Nomad does not
// keep, the row as line mode prints it.
func (m *model) raw() tea.Cmd {
	if f, ok := m.active().Screen.(screen.Focused); ok && m.cfg.Raw != nil {
		if s, ok := f.Focus(); ok && s.Ref.Kind != "" {
			return m.readRaw(s)
		}
	}
	if f, ok := m.active().Screen.(interface {
		FocusRow() (*facts.View, facts.Row)
	}); ok {
		if v, row := f.FocusRow(); v != nil {
			var b bytes.Buffer
			if err := encode.Write(&b, "json", v.Columns, []facts.Row{row}); err != nil {
				m.note(cluster.Bad, err.Error())
				return nil
			}
			m.over = newPager(m.env, "a row of "+v.Name+" as line mode prints it", m.cfg.Redact(b.String()))
			return nil
		}
	}
	m.note(cluster.Info, "the cursor is on nothing that could be shown raw")
	return nil
}

func (m *model) readRaw(s screen.Subject) tea.Cmd {
	m.acts.next++
	m.acts.reading = m.acts.next
	id, read, base := m.acts.next, m.cfg.Raw, m.env.Base
	title := s.Kind + " " + s.Label
	m.passing("reading " + title + screen.Ellipsis)
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(base, rawTimeout)
		defer cancel()
		text, err := read(ctx, s.Ref)
		return rawMsg{id, title, text, err}
	}
}

func (m *model) rawReady(msg rawMsg) {
	if msg.id != m.acts.reading || m.over != nil || m.line != nil {
		return // another was asked for since, or something else is open or being typed
	}
	m.log.clear()
	if msg.err != nil {
		m.note(cluster.Warn, msg.title+": "+msg.err.Error())
		return
	}
	m.over = newPager(m.env, msg.title+", as Nomad tells it", m.cfg.Redact(msg.text))
}
