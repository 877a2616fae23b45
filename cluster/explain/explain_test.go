package explain

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/gpu"
)

func constraint(left, operator, right string) cluster.Constraint {
	return cluster.Constraint{Left: left, Operator: operator, Right: right}
}

// scene is a cluster with a job "j" that waits.
type scene struct {
	name   string
	nodes  []cluster.Node
	others []cluster.Job // that hold what allocs say
	allocs []cluster.Alloc
	job    cluster.Job
	nomad  cluster.PlacementFailure
	want   string // lines; the first, the summary, is left out
}

func (s *scene) update() cluster.Update {
	return cluster.Update{Nodes: s.nodes, Jobs: append(slices.Clone(s.others), s.job), Allocs: s.allocs, Evaluations: waits(&s.job, s.nomad)}
}

func exhausted(n int, by string) cluster.PlacementFailure {
	return cluster.PlacementFailure{Evaluated: n, Exhausted: n, Dimensions: map[string]int{by: n}}
}

func filtered(n int, by string) cluster.PlacementFailure {
	return cluster.PlacementFailure{Evaluated: n, Filtered: n, Constraints: map[string]int{by: n}}
}

func scenes() []scene {
	chat := job("chat", 3, gpus(h100, 1))
	night := job("night", 1, gpus(h100, 2))
	night.Type, night.Priority = "batch", 30
	agent := job("agent", 1, cluster.Group{})
	agent.Type = "system"
	fine := job("j", 1, gpus(h100, 4))
	busy := []cluster.Alloc{alloc(&chat, 0, "a", 0), alloc(&chat, 1, "a", 1), alloc(&chat, 2, "a", 2), alloc(&night, 0, "a", 4, 5)}
	web := job("web", 1, cluster.Group{Ports: []int{8080}})
	big := job("big", 2, cluster.Group{MemoryMB: 300 << 10})
	with := func(j cluster.Job, f func(*cluster.Job)) cluster.Job { f(&j); return j }
	group := func(j cluster.Job, f func(*cluster.Group)) cluster.Job {
		j.Groups = slices.Clone(j.Groups)
		f(&j.Groups[0])
		return j
	}
	off := func(n cluster.Node, f func(*cluster.Node)) cluster.Node { f(&n); return n }
	all := func(cs ...cluster.Constraint) func(*cluster.Group) {
		return func(g *cluster.Group) { g.Constraints = cs }
	}
	plain := job("j", 1, cluster.Group{})
	return []scene{
		{
			"GPUs are held and one failed",
			[]cluster.Node{sick(node("a", h100, 8), 3), node("b", a100, 8), node("c", "NVIDIA L40S", 4)},
			[]cluster.Job{chat, night, agent},
			busy, fine,
			cluster.PlacementFailure{Evaluated: 3, Filtered: 2, Exhausted: 1, Constraints: map[string]int{"missing devices": 2}, Dimensions: map[string]int{"devices: no devices match request": 1}},
			`g wants 4 GPUs NVIDIA H100 80GB HBM3, 100 MiB; 1 missing
1 a: 2 of the 4 GPUs free, 1 failed; held by prod/chat (3), prod/night (2, batch, for 20 min)
1 b: other model: NVIDIA A100-SXM4-80GB
1 c: other model: NVIDIA L40S
-> free 2 GPUs on a: stop or move prod/night (1)
-> ask for 2 GPUs instead of 4 (1)
-> ask for NVIDIA A100-SXM4-80GB, as b has (1)
Nomad says the same: 3 evaluated, 2 filtered "missing devices", 1 exhausted "devices: no devices match request".
`,
		},
		{
			"a failed GPU is all that is in the way",
			[]cluster.Node{sick(node("a", h100, 4), 1)},
			nil, nil, fine, filtered(1, "missing devices"),
			`g wants 4 GPUs NVIDIA H100 80GB HBM3, 100 MiB; 1 missing
1 a: 1 of this model failed, 3 work: 4 wanted
-> repair a/1 (1)
-> ask for 3 GPUs instead of 4 (1)
Nomad says the same: 1 evaluated, 1 filtered "missing devices".
`,
		},
		{
			"closed nodes are not looked at",
			[]cluster.Node{
				off(node("a", h100, 4), func(n *cluster.Node) { n.Eligible = false }),
				off(node("b", h100, 4), func(n *cluster.Node) { n.Draining, n.Eligible = true, false }),
				off(node("c", h100, 4), func(n *cluster.Node) { n.Status = cluster.NodeDown }),
				off(node("d", h100, 4), func(n *cluster.Node) { n.Pool = "other" }),
				off(node("e", h100, 4), func(n *cluster.Node) { n.Datacenter = "mars" }),
			},
			nil, nil, with(fine, func(j *cluster.Job) { j.Datacenters = []string{"dc*"} }),
			cluster.PlacementFailure{},
			`g wants 4 GPUs NVIDIA H100 80GB HBM3, 100 MiB; 1 missing
1 a: ineligible, would fit otherwise
1 b: draining, would fit otherwise
1 c: the node is down
1 e: in the datacenter mars, and not in dc*
1 d: in the pool other, and not in default
-> make a eligible (1)
-> end the drain of b (1)
-> bring c back (1)
Nomad says the same: no nodes to look at.
`,
		},
		{
			"constraints, in Nomad's order",
			[]cluster.Node{
				node("a", "", 0),
				off(node("b", "", 0), func(n *cluster.Node) { n.Drivers = nil }),
				off(node("c", "", 0), func(n *cluster.Node) {
					n.Detail = &cluster.NodeDetail{Attributes: map[string]string{"kernel.name": "plan9"}}
				}),
			},
			nil, nil, with(group(plain, all(constraint("${attr.kernel.name}", "=", "linux"), constraint("${meta.rack}", "=", "r-x"))), func(j *cluster.Job) {
				j.Constraints = []cluster.Constraint{constraint("${attr.kernel.name}", "=", "linux")}
			}),
			cluster.PlacementFailure{Evaluated: 3, Filtered: 3, Constraints: map[string]int{"${attr.kernel.name} = linux": 1, "missing drivers": 1, "${meta.rack} = r-x": 1}},
			`g wants 100 MiB; 1 missing
1 a: constraint ${meta.rack} = r-x: it is r-a
1 b: no driver docker
1 c: constraint ${attr.kernel.name} = linux: it is plan9
-> drop the constraint ${meta.rack} = r-x (1)
Nomad says the same: 3 evaluated, 3 filtered 1 "${attr.kernel.name} = linux", 1 "${meta.rack} = r-x", 1 "missing drivers".
`,
		},
		{
			"a constraint of many nodes",
			[]cluster.Node{node("a", "", 0), node("b", "", 0), node("c", "", 0), node("d", "", 0), node("e", "", 0)},
			nil, nil,
			group(plain, all(constraint("${meta.rack}", "=", "r-x"))), filtered(5, "${meta.rack} = r-x"),
			`g wants 100 MiB; 1 missing
5 a, b and 3 more: constraint ${meta.rack} = r-x: it is r-a, r-b, r-c and 2 others
-> drop the constraint ${meta.rack} = r-x (1)
Nomad says the same: 5 evaluated, 5 filtered "${meta.rack} = r-x".
`,
		},
		{
			"what was not read is not guessed",
			[]cluster.Node{off(node("a", "", 0), func(n *cluster.Node) { n.Detail = nil })},
			nil, nil,
			group(plain, all(constraint("${meta.rack}", "=", "r-a"))), filtered(1, "${meta.rack} = r-a"),
			`g wants 100 MiB; 1 missing
1 a: not known yet: ${meta.rack} = r-a
Nomad counted otherwise 4 min ago: 1 evaluated, 1 filtered "${meta.rack} = r-a".
   of 1 node not all is known yet
   filtered: 1 by Nomad, 0 here
`,
		},
		{
			"host volumes",
			[]cluster.Node{node("a", "", 0)},
			nil, nil, group(plain, func(g *cluster.Group) { g.Volumes = []string{"data", "models"} }),
			filtered(1, "missing compatible host volumes"),
			`g wants 100 MiB; 1 missing
1 a: no host volume data
-> give a the host volume data (1)
Nomad says the same: 1 evaluated, 1 filtered "missing compatible host volumes".
`,
		},
		{
			"ports, taken and kept",
			[]cluster.Node{node("a", "", 0), off(node("b", "", 0), func(n *cluster.Node) { n.ReservedPorts = "22,8000-8100" })},
			[]cluster.Job{web},
			[]cluster.Alloc{alloc(&web, 0, "a")},
			group(plain, func(g *cluster.Group) { g.Ports = []int{8080} }),
			cluster.PlacementFailure{Evaluated: 2, Exhausted: 2, Dimensions: map[string]int{"network: reserved port collision http=8080": 2}},
			`g wants 100 MiB, port 8080; 1 missing
2 a, b: port 8080 is taken; held by prod/web
-> free port 8080 on a: stop or move prod/web (1)
-> ask for another port than 8080 (1)
Nomad says the same: 2 evaluated, 2 exhausted "network: reserved port collision http=8080".
`,
		},
		{
			"memory",
			[]cluster.Node{node("a", "", 0), off(node("b", "", 0), func(n *cluster.Node) { n.MemoryMB = 64 << 10 })},
			[]cluster.Job{big, agent},
			[]cluster.Alloc{alloc(&big, 0, "a"), alloc(&agent, 0, "a"), alloc(&agent, 1, "b")},
			group(plain, func(g *cluster.Group) { g.MemoryMB = 256 << 10 }), exhausted(2, "memory"),
			`g wants 256 GiB; 1 missing
1 a: memory short by 44.1 GiB; held by prod/big (300 GiB), prod/agent (100 MiB)
1 b: memory: it has 64 GiB, 256 GiB wanted
-> free 300 GiB of memory on a: stop or move prod/big (1)
-> ask for 211.9 GiB of memory instead of 256 GiB (1)
Nomad says the same: 2 evaluated, 2 exhausted "memory".
`,
		},
		{
			"distinct hosts",
			[]cluster.Node{node("a", "", 0)},
			nil,
			[]cluster.Alloc{alloc(&plain, 0, "a")},
			with(group(plain, all(constraint("", "distinct_hosts", ""))), func(j *cluster.Job) { j.Groups[0].Count = 3 }),
			cluster.PlacementFailure{Unplaced: 2, Evaluated: 1, Filtered: 1, Constraints: map[string]int{"distinct_hosts": 1}},
			`g wants 100 MiB; 2 missing
1 a: has one already, and the job wants distinct hosts; held by prod/j
-> let allocations share a node (2)
Nomad says the same: 1 evaluated, 1 filtered "distinct_hosts".
`,
		},
		{
			"distinct property",
			[]cluster.Node{node("a", "", 0), off(node("b", "", 0), func(n *cluster.Node) { n.Detail = &cluster.NodeDetail{} })},
			nil,
			[]cluster.Alloc{alloc(&plain, 0, "a")},
			with(group(plain, all(constraint("${meta.rack}", "distinct_property", "1"))), func(j *cluster.Job) { j.Groups[0].Count = 2 }),
			cluster.PlacementFailure{Evaluated: 2, Filtered: 2, Constraints: map[string]int{`missing property "${meta.rack}"`: 1, "distinct_property: ${meta.rack}=r-a used by 1 allocs": 1}},
			`g wants 100 MiB; 1 missing
1 a: ${meta.rack} is r-a, as that of 1 allocation
1 b: has no ${meta.rack}, by which the job wants to be apart
-> let more allocations share a ${meta.rack} (1)
Nomad says the same: 2 evaluated, 2 filtered 1 "distinct_property: ${meta.rack}=r-a used by 1 allocs", 1 "missing property \"${meta.rack}\"".
`,
		},
		{
			"one block is filled from one model",
			[]cluster.Node{off(node("a", h100, 1), func(n *cluster.Node) { n.Devices = append(n.Devices, node("x", a100, 1).Devices...) })},
			nil, nil,
			with(fine, func(j *cluster.Job) { j.Groups = []cluster.Group{job("j", 1, gpus("", 2)).Groups[0]} }), exhausted(1, "devices: no devices match request"),
			`g wants 2 GPUs of any model, 100 MiB; 1 missing
1 a: 1 of the 2 GPUs free
-> ask for 1 GPU instead of 2 (1)
Nomad says the same: 1 evaluated, 1 exhausted "devices: no devices match request".
`,
		},
		{
			"a MIG profile",
			[]cluster.Node{node("a", h100, 2), node("b", h100+" MIG 1g.10gb", 7)},
			nil, nil,
			with(fine, func(j *cluster.Job) { j.Groups = []cluster.Group{job("j", 1, gpus(h100+" MIG 3g.40gb", 1)).Groups[0]} }), filtered(2, "missing devices"),
			`g wants 1 GPU NVIDIA H100 80GB HBM3 MIG 3g.40gb, 100 MiB; 1 missing
1 a: no MIG instance 3g.40gb: it has NVIDIA H100 80GB HBM3
1 b: no MIG instance 3g.40gb: it has NVIDIA H100 80GB HBM3 MIG 1g.10gb
-> ask for NVIDIA H100 80GB HBM3, as a has (1)
Nomad says the same: 2 evaluated, 2 filtered "missing devices".
`,
		},
		{
			"a quota",
			[]cluster.Node{node("a", "", 0)},
			nil, nil, plain,
			cluster.PlacementFailure{Evaluated: 1, Quota: []string{"memory exhausted (900 needed > 800 limit)"}},
			`g wants 100 MiB; 1 missing
1 a: quota: memory exhausted (900 needed > 800 limit)
-> raise the quota: memory exhausted (900 needed > 800 limit) (1)
Nomad says the same: 1 evaluated, quota memory exhausted (900 needed > 800 limit).
`,
		},
		{
			"it fits by now",
			[]cluster.Node{off(node("a", h100, 4), func(n *cluster.Node) { n.ModifyIndex = 77 })},
			nil, nil, fine, filtered(1, "missing devices"),
			`g wants 4 GPUs NVIDIA H100 80GB HBM3, 100 MiB; 1 missing
1 a: it fits here
-> let Nomad look again: nomad job eval -namespace prod j (1)
Nomad counted otherwise 4 min ago: 1 evaluated, 1 filtered "missing devices".
   1 node would take one now
   filtered: 1 by Nomad, 0 here
   since Nomad counted, 1 node and 0 allocations changed; it does not tell of later tries
   and it tries again only for nodes whose class it did not refuse: let it look again
`,
		},
		{
			"Nomad refused a whole class",
			[]cluster.Node{node("a", h100, 2), node("b", h100, 4)},
			[]cluster.Job{night},
			[]cluster.Alloc{alloc(&night, 0, "b", 0, 1)},
			fine,
			cluster.PlacementFailure{Evaluated: 2, Filtered: 2, Constraints: map[string]int{"missing devices": 1, "computed class ineligible": 1}},
			`g wants 4 GPUs NVIDIA H100 80GB HBM3, 100 MiB; 1 missing
1 b: 2 of the 4 GPUs free; held by prod/night (2, batch, for 20 min)
1 a: it has 2 of this model: 4 wanted
-> free 2 GPUs on b: stop or move prod/night (1)
-> ask for 2 GPUs instead of 4 (1)
Nomad counted otherwise 4 min ago: 2 evaluated, 2 filtered 1 "computed class ineligible", 1 "missing devices".
   filtered: 2 by Nomad, 1 here
   exhausted: 0 by Nomad, 1 here
   Nomad did not look at 1 node: where one node of a class does not suit, it takes the others of the class for the same, though their GPUs may differ in number and health
`,
		},
	}
}

