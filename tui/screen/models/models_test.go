package models

import (
	"slices"
	"strings"
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

// more is the lab with a version that does not report, one without traffic and
// one that is overloaded.
func more() *cluster.Snapshot {
	s := *fixture.Lab()
	add := func(name, version string, change func(*cluster.Model)) {
		m := cluster.Model{ModelSample: cluster.ModelSample{
			Key: cluster.ModelKey{Job: cluster.JobID{Namespace: "staging", Name: name}, Model: name, Version: version}, At: fixture.Now(), Window: 30 * time.Second,
		}, Desired: 2, Running: 2, GPUs: 2}
		change(&m)
		s.Models = append(slices.Clip(s.Models), m)
	}
	add("embed", "v2", func(*cluster.Model) {})
	add("rerank", "v1", func(m *cluster.Model) {
		m.Reports, m.Replicas, m.Requests = true, 2, fixture.Float(0)
	})
	add("summarise", "v9", func(m *cluster.Model) {
		m.Reports, m.Replicas, m.Requests, m.ErrorRatio = true, 2, fixture.Float(12.4), fixture.Float(0.062)
		m.Queue, m.KVCacheRatio, m.GPUUtil = fixture.Float(31), fixture.Float(0.99), fixture.Float(99)
		m.P95 = &cluster.Quantile{Seconds: 4.2}
	})
	add("vision", "v1", func(m *cluster.Model) { m.Running = 0 })
	return &s
}

func TestGolden(t *testing.T) {
	fixture.Goldens(t, "table", fixture.Lab(), open)
	fixture.Goldens(t, "more", more(), open)
	fixture.Goldens(t, "starting", fixture.Starting(), open)
	fixture.Goldens(t, "detail", fixture.Lab(), open, fixture.Key(keys.Open))
	fixture.Goldens(t, "silent", more(), open, fixture.Key(keys.Down), fixture.Key(keys.Down), fixture.Key(keys.Open))
	fixture.Themes(t, "more", more(), open)
	fixture.Themes(t, "detail", fixture.Lab(), open, fixture.Key(keys.Open))
}

func TestEveryWidth(t *testing.T) {
	fixture.SweepAll(t, more(), open)
	fixture.Sweep(t, fixture.Lab(), open, fixture.Key(keys.Open))
}

func shown(t *testing.T, s *cluster.Snapshot) *Model {
	t.Helper()
	m := New(fixture.Env(t))
	m.SetSize(200, 35)
	m.SetSnapshot(s)
	return m
}

func TestColumnsThatNobodyFillsAreHidden(t *testing.T) {
	s := fixture.Lab()
	vision := *s
	vision.Models = s.Models[1:]
	m := shown(t, &vision)
	for _, title := range []string{"KV %", "TTFT", "TOK/S"} {
		if strings.Contains(m.View(), title) {
			t.Errorf("%s without a server that reports it", title)
		}
	}
	m.SetSnapshot(s)
	m.Update(fixture.Key(keys.Down))
	m.SetSnapshot(&vision)
	for _, title := range []string{"KV %", "TTFT", "TOK/S"} {
		if !strings.Contains(m.View(), title) {
			t.Errorf("%s went away again", title)
		}
	}
}

func TestSelectionAndFilterSurviveNewColumns(t *testing.T) {
	s := more()
	few := *s
	few.Models = s.Models[1:3] // xray-classify, embed
	m := shown(t, &few)
	m.Update(fixture.Key(keys.Down))
	if err := m.SetFilter("!rerank"); err != nil {
		t.Fatal(err)
	}
	m.SetSnapshot(s)
	if got := m.Selected().Key.Model; got != "embed" {
		t.Errorf("selected %s", got)
	}
	if n, all := m.Counts(); n != all-1 {
		t.Errorf("%d of %d", n, all)
	}
}

func TestScaleAsksForTheNumber(t *testing.T) {
	m := shown(t, fixture.Lab())
	p, ok := fixture.Reply(m.Update(fixture.Key(keys.Scale))).(screen.PromptMsg)
	if !ok || p.Initial != "3" {
		t.Fatalf("%+v", p)
	}
	for _, bad := range []string{"", "-1", "two"} {
		if p.Check(bad) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	want := screen.AskMsg{Request: action.Request{ID: action.Scale, Job: cluster.JobID{Namespace: "prod", Name: "llm-chat"}, Group: "server", Count: 5}}
	if d := cmp.Diff(want, fixture.Reply(p.Then("5"))); d != "" {
		t.Error(d)
	}
}

func TestKeysActOnTheJob(t *testing.T) {
	s := fixture.Lab()
	m := shown(t, s)
	id := s.Models[0].Key.Job
	for _, detail := range []bool{false, true} {
		if detail {
			m.Update(fixture.Key(keys.Open))
		}
		if d := cmp.Diff(screen.AskMsg{Request: action.Request{ID: action.Stop, Job: id}}, fixture.Reply(m.Update(fixture.Key(keys.Stop)))); d != "" {
			t.Error(d)
		}
		if got := fixture.Reply(m.Update(fixture.Key(keys.Logs))).(screen.OpenMsg); got.Screen != screen.Jobs || got.Target != (screen.Target{Job: id, Logs: true}) {
			t.Errorf("%+v", got)
		}
	}
	if got := fixture.Reply(m.Update(fixture.Key(keys.Open))).(screen.OpenMsg); got.Screen != screen.GPUs || got.Target.GPU != s.GPUs[0].UUID {
		t.Errorf("%+v", got)
	}
	if !m.Back() || m.Back() {
		t.Error("back closes the detail, once")
	}
}

func TestStates(t *testing.T) {
	e := fixture.Env(t)
	f := fixture.Float
	base := func(change func(*row)) *row {
		r := &row{&cluster.Model{Desired: 2, Running: 2, Reports: true}, nil}
		r.Replicas, r.Requests = 2, f(3)
		change(r)
		return r
	}
	for want, r := range map[string]*row{
		"● serving":    base(func(*row) {}),
		"○ no traffic": base(func(r *row) { r.Requests = f(0) }),
		"✖ errors":     base(func(r *row) { r.ErrorRatio = f(0.05) }),
		"▲ errors":     base(func(r *row) { r.ErrorRatio = f(0.01) }),
		"▲ overloaded": base(func(r *row) { r.Queue, r.KVCacheRatio = f(1), f(1) }),
		"◐ measuring":  base(func(r *row) { r.Requests = nil }),
		"▲ 1/2 answer": base(func(r *row) { r.Replicas = 1 }),
		"▲ 1/2 run":    base(func(r *row) { r.Running, r.Replicas = 1, 1 }),
		"✖ no answer":  base(func(r *row) { r.Replicas = 0 }),
		"✖ down":       base(func(r *row) { r.Running = 0 }),
		"? no metrics": base(func(r *row) { r.Reports = false }),
		"◐ starting":   base(func(r *row) { r.Running, r.job = 0, &cluster.Job{Starting: 1} }),
		"▲ waiting":    base(func(r *row) { r.Running, r.job = 0, &cluster.Job{Waiting: &cluster.Waiting{}} }),
	} {
		if got := state(e.Theme, r).Text; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestLimit(t *testing.T) {
	f := fixture.Float
	r := &row{Model: &cluster.Model{}}
	if limit(r) != "" {
		t.Error("nothing is known")
	}
	r.Queue, r.KVCacheRatio = f(4), f(0.99)
	if got := limit(r); !strings.Contains(got, "memory") {
		t.Error(got)
	}
	r.KVCacheRatio = f(0.4)
	if got := limit(r); !strings.Contains(got, "compute") {
		t.Error(got)
	}
}
