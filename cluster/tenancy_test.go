package cluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
)

func from(at time.Time) func(*Alloc) { return func(a *Alloc) { a.Created = at } }

// finished ends an allocation: its task at one time by its node's clock, the
// row later by the server's.
func finished(client string, at time.Time) func(*Alloc) {
	return func(a *Alloc) {
		a.Client, a.Modified = client, at.Add(3*time.Second)
		for i := range a.Tasks {
			a.Tasks[i].Finished = at
		}
	}
}

func after(d time.Duration) time.Time { return start().Add(d) }

func xid(id gpu.UUID, at time.Time) gpu.Event {
	return gpu.Event{UUID: id, At: at, Kind: gpu.EventXid, Xid: 79, Text: "Xid 79"}
}

// hitBy is a reading with an event and, perhaps, processes of an allocation.
func hitBy(at time.Time, e gpu.Event, allocs ...string) gpu.Batch {
	s := sample("G1", at, 50)
	s.Processes = nil
	for _, id := range allocs {
		s.Processes = append(s.Processes, gpu.Process{PID: 7, AllocID: id, Task: "t"})
	}
	b := reading("n1", at, s)
	if e.Kind != "" {
		b.Events = []gpu.Event{e}
	}
	return b
}

// TestWhoWasHit holds that an event names who was on the GPU then, in whatever
// order the scheduler and the agent tell of it.
func TestWhoWasHit(t *testing.T) {
	minute := after(time.Minute)
	a1 := func(idx uint64, change ...func(*Alloc)) Alloc {
		return alloc("a1", "x", idx, append([]func(*Alloc){holding("G1")}, change...)...)
	}
	a2 := func(idx uint64, change ...func(*Alloc)) Alloc {
		return alloc("a2", "y", idx, append([]func(*Alloc){holding("G1"), from(after(2 * time.Minute))}, change...)...)
	}
	rows := func(as ...Alloc) func(*world) { return func(w *world) { w.update(Update{Allocs: as}) } }
	list := func(as ...Alloc) func(*world) {
		return func(w *world) { w.update(Update{Lists: SetAllocs, Index: 50, Allocs: as}) }
	}
	read := func(at time.Time, e gpu.Event, allocs ...string) func(*world) {
		return func(w *world) { w.batch(hitBy(at, e, allocs...)) }
	}
	gone := func(ids ...AllocID) func(*world) {
		return func(w *world) { w.update(Update{Index: 90, GoneAllocs: ids}) }
	}
	hit := read(minute, xid("G1", minute))
	for name, c := range map[string]struct {
		steps []func(*world)
		want  string
	}{
		"held then, and still":                     {[]func(*world){rows(a1(1)), hit}, "default/x.g[0]"},
		"moved away since":                         {[]func(*world){rows(a1(1)), hit, rows(a1(2, finished("failed", after(61*time.Second))), a2(3))}, "default/x.g[0]"},
		"the move came before the event":           {[]func(*world){rows(a1(1)), rows(a1(2, finished("failed", after(61*time.Second))), a2(3)), hit}, "default/x.g[0]"},
		"the end came late, and was before it":     {[]func(*world){rows(a1(1)), hit, rows(a1(2, finished("complete", after(50*time.Second))))}, ""},
		"the row came late":                        {[]func(*world){hit, rows(a1(1))}, "default/x.g[0]"},
		"it came later":                            {[]func(*world){hit, rows(a2(1))}, ""},
		"before the first list":                    {[]func(*world){hit, list(a1(1, finished("failed", after(61*time.Second))), a2(2))}, "default/x.g[0]"},
		"before the first list, ended without it":  {[]func(*world){hit, list(a1(1, finished("failed", after(40*time.Second))), a2(2))}, ""},
		"without the node's word the row says":     {[]func(*world){rows(a1(1, ended("failed"), func(a *Alloc) { a.Modified = after(time.Hour) })), hit}, "default/x.g[0]"},
		"one leaves while the next is placed":      {[]func(*world){rows(a1(1, func(a *Alloc) { a.Desired = "stop" }), a2(2, from(after(30*time.Second)))), hit}, "default/x.g[0], default/y.g[0]"},
		"forgotten by Nomad":                       {[]func(*world){rows(a1(1)), hit, rows(a1(2, finished("failed", after(61*time.Second)))), gone("a1")}, "default/x.g[0]"},
		"told after Nomad forgot":                  {[]func(*world){rows(a1(1)), gone("a1"), read(after(time.Second), xid("G1", start()))}, "default/x.g[0]"},
		"a process that nobody gave it to":         {[]func(*world){read(minute, gpu.Event{}, "0123456789"), read(after(65*time.Second), xid("G1", after(64*time.Second)))}, "alloc 01234567"},
		"a process that went long before":          {[]func(*world){read(minute, gpu.Event{}, "0123456789"), read(after(90*time.Second), xid("G1", after(89*time.Second)))}, ""},
		"a process of an allocation without a GPU": {[]func(*world){read(minute, xid("G1", minute), "a9"), rows(alloc("a9", "z", 1))}, "default/z.g[0]"},
		"its holder's process":                     {[]func(*world){read(minute, xid("G1", minute), "a1"), list(a1(1))}, "default/x.g[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.update(Update{Lists: SetNodes, Index: 1, Nodes: []Node{node("n1", "gpu-a", 1, "G1")}})
			for _, step := range c.steps {
				step(w)
			}
			s := w.feed.Latest()
			events := s.GPU("G1").Events
			if len(events) != 1 {
				t.Fatalf("%d events", len(events))
			}
			if got := Tenants(events[0].On); got != c.want {
				t.Errorf("the GPU says %q, want %q", got, c.want)
			}
			for _, e := range s.Events {
				if got := Tenants(e.On); e.Kind == "gpu" && (got != c.want || e.GPU != "G1") {
					t.Errorf("the list of events says %q of %s, want %q", got, e.GPU, c.want)
				}
			}
		})
	}
}

