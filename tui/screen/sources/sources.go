package sources

import (
	"cmp"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/tui/screen"
	"stoker/tui/screen/rows"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// id is what makes a source itself, also among those of several clusters.
type id struct {
	place cluster.Place
	name  string
}

// New makes the screen. Enter leads to what a source tells of or, where that is
// the whole cluster, to all that is known of the source.
func New(e *screen.Env) screen.Screen { return newModel(e) }

type model = rows.Model[cluster.SourceStatus, id]

func newModel(e *screen.Env) *model {
	type R = cluster.SourceStatus
	return rows.New(e, rows.Kind[R, id]{
		Things: "sources", View: "sources", List: list,
		Key:   func(src *R) id { return id{src.Place, src.Name} },
		Row:   func(_ *cluster.Snapshot, src *R) facts.Row { return facts.SourceRow(src) },
		About: about, Way: way, Columns: columns, State: func(th *theme.Theme, src *R) ui.Cell { return state(th, src.State) },
		Name:   func(src *R) string { return src.Name },
		Status: func(src *R) string { return string(src.State) },
		More:   renewal, Find: find,
	})
}

// list are the sources, what does not answer first.
func list(s *cluster.Snapshot) []cluster.SourceStatus {
	if s == nil {
		return nil
	}
	all := slices.Clone(s.Sources)
	slices.SortStableFunc(all, func(a, b cluster.SourceStatus) int {
		return cmp.Compare(rank(b.State), rank(a.State))
	})
	return all
}

// about is a source, with the node that it tells of.
func about(s *cluster.Snapshot, src *cluster.SourceStatus) screen.Subject {
	of := screen.Subject{Kind: "source", Label: src.Name, Target: screen.Target{Source: src.Name, Of: src.Place}}
	if _, name, one := strings.Cut(src.Name, " "); one {
		for i := range s.Nodes {
			if n := &s.Nodes[i]; n.Name == name && n.Place == src.Place {
				of.Node = n.ID
			}
		}
	}
	return of
}

// way leads to what a source tells of; nil: there is no one thing.
func way(s *cluster.Snapshot, src *cluster.SourceStatus) tea.Cmd {
	if screen.GroupOf(src.Name) == "vault" {
		return screen.Open(screen.Keys, screen.Target{})
	}
	if of := about(s, src); of.Node != "" {
		return screen.Open(screen.Nodes, screen.Target{Node: of.Node, Details: true})
	}
	return nil
}

// find is the source that a jump means: where it has one, that of its token.
func find(s *cluster.Snapshot, t screen.Target) (id, bool) {
	if t.Source == "" {
		return id{}, false
	}
	for _, name := range []string{t.Source + "/token", t.Source} {
		for i := range s.Sources {
			if src := &s.Sources[i]; src.Name == name && (t.Of == cluster.Place{} || t.Of == src.Place) {
				return id{src.Place, src.Name}, true
			}
		}
	}
	return id{}, false
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
