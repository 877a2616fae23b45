package cluster

import (
	"context"
	"time"

	"stoker/gpu"
	"stoker/secrets"
)

// publishEvery bounds the rate of snapshots: ten a second.
const publishEvery = 100 * time.Millisecond

// Feed folds what the sources emit into Snapshots. One goroutine, that of Run,
// owns all state; the inlets may be called from any goroutine and wait for it
// when it is behind, so a fast source is slowed and never drops a change.
type Feed struct {
	place Place
	now   func() time.Time
	step  time.Duration // of histories
	held  bool          // nothing is published before Release
	named bool          // jobs say of which cluster they are
	in    chan func(*state)
	done  chan struct{}
	outlet
}

// Option changes how a Feed works.
type Option func(*Feed)

// HistoryStep sets the time between two points of a History: five seconds unless set.
func HistoryStep(d time.Duration) Option { return func(f *Feed) { f.step = d } }

// Held lets the first snapshot wait for Release: who knows what it should hold
// need not show one without that first.
func Held() Option { return func(f *Feed) { f.held = true } }

// Named lets the jobs say of which cluster they are (JobID.Of), for a Feed whose
// snapshots are merged with those of others.
func Named() Option { return func(f *Feed) { f.named = true } }

// NewFeed makes a Feed for one cluster. Call Run to start it.
func NewFeed(place Place, now func() time.Time, options ...Option) *Feed {
	f := &Feed{place: place, now: now, step: historyStep, in: make(chan func(*state), 64), done: make(chan struct{})}
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
	var last time.Time
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case change := <-f.in:
			change(st)
			if st.held || due != nil {
				continue
			}
			if wait := publishEvery - f.now().Sub(last); wait > 0 {
				due = time.After(wait)
				continue
			}
		case <-due:
			due = nil
		}
		last = f.now()
		f.publish(st.snapshot())
	}
}

func (f *Feed) put(change func(*state)) {
	select {
	case f.in <- change:
	case <-f.done:
	}
}

// Release publishes what the Feed was told so far, if it was Held.
func (f *Feed) Release() { f.put(func(st *state) { st.held = false }) }

// Scheduler is the inlet for the scheduler's rows.
func (f *Feed) Scheduler(u Update) { f.put(func(st *state) { st.scheduler(u) }) }

// GPUs is the inlet for one node's samples.
func (f *Feed) GPUs(b gpu.Batch) { f.put(func(st *state) { st.batch(b) }) }

// Past is the inlet for what was before: samples of one device, oldest first.
func (f *Feed) Past(id gpu.UUID, samples []gpu.Sample) {
	f.put(func(st *state) { st.pastOf(id, samples) })
}

// Models is the inlet for model metrics: every model version that answers now.
func (f *Feed) Models(rows []ModelSample) { f.put(func(st *state) { st.modelSamples(rows) }) }

// Training is the inlet for the progress of training jobs.
func (f *Feed) Training(rows []TrainingSample) { f.put(func(st *state) { st.trainingSamples(rows) }) }

// Artifacts is the inlet for the registry: all registered model versions.
func (f *Feed) Artifacts(rows []Artifact) {
	f.put(func(st *state) {
		st.artifacts = named(st, rows, func(a *Artifact) *JobID { return &a.TrainedBy })
	})
}

// Vault is the inlet for Vault's state.
func (f *Feed) Vault(v secrets.State) { f.put(func(st *state) { st.vaultState(v) }) }

// Source is the inlet for the health of a source.
func (f *Feed) Source(s SourceStatus) { f.put(func(st *state) { st.source(s) }) }

// Forget removes a source that is no longer there, such as the agent of a node that left.
func (f *Feed) Forget(source string) { f.put(func(st *state) { delete(st.sources, source) }) }
