package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
)

func TestFolding(t *testing.T) {
	running := alloc("a1", "x", 10)
	complete := alloc("a1", "x", 12, ended("complete"))
	for name, test := range map[string]struct {
		updates []Update
		want    string
	}{
		"a duplicate": {
			[]Update{{Allocs: []Alloc{running}}, {Allocs: []Alloc{running}}, {Allocs: []Alloc{running, running}}},
			"alloc a1 v0 running\n",
		},
		"an old row after a new one": {
			[]Update{{Allocs: []Alloc{complete}}, {Allocs: []Alloc{running}}},
			"alloc a1 v0 complete\n",
		},
		"both in one update, in the wrong order": {
			[]Update{{Allocs: []Alloc{complete, running}}},
			"alloc a1 v0 complete\n",
		},
		"a list removes what is gone": {
			[]Update{{Allocs: []Alloc{running, alloc("a2", "x", 11)}}, {Lists: SetAllocs, Index: 20, Allocs: []Alloc{running}}},
			"alloc a1 v0 running\n",
		},
		"but nothing newer": {
			[]Update{{Allocs: []Alloc{running, alloc("a2", "x", 21)}}, {Lists: SetAllocs, Index: 20, Allocs: []Alloc{running}}},
			"alloc a1 v0 running\nalloc a2 v0 running\n",
		},
		"a list does not undo a newer event": {
			[]Update{{Allocs: []Alloc{complete}}, {Lists: SetAllocs, Index: 11, Allocs: []Alloc{running}}},
			"alloc a1 v0 complete\n",
		},
		"a list is the last word at its index": {
			[]Update{{Allocs: []Alloc{alloc("a1", "x", 12, version(1))}}, {Lists: SetAllocs, Index: 20, Allocs: []Alloc{complete}}},
			"alloc a1 v0 complete\n",
		},
		"a list of one kind leaves the others": {
			[]Update{{Allocs: []Alloc{running}, Jobs: []Job{job("x", 5)}}, {Lists: SetJobs, Index: 20}},
			"alloc a1 v0 running\n",
		},
		"lists of their own index": { // each table of the server has one
			[]Update{{Allocs: []Alloc{running}, Jobs: []Job{job("x", 5)}}, {Lists: SetServices, Index: 1}, {Lists: SetAllocs, Index: 30}},
			"job x v0 run 0 start 0 fail 0 lost 0 gpus 0\n",
		},
		"gone": {
			[]Update{{Allocs: []Alloc{running}}, {Index: 11, GoneAllocs: []AllocID{"a1"}}},
			"",
		},
		"gone, but changed later": {
			[]Update{{Allocs: []Alloc{complete}}, {Index: 11, GoneAllocs: []AllocID{"a1"}}},
			"alloc a1 v0 complete\n",
		},
		"gone before it was seen": {
			[]Update{{Index: 11, GoneAllocs: []AllocID{"a1"}}, {Allocs: []Alloc{running}}},
			"",
		},
		"a late event does not revive": {
			[]Update{{Allocs: []Alloc{running}}, {Index: 15, GoneAllocs: []AllocID{"a1"}}, {Allocs: []Alloc{complete}}},
			"",
		},
		"gone twice, the second time late": {
			[]Update{{Index: 15, GoneAllocs: []AllocID{"a1"}}, {Index: 11, GoneAllocs: []AllocID{"a1"}}, {Allocs: []Alloc{complete}}},
			"",
		},
		"a newer event does": {
			[]Update{{Allocs: []Alloc{running}}, {Index: 11, GoneAllocs: []AllocID{"a1"}}, {Allocs: []Alloc{complete}}},
			"alloc a1 v0 complete\n",
		},
		"an event from before the list that lacked it": { // streams begin before the list
			[]Update{{Lists: SetAllocs, Index: 20}, {Allocs: []Alloc{complete}}},
			"",
		},
		"gone after the list was taken": {
			[]Update{{Index: 25, GoneAllocs: []AllocID{"a1"}}, {Lists: SetAllocs, Index: 20, Allocs: []Alloc{running}}},
			"",
		},
		"a list that may see nothing": { // denied: the last data stays
			[]Update{{Lists: SetAll, Index: 20, Allocs: []Alloc{running}}, {Refused: SetAll}},
			"alloc a1 v0 running\n",
		},
		"a cluster that was built anew": { // its indexes begin again
			[]Update{
				{Lists: SetAll, Index: 900, Jobs: []Job{job("old", 800)}, Allocs: []Alloc{alloc("a9", "old", 850)}, Nodes: []Node{node("n9", "gpu-z", 700)}},
				{Lists: SetAllocs, Index: 12, Allocs: []Alloc{complete}},
				{Lists: SetJobs, Index: 11, Jobs: []Job{job("x", 9)}},
				{Lists: SetNodes, Index: 10, Nodes: []Node{node("n1", "gpu-a", 8)}},
				{Nodes: []Node{node("n2", "gpu-b", 13)}},
			},
			"node n1 ready\nnode n2 ready\njob x v0 run 0 start 0 fail 0 lost 0 gpus 0\nalloc a1 v0 complete\n",
		},
		"other kinds go by the same rules": {
			[]Update{
				{Nodes: []Node{node("n1", "gpu-a", 5)}, Services: []Service{{ID: "s1", ModifyIndex: 5}, {ID: "s2", ModifyIndex: 5}}, Jobs: []Job{job("x", 5)}},
				{Index: 6, GoneNodes: []NodeID{"n1"}, GoneServices: []ServiceID{"s1"}, GoneJobs: []JobID{{Namespace: "default", Name: "x"}}},
				{Nodes: []Node{node("n1", "gpu-a", 6)}, Services: []Service{{ID: "s1", ModifyIndex: 5}}, Jobs: []Job{job("x", 6)}},
			},
			"service s2\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var s *Snapshot
			for _, u := range test.updates {
				s = w.update(u)
			}
			if d := cmp.Diff(test.want, picture(s)); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestAnyOrder gives the same changes in many orders, some of them twice.
func TestAnyOrder(t *testing.T) {
	changes := []Update{
		{Index: 1, Jobs: []Job{job("y", 1)}},
		{Index: 2, Allocs: []Alloc{alloc("a1", "x", 2, ended("pending"))}},
		{Index: 3, Allocs: []Alloc{alloc("a1", "x", 3)}},
		{Index: 4, Allocs: []Alloc{alloc("a1", "x", 4, ended("complete"))}},
		{Index: 5, GoneJobs: []JobID{{Namespace: "default", Name: "y"}}},
		{Index: 6, Jobs: []Job{job("y", 6, func(j *Job) { j.Version = 7 })}},
	}
	const want = "job y v7 run 0 start 0 fail 0 lost 0 gpus 0\nalloc a1 v0 complete\n"
	order := []int{0, 1, 2, 3, 4, 5}
	var try func(k int)
	tried := 0
	try = func(k int) {
		if k < len(order) {
			for i := k; i < len(order); i++ {
				order[k], order[i] = order[i], order[k]
				try(k + 1)
				order[k], order[i] = order[i], order[k]
			}
			return
		}
		tried++
		st := newState(Place{}, start)
		for _, i := range order {
			st.scheduler(changes[i])
			if tried%7 == i {
				st.snapshot() // what is kept between two snapshots must not matter
			}
			st.scheduler(changes[order[0]])
		}
		if d := cmp.Diff(want, picture(st.snapshot())); d != "" {
			t.Fatalf("order %v: %s", order, d)
		}
	}
	try(0)
}

// Nomad deletes a purged job's allocations and deployments with it, silently.
func TestPurgedJobTakesItsOwn(t *testing.T) {
	w := readWorld(t)
	w.update(Update{
		Jobs: []Job{job("x", 1), job("y", 1)}, Nodes: []Node{node("n1", "gpu-a", 1, "G1")},
		Allocs:      []Alloc{alloc("a1", "x", 2, holding("G1")), alloc("a2", "y", 2)},
		Deployments: []Deployment{{ID: "d1", Job: JobID{Namespace: "default", Name: "x"}, ModifyIndex: 2}, {ID: "d2", Job: JobID{Namespace: "default", Name: "y"}, ModifyIndex: 2}},
	})
	s := w.update(Update{Index: 5, GoneJobs: []JobID{{Namespace: "default", Name: "x"}}})
	if d := cmp.Diff("node n1 ready\njob y v0 run 1 start 0 fail 0 lost 0 gpus 0\nalloc a2 v0 running\ngpu G1 on gpu-a free\n", picture(s)); d != "" || len(s.Deployments) != 1 {
		t.Error(d, s.Deployments)
	}
	// It was run again meanwhile: the old purge, told once more, takes nothing of that.
	w.update(Update{Index: 9, Jobs: []Job{job("x", 9)}, Allocs: []Alloc{alloc("a3", "x", 9)}})
	if s = w.update(Update{Index: 5, GoneJobs: []JobID{{Namespace: "default", Name: "x"}}}); s.Job(JobID{Namespace: "default", Name: "x"}) == nil || s.Alloc("a3") == nil || s.Alloc("a1") != nil {
		t.Error(picture(s))
	}
}

func TestVersionOfAnEvent(t *testing.T) {
	of := func(v uint64) func(*Job) { return func(j *Job) { j.Version = v } }
	eval := func(id string) func(*Alloc) { return func(a *Alloc) { a.Eval = EvalID(id) } }
	rollout := func(id string) func(*Alloc) { return func(a *Alloc) { a.Deployment = DeploymentID(id) } }
	unknown := version(UnknownVersion)
	w := newWorld(t)
	w.update(Update{Jobs: []Job{job("x", 1, of(1))}, Allocs: []Alloc{alloc("a1", "x", 1, version(1), eval("e1"), rollout("d1"))}})
	s := w.update(Update{ // version 2 replaces it: one event tells of all
		Jobs: []Job{job("x", 2, of(2))}, Deployments: []Deployment{{ID: "d2", Job: JobID{Namespace: "default", Name: "x"}, JobVersion: 2, ModifyIndex: 2}},
		Allocs: []Alloc{
			alloc("a1", "x", 2, unknown, eval("e1"), rollout("d1"), func(a *Alloc) { a.Desired = "stop" }),
			alloc("a2", "x", 2, unknown, eval("e2"), rollout("d2")), alloc("a3", "x", 2, unknown, eval("e2")),
		},
	})
	if a := s.Alloc("a1"); a.JobVersion != 1 {
		t.Errorf("the one that leaves is of version %d", a.JobVersion)
	}
	if a, b := s.Alloc("a2"), s.Alloc("a3"); a.JobVersion != 2 || b.JobVersion != 2 {
		t.Errorf("the new ones are of versions %d, %d", a.JobVersion, b.JobVersion)
	}
	// Version 3 takes it over in place, by an evaluation of its own.
	s = w.update(Update{Jobs: []Job{job("x", 3, of(3))}, Allocs: []Alloc{alloc("a2", "x", 3, unknown, eval("e3"))}})
	if a := s.Alloc("a2"); a.JobVersion != 3 || a.Deployment != "" {
		t.Errorf("updated in place: version %d, deployment %q", a.JobVersion, a.Deployment)
	}
	// A list tells the version, but not the deployment.
	s = w.update(Update{Lists: SetAllocs, Index: 9, Allocs: []Alloc{alloc("a1", "x", 2, version(1), eval("e1")), alloc("a3", "x", 2, version(2), eval("e2"))}})
	if a := s.Alloc("a1"); a.JobVersion != 1 || a.Deployment != "d1" {
		t.Errorf("listed: version %d, deployment %q", a.JobVersion, a.Deployment)
	}
	if a := w.update(Update{Allocs: []Alloc{alloc("a8", "nobody", 20, unknown)}}).Alloc("a8"); a.JobVersion != 0 {
		t.Errorf("of an unknown job: version %d", a.JobVersion)
	}
}

func TestListOfJobsKeepsSpecifications(t *testing.T) {
	stub := func(idx, v uint64) Job {
		return job("x", idx, func(j *Job) { j.Groups, j.Version, j.Status = nil, v, "dead" })
	}
	w := newWorld(t)
	w.update(Update{Jobs: []Job{job("x", 1)}})
	if j := w.update(Update{Lists: SetJobs, Index: 5, Jobs: []Job{stub(4, 0)}}).Jobs[0]; j.Desired() != 1 || j.Status != "dead" {
		t.Errorf("the same version lost its groups: %+v", j)
	}
	if j := w.update(Update{Lists: SetJobs, Index: 7, Jobs: []Job{stub(6, 1)}}).Jobs[0]; j.Groups != nil {
		t.Errorf("another version took over the groups: %+v", j)
	}
}

// TestPastHasItsReasons: the first list comes without what tasks went through,
// and what failed before is told when that is known.
func TestPastHasItsReasons(t *testing.T) {
	w := newWorld(t)
	failed := alloc("a1", "x", 5, ended("failed"))
	failed.Modified = start().Add(-time.Hour)
	failed.Tasks = []Task{{Name: "main", State: ""}}
	if s := w.update(Update{Lists: SetAll, Index: 10, Allocs: []Alloc{failed}}); len(s.Events) != 0 {
		t.Errorf("told before it is known why: %+v", s.Events)
	}
	now := alloc("a2", "x", 11, ended("failed")) // it fails meanwhile
	now.Modified = start()
	w.update(Update{Index: 11, Allocs: []Alloc{now}})
	failed.Tasks = []Task{{Name: "main", State: "dead", Failed: true, Events: []TaskEvent{{At: failed.Modified, Type: "Driver Failure", Text: "no such image"}}}}
	for range 2 {
		s := w.update(Update{Lists: SetAllocs, Index: 12, Allocs: []Alloc{failed, now}})
		if len(s.Events) != 2 || !strings.Contains(s.Events[1].Text, "no such image") || !s.Events[1].At.Equal(failed.Modified) {
			t.Errorf("events %+v", s.Events)
		}
	}
}

func TestOlderDetailComesTooLate(t *testing.T) {
	detail := func(index uint64, rack string) *NodeDetail {
		return &NodeDetail{Meta: map[string]string{"rack": rack}, ModifyIndex: index}
	}
	w := readWorld(t)
	n := node("n1", "gpu-a", 20, "G1")
	n.Detail = detail(20, "new")
	w.update(Update{Nodes: []Node{n}})
	s := w.update(Update{Details: map[NodeID]*NodeDetail{"n1": detail(19, "old")}})
	if rack, _ := s.Nodes[0].Meta("rack"); rack != "new" {
		t.Errorf("rack %s", rack)
	}
	s = w.update(Update{Details: map[NodeID]*NodeDetail{"n1": detail(21, "newest")}})
	if rack, _ := s.Nodes[0].Meta("rack"); rack != "newest" {
		t.Errorf("rack %s", rack)
	}
}

// TestPurgedDuringAList: a list is older than the event that came while it was read.
// TestDetailOfAnEventThatIsListed: a stream that was opened before the list says
// again what the list holds, and with its detail.
func TestDetailOfAnEventThatIsListed(t *testing.T) {
	w := readWorld(t)
	event := func(index uint64, rack string) Node {
		n := node("n1", "gpu-a", index)
		n.Detail = &NodeDetail{Meta: map[string]string{"rack": rack}, ModifyIndex: index}
		return n
	}
	w.update(Update{Lists: SetNodes, Index: 20, Nodes: []Node{node("n1", "gpu-a", 20)}})
	s := w.update(Update{Index: 11, Nodes: []Node{event(11, "old")}})
	if rack, known := s.Node("n1").Meta("rack"); known {
		t.Errorf("rack %q is of before the list", rack)
	}
	s = w.update(Update{Index: 20, Nodes: []Node{event(20, "r7")}})
	if rack, _ := s.Node("n1").Meta("rack"); rack != "r7" || s.Node("n1").ModifyIndex != 20 {
		t.Errorf("rack %q", rack)
	}
}

func TestPurgedDuringAList(t *testing.T) {
	w := newWorld(t)
	w.update(Update{Lists: SetAll, Index: 5})
	id := JobID{Namespace: "default", Name: "x"}
	w.update(Update{Index: 12, GoneJobs: []JobID{id}})
	s := w.update(Update{Lists: SetAllocs, Index: 10, Allocs: []Alloc{alloc("a1", "x", 9), alloc("a2", "y", 9)}})
	if len(s.Allocs) != 1 || s.Allocs[0].ID != "a2" {
		t.Errorf("%+v", s.Allocs)
	}
	s = w.update(Update{Lists: SetAllocs, Index: 14, Allocs: []Alloc{alloc("a3", "x", 13), alloc("a2", "y", 9)}}) // it was submitted again
	if len(s.Allocs) != 2 {
		t.Errorf("%+v", s.Allocs)
	}
	s = w.update(Update{Lists: SetAllocs, Index: 3, Allocs: []Alloc{alloc("a4", "x", 2)}}) // the servers began anew
	if len(s.Allocs) != 1 {
		t.Errorf("%+v", s.Allocs)
	}
}

// TestNothingIsKeptOfNodesThatWent: machines come and go for as long as one looks.
func TestNothingIsKeptOfNodesThatWent(t *testing.T) {
	st := newState(Place{}, start)
	for i := range 3 {
		n, g := NodeID(fmt.Sprint("n", i)), gpu.UUID(fmt.Sprint("G", i))
		st.scheduler(Update{Nodes: []Node{node(string(n), "gpu-a", uint64(10*i+1), g)}, Allocs: []Alloc{alloc(fmt.Sprint("a", i), "x", uint64(10*i+2), holding(g))}})
		b := reading(string(n), after(time.Minute), sample(g, after(time.Minute), 0))
		b.Events = []gpu.Event{xid(g, after(time.Minute))}
		st.batch(b)
		st.scheduler(Update{Index: uint64(10*i + 5), GoneAllocs: []AllocID{AllocID(fmt.Sprint("a", i))}, GoneNodes: []NodeID{n}})
	}
	if len(st.devices)+len(st.heldBy)+len(st.tenures)+len(st.hit)+len(st.reports)+len(st.clocks) != 0 {
		t.Errorf("kept: %v %v %v %v %v", st.devices, st.tenures, st.hit, st.reports, st.clocks)
	}
}
