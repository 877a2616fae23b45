package cluster

import (
	"context"
	"sync"
	"testing"
	"time"

	"stoker/gpu"
)

// TestAlone: where no scheduler gives GPUs away, what runs on one is its state.
func TestAlone(t *testing.T) {
	percent := func(v float64) *float64 { return &v }
	for _, c := range []struct {
		name string
		gpu  GPU
		want string
	}{
		{"not read yet", GPU{}, "unknown"},
		{"nothing on it", GPU{Sample: &gpu.Sample{UtilPercent: percent(0)}}, "free"},
		{"util unknown", GPU{Sample: &gpu.Sample{}}, "unknown"},
		{"util unknown, but a process", GPU{Sample: &gpu.Sample{Processes: []gpu.Process{{PID: 1}}}}, "in use"},
		{"a process that waits", GPU{Sample: &gpu.Sample{UtilPercent: percent(0), Processes: []gpu.Process{{PID: 1}}}}, "in use"},
		{"work by nobody that is seen", GPU{Sample: &gpu.Sample{UtilPercent: percent(1)}}, "in use"},
		{"failed", GPU{Sample: &gpu.Sample{}, Health: gpu.Health{Verdict: gpu.VerdictFailed}}, "failed"},
		{"cut", GPU{Sample: &gpu.Sample{}, Split: true}, "split"},
	} {
		c.gpu.Host, c.gpu.Reading, c.gpu.Claims = &Host{Alone: true, NodeUp: true}, &Reading{}, true
		if got := c.gpu.State(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestHistoryStep: a machine that is looked at ten times a second has its
// history at that rate.
func TestHistoryStep(t *testing.T) {
	for step, want := range map[time.Duration]int{100 * time.Millisecond: 3, historyStep: 1} {
		f := NewFeed(Place{}, time.Now, HistoryStep(step))
		snapshots, stop := f.Subscribe()
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { _ = f.Run(ctx) })
		f.Scheduler(Update{Lists: SetAll, Index: 1, Nodes: []Node{{ID: "n", Name: "n", Status: NodeReady, ModifyIndex: 1}}})
		for i := range 3 {
			at := start().Add(time.Duration(i) * 100 * time.Millisecond)
			f.GPUs(gpu.Batch{Node: "n", Source: "nvml", At: at, Devices: []gpu.Device{{UUID: "G"}}, Samples: []gpu.Sample{{UUID: "G", At: at}}})
		}
		last := start().Add(200 * time.Millisecond)
		s := <-snapshots
		for len(s.GPUs) == 0 || !s.GPUs[0].AsOf().Equal(last) {
			s = <-snapshots
		}
		if h := s.GPUs[0].History; len(h.Util()) != want || h.Step != step {
			t.Errorf("%d points %s apart, want %d %s apart", len(h.Util()), h.Step, want, step)
		}
		stop()
		cancel()
		run.Wait()
	}
}
