package action_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/jobs/action"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func now() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// scheduler takes down what it was asked, and refuses what a test wants refused.
type scheduler struct {
	mu    sync.Mutex
	asked []string

	parsed cluster.ParsedJob
	plan   cluster.JobPlan
	fail   map[string]error // by the first word of what is asked, or by all of it
}

func (s *scheduler) ask(format string, args ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	s.asked = append(s.asked, text)
	if err := s.fail[text]; err != nil {
		return err
	}
	word, _, _ := strings.Cut(text, " ")
	return s.fail[word]
}

// took is the answer to a change; a refusal may come with an evaluation too.
func took(err error) (cluster.Submitted, error) {
	return cluster.Submitted{Eval: "eval1234-5678"}, err
}

func (s *scheduler) Parse(_ context.Context, f cluster.JobFile) (cluster.ParsedJob, error) {
	return s.parsed, s.ask("parse %s", f.Name)
}

func (s *scheduler) Plan(_ context.Context, j cluster.ParsedJob) (cluster.JobPlan, error) {
	p := s.plan
	p.Job = j
	return p, s.ask("plan %s", j.ID)
}

func (s *scheduler) Submit(_ context.Context, j cluster.ParsedJob, checkIndex uint64) (cluster.Submitted, error) {
	return took(s.ask("submit %s %d", j.ID, checkIndex))
}

func (s *scheduler) Scale(_ context.Context, id cluster.JobID, group string, count int) (cluster.Submitted, error) {
	return took(s.ask("scale %s %s %d", id, group, count))
}

func (s *scheduler) Stop(_ context.Context, id cluster.JobID, purge bool) (cluster.Submitted, error) {
	return took(s.ask("stop %s %v", id, purge))
}

func (s *scheduler) RestartAlloc(_ context.Context, id cluster.AllocID) error {
	return s.ask("restart %s", id)
}

func (s *scheduler) Drain(_ context.Context, id cluster.NodeID, deadline time.Duration) (cluster.Submitted, error) {
	return took(s.ask("drain %s %s", id, deadline))
}

func (s *scheduler) Undrain(_ context.Context, id cluster.NodeID) (cluster.Submitted, error) {
	return took(s.ask("undrain %s", id))
}

func (s *scheduler) Ineligible(_ context.Context, id cluster.NodeID) (cluster.Submitted, error) {
	return took(s.ask("ineligible %s", id))
}

func id(name string) cluster.JobID { return cluster.JobID{Namespace: "default", Name: name} }

func job(name, kind string, groups ...cluster.Group) cluster.Job {
	return cluster.Job{ID: id(name), Type: kind, Status: "running", Groups: groups, ModifyIndex: 1}
}

func group(name string, count, gpus int) cluster.Group {
	g := cluster.Group{Name: name, Count: count}
	if gpus > 0 {
		g.GPUs = []cluster.GPUAsk{{Task: "t", Name: "nvidia/gpu", Count: gpus}}
	}
	return g
}

// alloc runs; of two, the later began later.
func alloc(id, of, on string, held ...gpu.UUID) cluster.Alloc {
	return cluster.Alloc{
		ID: cluster.AllocID(id), Name: of + ".g[" + id[len(id)-1:] + "]", Job: cluster.JobID{Namespace: "default", Name: of}, Group: "g",
		Node: cluster.NodeID(on + "-0000-0000"), NodeName: on, Desired: "run", Client: "running",
		Created: now().Add(-time.Hour + time.Duration(id[len(id)-1])*time.Second), GPUs: held, ModifyIndex: 1,
	}
}

// snapshot is four nodes, the second draining, the third closed with work on it
// and the last closed and empty, and on the first a model of three, a notebook, the agent and what ended.
func snapshot(t *testing.T, change ...func(*cluster.Update)) *cluster.Snapshot {
	t.Helper()
	return snapshotOf(t, cluster.NewFeed(cluster.Place{Cluster: "lab", Region: "global"}, now), change...)
}

func snapshotOf(t *testing.T, feed *cluster.Feed, change ...func(*cluster.Update)) *cluster.Snapshot {
	t.Helper()
	node := func(name string) cluster.Node {
		return cluster.Node{ID: cluster.NodeID(name + "-0000-0000"), Name: name, Status: cluster.NodeReady, Eligible: true, ModifyIndex: 1}
	}
	nodes := []cluster.Node{node("gpu-a"), node("gpu-b"), node("gpu-c"), node("gpu-d")}
	nodes[1].Draining, nodes[1].Eligible, nodes[2].Eligible, nodes[3].Eligible = true, false, false, false
	ended, waits := alloc("ended9", "chat", "gpu-a", "GPU-9"), alloc("chat3", "chat", "gpu-c", "GPU-3")
	ended.Client, waits.Client = "complete", "pending"
	gone := job("gone", "service", group("g", 1, 0))
	gone.Stopped, gone.Status = true, "dead"
	over := job("over", "batch", group("g", 1, 0))
	over.Status = "dead"
	u := cluster.Update{
		Lists: cluster.SetAll, Index: 10, Nodes: nodes,
		Jobs: []cluster.Job{
			job("chat", "service", group("g", 3, 2)), job("note", "service", group("g", 1, 0)), job("agent", "system", group("g", 1, 0)),
			job("pair", "batch", group("left", 1, 1), group("right", 2, 0)), job("idle", "batch", group("g", 1, 0)), gone, over, job("wide", "service", group("g", 4, 1)), job("moving", "service", group("g", 1, 0)),
		},
		Allocs: []cluster.Alloc{
			alloc("chat1", "chat", "gpu-a", "GPU-1", "GPU-2"), alloc("chat2", "chat", "gpu-a", "GPU-4"), waits, ended,
			alloc("note1", "note", "gpu-a"), alloc("agent1", "agent", "gpu-a"),
		},
	}
	u.Deployments = []cluster.Deployment{{ID: "d1", Job: id("moving"), Status: "running", ModifyIndex: 1}}
	leaving := alloc("note2", "note", "gpu-a") // is being stopped
	leaving.Desired = "stop"
	u.Allocs = append(u.Allocs, leaving)
	snapshots, _ := feed.Subscribe()
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { _ = feed.Run(ctx) })
	defer run.Wait()
	defer cancel()
	for _, c := range change {
		c(&u)
	}
	feed.Scheduler(u)
	select {
	case s := <-snapshots:
		return s
	case <-time.After(10 * time.Second):
		t.Fatal("no snapshot came")
		return nil
	}
}

// submitted is a scheduler to which a new version of chat was shown.
func submitted(change ...func(*cluster.JobPlan)) *scheduler {
	s := &scheduler{
		parsed: cluster.ParsedJob{ID: id("chat"), Type: "service"},
		plan:   cluster.JobPlan{CheckIndex: 42, Changes: []cluster.GroupChange{{Group: "g", Place: 3}}},
	}
	for _, c := range change {
		c(&s.plan)
	}
	return s
}

func file() cluster.JobFile { return cluster.JobFile{Name: "chat.hcl", HCL: "job {}"} }

func runner(s *scheduler) *action.Runner { return &action.Runner{Scheduler: s, Now: now} }

func plan(t *testing.T, r *action.Runner, req action.Request) action.Plan {
	t.Helper()
	p, err := r.Plan(context.Background(), req, snapshot(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
