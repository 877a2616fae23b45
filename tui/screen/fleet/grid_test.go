package fleet

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
	"stoker/tui/theme"
)

// huge is one fleet for all tests: a snapshot is never changed.
var huge = sync.OnceValue(func() *cluster.Snapshot { return fixture.Big(1000) })

func newMap(t *testing.T, e *screen.Env, s *cluster.Snapshot, w, h int) *Model {
	t.Helper()
	m := New(e)
	m.SetSize(w, h)
	m.SetSnapshot(s)
	return m
}

func TestScaleFollowsTheRoom(t *testing.T) {
	huge := huge()
	for _, tc := range []struct {
		name string
		s    *cluster.Snapshot
		w, h int
		want scale
	}{
		{"some", fixture.Big(60), 120, 35, perGPU},
		{"some, small", fixture.Big(60), 80, 19, twoGPUs},
		{"300", fixture.Big(300), 200, 45, twoGPUs},
		{"1000", huge, 120, 35, perNode},
		{"1000, small", huge, 80, 19, twoNodes},
		{"1000, large", huge, 200, 45, twoGPUs},
	} {
		m := newMap(t, fixture.Env(t), tc.s, tc.w, tc.h)
		if m.dense.now != tc.want || len(m.dense.lines) > m.dense.page() {
			t.Errorf("%s: scale %d, want %d; %d lines of %d", tc.name, m.dense.now, tc.want, len(m.dense.lines), m.dense.page())
		}
	}
	if m := newMap(t, fixture.Env(t), fixture.Lab(), 80, 19); m.isDense() {
		t.Error("three nodes are not rows")
	}
}

func TestZoom(t *testing.T) {
	m := newMap(t, fixture.Env(t), huge(), 120, 35)
	var got []scale
	for _, k := range []keys.ID{keys.ZoomIn, keys.ZoomIn, keys.ZoomIn, keys.ZoomOut, keys.ZoomOut, keys.ZoomOut, keys.ZoomOut, keys.ZoomFit} {
		press(m, k)
		got = append(got, m.dense.now)
		if !m.isDense() {
			got[len(got)-1] = asRows
		}
	}
	if d := cmp.Diff([]scale{twoGPUs, perGPU, asRows, perGPU, twoGPUs, perNode, twoNodes, perNode}, got); d != "" {
		t.Error(d)
	}
	press(m, keys.ZoomIn, keys.ZoomIn, keys.ZoomIn)
	if msg := press(m, keys.ZoomIn); msg == nil {
		t.Error("the end of the scales is not said")
	}
}

func TestIntoAGroupAndOut(t *testing.T) {
	m := newMap(t, fixture.Env(t), huge(), 80, 19)
	press(m, keys.GroupBy, keys.GroupBy) // pool, rack
	if m.dense.now != perGroup {
		t.Fatalf("scale %d", m.dense.now)
	}
	press(m, keys.Down, keys.Down, keys.Open)
	if view := fixture.Picture(m.View()); !strings.Contains(view, "GPUS OF RACK rack-20") || m.dense.now > twoGPUs {
		t.Errorf("scale %d:\n%s", m.dense.now, view)
	}
	if !m.Back() || m.Back() {
		t.Error("esc must lead out, once")
	}
	if got := fixture.Picture(m.View()); !strings.Contains(got, "GPUS BY RACK") {
		t.Error(got)
	}
}

func TestCellOfANodeOpensIt(t *testing.T) {
	s := huge()
	m := newMap(t, fixture.Env(t), s, 120, 35)
	press(m, keys.Pane, keys.RightOf)
	got, ok := press(m, keys.Open).(screen.OpenMsg)
	if !ok || got.Screen != screen.Nodes || s.Node(got.Target.Node) == nil {
		t.Errorf("%+v", got)
	}
}

func TestHalvesAreWalkedOneByOne(t *testing.T) {
	m := newMap(t, fixture.Env(t), fixture.Big(60), 80, 19)
	press(m, keys.Pane)
	at := func() int { return m.dense.device().Index }
	got := []int{at()}
	for _, k := range []keys.ID{keys.Down, keys.Down, keys.Up, keys.RightOf, keys.Up} {
		press(m, k)
		got = append(got, at())
	}
	if d := cmp.Diff([]int{0, 4, 0, 4, 5, 1}, got); d != "" { // the second 0 is another node's
		t.Error(d)
	}
}

func TestGroupingsThatTellNothingAreLeftOut(t *testing.T) {
	m := newMap(t, fixture.Env(t), fixture.Lab(), 120, 35)
	var got []string
	for range 5 {
		press(m, keys.GroupBy)
		got = append(got, m.dense.by.String())
	}
	if d := cmp.Diff([]string{"pool", "model", "job", "namespace", "node"}, got); d != "" {
		t.Error(d)
	}
}

// TestEverySignDiffers: without colour each condition has a sign of its own.
func TestEverySignDiffers(t *testing.T) {
	for _, ascii := range []bool{false, true} {
		th, err := theme.New(theme.None, ascii)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]condition{}
		for c := free; c < conditions; c++ {
			if c == working {
				continue
			}
			glyph, _ := look{condition: c, level: -1}.draw(&th)
			if other, twice := seen[glyph]; twice {
				t.Errorf("ascii %v: %q is %d and %d", ascii, glyph, c, other)
			}
			seen[glyph] = c
		}
		for level := range int8(theme.HeatLevels) {
			glyph, _ := look{condition: working, level: level}.draw(&th)
			if _, twice := seen[glyph]; twice {
				t.Errorf("ascii %v: level %d is %q as well", ascii, level, glyph)
			}
			seen[glyph] = working
		}
	}
}

