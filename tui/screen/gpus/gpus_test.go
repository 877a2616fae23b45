package gpus

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/jobs/action"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
)

func open(e *screen.Env) screen.Screen { return New(e) }

// third is the failed GPU of the lab, at its detail.
func third(e *screen.Env) screen.Screen { return &opened{New(e), fixture.Lab().GPUs[3].UUID} }

// opened shows the detail of one GPU at the first snapshot.
type opened struct {
	*Model
	id gpu.UUID
}

func (o *opened) SetSnapshot(s *cluster.Snapshot) {
	o.Model.SetSnapshot(s)
	o.Model.Open(screen.Target{GPU: o.id, Details: true})
}

func TestGolden(t *testing.T) {
	fixture.Goldens(t, "table", fixture.Lab(), open)
	fixture.Goldens(t, "lost", fixture.Lost(), open)
	fixture.Goldens(t, "starting", fixture.Starting(), open)
	fixture.Goldens(t, "narrow", fixture.Narrow(), open)
	fixture.Goldens(t, "detail", fixture.Lab(), open, fixture.Key(keys.Open))
	fixture.Goldens(t, "failed", fixture.Lab(), third)
	fixture.Goldens(t, "split", fixture.Split(), open)
	fixture.Goldens(t, "splitdetail", fixture.Split(), open, fixture.Key(keys.Open))
	fixture.Goldens(t, "links", fixture.Lab(), open, fixture.Key(keys.Down), fixture.Key(keys.Open), fixture.Key(keys.Bottom))
	fixture.Goldens(t, "plain", fixture.Lab(), open, fixture.Key(keys.Bottom), fixture.Key(keys.Up), fixture.Key(keys.Open))
	fixture.Goldens(t, "down", fixture.Lost(), open, fixture.Key(keys.PageDown), fixture.Key(keys.Up), fixture.Key(keys.Up), fixture.Key(keys.Open))
	fixture.Themes(t, "table", fixture.Lab(), open)
	fixture.Themes(t, "failed", fixture.Lab(), third)
}

func TestEveryWidth(t *testing.T) {
	fixture.SweepAll(t, fixture.Lab(), open)
	fixture.SweepAll(t, fixture.Lab(), open, fixture.Key(keys.Open))
	fixture.Sweep(t, fixture.Lost(), third)
	fixture.Sweep(t, fixture.Lab(), open, fixture.Key(keys.Open))
	fixture.Sweep(t, fixture.Split(), open, fixture.Key(keys.Open))
}

func shown(t *testing.T, s *cluster.Snapshot) *Model {
	t.Helper()
	m := New(fixture.Env(t))
	m.SetSize(120, 35)
	m.SetSnapshot(s)
	return m
}

func TestSelectionFollowsTheGPU(t *testing.T) {
	s := fixture.Lab()
	m := shown(t, s)
	m.Update(fixture.Key(keys.Down))
	less := *s
	less.GPUs = s.GPUs[1:]
	m.SetSnapshot(&less)
	if got := m.Selected().UUID; got != s.GPUs[1].UUID {
		t.Errorf("after a refresh: %s", got)
	}
}

func TestAClosedNodeIsOfferedUndrain(t *testing.T) {
	s := *fixture.Lab()
	s.Nodes = slices.Clone(s.Nodes)
	m := shown(t, &s)
	g := &s.GPUs[0]
	if as := m.Actions(); !slices.Contains(as, keys.Drain) || slices.Contains(as, keys.Undrain) {
		t.Errorf("a node that takes work: %v", as)
	}
	for i := range s.Nodes {
		if s.Nodes[i].ID == g.Node {
			s.Nodes[i].Eligible = false
		}
	}
	m.SetSnapshot(&s)
	if as := m.Actions(); slices.Contains(as, keys.Ineligible) || !slices.Contains(as, keys.Undrain) || !slices.Contains(as, keys.Drain) {
		t.Errorf("a closed node, whose work may still be moved: %v", as)
	}
	want := screen.AskMsg{Request: action.Request{ID: action.Undrain, Node: g.Node}}
	if d := cmp.Diff(want, fixture.Reply(m.Update(fixture.Key(keys.Undrain)))); d != "" {
		t.Error(d)
	}
}

