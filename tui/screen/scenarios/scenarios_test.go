package scenarios

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/scenarios"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
)

// script is a run on paper: so many of its events have come.
func script() []scenarios.Event {
	at := func(s int) time.Time { return fixture.Now().Add(time.Duration(s-74) * time.Second) }
	check := func(v scenarios.Verdict, expr string, values ...scenarios.Value) *scenarios.CheckResult {
		return &scenarios.CheckResult{Expr: expr, When: "require", Verdict: v, Values: values}
	}
	const n = 5
	return []scenarios.Event{
		{Kind: scenarios.RunStarted, At: at(0), RunID: "r7f3a", Steps: n, Name: "first-deploy", Text: "lab"},
		{Kind: scenarios.StepStarted, At: at(0), Step: 1, Name: "the cluster has room", Text: "require"},
		{Kind: scenarios.Checked, At: at(0), Step: 1, Check: check(scenarios.Passed, `not running("train-digits")`)},
		{Kind: scenarios.Checked, At: at(0), Step: 1, Check: check(scenarios.Passed, "fleet.free >= 3", scenarios.Value{Name: "fleet.free", Value: "5"})},
		{Kind: scenarios.StepEnded, At: at(0), Step: 1, Verdict: scenarios.Passed},
		{Kind: scenarios.StepStarted, At: at(1), Step: 2, Name: "train and seal the model", Text: "submit"},
		{Kind: scenarios.Noted, At: at(2), Step: 2, Text: "submitted train/train-digits, evaluation 5d0c7a11"},
		{Kind: scenarios.StepEnded, At: at(6), Step: 2, Verdict: scenarios.Passed},
		{Kind: scenarios.StepStarted, At: at(6), Step: 3, Name: "training ends", Text: "wait"},
		{Kind: scenarios.Progress, At: at(8), Step: 3, Text: "step 400 of 5,000, loss 0.81"},
		{Kind: scenarios.Progress, At: at(70), Step: 3, Text: "step 3,000 of 5,000, loss 0.11"},
	}
}

// failed is how the script ends badly.
func failed() []scenarios.Event {
	at := func(s int) time.Time { return fixture.Now().Add(time.Duration(s-74) * time.Second) }
	return append(
		script(),
		scenarios.Event{Kind: scenarios.Checked, At: at(72), Step: 3, Check: &scenarios.CheckResult{
			Expr: `training("train-digits").status == "complete"`, When: "wait", Verdict: scenarios.Failed, Text: "not within 1m",
			Values: []scenarios.Value{{Name: "status", Value: `"failed"`}},
		}},
		scenarios.Event{Kind: scenarios.StepEnded, At: at(72), Step: 3, Verdict: scenarios.Failed, Text: `given up: training("train-digits").status == "failed"`},
		scenarios.Event{Kind: scenarios.CleanupStarted, At: at(72), Name: "cleanup", Text: "1 to take back"},
		scenarios.Event{Kind: scenarios.Noted, At: at(73), Text: "stopped train/train-digits"},
		scenarios.Event{Kind: scenarios.CleanupEnded, At: at(73), Verdict: scenarios.Failed, Text: "things are left", Left: []string{"job train/other: denied; by hand: nomad job stop other"}},
		scenarios.Event{Kind: scenarios.RunEnded, At: at(73), Verdict: scenarios.Failed, Text: `step 3, training ends: given up: training("train-digits").status == "failed"`},
	)
}

func recorded(events []scenarios.Event) *Recorder {
	r := NewRecorder([]File{
		{"first-deploy", "Train a model, seal it, serve it on two GPUs, send it images, and check what the fleet shows."},
		{"node-loss", "Lose a node under load."},
	})
	r.Expect(&scenarios.Scenario{Steps: []scenarios.Step{
		{Name: "the cluster has room", Kind: scenarios.KindRequire},
		{Name: "train and seal the model", Kind: scenarios.KindSubmit},
		{Name: "training ends", Kind: scenarios.KindWait},
		{Name: "serve it", Kind: scenarios.KindSubmit},
		{Name: "answers are right and fast", Kind: scenarios.KindAssert},
	}})
	for _, e := range events {
		r.Observe(e)
	}
	return r
}

func with(events []scenarios.Event) func(*screen.Env) screen.Screen {
	return func(e *screen.Env) screen.Screen { return New(e, recorded(events)) }
}

func TestGolden(t *testing.T) {
	s := fixture.Lab()
	fixture.Goldens(t, "nothing", s, with(nil))
	fixture.Goldens(t, "running", s, with(script()))
	fixture.Goldens(t, "failed", s, with(failed()))
	fixture.Goldens(t, "first", s, with(script()), fixture.Key(keys.Top))
	fixture.Themes(t, "failed", s, with(failed()))
}

