package explain

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
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func here() cluster.Place { return cluster.Place{Cluster: "lab", Region: "global"} }

// snapshot is what a Feed makes of one update.
func snapshot(t testing.TB, u cluster.Update) *cluster.Snapshot {
	t.Helper()
	u.Lists, u.Index = cluster.SetAll, 1000
	feed := cluster.NewFeed(here(), start)
	ch, stop := feed.Subscribe()
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { _ = feed.Run(ctx) })
	defer run.Wait()
	defer cancel()
	feed.Scheduler(u)
	for {
		select {
		case s := <-ch:
			if s.Ready {
				return s
			}
		case <-time.After(30 * time.Second):
			t.Fatal("no snapshot came")
		}
	}
}

const (
	h100 = "NVIDIA H100 80GB HBM3"
	a100 = "NVIDIA A100-SXM4-80GB"
)

// node has so many GPUs of a model, and 64 GHz, 512 GiB, 1 TiB.
func node(name, model string, gpus int) cluster.Node {
	n := cluster.Node{
		Place: here(), ID: cluster.NodeID("id-" + name), Name: name, Pool: "default", Datacenter: "dc1", Status: cluster.NodeReady, Eligible: true,
		CPUMHz: 64_000, MemoryMB: 512 << 10, DiskMB: 1 << 20, Drivers: []string{"docker", "raw_exec"}, ModifyIndex: 10,
		Detail: &cluster.NodeDetail{Attributes: map[string]string{"kernel.name": "linux"}, Meta: map[string]string{"rack": "r-" + name}, Volumes: []string{"models"}},
	}
	for i := range gpus {
		n.Devices = append(n.Devices, cluster.NodeDevice{UUID: uuid(name, i), Vendor: "nvidia", Model: model, Healthy: true})
	}
	return n
}

func uuid(node string, i int) gpu.UUID { return gpu.UUID(fmt.Sprintf("GPU-%s-%d", node, i)) }

// sick takes GPUs out of service.
func sick(n cluster.Node, gpus ...int) cluster.Node {
	for _, i := range gpus {
		n.Devices[i].Healthy, n.Devices[i].HealthText = false, "Xid 79"
	}
	return n
}

func id(name string) cluster.JobID { return cluster.JobID{Namespace: "prod", Name: name} }

// job has one group g that wants something.
func job(name string, count int, want cluster.Group) cluster.Job {
	want.Name, want.Count = "g", count
	if want.Drivers == nil {
		want.Drivers = []string{"docker"}
	}
	if want.MemoryMB == 0 {
		want.MemoryMB = 100
	}
	return cluster.Job{
		Place: here(), ID: id(name), Type: "service", Status: "running", Priority: 50, Pool: "default", Datacenters: []string{"*"},
		Groups: []cluster.Group{want}, Submitted: start().Add(-time.Hour), ModifyIndex: 20,
	}
}

func gpus(model string, n int) cluster.Group {
	name := "nvidia/gpu"
	if model != "" {
		name += "/" + model
	}
	return cluster.Group{GPUs: []cluster.GPUAsk{{Task: "t", Name: name, Count: n}}}
}

// alloc is the n-th allocation of a job, on a node, with some of its GPUs.
func alloc(j *cluster.Job, n int, on string, held ...int) cluster.Alloc {
	g := &j.Groups[0]
	a := cluster.Alloc{
		Place: here(), ID: cluster.AllocID(fmt.Sprintf("%s-%d-alloc", j.ID.Name, n)), Name: fmt.Sprintf("%s.g[%d]", j.ID.Name, n), Job: j.ID, Group: "g",
		Node: cluster.NodeID("id-" + on), NodeName: on, Desired: "run", Client: "running", Created: start().Add(-20 * time.Minute), Modified: start(),
		CPUMHz: g.CPUMHz, MemoryMB: g.MemoryMB, DiskMB: g.DiskMB, ModifyIndex: 30, Tasks: []cluster.Task{{Name: "t", State: "running"}},
	}
	for _, i := range held {
		a.GPUs = append(a.GPUs, uuid(on, i))
	}
	a.Tasks[0].GPUs = a.GPUs
	for _, p := range g.Ports {
		a.Ports = append(a.Ports, cluster.Port{Port: p})
	}
	return a
}

// waits is the evaluation of a job that could not be placed.
func waits(j *cluster.Job, f cluster.PlacementFailure) []cluster.Evaluation {
	f.Group = "g"
	f.Unplaced = max(f.Unplaced, 1)
	return []cluster.Evaluation{
		{Place: here(), ID: cluster.EvalID("blocked-" + j.ID.Name), Job: j.ID, Status: "blocked", Created: start().Add(-4 * time.Minute), Failures: []cluster.PlacementFailure{f}, ModifyIndex: 41},
		{Place: here(), ID: cluster.EvalID("failed-" + j.ID.Name), Job: j.ID, Status: "complete", Created: start().Add(-4 * time.Minute), Failures: []cluster.PlacementFailure{f}, ModifyIndex: 40},
	}
}

// told is the text of an explanation as the tests read it.
func toldOf(e *Explanation) string {
	var b strings.Builder
	fmt.Fprintln(&b, e.Summary)
	for _, n := range e.Notes {
		fmt.Fprintln(&b, "note:", n)
	}
	for i := range e.Groups {
		g := &e.Groups[i]
		fmt.Fprintf(&b, "%s wants %s; %d missing\n", g.Name, g.Asks, g.Missing)
		for k := range g.Verdicts {
			v := &g.Verdicts[k]
			fmt.Fprintf(&b, "%d %s: %s", len(v.Nodes), g.Names(v, 2), v.Text)
			if by := g.By(v, e.AsOf, 3); by != "" {
				fmt.Fprintf(&b, "; %s", by)
			}
			fmt.Fprintln(&b)
		}
		for _, c := range g.Changes {
			fmt.Fprintf(&b, "-> %s (%d)\n", c.Text, c.Room)
		}
		fmt.Fprintln(&b, g.Check.Text)
		for _, d := range g.Check.Differ {
			fmt.Fprintln(&b, "   "+d)
		}
		if len(g.Unchecked) > 0 {
			fmt.Fprintln(&b, "unchecked:", strings.Join(g.Unchecked, ", "))
		}
	}
	return b.String()
}

func explained(t testing.TB, s *cluster.Snapshot, j cluster.JobID) *Explanation {
	t.Helper()
	e, err := Job(s, j)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
