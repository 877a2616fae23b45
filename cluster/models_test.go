package cluster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
)

func TestModels(t *testing.T) {
	w := newWorld(t)
	infer := func(j *Job) { j.Kind, j.Model, j.ModelVer = KindInference, "digits", "1.0" }
	w.update(Update{
		Nodes: []Node{node("n1", "gpu-a", 1, "G1", "G2", "G3")}, Jobs: []Job{job("x", 1, infer), job("y", 1, infer), job("z", 1)},
		Allocs: []Alloc{alloc("a1", "x", 1, holding("G1", "G2"))},
	})
	w.batch(reading("n1", start(), sample("G1", start(), 40), sample("G2", start(), 60), sample("G3", start(), 100)))
	w.do(func(f *Feed) {
		f.Artifacts([]Artifact{{Model: "digits", Version: "1.0", Digest: "d"}, {Model: "digits", Version: "2.0"}})
	})
	rate := func(v float64) []ModelSample {
		return []ModelSample{{Key: ModelKey{x(), "digits", "1.0"}, At: start(), Requests: &v, P95: &Quantile{Seconds: v / 10}}}
	}
	w.do(func(f *Feed) { f.Models(rate(1)) })
	s := w.do(func(f *Feed) { f.Models(rate(2)) })
	if len(s.Models) != 2 {
		t.Fatalf("%+v", s.Models)
	}
	m, silent := s.Models[0], s.Models[1]
	if m.Running != 1 || m.Desired != 1 || m.GPUs != 2 || *m.GPUUtil != 50 || m.Artifact == nil || m.Artifact.Digest != "d" || !m.Reports {
		t.Errorf("%+v", m)
	}
	if d := cmp.Diff([][]float64{{1, 2}, {0.1, 0.2}}, [][]float64{m.Rate, m.Latency}); d != "" {
		t.Error(d)
	}
	if silent.Key.Job.Name != "y" || silent.Reports || silent.GPUs != 0 || silent.GPUUtil != nil {
		t.Errorf("%+v", silent)
	}
	if s = w.do(func(f *Feed) { f.Models(nil) }); len(s.Models) != 2 || s.Models[0].Reports || len(s.Models[0].Rate) != 0 {
		t.Errorf("no model answers, yet %+v", s.Models)
	}
}

func TestTraining(t *testing.T) {
	w := newWorld(t)
	train := func(j *Job) { j.Type, j.Kind, j.Model = "batch", KindTraining, "m" }
	w.update(Update{Jobs: []Job{job("x", 1, train)}, Allocs: []Alloc{alloc("a1", "x", 1)}})
	say := func(allocID string, step, loss float64) Training {
		return w.do(func(f *Feed) {
			f.Training([]TrainingSample{{Job: x(), Alloc: AllocID(allocID), At: start(), Step: &step, Loss: &loss}})
		}).Training[0]
	}
	for i := range 3 * curveLen {
		say("a1", float64(i), 1/float64(i+1))
	}
	got := say("a1", 2, 9) // late: it changes no curve
	if n := len(got.Loss); n > curveLen+1 || n < curveLen/2 || got.Loss[0].Step != 0 || got.Loss[n-1].Step != 3*curveLen-1 || got.Status != "running" || !got.Reports {
		t.Errorf("%d points, %s", n, got.Status)
	}
	for i := 1; i < len(got.Loss); i++ {
		if got.Loss[i].Step <= got.Loss[i-1].Step {
			t.Fatal("the curve goes back")
		}
	}
	if got = say("a2", 1, 0.5); len(got.Loss) != 1 {
		t.Errorf("a new run continues the old curve: %d points", len(got.Loss))
	}
	w.update(Update{Allocs: []Alloc{alloc("a1", "x", 5, ended("failed"), func(a *Alloc) { a.Modified = start().Add(time.Minute) })}})
	s := w.update(Update{Allocs: []Alloc{alloc("a2", "x", 5, ended("complete"), func(a *Alloc) { a.Created, a.Modified = start().Add(time.Hour), start().Add(2*time.Hour) })}})
	if tr := s.Training[0]; tr.Status != "complete" || tr.Ended != start().Add(2*time.Hour) {
		t.Errorf("%s, ended %s", tr.Status, tr.Ended)
	}
}

func TestTrainingStatus(t *testing.T) {
	train := func(j *Job) { j.Kind, j.Status = KindTraining, "pending" }
	blocked := []Evaluation{{ID: "e1", Job: x(), Status: "blocked", ModifyIndex: 1}}
	for want, u := range map[string]Update{
		"pending":  {},
		"waiting":  {Evaluations: blocked},
		"starting": {Allocs: []Alloc{alloc("a1", "x", 1, ended("pending"))}},
		"running":  {Allocs: []Alloc{alloc("a1", "x", 1)}, Evaluations: blocked},
		"failed":   {Allocs: []Alloc{alloc("a1", "x", 1, ended("failed"))}},
		"complete": {Allocs: []Alloc{alloc("a1", "x", 1, ended("complete"))}},
		"stopped":  {Allocs: []Alloc{alloc("a1", "x", 1, ended("complete"), func(a *Alloc) { a.Desired = "stop" })}}, // by a person, half way
	} {
		u.Jobs = []Job{job("x", 1, train)}
		if s := newWorld(t).update(u); len(s.Training) != 1 || s.Training[0].Status != want {
			t.Errorf("%+v, want %s", s.Training, want)
		}
	}
}

func TestFleetCurve(t *testing.T) {
	w := newWorld(t)
	w.update(Update{Nodes: []Node{node("n1", "gpu-a", 1, "G1")}})
	var s *Snapshot
	for i := range 12 { // a second each
		s = w.batch(reading("n1", w.clock(), sample("G1", w.clock(), float64(i))))
	}
	if d := cmp.Diff([]float64{0, 5, 10}, s.Fleet.Util); d != "" {
		t.Error(d)
	}
	if s.Fleet.Hottest != gpu.UUID("") || s.Fleet.PowerWatts != nil || s.Fleet.HottestCelsius != nil {
		t.Errorf("what nobody reports is a number: %+v", s.Fleet)
	}
}
