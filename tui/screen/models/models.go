package models

import (
	"fmt"
	"strconv"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/jobs/action"
	"stoker/tui/keys"
	"stoker/tui/screen"
)

// Model is the screen of models.
type Model struct {
	screen.List[row, cluster.ModelKey]
	has    reported
	detail *detail // nil shows the table
	w, h   int
}

// New makes the screen.
func New(e *screen.Env) *Model {
	m := &Model{}
	m.List = screen.NewList(e, "models", m.summary, func(r *row) cluster.ModelKey { return r.Key }, columns(e, &m.has)).
		Facts("models", func(_ *cluster.Snapshot, r *row) facts.Row { return facts.ModelRow(r.Model) }).
		About(func(s *cluster.Snapshot, r *row) screen.Subject {
			about, _ := screen.JobOf(s, r.Key.Job)
			return about
		}).
		Under(func() bool { return m.detail != nil })
	return m
}

// SetSize implements screen.Screen.
func (m *Model) SetSize(w, h int) {
	m.w, m.h = w, h
	m.List.SetSize(w, h)
	if m.detail != nil {
		m.detail.SetSize(w, h)
	}
}

// SetSnapshot implements screen.Screen.
func (m *Model) SetSnapshot(s *cluster.Snapshot) {
	rows := rows(s)
	m.has = m.has.with(rows)
	m.Fill(s, rows)
	if m.detail != nil {
		m.detail.SetSnapshot(s)
	}
}

// Update implements screen.Screen.
func (m *Model) Update(msg tea.Msg) tea.Cmd {
	if m.detail != nil {
		k, ok := m.detail.Keys(msg)
		switch {
		case !ok:
			return nil
		case k == keys.Open:
			return m.detail.sheet.Open()
		}
		return m.act(k, m.detail.key.Job)
	}
	k, ok := m.Keys(msg)
	at := m.Selected()
	marked, _ := m.Marked()
	switch {
	case !ok || at == nil:
		return nil
	case k == keys.Open:
		m.show(at.Key)
		return nil
	case k == keys.Restart, k == keys.Stop:
		return m.AskAll(func(r *row) action.Request { return action.Request{ID: action.ID(k), Job: r.Key.Job} })
	case k == keys.Scale && len(marked) > 1:
		return screen.Note(cluster.Info, "scale takes one job at a time; esc takes the marks away")
	}
	return m.act(k, at.Key.Job)
}

func (m *Model) act(k keys.ID, id cluster.JobID) tea.Cmd {
	job := m.Snap.Job(id)
	if job == nil {
		return nil
	}
	switch k {
	case keys.Restart, keys.Stop:
		return screen.Ask(action.Request{ID: action.ID(k), Job: id})
	case keys.Scale:
		return scale(job)
	case keys.Logs:
		return screen.Open(screen.Jobs, screen.Target{Job: id, Logs: true})
	}
	return nil
}

// scale asks for the number of replicas: of the group that has the GPUs, where
// there are several groups.
func scale(job *cluster.Job) tea.Cmd {
	if len(job.Groups) == 0 {
		return screen.Note(cluster.Warn, "the task groups of "+job.ID.String()+" are not read yet")
	}
	group := job.Groups[0]
	for _, g := range job.Groups {
		if len(g.GPUs) > 0 {
			group = g
			break
		}
	}
	return screen.Prompt(screen.PromptMsg{
		Title:   fmt.Sprintf("replicas of %s.%s", job.ID, group.Name),
		Initial: strconv.Itoa(group.Count),
		Check: func(text string) error {
			if n, err := strconv.Atoi(text); err != nil || n < 0 {
				return fmt.Errorf("type a number of replicas, 0 or more")
			}
			return nil
		},
		Then: func(text string) tea.Cmd {
			n, err := strconv.Atoi(text)
			if err != nil {
				return nil // Check has refused it
			}
			return screen.Ask(action.Request{ID: action.Scale, Job: job.ID, Group: group.Name, Count: n})
		},
	})
}

func (m *Model) show(key cluster.ModelKey) {
	m.detail = newDetail(m.Env, key)
	m.detail.SetSize(m.w, m.h)
	m.detail.SetSnapshot(m.Snap)
}

// Open implements screen.Opener.
func (m *Model) Open(t screen.Target) tea.Cmd {
	m.detail = nil
	for i := range m.Snap.Models {
		if key := m.Snap.Models[i].Key; key.Job == t.Job {
			m.Select(key)
			if t.Details {
				m.show(key)
			}
			break
		}
	}
	return nil
}

// Back implements screen.Backer.
func (m *Model) Back() bool {
	if m.detail == nil {
		return false
	}
	m.detail = nil
	return true
}

// Wheel implements screen.Pointed.
func (m *Model) Wheel(n int) {
	if m.detail != nil {
		m.detail.Wheel(n)
		return
	}
	m.List.Wheel(n)
}

// Actions implements screen.Screen.
func (m *Model) Actions() []keys.ID {
	out := []keys.ID{keys.Open, keys.Logs, keys.Scale, keys.Restart, keys.Stop}
	if m.detail != nil {
		if m.detail.sheet.GPUs.All() == 0 {
			out = out[1:]
		}
		return out
	}
	if m.Selected() == nil {
		return nil
	}
	return append(out, keys.Sort)
}

// View implements screen.Screen.
func (m *Model) View() string {
	if m.detail != nil {
		return m.detail.sheet.View()
	}
	return m.List.View()
}
