package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
	"stoker/secrets"
)

func TestVersionOfAnEndedJob(t *testing.T) {
	dead := func(submitted time.Duration) func(*Job) {
		return func(j *Job) {
			j.Type, j.Status, j.Version, j.Groups, j.Submitted = "batch", "dead", UnknownVersion, nil, start().Add(submitted)
		}
	}
	lives := func(j *Job) { j.Type, j.Version, j.Submitted = "batch", 3, start() }
	allocs := []Alloc{alloc("a1", "x", 5, version(0), ended("failed")), alloc("a2", "x", 6, version(1), ended("failed"))}
	for name, test := range map[string]struct {
		first, then Update
		want        uint64
		failed      int
	}{
		"jobs first":        {Update{Lists: SetAll &^ SetAllocs, Jobs: []Job{job("x", 5, dead(0))}}, Update{Lists: SetAllocs, Allocs: allocs}, 1, 1},
		"allocs first":      {Update{Lists: SetAll &^ SetJobs, Allocs: allocs}, Update{Lists: SetJobs, Jobs: []Job{job("x", 5, dead(0))}}, 1, 1},
		"nothing is left":   {Update{Lists: SetAll}, Update{Jobs: []Job{job("x", 5, dead(0))}}, 0, 0},
		"known before":      {Update{Lists: SetAll, Jobs: []Job{job("x", 4, lives)}}, Update{Jobs: []Job{job("x", 5, dead(0))}}, 3, 0},
		"submitted anew":    {Update{Lists: SetAll, Jobs: []Job{job("x", 4, lives)}}, Update{Jobs: []Job{job("x", 5, dead(time.Hour))}, Allocs: allocs}, 1, 1},
		"a version follows": {Update{Lists: SetAll, Jobs: []Job{job("x", 4, dead(0))}}, Update{Jobs: []Job{job("x", 5, lives)}}, 3, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.update(test.first)
			s := w.update(test.then)
			if j := s.Job(x()); j.Version != test.want || j.Failed != test.failed {
				t.Errorf("version %d, %d failed", j.Version, j.Failed)
			}
		})
	}
}

func TestIdleAndRogueTakeTime(t *testing.T) {
	type at struct {
		after time.Duration
		util  float64
		want  string
	}
	for name, test := range map[string]struct {
		held time.Duration // how long before the first reading; negative: not held
		seen []at
	}{
		"idle":                {time.Hour, []at{{0, 0, "held"}, {5*time.Minute - time.Second, 0, "held"}, {5 * time.Minute, 0, "idle"}, {6 * time.Minute, 50, "held"}, {7 * time.Minute, 0, "held"}}},
		"held but a moment":   {0, []at{{0, 0, "held"}, {4 * time.Minute, 0, "held"}, {5 * time.Minute, 0, "idle"}}},
		"quiet before it was": {-1, []at{{0, 0, "free"}, {10 * time.Minute, 0, "free"}}},
		"rogue":               {-1, []at{{0, 90, "free"}, {19 * time.Second, 90, "free"}, {20 * time.Second, 90, "rogue"}, {30 * time.Second, 0, "free"}, {40 * time.Second, 90, "free"}}},
		"busy as it should":   {time.Hour, []at{{0, 90, "held"}, {time.Hour, 90, "held"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := readWorld(t)
			u := Update{Nodes: []Node{node("n1", "gpu-a", 1, "G1")}}
			if test.held >= 0 {
				u.Allocs = []Alloc{alloc("a1", "x", 1, holding("G1"), func(a *Alloc) { a.Created = start().Add(-test.held) })}
			}
			w.update(u)
			for _, r := range test.seen {
				s := w.batch(reading("n1", start().Add(r.after), sample("G1", start().Add(r.after), r.util)))
				if got := s.GPU("G1").State(); got != r.want {
					t.Errorf("after %s at %v %%: %s, want %s", r.after, r.util, got, r.want)
				}
			}
		})
	}
}

// TestRogueNeedsAllNamespaces: who works there may hold the GPU in a namespace
// that is not read.
func TestRogueNeedsAllNamespaces(t *testing.T) {
	for name, test := range map[string]struct {
		partial Set
		want    string
		rogue   int
	}{"all": {0, "rogue", 1}, "some": {SetAllocs, "unknown", 0}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.update(Update{Lists: SetAll, Partial: test.partial})
			w.update(Update{Nodes: []Node{node("n1", "gpu-a", 1, "G1")}})
			var s *Snapshot
			for i := range 3 {
				at := start().Add(time.Duration(i) * time.Minute)
				b := reading("n1", at, sample("G1", at, 40))
				b.Samples[0].Processes = []gpu.Process{{PID: 7, AllocID: "elsewhere"}}
				s = w.batch(b)
			}
			if got := s.GPU("G1").State(); got != test.want || s.Fleet.Rogue != test.rogue || s.Fleet.Claims != (test.rogue == 1) {
				t.Errorf("%s, want %s; fleet %+v", got, test.want, s.Fleet)
			}
			if s = w.update(Update{Lists: SetAllocs, Index: 9}); !s.Claims() {
				t.Error("a whole list does not lift it")
			}
		})
	}
}

