package training

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/jobs/action"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
)

func open(e *screen.Env) screen.Screen { return New(e) }

// ended is the lab with two runs that are over and one that says nothing.
func ended() *cluster.Snapshot {
	s := *fixture.Lab()
	f := fixture.Float
	add := func(name, status string, ago time.Duration, loss *float64) {
		t := cluster.Training{TrainingSample: cluster.TrainingSample{Job: cluster.JobID{Namespace: "train", Name: name}, Model: "digits", Version: "v6"}, Status: status}
		if ago > 0 {
			t.Ended = fixture.Now().Add(-ago)
		}
		if loss != nil {
			t.Reports, t.At, t.TrainingSample.Loss = true, fixture.Now().Add(-ago), loss
			t.Step, t.PlannedSteps, t.Accuracy = f(5000), f(5000), f(0.981)
			t.Loss = s.Training[0].Loss
		}
		s.Training = append(slices.Clip(s.Training), t)
	}
	add("digits-cnn-6", "complete", 3*time.Hour, f(0.061))
	add("digits-wide", "failed", 20*time.Minute, nil)
	add("embed-small", "running", 0, nil)
	return &s
}

func TestGolden(t *testing.T) {
	fixture.Goldens(t, "table", fixture.Lab(), open)
	fixture.Goldens(t, "ended", ended(), open)
	fixture.Goldens(t, "starting", fixture.Starting(), open)
	fixture.Goldens(t, "detail", fixture.Lab(), open, fixture.Key(keys.Open))
	fixture.Goldens(t, "waiting", fixture.Lab(), open, fixture.Key(keys.Down), fixture.Key(keys.Open))
	fixture.Goldens(t, "over", ended(), open, fixture.Key(keys.Bottom), fixture.Key(keys.Open))
	fixture.Themes(t, "ended", ended(), open)
	fixture.Themes(t, "detail", fixture.Lab(), open, fixture.Key(keys.Open))
}

func TestEveryWidth(t *testing.T) {
	fixture.SweepAll(t, ended(), open)
	fixture.Sweep(t, fixture.Lab(), open, fixture.Key(keys.Open))
	fixture.Sweep(t, ended(), open, fixture.Key(keys.Bottom), fixture.Key(keys.Open))
}

func shown(t *testing.T, s *cluster.Snapshot) *Model {
	t.Helper()
	m := New(fixture.Env(t))
	m.SetSize(120, 35)
	m.SetSnapshot(s)
	return m
}

func TestWhatGoesOnComesFirst(t *testing.T) {
	var got []string
	for _, r := range arrange(ended().Training) {
		got = append(got, r.Job.Name)
	}
	want := []string{"digits-cnn", "finetune-7b", "resnet-sweep", "embed-small", "digits-wide", "digits-cnn-6"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestSelectionFollowsTheJob(t *testing.T) {
	s := ended()
	m := shown(t, s)
	m.Update(fixture.Key(keys.Down))
	id := m.Selected().Job
	less := *s
	less.Training = slices.DeleteFunc(slices.Clone(s.Training), func(t cluster.Training) bool { return t.Job.Name == "digits-cnn" })
	m.SetSnapshot(&less)
	if m.Selected().Job != id {
		t.Errorf("selected %s", m.Selected().Job)
	}
}

func TestKeysActOnTheJob(t *testing.T) {
	s := fixture.Lab()
	m := shown(t, s)
	id := s.Training[0].Job
	want := screen.AskMsg{Request: action.Request{ID: action.Stop, Job: id}}
	for _, detail := range []bool{false, true} {
		if detail {
			m.Update(fixture.Key(keys.Open))
		}
		if d := cmp.Diff(want, fixture.Reply(m.Update(fixture.Key(keys.Stop)))); d != "" {
			t.Error(d)
		}
		if got := fixture.Reply(m.Update(fixture.Key(keys.Logs))).(screen.OpenMsg); got.Screen != screen.Jobs || got.Target != (screen.Target{Job: id, Logs: true}) {
			t.Errorf("%+v", got)
		}
	}
	if got := fixture.Reply(m.Update(fixture.Key(keys.Open))).(screen.OpenMsg); got.Screen != screen.GPUs || got.Target.GPU == "" {
		t.Errorf("%+v", got)
	}
	if !m.Back() || m.Back() {
		t.Error("back closes the detail, once")
	}
	m.Update(fixture.Key(keys.Down))
	if got := m.Actions(); !slices.Contains(got, keys.Why) {
		t.Errorf("a job that waits: %v", got)
	}
	m.SetSnapshot(ended())
	m.Update(fixture.Key(keys.Bottom))
	if got := m.Actions(); slices.Contains(got, keys.Stop) {
		t.Errorf("a job that ended: %v", got)
	}
}

func TestCurve(t *testing.T) {
	p := func(xy ...float64) (out []cluster.Point) {
		for i := 0; i < len(xy); i += 2 {
			out = append(out, cluster.Point{Step: xy[i], Value: xy[i+1]})
		}
		return out
	}
	for _, tc := range []struct {
		name string
		in   []cluster.Point
		w    int
		want []float64
	}{
		{"none", nil, 3, nil},
		{"one", p(10, 2), 3, []float64{math.NaN(), math.NaN(), 2}},
		{"means", p(0, 4, 1, 2, 2, 1, 3, 1), 2, []float64{3, 1}},
		{"a line between", p(0, 4, 30, 1), 4, []float64{4, 3, 2, 1}},
		{"not a number is left out", p(0, 4, 1, math.NaN(), 2, 2), 3, []float64{4, 3, 2}},
	} {
		if d := cmp.Diff(tc.want, curve(tc.in, tc.w), cmp.Comparer(func(a, b float64) bool {
			return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) < 1e-9
		})); d != "" {
			t.Errorf("%s: %s", tc.name, d)
		}
	}
}

func TestLossText(t *testing.T) {
	for want, v := range map[string]float64{"123": 123.4, "2.30": 2.3, "0.0831": 0.08312, "1.2e-05": 1.23e-5, "0.0000": 0, "not a number": math.NaN()} {
		if got := lossText(&v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
	if lossText(nil) != "–" {
		t.Error("unknown is –")
	}
}