func TestWhyAJobWaits(t *testing.T) {
	for _, sc := range scenes() {
		t.Run(sc.name, func(t *testing.T) {
			e := explained(t, snapshot(t, sc.update()), id("j"))
			if !e.Waits || !strings.HasPrefix(e.Summary, "It waits 4 min: ") {
				t.Errorf("waits %t: %s", e.Waits, e.Summary)
			}
			_, got, _ := strings.Cut(toldOf(e), "\n")
			if d := cmp.Diff(sc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestChangesAreTrue makes each proposed change in the cluster itself, and looks
// whether the job still waits for a node.
func TestChangesAreTrue(t *testing.T) {
	proved := map[Do]bool{}
	for _, sc := range scenes() {
		for _, c := range explained(t, snapshot(t, sc.update()), id("j")).Groups[0].Changes {
			u := sc.update()
			for _, s := range c.Steps {
				proved[s.Do] = true
				doIt(t, &u, s)
			}
			after := explained(t, snapshot(t, u), id("j"))
			if g := after.Groups[0]; g.Fitting == 0 {
				t.Errorf("%s: %s: it still does not fit:\n%s", sc.name, c.Text, toldOf(after))
			}
		}
	}
	for _, do := range []Do{Evaluate, Open, Repair, Stop, AskLess, EndDrain, OtherPort, Raise, OtherGPU, Give, BringBack, Share, Waive} {
		if !proved[do] {
			t.Errorf("no scene proposes to %s", do)
		}
	}
}

// doIt does to the cluster what an operator would.
func doIt(t *testing.T, u *cluster.Update, s Step) {
	t.Helper()
	j := slices.IndexFunc(u.Jobs, func(j cluster.Job) bool { return j.ID == id("j") })
	u.Jobs = slices.Clone(u.Jobs)
	u.Jobs[j].Groups = slices.Clone(u.Jobs[j].Groups)
	g := &u.Jobs[j].Groups[0]
	g.GPUs = slices.Clone(g.GPUs)
	u.Nodes = slices.Clone(u.Nodes)
	n := &u.Nodes[max(slices.IndexFunc(u.Nodes, func(n cluster.Node) bool { return n.ID == s.Node }), 0)]
	switch s.Do {
	case Evaluate:
	case Open:
		n.Eligible = true
	case EndDrain:
		n.Draining, n.Eligible = false, true
	case BringBack:
		n.Status = cluster.NodeReady
	case Repair:
		n.Devices = slices.Clone(n.Devices)
		for i := range n.Devices {
			if slices.Contains(s.GPUs, n.Devices[i].UUID) {
				n.Devices[i].Healthy = true
			}
		}
	case Stop:
		for _, h := range s.Stop {
			u.Allocs = slices.DeleteFunc(slices.Clone(u.Allocs), func(a cluster.Alloc) bool { return slices.Contains(h.Allocs, a.ID) })
		}
	case AskLess:
		switch s.kind {
		case GPUs, Devices:
			g.GPUs[0].Count = s.To
		case Memory:
			g.MemoryMB = s.To
		default:
			t.Fatalf("ask for less %s", s.kind)
		}
	case OtherPort:
		g.Ports = []int{9}
	case Raise:
		for i := range u.Evaluations {
			u.Evaluations[i].Failures[0].Quota = nil
		}
	case OtherGPU:
		g.GPUs[0].Name = "nvidia/gpu/" + s.What
	case Give:
		if s.kind == Driver {
			n.Drivers = append(slices.Clone(n.Drivers), s.What)
			break
		}
		d := *n.Detail
		d.Volumes = append(slices.Clone(d.Volumes), s.What)
		n.Detail = &d
	case Share, Waive:
		g.Constraints = slices.DeleteFunc(slices.Clone(g.Constraints), func(c cluster.Constraint) bool {
			return c.String() == s.What || s.Do == Share && strings.HasPrefix(c.Operator, "distinct")
		})
	default:
		t.Fatalf("nobody knows how to %s", s.Do)
	}
}

// TestWhatDoesNotWait: each state that looks like waiting has its sentence.
func TestWhatDoesNotWait(t *testing.T) {
	plain := job("j", 2, cluster.Group{})
	child := job("j/dispatch-1", 1, cluster.Group{})
	child.Parent = "j"
	runs := []cluster.Alloc{alloc(&plain, 0, "a"), alloc(&plain, 1, "a")}
	with := func(f func(*cluster.Job)) cluster.Job { j := plain; f(&j); return j }
	ended := func(as []cluster.Alloc, client string) []cluster.Alloc {
		as = slices.Clone(as)
		for i := range as {
			as[i].Client = client
			as[i].Tasks = []cluster.Task{{Name: "t", State: "dead", Failed: client == "failed", Events: []cluster.TaskEvent{{At: start(), Type: "Driver Failure", Text: "no such image"}}}}
		}
		return as
	}
	eval := func(f func(*cluster.Evaluation)) []cluster.Evaluation {
		e := cluster.Evaluation{Place: here(), ID: "0123456789", Job: id("j"), Status: "pending", TriggeredBy: "job-register", Created: start().Add(-90 * time.Second), ModifyIndex: 50}
		f(&e)
		return []cluster.Evaluation{e}
	}
	rollout := func(f func(*cluster.Deployment)) []cluster.Deployment {
		d := cluster.Deployment{Place: here(), ID: "d", Job: id("j"), Status: "running", ModifyIndex: 60}
		f(&d)
		return []cluster.Deployment{d}
	}
	for _, tc := range []struct {
		name string
		u    cluster.Update
		want string
	}{
		{"runs", cluster.Update{Jobs: []cluster.Job{plain}, Allocs: runs}, "It does not wait: 2 of 2 allocations placed.\n"},
		{"stopped", cluster.Update{Jobs: []cluster.Job{with(func(j *cluster.Job) { j.Stopped, j.Status = true, "dead" })}}, "It does not wait: it was stopped.\n"},
		{"stopping", cluster.Update{Jobs: []cluster.Job{with(func(j *cluster.Job) { j.Stopped = true })}, Allocs: runs[:1]}, "It does not wait: it was stopped, and 1 allocation still ends.\n"},
		{"parameterised", cluster.Update{Jobs: []cluster.Job{with(func(j *cluster.Job) { j.Parameterized = true }), child}}, "It is never placed itself: it is parameterised, and each dispatch starts a child of it; none of its 1 waits.\n"},
		{
			"a child waits",
			cluster.Update{Jobs: []cluster.Job{with(func(j *cluster.Job) { j.Parameterized = true }), child}, Evaluations: waits(&child, exhausted(1, "memory"))},
			"It is never placed itself: it is parameterised, and each dispatch starts a child of it; of its 1, these wait: j/dispatch-1.\n",
		},
		{"periodic", cluster.Update{Jobs: []cluster.Job{with(func(j *cluster.Job) { j.Periodic = true })}}, "It is never placed itself: it is periodic, and starts a child at its times; there is none now.\n"},
		{"over", cluster.Update{Jobs: []cluster.Job{with(func(j *cluster.Job) { j.Type, j.Status = "batch", "dead" })}, Allocs: ended(runs, "complete")}, "It does not wait: it is over, with 2 allocations complete and 0 failed or lost.\n"},
		{"count 0", cluster.Update{Jobs: []cluster.Job{with(func(j *cluster.Job) { j.Groups = []cluster.Group{{Name: "g"}} })}}, "It does not wait: it asks for no allocation (count 0).\n"},
		{"not looked at yet", cluster.Update{Jobs: []cluster.Job{plain}, Evaluations: eval(func(*cluster.Evaluation) {})}, "Nomad has not looked for a node yet: its evaluation 01234567 is pending since 1 min.\n"},
		{
			"tried again later",
			cluster.Update{
				Jobs: []cluster.Job{plain}, Allocs: ended(runs, "failed"),
				Evaluations: eval(func(e *cluster.Evaluation) {
					e.WaitUntil, e.StatusText = start().Add(40*time.Second), "created for delayed rescheduling"
				}),
			},
			"It waits for a time: Nomad tries again in 40 s (created for delayed rescheduling).\nnote: g[0] on a is failed: t: no such image\n",
		},
		{
			"deployment failed",
			cluster.Update{Jobs: []cluster.Job{plain}, Allocs: runs, Deployments: rollout(func(d *cluster.Deployment) { d.Status, d.StatusText = "failed", "progress deadline" })},
			"It does not wait: 2 of 2 allocations placed.\nnote: version 0: its deployment failed: progress deadline\n",
		},
		{
			"waits to be promoted",
			cluster.Update{Jobs: []cluster.Job{plain}, Allocs: runs, Deployments: rollout(func(d *cluster.Deployment) { d.Groups = []cluster.DeploymentGroup{{Name: "g", Canaries: 1}} })},
			"It does not wait: 2 of 2 allocations placed.\nnote: version 0: it waits to be promoted: until then only its canaries are placed\n",
		},
		{
			"nobody says why",
			cluster.Update{Jobs: []cluster.Job{plain}, Nodes: []cluster.Node{node("a", "", 0)}, Allocs: runs[:1]},
			"1 allocation of 2 has no node, and no evaluation waits for one.\nnote: Nomad looks again when the job is evaluated: nomad job eval -namespace prod j\n" +
				"g wants 100 MiB; 1 missing\n1 a: it fits here\n-> let Nomad look again: nomad job eval -namespace prod j (1)\nNomad tells no counts: no evaluation of it that failed is kept.\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := toldOf(explained(t, snapshot(t, tc.u), id("j")))
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestNoSuchJob(t *testing.T) {
	if _, err := Job(snapshot(t, cluster.Update{}), id("x")); !errors.Is(err, cluster.ErrNotFound) {
		t.Error(err)
	}
}

// TestEachNode: a job that runs once on each node waits for those without room.
func TestEachNode(t *testing.T) {
	j := job("j", 1, gpus(h100, 1))
	j.Type = "system"
	hog := job("hog", 1, gpus(h100, 1))
	u := cluster.Update{
		Nodes: []cluster.Node{node("a", h100, 1), node("b", h100, 1), node("c", a100, 1)}, Jobs: []cluster.Job{j, hog},
		Allocs: []cluster.Alloc{alloc(&j, 0, "a", 0), alloc(&hog, 0, "b", 0)}, Evaluations: waits(&j, exhausted(1, "devices: no devices match request")),
	}
	want := `g wants 1 GPU NVIDIA H100 80GB HBM3, 100 MiB; 1 missing
1 b: 0 of the 1 GPU free; held by prod/hog (1)
1 c: other model: NVIDIA A100-SXM4-80GB
1 a: has one
-> free 1 GPU on b: stop or move prod/hog (1)
-> ask for NVIDIA A100-SXM4-80GB, as c has (1)
Nomad says the same: 1 evaluated, 1 exhausted "devices: no devices match request".
`
	if _, got, _ := strings.Cut(toldOf(explained(t, snapshot(t, u), id("j"))), "\n"); got != want {
		t.Error(cmp.Diff(want, got))
	}
}

// TestPortOnEachAddress: a port is taken only when it is on all addresses.
func TestPortOnEachAddress(t *testing.T) {
	n := node("a", "", 0)
	n.PortAddresses = []string{"10.0.0.1", "fd00::1"}
	web := job("web", 2, cluster.Group{Ports: []int{80}})
	j := job("j", 1, cluster.Group{Ports: []int{80}})
	one, two := alloc(&web, 0, "a"), alloc(&web, 1, "a")
	one.Ports[0].Host, two.Ports[0].Host = "10.0.0.1", "fd00::1"
	for n2, allocs := range [][]cluster.Alloc{{one}, {one, two}} {
		e := explained(t, snapshot(t, cluster.Update{Nodes: []cluster.Node{n}, Jobs: []cluster.Job{web, j}, Allocs: allocs, Evaluations: waits(&j, exhausted(1, "x"))}), id("j"))
		if got := e.Groups[0].Nodes[0].First(); got != []Kind{Fits, Port}[n2] {
			t.Errorf("with %d of them: %s", n2+1, got)
		}
	}
}

// TestRoom: several allocations at once find what is left by one another.
func TestRoom(t *testing.T) {
	j := job("j", 5, gpus(h100, 3))
	e := explained(t, snapshot(t, cluster.Update{
		Nodes: []cluster.Node{node("a", h100, 8), node("b", h100, 4)}, Jobs: []cluster.Job{j}, Evaluations: waits(&j, cluster.PlacementFailure{Unplaced: 5}),
	}), id("j"))
	g := e.Groups[0]
	if g.Fitting != 2 || g.Nodes[0].Room != 2 || g.Nodes[1].Room != 1 || g.Changes[0].Room != 3 {
		t.Errorf("%+v", g)
	}
}

// TestUnreadable: without the right to read nodes Nomad's counts are all there is.
func TestUnreadable(t *testing.T) {
	j := job("j", 1, cluster.Group{})
	s := snapshot(t, cluster.Update{Jobs: []cluster.Job{j}, Evaluations: waits(&j, exhausted(3, "memory")), Refused: cluster.SetNodes})
	got := toldOf(explained(t, s, id("j")))
	want := "It waits 4 min: 1 allocation without a node.\nnote: which nodes there are or what runs on them may not be read: only Nomad's own counts are known\ng wants 100 MiB; 1 missing\nNomad says: 3 evaluated, 3 exhausted \"memory\".\n"
	if got != want {
		t.Error(cmp.Diff(want, got))
	}
}

// TestNoNodes: where there is no node, that is what is said, and not 0 of 0.
func TestNoNodes(t *testing.T) {
	j := job("j", 1, cluster.Group{})
	s := snapshot(t, cluster.Update{Jobs: []cluster.Job{j}, Evaluations: waits(&j, cluster.PlacementFailure{})})
	got := toldOf(explained(t, s, id("j")))
	want := "It waits 4 min: 1 allocation without a node.\nnote: the cluster has no nodes\ng wants 100 MiB; 1 missing\nNomad says the same: no nodes to look at.\n"
	if got != want {
		t.Error(cmp.Diff(want, got))
	}
}

// TestHeldBySeveralTasks: blocks of one group do not get the same GPU twice, and
// constraints on single devices hold.
func TestHeldBySeveralTasks(t *testing.T) {
	g := cluster.Group{GPUs: []cluster.GPUAsk{
		{Task: "a", Name: "nvidia/gpu", Count: 1, Constraints: []cluster.Constraint{constraint("${device.ids}", "set_contains", string(uuid("a", 1)))}},
		{Task: "b", Name: "gpu", Count: 1},
	}}
	j := job("j", 1, g)
	s := snapshot(t, cluster.Update{Nodes: []cluster.Node{node("a", h100, 2)}, Jobs: []cluster.Job{j}, Evaluations: waits(&j, cluster.PlacementFailure{})})
	w := newWorld(s, here())
	reasons, where := w.judge(&w.hosts[0], w.ask(s.Job(id("j")), &s.Job(id("j")).Groups[0], nil))
	if len(reasons) > 0 || !slices.Equal(where, []gpu.UUID{uuid("a", 1), uuid("a", 0)}) {
		t.Errorf("%v %v", reasons, where)
	}
}

// TestToTheLast: what is just enough is enough.
func TestToTheLast(t *testing.T) {
	for more, want := range []Kind{Fits, Memory} {
		j := job("j", 1, cluster.Group{CPUMHz: 64_000, MemoryMB: 512<<10 + more, DiskMB: 1 << 20})
		e := explained(t, snapshot(t, cluster.Update{Nodes: []cluster.Node{node("a", "", 0)}, Jobs: []cluster.Job{j}, Evaluations: waits(&j, exhausted(1, "memory"))}), id("j"))
		if got := e.Groups[0].Nodes[0].First(); got != want {
			t.Errorf("%d MB more than there is: %s, want %s", more, got, want)
		}
	}
}

// TestLeaving: an allocation that was told to stop has its GPUs until it is gone,
// and its rack no longer.
func TestLeaving(t *testing.T) {
	old := job("old", 1, gpus(h100, 1))
	j := job("j", 2, gpus(h100, 1))
	j.Groups[0].Constraints = []cluster.Constraint{constraint("${meta.rack}", distinctProperty, "")}
	leaves := func(a cluster.Alloc) cluster.Alloc { a.Desired = "stop"; return a }
	gone := leaves(alloc(&j, 0, "a"))
	s := snapshot(t, cluster.Update{
		Nodes: []cluster.Node{node("a", h100, 1)}, Jobs: []cluster.Job{old, j}, Allocs: []cluster.Alloc{leaves(alloc(&old, 0, "a", 0)), gone},
		Evaluations: waits(&j, exhausted(1, "devices: no devices match request")),
	})
	g := explained(t, s, id("j")).Groups[0]
	if r := g.Nodes[0].Reasons; len(r) != 1 || r[0].Kind != GPUs || !g.Check.Agrees {
		t.Errorf("%+v, %s", r, g.Check.Text)
	}
}
