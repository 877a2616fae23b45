package action_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/jobs/action"
)

// shown is what a plan tells before anybody says yes.
type shown struct {
	Title   string
	Touches []action.Touch
	Danger  bool
	Ask     string
	Nothing string
}

func show(p *action.Plan) shown { return shown{p.Title, p.Touches, p.Danger, p.Ask, p.Nothing} }

func TestPlan(t *testing.T) {
	for name, c := range map[string]struct {
		req  action.Request
		want shown
	}{
		"scale up": {
			action.Request{ID: action.Scale, Job: id("chat"), Count: 5},
			shown{"scale default/chat.g from 3 to 5", []action.Touch{{"group", "chat.g", "starts 2 more, takes 4 GPUs"}}, false, "", ""},
		},
		"scale down by one": {
			action.Request{ID: action.Scale, Job: id("chat"), Group: "g", Count: 2},
			shown{"scale default/chat.g from 3 to 2", []action.Touch{{"group", "chat.g", "stops 1, frees 2 GPUs"}}, true, "", ""},
		},
		"scale down by several": {
			action.Request{ID: action.Scale, Job: id("chat"), Count: 0},
			shown{"scale default/chat.g from 3 to 0", []action.Touch{{"group", "chat.g", "stops 3, frees 6 GPUs"}}, true, "chat", ""},
		},
		"scale down to what is placed": { // the last of four was never placed
			action.Request{ID: action.Scale, Job: id("wide"), Count: 2},
			shown{"scale default/wide.g from 4 to 2", []action.Touch{{"group", "wide.g", "stops 0, frees 0 GPUs, 2 that wait are given up"}}, true, "", ""},
		},
		"scale one group of two": {
			action.Request{ID: action.Scale, Job: id("pair"), Group: "left", Count: 2},
			shown{"scale default/pair.left from 1 to 2", []action.Touch{{"group", "pair.left", "starts 1 more, takes 1 GPU"}}, false, "", ""},
		},
		"scale to what it is": {
			action.Request{ID: action.Scale, Job: id("chat"), Count: 3},
			shown{"scale default/chat.g from 3 to 3", nil, false, "", "default/chat.g already has count 3"},
		},
		"restart, the newest first, and only what runs": {
			action.Request{ID: action.Restart, Job: id("chat")},
			shown{"restart job default/chat", []action.Touch{{"alloc", "chat.g[2]", "restarts on gpu-a"}, {"alloc", "chat.g[1]", "restarts on gpu-a"}}, true, "chat", ""},
		},
		"restart one": {
			action.Request{ID: action.Restart, Job: id("note")},
			shown{"restart job default/note", []action.Touch{{"alloc", "note.g[1]", "restarts on gpu-a"}}, true, "", ""},
		},
		"restart none": {
			action.Request{ID: action.Restart, Job: id("idle")},
			shown{"restart job default/idle", nil, true, "", "job default/idle has no running allocation"},
		},
		"stop, with what waits and without what ended": {
			action.Request{ID: action.Stop, Job: id("chat")},
			shown{"stop job default/chat", []action.Touch{
				{"alloc", "chat.g[3]", "stops on gpu-c, frees 1 GPU"},
				{"alloc", "chat.g[2]", "stops on gpu-a, frees 1 GPU"},
				{"alloc", "chat.g[1]", "stops on gpu-a, frees 2 GPUs"},
			}, true, "chat", ""},
		},
		"stop what has nothing": {
			action.Request{ID: action.Stop, Job: id("idle")},
			shown{"stop job default/idle", []action.Touch{{"job", "default/idle", "has nothing running"}}, true, "", ""},
		},
		"stop again": {
			action.Request{ID: action.Stop, Job: id("gone")},
			shown{"stop job default/gone", nil, true, "", "job default/gone is already stopped"},
		},
		"forget what is stopped": {
			action.Request{ID: action.Stop, Job: id("gone"), Purge: true},
			shown{"stop and forget job default/gone", []action.Touch{{"job", "default/gone", "has nothing running"}}, true, "", ""},
		},
		"drain": {
			action.Request{ID: action.Drain, Node: "gpu-a-0000-0000"},
			shown{"drain node gpu-a", []action.Touch{
				{"node", "gpu-a", "takes no new work; stops the rest in 1h"},
				{"alloc", "agent.g[1]", "stops last: it is a system job"},
				{"alloc", "chat.g[1]", "moves away, with 2 GPUs"},
				{"alloc", "chat.g[2]", "moves away, with 1 GPU"},
				{"alloc", "note.g[1]", "moves away"},
			}, true, "gpu-a", ""},
		},
		"ineligible": {
			action.Request{ID: action.Ineligible, Node: "gpu-a-0000-0000"},
			shown{"make node gpu-a ineligible", []action.Touch{
				{"node", "gpu-a", "takes no new work"},
				{"alloc", "chat.g[1]", "stays, with 2 GPUs"},
				{"alloc", "chat.g[2]", "stays, with 1 GPU"},
				{"alloc", "note.g[1]", "stays"},
			}, false, "", ""},
		},
		"ineligible again": {
			action.Request{ID: action.Ineligible, Node: "gpu-c-0000-0000"},
			shown{"make node gpu-c ineligible", nil, false, "", "node gpu-c takes no new work already"},
		},
		"drain again": {
			action.Request{ID: action.Drain, Node: "gpu-b-0000-0000"},
			shown{"drain node gpu-b", nil, true, "", "node gpu-b is draining already"},
		},
		"drain what was drained": {
			action.Request{ID: action.Drain, Node: "gpu-d-0000-0000"},
			shown{"drain node gpu-d", nil, true, "", "node gpu-d takes no new work already, and nothing runs on it"},
		},
		"undrain": {
			action.Request{ID: action.Undrain, Node: "gpu-b-0000-0000"},
			shown{"end the drain of node gpu-b", []action.Touch{{"node", "gpu-b", "takes work again"}}, false, "", ""},
		},
		"undrain what was closed otherwise": {
			action.Request{ID: action.Undrain, Node: "gpu-c-0000-0000"},
			shown{"make node gpu-c eligible", []action.Touch{{"node", "gpu-c", "takes work again"}}, false, "", ""},
		},
		"undrain what is open": {
			action.Request{ID: action.Undrain, Node: "gpu-a-0000-0000"},
			shown{"make node gpu-a eligible", nil, false, "", "node gpu-a takes work already"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scheduler{}
			r := runner(s)
			p := plan(t, r, c.req)
			if d := cmp.Diff(c.want, show(&p)); d != "" {
				t.Error(d)
			}
			if len(s.asked) > 0 {
				t.Errorf("a plan is made from the snapshot, but the scheduler was asked to %v", s.asked)
			}
			if c.want.Nothing == "" {
				return
			}
			if res, err := r.Do(context.Background(), p); !errors.Is(err, action.ErrNothing) || res != (action.Result{}) || len(s.asked) > 0 {
				t.Errorf("a plan of nothing was done: %+v, %v, asked %v", res, err, s.asked)
			}
		})
	}
}

