package events

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// id is what makes an event itself: events have no identity of their own.
type id struct {
	of            cluster.Place
	at            time.Time
	kind, subject string
	text          string
}

// Model is the events screen.
type Model struct {
	screen.List[cluster.Event, id]
}

// New makes the screen.
func New(e *screen.Env) *Model {
	m := &Model{List: screen.NewList(e, "events",
		func(s *cluster.Snapshot) string { return summary(e.Theme, s) },
		func(ev *cluster.Event) id { return id{ev.Place, ev.At, ev.Kind, ev.Subject, ev.Text} }, columns(e)).
		Facts("events", func(_ *cluster.Snapshot, ev *cluster.Event) facts.Row { return facts.EventRow(ev) }).
		About(about).
		Same(func(old, now *cluster.Event) bool { return len(old.On) == len(now.On) && old.Level == now.Level })}
	m.Float()
	return m
}

// SetSnapshot implements screen.Screen.
func (m *Model) SetSnapshot(s *cluster.Snapshot) { m.Fill(s, s.Events) }

// Update implements screen.Screen.
func (m *Model) Update(msg tea.Msg) tea.Cmd {
	k, ok := m.Keys(msg)
	ev := m.Selected()
	if !ok || ev == nil || k != keys.Open {
		return nil
	}
	return open(ev)
}

// about is what the event is about. Raw, it is the event that is shown.
func about(s *cluster.Snapshot, ev *cluster.Event) (of screen.Subject) {
	defer func() { of.Ref = cluster.Ref{} }()
	if g := s.GPU(ev.GPU); g != nil {
		return screen.GPUSubject(g)
	}
	if job, ok := screen.JobOf(s, ev.Job); ok {
		return job
	}
	if n := s.Node(ev.Node); n != nil {
		return screen.NodeSubject(n)
	}
	return screen.Subject{}
}

// open goes to what the event is about.
func open(ev *cluster.Event) tea.Cmd {
	switch {
	case ev.GPU != "":
		return screen.Open(screen.GPUs, screen.Target{GPU: ev.GPU, Node: ev.Node, Details: true})
	case ev.Job != cluster.JobID{}:
		return screen.Open(screen.Jobs, screen.Target{Job: ev.Job, Details: true})
	case ev.Node != "":
		return screen.Open(screen.Nodes, screen.Target{Node: ev.Node, Details: true})
	case ev.Kind == "vault":
		return screen.Open(screen.Keys, screen.Target{})
	}
	return nil
}

// Actions implements screen.Screen.
func (m *Model) Actions() []keys.ID {
	if ev := m.Selected(); ev != nil && open(ev) != nil {
		return []keys.ID{keys.Open}
	}
	return nil
}

func summary(th *theme.Theme, s *cluster.Snapshot) string {
	var bad, warn int
	for i := range s.Events {
		switch s.Events[i].Level {
		case cluster.Bad:
			bad++
		case cluster.Warn:
			warn++
		}
	}
	parts := []string{th.Title.Render(ui.Count(len(s.Events), "event"))}
	if bad > 0 {
		parts = append(parts, th.Bad.Render(fmt.Sprintf("%s %d bad", th.G.Bad, bad)))
	}
	if warn > 0 {
		parts = append(parts, th.Warn.Render(fmt.Sprintf("%s %s", th.G.Warn, ui.Count(warn, "warning"))))
	}
	if s.EventsDropped > 0 {
		parts = append(parts, th.Muted.Render(ui.Int(s.EventsDropped)+" older ones were let go"))
	}
	return strings.Join(parts, "   ")
}

func columns(e *screen.Env) []ui.Column[cluster.Event] {
	type E = cluster.Event
	th := e.Theme
	return []ui.Column[E]{
		{Name: "level", Title: "", Min: 1, Cell: func(ev *E) ui.Cell {
			g, st := screen.Mark(th, ev.Level)
			return ui.In(st, g)
		}, By: func(r *E) ui.Key { return ui.By(r.Level) }, Desc: true},
		{Name: "time", Title: "AGE", Min: 4, Align: ui.Right, Cell: func(ev *E) ui.Cell { return ui.In(th.Muted, ui.Age(ev.At, e.Now())) }},
		{Name: "clock", Title: "TIME", Min: 8, Drop: 2, Cell: func(ev *E) ui.Cell { return ui.In(th.Muted, ev.At.In(e.Now().Location()).Format("15:04:05")) }},
		{Name: "kind", Title: "KIND", Min: 10, Drop: 1, Cell: func(ev *E) ui.Cell { return ui.In(th.Muted, ev.Kind) }, By: func(r *E) ui.Key { return ui.ByText(r.Kind) }},
		{Name: "subject", Title: "SUBJECT", Min: 14, Max: 32, Ahead: true, Cell: func(ev *E) ui.Cell { return ui.Txt(ev.Subject) }, By: func(r *E) ui.Key { return ui.ByText(r.Subject) }},
		{Name: "text", Title: "WHAT HAPPENED", Min: 20, Max: 110, Ahead: true, Cell: func(ev *E) ui.Cell {
			_, st := screen.Mark(th, ev.Level)
			if ev.Level == cluster.Info {
				st = th.Text
			}
			return ui.In(st, ev.Text)
		}},
		{Name: "hit", Title: "WHO WAS ON IT", Min: 24, Max: 60, Drop: 3, Cell: func(ev *E) ui.Cell { return ui.Txt(cluster.Tenants(ev.On)) }},
	}
}
