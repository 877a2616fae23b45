package cluster

import (
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
		{"util unknown", GPU{Sample: &gpu.Sample{}}, "free"},
		{"a process that waits", GPU{Sample: &gpu.Sample{UtilPercent: percent(0), Processes: []gpu.Process{{PID: 1}}}}, "in use"},
		{"work by nobody that is seen", GPU{Sample: &gpu.Sample{UtilPercent: percent(1)}}, "in use"},
		{"failed", GPU{Sample: &gpu.Sample{}, Health: gpu.Health{Verdict: gpu.VerdictFailed}}, "failed"},
		{"cut", GPU{Sample: &gpu.Sample{}, Split: true}, "split"},
	} {
		c.gpu.Alone, c.gpu.NodeUp, c.gpu.Claims = true, true, true
		if got := c.gpu.State(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestHistoryStep: a machine that is looked at ten times a second has its
// history at that rate.
func TestHistoryStep(t *testing.T) {
	f := NewFeed(Place{}, start, HistoryStep(100*time.Millisecond))
	st := newState(Place{}, start)
	if st.step != historyStep || f.step != 100*time.Millisecond {
		t.Errorf("%s unless set, %s when set", st.step, f.step)
	}
}