func TestPlanSubmit(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(*cluster.JobPlan)
		want     shown
		warnings []string
	}{
		"new": {
			func(p *cluster.JobPlan) { p.New = true },
			shown{"submit job default/chat", []action.Touch{{"group", "chat.g", "3 start"}}, false, "", ""},
			nil,
		},
		"every way of a change": {
			func(p *cluster.JobPlan) {
				p.Changes = []cluster.GroupChange{{Group: "g", Place: 1, Canary: 2, Update: 3, Migrate: 4, Ignore: 5}, {Group: "still"}}
			},
			shown{"submit job default/chat", []action.Touch{{"group", "chat.g", "1 start, 2 start as canary, 3 update in place, 4 move, 5 stay as they are"}}, false, "", ""},
			nil,
		},
		"one replaced": {
			func(p *cluster.JobPlan) { p.Changes = []cluster.GroupChange{{Group: "g", Replace: 1, Ignore: 2}} },
			shown{"submit job default/chat", []action.Touch{{"group", "chat.g", "1 replace, 2 stay as they are"}}, true, "", ""},
			nil,
		},
		"several replaced": {
			func(p *cluster.JobPlan) { p.Changes = []cluster.GroupChange{{Group: "g", Replace: 2, Stop: 1}} },
			shown{"submit job default/chat", []action.Touch{{"group", "chat.g", "2 replace, 1 stop"}}, true, "chat", ""},
			nil,
		},
		"others preempted": {
			func(p *cluster.JobPlan) { p.Preempts = []cluster.AllocID{"note1", "unknown-1234"} },
			shown{"submit job default/chat", []action.Touch{
				{"group", "chat.g", "3 start"}, {"alloc", "note.g[1]", "is preempted on gpu-a"}, {"alloc", "unknown-", "is preempted"},
			}, true, "chat", ""},
			nil,
		},
		"warned": {
			func(p *cluster.JobPlan) {
				p.Warnings = "first\nsecond\n"
				p.Failures = []cluster.PlacementFailure{
					{Group: "g", Unplaced: 2, Evaluated: 3, Constraints: map[string]int{"missing devices": 2}, Dimensions: map[string]int{"memory": 1}},
					{Group: "h", Evaluated: 0},
				}
			},
			shown{"submit job default/chat", []action.Touch{{"group", "chat.g", "3 start"}}, false, "", ""},
			[]string{
				"first", "second", "group g: 2 not placed; 3 nodes looked at, 1 exhausted: memory, 2 filtered: missing devices",
				"group h: 1 not placed; no nodes to look at",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := submitted(c.change)
			p := plan(t, runner(s), action.Request{ID: action.Submit, File: file()})
			if d := cmp.Diff(c.want, show(&p)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(c.warnings, p.Warnings); d != "" {
				t.Error(d)
			}
			if p.Job == nil || p.Job.CheckIndex != 42 {
				t.Errorf("the scheduler's own plan is kept: %+v", p.Job)
			}
			if d := cmp.Diff([]string{"parse chat.hcl", "plan default/chat"}, s.asked); d != "" {
				t.Errorf("planning asks for a dry run and nothing else: %s", d)
			}
		})
	}
}

func TestPlanRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		req  action.Request
		says string
	}{
		"unknown action":     {action.Request{ID: "explode"}, `unknown action "explode"`},
		"unknown job":        {action.Request{ID: action.Stop, Job: id("nope")}, "no job default/nope in lab"},
		"another namespace":  {action.Request{ID: action.Restart, Job: cluster.JobID{Namespace: "prod", Name: "chat"}}, "no job prod/chat in lab"},
		"negative deadline":  {action.Request{ID: action.Drain, Node: "gpu-a-0000-0000", Deadline: -5 * time.Second}, "deadline -5s is negative"},
		"unknown node":       {action.Request{ID: action.Drain, Node: "00000000-1111"}, "no node 00000000 in lab"},
		"no node to undrain": {action.Request{ID: action.Undrain, Node: "x"}, "no node x in lab"},
		"which group":        {action.Request{ID: action.Scale, Job: id("pair"), Count: 1}, "job default/pair has the groups left, right: name one"},
		"no such group":      {action.Request{ID: action.Scale, Job: id("pair"), Group: "up"}, `no group "up" (it has left, right)`},
		"a negative count":   {action.Request{ID: action.Scale, Job: id("chat"), Count: -1}, "count -1 is negative"},
		"scale what ended":   {action.Request{ID: action.Scale, Job: id("over"), Count: 2}, "job default/over has ended: submit it again"},
		"no job to scale":    {action.Request{ID: action.Scale, Job: id("nope")}, "no job default/nope"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := runner(&scheduler{}).Plan(context.Background(), c.req, snapshot(t))
			if !errors.Is(err, action.ErrUsage) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			if p.Title != "" || p.Touches != nil {
				t.Errorf("half a plan: %+v", p)
			}
		})
	}
}

// TestSubmitDoesNotPlan holds that what the scheduler says of a file gets through.
func TestSubmitDoesNotPlan(t *testing.T) {
	for step, says := range map[string]string{"parse": "parse chat.hcl: ", "plan": "plan job default/chat: "} {
		s := submitted()
		fault := &cluster.Fault{Kind: cluster.ErrDenied, Text: "no", Advice: "ask for submit-job"}
		s.fail = map[string]error{step: fault}
		_, err := runner(s).Plan(context.Background(), action.Request{ID: action.Submit, File: file()}, snapshot(t))
		var got *cluster.Fault
		if !errors.As(err, &got) || got.Hint() != fault.Advice || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("%s: %v", step, err)
		}
	}
}

// confirmed is a request and the name that confirms it.
type confirmed struct {
	req  action.Request
	name string
}

