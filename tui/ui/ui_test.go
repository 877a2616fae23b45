package ui

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"stoker/tui/theme"
)

func dark(t testing.TB) *theme.Theme {
	t.Helper()
	th, err := theme.New(theme.Dark, false)
	if err != nil {
		t.Fatal(err)
	}
	return &th
}

func TestFit(t *testing.T) {
	for _, tc := range []struct {
		in   string
		w    int
		a    Align
		want string
	}{
		{"abc", 5, Left, "abc  "},
		{"abc", 5, Right, "  abc"},
		{"abcdef", 4, Left, "abc…"},
		{"日本語", 5, Left, "日本…"},
		{"日本語", 4, Left, "日… "},
		{"", 2, Left, "  "},
		{"abc", 0, Left, ""},
		{"abc", -1, Left, ""},
	} {
		if got := FitAlign(tc.in, tc.w, tc.a); got != tc.want {
			t.Errorf("FitAlign(%q, %d): %q, want %q", tc.in, tc.w, got, tc.want)
		}
	}
	if got := Width(Fit("\x1b[1mbold text\x1b[m", 6)); got != 6 {
		t.Errorf("styled text: %d cells", got)
	}
}

func TestNumbers(t *testing.T) {
	f := func(v float64) *float64 { return &v }
	for _, tc := range []struct{ got, want string }{
		{Percent(nil), "–"},
		{Percent(f(0)), "0 %"},
		{Percent(f(53.4)), "53 %"},
		{Watts(f(312)), "312 W"},
		{Watts(f(4100)), "4.1 kW"},
		{Watts(nil), "–"},
		{Energy(nil), "–"},
		{Energy(f(0)), "0.0 Wh"},
		{Energy(f(4.1 * 3600)), "4.1 Wh"},
		{Energy(f(812.4 * 3600)), "812 Wh"},
		{Energy(f(12_345 * 3600)), "12.3 kWh"},
		{Energy(f(4.2e9 * 3.6)), "4.2 MWh"},
		{GPUHours(nil), "–"},
		{GPUHours(f(90)), "0.03 h"},
		{GPUHours(f(123_456)), "34.3 h"},
		{Num(f(3120.4), 1, "tok/s"), "3,120.4 tok/s"},
		{Num(f(-1234567), 0, ""), "-1,234,567"},
		{Ratio(f(0.001), 1), "0.1 %"},
		{Celsius(f(83)), "83 °C"},
		{Bytes(512), "512 B"},
		{Bytes(71 << 30), "71.0 GiB"},
		{Bytes(1 << 40), "1.0 TiB"},
		{Bytes(500 << 30), "500 GiB"},
		{BytesOf(nil), "–"},
		{GiB(1504 << 30), "1,504"},
		{Count(1, "GPU"), "1 GPU"},
		{Count(1504, "GPU"), "1,504 GPUs"},
	} {
		if tc.got != tc.want {
			t.Errorf("%q, want %q", tc.got, tc.want)
		}
	}
}

func TestAges(t *testing.T) {
	now := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		-time.Minute: "now", 0: "now", 999 * time.Millisecond: "now", time.Second: "1s", 59 * time.Second: "59s", time.Minute: "1m",
		59*time.Minute + 59*time.Second: "59m", time.Hour: "1h", 47 * time.Hour: "47h", 48 * time.Hour: "2d",
	} {
		if got := Age(now.Add(-d), now); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	if got := Age(time.Time{}, now); got != None {
		t.Errorf("never: %q", got)
	}
	if got := Long(4*time.Minute + 12*time.Second); got != "4m 12s" {
		t.Error(got)
	}
	if got := Ago(time.Time{}, now); got != "never" {
		t.Error(got)
	}
}

func TestSpark(t *testing.T) {
	g := theme.Unicode()
	if got := Spark(&g, []float64{0, 50, math.NaN(), 100}, 6, 100); got != "  ▁▅ █" {
		t.Errorf("%q", got)
	}
	if got := SparkBytes(&g, []uint8{1, 2, 0, 100, Unread}, 3, 100); got != "▁█ " {
		t.Errorf("%q", got)
	}
	if d := cmp.Diff([]float64{1.5, 3.5}, Shrink([]float64{1, 2, 3, 4}, 2)); d != "" {
		t.Error(d)
	}
}

func TestMeterShowsTheSmallest(t *testing.T) {
	th, err := theme.New(theme.None, false)
	if err != nil {
		t.Fatal(err)
	}
	bar := func(a, b, whole, w int) string {
		return Meter(&th, []Part{{N: a, Glyph: "#"}, {N: b, Glyph: "X"}}, whole, w)
	}
	for _, tc := range []struct {
		a, b, whole int
		want        string
	}{{7999, 1, 8000, "#########X"}, {0, 0, 8, ""}, {8, 0, 8, "##########"}, {4, 4, 8, "#####XXXXX"}} {
		if got := strings.Map(func(r rune) rune {
			if r == '#' || r == 'X' {
				return r
			}
			return -1
		}, bar(tc.a, tc.b, tc.whole, 10)); got != tc.want {
			t.Errorf("%+v: %q", tc, got)
		}
		if w := Width(bar(tc.a, tc.b, tc.whole, 10)); w != 10 {
			t.Errorf("%+v: %d cells", tc, w)
		}
	}
}

func TestSegs(t *testing.T) {
	segs := []Seg{{Text: "always"}, {Text: "long name", Short: "name", Drop: 4}, {Text: "first", Drop: 3}}
	for w, want := range map[int]string{
		30: "always  long name  first", 23: "always  name  first", 15: "always  name", 9: "always", 3: "always",
	} {
		if got := Segs(segs, 2, w); got != want {
			t.Errorf("%d: %q, want %q", w, got, want)
		}
	}
}