func TestEventOfASplitDevice(t *testing.T) {
	w := readWorld(t)
	w.update(Update{Nodes: []Node{node("n1", "gpu-a", 1, "M1", "M2")}, Allocs: []Alloc{alloc("a1", "x", 1, holding("M1"))}})
	b := reading("n1", after(time.Minute), sample("G1", after(time.Minute), 0), sample("M1", after(time.Minute), 0), sample("M2", after(time.Minute), 0))
	b.Devices[1].Parent, b.Devices[2].Parent = "G1", "G1"
	b.Events = []gpu.Event{xid("G1", after(time.Minute))}
	w.batch(b)
	s := w.update(Update{Allocs: []Alloc{alloc("a2", "y", 2, holding("M2"))}})
	if got := Tenants(s.GPU("G1").Events[0].On); got != "default/x.g[0], default/y.g[0]" {
		t.Errorf("on it were %q", got)
	}
	if got := len(s.JobEvents(JobID{Namespace: "default", Name: "y"})); got != 2 { // it runs, and was hit
		t.Errorf("%d events of the job", got)
	}
}

func TestStaysAreBounded(t *testing.T) {
	st := newState(Place{}, start)
	for i := range 40 {
		at := after(time.Duration(i) * time.Minute)
		st.scheduler(Update{Allocs: []Alloc{alloc(fmt.Sprint("a", i), "x", uint64(i+1), holding("G1"), from(at), finished("complete", at.Add(time.Second)))}})
	}
	live := alloc("live", "x", 99, holding("G1"))
	st.scheduler(Update{Allocs: []Alloc{live}})
	stays := st.staysOn("G1")
	if len(stays) != endedKept+1 || stays[0].Alloc != "live" || stays[endedKept].Alloc != "a39" {
		t.Errorf("%d stays: %+v", len(stays), stays)
	}
	var visits []visit
	for i := range 3 * visitsKept {
		visits = seen(visits, &gpu.Sample{At: after(time.Duration(i)), Processes: []gpu.Process{{AllocID: fmt.Sprint(i)}, {}}})
	}
	if len(visits) != visitsKept || visits[visitsKept-1].alloc != AllocID(fmt.Sprint(3*visitsKept-1)) {
		t.Errorf("%d visits", len(visits))
	}
}

