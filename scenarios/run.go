package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/jobs/action"
)

// Feed gives snapshots; cluster.Feed does.
type Feed interface {
	Latest() *cluster.Snapshot
	Subscribe() (snapshots <-chan *cluster.Snapshot, stop func())
}

// Actions plans and does changes; action.Runner does.
type Actions interface {
	Allowed(id action.ID) error
	Plan(ctx context.Context, req action.Request, s *cluster.Snapshot) (action.Plan, error)
	Do(ctx context.Context, p action.Plan) (action.Result, error)
}

// Env is what a run needs. Nothing in it may depend on the context given to
// Run: the cleanup happens after that has ended.
type Env struct {
	Feed     Feed
	Actions  Actions
	Packs    Packs
	PackVars map[string]string // of the context: each pack takes those it knows
	Vars     map[string]string // given by the caller, over the scenario's defaults
	Programs map[string]string // where the programs of run steps are; others are looked for on PATH
	Now      func() time.Time
	RunID    string // NewRunID when empty
	Exec     Exec   // ExecProcess when nil
	// Redact takes secrets out of what servers and programs said, in events and
	// in the report; nil leaves it as it is.
	Redact func(text string) string
	// Abandon, when closed, ends the cleanup at once: the second interrupt.
	Abandon <-chan struct{}
	// CleanupFor bounds the cleanup; zero is two minutes.
	CleanupFor time.Duration
}

// How long a run waits for what should come by itself.
const (
	readyFor   = 20 * time.Second // the first complete snapshot
	dataFor    = 10 * time.Second // a value that is unknown
	seenFor    = 30 * time.Second // the scheduler's answer to a change
	changeFor  = 30 * time.Second // one change, also while being interrupted
	cleanupFor = 2 * time.Minute
	showEvery  = time.Second // between two lines of progress
)

// run is one playing of a scenario.
type run struct {
	env     Env
	s       *Scenario
	vars    map[string]any
	paths   map[string]string // programs that were found
	undo    []*undo           // what to take back, in the order of doing
	observe func(Event)
	last    bool // the cleanup has begun: now an end of the context means to give up

	mu   sync.Mutex // guards what follows: a meanwhile reports from its own goroutine
	at   int        // the step, from 1
	name string
	log  []string
}

// Run plays the scenario to its end and cleans up. It does not ask before it
// changes something: the caller has. When ctx ends, the step under way is
// given up and the cleanup runs all the same. observe may be nil.
func Run(ctx context.Context, s *Scenario, env Env, observe func(Event)) Report {
	env = env.complete()
	r := &run{env: env, s: s, paths: map[string]string{}, observe: observe, name: s.Name}
	rep := Report{
		Scenario: s.Name, File: s.File, RunID: env.RunID, Cluster: env.Feed.Latest().Place.Cluster,
		Vars: map[string]string{}, Started: env.Now(), Verdict: Passed, Left: []string{},
	}
	r.emit(Event{Kind: RunStarted, Text: rep.Cluster})
	if err := r.prepare(&rep); err != nil {
		rep.Verdict, rep.Text, rep.cause = Failed, err.Error(), err
		rep.Steps = r.skipped(0)
	} else {
		r.play(ctx, &rep)
	}
	r.finish(ctx, &rep)
	rep.redact(env.Redact)
	r.enter(0, s.Name)
	rep.Seconds = env.Now().Sub(rep.Started).Seconds()
	r.emit(Event{Kind: RunEnded, Verdict: rep.Verdict, Text: rep.Text, Took: env.Now().Sub(rep.Started), Left: rep.Left})
	return rep
}

func (e Env) complete() Env {
	if e.Now == nil {
		e.Now = time.Now
	}
	if e.Exec == nil {
		e.Exec = ExecProcess
	}
	if e.Redact == nil {
		e.Redact = func(text string) string { return text }
	}
	e.RunID = cmp.Or(e.RunID, NewRunID(e.Now()))
	e.CleanupFor = cmp.Or(e.CleanupFor, cleanupFor)
	return e
}

// prepare finds what can be found wrong before anything is changed.
func (r *run) prepare(rep *Report) error {
	vars, err := r.s.Resolve(r.env.RunID, r.env.Vars)
	if err != nil {
		return err
	}
	r.vars = vars
	for _, v := range r.s.Vars {
		rep.Vars[v.Name] = word(vars[v.Name])
		if secret(v.Name) {
			rep.Vars[v.Name] = "[redacted]"
		}
	}
	if err := r.s.Check(r.env.Packs); err != nil {
		return err
	}
	for _, st := range append(append([]Step(nil), r.s.Steps...), r.s.Cleanup...) {
		if st.Kind == KindRun {
			if err := r.program(&st); err != nil {
				return err
			}
		}
		if st.change != nil {
			if err := r.env.Actions.Allowed(action.ID(st.Kind)); err != nil {
				return &cluster.Fault{Kind: cluster.ErrDenied, Text: fmt.Sprintf("step %q: %v", st.Name, err), Err: err}
			}
		}
	}
	return nil
}

