package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
	"stoker/tui/ui"
)

func open(e *screen.Env) screen.Screen { return New(e) }

func TestGolden(t *testing.T) {
	fixture.Goldens(t, "lab", fixture.Lab(), open)
	fixture.Goldens(t, "calm", fixture.Calm(), open)
	fixture.Goldens(t, "lost", fixture.Lost(), open)
	fixture.Goldens(t, "starting", fixture.Starting(), open)
	fixture.Goldens(t, "narrow", fixture.Narrow(), open)
	fixture.Goldens(t, "big", fixture.Big(60), open, fixture.Key(keys.Pane))
	fixture.Goldens(t, "bigpool", fixture.Big(300), open, fixture.Key(keys.GroupBy))
	fixture.Goldens(t, "huge", huge(), open)
	fixture.Goldens(t, "hugerack", huge(), open, fixture.Key(keys.GroupBy), fixture.Key(keys.GroupBy))
	fixture.Goldens(t, "hugefine", huge(), open, fixture.Key(keys.GroupBy), fixture.Key(keys.ZoomIn), fixture.Key(keys.Down))
	fixture.Themes(t, "lab", fixture.Lab(), open)
	fixture.Themes(t, "big", fixture.Big(60), open, fixture.Key(keys.Pane))
}

func TestEveryWidth(t *testing.T) {
	for name, s := range map[string]*cluster.Snapshot{"lab": fixture.Lab(), "calm": fixture.Calm(), "starting": fixture.Starting(), "big": fixture.Big(60)} {
		t.Run(name, func(t *testing.T) { fixture.Sweep(t, s, open) })
	}
	fixture.SweepAll(t, fixture.Lab(), open)
	fixture.SweepAll(t, fixture.Big(60), open, fixture.Key(keys.GroupBy), fixture.Key(keys.GroupBy))
}

func TestLayout(t *testing.T) {
	for _, tc := range []struct {
		name                string
		h, problems, nodes  int
		attention, machines int // lines, headings included
	}{
		{"all fits", 35, 4, 3, 5, 26},
		{"problems take what nodes leave", 19, 12, 3, 11, 4},
		{"many nodes leave a third", 19, 12, 60, 5, 10},
		{"the smallest", 10, 5, 3, 2, 4},
	} {
		r := layout(80, tc.h, tc.problems, tc.nodes)
		if d := cmp.Diff([]int{tc.attention, tc.machines}, []int{r.attention.H, r.machines.H}); d != "" {
			t.Errorf("%s: %s", tc.name, d)
		}
	}
}

func press(m *Model, ids ...keys.ID) (last any) {
	for _, id := range ids {
		last = fixture.Reply(m.Update(fixture.Key(id)))
	}
	return last
}

func TestEnterGoesToTheThing(t *testing.T) {
	s := fixture.Lab()
	m := New(fixture.Env(t))
	m.SetSize(120, 35)
	m.SetSnapshot(s)
	failed := s.Problems[0].GPU
	for _, tc := range []struct {
		keys []keys.ID
		want screen.Name
	}{
		{[]keys.ID{keys.Open}, screen.GPUs},
		{[]keys.ID{keys.Down, keys.Open}, screen.Jobs},
		{[]keys.ID{keys.Down, keys.Open}, screen.Keys},
		{[]keys.ID{keys.Down, keys.Open}, screen.Jobs},  // that holds the two idle ones, in one line
		{[]keys.ID{keys.Down, keys.Open}, screen.Nodes}, // over the edge
		{[]keys.ID{keys.Up, keys.Open}, screen.Jobs},
		{[]keys.ID{keys.Pane, keys.Open}, screen.Nodes},
	} {
		got, ok := press(m, tc.keys...).(screen.OpenMsg)
		if !ok || got.Screen != tc.want {
			t.Errorf("%v: %+v, want %s", tc.keys, got, tc.want)
		}
	}
	press(m, keys.Pane, keys.Top)
	if got := press(m, keys.Open).(screen.OpenMsg); got.Target.GPU != failed {
		t.Errorf("target %+v", got.Target)
	}
}

