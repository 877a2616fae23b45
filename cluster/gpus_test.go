package cluster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
)

func unhealthy(i int, why string) func(*Node) {
	return func(n *Node) { n.Devices[i].Healthy, n.Devices[i].HealthText = false, why }
}

func TestHolder(t *testing.T) {
	w := readWorld(t)
	w.update(Update{Nodes: []Node{node("n1", "gpu-a", 1, "G1", "G2")}, Jobs: []Job{job("x", 1, func(j *Job) { j.Kind, j.Model = KindInference, "digits" })}})
	s := w.update(Update{Allocs: []Alloc{alloc("a1", "x", 2, func(a *Alloc) {
		a.Tasks = []Task{{Name: "side"}, {Name: "serve", GPUs: []gpu.UUID{"G2"}}}
		a.GPUs = []gpu.UUID{"G2"}
	})}})
	want := &Holder{Alloc: "a1", Name: "x.g[0]", Job: JobID{Namespace: "default", Name: "x"}, Task: "serve", Kind: KindInference, Model: "digits", Since: start()}
	if d := cmp.Diff(want, s.GPU("G2").Holder); d != "" {
		t.Error(d)
	}
	if s.GPU("G1").Holder != nil || s.Job(JobID{Namespace: "default", Name: "x"}).GPUsHeld != 1 || s.Fleet.Held != 1 || s.Fleet.Free != 1 {
		t.Errorf("%s%+v", picture(s), s.Fleet)
	}
	if got := s.JobGPUs(JobID{Namespace: "default", Name: "x"}); len(got) != 1 || got[0].UUID != "G2" {
		t.Errorf("the job's GPUs: %v", got)
	}
	for _, client := range []string{"unknown", "pending"} { // a node out of sight still holds
		if s = w.update(Update{Allocs: []Alloc{alloc("a1", "x", s.Rev+10, ended(client), holding("G2"))}}); s.GPU("G2").Holder == nil {
			t.Errorf("released by client status %s", client)
		}
	}
	for _, client := range []string{"complete", "failed", "lost"} {
		s = w.update(Update{Allocs: []Alloc{alloc("a1", "x", s.Rev+10, holding("G2"))}})
		if s.GPU("G2").Holder == nil {
			t.Error("not held again")
		}
		s = w.update(Update{Allocs: []Alloc{alloc("a1", "x", s.Rev+10, ended(client), holding("G2"))}})
		if s.GPU("G2").Holder != nil || s.Job(JobID{Namespace: "default", Name: "x"}).GPUsHeld != 0 {
			t.Errorf("still held after %s", client)
		}
	}
}

// While one allocation leaves, Nomad may have given its device to the next.
// A list does not tell the version of a job that has ended; its allocations do.
func TestHolderOfJobReadLater(t *testing.T) {
	w := newWorld(t)
	w.update(Update{Lists: SetNodes | SetAllocs, Nodes: []Node{node("n1", "gpu-a", 1, "G1")}, Allocs: []Alloc{alloc("a1", "x", 2, holding("G1"))}})
	s := w.update(Update{Lists: SetJobs, Jobs: []Job{job("x", 3, func(j *Job) { j.Kind, j.Model = KindTraining, "digits" })}})
	if h := s.GPU("G1").Holder; h == nil || h.Kind != KindTraining || h.Model != "digits" {
		t.Errorf("holder %+v", h)
	}
}

func TestNoHolderOnceTheAllocationIsWithoutTheGPU(t *testing.T) {
	w := readWorld(t)
	w.update(Update{Nodes: []Node{node("n1", "gpu-a", 1, "G1")}, Allocs: []Alloc{alloc("a1", "x", 2, holding("G1"))}})
	s := w.update(Update{Allocs: []Alloc{alloc("a1", "x", 3)}})
	if h := s.GPU("G1").Holder; h != nil {
		t.Errorf("holder %+v", h)
	}
}

func TestHolderWhileReplaced(t *testing.T) {
	leaves := func(a *Alloc) { a.Desired = "stop" }
	for _, names := range [][2]string{{"a1", "a2"}, {"a2", "a1"}} { // whichever comes first in order
		w := newWorld(t)
		s := w.update(Update{
			Nodes: []Node{node("n1", "gpu-a", 1, "G1")}, Jobs: []Job{job("x", 1)},
			Allocs: []Alloc{alloc(names[0], "x", 2, leaves, holding("G1")), alloc(names[1], "x", 2, ended("pending"), holding("G1"))},
		})
		if h := s.GPU("G1").Holder; h == nil || string(h.Alloc) != names[1] || s.Jobs[0].GPUsHeld != 1 {
			t.Errorf("held by %+v, job holds %d", h, s.Jobs[0].GPUsHeld)
		}
	}
}

