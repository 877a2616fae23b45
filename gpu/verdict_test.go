package gpu_test

import (
	"testing"
	"time"

	"stoker/gpu"
)

func start() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func ptr[T any](v T) *T { return &v }

func xid(n uint64, at time.Time) gpu.Event { return gpu.Event{Kind: gpu.EventXid, Xid: n, At: at} }

// step is one reading, so long after the start, and the verdict after it.
type step struct {
	after time.Duration
	e     gpu.Evidence
	want  gpu.Verdict
}

func TestJudge(t *testing.T) {
	ok, hot := gpu.Evidence{}, gpu.Evidence{Sample: gpu.Sample{Throttle: []string{"sw_thermal_slowdown"}}}
	lost := gpu.Evidence{Silent: "lost", Lost: true}
	hung := gpu.Evidence{Silent: "does not answer"}
	ecc := func(n uint64) gpu.Evidence { return gpu.Evidence{Sample: gpu.Sample{ECCUncorrected: &n}} }
	energy := func(j float64, evs ...gpu.Event) gpu.Evidence {
		return gpu.Evidence{Sample: gpu.Sample{EnergyJoules: &j}, Events: evs}
	}
	event := func(n uint64, after time.Duration) gpu.Evidence {
		return gpu.Evidence{Events: []gpu.Event{xid(n, start().Add(after))}}
	}
	braked := gpu.Evidence{Sample: gpu.Sample{Throttle: []string{"hw_slowdown", "hw_power_brake_slowdown"}}}
	links := func(errors uint64, up bool) gpu.Evidence {
		return gpu.Evidence{Sample: gpu.Sample{Detail: &gpu.Detail{NVLinks: []gpu.NVLink{{Link: 0, Up: true}, {Link: 1, Up: up, CRCErrors: &errors}}}}}
	}
	full := func(d gpu.Detail) gpu.Evidence {
		return gpu.Evidence{Device: gpu.Device{MaxPCIeWidth: ptr(16), MaxMemTempCelsius: ptr(95.0)}, Sample: gpu.Sample{Detail: &d}}
	}
	const s, m = time.Second, time.Minute
	for name, steps := range map[string][]step{
		"healthy":                              {{0, ok, gpu.VerdictOK}},
		"a failure counts at once":             {{0, ok, gpu.VerdictOK}, {s, lost, gpu.VerdictFailed}},
		"better only after quiet":              {{0, lost, gpu.VerdictFailed}, {s, ok, gpu.VerdictFailed}, {30 * s, ok, gpu.VerdictFailed}, {31 * s, ok, gpu.VerdictOK}},
		"a relapse starts the quiet time anew": {{0, lost, gpu.VerdictFailed}, {s, ok, gpu.VerdictFailed}, {20 * s, lost, gpu.VerdictFailed}, {21 * s, ok, gpu.VerdictFailed}, {40 * s, ok, gpu.VerdictFailed}, {51 * s, ok, gpu.VerdictOK}},
		"a hang is a failure":                  {{0, ok, gpu.VerdictOK}, {s, hung, gpu.VerdictFailed}},
		"an application's Xid lapses":          {{0, event(13, 0), gpu.VerdictWatch}, {9 * m, ok, gpu.VerdictWatch}, {10 * m, ok, gpu.VerdictWatch}, {11 * m, ok, gpu.VerdictOK}},
		"a killed application is no matter":    {{0, event(45, 0), gpu.VerdictOK}},
		"a hardware Xid stays":                 {{0, event(95, 0), gpu.VerdictFailed}, {5 * time.Hour, ok, gpu.VerdictFailed}, {6 * time.Hour, ok, gpu.VerdictFailed}},
		"an unknown Xid is watched":            {{0, event(9999, 0), gpu.VerdictWatch}},
		"a reset clears an Xid":                {{0, energy(100), gpu.VerdictOK}, {s, energy(101, xid(95, start())), gpu.VerdictFailed}, {2 * s, energy(3), gpu.VerdictFailed}, {33 * s, energy(4), gpu.VerdictOK}},
		"a GPU that is back was reset":         {{0, event(79, 0), gpu.VerdictFailed}, {s, lost, gpu.VerdictFailed}, {2 * s, ok, gpu.VerdictFailed}, {33 * s, ok, gpu.VerdictOK}},
		"a hang that ends was no reset":        {{0, event(119, 0), gpu.VerdictFailed}, {s, hung, gpu.VerdictFailed}, {2 * s, ok, gpu.VerdictFailed}, {time.Hour, ok, gpu.VerdictFailed}},
		"heat is watched when it lasts":        {{0, hot, gpu.VerdictOK}, {9 * s, hot, gpu.VerdictOK}, {10 * s, hot, gpu.VerdictWatch}, {11 * s, ok, gpu.VerdictWatch}, {41 * s, ok, gpu.VerdictOK}},
		"heat that comes and goes is nothing":  {{0, hot, gpu.VerdictOK}, {9 * s, ok, gpu.VerdictOK}, {12 * s, hot, gpu.VerdictOK}},
		"the hardware's slowdown counts":       {{0, ok, gpu.VerdictOK}, {s, braked, gpu.VerdictWatch}, {10 * s, braked, gpu.VerdictWatch}, {11 * s, braked, gpu.VerdictDegraded}, {12 * s, ok, gpu.VerdictDegraded}, {42 * s, ok, gpu.VerdictOK}},
		"NVLink errors that go on degrade":     {{0, links(0, true), gpu.VerdictOK}, {s, links(20, true), gpu.VerdictDegraded}, {2 * s, links(20, true), gpu.VerdictDegraded}},
		"one NVLink error is watched":          {{0, links(0, true), gpu.VerdictOK}, {s / 10, links(1, true), gpu.VerdictWatch}},
		"an old NVLink error is nothing":       {{0, links(7, true), gpu.VerdictOK}, {s, links(7, true), gpu.VerdictOK}},
		"a rare NVLink error is watched":       {{0, links(0, true), gpu.VerdictOK}, {m, links(1, true), gpu.VerdictWatch}, {2 * m, links(1, true), gpu.VerdictWatch}, {3 * m, links(1, true), gpu.VerdictOK}},
		"an NVLink that goes down degrades":    {{0, links(0, true), gpu.VerdictOK}, {s, links(0, false), gpu.VerdictDegraded}},
		"an NVLink that was never up is none":  {{0, links(0, false), gpu.VerdictOK}, {s, links(0, false), gpu.VerdictOK}},
		"few lanes are watched":                {{0, full(gpu.Detail{PCIeWidth: ptr(8)}), gpu.VerdictWatch}},
		"all lanes are well":                   {{0, full(gpu.Detail{PCIeWidth: ptr(16), MemTempCelsius: ptr(94.0)}), gpu.VerdictOK}},
		"hot memory is watched":                {{0, full(gpu.Detail{MemTempCelsius: ptr(95.0)}), gpu.VerdictWatch}},
		"pages that wait degrade":              {{0, full(gpu.Detail{PagesPending: ptr(true)}), gpu.VerdictDegraded}},
		"who flaps is not believed": {
			{0, lost, gpu.VerdictFailed},
			{s, ok, gpu.VerdictFailed},
			{31 * s, ok, gpu.VerdictOK},
			{m, lost, gpu.VerdictFailed},
			{61 * s, ok, gpu.VerdictFailed},
			{91 * s, ok, gpu.VerdictOK},
			{2 * m, lost, gpu.VerdictFailed},
			{121 * s, ok, gpu.VerdictFailed},
			{5 * m, ok, gpu.VerdictFailed},
			{11 * m, ok, gpu.VerdictFailed},
			{12*m + s, ok, gpu.VerdictOK},
		},
		"who flapped long ago is": {
			{0, lost, gpu.VerdictFailed},
			{s, ok, gpu.VerdictFailed},
			{31 * s, ok, gpu.VerdictOK},
			{m, lost, gpu.VerdictFailed},
			{61 * s, ok, gpu.VerdictFailed},
			{91 * s, ok, gpu.VerdictOK},
			{62 * m, lost, gpu.VerdictFailed},
			{62*m + s, ok, gpu.VerdictFailed},
			{62*m + 31*s, ok, gpu.VerdictOK},
		},
		"few memory errors degrade": {{0, ecc(0), gpu.VerdictOK}, {s, ecc(1), gpu.VerdictDegraded}, {2 * s, ecc(7), gpu.VerdictDegraded}},
		"many memory errors fail":   {{0, ecc(8), gpu.VerdictFailed}},
		"a pending remap degrades":  {{0, gpu.Evidence{Sample: gpu.Sample{RowRemapPending: ptr(true)}}, gpu.VerdictDegraded}},
		"a failed remap fails":      {{0, gpu.Evidence{Sample: gpu.Sample{RowRemapFailure: ptr(true), RowRemapPending: ptr(true)}}, gpu.VerdictFailed}},
	} {
		t.Run(name, func(t *testing.T) {
			var rec gpu.Record
			for i, st := range steps {
				st.e.Sample.At = start().Add(st.after)
				rec = gpu.DefaultRules().Judge(rec, st.e)
				if rec.Health.Verdict != st.want {
					t.Fatalf("step %d: verdict %q (%s), want %q", i, rec.Health.Verdict, rec.Health.Reason, st.want)
				}
				if bad := rec.Health.Verdict != gpu.VerdictOK; bad != (rec.Health.Reason != "") {
					t.Errorf("step %d: verdict %q has the reason %q", i, rec.Health.Verdict, rec.Health.Reason)
				}
			}
		})
	}
}

