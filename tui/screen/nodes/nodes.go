package nodes

import (
	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/jobs/action"
	"stoker/tui/keys"
	"stoker/tui/screen"
)

// Model is the nodes screen.
type Model struct {
	screen.List[row, cluster.NodeID]
	detail *detail // nil shows the table
	jumped bool    // a jump opened it
	w, h   int
}

// New makes the screen.
func New(e *screen.Env) *Model {
	m := &Model{}
	m.List = screen.NewList(e, "nodes",
		func(s *cluster.Snapshot) string { return summary(e.Theme, s) },
		func(r *row) cluster.NodeID { return r.ID }, columns(e)).
		Facts("nodes", func(s *cluster.Snapshot, r *row) facts.Row { return facts.NodeRow(s, r.Node) }).
		About(func(_ *cluster.Snapshot, r *row) screen.Subject { return screen.NodeSubject(r.Node) }).
		Belonging(within).
		Under(func() bool { return m.detail != nil })
	return m
}

// within are the nodes of a pool, or those that run a job.
func within(s *cluster.Snapshot, t screen.Target) func(*row) bool {
	if t.Job == (cluster.JobID{}) {
		return func(r *row) bool {
			about := screen.NodeSubject(r.Node)
			return about.Is(&t)
		}
	}
	on := map[cluster.NodeID]bool{}
	for _, a := range s.JobAllocs(t.Job) {
		if !a.Terminal() {
			on[a.Node] = true
		}
	}
	return func(r *row) bool { return on[r.ID] }
}

// SetSize implements screen.Screen.
func (m *Model) SetSize(w, h int) {
	m.w, m.h = w, h
	m.List.SetSize(w, h)
	if m.detail != nil {
		m.detail.setSize(w, h)
	}
}

// SetSnapshot implements screen.Screen.
func (m *Model) SetSnapshot(s *cluster.Snapshot) {
	m.Fill(s, rows(s))
	if m.detail != nil {
		m.detail.setSnapshot(s)
	}
}

// Update implements screen.Screen.
func (m *Model) Update(msg tea.Msg) tea.Cmd {
	if m.detail != nil {
		k, ok := m.detail.keys(msg)
		switch {
		case !ok:
		case k == keys.Open:
			return m.detail.open()
		case changes(k):
			return screen.Ask(action.Request{ID: action.ID(k), Node: m.detail.id})
		}
		return nil
	}
	k, ok := m.Keys(msg)
	at := m.Selected()
	if !ok || at == nil {
		return nil
	}
	switch {
	case k == keys.Open:
		m.show(at.ID)
	case changes(k):
		return m.AskAll(func(r *row) action.Request { return action.Request{ID: action.ID(k), Node: r.ID} })
	}
	return nil
}

// changes says that a key changes a node.
func changes(k keys.ID) bool { return k == keys.Drain || k == keys.Undrain || k == keys.Ineligible }

func (m *Model) show(id cluster.NodeID) {
	m.detail = newDetail(m.Env, id)
	m.detail.setSize(m.w, m.h)
	m.detail.setSnapshot(m.Snap)
}

// Open implements screen.Opener.
func (m *Model) Open(t screen.Target) tea.Cmd {
	m.detail, m.jumped = nil, false
	m.NarrowTo(t)
	if t.Node == "" {
		return nil
	}
	m.Select(t.Node)
	if t.Details {
		m.show(t.Node)
		m.jumped = true
	}
	return nil
}

// Focus implements screen.Focused.
func (m *Model) Focus() (screen.Subject, bool) {
	if m.detail == nil {
		return m.List.Focus()
	}
	return m.detail.focus()
}

// FocusRow is the row of facts of what the cursor is on.
func (m *Model) FocusRow() (*facts.View, facts.Row) {
	if m.detail == nil || m.detail.second {
		return m.List.FocusRow()
	}
	if g := m.detail.gpus.Selected(); g != nil {
		v, _ := facts.Find("gpus")
		return v, facts.GPURow(g)
	}
	return m.List.FocusRow()
}

// Inner implements screen.Layered: the GPUs of the node, or its allocations.
func (m *Model) Inner() (view *facts.View, rows []facts.Row) {
	if m.detail == nil {
		return nil, nil
	}
	if m.detail.second {
		view, _ = facts.Find("allocs")
		m.detail.allocs.Each(func(a *cluster.Alloc) { rows = append(rows, facts.AllocRow(m.Snap, a)) })
		return view, rows
	}
	view, _ = facts.Find("gpus")
	m.detail.gpus.Each(func(g *cluster.GPU) { rows = append(rows, facts.GPURow(g)) })
	return view, rows
}

// Keep implements screen.Keeper.
func (m *Model) Keep() (restore func()) {
	back, d, jumped := m.List.Keep(), m.detail, m.jumped
	return func() {
		back()
		if m.detail, m.jumped = d, jumped; d != nil {
			d.setSize(m.w, m.h)
			d.setSnapshot(m.Snap)
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
		m.detail.wheel(n)
		return
	}
	m.List.Wheel(n)
}

// Actions implements screen.Screen.
func (m *Model) Actions() []keys.ID {
	if m.detail != nil {
		return append([]keys.ID{keys.Open, keys.Pane}, screen.Drains(m.Snap.Node(m.detail.id))...)
	}
	row := m.Selected()
	if row == nil {
		return nil
	}
	return append([]keys.ID{keys.Open}, append(screen.Drains(row.Node), keys.Sort)...)
}

// View implements screen.Screen.
func (m *Model) View() string {
	if m.detail != nil {
		return m.detail.view()
	}
	return m.List.View()
}