func TestMIG(t *testing.T) {
	w := readWorld(t)
	w.update(Update{Nodes: []Node{node("n1", "gpu-a", 1, "MIG-1", "MIG-2")}, Allocs: []Alloc{alloc("a1", "x", 1, holding("MIG-2"))}})
	b := reading("n1", start(), sample("GPU-1", start(), 0), sample("MIG-1", start(), 0), sample("MIG-2", start(), 0))
	watts, used := 300.0, uint64(5<<30)
	b.Samples[0].PowerWatts, b.Samples[0].MemoryUsedBytes = &watts, &used
	for i := 1; i <= 2; i++ {
		b.Devices[i].Parent, b.Devices[i].Index, b.Devices[i].MemoryBytes = "GPU-1", 0, 40<<30
		b.Samples[i].UtilPercent, b.Samples[i].MemoryUsedBytes = nil, &used // the driver tells no more of an instance
	}
	s := w.batch(b)
	want := "node n1 ready\nalloc a1 v0 running\ngpu GPU-1 on gpu-a split\ngpu MIG-1 on gpu-a free\ngpu MIG-2 on gpu-a held by a1\n"
	if d := cmp.Diff(want, picture(s)); d != "" {
		t.Error(d)
	}
	if p := s.GPU("MIG-1").Parent; p != "GPU-1" {
		t.Errorf("parent %q", p)
	}
	if f := s.Fleet; f.GPUs != 2 || f.Held != 1 || f.Free != 1 || f.MemoryTotal != 80<<30 || *f.MemoryUsed != 10<<30 || *f.PowerWatts != 300 {
		t.Errorf("the device was counted beside its instances: %+v", f)
	}
	b.At = start().Add(time.Minute)
	b.Samples = []gpu.Sample{b.Samples[0]}
	b.Samples[0].At, b.Samples[0].Health = b.At, gpu.Health{Verdict: gpu.VerdictFailed, Reason: "Xid 79"}
	if s = w.batch(b); s.GPU("MIG-1").State() != "failed" || s.GPU("MIG-2").Health.Reason != "Xid 79" || s.Fleet.Failed != 2 {
		t.Errorf("what broke the device did not break its instances:\n%s", picture(s))
	}
	b.At, b.Devices, b.Samples = b.At.Add(time.Minute), b.Devices[:1], []gpu.Sample{sample("GPU-1", b.At.Add(time.Minute), 0)}
	w.update(Update{Nodes: []Node{node("n1", "gpu-a", 9, "GPU-1")}}) // MIG was switched off
	if s = w.batch(b); len(s.GPUs) != 1 || s.GPU("GPU-1").State() != "free" {
		t.Errorf("dissolved instances stayed:\n%s", picture(s))
	}
}

func TestDevicesKnownFromSamplesAlone(t *testing.T) {
	w := newWorld(t)
	w.batch(reading("n1", start(), sample("G1", start(), 5))) // before the node is known
	if s := w.feed.Latest(); len(s.GPUs) != 0 {
		t.Error("a device of nobody is shown")
	}
	s := w.update(Update{Nodes: []Node{node("n1", "gpu-a", 1), node("n2", "gpu-b", 1, "G2")}})
	g := s.GPU("G1")
	if len(s.GPUs) != 2 || g.NodeName != "gpu-a" || g.Known || g.Failed() || *g.Util() != 5 || g.Source != "agent" {
		t.Errorf("%+v", g)
	}
	if got := s.NodeGPUs("n1"); len(got) != 1 || got[0].UUID != "G1" {
		t.Errorf("of its node: %v", got)
	}
	if s = w.update(Update{Index: 5, GoneNodes: []NodeID{"n1"}}); len(s.GPUs) != 1 {
		t.Error("the node left, its device stayed")
	}
}

func TestNodeDown(t *testing.T) {
	w := newWorld(t)
	w.update(Update{Nodes: []Node{node("n1", "gpu-a", 1, "G1", "G2")}, Allocs: []Alloc{alloc("a1", "x", 1, holding("G1"))}})
	w.batch(reading("n1", start(), sample("G1", start(), 90), sample("G2", start(), 0)))
	s := w.update(Update{Nodes: []Node{{ID: "n1", Name: "gpu-a", Status: NodeDown, ModifyIndex: 2, Devices: node("", "", 0, "G1", "G2").Devices}}})
	if g := s.GPU("G1"); g.State() != "down" || g.Sample == nil {
		t.Errorf("%+v", g)
	}
	want := Fleet{Nodes: 1, GPUs: 2, Held: 1, Down: 2}
	got := s.Fleet
	got.Util = nil
	if d := cmp.Diff(want, got); d != "" {
		t.Error("readings of a node that is down are history:", d)
	}
	if len(s.Problems) != 1 || s.Problems[0].Text != "node is down, jobs held 1 GPU on it" || s.Problems[0].Level != Bad {
		t.Errorf("%+v", s.Problems)
	}
	if at := s.Problems[0].Since; at.IsZero() || at != s.Events[0].At {
		t.Errorf("down since %v", s.Problems[0].Since)
	}

	w = newWorld(t) // down from the beginning: its last reading is the best that is known
	w.update(Update{Nodes: []Node{{ID: "n1", Name: "gpu-a", Status: NodeDown, ModifyIndex: 2, Devices: node("", "", 0, "G1").Devices}}})
	s = w.batch(reading("n1", start().Add(-time.Hour), sample("G1", start().Add(-time.Hour), 0)))
	if len(s.Problems) != 1 || s.Problems[0].Since != start().Add(-time.Hour) {
		t.Errorf("%+v", s.Problems)
	}
}

