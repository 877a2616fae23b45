package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stoker/gpu"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a Feed that runs on a clock of its own. Each put is published at
// once, since the clock moves on before it.
type world struct {
	t    *testing.T
	feed *Feed
	ch   <-chan *Snapshot

	mu  sync.Mutex
	now time.Time

	seen []*Snapshot
	was  []string // what these held when they came
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: start()}
	w.feed = NewFeed(Place{"lab", "global"}, w.clock)
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	w.ch, _ = w.feed.Subscribe()
	run.Go(func() { _ = w.feed.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		run.Wait()
		for i, s := range w.seen {
			if now := whole(t, s); now != w.was[i] {
				t.Errorf("snapshot %d changed after it was published", s.Rev)
			}
		}
	})
	return w
}

// readWorld is a world whose scheduler listed everything, and had nothing.
func readWorld(t *testing.T) *world {
	w := newWorld(t)
	w.update(Update{Lists: SetAll})
	return w
}

func start() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) sleep(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// do puts one thing into the Feed and returns the snapshot with it.
func (w *world) do(put func(*Feed)) *Snapshot {
	w.t.Helper()
	w.sleep(time.Second)
	put(w.feed)
	select {
	case s := <-w.ch:
		w.seen, w.was = append(w.seen, s), append(w.was, whole(w.t, s))
		return s
	case <-time.After(10 * time.Second):
		w.t.Fatal("no snapshot came")
		return nil
	}
}

func (w *world) update(u Update) *Snapshot {
	w.t.Helper()
	return w.do(func(f *Feed) { f.Scheduler(u) })
}

func (w *world) batch(b gpu.Batch) *Snapshot {
	w.t.Helper()
	return w.do(func(f *Feed) { f.GPUs(b) })
}

// whole is all that a snapshot holds, as text.
func whole(t *testing.T, s *Snapshot) string {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func job(name string, idx uint64, change ...func(*Job)) Job {
	j := Job{ID: JobID{Namespace: "default", Name: name}, Type: "service", Status: "running", ModifyIndex: idx, Groups: []Group{{Name: "g", Count: 1, GPUs: []GPUAsk{{Task: "t", Name: "nvidia/gpu", Count: 1}}}}}
	for _, c := range change {
		c(&j)
	}
	return j
}

func alloc(id string, of string, idx uint64, change ...func(*Alloc)) Alloc {
	a := Alloc{
		ID: AllocID(id), Name: of + ".g[0]", Job: JobID{Namespace: "default", Name: of}, Group: "g", Node: "n1", NodeName: "gpu-a", Eval: "e1",
		Desired: "run", Client: "running", Created: start(), Modified: start(), ModifyIndex: idx,
	}
	for _, c := range change {
		c(&a)
	}
	return a
}

func holding(ids ...gpu.UUID) func(*Alloc) {
	return func(a *Alloc) { a.Tasks, a.GPUs = []Task{{Name: "t", State: "running", GPUs: ids}}, ids }
}

func ended(client string) func(*Alloc) { return func(a *Alloc) { a.Client = client } }
func version(v uint64) func(*Alloc)    { return func(a *Alloc) { a.JobVersion = v } }

func node(id, name string, idx uint64, gpus ...gpu.UUID) Node {
	n := Node{ID: NodeID(id), Name: name, Status: NodeReady, Eligible: true, ModifyIndex: idx}
	for _, g := range gpus {
		n.Devices = append(n.Devices, NodeDevice{UUID: g, Model: "H100", Healthy: true})
	}
	return n
}

// sample is one reading of one device: its utilisation and, if busy, its process.
func sample(id gpu.UUID, at time.Time, util float64) gpu.Sample {
	s := gpu.Sample{UUID: id, At: at, UtilPercent: &util, Health: gpu.Health{Verdict: gpu.VerdictOK}}
	if util > 0 {
		s.Processes = []gpu.Process{{PID: 42, Name: "python3"}}
	}
	return s
}

func reading(node string, at time.Time, samples ...gpu.Sample) gpu.Batch {
	b := gpu.Batch{Node: node, Source: "agent", At: at, Samples: samples}
	for i, s := range samples {
		b.Devices = append(b.Devices, gpu.Device{UUID: s.UUID, Index: i, Model: "H100", MemoryBytes: 80 << 30})
	}
	return b
}

// picture is what matters of a snapshot in most tests.
func picture(s *Snapshot) string {
	var b strings.Builder
	for _, n := range s.Nodes {
		fmt.Fprintf(&b, "node %s %s\n", n.ID, n.Status)
	}
	for _, j := range s.Jobs {
		fmt.Fprintf(&b, "job %s v%d run %d start %d fail %d lost %d gpus %d\n", j.ID.Name, j.Version, j.Running, j.Starting, j.Failed, j.Lost, j.GPUsHeld)
	}
	for _, a := range s.Allocs {
		fmt.Fprintf(&b, "alloc %s v%d %s\n", a.ID, a.JobVersion, a.Client)
	}
	for _, g := range s.GPUs {
		fmt.Fprintf(&b, "gpu %s on %s %s", g.UUID, g.NodeName, g.State())
		if g.Holder != nil {
			fmt.Fprintf(&b, " by %s", g.Holder.Alloc)
		}
		b.WriteString("\n")
	}
	for _, v := range s.Services {
		fmt.Fprintf(&b, "service %s\n", v.ID)
	}
	return b.String()
}
