package usage

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
)

func open(e *screen.Env) screen.Screen { return New(e) }

func TestGolden(t *testing.T) {
	fixture.Goldens(t, "busy", fixture.Lab(), open)
	fixture.Goldens(t, "below", fixture.Lab(), open, fixture.Key(keys.Pane))
	fixture.Goldens(t, "calm", fixture.Calm(), open)
	fixture.Goldens(t, "starting", fixture.Starting(), open)
	fixture.Goldens(t, "narrow", fixture.Narrow(), open)
	fixture.Themes(t, "busy", fixture.Lab(), open)
}

func TestEveryWidth(t *testing.T) {
	fixture.SweepAll(t, fixture.Lab(), open)
	fixture.Sweep(t, fixture.Starting(), open)
}

func shown(t *testing.T) *Model {
	t.Helper()
	m := New(fixture.Env(t))
	m.SetSize(120, 35)
	m.SetSnapshot(fixture.Lab())
	return m
}

func TestEnterGoesToTheJobOrTheGPU(t *testing.T) {
	m := shown(t)
	if got := fixture.Reply(m.Update(fixture.Key(keys.Open))); got != nil || m.Selected().Job.Name != "" {
		t.Errorf("a namespace leads nowhere: %+v", got)
	}
	m.Update(fixture.Key(keys.Down))
	chat := cluster.JobID{Namespace: "prod", Name: "llm-chat"}
	want := screen.OpenMsg{Screen: screen.Jobs, Target: screen.Target{Job: chat, Details: true}}
	if d := cmp.Diff(want, fixture.Reply(m.Update(fixture.Key(keys.Open)))); d != "" {
		t.Error(d)
	}
	if got, ok := m.Focus(); !ok || got.Job != chat {
		t.Errorf("%+v", got)
	}
	m.Update(fixture.Key(keys.Pane))
	m.Update(fixture.Key(keys.Down))
	idle := fixture.Lab().GPUs[9]
	want = screen.OpenMsg{Screen: screen.GPUs, Target: screen.Target{GPU: idle.UUID, Node: idle.Node, Details: true}}
	if d := cmp.Diff(want, fixture.Reply(m.Update(fixture.Key(keys.Open)))); d != "" {
		t.Error("below:", d)
	}
	m.Update(fixture.Key(keys.Pane))
	if got := fixture.Reply(m.Update(fixture.Key(keys.Open))).(screen.OpenMsg); got.Screen != screen.Jobs {
		t.Errorf("above again: %+v", got)
	}
}

func TestFilterByExpression(t *testing.T) {
	m := shown(t)
	if err := m.SetFilter(`namespace == "research" && gpus_idle > 0 && job != ""`); err != nil {
		t.Fatal(err)
	}
	if n, _ := m.Counts(); n != 1 || m.Selected().Job.Name != "notebook-ann" {
		t.Errorf("%d rows", n)
	}
	if err := m.SetFilter("no_such_column > 1"); err == nil {
		t.Error("a wrong name is no error")
	}
}

func TestEnergySaysHowSureItIs(t *testing.T) {
	for want, a := range map[string]cluster.Account{
		"–":        {DarkSeconds: 9},
		"1.0 Wh":   {CounterJoules: 3600, CounterSeconds: 9},
		"≈ 2.0 Wh": {CounterJoules: 3600, CounterSeconds: 9, PowerJoules: 3600, PowerSeconds: 9},
		"≥ 1.0 Wh": {PowerJoules: 3600, PowerSeconds: 9, DarkSeconds: 1},
	} {
		if got := energy(&a); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestTheLowerPart: what is copied, exported, filtered and marked is of the part
// in which the keys move.
func TestTheLowerPart(t *testing.T) {
	m := shown(t)
	for _, k := range []keys.ID{keys.Pane, keys.Down} {
		m.Update(fixture.Key(k))
	}
	want := string(fixture.Lab().GPUs[9].UUID)
	view, rows := m.Chosen()
	if len(rows) != 1 || view.Name != "idle" || view.Map(rows[0])["uuid"] != want {
		t.Errorf("chosen is %v", rows)
	}
	if view, row := m.FocusRow(); view.Map(row)["uuid"] != want || m.Lists() != view {
		t.Errorf("the cursor is on %v", row)
	}
	m.Update(fixture.Key(keys.MarkAll))
	if _, rows := m.Chosen(); len(rows) != 2 || !m.Clear() || m.Clear() {
		t.Errorf("%d rows are marked", len(rows))
	}
	if err := m.SetFilter("gpu-nowhere"); err != nil {
		t.Fatal(err)
	}
	if n, all := m.Counts(); n != 0 || all != 2 || m.List.Shown() == 0 || !strings.Contains(m.View(), "matches the filter") {
		t.Errorf("%d of %d rows", n, all)
	}
}

func TestNothingWasted(t *testing.T) {
	m := New(fixture.Env(t))
	m.SetSize(120, 35)
	m.SetSnapshot(fixture.Calm())
	m.Update(fixture.Key(keys.Pane))
	if m.below || strings.Contains(m.View(), "IDLE, USED") {
		t.Error("there is nothing below to go to")
	}
}

func BenchmarkBigSnapshot(b *testing.B) {
	s := fixture.Big(1000)
	m := New(fixture.Env(b))
	m.SetSize(120, 35)
	b.ReportAllocs()
	for b.Loop() {
		m.SetSnapshot(s)
		_ = m.View()
	}
}