func TestOneLineForTheIdleGPUsOfAJob(t *testing.T) {
	since := fixture.Now().Add(-time.Hour)
	idle := func(node string, index int, job string) cluster.Problem {
		id := cluster.JobID{Namespace: "research", Name: job}
		since = since.Add(time.Minute)
		return cluster.Problem{
			Level: cluster.Warn, Subject: fmt.Sprintf("%s/%d", node, index), GPU: gpu.UUID(fmt.Sprint(node, index)),
			Text: "held but idle by " + id.String(), Holder: id, Since: since,
		}
	}
	var in []cluster.Problem
	for i := range 8 {
		in = append(in, idle("gpu-a", i, "hold"))
	}
	in = append(in, idle("gpu-b", 0, "hold"), idle("gpu-b", 1, "note"), idle("gpu-b", 2, "hold"), idle("gpu-b", 4, "note"), idle("gpu-c", 0, "hold"))
	worn := cluster.Problem{Level: cluster.Warn, Text: "worn", Subject: "gpu-c/1", GPU: "c1"}
	other := worn
	other.Subject, other.GPU = "gpu-d/1", "d1" // another node: another line
	in = append(in, worn, other)
	var got []string
	for _, p := range merge(in) {
		got = append(got, p.Subject+" "+p.Text)
	}
	want := []string{
		"gpu-a/0-7 and 3 more held but idle by research/hold", "gpu-b/1,4 held but idle by research/note",
		"gpu-c/1 worn", "gpu-d/1 worn",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if first := merge(in)[0]; !first.Since.Equal(in[12].Since) {
		t.Errorf("idle since %v, all of them since %v", first.Since, in[12].Since)
	}
}

func TestMapKeepsItsGPU(t *testing.T) {
	s := fixture.Big(60)
	m := New(fixture.Env(t))
	m.SetSize(120, 35)
	m.SetSnapshot(s)
	press(m, keys.Pane, keys.Down, keys.Down, keys.RightOf, keys.RightOf, keys.RightOf)
	before := m.dense.device().UUID
	press(m, keys.GroupBy)
	if after := m.dense.device().UUID; after != before {
		t.Errorf("grouping moved the cursor from %s to %s", before, after)
	}
	less := *s
	less.GPUs = s.GPUs[4:]
	m.SetSnapshot(&less)
	if after := m.dense.device().UUID; after != before {
		t.Errorf("a refresh moved the cursor from %s to %s", before, after)
	}
	if got := press(m, keys.Open).(screen.OpenMsg); got.Screen != screen.GPUs || got.Target.GPU != before {
		t.Errorf("%+v", got)
	}
}

// TestDegradedIsSeen: a GPU that works, but not as it should, is marked where the
// nodes are rows and where GPUs are cells, unlike one that is to be watched.
func TestDegradedIsSeen(t *testing.T) {
	s := fixture.Lab()
	e := fixture.Env(t)
	var free *cluster.GPU
	for i := range s.GPUs {
		if g := &s.GPUs[i]; g.Holder == nil && g.State() == "free" {
			free = g
		}
	}
	for verdict, want := range map[gpu.Verdict]string{gpu.VerdictWatch: e.Theme.G.Free, gpu.VerdictDegraded: e.Theme.G.Warn, gpu.VerdictFailed: e.Theme.G.Failed} {
		free.Health = gpu.Health{Verdict: verdict}
		if got, _ := cellOf(e, free); got != want {
			t.Errorf("%s is %s in the row of its node, want %s", verdict, got, want)
		}
		if got, _ := sumUp([]fact{factOf(free, fixture.Now())}, []int32{0}, look{level: -1}).draw(e.Theme); got != want {
			t.Errorf("%s is %s on the map, want %s", verdict, got, want)
		}
	}
	free.Health = gpu.Health{Verdict: gpu.VerdictDegraded}
	r := nodeRow{node: &cluster.Node{Status: cluster.NodeReady, Eligible: true}}
	r.add([]cluster.GPU{*free})
	if got := stateOf(e, &r); got.Text != e.Theme.G.Warn+" 1 degraded" {
		t.Errorf("its node is %q", got.Text)
	}
}

func TestFilterNarrowsEverything(t *testing.T) {
	m := New(fixture.Env(t))
	m.SetSize(120, 35)
	m.SetSnapshot(fixture.Lab())
	if err := m.SetFilter("gpu-b"); err != nil {
		t.Fatal(err)
	}
	if shown, all := m.Counts(); shown != 1 || all != 3 || m.problems.Shown() != 1 {
		t.Errorf("%d of %d nodes, %d problems", shown, all, m.problems.Shown())
	}
}

func TestStepsDoNotFlicker(t *testing.T) {
	for _, tc := range []struct {
		util float64
		last int
		want int
	}{{39, -1, 1}, {41, 1, 1}, {46, 1, 2}, {38, 2, 2}, {34, 2, 1}, {100, -1, 4}, {0, -1, 0}, {90, 0, 4}} {
		if got := ui.HeatLevel(tc.util, tc.last); got != tc.want {
			t.Errorf("%v from %d: %d, want %d", tc.util, tc.last, got, tc.want)
		}
	}
}

func BenchmarkBigSnapshot(b *testing.B) {
	for _, n := range []int{100, 1000, 3000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := fixture.Big(n)
			m := New(fixture.Env(b))
			m.SetSize(120, 35)
			m.SetSnapshot(s)
			b.ReportAllocs()
			for b.Loop() {
				m.SetSnapshot(s)
				_ = m.View()
			}
		})
	}
}

