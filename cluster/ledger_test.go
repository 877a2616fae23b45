package cluster

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
)

// meterReading is one sample of G1: util in percent, counter and power; NaN is unknown.
type meterReading struct {
	at                  time.Duration
	util, joules, watts float64
}

func (m meterReading) sample(id gpu.UUID) gpu.Sample {
	known := func(v float64) *float64 {
		if math.IsNaN(v) {
			return nil
		}
		return &v
	}
	return gpu.Sample{UUID: id, At: after(m.at), UtilPercent: known(m.util), EnergyJoules: known(m.joules), PowerWatts: known(m.watts), Health: gpu.Health{Verdict: gpu.VerdictOK}}
}

// told is an account in short.
func told(a Account) string {
	return fmt.Sprintf("held %.0f busy %.0f J %.0f+%.0f s %.0f+%.0f dark %.0f", a.HeldSeconds, a.BusySeconds, a.CounterJoules, a.PowerJoules, a.CounterSeconds, a.PowerSeconds, a.DarkSeconds)
}

func TestAccounts(t *testing.T) {
	no := math.NaN()
	const s = time.Second
	x, y := JobID{Namespace: "default", Name: "x"}, JobID{Namespace: "default", Name: "y"}
	held := func(id, of string, begin, to time.Duration) Alloc {
		a := alloc(id, of, 1, holding("G1"), from(after(begin)))
		if to > 0 {
			finished("complete", after(to))(&a)
		}
		return a
	}
	for name, c := range map[string]struct {
		allocs   []Alloc
		readings []meterReading
		instance bool
		want     map[JobID]string
	}{
		"counted": {
			[]Alloc{held("a", "x", 0, 0)},
			[]meterReading{{10 * s, 0, 1e6, 300}, {20 * s, 50, 1e6 + 2000, 200}, {30 * s, 100, 1e6 + 6000, 500}},
			false,
			map[JobID]string{x: "held 20 busy 15 J 6000+0 s 20+0 dark 0"},
		},
		"one reading tells nothing": {
			[]Alloc{held("a", "x", 0, 0)}, []meterReading{{10 * s, 90, 1e6, 300}}, false, nil,
		},
		"nobody holds it": {
			nil, []meterReading{{10 * s, 90, 1e6, 300}, {20 * s, 90, 2e6, 300}}, false, nil,
		},
		"the counter began again": {
			[]Alloc{held("a", "x", 0, 0)},
			[]meterReading{{10 * s, 50, 1e6, 300}, {20 * s, 50, 700, 300}, {30 * s, 50, 3700, 300}},
			false,
			map[JobID]string{x: "held 20 busy 10 J 3700+0 s 20+0 dark 0"},
		},
		"a counter that lies is not believed, power is": {
			[]Alloc{held("a", "x", 0, 0)},
			[]meterReading{{10 * s, 50, 1e6, 300}, {20 * s, 50, 1e9, 500}, {30 * s, 50, 9e8, 500}},
			false,
			map[JobID]string{x: "held 20 busy 10 J 0+9000 s 0+20 dark 0"},
		},
		"power over time": {
			[]Alloc{held("a", "x", 0, 0)},
			[]meterReading{{10 * s, 50, no, 100}, {20 * s, 50, no, 300}},
			false,
			map[JobID]string{x: "held 10 busy 5 J 0+2000 s 0+10 dark 0"},
		},
		"no energy, no power, no util": {
			[]Alloc{held("a", "x", 0, 0)},
			[]meterReading{{10 * s, 50, no, no}, {20 * s, no, no, no}},
			false,
			map[JobID]string{x: "held 0 busy 0 J 0+0 s 0+0 dark 10"},
		},
		"a long gap: only the counter says what was": {
			[]Alloc{held("a", "x", 0, 0)},
			[]meterReading{{10 * s, 50, 1e6, 300}, {610 * s, 50, 1e6 + 60000, 300}},
			false,
			map[JobID]string{x: "held 0 busy 0 J 60000+0 s 600+0 dark 0"},
		},
		"a long gap without one": {
			[]Alloc{held("a", "x", 0, 0)},
			[]meterReading{{10 * s, 50, no, 300}, {610 * s, 50, no, 300}},
			false,
			map[JobID]string{x: "held 0 busy 0 J 0+0 s 0+0 dark 600"},
		},
		"two jobs in turn": {
			[]Alloc{held("a", "x", 0, 12*s), held("b", "y", 16*s, 0)},
			[]meterReading{{10 * s, 50, 1000, 300}, {20 * s, 50, 2000, 300}, {30 * s, 50, 4000, 300}},
			false,
			map[JobID]string{x: "held 2 busy 1 J 200+0 s 2+0 dark 0", y: "held 14 busy 7 J 2400+0 s 14+0 dark 0"},
		},
		"the next is placed while one still leaves": {
			[]Alloc{held("a", "x", 0, 15*s), held("b", "y", 12*s, 0)},
			[]meterReading{{10 * s, 0, 1000, 300}, {20 * s, 0, 2000, 300}},
			false,
			map[JobID]string{x: "held 5 busy 0 J 500+0 s 5+0 dark 0", y: "held 5 busy 0 J 500+0 s 5+0 dark 0"},
		},
		"an instance has no power of its own": {
			[]Alloc{held("a", "x", 0, 0)},
			[]meterReading{{10 * s, 50, 1000, 300}, {20 * s, 50, 2000, 300}},
			true,
			map[JobID]string{x: "held 10 busy 5 J 0+0 s 0+0 dark 10"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := readWorld(t)
			w.update(Update{Nodes: []Node{node("n1", "gpu-a", 1, "G1")}, Allocs: c.allocs})
			for _, r := range c.readings {
				b := reading("n1", after(r.at), r.sample("G1"))
				if c.instance {
					b.Devices[0].Parent = "P"
				}
				w.batch(b)
			}
			snap := w.feed.Latest()
			got := map[JobID]string{}
			for _, u := range snap.JobUsage() {
				if !u.Account.Since.IsZero() {
					got[u.Job] = told(u.Account)
				}
			}
			if len(got) == 0 {
				got = nil
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			var sum Account
			for _, u := range snap.JobUsage() {
				sum.CounterJoules += u.Account.CounterJoules
			}
			for _, u := range snap.NamespaceUsage() {
				if u.Job != (JobID{Namespace: "default"}) || math.Abs(u.Account.CounterJoules-sum.CounterJoules) > 1e-6 {
					t.Errorf("the namespace has %+v", u)
				}
			}
		})
	}
}

// TestAnotherSourceCountsForItself: the counters of two sources do not compare.
func TestAnotherSourceCountsForItself(t *testing.T) {
	w := readWorld(t)
	w.update(Update{Nodes: []Node{node("n1", "gpu-a", 1, "G1")}, Allocs: []Alloc{alloc("a", "x", 1, holding("G1"))}})
	for i, r := range []meterReading{{10 * time.Second, 50, 1000, 200}, {25 * time.Second, 50, 3000, 200}} {
		b := reading("n1", after(r.at), r.sample("G1"))
		b.Source = []string{"agent", "nomad"}[i]
		w.batch(b)
	}
	if got := told(w.feed.Latest().JobUsage()[0].Account); got != "held 15 busy 8 J 0+3000 s 0+15 dark 0" {
		t.Error(got)
	}
}

// TestNoTimeCountsTwice: a better source measured before the one that it replaces.
func TestNoTimeCountsTwice(t *testing.T) {
	w := readWorld(t)
	w.update(Update{Nodes: []Node{node("n1", "gpu-a", 1, "G1")}, Allocs: []Alloc{alloc("a", "x", 1, holding("G1"))}})
	for i, r := range []meterReading{
		{10 * time.Second, 50, 1000, 200},
		{20 * time.Second, 50, 3000, 200},
		{16 * time.Second, 50, 2200, 200}, // the better one
		{18 * time.Second, 50, 2600, 200},
		{26 * time.Second, 50, 4200, 200},
	} {
		b := reading("n1", after(r.at), r.sample("G1"))
		b.Source = []string{"nomad", "nomad", "agent", "agent", "agent"}[i]
		w.batch(b)
	}
	if got := told(w.feed.Latest().JobUsage()[0].Account); got != "held 16 busy 8 J 3200+0 s 16+0 dark 0" {
		t.Error(got)
	}
}

func TestAccountsAreBounded(t *testing.T) {
	l := newLedger()
	first := JobID{Namespace: "default", Name: "0"}
	var p payer
	for i := range accountsKept + 10 {
		id := JobID{Namespace: "default", Name: fmt.Sprint(i)}
		p = l.charge(p, id, &usage{at: after(time.Duration(i) * time.Second), held: 1, busy: 1, joules: 1, byCounter: 1}, 1, start())
	}
	if len(l.jobs) > accountsKept || l.jobs[JobID{Namespace: "default", Name: "0"}] != nil || l.jobs[JobID{Namespace: "default", Name: fmt.Sprint(accountsKept + 9)}] == nil {
		t.Errorf("%d accounts; the oldest is there: %v", len(l.jobs), l.jobs[JobID{Namespace: "default", Name: "0"}] != nil)
	}
	if got := l.spaces["default"].CounterJoules; got != accountsKept+10 {
		t.Errorf("the namespace forgot: %v", got)
	}
	// Who is charged again after that has an account anew.
	old := payer{id: first, job: &Account{}, space: &Account{}}
	l.charge(old, first, &usage{held: 1}, 1, start())
	if l.jobs[first] == nil {
		t.Error("charged to an account that nobody has")
	}
}

func TestBasis(t *testing.T) {
	for want, a := range map[string]Account{
		"": {DarkSeconds: 4}, "counter": {CounterSeconds: 1}, "power": {PowerSeconds: 1}, "counter+power": {CounterSeconds: 1, PowerSeconds: 1},
	} {
		if got := a.Basis(); got != want || (a.Joules() == nil) != (want == "") {
			t.Errorf("%q, want %q; %v", got, want, a.Joules())
		}
	}
	if (&Account{}).Efficiency() != nil || *(&Account{HeldSeconds: 4, BusySeconds: 3}).Efficiency() != 0.75 {
		t.Error("efficiency")
	}
}

func TestUsage(t *testing.T) {
	w := readWorld(t)
	w.update(Update{
		Nodes:  []Node{node("n1", "gpu-a", 1, "G1", "G2", "G3", "M1")},
		Jobs:   []Job{job("x", 1), job("y", 1)},
		Allocs: []Alloc{alloc("a", "x", 1, holding("G1", "G2")), alloc("b", "y", 1, holding("M1"))},
	})
	for i := range 7 {
		at := after(time.Duration(i) * time.Minute)
		var samples []gpu.Sample
		for _, g := range []gpu.UUID{"G1", "G2", "G3", "M1"} {
			util := map[gpu.UUID]float64{"G1": 80, "G3": 60, "M1": 0}[g]
			s := sample(g, at, util)
			watts := 300.0
			s.PowerWatts = &watts
			if g == "G2" {
				s.UtilPercent = nil
			}
			if g == "G3" {
				s.Processes = []gpu.Process{{PID: 1, Name: "miner", User: "eve"}, {PID: 2, User: "eve"}, {PID: 3, User: "bob"}}
			}
			samples = append(samples, s)
		}
		b := reading("n1", at, samples...)
		b.Devices[3].Parent = "P"
		w.batch(b)
	}
	s := w.feed.Latest()
	type row struct {
		Job                   string
		GPUs, Reporting, Idle int
		Util, Power           any
		IdleSince             time.Time
	}
	var got []row
	plain := func(v *float64) any {
		if v == nil {
			return nil
		}
		return *v
	}
	for _, u := range append(s.JobUsage(), s.NamespaceUsage()...) {
		got = append(got, row{u.Job.Name, u.GPUs, u.Reporting, u.Idle, plain(u.UtilPercent), plain(u.PowerWatts), u.IdleSince})
	}
	want := []row{
		{"x", 2, 1, 0, 80.0, 600.0, time.Time{}},
		{"y", 1, 1, 1, 0.0, nil, start()},
		{"", 3, 2, 1, 40.0, 600.0, start()},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	var waste []string
	for _, u := range s.Waste() {
		waste = append(waste, fmt.Sprint(u.What, " ", u.UUID, " ", u.Since.Sub(start()), " ", u.Users()))
	}
	if d := cmp.Diff([]string{"rogue G3 0s [eve bob]", "idle M1 0s []"}, waste); d != "" {
		t.Error(d)
	}
}

// TestWasteBeginsUnsure: a reading or two are not enough to blame anybody.
func TestWasteBeginsUnsure(t *testing.T) {
	w := readWorld(t)
	w.update(Update{Nodes: []Node{node("n1", "gpu-a", 1, "G1", "G2")}, Allocs: []Alloc{alloc("a", "x", 1, holding("G1"))}})
	s := w.batch(reading("n1", after(0), sample("G1", after(0), 0), sample("G2", after(0), 70)))
	var got []string
	for _, u := range s.Waste() {
		got = append(got, fmt.Sprint(u.What, " ", u.UUID, " ", u.Sure()))
	}
	if d := cmp.Diff([]string{"unheld G2 false", "quiet G1 false"}, got); d != "" {
		t.Error(d)
	}
}