func TestLevelOfAGPUEvent(t *testing.T) {
	var got []string
	for _, e := range []gpu.Event{
		{Kind: gpu.EventXid, Xid: 79},
		{Kind: gpu.EventXid, Xid: 31},
		{Kind: gpu.EventXid, Xid: 9999},
		{Kind: gpu.EventLost},
		{Kind: gpu.EventBack},
		{Kind: gpu.EventECC},
		{Kind: gpu.EventECC, Verdict: gpu.VerdictWatch},
		{Kind: gpu.EventECC, Verdict: gpu.VerdictFailed},
		{Kind: gpu.EventClock, Verdict: gpu.VerdictOK},
		{Kind: gpu.EventClock, Verdict: gpu.VerdictWatch},
		{Kind: gpu.EventPower},
		{Kind: gpu.EventMIG},
	} {
		got = append(got, fmt.Sprint((&GPUEvent{Event: e}).Level()))
	}
	want := []string{"2", "1", "1", "2", "0", "1", "1", "2", "0", "1", "1", "0"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestAttentionNamesWhoWasHit: the line of a failed GPU names its holder, and
// who was on it when it failed once that has moved away.
func TestAttentionNamesWhoWasHit(t *testing.T) {
	w := readWorld(t)
	w.update(Update{Nodes: []Node{node("n1", "gpu-a", 1, "G1")}, Allocs: []Alloc{alloc("a1", "x", 1, holding("G1"))}})
	b := hitBy(after(time.Minute), xid("G1", after(time.Minute)))
	b.Samples[0].Health = gpu.Health{Verdict: gpu.VerdictFailed, Reason: "Xid 79; reset it", Since: after(time.Minute)}
	line := func(s *Snapshot) string {
		for _, p := range s.Problems {
			if p.GPU == "G1" {
				return p.Text
			}
		}
		return ""
	}
	if got := line(w.batch(b)); got != "Xid 79, held by x.g[0]; reset it" {
		t.Errorf("while held: %q", got)
	}
	s := w.update(Update{Allocs: []Alloc{alloc("a1", "x", 2, holding("G1"), finished("failed", after(2*time.Minute)))}})
	if got := line(s); got != "Xid 79, was running default/x.g[0]; reset it" {
		t.Errorf("after it left: %q", got)
	}
	s = w.update(Update{Allocs: []Alloc{alloc("a2", "y", 3, holding("G1"), from(after(3*time.Minute)))}})
	if got := line(s); got != "Xid 79, was running default/x.g[0]; reset it" {
		t.Errorf("held by the next: %q", got)
	}
	b = hitBy(after(3*time.Hour), gpu.Event{})
	b.Samples[0].Health = gpu.Health{Verdict: gpu.VerdictFailed, Reason: "row remapping failed", Since: after(3 * time.Hour)}
	if got := line(w.batch(b)); got != "row remapping failed, held by y.g[0]" {
		t.Errorf("of another failure, hours later: %q", got)
	}
}

// An allocation that is never read, and whose GPU has events all day, is noted once.
func TestUnnamedTenantsAreBounded(t *testing.T) {
	st := newState(Place{}, start)
	for range 100 {
		st.noteHit(&Event{GPU: "G1", On: []Tenant{{Alloc: "a1"}}})
	}
	if n := len(st.unnamed["a1"]); n != 1 {
		t.Errorf("noted %d times", n)
	}
}
