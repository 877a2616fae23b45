package tui

import (
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
	"stoker/tui/ui"
)

// chat is how far below the first GPU the first one of prod/llm-chat is.
func chat(s *cluster.Snapshot) int {
	return slices.IndexFunc(s.GPUs, func(g cluster.GPU) bool { return g.Holder != nil && g.Holder.Job.Name == "llm-chat" })
}

// TestAlongWhatBelongsTogether goes from a node to its GPUs, to the job on one,
// to its deployment and to its evaluations, and back to each place as it was left.
func TestAlongWhatBelongsTogether(t *testing.T) {
	r := newRig(t, fixture.Lab())
	r.press("2", "v")
	r.sees("only of node gpu-a")
	r.sees("8 of 20")
	r.sees("─ nodes ▸ gpu-a ▸ gpus ─")
	for range chat(r.snap) {
		r.press("j")
	}
	r.press("J")
	r.sees("▸ jobs ─")
	r.sees("prod/llm-chat")
	r.press("D")
	r.sees("only of job prod/llm-chat")
	r.sees("1 of 3")
	r.press("E")
	r.sees("no evaluations of job prod/llm-chat")
	r.sees("▸ jobs ▸ prod/llm-chat ▸ deployments")

	r.press("q")
	r.sees("[deployments]")
	r.sees("only of job prod/llm-chat")
	r.press("esc") // the first shows all
	r.misses("only of job")
	r.sees("[deployments]")
	r.press("esc")
	r.sees("[4 jobs]")
	r.sees("▸ jobs ─")
	r.press("esc")
	r.sees("only of node gpu-a")
	r.press("q")
	r.sees("[2 nodes]")
	r.misses("▸ gpus")
}

// TestTheSameScreenTwice: what a jump makes of a screen is undone on the way back.
func TestTheSameScreenTwice(t *testing.T) {
	r := newRig(t, fixture.Lab())
	r.press("2", "v")
	for range chat(r.snap) {
		r.press("j")
	}
	r.press("J", "v")
	r.sees("only of job prod/llm-chat")
	r.press("q", "q")
	r.sees("only of node gpu-a")
	r.sees("8 of 20")
}

func TestALogHasItsOwnKeys(t *testing.T) {
	r := newRig(t, fixture.Lab(), func(c *Config) { c.Logs = silent{} })
	r.press("4")
	r.Update(key("l")) // its lines never come
	r.press("N")       // the match before, and not the node
	r.sees("[4 jobs]")
	r.press("?")
	r.sees("in the log")
	r.misses("from a row to what belongs to it")
}

// TestRelated holds where each jump leads from each kind of thing.
func TestRelated(t *testing.T) {
	s := fixture.Lab()
	job := s.Job(cluster.JobID{Namespace: "train", Name: "resnet-sweep"})
	var alloc *cluster.Alloc
	for i := range s.Allocs {
		if s.Allocs[i].Job == job.ID {
			alloc = &s.Allocs[i]
		}
	}
	node, free := s.Node(alloc.Node), &s.GPUs[6]
	for name, c := range map[string]struct {
		of   screen.Subject
		key  keys.ID
		want screen.Target
		to   screen.Name
	}{
		"node, jobs":             {screen.NodeSubject(node), keys.GoJob, screen.Target{Node: node.ID, Within: true}, screen.Jobs},
		"node, pool":             {screen.NodeSubject(node), keys.GoPool, screen.Target{Pool: "gpu", Of: node.Place, Details: true}, screen.Pools},
		"node, itself":           {screen.NodeSubject(node), keys.GoNode, screen.Target{Pool: "gpu", Of: node.Place, Within: true}, screen.Nodes},
		"free GPU, job":          {screen.GPUSubject(free), keys.GoJob, screen.Target{}, ""},
		"job, nodes":             {screen.JobSubject(job), keys.GoNode, screen.Target{Job: job.ID, Within: true}, screen.Nodes},
		"job, services":          {screen.JobSubject(job), keys.GoServices, screen.Target{Job: job.ID, Within: true}, screen.Services},
		"allocation, node":       {screen.AllocSubject(alloc), keys.GoNode, screen.Target{Node: node.ID, Details: true}, screen.Nodes},
		"allocation, GPUs":       {screen.AllocSubject(alloc), keys.GoGPUs, screen.Target{Alloc: alloc.ID, Within: true}, screen.GPUs},
		"allocation, its like":   {screen.AllocSubject(alloc), keys.GoAllocs, screen.Target{Job: job.ID, Within: true}, screen.Allocs},
		"evaluation, job":        {screen.EvalSubject(&s.Evaluations[0]), keys.GoJob, screen.Target{Job: s.Evaluations[0].Job, Details: true}, screen.Jobs},
		"namespace, allocations": {screen.NamespaceSubject(s.Place, "prod"), keys.GoAllocs, screen.Target{Namespace: "prod", Of: s.Place, Within: true}, screen.Allocs},
		"variable, GPUs":         {screen.VariableSubject(&s.Variables[0]), keys.GoGPUs, screen.Target{}, ""},
	} {
		got, ok := related(s, c.key, c.of)
		if ok != (c.to != "") || ok && (got.Screen != c.to || got.Target != c.want) {
			t.Errorf("%s: %v %+v", name, ok, got)
		}
	}
}

