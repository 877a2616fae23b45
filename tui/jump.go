package tui

import (
	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/tui/keys"
	"stoker/tui/screen"
)

// jump goes from what the cursor is on to what is related to it: to the one
// thing, or to a list that is narrowed to what belongs to it.
func (m *model) jump(id keys.ID) tea.Cmd {
	f, ok := m.active().Screen.(screen.Focused)
	if !ok {
		return m.active().Update(screen.KeyMsg{ID: id})
	}
	s, ok := f.Focus()
	if !ok {
		m.note(cluster.Info, "the cursor is on nothing that has "+jumpTo(id)+" here")
		return nil
	}
	to, ok := related(m.snap, id, s)
	if !ok {
		m.note(cluster.Info, "nobody knows of "+jumpTo(id)+" of "+s.Kind+" "+s.Label)
		return nil
	}
	return m.open(to.Screen, to.Target)
}

// jumpTo is what a jump leads to, in words.
func jumpTo(id keys.ID) string {
	switch id {
	case keys.GoNode:
		return "nodes"
	case keys.GoGPUs:
		return "GPUs"
	case keys.GoJob:
		return "jobs"
	case keys.GoPool:
		return "a node pool"
	}
	return string(id)[len("go "):]
}

// related is where a jump from a thing leads; false: to nothing.
func related(s *cluster.Snapshot, id keys.ID, of screen.Subject) (screen.OpenMsg, bool) {
	t := of.Target
	var ok bool
	to := screen.OpenMsg{}
	switch id {
	case keys.GoNode:
		to.Screen = screen.Nodes
		to.Target, ok = first(
			one(t.Node != "" && of.Kind != "node", screen.Target{Node: t.Node}),
			within(t.Job != cluster.JobID{}, screen.Target{Job: t.Job}), within(t.Pool != "", screen.Target{Pool: t.Pool, Of: t.Of}),
		)
	case keys.GoGPUs:
		to.Screen = screen.GPUs
		to.Target, ok = first(
			one(t.GPU != "", screen.Target{GPU: t.GPU}), within(t.Alloc != "", screen.Target{Alloc: t.Alloc}), within(t.Job != cluster.JobID{}, screen.Target{Job: t.Job}),
			within(t.Node != "", screen.Target{Node: t.Node}), whole(of),
		)
	case keys.GoJob:
		to.Screen = screen.Jobs
		to.Target, ok = first(
			one(t.Job != cluster.JobID{}, screen.Target{Job: t.Job, Alloc: t.Alloc}), within(of.Kind == "node", screen.Target{Node: t.Node}), whole(of),
		)
	case keys.GoAllocs:
		to.Screen = screen.Allocs
		to.Target, ok = first(
			one(t.Alloc != "" && of.Kind != "allocation", screen.Target{Alloc: t.Alloc}), within(of.Kind == "deployment", screen.Target{Deployment: t.Deployment}),
			within(of.Kind == "evaluation" && s.Job(t.Job) == nil, screen.Target{Eval: t.Eval}), within(t.Job != cluster.JobID{}, screen.Target{Job: t.Job}),
			within(of.Kind == "node", screen.Target{Node: t.Node}), whole(of),
		)
	case keys.GoDeployments:
		to.Screen = screen.Deployments
		to.Target, ok = first(
			one(of.Kind != "deployment" && knownDeployment(s, t.Deployment), screen.Target{Deployment: t.Deployment}),
			within(t.Job != cluster.JobID{}, screen.Target{Job: t.Job}), whole(of),
		)
	case keys.GoEvaluations:
		to.Screen = screen.Evaluations
		to.Target, ok = first(
			one(of.Kind != "evaluation" && s.Evaluation(t.Eval) != nil, screen.Target{Eval: t.Eval}),
			within(of.Kind == "deployment" && len(screen.EvalsOf(s, t.Deployment)) > 0, screen.Target{Deployment: t.Deployment}),
			within(t.Job != cluster.JobID{}, screen.Target{Job: t.Job}), within(of.Kind == "node", screen.Target{Node: t.Node}), whole(of),
		)
	case keys.GoServices:
		to.Screen = screen.Services
		to.Target, ok = first(
			within(of.Kind == "allocation", screen.Target{Alloc: t.Alloc}), within(t.Job != cluster.JobID{}, screen.Target{Job: t.Job}),
			within(of.Kind == "node", screen.Target{Node: t.Node}), whole(of),
		)
	case keys.GoPool:
		to.Screen = screen.Pools
		to.Target, ok = first(one(t.Pool != "" && of.Kind != "node pool", screen.Target{Pool: t.Pool, Of: t.Of}))
	}
	return to, ok
}

// way is one way that a jump may go.
type way struct {
	screen.Target
	open bool
}

// one leads to the details of one thing, where it is known.
func one(open bool, t screen.Target) way {
	t.Details = true
	return way{t, open}
}

// within leads to a list that is narrowed.
func within(open bool, t screen.Target) way {
	t.Within = true
	return way{t, open}
}

// whole leads to all that belongs to a pool or a namespace.
func whole(of screen.Subject) way {
	switch of.Kind {
	case "node pool":
		return within(true, screen.Target{Pool: of.Pool, Of: of.Of})
	case "namespace":
		return within(true, screen.Target{Namespace: of.Namespace, Of: of.Of})
	}
	return way{}
}

func first(ways ...way) (screen.Target, bool) {
	for _, w := range ways {
		if w.open {
			return w.Target, true
		}
	}
	return screen.Target{}, false
}

func knownDeployment(s *cluster.Snapshot, id cluster.DeploymentID) bool {
	for i := range s.Deployments {
		if id != "" && s.Deployments[i].ID == id {
			return true
		}
	}
	return false
}