func BenchmarkBigKey(b *testing.B) {
	for _, n := range []int{100, 1000, 3000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := New(fixture.Env(b))
			m.SetSize(120, 35)
			m.SetSnapshot(fixture.Big(n))
			press(m, keys.Pane, keys.ZoomIn, keys.ZoomIn)
			b.ReportAllocs()
			for b.Loop() { // two keys
				press(m, keys.PageDown, keys.PageUp)
				_ = m.View()
			}
		})
	}
}

// TestAnExpressionKeepsGPUs: on the map those for which it holds, as rows the
// nodes that have one; what is wrong leaves the filter as it was.
func TestAnExpressionKeepsGPUs(t *testing.T) {
	s := fixture.Big(300)
	m := New(fixture.Env(t))
	m.SetSize(120, 35)
	m.SetSnapshot(s)
	want := 0
	for i := range s.GPUs {
		if s.GPUs[i].Index == 0 && s.GPUs[i].Holder != nil {
			want++
		}
	}
	if err := m.SetFilter("index == 0 && held"); err != nil {
		t.Fatal(err)
	}
	got := 0
	for _, g := range m.dense.groups {
		got += len(g.gpus)
	}
	if want == 0 || got != want {
		t.Errorf("%d GPUs, want %d", got, want)
	}
	for _, wrong := range []string{"utl < 5", "not node"} {
		if err := m.SetFilter(wrong); err == nil {
			t.Errorf("%q: no error", wrong)
		}
		if text, _ := m.Filter(); text != "index == 0 && held" {
			t.Errorf("%q took the place of the filter", text)
		}
	}
}

// TestWhatNomadToldIsFaintWhenItIsLost: nothing that stands still looks as if it were live.
func TestWhatNomadToldIsFaintWhenItIsLost(t *testing.T) {
	e := fixture.Env(t)
	faint, _, _ := strings.Cut(e.Theme.Faint.Render("|"), "|")
	for name, s := range map[string]*cluster.Snapshot{"live": fixture.Lab(), "lost": fixture.Lost()} {
		m := New(e)
		m.SetSize(120, 35)
		m.SetSnapshot(s)
		found := 0
		for _, line := range strings.Split(m.View(), "\n") {
			for _, told := range []string{"job train/finetune-7b", "15 held", "pending 4 GPUs"} {
				if !strings.Contains(ui.Plain(line), told) {
					continue
				}
				found++
				if is := strings.Contains(line, faint+told) || strings.Contains(line, faint+"  ▲  "+told); is != (name == "lost") {
					t.Errorf("%s: faint %t: %q", name, is, line)
				}
			}
		}
		if found != 3 {
			t.Errorf("%s: %d lines tell of jobs", name, found)
		}
	}
}