// A machine that was set up anew gets a new ID; its old self stays listed, down.
func TestNodeBuiltAnew(t *testing.T) {
	old := node("n9", "gpu-a", 5, "G1")
	old.Status = NodeDown
	for name, nodes := range map[string][]Node{
		"down and up":     {old, node("n1", "gpu-a", 4, "G1")},
		"both not up yet": {{ID: "n9", Name: "gpu-a", Status: NodeDown, ModifyIndex: 5, Devices: old.Devices}, {ID: "n1", Name: "gpu-a", Status: NodeInitialising, ModifyIndex: 6, Devices: old.Devices}},
	} {
		w := newWorld(t)
		s := w.update(Update{Nodes: nodes})
		if len(s.GPUs) != 1 || s.GPUs[0].Node != "n1" || s.GPU("G1").Node != "n1" || len(s.NodeGPUs("n9")) != 0 {
			t.Errorf("%s: %s", name, picture(s))
		}
	}
}

func TestFailed(t *testing.T) {
	ok := gpu.Health{Verdict: gpu.VerdictOK}
	bad := gpu.Health{Verdict: gpu.VerdictFailed, Reason: "Xid 79", Since: start().Add(-time.Minute)}
	worn := gpu.Health{Verdict: gpu.VerdictDegraded, Reason: "uncorrectable memory errors"}
	for name, test := range map[string]struct {
		closed string // why the scheduler was told that it is unhealthy
		sample gpu.Health
		want   gpu.Health
		state  string
	}{
		"healthy":           {"", ok, ok, "free"},
		"not judged":        {"", gpu.Health{}, gpu.Health{}, "free"},
		"degraded":          {"", worn, worn, "degraded"},
		"by its sample":     {"", bad, bad, "failed"},
		"by the scheduler":  {"lost", ok, gpu.Health{Verdict: gpu.VerdictFailed, Reason: "lost"}, "failed"},
		"by both":           {"lost", bad, bad, "failed"},
		"without a reason":  {" ", ok, gpu.Health{Verdict: gpu.VerdictFailed, Reason: " "}, "failed"},
		"degraded and shut": {"lost", worn, gpu.Health{Verdict: gpu.VerdictFailed, Reason: "lost"}, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := readWorld(t)
			n := node("n1", "gpu-a", 1, "G1")
			if test.closed != "" {
				unhealthy(0, test.closed)(&n)
			}
			w.update(Update{Nodes: []Node{n}})
			b := reading("n1", start(), sample("G1", start(), 0))
			b.Samples[0].Health = test.sample
			s := w.batch(b)
			if d := cmp.Diff(test.want, s.GPU("G1").Health); d != "" || s.GPU("G1").State() != test.state {
				t.Errorf("%s: %s", s.GPU("G1").State(), d)
			}
		})
	}
}

func TestFreeMeansPlaceable(t *testing.T) {
	for name, test := range map[string]struct {
		node  func(*Node)
		claim Update
		want  string
	}{
		"open":                   {func(*Node) {}, Update{Lists: SetAll}, "free"},
		"node not eligible":      {func(n *Node) { n.Eligible = false }, Update{Lists: SetAll}, "closed"},
		"node drains":            {func(n *Node) { n.Draining = true }, Update{Lists: SetAll}, "closed"},
		"node down":              {func(n *Node) { n.Status = NodeDown }, Update{Lists: SetAll}, "down"},
		"node does not offer it": {func(n *Node) { n.Devices = nil }, Update{Lists: SetAll}, "closed"},
		"not listed yet":         {func(*Node) {}, Update{}, "unknown"},
		"list refused":           {func(*Node) {}, Update{Refused: SetAll}, "unknown"},
		"some namespaces only":   {func(*Node) {}, Update{Lists: SetAll, Partial: SetAllocs}, "unknown"},
		"right lost":             {func(*Node) {}, Update{Lists: SetAll &^ SetAllocs, Refused: SetAllocs}, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.update(test.claim)
			n := node("n1", "gpu-a", 1, "G1")
			test.node(&n)
			w.update(Update{Nodes: []Node{n}})
			s := w.batch(reading("n1", start(), sample("G1", start(), 0)))
			free := map[bool]int{true: 1}[test.want == "free"]
			if got := s.GPU("G1").State(); got != test.want || s.Fleet.Free != free {
				t.Errorf("%s, want %s; fleet %+v", got, test.want, s.Fleet)
			}
		})
	}
}