func TestSinceIsWhenTheVerdictBegan(t *testing.T) {
	rules, at := gpu.DefaultRules(), start()
	rec := rules.Judge(gpu.Record{}, gpu.Evidence{Sample: gpu.Sample{At: at}, Silent: "lost", Lost: true})
	for _, reason := range []string{"lost", "lost; looks well since 12:00 UTC, believed after 30s of that", "lost; looks well since 12:00 UTC, believed after 30s of that"} {
		at = at.Add(10 * time.Second) // failed at 0, better from 10 s on, ok at 40 s
		rec = rules.Judge(rec, gpu.Evidence{Sample: gpu.Sample{At: at}})
		if want := (gpu.Health{Verdict: gpu.VerdictFailed, Reason: reason, Since: start()}); rec.Health != want {
			t.Fatalf("health %+v, want %+v", rec.Health, want)
		}
	}
	rec = rules.Judge(rec, gpu.Evidence{Sample: gpu.Sample{At: at.Add(10 * time.Second)}})
	if want := (gpu.Health{Verdict: gpu.VerdictOK, Since: start().Add(10 * time.Second)}); rec.Health != want {
		t.Errorf("health %+v, want %+v", rec.Health, want)
	}
}

// TestReasonOfWhatLooksWell: from a third of the quiet time on, and once, the reason
// says that what was wrong seems over, and no longer what to do about it.
func TestReasonOfWhatLooksWell(t *testing.T) {
	const s, m = time.Second, time.Minute
	ecc := func(n uint64) gpu.Evidence { return gpu.Evidence{Sample: gpu.Sample{ECCUncorrected: &n}} }
	ok, lost, bus := gpu.Evidence{}, gpu.Evidence{Silent: "lost", Lost: true}, gpu.Evidence{Events: []gpu.Event{xid(79, start())}}
	const (
		broken = "Xid 79: GPU has fallen off the bus; drain and restart the node; check seating, power and the PCI Express log"
		many   = "many uncorrectable memory errors; drain the GPU and reset it"
		few    = "uncorrectable memory errors; reset the GPU when it is free"
	)
	type reading struct {
		after time.Duration
		e     gpu.Evidence
		want  string
	}
	for name, readings := range map[string][]reading{
		"a reset": {
			{0, bus, broken},
			{s, lost, broken},
			{2 * m, ok, broken},
			{2*m + 9*s, ok, broken},
			{2*m + 10*s, ok, "Xid 79: GPU has fallen off the bus; looks well since 12:02 UTC, believed after 30s of that"},
			{2*m + 29*s, ok, "Xid 79: GPU has fallen off the bus; looks well since 12:02 UTC, believed after 30s of that"},
			{2*m + 30*s, ok, ""},
		},
		"a relapse": {
			{0, lost, "lost"},
			{s, ok, "lost"},
			{11 * s, ok, "lost; looks well since 12:00 UTC, believed after 30s of that"},
			{12 * s, lost, "lost"},
			{m, ok, "lost"},
			{m + 9*s, ok, "lost"},
			{m + 10*s, ok, "lost; looks well since 12:01 UTC, believed after 30s of that"},
		},
		"every other reading": {{0, lost, "lost"}, {9 * s, ok, "lost"}, {18 * s, lost, "lost"}, {27 * s, ok, "lost"}, {36 * s, lost, "lost"}},
		"not quite well": {
			{0, ecc(8), many},
			{s, ecc(1), many},
			{11 * s, ecc(1), "many uncorrectable memory errors; looks no worse than degraded since 12:00 UTC, believed after 30s of that"},
			{12 * s, ok, "many uncorrectable memory errors; looks no worse than degraded since 12:00 UTC, believed after 30s of that"},
			{31 * s, ecc(1), few},
		},
		"who flaps, to the end": {
			{0, lost, "lost"},
			{s, ok, "lost"},
			{31 * s, ok, ""},
			{m, lost, "lost"},
			{61 * s, ok, "lost"},
			{91 * s, ok, ""},
			{2 * m, lost, "lost"},
			{121 * s, ok, "lost"},
			{131 * s, ok, "lost; looks well since 12:02 UTC, believed after 10m of that: it failed 3 times within 1h"},
			{12 * m, ok, "lost; looks well since 12:02 UTC, believed after 10m of that: it failed 3 times within 1h"},
			{12*m + s, ok, ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var rec gpu.Record
			for i, r := range readings {
				r.e.Sample.At = start().Add(r.after)
				if rec = gpu.DefaultRules().Judge(rec, r.e); rec.Health.Reason != r.want {
					t.Errorf("step %d:\n%s, want\n%s", i, rec.Health.Reason, r.want)
				}
			}
		})
	}
}