func TestNoHalvesWithoutColour(t *testing.T) {
	m := newMap(t, fixture.EnvIn(t, theme.None), huge(), 80, 19)
	if m.dense.now != perNode {
		t.Errorf("scale %d", m.dense.now)
	}
	press(m, keys.ZoomIn)
	if view := m.View(); m.dense.now != perGPU || strings.Contains(view, "▀") {
		t.Errorf("scale %d", m.dense.now)
	}
}

// moving is a fleet whose every GPU jumps between nothing and all.
type moving struct {
	*cluster.Snapshot
	base []cluster.GPU
	now  time.Time
	beat int
}

func newMoving(s *cluster.Snapshot) *moving {
	return &moving{Snapshot: s, base: s.GPUs, now: fixture.Now()}
}

// next is the fleet a tenth of a second later.
func (f *moving) next(fail int) *cluster.Snapshot {
	f.now, f.beat = f.now.Add(100*time.Millisecond), f.beat+1
	s := *f.Snapshot
	s.GPUs = make([]cluster.GPU, len(f.base))
	for i := range f.base {
		s.GPUs[i] = f.base[i]
		if f.base[i].Sample == nil {
			continue
		}
		sample := *f.base[i].Sample
		sample.At, sample.UtilPercent = f.now, fixture.Float(float64((i*7+f.beat*37)%100))
		s.GPUs[i].Sample = &sample
		if i == fail {
			s.GPUs[i].Health = gpu.Health{Verdict: gpu.VerdictFailed, Since: f.now}
		}
	}
	return &s
}

func changed(a, b string) (n int) {
	x, y := []rune(a), []rune(b)
	for i := range x {
		if i < len(y) && x[i] != y[i] {
			n++
		}
	}
	return n
}

// TestChangesArePaced: of a fleet in which all moves at once only so many cells
// change in a second; a failure shows at once, and when the fleet rests all
// cells say what is so.
func TestChangesArePaced(t *testing.T) {
	f := newMoving(fixture.Big(300))
	e := fixture.EnvIn(t, theme.None) // each step has a sign of its own
	e.Now = func() time.Time { return f.now }
	m := newMap(t, e, f.Snapshot, 120, 35)
	press(m, keys.Pane, keys.ZoomIn, keys.ZoomOut, keys.ZoomIn) // every GPU, a part of them
	cells := func() string {
		lines := strings.Split(fixture.Picture(m.View()), "\n")
		return strings.Join(lines[len(lines)-m.dense.page()-3:len(lines)-3], "\n")
	}
	before, total := cells(), 0
	sick := int(m.dense.seq[m.dense.first+300].gpus[0])
	shown := func() condition {
		for _, l := range m.dense.looks {
			if l.gpu == f.base[sick].UUID {
				return l.condition
			}
		}
		return free
	}
	for beat := range 100 {
		fail := -1
		if beat >= 98 {
			fail = sick
		}
		m.SetSnapshot(f.next(fail))
		after := cells()
		if fail < 0 { // then groups change places
			total += changed(before, after)
		} else if shown() != failed {
			t.Errorf("a failed GPU is not shown at once")
		}
		before = after
	}
	if most := cellsASecond*10 + cellsASecond + 5; total > most || total < most/2 {
		t.Errorf("%d cells changed in 10 seconds, want about %d", total, most)
	}
	still := f.next(-1)
	for range 120 {
		f.now = f.now.Add(100 * time.Millisecond)
		for i := range still.GPUs {
			if still.GPUs[i].Sample != nil {
				still.GPUs[i].Sample.At = f.now
			}
		}
		m.SetSnapshot(still)
	}
	paced := cells()
	m.dense.pace.reset()
	m.dense.settle()
	if n := changed(paced, cells()); n > m.dense.page()*8 { // within the hysteresis
		t.Errorf("%d cells do not say what is so", n)
	}
}

// TestFirstReadingsShowAtOnce: a cell does not go on saying that nobody tells what a
// GPU does once somebody does, however many there are.
func TestFirstReadingsShowAtOnce(t *testing.T) {
	known := fixture.Big(300)
	unknown := *known
	unknown.GPUs = slices.Clone(known.GPUs)
	for i := range unknown.GPUs {
		unknown.GPUs[i].Sample = nil
	}
	look := func(s *cluster.Snapshot) *Model {
		m := newMap(t, fixture.Env(t), s, 120, 35)
		press(m, keys.Pane, keys.ZoomIn, keys.ZoomOut, keys.ZoomIn)
		return m
	}
	silents := func(m *Model) (n int) {
		m.View()
		for _, l := range m.dense.looks {
			if l.condition == silent {
				n++
			}
		}
		return n
	}
	m, want := look(&unknown), silents(look(known))
	if n := silents(m); n < want+2*cellsASecond {
		t.Fatalf("%d cells say nothing, %d when all is known", n, want)
	}
	m.SetSnapshot(known)
	if n := silents(m); n != want {
		t.Errorf("%d cells still say that nobody tells", n-want)
	}
}