// each is one request for every action.
func each() []confirmed {
	return []confirmed{
		{action.Request{ID: action.Scale, Job: id("note"), Count: 2}, "note"},
		{action.Request{ID: action.Restart, Job: id("note")}, "note"},
		{action.Request{ID: action.Stop, Job: id("idle")}, "idle"},
		{action.Request{ID: action.Drain, Node: "gpu-c-0000-0000"}, "gpu-c"},
		{action.Request{ID: action.Ineligible, Node: "gpu-a-0000-0000"}, "gpu-a"},
		{action.Request{ID: action.Undrain, Node: "gpu-b-0000-0000"}, "gpu-b"},
		{action.Request{ID: action.Submit, File: cluster.JobFile{Name: "chat.hcl"}}, "chat"},
	}
}

func TestProductionAsksForTheName(t *testing.T) {
	for _, c := range each() {
		r := runner(submitted())
		r.Production = true
		if p := plan(t, r, c.req); p.Ask != c.name {
			t.Errorf("%s asks for %q, want %q", c.req.ID, p.Ask, c.name)
		}
	}
	r := runner(&scheduler{})
	r.Production = true
	if p := plan(t, r, action.Request{ID: action.Stop, Job: id("gone")}); p.Ask != "" {
		t.Errorf("asks for %q to do nothing", p.Ask)
	}
}

// TestTable holds that what is listed is what can be planned and done.
func TestTable(t *testing.T) {
	danger := map[action.ID]bool{action.Restart: true, action.Stop: true, action.Drain: true}
	seen := map[action.ID]bool{}
	for _, d := range action.Table() {
		if seen[d.ID] || d.Verb == "" || d.Help == "" {
			t.Errorf("%+v is there twice or says nothing", d)
		}
		seen[d.ID] = true
		if got, ok := action.Lookup(d.ID); !ok || !cmp.Equal(got, d) {
			t.Errorf("Lookup(%s) = %+v, %v", d.ID, got, ok)
		}
		if d.Danger != danger[d.ID] {
			t.Errorf("%s: danger %v", d.ID, d.Danger)
		}
	}
	for _, c := range each() {
		if !seen[c.req.ID] {
			t.Errorf("%s is not listed", c.req.ID)
		}
		delete(seen, c.req.ID)
	}
	if len(seen) > 0 {
		t.Errorf("untested: %v", seen)
	}
	if _, ok := action.Lookup("explode"); ok {
		t.Error("found an action that is not there")
	}
}

// A count that cannot be met now is told before anybody says yes.
func TestScaleTellsWhatWillWait(t *testing.T) {
	gpus := func(n int, model string) (out []cluster.GPU) {
		for range n {
			out = append(out, cluster.GPU{Device: &gpu.Device{Model: model}, Host: &cluster.Host{NodeUp: true, NodeOpen: true}, Known: true, Schedulable: true, Claims: true})
		}
		return out
	}
	for name, c := range map[string]struct {
		ask  string
		gpus []cluster.GPU
		want []string
	}{
		"enough":        {"nvidia/gpu", gpus(4, "H100"), nil},
		"too few":       {"nvidia/gpu", gpus(3, "H100"), []string{"it will wait: it wants 4 more of nvidia/gpu, and 3 can be had now"}},
		"another model": {"nvidia/gpu/H100", gpus(9, "L40S"), []string{"it will wait: it wants 4 more of nvidia/gpu/H100, and 0 can be had now"}},
		"that model":    {"nvidia/gpu/H100", gpus(4, "H100"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := *snapshot(t)
			s.GPUs = c.gpus
			s.Jobs = slices.Clone(s.Jobs)
			for i := range s.Jobs {
				if j := &s.Jobs[i]; j.ID == id("chat") {
					j.Groups = []cluster.Group{{Name: "g", Count: 3, GPUs: []cluster.GPUAsk{{Task: "t", Name: c.ask, Count: 2}}}}
				}
			}
			p, err := runner(&scheduler{}).Plan(t.Context(), action.Request{ID: action.Scale, Job: id("chat"), Count: 5}, &s)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, p.Warnings); d != "" {
				t.Error(d)
			}
		})
	}
}

