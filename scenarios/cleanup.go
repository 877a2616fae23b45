package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"stoker/cluster"
	"stoker/jobs/action"
)

// finish takes back what was done. It runs when ctx has ended too, within its
// own time; Abandon ends it at once. What is left is named in the report.
func (r *run) finish(ctx context.Context, rep *Report) {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), r.env.CleanupFor, errCleanupTime)
	defer cancel()
	ctx, abandon := context.WithCancelCause(ctx)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		select {
		case <-r.env.Abandon:
			abandon(errAbandoned)
		case <-ctx.Done():
		}
	}()
	defer func() { abandon(nil); <-watching }()

	rep.Cleanup = StepResult{Name: "cleanup", Kind: "cleanup", Verdict: Passed, Started: r.env.Now()}
	undo, own := r.pendingUndo(), len(r.s.Cleanup) > 0 && r.began(rep)
	if len(undo) == 0 && !own {
		return
	}
	r.enter(0, "cleanup")
	r.last = true
	r.emit(Event{Kind: CleanupStarted, Text: fmt.Sprintf("%d to take back", len(undo))})
	if own {
		r.ownCleanup(ctx, rep)
	}
	for _, u := range undo {
		if err := r.takeBack(ctx, u); err != nil {
			left := fmt.Sprintf("%s: %s; by hand: %s", u.what(), r.why(ctx, err), u.byHand())
			rep.Left = append(rep.Left, left)
		}
	}
	rep.Cleanup.Log = r.leave()
	took := r.env.Now().Sub(rep.Cleanup.Started)
	rep.Cleanup.Seconds = took.Seconds()
	if len(rep.Left) > 0 {
		rep.Cleanup.Verdict, rep.Cleanup.Text = Failed, ErrLeft.Error()
	}
	r.emit(Event{Kind: CleanupEnded, Verdict: rep.Cleanup.Verdict, Text: rep.Cleanup.Text, Took: took, Left: rep.Left})
}

var (
	errAbandoned   = errors.New("the cleanup was abandoned")
	errCleanupTime = errors.New("the cleanup's time is over")
)

func (r *run) why(ctx context.Context, err error) string {
	if cause := context.Cause(ctx); cause != nil {
		return cause.Error()
	}
	return clean(err.Error())
}

// began says that a step was tried, so that the scenario's own cleanup has a sense.
func (r *run) began(rep *Report) bool {
	return slices.ContainsFunc(rep.Steps, func(s StepResult) bool { return s.Verdict != Skipped && s.Kind != KindRequire })
}

// pendingUndo is what there is to take back, the latest first.
func (r *run) pendingUndo() []*undo {
	var out []*undo
	for _, u := range slices.Backward(r.undo) {
		if !u.void {
			out = append(out, u)
		}
	}
	return out
}

// ownCleanup runs the scenario's cleanup steps; one that fails stops no other.
func (r *run) ownCleanup(ctx context.Context, rep *Report) {
	for i := range r.s.Cleanup {
		st := &r.s.Cleanup[i]
		r.say("%s", st.Name)
		var res StepResult
		if err := r.do(ctx, st, &res); err != nil {
			rep.Left = append(rep.Left, fmt.Sprintf("cleanup step %s: %s", st.Name, r.why(ctx, err)))
		}
	}
}

// takeBack undoes one change and waits until it is undone.
func (r *run) takeBack(ctx context.Context, u *undo) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if u.doubt {
		return fmt.Errorf("it is not known whether it was submitted, since no answer came")
	}
	if u.back.ID == action.Stop {
		return r.stopOwn(ctx, u)
	}
	plan, err := r.env.Actions.Plan(ctx, u.back, r.env.Feed.Latest())
	if err != nil || plan.Nothing != "" {
		return err
	}
	res, err := r.doPlan(ctx, plan)
	if err != nil {
		return err
	}
	return r.seen(ctx, plan, res.Eval)
}

// stopOwn stops and purges a job of this run and waits until it holds nothing.
func (r *run) stopOwn(ctx context.Context, u *undo) error {
	id := u.back.Job
	if r.purged(id) {
		return nil
	}
	// Interrupted just after a submit, the job may not have been seen yet.
	err := r.watch(ctx, dataFor, func(s *cluster.Snapshot) bool { return s.Job(id) != nil })
	if err != nil && !errors.Is(err, errLimit) && !errors.Is(err, errFeed) {
		return err
	}
	if r.env.Feed.Latest().Job(id) == nil {
		return fmt.Errorf("it was submitted, but never seen")
	}
	if err := r.letGo(ctx, id); err != nil {
		return err
	}
	plan, err := r.env.Actions.Plan(ctx, u.back, r.env.Feed.Latest())
	if err != nil {
		return err
	}
	res, err := r.doPlan(ctx, plan)
	if errors.Is(err, cluster.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.seen(ctx, plan, res.Eval)
}

// letGo stops a job, if it runs, and waits until it holds nothing. This comes
// before a purge: Nomad deletes the allocations of a purged job at once and
// tells nobody, so that what becomes of them could not be followed.
func (r *run) letGo(ctx context.Context, id cluster.JobID) error {
	snap := r.env.Feed.Latest()
	if !alive(snap, id) {
		return nil
	}
	plan, err := r.env.Actions.Plan(ctx, action.Request{ID: action.Stop, Job: id}, snap)
	if err != nil {
		return err
	}
	if plan.Nothing == "" {
		res, err := r.doPlan(ctx, plan)
		if err == nil {
			err = r.seen(ctx, plan, res.Eval)
		}
		if err != nil {
			return err
		}
	}
	err = r.watch(ctx, goneFor, func(s *cluster.Snapshot) bool { return held(s, id) == 0 })
	if errors.Is(err, errLimit) {
		return fmt.Errorf("stopped, but %s did not end within %s", plural(held(r.env.Feed.Latest(), id), "allocation"), goneFor)
	}
	return err
}

// purged says that a step of this run already made the scheduler forget the job.
func (r *run) purged(id cluster.JobID) bool {
	for _, u := range slices.Backward(r.undo) {
		if u.plan.Request.Job == id {
			return u.plan.ID == action.Stop && u.plan.Purge && u.made
		}
	}
	return false
}

// held counts a job's allocations that still hold something.
func held(s *cluster.Snapshot, id cluster.JobID) int {
	n := 0
	for i := range s.Allocs {
		if a := &s.Allocs[i]; a.Job == id && !a.Terminal() {
			n++
		}
	}
	return n
}
