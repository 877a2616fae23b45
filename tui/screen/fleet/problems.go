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
	id     problemID
	more   []string // the subjects of others that say the same
	many   int      // how many lines this one stands for, 0 for itself
	filter string   // keeps those of them on the screen that it leads to
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
	kind    cluster.ProblemKind // of a line that stands for many
	cause   string
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
		out = append(out, problem{Problem: p, id: problemID{subject: p.Subject, gpu: p.GPU, node: p.Node, job: p.Job, key: p.Key, source: p.Source, level: p.Level}})
	}
	for i := range out {
		out[i].Subject = subject(out[i].Subject, out[i].more)
	}
	return fold(out)
}

// oldProblems tells the lines about jobs and nodes of which nothing new is heard:
// whether they are still so nobody knows. It is nil while all is heard of.
func oldProblems(s *cluster.Snapshot) func(*problem) bool {
	jobs, nodes := screen.Old(s, "jobs"), screen.Old(s, "nodes")
	if jobs == nil && nodes == nil {
		return nil
	}
	return func(p *problem) bool {
		switch p.Kind {
		case cluster.JobWaits, cluster.RolloutFailed, cluster.AllocsFailed:
			return jobs != nil && jobs(p.Place)
		case cluster.NodeLost:
			return nodes != nil && nodes(p.Place)
		}
		return false
	}
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
	name, t := p.where()
	if g := s.GPU(t.GPU); g != nil {
		t.Node = g.Node
	}
	return screen.Open(name, t)
}

// where is the screen on which one can act on the problem, and what it selects.
func (p *problem) where() (screen.Name, screen.Target) {
	switch {
	case p.many > 0:
		return wayOf(p.Kind), screen.Target{Filter: p.filter}
	case p.Holder != cluster.JobID{}:
		return screen.Jobs, screen.Target{Job: p.Holder, Details: true}
	case p.GPU != "":
		return screen.GPUs, screen.Target{GPU: p.GPU, Details: true}
	case p.Node != "":
		return screen.Nodes, screen.Target{Node: p.Node, Details: true}
	case p.Deployment != "":
		return screen.Deployments, screen.Target{Deployment: p.Deployment, Details: true}
	case p.Job != cluster.JobID{}:
		return screen.Jobs, screen.Target{Job: p.Job, Details: true, Why: p.Kind == cluster.JobWaits}
	case p.Key != "":
		return screen.Keys, screen.Target{Key: p.Key, Of: p.Place, Details: true}
	case p.Kind == cluster.VaultSealed:
		return screen.Keys, screen.Target{}
	case p.Kind == cluster.TokenEnds:
		return screen.Sources, screen.Target{Source: p.Source, Of: p.Place, Details: true}
	}
	return screen.Sources, screen.Target{Filter: p.Source}
}

// hint is what enter leads to, in a word.
func (p *problem) hint() string {
	name, t := p.where()
	switch {
	case t.Why:
		return "why"
	case p.Kind == cluster.TokenEnds && p.many == 0:
		return "renew"
	case name == screen.Deployments:
		return "rollout" // there is no room for more
	}
	if p.many > 0 && name != screen.Sources { // which is as long as there is room
		return string(name)
	}
	return strings.TrimSuffix(string(name), "s")
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
