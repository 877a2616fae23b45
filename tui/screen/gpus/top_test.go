package gpus

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
)

// killer notes what it was asked for.
type killer struct {
	victims []gpu.Process
	on      [][]gpu.UUID
	forced  []bool
	err     error
}

func (k *killer) Kill(_ context.Context, p gpu.Process, on []gpu.UUID, force bool) error {
	k.victims, k.on, k.forced = append(k.victims, p), append(k.on, on), append(k.forced, force)
	return k.err
}

func openTop(e *screen.Env) screen.Screen { return NewTop(e, &killer{}) }

func TestTopGolden(t *testing.T) {
	pane, enter := fixture.Key(keys.Pane), fixture.Key(keys.Open)
	fixture.Goldens(t, "top", fixture.Top(), openTop)
	fixture.Goldens(t, "processes", fixture.Top(), openTop, pane, fixture.Key(keys.Down))
	fixture.Goldens(t, "all", fixture.Top(), openTop, fixture.Key(keys.AllGPUs))
	fixture.Goldens(t, "detail", fixture.Top(), openTop, pane, enter)
	fixture.Goldens(t, "starting", &cluster.Snapshot{}, openTop)
	fixture.Themes(t, "top", fixture.Top(), openTop)
}

func TestTopEveryWidth(t *testing.T) {
	fixture.SweepAll(t, fixture.Top(), openTop)
	fixture.Sweep(t, fixture.Top(), openTop, fixture.Key(keys.AllGPUs), fixture.Key(keys.Pane))
	fixture.Sweep(t, fixture.Top(), openTop, fixture.Key(keys.Open))
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		h, gpus, procs int
		want           heights
	}{
		{19, 4, 4, heights{5, 7, 5}},
		{19, 8, 6, heights{9, 4, 4}},  // 80x24 with 8 GPUs: the processes scroll
		{19, 8, 0, heights{9, 6, 2}},  // nobody there: it is the charts'
		{19, 8, 40, heights{9, 4, 4}}, // no more than so many lines of charts go for that
		{19, 16, 9, heights{13, 0, 4}},
		{35, 8, 6, heights{9, 14, 7}},
		{45, 8, 6, heights{9, 15, 16}},
		{5, 8, 6, heights{2, 0, 1}},
	} {
		if d := cmp.Diff(c.want, share(c.h, c.gpus, c.procs, 15), cmp.AllowUnexported(heights{})); d != "" {
			t.Errorf("%d lines, %d GPUs, %d processes: %s", c.h, c.gpus, c.procs, d)
		}
	}
}

func shownTop(t *testing.T, s *cluster.Snapshot, k Killer) *Top {
	t.Helper()
	m := NewTop(fixture.Env(t), k)
	m.SetSize(120, 35)
	m.SetSnapshot(s)
	return m
}

// press sends keys, and returns what the last one asks for.
func press(m *Top, ids ...keys.ID) (reply any) {
	for _, id := range ids {
		reply = fixture.Reply(m.Update(fixture.Key(id)))
	}
	return reply
}

