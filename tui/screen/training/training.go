package training

import (
	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/jobs/action"
	"stoker/tui/keys"
	"stoker/tui/screen"
)

// Model is the screen of training jobs.
type Model struct {
	screen.List[cluster.Training, cluster.JobID]
	detail *detail // nil shows the table
	w, h   int
}

// New makes the screen.
func New(e *screen.Env) *Model {
	m := &Model{}
	m.List = screen.NewList(e, "training jobs", m.summary, func(t *cluster.Training) cluster.JobID { return t.Job }, columns(e)).
		Facts("training", func(_ *cluster.Snapshot, t *cluster.Training) facts.Row { return facts.TrainingRow(t) }).
		About(func(s *cluster.Snapshot, t *cluster.Training) screen.Subject {
			about, _ := screen.JobOf(s, t.Job)
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
	m.Fill(s, arrange(s.Training))
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
		return m.act(k, m.detail.id)
	}
	k, ok := m.Keys(msg)
	at := m.Selected()
	switch {
	case !ok || at == nil:
		return nil
	case k == keys.Open:
		m.show(at.Job)
		return nil
	case k == keys.Stop:
		return m.AskAll(func(t *cluster.Training) action.Request { return action.Request{ID: action.Stop, Job: t.Job} })
	}
	return m.act(k, at.Job)
}

func (m *Model) act(k keys.ID, id cluster.JobID) tea.Cmd {
	switch k {
	case keys.Stop:
		return screen.Ask(action.Request{ID: action.Stop, Job: id})
	case keys.Why:
		return screen.Open(screen.Jobs, screen.Target{Job: id, Why: true})
	case keys.Logs:
		return screen.Open(screen.Jobs, screen.Target{Job: id, Logs: true})
	}
	return nil
}

func (m *Model) show(id cluster.JobID) {
	m.detail = newDetail(m.Env, id)
	m.detail.SetSize(m.w, m.h)
	m.detail.SetSnapshot(m.Snap)
}

// Open implements screen.Opener.
func (m *Model) Open(t screen.Target) tea.Cmd {
	m.detail = nil
	if t.Job == (cluster.JobID{}) {
		return nil
	}
	m.Select(t.Job)
	if t.Details {
		m.show(t.Job)
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
	t := m.Selected()
	var out []keys.ID
	if m.detail != nil {
		if t = find(m.Snap, m.detail.id); t == nil {
			return nil
		}
		if m.detail.sheet.GPUs.All() > 0 {
			out = append(out, keys.Open)
		}
	} else if t != nil {
		out = append(out, keys.Open)
	}
	if t == nil {
		return nil
	}
	out = append(out, keys.Logs)
	if t.Status == "waiting" {
		out = append(out, keys.Why)
	}
	if !over(t) {
		out = append(out, keys.Stop)
	}
	if m.detail == nil {
		out = append(out, keys.Sort)
	}
	return out
}

// View implements screen.Screen.
func (m *Model) View() string {
	if m.detail != nil {
		return m.detail.sheet.View()
	}
	return m.List.View()
}