func TestEveryWidth(t *testing.T) {
	s := fixture.Lab()
	fixture.Sweep(t, s, with(nil))
	fixture.SweepAll(t, s, with(script()))
	fixture.Sweep(t, s, with(failed()))
	fixture.Sweep(t, s, func(e *screen.Env) screen.Screen { return New(e, nil) })
}

func TestEveryPrefixOfARunCanBeShown(t *testing.T) {
	all := failed()
	for n := range all {
		r := recorded(all[:n])
		m := New(fixture.Env(t), r)
		m.SetSize(100, 30)
		m.SetSnapshot(fixture.Lab())
		if n > 0 && !strings.Contains(m.View(), "first-deploy") {
			t.Errorf("after %d events: %s", n, m.View())
		}
	}
}

func TestRecorderFolds(t *testing.T) {
	run := recorded(failed()).Run()
	var got []State
	for _, l := range run.Lines {
		got = append(got, l.State)
	}
	if d := cmp.Diff([]State{"passed", "passed", "failed", "skipped", "skipped", "failed"}, got); d != "" {
		t.Error(d)
	}
	if run.State != "failed" || len(run.Left) != 1 || run.Lines[2].Ended.Sub(run.Lines[2].Started) != 66*time.Second {
		t.Errorf("%+v", run)
	}
	if l := run.Lines[5]; l.Step != Cleanup || l.Name != "cleanup" {
		t.Errorf("%+v", l)
	}
}

func TestTheLogIsBounded(t *testing.T) {
	r := recorded(script())
	for range 3 * maxLog {
		r.Observe(scenarios.Event{Kind: scenarios.Noted, Step: 3, Text: "again"})
	}
	if run := r.Run(); len(run.Log) != maxLog || run.Dropped < 2*maxLog {
		t.Errorf("%d lines, %d dropped", len(run.Log), run.Dropped)
	}
}

func TestTheCursorFollowsUntilItIsMoved(t *testing.T) {
	events := script()
	r := recorded(events[:6])
	m := New(fixture.Env(t), r)
	m.SetSize(100, 30)
	m.SetSnapshot(fixture.Lab())
	at := func() int { return m.steps.Selected().Step }
	if at() != 2 {
		t.Fatalf("at step %d", at())
	}
	for _, e := range events[6:9] {
		r.Observe(e)
	}
	m.Update(screen.TickMsg{Now: fixture.Now()})
	if at() != 3 {
		t.Errorf("did not follow: step %d", at())
	}
	m.Update(fixture.Key(keys.Up))
	m.Update(screen.TickMsg{Now: fixture.Now()})
	if at() != 2 {
		t.Errorf("followed though it was moved: step %d", at())
	}
	if !m.Back() || at() != 3 || m.Back() {
		t.Errorf("esc follows again: step %d", at())
	}
}

// still is a feed that never changes.
type still struct{ s *cluster.Snapshot }

func (f still) Latest() *cluster.Snapshot { return f.s }

func (f still) Subscribe() (snapshots <-chan *cluster.Snapshot, stop func()) {
	ch := make(chan *cluster.Snapshot, 1)
	ch <- f.s
	return ch, func() {}
}

func TestARealRun(t *testing.T) {
	sc, err := scenarios.Parse("test.yaml", []byte(`
name: look
description: looks at the fleet
timeout: 1m
steps:
  - name: there are GPUs
    require:
      - that: len(gpus) > 0
  - name: there are too many
    assert:
      - that: len(gpus) > 1000
        else: too few
`))
	if err != nil {
		t.Fatal(err)
	}
	r := NewRecorder(nil)
	r.Expect(sc)
	var wg sync.WaitGroup
	wg.Add(1)
	go func() { // the screen reads while the engine writes
		defer wg.Done()
		for range 100 {
			r.Lines()
		}
	}()
	rep := scenarios.Run(t.Context(), sc, scenarios.Env{Feed: still{fixture.Lab()}, Now: time.Now}, r.Observe)
	wg.Wait()
	run := r.Run()
	if rep.Verdict != scenarios.Failed || run.State != State(rep.Verdict) || run.Text != rep.Text {
		t.Errorf("%s: %s; recorded %s: %s", rep.Verdict, rep.Text, run.State, run.Text)
	}
	if len(run.Lines) < 2 || run.Lines[0].State != "passed" || run.Lines[1].State != "failed" || len(run.Log) == 0 {
		t.Errorf("%+v", run)
	}
}