// TestEvaluationsOfADeployment are those that placed its allocations, and not all
// of its job.
func TestEvaluationsOfADeployment(t *testing.T) {
	s := *fixture.Lab()
	d := &s.Deployments[0]
	of := screen.DeploymentSubject(d)
	if got, ok := related(&s, keys.GoEvaluations, of); !ok || got.Target.Job != d.Job {
		t.Errorf("where none is known it leads to those of the job: %+v", got)
	}
	s.Allocs = slices.Clone(s.Allocs)
	i := slices.IndexFunc(s.Allocs, func(a cluster.Alloc) bool { return a.Job == d.Job })
	s.Allocs[i].Deployment, s.Allocs[i].Eval = d.ID, s.Evaluations[0].ID
	r := newRig(t, &s)
	r.press(":", `"deployments"`, "enter", "E")
	r.sees("only of deployment " + d.ID.Short())
	r.sees(s.Evaluations[0].ID.Short())
	if shown, _ := r.active().Screen.(screen.Filterer).Counts(); shown != 1 {
		t.Errorf("%d evaluations", shown)
	}
}

// TestARolloutLeadsToItsJob: what one does about a rollout that failed is done to
// its job, from the list and from its sheet.
func TestARolloutLeadsToItsJob(t *testing.T) {
	for _, keys := range [][]string{{"x"}, {"enter", "x"}} {
		r := newRig(t, fixture.Lab())
		r.press(":", `"deployments"`, "enter")
		r.press(keys...)
		r.sees("stop job " + r.snap.Deployments[0].Job.String())
		r.press("esc")
		r.sees("R restart")
	}
}

// TestEveryNarrowing: each list that a jump can narrow shows what belongs, and fills its rectangle.
func TestEveryNarrowing(t *testing.T) {
	lab := fixture.Lab()
	for _, key := range []string{"N", "v", "J", "A", "D", "E", "V", "P"} {
		for _, from := range []string{"1", "2", "3", "4", "9", "0"} {
			r := newRig(t, lab)
			r.send(tea.WindowSizeMsg{Width: 80, Height: 24})
			r.press(from, "down", key)
			for i, l := range strings.Split(r.draw(), "\n") {
				if n := ui.Width(l); n != 80 {
					t.Errorf("%s on %s: line %d has %d cells", key, from, i, n)
				}
			}
			if f, ok := r.active().Screen.(screen.Filterer); ok && len(r.stack) > 1 && strings.Contains(r.draw(), "only of") {
				if shown, all := f.Counts(); shown > all || shown == 0 && from != "1" && strings.Contains("NvJAP", key) { // of the job that waits there is nothing
					t.Errorf("%s on %s: %d of %d rows", key, from, shown, all)
				}
			}
			r.press("esc", "esc", "esc")
			if len(r.stack) != 1 {
				t.Errorf("%s on %s: %d steps are left of the way", key, from, len(r.stack))
			}
		}
	}
}

// TestFromTheFleet: a line that needs attention leads to what it is about.
func TestFromTheFleet(t *testing.T) {
	r := newRig(t, fixture.Lab())
	r.press("1", "N") // the GPU that failed
	r.sees("fleet ▸ gpu-a/3 ▸ nodes")
	r.press("esc", "tab", "J") // the first node
	r.sees("only of node gpu-a")
}
