package cluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
	"stoker/secrets"
)

func x() JobID { return JobID{Namespace: "default", Name: "x"} }

func TestWaiting(t *testing.T) {
	failures := []PlacementFailure{{Group: "g", Unplaced: 2}, {Group: "other", Unplaced: 1}}
	ask := job("x", 1, func(j *Job) {
		j.Groups = []Group{{Name: "g", Count: 3, GPUs: []GPUAsk{{Task: "t", Name: "nvidia/gpu", Count: 4}, {Task: "u", Name: "gpu", Count: 1}}}, {Name: "other", Count: 1}}
	})
	blocked := Evaluation{ID: "e2", Job: x(), Status: "blocked", Created: start(), ModifyIndex: 3}
	account := Evaluation{ID: "e1", Job: x(), Status: "complete", Failures: failures, ModifyIndex: 2}
	w := newWorld(t)
	s := w.update(Update{Jobs: []Job{ask, job("y", 1)}, Evaluations: []Evaluation{account}})
	if s.Job(x()).Waiting != nil {
		t.Error("waits before anything is blocked")
	}
	s = w.update(Update{Evaluations: []Evaluation{blocked}})
	want := &Waiting{Eval: "e2", Since: start(), Groups: failures, GPUs: 10, Missing: 3}
	if d := cmp.Diff(want, s.Job(x()).Waiting); d != "" {
		t.Error(d)
	}
	if s.Job(JobID{Namespace: "default", Name: "y"}).Waiting != nil || s.Fleet.Pending != 10 || s.Fleet.PendingJobs != 1 {
		t.Errorf("%+v", s.Fleet)
	}
	p := s.Problems
	if len(p) != 1 || p[0].Text != "waiting: 3 allocations not placed, wants 10 GPUs" || p[0].Job != x() || p[0].Since != start() {
		t.Errorf("%+v", p)
	}
	// The newest account counts: part of it was placed meanwhile.
	again := account
	again.ID, again.Failures, again.ModifyIndex = "e3", failures[1:], 5
	if got := w.update(Update{Evaluations: []Evaluation{again}}).Job(x()).Waiting; got.Missing != 1 || got.GPUs != 0 {
		t.Errorf("%+v", got)
	}
	for _, status := range []string{"complete", "canceled"} {
		done := blocked
		done.Status, done.ModifyIndex = status, w.feed.Latest().Rev+10
		if s = w.update(Update{Evaluations: []Evaluation{done}}); s.Job(x()).Waiting != nil {
			t.Errorf("still waits after %s", status)
		}
		blocked.ModifyIndex = done.ModifyIndex + 1
		w.update(Update{Evaluations: []Evaluation{blocked}})
	}
	stopped := ask
	stopped.Stopped, stopped.ModifyIndex = true, 100
	if w.update(Update{Jobs: []Job{stopped}}).Job(x()).Waiting != nil {
		t.Error("a stopped job waits")
	}
}

