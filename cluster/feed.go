package cluster

import (
	"context"
	"time"

	"stoker/gpu"
	"stoker/secrets"
)

// What the scheduler did is shown at once, but not more often than this.
const publishEvery = 100 * time.Millisecond

// calmEvery is the least time between two snapshots that differ in readings only,
// which sources give once a second as a rule.
const calmEvery = 250 * time.Millisecond

// On a large fleet a snapshot takes milliseconds: from one to the next at least
// so many times as long must go by. Readings can wait a little longer, but not
// for more than a second on account of that.
const (
	promptShare = 5
	calmShare   = 200
	calmAtMost  = time.Second
)

// awaited are the lists for which somebody waits until they are there first: they
// are shown at once.
const awaited = SetNodes | SetJobs | SetAllocs

// change is what an inlet brings.
type change struct {
	apply func(*state)
	calm  bool // it need not be seen at once
}

// Feed folds what the sources emit into Snapshots. One goroutine, that of Run,
// owns all state; the inlets may be called from any goroutine and wait for it
// when it is behind, so a fast source is slowed and never drops a change.
type Feed struct {
	place  Place
	now    func() time.Time
	step   time.Duration // of histories
	calm   time.Duration // between snapshots of readings alone, at least
	held   bool          // nothing is published before Release
	named  bool          // jobs say of which cluster they are
	redact func(text string) string
	in     chan change
	done   chan struct{}
	outlet
}

// Option changes how a Feed works.
type Option func(*Feed)

// HistoryStep sets the time between two points of a History: five seconds unless set.
func HistoryStep(d time.Duration) Option { return func(f *Feed) { f.step = d } }

// Calm sets the least time between two snapshots that differ in readings only: a
// quarter of a second unless set. With 0 readings wait no longer than all else.
func Calm(d time.Duration) Option { return func(f *Feed) { f.calm = d } }

// Held lets the first snapshot wait for Release: who knows what it should hold
// need not show one without that first.
func Held() Option { return func(f *Feed) { f.held = true } }

// Named lets the jobs say of which cluster they are (JobID.Of), for a Feed whose
// snapshots are merged with those of others.
func Named() Option { return func(f *Feed) { f.named = true } }

// Redacting takes secrets out of what sources say is wrong with them: the bodies
// that servers answer with may hold what was sent to them.
func Redacting(clean func(text string) string) Option { return func(f *Feed) { f.redact = clean } }

// NewFeed makes a Feed for one cluster. Call Run to start it.
func NewFeed(place Place, now func() time.Time, options ...Option) *Feed {
	f := &Feed{place: place, now: now, step: historyStep, calm: calmEvery, redact: func(text string) string { return text }, in: make(chan change, 64), done: make(chan struct{})}
	for _, o := range options {
		o(f)
	}
	f.latest.Store(&Snapshot{Place: place, At: now()})
	return f
}

// Run folds until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	defer func() {
		close(f.done)
		f.finish()
	}()
	st := newState(f.place, f.now)
	st.step, st.held = f.step, f.held
	if f.named {
		st.of = f.place
	}
	p := pace{calm: f.calm}
	timer := time.NewTimer(0)
	timer.Stop()
	defer timer.Stop()
	turn := time.NewTimer(0) // when what is known means something else without a change
	turn.Stop()
	defer turn.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case c := <-f.in:
			known := st.listed
			c.apply(st)
			if st.held || c.calm && !p.due.IsZero() {
				continue
			}
			if !p.ask(c.calm, (st.listed&^known)&awaited != 0) {
				continue
			}
			if wait := p.due.Sub(f.now()); wait > 0 {
				timer.Reset(wait)
				continue
			}
		case <-timer.C:
		case <-turn.C:
		}
		timer.Stop()
		turn.Stop()
		at, began := f.now(), time.Now()
		s := st.snapshot()
		p.done(at, time.Since(began))
		f.publish(s)
		if next := blipsEnd(s); !next.IsZero() {
			turn.Reset(next.Sub(at))
		}
	}
}

