package sources

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// id is what makes a source itself, also among those of several clusters.
type id struct {
	place cluster.Place
	name  string
}

// Model is the screen of sources.
type Model struct {
	screen.List[cluster.SourceStatus, id]
}

// New makes the screen.
func New(e *screen.Env) *Model {
	return &Model{List: screen.NewList(e, "sources",
		func(s *cluster.Snapshot) string { return summary(e.Theme, s) },
		func(src *cluster.SourceStatus) id { return id{src.Place, src.Name} }, columns(e)).
		Facts("sources", func(_ *cluster.Snapshot, src *cluster.SourceStatus) facts.Row { return facts.SourceRow(src) })}
}

// SetSnapshot implements screen.Screen: what does not answer comes first.
func (m *Model) SetSnapshot(s *cluster.Snapshot) {
	rows := slices.Clone(s.Sources)
	slices.SortStableFunc(rows, func(a, b cluster.SourceStatus) int {
		return cmp.Compare(rank(b.State), rank(a.State))
	})
	m.Fill(s, rows)
}

// Update implements screen.Screen.
func (m *Model) Update(msg tea.Msg) tea.Cmd {
	k, ok := m.Keys(msg)
	src := m.Selected()
	if !ok || src == nil || k != keys.Open {
		return nil
	}
	return m.open(src)
}

// open goes to what the source tells of.
func (m *Model) open(src *cluster.SourceStatus) tea.Cmd {
	group := screen.GroupOf(src.Name)
	if group == "vault" {
		return screen.Open(screen.Keys, screen.Target{})
	}
	if _, name, one := strings.Cut(src.Name, " "); one {
		for i := range m.Snap.Nodes {
			if n := &m.Snap.Nodes[i]; n.Name == name && n.Place == src.Place {
				return screen.Open(screen.Nodes, screen.Target{Node: n.ID, Details: true})
			}
		}
	}
	return nil
}

// Actions implements screen.Screen.
func (m *Model) Actions() []keys.ID {
	if src := m.Selected(); src != nil && m.open(src) != nil {
		return []keys.ID{keys.Open}
	}
	return nil
}

func summary(th *theme.Theme, s *cluster.Snapshot) string {
	count := map[cluster.SourceState]int{}
	for i := range s.Sources {
		count[s.Sources[i].State]++
	}
	parts := []string{th.Title.Render(ui.Count(len(s.Sources), "source"))}
	for _, st := range []cluster.SourceState{cluster.SourceLive, cluster.SourceStarting, cluster.SourceDenied, cluster.SourceRetrying} {
		if n := count[st]; n > 0 {
			c := state(th, st)
			parts = append(parts, c.Style.Render(fmt.Sprintf("%s %s", strings.Fields(c.Text)[0], ui.Int(n)+" "+string(st))))
		}
	}
	return strings.Join(parts, "   ")
}

// state is a source's state as glyph, word and style.
func state(th *theme.Theme, st cluster.SourceState) ui.Cell {
	switch st {
	case cluster.SourceLive:
		return ui.In(th.OK, th.G.OK+" "+string(st))
	case cluster.SourceRetrying, cluster.SourceDenied:
		return ui.In(th.Warn, th.G.Warn+" "+string(st))
	}
	return ui.In(th.Muted, th.G.Off+" "+string(st))
}

func columns(e *screen.Env) []ui.Column[cluster.SourceStatus] {
	type S = cluster.SourceStatus
	th := e.Theme
	return []ui.Column[S]{
		{Name: "name", Title: "SOURCE", Min: 16, Max: 36, Ahead: true, Cell: func(s *S) ui.Cell { return ui.Txt(s.Name) }, By: func(s *S) ui.Key { return ui.ByText(s.Name) }},
		{Name: "state", Title: "STATE", Min: 10, Cell: func(s *S) ui.Cell { return state(th, s.State) }, By: func(s *S) ui.Key { return ui.ByText(string(s.State)) }},
		{Name: "since", Title: "SINCE", Min: 5, Align: ui.Right, Drop: 2, Cell: func(s *S) ui.Cell { return ui.In(th.Muted, ui.Age(s.Since, e.Now())) }, By: func(s *S) ui.Key { return ui.ByAge(s.Since) }},
		{Name: "last", Title: "LAST", Min: 5, Align: ui.Right, Cell: func(s *S) ui.Cell { return ui.In(th.Muted, ui.Age(s.AsOf, e.Now())) }, By: func(s *S) ui.Key { return ui.ByAge(s.AsOf) }},
		{Name: "error", Title: "WHAT IT SAYS", Min: 20, Max: 140, Cell: func(s *S) ui.Cell { return ui.Txt(says(s, e)) }, By: func(s *S) ui.Key { return ui.ByText(s.Err) }},
	}
}

// says is what is to be known of a source besides its state.
func says(s *cluster.SourceStatus, e *screen.Env) string {
	var out []string
	if s.Err != "" {
		out = append(out, s.Err)
	}
	if left := s.Retry.Sub(e.Now()); left > 0 {
		out = append(out, "next try in "+ui.Dur(left))
	}
	if !s.Expires.IsZero() {
		if left := s.Expires.Sub(e.Now()); left > 0 {
			out = append(out, "the right to read it ends in "+ui.Dur(left))
		} else {
			out = append(out, "the right to read it has ended")
		}
	}
	return strings.Join(out, "; ")
}

// rank puts what does not answer first.
func rank(st cluster.SourceState) int {
	return slices.Index([]cluster.SourceState{cluster.SourceLive, cluster.SourceOff, cluster.SourceStarting, cluster.SourceDenied, cluster.SourceRetrying}, st)
}
