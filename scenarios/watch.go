package scenarios

import (
	"context"
	"errors"
	"strings"
	"time"

	"stoker/cluster"
)

// Why waiting ended without what was waited for.
var (
	errLimit   = errors.New("the time is over")
	errTimeout = errors.New("the scenario's time is over")
	errFeed    = errors.New("the stream of facts about the cluster ended")
)

// watch calls done with the latest snapshot and with each that follows, until
// it says yes, the limit is over or ctx ends.
func (r *run) watch(ctx context.Context, limit time.Duration, done func(*cluster.Snapshot) bool) error {
	ch, stop := r.env.Feed.Subscribe()
	defer stop()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	if done(r.env.Feed.Latest()) {
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return errLimit
		case s, open := <-ch:
			if !open {
				return errFeed
			}
			if done(s) {
				return nil
			}
		}
	}
}

// known fills values in. What it needs may be late just now, an agent's answer
// for one: then it tries again with the next snapshot, for so long as a check does.
func (r *run) known(ctx context.Context, fill func(w *sight) error) error {
	var err error
	ended := r.watch(ctx, dataFor, func(s *cluster.Snapshot) bool {
		w := newSight(s, r.vars)
		err = fill(w)
		return err == nil || len(w.late) == 0
	})
	if ended != nil && !errors.Is(ended, errLimit) {
		return ended
	}
	return err
}

// trimKind is an error's text without the name of its kind.
func trimKind(err, kind error) string {
	return clean(strings.TrimPrefix(err.Error(), kind.Error()+": "))
}

// shower reports a step's own words about itself when they change.
type shower struct {
	r    *run
	tmpl *template
	last string
	at   time.Time
}

func (sh *shower) see(w *sight) {
	if sh.tmpl == nil {
		return
	}
	now := sh.r.env.Now()
	if text := sh.tmpl.describe(w); text != sh.last && now.Sub(sh.at) >= showEvery {
		sh.last, sh.at = text, now
		sh.r.emit(Event{Kind: Progress, Text: text})
	}
}

// sampler watches a step from beside it.
type sampler struct {
	always, eventual []judged
	cancel           context.CancelFunc
	done             chan struct{}
}

// judged is a check with the worst or best that was seen of it, and when.
type judged struct {
	check
	when    string
	verdict Verdict
	at      *sight // nil until something was known
	why     []string
}

// sample judges the step's meanwhile, and shows its progress, on every
// snapshot until stop is called.
func (r *run) sample(ctx context.Context, st *Step) *sampler {
	ctx, cancel := context.WithCancel(ctx)
	sm := &sampler{always: pending(st.always, "always"), eventual: pending(st.eventual, "eventually"), cancel: cancel, done: make(chan struct{})}
	ch, stop := r.env.Feed.Subscribe()
	sh := &shower{r: r}
	if st.Kind == KindRun { // the others show themselves
		sh.tmpl = st.show
	}
	vars := r.vars // read only while the step runs
	go func() {
		defer close(sm.done)
		defer stop()
		s := r.env.Feed.Latest()
		for {
			w := newSight(s, vars)
			sh.see(w)
			sm.see(w)
			select {
			case <-ctx.Done():
				return
			case next, open := <-ch:
				if !open {
					return
				}
				s = next
			}
		}
	}()
	return sm
}

func pending(list []check, when string) []judged {
	var out []judged
	for _, c := range list {
		out = append(out, judged{check: c, when: when, verdict: Inconclusive, why: []string{"nothing was seen"}})
	}
	return out
}

func (sm *sampler) see(w *sight) {
	for i := range sm.always {
		if j := &sm.always[i]; j.verdict != Failed { // the first violation stands
			j.take(w)
		}
	}
	for i := range sm.eventual {
		if j := &sm.eventual[i]; j.verdict != Passed {
			j.take(w)
		}
	}
}

// take judges one snapshot. What is unknown now does not undo what was known.
func (j *judged) take(w *sight) {
	v, why := j.judge(w)
	switch {
	case v != Inconclusive:
		j.verdict, j.at = v, w
	case j.at == nil:
		j.why = why
	}
}

func (j *judged) result() CheckResult {
	if j.at != nil {
		return j.explain(j.at, j.when)
	}
	return CheckResult{Expr: j.cond.text, When: j.when, Verdict: j.verdict, Why: j.why}
}

func (sm *sampler) stop() []CheckResult {
	sm.cancel()
	<-sm.done
	var out []CheckResult
	for _, j := range append(sm.always, sm.eventual...) {
		out = append(out, j.result())
	}
	return out
}
