package gpus

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/gpu"
	"stoker/jobs/action"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// Model is the screen of a cluster's GPUs.
type Model struct {
	screen.List[cluster.GPU, gpu.UUID]
	detail  *detail // nil shows the table
	jumped  bool    // a jump opened it
	tallies []tally // of the last snapshot
	w, h    int
}

// New makes the screen.
func New(e *screen.Env) *Model {
	m := &Model{}
	m.List = newList(e, columns(e), func(s *cluster.Snapshot) string { return summary(e.Theme, &s.Fleet, m.tallies, m.w) }).
		About(func(_ *cluster.Snapshot, g *cluster.GPU) screen.Subject { return screen.GPUSubject(g) }).
		Under(func() bool { return m.detail != nil })
	return m
}

func newList(e *screen.Env, cols []ui.Column[row], summary func(*cluster.Snapshot) string) screen.List[cluster.GPU, gpu.UUID] {
	return screen.NewList(e, "GPUs", summary, func(g *cluster.GPU) gpu.UUID { return g.UUID }, cols).
		Facts("gpus", func(_ *cluster.Snapshot, g *cluster.GPU) facts.Row { return facts.GPURow(g) }).Cells(facts.GPUCells).Same(same)
}

// same says that nothing changed of which a column or a filter could tell.
func same(old, now *cluster.GPU) bool {
	holder := old.Holder == now.Holder || old.Holder != nil && now.Holder != nil && *old.Holder == *now.Holder
	return holder && old.Sample == now.Sample && old.History == now.History && len(old.Events) == len(now.Events) &&
		old.NodeUp == now.NodeUp && old.NodeOpen == now.NodeOpen && old.Claims == now.Claims && old.Known == now.Known &&
		old.Schedulable == now.Schedulable && old.Split == now.Split && old.Health == now.Health && old.Source == now.Source &&
		old.Driver == now.Driver && old.NodeName == now.NodeName && old.Pool == now.Pool && old.Index == now.Index && old.Model == now.Model
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
	m.tallies = count(s.GPUs)
	m.Fill(s, s.GPUs)
	if m.detail != nil {
		m.detail.SetSnapshot(s)
	}
}

// Update implements screen.Screen.
func (m *Model) Update(msg tea.Msg) tea.Cmd {
	if m.detail != nil {
		k, ok := m.detail.Keys(msg)
		g := m.Snap.GPU(m.detail.id)
		if !ok || g == nil {
			return nil
		}
		if h := g.Holder; h != nil && k == keys.Open {
			return screen.Open(screen.Jobs, screen.Target{Job: h.Job, Alloc: h.Alloc, Details: true})
		}
		if changes(k) {
			return screen.Ask(action.Request{ID: action.ID(k), Node: g.Node})
		}
		return nil
	}
	k, ok := m.Keys(msg)
	g := m.Selected()
	switch {
	case !ok || g == nil:
	case k == keys.Open:
		return m.show(g.UUID)
	case changes(k):
		return m.AskAll(func(g *cluster.GPU) action.Request { return action.Request{ID: action.ID(k), Node: g.Node} })
	}
	return nil
}

// changes says that a key changes the node of a GPU.
func changes(k keys.ID) bool { return k == keys.Drain || k == keys.Undrain || k == keys.Ineligible }

func (m *Model) show(id gpu.UUID) tea.Cmd {
	m.detail = newDetail(m.Env, id)
	m.detail.SetSize(m.w, m.h)
	m.detail.SetSnapshot(m.Snap)
	if m.Env.Look != nil {
		m.Env.Look(id)
	}
	return past(m.Env, id)
}

// pastPatience is how long the past of a GPU is waited for.
const pastPatience = 10 * time.Second

// past loads what the GPU did before, where somebody knows.
func past(e *screen.Env, id gpu.UUID) tea.Cmd {
	if e.Past == nil {
		return nil
	}
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(e.Base, pastPatience)
		defer cancel()
		if err := e.Past(ctx, id); err != nil {
			return screen.NoteMsg{Level: cluster.Warn, Text: err.Error()}
		}
		return nil
	}
}

// Open implements screen.Opener.
func (m *Model) Open(t screen.Target) tea.Cmd {
	m.detail, m.jumped = nil, false
	m.NarrowTo(t)
	if t.GPU == "" {
		return nil
	}
	m.Select(t.GPU)
	if t.Details {
		m.jumped = true
		return m.show(t.GPU)
	}
	return nil
}

// Focus implements screen.Focused.
func (m *Model) Focus() (screen.Subject, bool) {
	if m.detail == nil {
		return m.List.Focus()
	}
	if g := m.Snap.GPU(m.detail.id); g != nil {
		return screen.GPUSubject(g), true
	}
	return screen.Subject{}, false
}

// Inner implements screen.Layered: the details are of one GPU.
func (m *Model) Inner() (*facts.View, []facts.Row) {
	if m.detail == nil || m.Snap.GPU(m.detail.id) == nil {
		return nil, nil
	}
	return m.Lists(), []facts.Row{facts.GPURow(m.Snap.GPU(m.detail.id))}
}

// Keep implements screen.Keeper.
func (m *Model) Keep() (restore func()) {
	back, d, jumped := m.List.Keep(), m.detail, m.jumped
	return func() {
		back()
		if m.detail, m.jumped = d, jumped; d != nil {
			d.SetSize(m.w, m.h)
			d.SetSnapshot(m.Snap)
		}
	}
}

// Back implements screen.Backer.
func (m *Model) Back() bool {
	if m.detail == nil {
		return false
	}
	closed := !m.jumped
	m.detail, m.jumped = nil, false
	return closed
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
	g := m.Selected()
	if m.detail != nil {
		g = m.Snap.GPU(m.detail.id)
	}
	if g == nil {
		return nil
	}
	var out []keys.ID
	if m.detail == nil {
		out = append(out, keys.Open)
	}
	if g.Holder != nil {
		out = append(out, keys.GoJob)
	}
	out = append(append(out, keys.GoNode), screen.Drains(m.Snap.Node(g.Node))...)
	if m.detail == nil {
		out = append(out, keys.Sort)
	}
	return out
}

// View implements screen.Screen.
func (m *Model) View() string {
	if m.detail != nil {
		return m.detail.view()
	}
	return m.List.View()
}