// TestEndProcess: the question says whom it ends, what that holds and that Nomad
// starts it again; the answer says how.
func TestEndProcess(t *testing.T) {
	k := &killer{}
	m := shownTop(t, fixture.Top(), k)
	q, ok := press(m, keys.Pane, keys.EndProcess).(screen.QuestionMsg)
	if !ok {
		t.Fatal("it does not ask")
	}
	text := strings.Join(append(append([]string{q.Title}, q.Lines...), q.Warnings...), "\n")
	for _, want := range []string{"end process 48211", "vllm.entrypoints", "user nobody", "37.4 GiB on GPU 0", "task vllm of allocation 8f3e21ab", "Nomad starts it again", "nomad alloc stop 8f3e21ab; only stopping its job"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if len(k.victims) != 0 || len(q.Choices) != 2 || q.Do != nil {
		t.Fatalf("%d were ended, choices %v", len(k.victims), q.Choices)
	}
	for i, want := range []string{"process 48211 got SIGTERM", "process 48211 got SIGKILL"} {
		if got, err := q.Choices[i].Do(t.Context()); got != want || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if d := cmp.Diff([]bool{false, true}, k.forced); d != "" || k.victims[0].PID != 48211 || k.victims[0].Start != 771000 {
		t.Errorf("%s %+v", d, k.victims)
	}
	k.err = errors.New("that process has ended")
	if _, err := q.Choices[0].Do(t.Context()); !errors.Is(err, k.err) {
		t.Errorf("the error is lost: %v", err)
	}
}

// TestTheLowerPart: what is copied and exported is of the part in which the keys move.
func TestTheLowerPart(t *testing.T) {
	m := shownTop(t, fixture.Top(), &killer{})
	if view, rows := m.Chosen(); view.Name != "gpus" || len(rows) != 1 {
		t.Errorf("%s, %d rows", view.Name, len(rows))
	}
	press(m, keys.Pane, keys.Mark, keys.Mark)
	view, rows := m.Chosen()
	if view.Name != "processes" || len(rows) != 2 {
		t.Errorf("%s, %d rows", view.Name, len(rows))
	}
	if view, row := m.FocusRow(); view.Name != "processes" || row == nil {
		t.Errorf("the cursor is on %v", row)
	}
	if err := m.ShowColumns([]string{"pid"}); err != nil || !m.Picked() || !m.Clear() || m.Clear() {
		t.Error(err, "the columns or the marks are those of the other part")
	}
}

// TestEndProcessOnTwoGPUs: one process is ended once, with all that it holds.
func TestEndProcessOnTwoGPUs(t *testing.T) {
	s := *fixture.Top()
	s.GPUs = append([]cluster.GPU(nil), s.GPUs...)
	ann := s.GPUs[2].Sample.Processes[0]
	ann.MemoryBytes = 2 << 30
	sample := *s.GPUs[1].Sample
	sample.Processes = []gpu.Process{ann}
	s.GPUs[1].Sample = &sample
	k := &killer{}
	m := shownTop(t, &s, k)
	q := press(m, keys.Pane, keys.Bottom, keys.EndProcess).(screen.QuestionMsg)
	if want := "user ann, holds 39.4 GiB on GPUs 1, 2"; q.Lines[1] != want {
		t.Errorf("%q, want %q", q.Lines[1], want)
	}
	if len(q.Warnings) != 0 {
		t.Errorf("it is nobody's task: %v", q.Warnings)
	}
	_, _ = q.Choices[0].Do(t.Context())
	if d := cmp.Diff([]gpu.UUID{s.GPUs[1].UUID, s.GPUs[2].UUID}, k.on[0]); d != "" {
		t.Error(d)
	}
}

func TestWhatCannotBeEnded(t *testing.T) {
	unseen := *fixture.Top()
	unseen.GPUs = append([]cluster.GPU(nil), unseen.GPUs...)
	sample := *unseen.GPUs[0].Sample
	sample.Processes = []gpu.Process{{PID: 7}}
	unseen.GPUs[0].Sample = &sample
	for name, c := range map[string]struct {
		killer Killer
		s      *cluster.Snapshot
		keys   []keys.ID
		want   string
	}{
		"read-only":         {nil, fixture.Top(), []keys.ID{keys.Pane, keys.EndProcess}, "read-only"},
		"not in the list":   {&killer{}, fixture.Top(), []keys.ID{keys.EndProcess}, "choose a process first"},
		"seen by the other": {&killer{}, &unseen, []keys.ID{keys.Pane, keys.EndProcess}, "process 7 cannot be seen from here"},
	} {
		got, ok := press(shownTop(t, c.s, c.killer), c.keys...).(screen.NoteMsg)
		if !ok || !strings.Contains(got.Text, c.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	m := shownTop(t, fixture.Top(), nil)
	press(m, keys.Pane)
	if as := m.Actions(); len(as) == 0 || as[0] == keys.EndProcess {
		t.Errorf("offered without a killer: %v", as)
	}
}

// TestTopFilters: a filter is of the part in which the keys move, words and
// expressions, and survives the way to the other part and back.
func TestTopFilters(t *testing.T) {
	m := shownTop(t, fixture.Top(), nil)
	if err := m.SetFilter("failed"); err != nil {
		t.Fatal(err)
	}
	press(m, keys.Pane)
	if text, ok := m.Filter(); text != "" || !ok {
		t.Errorf("the processes have the filter of the GPUs: %q", text)
	}
	if err := m.SetFilter(`user == "ann" && memory_used_bytes > 1`); err != nil {
		t.Fatal(err)
	}
	if n, all := m.Counts(); n != 1 || all != 3 {
		t.Errorf("%d of %d processes", n, all)
	}
	if err := m.SetFilter("nobody == "); err == nil {
		t.Error("that is no expression")
	}
	press(m, keys.Pane)
	if n, all := m.Counts(); n != 1 || all != 4 {
		t.Errorf("%d of %d GPUs", n, all)
	}
	if view := fixture.Picture(m.View()); strings.Contains(view, "Xorg") || strings.Contains(view, "HELD BY") {
		t.Errorf("a process that was filtered out, or holders without a scheduler:\n%s", view)
	}
}

func TestSortOfProcesses(t *testing.T) {
	m := shownTop(t, fixture.Top(), nil)
	press(m, keys.Pane, keys.Down, keys.Up, keys.Sort, keys.Sort) // by GPU, by PID
	if got := m.procs.Selected(); got.PID != 48211 {
		t.Errorf("the selection moved to %d", got.PID)
	}
	press(m, keys.Top)
	if got := m.procs.Selected(); got.PID != 2101 {
		t.Errorf("the lowest PID is not first: %d", got.PID)
	}
}

// TestEnterOpensTheGPU of the process under the cursor.
func TestEnterOpensTheGPU(t *testing.T) {
	m := shownTop(t, fixture.Top(), nil)
	press(m, keys.Pane, keys.Bottom, keys.Open)
	if m.detail == nil || m.detail.id != fixture.Top().GPUs[2].UUID {
		t.Fatalf("%+v", m.detail)
	}
	if _, ok := m.Filter(); ok {
		t.Error("there is nothing to filter in the details")
	}
	if !m.Back() || m.Back() {
		t.Error("back closes the detail, once")
	}
}

func TestMerged(t *testing.T) {
	nan := math.NaN()
	all := [][]float64{{10, 20, 30}, {60, nan}, {nan, nan, nan}}
	same := cmpopts.EquateNaNs()
	if d := cmp.Diff([]float64{10, 40, 30}, merged(all, false), same); d != "" {
		t.Error("mean:", d)
	}
	if d := cmp.Diff([]float64{10, 60, 30}, merged(all, true), same); d != "" {
		t.Error("highest:", d)
	}
	if d := cmp.Diff([]float64{nan}, merged([][]float64{{nan}}, true), same); d != "" {
		t.Error("unknown:", d)
	}
}