// Who drains a node because of a GPU sees whose work was on it, and whether
// what moves finds a place.
func TestDrainTellsWhatIsSick(t *testing.T) {
	offer := func(u *cluster.Update) {
		device := func(id gpu.UUID, healthy bool) cluster.NodeDevice {
			return cluster.NodeDevice{UUID: id, Model: "H100", Healthy: healthy, HealthText: "lost"}
		}
		u.Nodes[0].Devices = []cluster.NodeDevice{device("GPU-1", true), device("GPU-2", false), device("GPU-4", true)}
		u.Nodes[2].Devices = []cluster.NodeDevice{device("GPU-3", true)}
	}
	s := snapshot(t, offer)
	p := planOn(t, action.Request{ID: action.Drain, Node: "gpu-a-0000-0000"}, s)
	var effects []string
	for _, touch := range p.Touches {
		effects = append(effects, touch.Effect)
	}
	if want := "moves away, with 2 GPUs; GPU 1 has failed"; !slices.Contains(effects, want) {
		t.Errorf("effects %q, want %q among them", effects, want)
	}
	if d := cmp.Diff([]string{"what moves asks for 3 of nvidia/gpu, and other nodes have 0 free: what finds no place waits"}, p.Warnings); d != "" {
		t.Error(d)
	}
	p = planOn(t, action.Request{ID: action.Ineligible, Node: "gpu-a-0000-0000"}, s)
	if got := p.Touches[1].Effect; got != "stays, with 2 GPUs; GPU 1 has failed" {
		t.Errorf("effect %q", got)
	}
}

// What moves finds a place where its job would take the GPUs, of whatever
// model those are that it leaves.
func TestDrainCountsWhatTheJobWouldTake(t *testing.T) {
	device := func(id gpu.UUID, model string) cluster.NodeDevice {
		return cluster.NodeDevice{UUID: id, Model: model, Healthy: true}
	}
	for name, c := range map[string]struct {
		ask  string
		want []string
	}{
		"any GPU":    {"nvidia/gpu", nil},
		"this model": {"nvidia/gpu/H100", []string{"what moves asks for 3 of nvidia/gpu/H100, and other nodes have 1 free: what finds no place waits"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := snapshot(t, func(u *cluster.Update) {
				u.Nodes[0].Devices = []cluster.NodeDevice{device("GPU-1", "H100"), device("GPU-2", "H100"), device("GPU-4", "H100")}
				u.Nodes[3].Eligible = true
				u.Nodes[3].Devices = []cluster.NodeDevice{device("GPU-5", "H100"), device("GPU-6", "L40S"), device("GPU-7", "L40S")}
				u.Jobs[0].Groups[0].GPUs[0].Name = c.ask
			})
			p := planOn(t, action.Request{ID: action.Drain, Node: "gpu-a-0000-0000"}, s)
			if d := cmp.Diff(c.want, p.Warnings); d != "" {
				t.Error(d)
			}
		})
	}
}

func planOn(t *testing.T, req action.Request, s *cluster.Snapshot) action.Plan {
	t.Helper()
	p, err := runner(&scheduler{}).Plan(t.Context(), req, s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Nomad refuses to scale a job while it is rolled out, and a plan says so first.
func TestScaleWaitsForTheDeployment(t *testing.T) {
	_, err := runner(&scheduler{}).Plan(t.Context(), action.Request{ID: action.Scale, Job: id("moving"), Count: 2}, snapshot(t))
	var f *cluster.Fault
	if !errors.Is(err, cluster.ErrConflict) || !errors.As(err, &f) || f.Advice == "" {
		t.Error(err)
	}
}

// A batch job that ended and is not changed runs no second time, although
// Nomad's own plan counts a start.
func TestSubmitWhatEnded(t *testing.T) {
	changed := []cluster.DiffLine{{Mark: '+', Text: "x"}}
	for name, c := range map[string]struct {
		job     string
		diff    []cluster.DiffLine
		nothing bool
	}{
		"unchanged": {"over", nil, true}, "changed": {"over", changed, false},
		"runs": {"pair", nil, false}, "stopped": {"gone", nil, false}, "a service": {"chat", nil, false}, "new": {"nope", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := submitted(func(p *cluster.JobPlan) { p.Diff = c.diff })
			s.parsed.ID = id(c.job)
			p := plan(t, runner(s), action.Request{ID: action.Submit, File: file()})
			if (p.Nothing != "") != c.nothing || c.nothing && !strings.Contains(p.Nothing, "--purge") {
				t.Errorf("%+v", p)
			}
		})
	}
}
