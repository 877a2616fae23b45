package cluster

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
)

func TestHistoryPoints(t *testing.T) {
	num := func(v float64) *float64 { return &v }
	used := uint64(40 << 30)
	d := &gpu.Device{MemoryBytes: 80 << 30}
	at := func(s time.Duration) time.Time { return start().Add(s) }
	var h *History
	h = h.with(&gpu.Sample{At: at(0), UtilPercent: num(49.6), PowerWatts: num(350), PowerLimitWatts: num(700), TempCelsius: num(61.2), MemoryUsedBytes: &used}, d, historyStep)
	if d := cmp.Diff([]uint8{50, 50, 50, 61}, []uint8{h.Util()[0], h.Memory()[0], h.Power()[0], h.Temp()[0]}); d != "" {
		t.Error(d)
	}
	// Within a step the right edge is live; then there is a new point.
	within := h.with(&gpu.Sample{At: at(4 * time.Second), UtilPercent: num(80)}, d, historyStep)
	if d := cmp.Diff([]uint8{80}, within.Util()); d != "" || h.Util()[0] != 50 {
		t.Error("within a step:", d)
	}
	if within.Power()[0] != Unread || within.Memory()[0] != Unread || within.Temp()[0] != Unread {
		t.Error("what was not read is a number")
	}
	next := within.with(&gpu.Sample{At: at(5 * time.Second), UtilPercent: num(90)}, d, historyStep)
	if d := cmp.Diff([]uint8{80, 90}, next.Util()); d != "" {
		t.Error("after a step:", d)
	}
	num8 := func(p *float64) any {
		if p == nil {
			return nil
		}
		return *p
	}
	var moments []any
	for _, m := range next.Moments() {
		moments = append(moments, m.At.Sub(start()), num8(m.UtilPercent), num8(m.PowerPercent))
	}
	if d := cmp.Diff([]any{time.Duration(0), 80.0, nil, 5 * time.Second, 90.0, nil}, moments); d != "" {
		t.Error("moments:", d)
	}
	early := next.with(&gpu.Sample{At: at(9600 * time.Millisecond), UtilPercent: num(70)}, d, historyStep)
	if d := cmp.Diff([]uint8{80, 90, 70}, early.Util()); d != "" {
		t.Error("a little before the step:", d)
	}
	fast := early.with(&gpu.Sample{At: at(9700 * time.Millisecond), UtilPercent: num(60)}, d, 100*time.Millisecond)
	if d := cmp.Diff([]uint8{80, 90, 70, 60}, fast.Util()); d != "" || fast.Step != 100*time.Millisecond {
		t.Error("with a step of its own:", d)
	}
	for v, want := range map[float64]uint8{-3: 0, 0.4: 0, 0.5: 1, 100: 100, 254.4: 254, 255: 254, 1e9: 254, math.Inf(1): 254, math.NaN(): Unread} {
		if got := quantise(&v); got != want {
			t.Errorf("%v is quantised as %d, want %d", v, got, want)
		}
	}
}

func TestHistoryIsBoundedAndImmutable(t *testing.T) {
	var h *History
	var kept []*History
	var was [][]uint8
	for i := range 3 * historyLen {
		util := float64(i % 100)
		h = h.with(&gpu.Sample{At: start().Add(time.Duration(i) * 3 * time.Second), UtilPercent: &util}, &gpu.Device{}, historyStep)
		kept, was = append(kept, h), append(was, append([]uint8(nil), h.Util()...))
	}
	moments := h.Moments()
	if len(h.Util()) != historyLen || len(h.Temp()) != historyLen || len(moments) != historyLen {
		t.Errorf("%d points, %d moments", len(h.Util()), len(moments))
	}
	if last := start().Add((3*historyLen - 2) * 3 * time.Second); !moments[historyLen-1].At.Equal(last) {
		t.Errorf("the last point began at %s, want %s", moments[historyLen-1].At, last)
	}
	// Two that go on from the same one do not see each other.
	from := h
	for _, u := range []float64{11, 22} {
		next := from
		for n := range 3 {
			next = next.with(&gpu.Sample{At: from.last.Add(time.Duration(n+1) * historyStep), UtilPercent: &u}, &gpu.Device{}, historyStep)
		}
		want := slices.Concat(from.Util(), []uint8{uint8(u), uint8(u), uint8(u)})
		kept, was = append(kept, next), append(was, want[max(len(want)-historyLen, 0):])
	}
	for i := range kept {
		if d := cmp.Diff(was[i], kept[i].Util()); d != "" {
			t.Fatalf("history %d changed: %s", i, d)
		}
	}
}