func TestRogueNeedsAProcess(t *testing.T) {
	w := readWorld(t)
	w.update(Update{Nodes: []Node{node("n1", "gpu-a", 1, "G1")}})
	for i := range 3 {
		at := start().Add(time.Duration(i) * time.Minute)
		b := reading("n1", at, sample("G1", at, 40))
		b.Samples[0].Processes = nil
		if s := w.batch(b); s.GPU("G1").State() != "free" {
			t.Errorf("rogue without a process: %s", s.GPU("G1").State())
		}
	}
}

func TestBetterSourceStandsWhileFresh(t *testing.T) {
	w := newWorld(t)
	w.update(Update{Nodes: []Node{node("n1", "gpu-a", 1, "G1")}})
	from := func(source string, after time.Duration, util float64) *GPU {
		b := reading("n1", start().Add(after), sample("G1", start().Add(after), util))
		b.Source = source
		return w.batch(b).GPU("G1")
	}
	for i, step := range []struct {
		source string
		after  time.Duration
		util   float64
		want   string
	}{
		{"nomad", 0, 10, "nomad 10"},
		{"agent", time.Second, 20, "agent 20"},
		{"nomad", 2 * time.Second, 30, "agent 20"},
		{"agent", 500 * time.Millisecond, 40, "agent 20"},     // late
		{"nomad", 11 * time.Second, 50, "nomad 50"},           // the agent fell silent
		{"prometheus", 59 * time.Second, 51, "prometheus 51"}, // and Nomad too
		{"dcgm", 60 * time.Second, 52, "dcgm 52"},
		{"nomad", 40 * time.Second, 53, "dcgm 52"},       // too old
		{"prometheus", 100 * time.Second, 53, "dcgm 52"}, // the exporter measures seldom
		{"nomad", 59 * time.Second, 54, "nomad 54"},      // a little older, but better
		{"dcgm", 65 * time.Second, 55, "nomad 54"},
		{"dcgm", 70 * time.Second, 56, "dcgm 56"},
		{"prometheus", 300 * time.Second, 57, "prometheus 57"},
		{"agent", 301 * time.Second, 60, "agent 60"},
	} {
		g := from(step.source, step.after, step.util)
		if got := fmt.Sprintf("%s %v", g.Source, *g.Util()); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
	// A device that does not answer keeps its last reading, and where that came from.
	b := reading("n1", start().Add(time.Hour), sample("G1", start(), 0))
	b.Samples, b.Source = nil, "nvml"
	if g := w.batch(b).GPU("G1"); g.Source != "agent" || *g.Util() != 60 {
		t.Errorf("%s %v", g.Source, *g.Util())
	}
}

// A node whose clock is set back is seen on, and what its GPUs use is counted on.
func TestAClockThatIsSetBack(t *testing.T) {
	w := newWorld(t)
	w.update(Update{Nodes: []Node{node("n1", "gpu-a", 1, "G1")}, Allocs: []Alloc{alloc("a1", "x", 2, holding("G1"))}})
	at := start().Add(time.Hour)
	say := func(util float64) *GPU {
		return w.batch(reading("n1", at, sample("G1", at, util))).GPU("G1")
	}
	for range 10 {
		at = at.Add(10 * time.Second)
		say(0)
	}
	at = at.Add(-30 * time.Minute)
	g := say(50)
	if *g.Util() != 50 || !g.Sample.At.Equal(at) {
		t.Fatalf("%v as of %s", *g.Util(), g.Sample.At)
	}
	if n := len(g.History.Util()); n != 11 {
		t.Errorf("%d points of history, want 11", n)
	}
	before := w.feed.Latest().JobUsage()[0].Account.HeldSeconds
	at = at.Add(10 * time.Second)
	g = say(0)
	if held := w.feed.Latest().JobUsage()[0].Account.HeldSeconds - before; held != 10 {
		t.Errorf("%v s were counted since, want 10", held)
	}
	if !g.QuietSince().Equal(at) {
		t.Errorf("quiet since %s, want %s", g.QuietSince(), at)
	}
}

func TestGPUEvents(t *testing.T) {
	w := newWorld(t)
	w.update(Update{Nodes: []Node{node("n1", "gpu-a", 1, "G0", "G1")}})
	b := reading("n1", start(), sample("G0", start(), 0), sample("G1", start(), 0))
	b.Events = []gpu.Event{{UUID: "G1", At: start().Add(-time.Hour), Kind: gpu.EventXid, Xid: 79, Text: "fell off the bus"}, {UUID: "nobody", At: start()}}
	w.batch(b)
	s := w.batch(b) // a keyframe says it again
	if len(s.Events) != 1 || s.Events[0].Subject != "gpu-a/1" || s.Events[0].Level != Bad || len(s.GPU("G1").Events) != 1 {
		t.Errorf("%+v", s.Events)
	}
	down := node("n1", "gpu-a", 2, "G0", "G1")
	unhealthy(1, "Xid 79")(&down)
	w.update(Update{Nodes: []Node{down}})
	s = w.update(Update{Nodes: []Node{node("n1", "gpu-a", 3, "G0", "G1")}})
	var got []string
	for _, e := range s.Events {
		got = append(got, e.Subject+" "+e.Text)
	}
	want := []string{"gpu-a/1 healthy again: open to the scheduler", "gpu-a/1 unhealthy, closed to the scheduler: Xid 79", "gpu-a/1 fell off the bus"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestEventsOfTheScheduler(t *testing.T) {
	w := newWorld(t)
	// Of what was there at first, allocations are told with their own times.
	s := w.update(Update{Lists: SetAll, Index: 5, Nodes: []Node{node("n1", "gpu-a", 1)}, Allocs: []Alloc{alloc("a1", "x", 1)}, Deployments: []Deployment{{ID: "d1", Status: "running", ModifyIndex: 1}}})
	if len(s.Events) != 1 {
		t.Errorf("%+v", s.Events)
	}
	failed := alloc("a1", "x", 7, ended("failed"), func(a *Alloc) {
		a.Tasks = []Task{{Name: "ok"}, {Name: "t", Failed: true, Events: []TaskEvent{{Type: "Terminated", Text: "Exit Code: 1"}, {Type: "Not Restarting", Text: "policy"}}}}
	})
	n := node("n1", "gpu-a", 6)
	n.Status, n.Draining, n.Eligible = NodeDown, true, false
	w.update(Update{Nodes: []Node{n}})
	w.update(Update{Allocs: []Alloc{failed, failed}})
	w.update(Update{Deployments: []Deployment{{ID: "d1", Job: JobID{Namespace: "default", Name: "x"}, JobVersion: 3, Status: "failed", StatusText: "progress deadline", ModifyIndex: 8}}})
	s = w.update(Update{Allocs: []Alloc{alloc("a2", "x", 9, ended("pending"))}})
	var got []string
	for _, e := range s.Events {
		got = append(got, fmt.Sprintf("%d %s %s: %s", e.Level, e.Kind, e.Subject, e.Text))
	}
	want := []string{
		"0 alloc x.g[0]: pending on gpu-a",
		"2 deployment default/x: version 3: progress deadline",
		"2 alloc x.g[0]: failed on gpu-a: task t: Exit Code: 1",
		"0 node gpu-a: not eligible for work", "0 node gpu-a: drain started", "2 node gpu-a: down",
		"0 alloc x.g[0]: running on gpu-a",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if ev := s.JobEvents(JobID{Namespace: "default", Name: "x"}); len(ev) != 4 {
		t.Errorf("%d events of the job", len(ev))
	}
}

func TestEventsAreBounded(t *testing.T) {
	st := newState(Place{}, start)
	for i := range maxEvents + 7 {
		st.event(Event{At: start().Add(time.Duration(i) * time.Second), Text: fmt.Sprint(i)})
	}
	if s := st.snapshot(); len(s.Events) != maxEvents || s.EventsDropped != 7 || s.Events[0].Text != fmt.Sprint(maxEvents+6) {
		t.Errorf("%d events, %d dropped, first %q", len(s.Events), s.EventsDropped, s.Events[0].Text)
	}
}

func TestSources(t *testing.T) {
	w := newWorld(t)
	say := func(state SourceState, asOf time.Time, err string) SourceStatus {
		return *w.do(func(f *Feed) { f.Source(SourceStatus{Name: "nomad", State: state, AsOf: asOf, Err: err}) }).Source("nomad")
	}
	s := say(SourceStarting, time.Time{}, "")
	began := s.Since
	if s.Place.Cluster != "lab" || began.IsZero() || !s.AsOf.IsZero() {
		t.Errorf("%+v", s)
	}
	live := say(SourceLive, start().Add(time.Hour), "")
	if !live.Since.After(began) {
		t.Error("another state began, Since stayed")
	}
	if again := say(SourceLive, start().Add(2*time.Hour), ""); again.Since != live.Since || !again.AsOf.After(live.AsOf) {
		t.Errorf("still live: %+v", again)
	}
	late := say(SourceRetrying, time.Time{}, "connection refused")
	if late.AsOf != start().Add(2*time.Hour) || late.Err != "connection refused" || !late.Since.After(live.Since) {
		t.Errorf("a failure forgot when it was last heard: %+v", late)
	}
	say(SourceLive, start().Add(3*time.Hour), "")
	snap := w.feed.Latest()
	var got []string
	for _, e := range snap.Events {
		got = append(got, e.Subject+": "+e.Text)
	}
	if d := cmp.Diff([]string{"nomad: answers again", "nomad: connection refused"}, got); d != "" {
		t.Error(d)
	}
	if w.do(func(f *Feed) { f.Forget("nomad") }).Source("nomad") != nil {
		t.Error("forgotten, but there")
	}
}

func TestVault(t *testing.T) {
	w := newWorld(t)
	put := func(v secrets.State) *Snapshot { return w.do(func(f *Feed) { f.Vault(v) }) }
	keys := []secrets.Key{{Name: "b", Latest: 1}, {Name: "a", Latest: 3}}
	put(secrets.State{Initialised: true, Keys: keys, At: start(), KeysAt: start()})
	s := w.do(func(f *Feed) {
		f.Artifacts([]Artifact{{Model: "m", Version: "1", Key: "a", KeyVersion: 3}, {Model: "m", Version: "0", Key: "a", KeyVersion: 2}, {Key: "gone"}})
	})
	if len(s.Keys) != 2 || s.Keys[0].Name != "a" || len(s.Keys[0].Artifacts) != 2 || s.Keys[0].Stale != 1 {
		t.Errorf("%+v", s.Keys)
	}
	s = put(secrets.State{Err: "connection refused", Hint: "h", Retry: start()})
	if len(s.Keys) != 2 || s.Vault.Err == "" || s.Vault.Hint != "h" || s.Vault.Retry.IsZero() || !s.Vault.Initialised {
		t.Errorf("a failure: %+v", s.Vault)
	}
	s = put(secrets.State{Initialised: true, Sealed: true, At: start().Add(time.Minute)})
	if len(s.Keys) != 2 || s.Vault.KeysAt != start() || s.Vault.At == start() || len(s.Events) != 1 || s.Events[0].Level != Bad || !strings.Contains(s.Problems[0].Text, "sealed") {
		t.Errorf("sealed: %+v, %+v", s.Events, s.Problems)
	}
	if s = put(secrets.State{Initialised: true, Keys: keys}); len(s.Events) != 2 || s.Events[0].Text != "open" {
		t.Errorf("open again: %+v", s.Events)
	}
}

// A lesser source knows less: what a better one told of the device stays.
func TestNomadTellsOfDevices(t *testing.T) {
	w := newWorld(t)
	w.update(Update{Lists: SetAll, Nodes: []Node{node("n1", "gpu-a", 1, "G1", "G2")}})
	nomad := func(at time.Time, util float64) gpu.Batch {
		b := reading("n1", at, sample("G2", at, util))
		b.Source, b.Driver = "nomad", ""
		b.Devices = []gpu.Device{{UUID: "G2", Index: gpu.UnknownIndex, Model: "H100", MemoryBytes: 80}}
		return b
	}
	s := w.batch(nomad(start(), 7))
	g := s.GPU("G2")
	if g.Source != "nomad" || *g.Util() != 7 || g.Index != 1 || g.MemoryBytes != 80 {
		t.Errorf("%+v", g)
	}
	if _, known := g.Processes(); known {
		t.Error("Nomad knows no processes")
	}
	b := reading("n1", start().Add(time.Second), sample("G2", start().Add(time.Second), 8))
	b.Devices[0].Index, b.Devices[0].Serial = 5, "s"
	s = w.batch(b)
	if g := s.GPU("G2"); g.Source != "agent" || g.Index != 5 {
		t.Errorf("%+v", g)
	}
	s = w.batch(nomad(start().Add(2*time.Second), 9)) // while the agent's is fresh
	if g := s.GPU("G2"); g.Source != "agent" || *g.Util() != 8 {
		t.Errorf("%+v", g)
	}
	s = w.batch(nomad(start().Add(time.Minute), 9)) // the agent fell silent
	if g := s.GPU("G2"); g.Source != "nomad" || *g.Util() != 9 || g.Index != 5 || g.Serial != "s" {
		t.Errorf("%+v", g)
	}
}