// play runs the steps until one fails.
func (r *run) play(ctx context.Context, rep *Report) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.s.Timeout, errTimeout)
	defer cancel()
	if err := r.ready(ctx); err != nil {
		v, text := r.judgeErr(ctx, err)
		rep.Verdict, rep.Text, rep.cause, rep.Steps = v, text, err, r.skipped(0)
		return
	}
	for i := range r.s.Steps {
		st := &r.s.Steps[i]
		res := r.step(ctx, st, i+1)
		rep.Steps = append(rep.Steps, res)
		if worse(res.Verdict, rep.Verdict) {
			rep.Verdict, rep.cause = res.Verdict, res.cause
			rep.Text = fmt.Sprintf("step %d, %s: %s", i+1, res.Name, res.Text)
		}
		// An assertion that cannot be judged stops nothing; a wait or a
		// requirement that cannot be judged leaves no ground to go on.
		if res.Verdict != Passed && (res.Verdict != Inconclusive || st.Kind != KindAssert) {
			rep.Steps = append(rep.Steps, r.skipped(i+1)...)
			return
		}
	}
}

func (r *run) skipped(from int) []StepResult {
	var out []StepResult
	for _, st := range r.s.Steps[from:] {
		out = append(out, StepResult{Name: st.Name, Kind: st.Kind, Line: st.Line, Verdict: Skipped})
	}
	return out
}

func worse(a, b Verdict) bool { return severity(a) > severity(b) }

func severity(v Verdict) int {
	switch v {
	case Failed:
		return 3
	case Interrupted:
		return 2
	case Inconclusive:
		return 1
	}
	return 0
}

// ready waits for the first complete snapshot.
func (r *run) ready(ctx context.Context) error {
	err := r.watch(ctx, readyFor, func(s *cluster.Snapshot) bool { return s.Ready })
	if errors.Is(err, errLimit) {
		return fmt.Errorf("%w: the cluster's lists could not be read%s", ErrInconclusive, facts.Failures(r.env.Feed.Latest()))
	}
	if err != nil {
		return err
	}
	return facts.Refused(r.env.Feed.Latest())
}

// step runs one step and says how it ended.
func (r *run) step(ctx context.Context, st *Step, n int) StepResult {
	r.enter(n, st.Name)
	started := r.env.Now()
	r.emit(Event{Kind: StepStarted, Text: string(st.Kind)})
	res := StepResult{Name: st.Name, Kind: st.Kind, Line: st.Line, Started: started, Verdict: Passed}
	err := ctx.Err() // nothing is begun after an interrupt
	if err == nil {
		err = r.do(ctx, st, &res)
	}
	if err != nil {
		res.Verdict, res.Text = r.judgeErr(ctx, err)
		res.cause = err
	}
	res.Log = r.leave()
	took := r.env.Now().Sub(started)
	res.Seconds = took.Seconds()
	r.emit(Event{Kind: StepEnded, Verdict: res.Verdict, Text: res.Text, Took: took})
	return res
}

// judgeErr turns the error of a step into a verdict and a text.
func (r *run) judgeErr(ctx context.Context, err error) (Verdict, string) {
	switch {
	case errors.Is(context.Cause(ctx), errTimeout):
		return Failed, fmt.Sprintf("the scenario's time of %s is over", r.s.Timeout)
	case ctx.Err() != nil:
		return Interrupted, "interrupted"
	case errors.Is(err, ErrInconclusive), errors.Is(err, errUnknown):
		return Inconclusive, trimKind(err, ErrInconclusive)
	}
	return Failed, trimKind(err, ErrFailed)
}

func (r *run) enter(n int, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.name, r.log = n, name, nil
}

func (r *run) leave() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log
}

// emit hands an event to the observer, one at a time.
func (r *run) emit(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.At, e.RunID, e.Step, e.Steps = r.env.Now(), r.env.RunID, r.at, len(r.s.Steps)
	if e.Name == "" {
		e.Name = r.name
	}
	if r.observe != nil {
		r.observe(e.redacted(r.env.Redact))
	}
}

// say tells what was done, and keeps it for the report.
func (r *run) say(format string, args ...any) {
	text := clean(fmt.Sprintf(format, args...))
	r.mu.Lock()
	r.log = append(r.log, text)
	r.mu.Unlock()
	r.emit(Event{Kind: Noted, Text: text})
}