func TestStack(t *testing.T) {
	got := Stack(80, 20, 2, 0, 1, 0)
	want := []Rect{{0, 0, 80, 2}, {0, 2, 80, 9}, {0, 11, 80, 1}, {0, 12, 80, 8}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, r := range Stack(80, 3, 2, 0, 4) {
		if r.H < 0 || r.Y+r.H > 3 {
			t.Errorf("%+v does not fit", r)
		}
	}
}

func TestFilter(t *testing.T) {
	for _, tc := range []struct {
		filter, row string
		want        bool
	}{
		{"", "anything", true},
		{"gpu-A", "gpu-a ready", true},
		{"gpu ready", "gpu-a ready", true},
		{"gpu down", "gpu-a ready", false},
		{"!down", "gpu-a ready", true},
		{"gpu !ready", "gpu-a ready", false},
		{"!", "x", true},
	} {
		f := ParseFilter(tc.filter)
		if got := f.Match(tc.row); got != tc.want {
			t.Errorf("%q on %q: %v", tc.filter, tc.row, got)
		}
	}
}

func TestLine(t *testing.T) {
	var l Line
	for _, k := range []tea.KeyPressMsg{
		{Text: "a", Code: 'a'}, {Text: "b", Code: 'b'}, {Code: tea.KeyLeft}, {Text: "é", Code: 'é'}, {Code: tea.KeyBackspace}, {Text: "c", Code: 'c'},
	} {
		l.Key(k)
	}
	if l.Value() != "acb" {
		t.Errorf("%q", l.Value())
	}
	l.Insert("x\x1b[2J\ny")
	if l.Value() != "acx yb" {
		t.Errorf("%q", l.Value())
	}
	l.Key(tea.KeyPressMsg{Code: 'w', Mod: tea.ModCtrl})
	if l.Value() != "acx b" {
		t.Errorf("%q", l.Value())
	}
	for w := 2; w < 12; w++ {
		if got := Width(l.View(dark(t), w)); got != w {
			t.Errorf("%d cells, want %d", got, w)
		}
	}
}

type item struct {
	id, n int
	name  string
}

func items(n int) []item {
	out := make([]item, n)
	for i := range out {
		out[i] = item{i, (i * 7) % n, fmt.Sprintf("item %d", i)}
	}
	return out
}

func table(t testing.TB) *Table[item, int] {
	tb := NewTable(dark(t), func(i *item) int { return i.id }, []Column[item]{
		{Title: "NAME", Min: 6, Max: 20, Cell: func(i *item) Cell { return Txt(i.name) }},
		{Title: "N", Min: 4, Align: Right, Drop: 1, Desc: true, Cell: func(i *item) Cell { return Txt(fmt.Sprint(i.n)) }, By: func(i *item) Key { return By(i.n) }},
	})
	tb.SetSize(30, 6)
	return tb
}

func TestTableSelection(t *testing.T) {
	tb := table(t)
	tb.SetRows(items(10))
	tb.Move(4)
	if tb.Selected().id != 4 {
		t.Fatal(tb.Selected())
	}
	tb.NextSort() // by number, largest first
	if tb.Selected().id != 4 {
		t.Error("sorting lost the row")
	}
	if first := tb.rows[tb.order[0]].n; first != 9 {
		t.Errorf("sorted from %d", first)
	}
	tb.SetRows(items(10)[2:])
	if tb.Selected().id != 4 {
		t.Error("a refresh lost the row")
	}
	tb.SetRows(items(3))
	if tb.Selected() == nil {
		t.Fatal("the row went, and so did the cursor")
	}
	tb.SetRows(items(10))
	if tb.Selected().id != 4 {
		t.Error("the row came back, but not the cursor")
	}
	tb.SetRows(nil)
	if tb.Selected() != nil {
		t.Error("a row of none")
	}
	if tb.Select(7); tb.Selected() != nil {
		t.Error("selected what is not there")
	}
	tb.SetRows(items(10))
	if tb.Selected().id != 7 {
		t.Error("a row is selected when it appears")
	}
}

func TestTableShowsTheCursor(t *testing.T) {
	tb := table(t)
	tb.SetRows(items(100))
	for _, move := range []func(){func() { tb.Bottom() }, func() { tb.Top() }, func() { tb.Move(50) }, func() { tb.Move(-3) }} {
		move()
		if !strings.Contains(tb.View(), "▌ "+tb.Selected().name) {
			t.Errorf("%s is not on screen:\n%s", tb.Selected().name, tb.View())
		}
	}
}

func TestTableDropsColumnsInOrder(t *testing.T) {
	tb := table(t)
	tb.SetRows(items(3))
	for w, want := range map[int]string{30: "NAME N", 14: "NAME N", 12: "NAME"} {
		tb.SetSize(w, 4)
		head := strings.Split(ansi.Strip(tb.View()), "\n")[0]
		if got := strings.Join(strings.Fields(head), " "); got != want {
			t.Errorf("at %d: %q, want %q", w, got, want)
		}
	}
}

func BenchmarkTableView(b *testing.B) {
	tb := table(b)
	tb.SetSize(120, 40)
	rows := items(8000)
	tb.SetRows(rows)
	b.Run("view", func(b *testing.B) {
		for b.Loop() {
			_ = tb.View()
		}
	})
	b.Run("rows and view", func(b *testing.B) {
		for b.Loop() {
			tb.SetRows(rows)
			_ = tb.View()
		}
	})
}
