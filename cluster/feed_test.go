package cluster

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stoker/secrets"
)

func TestPublishesAtOnceThenFourASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFeed(Place{}, time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = f.Run(ctx) }()
		ch, stop := f.Subscribe()
		defer stop()
		time.Sleep(time.Hour) // long idle
		began := time.Now()
		f.Source(SourceStatus{Name: "x", AsOf: began})
		<-ch
		if d := time.Since(began); d != 0 {
			t.Errorf("the first change took %s", d)
		}
		snapshots, done := 0, make(chan struct{})
		go func() {
			defer close(done)
			for s := range ch {
				snapshots++
				if s.Source("x").AsOf.Equal(began.Add(time.Second)) {
					return
				}
			}
		}()
		for i := range 1000 {
			time.Sleep(time.Millisecond)
			f.Source(SourceStatus{Name: "x", AsOf: began.Add(time.Duration(i+1) * time.Millisecond)})
		}
		<-done
		if snapshots < 4 || snapshots > 5 {
			t.Errorf("%d snapshots in the next 1.25 seconds", snapshots)
		}
		if d := time.Since(began); d > 1250*time.Millisecond {
			t.Errorf("the last change took %s", d-time.Second)
		}
	})
}

func TestSubscribeLatestWins(t *testing.T) {
	w := newWorld(t)
	slow, stop := w.feed.Subscribe()
	if len(slow) != 0 {
		t.Error("there was a snapshot before the first")
	}
	var last *Snapshot
	for i := range 20 {
		last = w.do(func(f *Feed) { f.Source(SourceStatus{Name: "x", AsOf: start().Add(time.Duration(i) * time.Hour)}) })
	}
	if got := <-slow; got != last {
		t.Errorf("a slow reader got %d instead of %d", got.Rev, last.Rev)
	}
	late, stopLate := w.feed.Subscribe()
	if got := <-late; got != last || w.feed.Latest() != last {
		t.Errorf("a late one did not get the last at once")
	}
	stop()
	stopLate()
	w.do(func(f *Feed) { f.Forget("x") })
	if len(slow) != 0 || len(late) != 0 {
		t.Error("one that had stopped got another")
	}
}

func TestEndOfAFeed(t *testing.T) {
	f := NewFeed(Place{}, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	ch, _ := f.Subscribe()
	go func() { ended <- f.Run(ctx) }()
	f.Source(SourceStatus{Name: "x"})
	<-ch
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, open := <-ch; open {
		t.Error("the channel stayed open")
	}
	for range 200 { // more than the inlet holds: none of them may block
		f.Source(SourceStatus{Name: "y"})
	}
	late, stop := f.Subscribe()
	defer stop()
	if s, open := <-late; !open || s != f.Latest() {
		t.Error("after the end, the last snapshot is not to be had")
	}
	select {
	case _, open := <-late:
		if open {
			t.Error("after the end, there is another snapshot")
		}
	default:
		t.Error("after the end, a new channel stays open")
	}
}

func TestBeforeTheFirst(t *testing.T) {
	s := NewFeed(Place{"lab", "global"}, time.Now).Latest()
	if s == nil || s.Ready || s.Rev != 0 || s.Place.Cluster != "lab" {
		t.Fatalf("%+v", s)
	}
	// All look-ups work on an empty one.
	if s.Node("x") != nil || s.Job(JobID{}) != nil || s.Alloc("x") != nil || s.GPU("x") != nil || s.Evaluation("x") != nil || s.Source("x") != nil ||
		s.JobDeployment(JobID{}) != nil || len(s.NodeGPUs("x"))+len(s.NodeAllocs("x"))+len(s.JobAllocs(JobID{}))+len(s.JobEvents(JobID{}))+len(s.JobGPUs(JobID{})) > 0 {
		t.Error("an empty snapshot holds something")
	}
	if o := s.Outcome(JobID{}); o.Done || o.Text != "not seen yet" {
		t.Errorf("%+v", o)
	}
}

// A held feed shows nothing before it was told what the first snapshot is to hold.
func TestHeldFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFeed(Place{Cluster: "lab"}, time.Now, Held())
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { _ = f.Run(ctx) })
		defer run.Wait()
		defer cancel()
		f.Source(SourceStatus{Name: "one"})
		time.Sleep(time.Second)
		if rev := f.Latest().Rev; rev != 0 {
			t.Errorf("revision %d was published while it was held", rev)
		}
		f.Source(SourceStatus{Name: "two"})
		f.Release()
		synctest.Wait()
		if s := f.Latest(); s.Rev != 1 || s.Source("one") == nil || s.Source("two") == nil {
			t.Errorf("revision %d with %v", s.Rev, s.Sources)
		}
	})
}