func TestEnterGoesToTheHolder(t *testing.T) {
	s := fixture.Lab()
	m := shown(t, s)
	g := &s.GPUs[0]
	want := screen.OpenMsg{Screen: screen.Jobs, Target: screen.Target{Job: g.Holder.Job, Alloc: g.Holder.Alloc, Details: true}}
	if got := fixture.Reply(m.Update(fixture.Key(keys.Open))); got != nil {
		t.Errorf("enter in the table opens the detail: %+v", got)
	}
	if d := cmp.Diff(want, fixture.Reply(m.Update(fixture.Key(keys.Open)))); d != "" {
		t.Error("from the detail:", d)
	}
	if !m.Back() || m.Back() {
		t.Error("back closes the detail, once")
	}
}

func TestNodeAndDrain(t *testing.T) {
	s := fixture.Lab()
	m := shown(t, s)
	if got, ok := m.Focus(); !ok || got.Node != s.GPUs[0].Node || got.Job != s.GPUs[0].Holder.Job {
		t.Errorf("%+v", got)
	}
	want := screen.AskMsg{Request: action.Request{ID: action.Drain, Node: s.GPUs[0].Node}}
	if d := cmp.Diff(want, fixture.Reply(m.Update(fixture.Key(keys.Drain)))); d != "" {
		t.Error(d)
	}
}

func TestNarrowedToAJob(t *testing.T) {
	s := fixture.Lab()
	m := shown(t, s)
	m.Open(screen.Target{Job: cluster.JobID{Namespace: "train", Name: "resnet-sweep"}, Within: true})
	if got := m.Selected().Holder.Job.Name; got != "resnet-sweep" || m.Shown() != 4 {
		t.Errorf("selected a GPU of %s among %d", got, m.Shown())
	}
	if view := m.View(); !strings.Contains(view, "only of job train/resnet-sweep") {
		t.Error(view)
	}
	m.SetSnapshot(fixture.Calm())
	if m.Shown() != 4 {
		t.Error("wider with the next snapshot:", m.Shown())
	}
	if !m.Widen() || m.Widen() || m.Shown() != 20 {
		t.Error("esc shows all, once")
	}
}

func TestOldReadingsAreFaint(t *testing.T) {
	e := fixture.Env(t)
	late := fixture.Now().Add(12 * time.Second)
	e.Now = func() time.Time { return late }
	m := New(e)
	m.SetSize(120, 35)
	m.SetSnapshot(fixture.Lab())
	line := strings.Split(m.View(), "\n")[4]
	m.Update(fixture.Key(keys.Open))
	if got := fixture.Picture(m.View()); !strings.Contains(got, "nothing heard for 12s") {
		t.Error(got)
	}
	if !strings.Contains(line, e.Theme.Faint.Render("● held    ")) {
		t.Errorf("not faint: %q", line)
	}
}

func TestVerdictSaysWhatToDo(t *testing.T) {
	s := fixture.Lab()
	m := shown(t, s)
	m.Open(screen.Target{GPU: s.GPUs[3].UUID, Details: true})
	x, _ := gpu.LookupXid(79)
	view := fixture.Picture(m.View())
	for _, want := range []string{x.String(), x.Meaning, x.Advice} {
		if strings.Count(view, want) < 1 {
			t.Errorf("missing: %s", want)
		}
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

func BenchmarkBigKey(b *testing.B) {
	m := New(fixture.Env(b))
	m.SetSize(120, 35)
	m.SetSnapshot(fixture.Big(1000))
	b.ReportAllocs()
	for b.Loop() {
		m.Update(fixture.Key(keys.Down))
		m.Update(fixture.Key(keys.Up))
		_ = m.View()
	}
}

// Who opens a GPU wants its past, where somebody knows it, and hears when not.
func TestThePastIsAskedFor(t *testing.T) {
	m := shown(t, fixture.Lab())
	if cmd := m.show("GPU-x"); cmd != nil {
		t.Error("a past is asked for, of nobody")
	}
	m.Back()
	var asked []gpu.UUID
	m.Env.Past = func(_ context.Context, id gpu.UUID) error {
		asked = append(asked, id)
		if len(asked) > 1 {
			return errors.New("prometheus: connection refused")
		}
		return nil
	}
	id := m.Selected().UUID
	if msg := fixture.Reply(m.Update(fixture.Key(keys.Open))); msg != nil {
		t.Errorf("the answer is %v", msg)
	}
	want := screen.NoteMsg{Level: cluster.Warn, Text: "prometheus: connection refused"}
	if d := cmp.Diff(want, fixture.Reply(m.Open(screen.Target{GPU: id, Details: true}))); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]gpu.UUID{id, id}, asked); d != "" {
		t.Error(d)
	}
}