func TestOutcome(t *testing.T) {
	v := func(n uint64) func(*Job) { return func(j *Job) { j.Version = n } }
	kind := func(typ, status string) func(*Job) { return func(j *Job) { j.Type, j.Status = typ, status } }
	wants := func(n int) func(*Job) { return func(j *Job) { j.Groups[0].Count = n } }
	rollout := func(version uint64, status, text string) []Deployment {
		return []Deployment{
			{ID: "d0", Job: x(), JobVersion: 0, Status: "successful", ModifyIndex: 50}, // the last rollout, touched later
			{ID: "d1", Job: x(), JobVersion: version, Status: status, StatusText: text, ModifyIndex: 40},
		}
	}
	named := func(name string) func(*Alloc) { return func(a *Alloc) { a.Name = name } }
	later := func(a *Alloc) { a.Created = a.Created.Add(time.Minute); a.Modified = a.Created }
	on := func(n NodeID) func(*Alloc) { return func(a *Alloc) { a.Node = n } }
	healthy := func(ok bool) func(*Alloc) { return func(a *Alloc) { a.Healthy = &ok } }
	waits := []Evaluation{{ID: "e1", Job: x(), Status: "blocked", Failures: []PlacementFailure{{Group: "g", Unplaced: 2}}, ModifyIndex: 9}}
	crashed := func(a *Alloc) {
		a.Client, a.Tasks = "failed", []Task{{Name: "t", Failed: true, Events: []TaskEvent{{Text: "Exit Code: 1"}}}}
	}
	for name, test := range map[string]struct {
		u     Update
		after time.Duration
		want  Outcome
	}{
		"not seen":        {Update{}, 0, Outcome{Text: "not seen yet"}},
		"stopped":         {Update{Jobs: []Job{job("x", 1, func(j *Job) { j.Stopped = true })}}, 0, Outcome{Done: true, Text: "was stopped"}},
		"service starts":  {Update{Jobs: []Job{job("x", 1)}}, 0, Outcome{Text: "starting"}},
		"service rolls":   {Update{Jobs: []Job{job("x", 1, v(1))}, Deployments: rollout(1, "running", "")}, 0, Outcome{Text: "deployment running"}},
		"service healthy": {Update{Jobs: []Job{job("x", 1, v(1))}, Allocs: []Alloc{alloc("a", "x", 1, version(1))}, Deployments: rollout(1, "successful", "")}, 0, Outcome{true, true, "healthy, 1 allocation running"}},
		"service failed": {
			Update{Jobs: []Job{job("x", 1, v(1))}, Deployments: rollout(1, "failed", "Failed due to progress deadline"), Allocs: []Alloc{alloc("a", "x", 1, version(1), crashed), alloc("b", "x", 1, version(0), crashed, later)}},
			0,
			Outcome{Done: true, Text: "deployment failed: Failed due to progress deadline; x.g[0]: task t: Exit Code: 1"},
		},
		"submitted again, rollout not there yet": { // the last version's says nothing
			Update{Jobs: []Job{job("x", 1, v(2))}, Deployments: rollout(1, "successful", ""), Allocs: []Alloc{alloc("a", "x", 1, version(1), healthy(true))}},
			time.Hour,
			Outcome{Text: "starting"},
		},
		"service waits":                 {Update{Jobs: []Job{job("x", 1)}, Evaluations: waits}, 0, Outcome{Text: "waiting: 2 allocations not placed"}},
		"its deployment was forgotten":  {Update{Jobs: []Job{job("x", 1)}, Allocs: []Alloc{alloc("a", "x", 1, healthy(true))}}, 0, Outcome{true, true, "1 allocation running"}},
		"without deployments, young":    {Update{Jobs: []Job{job("x", 1)}, Allocs: []Alloc{alloc("a", "x", 1)}}, 0, Outcome{Text: "starting"}},
		"without deployments":           {Update{Jobs: []Job{job("x", 1)}, Allocs: []Alloc{alloc("a", "x", 1)}}, time.Minute, Outcome{true, true, "1 allocation running"}},
		"one of two":                    {Update{Jobs: []Job{job("x", 1, wants(2))}, Allocs: []Alloc{alloc("a", "x", 1)}}, time.Minute, Outcome{Text: "starting"}},
		"one is unhealthy":              {Update{Jobs: []Job{job("x", 1)}, Allocs: []Alloc{alloc("a", "x", 1, healthy(false))}}, time.Minute, Outcome{Text: "starting"}},
		"system":                        {Update{Jobs: []Job{job("x", 1, kind("system", "running"))}, Allocs: []Alloc{alloc("a", "x", 1), alloc("b", "x", 1, on("n2"))}}, time.Minute, Outcome{true, true, "2 allocations running"}},
		"system, one starts":            {Update{Jobs: []Job{job("x", 1, kind("system", "running"))}, Allocs: []Alloc{alloc("a", "x", 1), alloc("b", "x", 1, ended("pending"))}}, time.Minute, Outcome{Text: "starting"}},
		"system, one of the old":        {Update{Jobs: []Job{job("x", 1, kind("system", "running"), v(1))}, Allocs: []Alloc{alloc("a", "x", 1, version(1)), alloc("b", "x", 1)}}, time.Minute, Outcome{Text: "starting"}},
		"batch runs":                    {Update{Jobs: []Job{job("x", 1, kind("batch", "running"))}, Allocs: []Alloc{alloc("a", "x", 1)}}, 0, Outcome{Text: "running"}},
		"batch waits":                   {Update{Jobs: []Job{job("x", 1, kind("batch", "pending"))}, Evaluations: waits}, 0, Outcome{Text: "waiting: 2 allocations not placed"}},
		"batch complete":                {Update{Jobs: []Job{job("x", 1, kind("batch", "dead"))}, Allocs: []Alloc{alloc("a", "x", 1, ended("complete"))}}, 0, Outcome{true, true, "complete"}},
		"batch complete, job not yet":   {Update{Jobs: []Job{job("x", 1, kind("batch", "running"))}, Allocs: []Alloc{alloc("a", "x", 1, ended("complete"))}}, 0, Outcome{Text: "starting"}},
		"batch failed":                  {Update{Jobs: []Job{job("x", 1, kind("batch", "dead"))}, Allocs: []Alloc{alloc("a", "x", 1, crashed)}}, 0, Outcome{Done: true, Text: "failed; x.g[0]: task t: Exit Code: 1"}},
		"batch, second try good":        {Update{Jobs: []Job{job("x", 1, kind("batch", "dead"))}, Allocs: []Alloc{alloc("a", "x", 1, crashed), alloc("b", "x", 1, ended("complete"), later, on("n2"))}}, 0, Outcome{true, true, "complete"}},
		"batch, second try runs":        {Update{Jobs: []Job{job("x", 1, kind("batch", "running"))}, Allocs: []Alloc{alloc("a", "x", 1, crashed), alloc("b", "x", 1, later)}}, 0, Outcome{Text: "running"}},
		"batch, one of two failed":      {Update{Jobs: []Job{job("x", 1, kind("batch", "dead"), wants(2))}, Allocs: []Alloc{alloc("a", "x", 1, ended("complete")), alloc("b", "x", 1, crashed, named("x.g[1]"))}}, 0, Outcome{Done: true, Text: "failed; x.g[1]: task t: Exit Code: 1"}},
		"batch read when dead":          {Update{Jobs: []Job{job("x", 1, kind("batch", "dead"), func(j *Job) { j.Groups = nil })}, Allocs: []Alloc{alloc("a", "x", 1, ended("complete"))}}, 0, Outcome{true, true, "complete"}},
		"batch run again":               {Update{Jobs: []Job{job("x", 1, kind("batch", "pending"), v(1))}, Allocs: []Alloc{alloc("a", "x", 1, ended("complete"))}}, 0, Outcome{Text: "starting"}},
		"batch, an old version failed":  {Update{Jobs: []Job{job("x", 1, kind("batch", "dead"), v(1))}, Allocs: []Alloc{alloc("a", "x", 1, version(1), ended("complete")), alloc("b", "x", 1, crashed, named("x.g[1]"), later)}}, 0, Outcome{true, true, "complete"}},
		"sysbatch, bad on one node":     {Update{Jobs: []Job{job("x", 1, kind("sysbatch", "dead"))}, Allocs: []Alloc{alloc("a", "x", 1, ended("complete")), alloc("b", "x", 1, crashed, on("n2"), func(a *Alloc) { a.Created = a.Created.Add(-time.Second) })}}, 0, Outcome{Done: true, Text: "failed; x.g[0]: task t: Exit Code: 1"}},
		"sysbatch complete everywhere":  {Update{Jobs: []Job{job("x", 1, kind("sysbatch", "dead"))}, Allocs: []Alloc{alloc("a", "x", 1, ended("complete")), alloc("b", "x", 1, ended("complete"), on("n2"))}}, 0, Outcome{true, true, "complete"}},
		"batch, its node was lost":      {Update{Jobs: []Job{job("x", 1, kind("batch", "dead"))}, Allocs: []Alloc{alloc("a", "x", 1, ended("lost"))}}, 0, Outcome{Done: true, Text: "failed"}},
		"batch, dead before any placed": {Update{Jobs: []Job{job("x", 1, kind("batch", "dead"))}}, 0, Outcome{Text: "starting"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.sleep(test.after)
			if d := cmp.Diff(test.want, w.update(test.u).Outcome(x())); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestJobCountsByVersion(t *testing.T) {
	w := newWorld(t)
	s := w.update(Update{Jobs: []Job{job("x", 1, func(j *Job) { j.Version = 2 })}, Allocs: []Alloc{
		alloc("a1", "x", 1, version(2)), alloc("a2", "x", 1, version(1)), // an old one still runs
		alloc("a3", "x", 1, version(2), ended("pending")), alloc("a4", "x", 1, version(2), ended("pending"), func(a *Alloc) { a.Desired = "stop" }),
		alloc("a5", "x", 1, version(2), ended("failed")), alloc("a6", "x", 1, version(1), ended("failed")),
		alloc("a7", "x", 1, version(2), ended("lost")), alloc("a8", "x", 1, version(1), ended("lost")), alloc("a9", "x", 1, ended("complete")),
	}})
	j := s.Job(x())
	if j.Running != 2 || j.Starting != 1 || j.Failed != 1 || j.Lost != 1 {
		t.Errorf("%+v", j)
	}
	if got := s.JobAllocs(x()); len(got) != 9 {
		t.Errorf("%d allocations", len(got))
	}
	if got := s.NodeAllocs("n1"); len(got) != 4 {
		t.Errorf("%d live on the node", len(got))
	}
}

func TestRowsOfOneJob(t *testing.T) {
	w := newWorld(t)
	var u Update
	for i, of := range []string{"w", "x", "y"} {
		for n := range 3 {
			u.Allocs = append(u.Allocs, alloc(fmt.Sprint(of, n), of, 1, func(a *Alloc) {
				a.Name, a.Created, a.Node = fmt.Sprintf("%s.g[%d]", of, n), start().Add(time.Duration(n)*time.Minute), NodeID(fmt.Sprint("n", i))
			}))
		}
	}
	u.Allocs = append(u.Allocs, Alloc{ID: "other", Job: JobID{Namespace: "prod", Name: "x"}, Name: "x.g[0]", ModifyIndex: 1})
	u.Deployments = []Deployment{{ID: "d1", Job: x(), JobVersion: 1, ModifyIndex: 9}, {ID: "d2", Job: x(), JobVersion: 2, ModifyIndex: 5}, {ID: "d3", Job: x(), JobVersion: 2, ModifyIndex: 7}}
	s := w.update(u)
	var got []AllocID
	for _, a := range s.JobAllocs(x()) {
		got = append(got, a.ID)
	}
	if d := cmp.Diff([]AllocID{"x2", "x1", "x0"}, got); d != "" {
		t.Error("newest first:", d)
	}
	if len(s.NodeAllocs("n1")) != 3 || len(s.JobAllocs(JobID{Namespace: "prod", Name: "x"})) != 1 || len(s.JobAllocs(JobID{Namespace: "prod", Name: "y"})) != 0 {
		t.Error("rows of others came along")
	}
	if d := s.JobDeployment(x()); d.ID != "d3" {
		t.Errorf("newest deployment %s", d.ID)
	}
	// One that changes where it is must not disturb the rest.
	s = w.update(Update{Allocs: []Alloc{alloc("x1", "x", 2, ended("complete"), func(a *Alloc) { a.Name, a.Created, a.Node = "x.g[1]", start().Add(time.Minute), "n1" })}})
	if a := s.Alloc("x1"); a.Client != "complete" || len(s.NodeAllocs("n1")) != 2 || s.JobAllocs(x())[1].Client != "complete" || s.Alloc("x2").Client != "running" {
		t.Errorf("%s", picture(s))
	}
}

func TestProblemsWorstFirst(t *testing.T) {
	w := readWorld(t)
	sick := node("n1", "gpu-b", 1, "G1", "G2", "G3", "G4", "G5")
	unhealthy(2, "Xid 79: fell off the bus")(&sick)
	gone := node("n2", "gpu-a", 1)
	gone.Status = NodeDisconnected
	begins := node("n3", "gpu-c", 1)
	begins.Status = NodeInitialising
	w.update(Update{Nodes: []Node{sick, gone, begins}})
	// G1 is held and does nothing, G2 is used by somebody to whom it was not given, G3 is shut, G4 is to be watched, G5 is worn.
	w.update(Update{
		Jobs: []Job{job("x", 1, func(j *Job) { j.Version = 4 }), job("y", 1)},
		Allocs: []Alloc{
			alloc("a1", "x", 1, version(4), holding("G1", "G3"), func(a *Alloc) { a.Created = start().Add(-time.Hour) }),
			alloc("a2", "x", 1, version(4), ended("failed")), alloc("a3", "y", 1, ended("failed"), func(a *Alloc) { a.Modified = start().Add(-2 * time.Hour) }),
		},
		Deployments: []Deployment{{ID: "d1", Job: x(), JobVersion: 4, Status: "failed", StatusText: "no progress", ModifyIndex: 1}},
	})
	w.do(func(f *Feed) { f.Source(SourceStatus{Name: "vault", State: SourceRetrying, Err: "connection refused"}) })
	w.do(func(f *Feed) { f.Source(SourceStatus{Name: "metrics", State: SourceStarting}) })
	w.do(func(f *Feed) { f.Vault(secrets.State{Keys: []secrets.Key{{Name: "k", Latest: 2}}}) })
	w.do(func(f *Feed) { f.Artifacts([]Artifact{{Key: "k", KeyVersion: 1}}) })
	var s *Snapshot
	for _, at := range []time.Duration{0, 10 * time.Minute} {
		b := reading("n1", start().Add(at), sample("G1", start().Add(at), 0), sample("G2", start().Add(at), 70), sample("G3", start().Add(at), 0), sample("G4", start().Add(at), 0), sample("G5", start().Add(at), 0))
		b.Samples[3].Health = gpu.Health{Verdict: gpu.VerdictWatch, Reason: "heat holds the clocks back"}
		b.Samples[4].Health = gpu.Health{Verdict: gpu.VerdictDegraded, Reason: "a row remapping waits for a reset"}
		s = w.batch(b)
	}
	var got []string
	for _, p := range s.Problems {
		got = append(got, fmt.Sprintf("%d %s: %s", p.Level, p.Subject, p.Text))
	}
	want := []string{
		"2 job default/x: deployment failed: no progress",
		"2 gpu-a: node is disconnected",
		"2 gpu-b/2: Xid 79: fell off the bus, held by x.g[0]",
		"1 job default/x: 1 allocation failed",
		"1 gpu-b/1: busy, but the scheduler gave it to nobody: python3 (42)",
		"1 gpu-b/4: a row remapping waits for a reset",
		"1 key k: an old version still opens 1 artifact; rewrap them",
		"1 vault: connection refused",
		"1 gpu-b/3: heat holds the clocks back",
		"1 gpu-b/0: held but idle by default/x",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if p := s.Problems[9]; p.GPU != "G1" || p.Since != start() || p.Holder != x() {
		t.Errorf("idle since %s on %q", p.Since, p.GPU)
	}
	if f := s.Fleet; f.Held != 2 || f.Free != 3 || f.Failed != 1 || f.Idle != 2 || f.Rogue != 1 || f.Reporting != 5 || *f.UtilPercent != 14 {
		t.Errorf("%+v", f)
	}
}