// blipsEnd is when the first source is away for too long to be passed over; zero
// where none is away for a moment only.
func blipsEnd(s *Snapshot) (at time.Time) {
	for i := range s.Sources {
		if src := &s.Sources[i]; src.Blip(s.At) {
			if end := src.Since.Add(blipLasts); at.IsZero() || end.Before(at) {
				at = end
			}
		}
	}
	return at
}

// pace says when the next snapshot is due.
type pace struct {
	calm         time.Duration // as Calm has it
	last, prompt time.Time     // the last snapshot, and the last that could not wait
	cost         time.Duration // of the last
	due          time.Time     // of the next; zero while there is nothing to show
	urgent       bool          // the next cannot wait
}

// ask is for a change that should be shown: a calm one can wait, and one with
// haste must not at all. It says whether the next snapshot is due sooner for it.
func (p *pace) ask(calm, haste bool) bool {
	next := p.last.Add(promptShare * p.cost)
	switch {
	case haste:
		next = p.last
	case calm:
		next = later(next, p.last.Add(max(p.calm, min(calmShare*p.cost, calmAtMost))))
	default:
		next = later(next, p.prompt.Add(publishEvery))
	}
	p.urgent = p.urgent || !calm
	if !p.due.IsZero() && !next.Before(p.due) {
		return false
	}
	p.due = next
	return true
}

// done notes a snapshot.
func (p *pace) done(at time.Time, cost time.Duration) {
	if p.urgent {
		p.prompt = at
	}
	p.last, p.cost, p.due, p.urgent = at, cost, time.Time{}, false
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (f *Feed) put(apply func(*state)) { f.send(change{apply, false}) }

// calmly is put for what comes all the time.
func (f *Feed) calmly(apply func(*state)) { f.send(change{apply, f.calm > 0}) }

func (f *Feed) send(c change) {
	select {
	case f.in <- c:
	case <-f.done:
	}
}

// Release publishes what the Feed was told so far, if it was Held.
func (f *Feed) Release() { f.put(func(st *state) { st.held = false }) }

// Scheduler is the inlet for the scheduler's rows.
func (f *Feed) Scheduler(u Update) { f.put(func(st *state) { st.scheduler(u) }) }

// GPUs is the inlet for one node's samples.
func (f *Feed) GPUs(b gpu.Batch) { f.calmly(func(st *state) { st.batch(b) }) }

// Past is the inlet for what was before: samples of one device, oldest first.
func (f *Feed) Past(id gpu.UUID, samples []gpu.Sample) {
	f.put(func(st *state) { st.pastOf(id, samples) })
}

// Models is the inlet for model metrics: every model version that answers now.
func (f *Feed) Models(rows []ModelSample) { f.calmly(func(st *state) { st.modelSamples(rows) }) }

// Training is the inlet for the progress of training jobs.
func (f *Feed) Training(rows []TrainingSample) { f.put(func(st *state) { st.trainingSamples(rows) }) }

// Artifacts is the inlet for the registry: all registered model versions.
func (f *Feed) Artifacts(rows []Artifact) {
	f.put(func(st *state) {
		st.artifacts = named(st, rows, func(a *Artifact) *JobID { return &a.TrainedBy })
	})
}

// Vault is the inlet for Vault's state.
func (f *Feed) Vault(v secrets.State) {
	v.Err = f.redact(v.Err)
	f.put(func(st *state) { st.vaultState(v) })
}

// Source is the inlet for the health of a source.
func (f *Feed) Source(s SourceStatus) {
	s.Err = f.redact(s.Err)
	f.calmly(func(st *state) { st.source(s) })
}

// Forget removes a source that is no longer there, such as the agent of a node that left.
func (f *Feed) Forget(source string) { f.put(func(st *state) { st.forget(source) }) }