// A time without readings is in the history, whatever the source's usual pace.
func TestHistoryShowsSilence(t *testing.T) {
	for name, c := range map[string]struct {
		every, gap time.Duration
		missed     int
	}{
		"each second":           {time.Second, 47 * time.Second, 9},
		"each half minute":      {30 * time.Second, 5 * time.Minute, 9},
		"one that was skipped":  {30 * time.Second, 60 * time.Second, 0},
		"for longer than it is": {5 * time.Second, 24 * time.Hour, historyLen - 1},
	} {
		t.Run(name, func(t *testing.T) {
			at, util := start(), 50.0
			var h *History
			read := func(after time.Duration) {
				at = at.Add(after)
				h = h.with(&gpu.Sample{At: at, UtilPercent: &util}, &gpu.Device{}, historyStep)
			}
			for range 20 {
				read(c.every)
			}
			read(c.gap)
			missed := 0
			for _, u := range h.Util() {
				if u == Unread {
					missed++
				}
			}
			if missed != c.missed || len(h.Moments()) != len(h.Util()) || h.Util()[len(h.Util())-1] != 50 {
				t.Errorf("%d of %d points unknown, want %d", missed, len(h.Util()), c.missed)
			}
		})
	}
}

// What somebody knows of the time before goes before what was watched.
func TestHistoryHasAPast(t *testing.T) {
	at := func(sec int) time.Time { return start().Add(time.Duration(sec) * time.Second) }
	sample := func(sec int, util float64) gpu.Sample { return gpu.Sample{At: at(sec), UtilPercent: &util} }
	first, second := sample(100, 0), sample(105, 0)
	watched := (*History)(nil).with(&first, &gpu.Device{}, historyStep).with(&second, &gpu.Device{}, historyStep)
	for name, c := range map[string]struct {
		past  []gpu.Sample
		util  []uint8
		quiet time.Duration
	}{
		"none":                   {nil, []uint8{0, 0}, 5 * time.Second},
		"idle all along":         {[]gpu.Sample{sample(60, 50), sample(65, 0), sample(95, 0)}, []uint8{50, 0, Unread, Unread, Unread, Unread, Unread, 0, 0, 0}, 40 * time.Second},
		"worked just before":     {[]gpu.Sample{sample(90, 0), sample(95, 70)}, []uint8{0, 70, 0, 0}, 5 * time.Second},
		"nobody looked between":  {[]gpu.Sample{sample(10, 0)}, []uint8{0, 0, 0}, 5 * time.Second},
		"what is known of since": {[]gpu.Sample{sample(100, 9), sample(105, 9)}, []uint8{0, 0}, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			h := watched.after(c.past, &gpu.Device{}, historyStep)
			if d := cmp.Diff(c.util, h.Util()); d != "" {
				t.Error(d)
			}
			if got := lasted(h.quietSince, at(105)); got != c.quiet {
				t.Errorf("quiet for %s, want %s", got, c.quiet)
			}
			if len(h.Moments()) != len(h.Util()) || len(h.Temp()) != len(h.Util()) {
				t.Errorf("%d moments and %d temperatures of %d", len(h.Moments()), len(h.Temp()), len(h.Util()))
			}
		})
	}
	var long []gpu.Sample
	for i := range 2 * historyLen {
		long = append(long, sample(-5*(2*historyLen-i), 1))
	}
	if h := watched.after(long, &gpu.Device{}, historyStep); len(h.Util()) != historyLen || len(h.Moments()) != historyLen {
		t.Errorf("%d points, want %d", len(h.Util()), historyLen)
	}
	if h := (*History)(nil).after(long[:3], &gpu.Device{}, historyStep); len(h.Util()) != 3 {
		t.Errorf("%d points where nothing was watched", len(h.Util()))
	}
}

func TestQuietAndBusy(t *testing.T) {
	var h *History
	for _, step := range []struct {
		at          time.Duration
		util        float64
		quiet, busy time.Duration
	}{
		{0, 0, 0, 0}, {time.Minute, 0.5, time.Minute, 0}, {2 * time.Minute, 1, 0, 0}, {3 * time.Minute, 100, 0, time.Minute}, {4 * time.Minute, 0, 0, 0},
	} {
		now := start().Add(step.at)
		h = h.with(&gpu.Sample{At: now, UtilPercent: &step.util}, &gpu.Device{}, historyStep)
		if lasted(h.quietSince, now) != step.quiet || lasted(h.busySince, now) != step.busy {
			t.Errorf("at %s: quiet for %s, busy for %s", step.at, lasted(h.quietSince, now), lasted(h.busySince, now))
		}
	}
	// A reading without utilisation tells neither.
	now := start().Add(5 * time.Minute)
	if h = h.with(&gpu.Sample{At: now}, &gpu.Device{}, historyStep); lasted(h.quietSince, now) != time.Minute || lasted(h.busySince, now) != 0 {
		t.Errorf("quiet for %s, busy for %s", lasted(h.quietSince, now), lasted(h.busySince, now))
	}
}

// lasted is for how long something holds that began at since, if it does.
func lasted(since, now time.Time) time.Duration {
	if since.IsZero() {
		return 0
	}
	return now.Sub(since)
}
