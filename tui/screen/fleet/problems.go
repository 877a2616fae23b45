package fleet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// problem is one line of NEEDS ATTENTION.
type problem struct {
	cluster.Problem
	id   problemID
	more []string // the subjects of others that say the same
}

// problemID stays the same from snapshot to snapshot while the problem does.
type problemID struct {
	subject string
	gpu     gpu.UUID
	node    cluster.NodeID
	job     cluster.JobID
	key     string
	source  string
	level   cluster.Level
}

// merge makes one line of GPUs of one node that have the same problem, and of
// all that one job holds without using them: twenty lines that say the same hide
// the next. The age is that of the last to join.
func merge(in []cluster.Problem) []problem {
	out := make([]problem, 0, len(in))
	idle := map[cluster.JobID]int{} // the line of a holder
	for _, p := range in {
		at, known := idle[p.Holder]
		if p.Holder == (cluster.JobID{}) {
			at = len(out) - 1
			known = at >= 0 && p.GPU != "" && out[at].GPU != "" && out[at].Level == p.Level && out[at].Text == p.Text && nodeOf(p.Subject) == nodeOf(out[at].Subject)
		} else if !known {
			idle[p.Holder] = len(out)
		}
		if known {
			out[at].more = append(out[at].more, p.Subject)
			if p.Since.After(out[at].Since) {
				out[at].Since = p.Since
			}
			continue
		}
		out = append(out, problem{Problem: p, id: problemID{p.Subject, p.GPU, p.Node, p.Job, p.Key, p.Source, p.Level}})
	}
	for i := range out {
		out[i].Subject = subject(out[i].Subject, out[i].more)
	}
	return out
}

func nodeOf(subject string) string {
	node, _, _ := strings.Cut(subject, "/")
	return node
}

// subject names all GPUs of the first node, "gpu-a/0-3,6", and how many more
// there are on others.
func subject(first string, more []string) string {
	if len(more) == 0 {
		return first
	}
	node := nodeOf(first)
	var on []int
	others := 0
	for _, s := range append([]string{first}, more...) {
		n, index, _ := strings.Cut(s, "/")
		if i, err := strconv.Atoi(index); err == nil && n == node {
			on = append(on, i)
		} else {
			others++
		}
	}
	text := node + "/" + ranges(on)
	if others > 0 {
		text += fmt.Sprintf(" and %d more", others)
	}
	return text
}

// ranges is "0-3,6" for 0, 1, 2, 3 and 6.
func ranges(list []int) string {
	slices.Sort(list)
	var b strings.Builder
	for i := 0; i < len(list); {
		to := i
		for to+1 < len(list) && list[to+1] == list[to]+1 {
			to++
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, list[i])
		switch {
		case to == i+1:
			fmt.Fprintf(&b, ",%d", list[to])
		case to > i:
			fmt.Fprintf(&b, "-%d", list[to])
		}
		i = to + 1
	}
	return b.String()
}

// open goes to where one can act on the problem.
func (p *problem) open(s *cluster.Snapshot) tea.Cmd {
	switch {
	case p.Holder != cluster.JobID{}:
		return screen.Open(screen.Jobs, screen.Target{Job: p.Holder, Details: true})
	case p.GPU != "":
		t := screen.Target{GPU: p.GPU, Details: true}
		if g := s.GPU(p.GPU); g != nil {
			t.Node = g.Node
		}
		return screen.Open(screen.GPUs, t)
	case p.Node != "":
		return screen.Open(screen.Nodes, screen.Target{Node: p.Node, Details: true})
	case p.Job != cluster.JobID{}:
		return screen.Open(screen.Jobs, screen.Target{Job: p.Job, Details: true})
	case p.Key != "":
		return screen.Open(screen.Keys, screen.Target{Key: p.Key, Details: true})
	}
	return screen.Open(screen.Events, screen.Target{})
}

func (p *problem) hint() string {
	switch {
	case p.Holder != cluster.JobID{}:
		return "job"
	case p.GPU != "":
		return "gpu"
	case p.Node != "":
		return "node"
	case p.Job != cluster.JobID{}:
		return "job"
	case p.Key != "":
		return "key"
	}
	return "events"
}

func problemColumns(e *screen.Env) []ui.Column[problem] {
	th := e.Theme
	return []ui.Column[problem]{
		{Min: 1, Cell: func(p *problem) ui.Cell { g, st := screen.Mark(th, p.Level); return ui.In(st, g) }},
		{Min: 10, Max: 44, Ahead: true, Cell: func(p *problem) ui.Cell { return ui.In(th.Title, p.Subject) }},
		{Min: 4, Align: ui.Right, Cell: func(p *problem) ui.Cell {
			if p.Since.IsZero() {
				return ui.Cell{}
			}
			return ui.In(th.Muted, ui.Age(p.Since, e.Now()))
		}},
		{Min: 24, Max: 200, Cell: func(p *problem) ui.Cell { return ui.Txt(p.Text) }},
		{Min: 7 + ui.Width(th.G.Enter), Drop: 1, Cell: func(p *problem) ui.Cell { return ui.In(th.Key, th.G.Enter+" "+p.hint()) }},
	}
}