func TestReadyNeedsEveryList(t *testing.T) {
	w := newWorld(t)
	var s *Snapshot
	for _, set := range []Set{SetNodes, SetJobs, SetAllocs, SetDeployments, SetEvaluations, SetServices} {
		if s != nil && s.Ready {
			t.Errorf("ready before list %b", set)
		}
		s = w.update(Update{Lists: set, Index: 1})
	}
	if !s.Ready {
		t.Error("not ready after all lists")
	}
}

// TestPace: a large fleet is shown less often, the more so what comes all the
// time; what the scheduler did does not wait for what came before it.
func TestPace(t *testing.T) {
	at := start()
	for _, tc := range []struct {
		cost, sinceLast, sincePrompt time.Duration
		calm, haste                  bool
		want                         time.Duration // from now; less than 0 is at once
	}{
		{0, 0, 0, false, false, 100 * time.Millisecond},
		{0, 0, 70 * time.Millisecond, false, false, 30 * time.Millisecond},
		{4 * time.Millisecond, 0, time.Second, false, false, 20 * time.Millisecond},
		{40 * time.Millisecond, 0, 0, false, false, 200 * time.Millisecond},
		{40 * time.Millisecond, 0, 0, false, true, 0},
		{0, 0, time.Second, true, false, 250 * time.Millisecond},
		{2 * time.Millisecond, 100 * time.Millisecond, time.Second, true, false, 300 * time.Millisecond},
		{40 * time.Millisecond, 0, 0, true, false, time.Second},
		{time.Second, 0, 0, true, false, 5 * time.Second},
	} {
		p := pace{calm: calmEvery, last: at.Add(-tc.sinceLast), prompt: at.Add(-tc.sincePrompt), cost: tc.cost}
		if !p.ask(tc.calm, tc.haste) || p.due.Sub(at) != tc.want {
			t.Errorf("%+v: %v", tc, p.due.Sub(at))
		}
	}
	p := pace{calm: calmEvery, last: at, prompt: at}
	p.ask(true, false)
	if !p.ask(false, false) || p.due.Sub(at) != publishEvery {
		t.Errorf("what cannot wait did not hasten the snapshot: %v", p.due.Sub(at))
	}
	if p.ask(false, false) || p.ask(true, false) {
		t.Error("one that comes later has put it forward")
	}
	p.done(at.Add(time.Minute), time.Millisecond)
	if p.prompt != at.Add(time.Minute) || !p.due.IsZero() {
		t.Errorf("%+v", p)
	}
}

// TestRedacting: what a server answered is shown in many places, and cleaned where
// it comes in.
func TestRedacting(t *testing.T) {
	w := newWorld(t)
	w.feed.redact = func(text string) string { return strings.ReplaceAll(text, "hvs.secret", "[redacted]") }
	s := w.do(func(f *Feed) {
		f.Source(SourceStatus{Name: "metrics", State: SourceRetrying, Err: "403: no access with hvs.secret"})
	})
	if got := s.Sources[0].Err; got != "403: no access with [redacted]" {
		t.Error(got)
	}
	s = w.do(func(f *Feed) { f.Vault(secrets.State{Err: "hvs.secret has no access"}) })
	if got := s.Vault.Err; got != "[redacted] has no access" {
		t.Error(got)
	}
	for _, e := range s.Events {
		if strings.Contains(e.Text, "hvs.secret") {
			t.Error(e.Text)
		}
	}
}

// TestAwayIsToldInTime: that a source stays away is told when it does for too
// long, though nothing else happens.
func TestAwayIsToldInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFeed(Place{}, time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = f.Run(ctx) }()
		f.Source(SourceStatus{Name: "nomad", State: SourceLive, AsOf: time.Now()})
		time.Sleep(time.Minute)
		f.Source(SourceStatus{Name: "nomad", State: SourceRetrying, Err: "EOF"})
		for _, c := range []struct {
			wait time.Duration
			want int
		}{{blipLasts - time.Millisecond, 0}, {2 * time.Millisecond, 1}} {
			time.Sleep(c.wait)
			synctest.Wait()
			if n := len(f.Latest().Problems); n != c.want {
				t.Errorf("%d problems, want %d", n, c.want)
			}
		}
		rev := f.Latest().Rev
		time.Sleep(time.Hour)
		if now := f.Latest().Rev; now != rev {
			t.Errorf("%d more snapshots of nothing", now-rev)
		}
	})
}
