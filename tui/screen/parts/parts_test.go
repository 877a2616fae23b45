package parts

import (
	"math"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

func dark(t *testing.T) *theme.Theme {
	t.Helper()
	th, err := theme.New(theme.Dark, false)
	if err != nil {
		t.Fatal(err)
	}
	return &th
}

func TestMeter(t *testing.T) {
	th := dark(t)
	for _, tc := range []struct {
		v    float64
		want string
	}{{0, "░░░░   0 %"}, {1, "█░░░   1 %"}, {62, "██░░  62 %"}, {100, "████ 100 %"}} {
		c := Meter(th, &tc.v, 4)
		if c.Text != tc.want || ansi.Strip(c.Styled) != c.Text {
			t.Errorf("%v: %q, styled %q", tc.v, c.Text, ansi.Strip(c.Styled))
		}
	}
	if c := Meter(th, nil, 4); c.Text != "         –" {
		t.Errorf("unknown: %q", c.Text)
	}
}

func TestLatency(t *testing.T) {
	for want, q := range map[string]*cluster.Quantile{
		"–": nil, "≥ 30 s": {Seconds: 30, Bound: "≥"}, "< 10 ms": {Seconds: 0.01, Bound: "<"},
		"1.9 s": {Seconds: 1.9}, "410 ms": {Seconds: 0.41}, "4.2 ms": {Seconds: 0.0042}, "1.0 s": {Seconds: 0.9996}, "10 s": {Seconds: 9.96},
	} {
		if got := Latency(q); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestChartFillsItsRectangle(t *testing.T) {
	th := dark(t)
	c := Chart{Name: "util", Value: "50 %", Points: []float64{0, 25, 50, 100, math.NaN()}, High: 100, LowText: "0 %", HighText: "100 %"}
	got := c.Lines(th, ChartWidth(5), 3)
	want := []string{"          util …", "    100 %    █ ", "      0 % ▁▄██ "}
	for i := range got {
		got[i] = ansi.Strip(got[i])
	}
	want[0] = ui.Fit("          util 50 %", 15)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestWindowMovesAndDoesNotStretch(t *testing.T) {
	nan := math.NaN()
	for _, tc := range []struct {
		in   []float64
		n, w int
		want []float64
	}{
		{[]float64{1, 3}, 4, 2, []float64{nan, 2}},
		{[]float64{9, 1, 1, 3, 5}, 4, 2, []float64{1, 4}},
		{nil, 2, 2, []float64{nan, nan}},
	} {
		if d := cmp.Diff(tc.want, Window(tc.in, tc.n, tc.w), cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })); d != "" {
			t.Error(d)
		}
	}
}

func TestCeiling(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, 0.9: 1, 1.1: 2, 47: 50, 51: 100, 0.03: 0.05} {
		if got := Ceiling(v); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v: %v, want %v", v, got, want)
		}
	}
}

func TestFactsWrapAndStayInside(t *testing.T) {
	th := dark(t)
	facts := []Fact{F("a", "one"), F("", ""), F("b", "two\x1b[31m"), F("long", strings.Repeat("x", 60))}
	lines := Facts(th, "label", facts, 40)
	if len(lines) != 2 {
		t.Fatalf("%q", lines)
	}
	for _, l := range lines {
		if ui.Width(l) > 40 {
			t.Errorf("%d cells: %q", ui.Width(l), ansi.Strip(l))
		}
	}
	if got := ansi.Strip(lines[0]); got != "  label     a one   b two" {
		t.Errorf("%q", got)
	}
}

func TestScrollShowsThatThereIsMore(t *testing.T) {
	th := dark(t)
	var s Scroll
	s.Set([]string{"1", "2", "3", "4"}, 3)
	if got := ansi.Strip(s.View(th, 20)); !strings.Contains(got, "2 more lines") {
		t.Errorf("%q", got)
	}
	s.Bottom()
	if got := ansi.Strip(s.View(th, 3)); got != "2  \n3  \n4  " {
		t.Errorf("%q", got)
	}
	s.Set([]string{"1"}, 3)
	if got := ansi.Strip(s.View(th, 1)); got != "1\n \n " {
		t.Errorf("%q", got)
	}
}

// A detail is drawn anew by all that changes it, and only moves for keys of a list.
func TestDetail(t *testing.T) {
	var body Scroll
	drawn := 0
	d := NewDetail(nil, &body, nil)
	d.draw = func() {
		drawn++
		body.Set(make([]string, 9), d.H)
	}
	d.SetSize(20, 3)
	s := &cluster.Snapshot{Rev: 7}
	d.SetSnapshot(s)
	if _, ok := d.Keys(screen.TickMsg{}); ok || drawn != 3 || d.Snap != s || d.W != 20 {
		t.Errorf("drawn %d times, %+v", drawn, d)
	}
	if _, ok := d.Keys(screen.KeyMsg{ID: keys.Down}); ok || body.top != 1 || drawn != 3 {
		t.Errorf("down: top %d, drawn %d times", body.top, drawn)
	}
	if k, ok := d.Keys(screen.KeyMsg{ID: keys.Open}); !ok || k != keys.Open {
		t.Errorf("open is left for the screen, not %q", k)
	}
}

func TestNamesOfGPUs(t *testing.T) {
	whole := cluster.GPU{Host: &cluster.Host{NodeName: "gpu-a"}, Device: &gpu.Device{Index: 3}}
	part := cluster.GPU{Host: &cluster.Host{NodeName: "gpu-a"}, Device: &gpu.Device{Index: 3, Parent: "GPU-3", MIGProfile: "2g.20gb"}}
	odd := cluster.GPU{Host: &cluster.Host{NodeName: "gpu-a"}, Device: &gpu.Device{Index: 3, Parent: "GPU-3"}}
	for i, c := range []struct{ name, number, short string }{{"gpu-a/3", "3", "3"}, {"gpu-a/3 2g.20gb", "3 2g.20gb", "3 2g"}, {"gpu-a/3 MIG", "3 MIG", "3 MIG"}} {
		g := []*cluster.GPU{&whole, &part, &odd}[i]
		if got := [3]string{Name(g), Number(g), Short(g)}; got != [3]string{c.name, c.number, c.short} {
			t.Errorf("%q", got)
		}
	}
}

func TestCommandWithoutItsFolder(t *testing.T) {
	for want, p := range map[string]gpu.Process{
		"python3 -m vllm /srv/model": {Name: "python3", Command: "/usr/bin/python3 -m vllm /srv/model"},
		"trainer":                    {Name: "trainer"},
		"process":                    {},
		"VLLM::EngineCore":           {Command: "VLLM::EngineCore"},
	} {
		if got := Command(&p); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestMemoryOfAProcessMayBeUnknown(t *testing.T) {
	if m := Memory(&gpu.Process{}); m != nil {
		t.Errorf("a context that takes %d bytes", *m)
	}
	if m := Memory(&gpu.Process{MemoryBytes: 5}); m == nil || *m != 5 {
		t.Errorf("5 bytes are %v", m)
	}
}
