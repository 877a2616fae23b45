package action

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"stoker/cluster"
)

// Scheduler is what actions ask of the scheduler.
type Scheduler interface {
	Parse(ctx context.Context, f cluster.JobFile) (cluster.ParsedJob, error)
	Plan(ctx context.Context, j cluster.ParsedJob) (cluster.JobPlan, error)
	// Submit registers the job; it fails when the job changed since checkIndex.
	Submit(ctx context.Context, j cluster.ParsedJob, checkIndex uint64) (cluster.Submitted, error)
	Scale(ctx context.Context, id cluster.JobID, group string, count int) (cluster.Submitted, error)
	Stop(ctx context.Context, id cluster.JobID, purge bool) (cluster.Submitted, error)
	RestartAlloc(ctx context.Context, id cluster.AllocID) error
	Drain(ctx context.Context, id cluster.NodeID, deadline time.Duration) (cluster.Submitted, error)
	Undrain(ctx context.Context, id cluster.NodeID) (cluster.Submitted, error)
	Ineligible(ctx context.Context, id cluster.NodeID) (cluster.Submitted, error)
}

// Runner plans and does actions in one context.
type Runner struct {
	// Place is its cluster: a plan of another is refused. Zero takes any.
	Place      cluster.Place
	Scheduler  Scheduler
	Rights     Rights // nil: the scheduler alone knows
	Audit      *Audit // nil writes none
	ReadOnly   bool
	Production bool // the context is marked so: names must be typed
	Now        func() time.Time
}

// Allowed says whether the action may be done at all; the error says why not.
func (r *Runner) Allowed(id ID) error {
	if r.ReadOnly {
		return ErrReadOnly
	}
	return r.lacking(id, "")
}

// Plan works out what the request would touch. It changes nothing.
func (r *Runner) Plan(ctx context.Context, req Request, s *cluster.Snapshot) (Plan, error) {
	def, ok := Lookup(req.ID)
	if !ok {
		return Plan{}, fmt.Errorf("%w: unknown action %q", ErrUsage, req.ID)
	}
	p := Plan{Request: req, Danger: def.Danger, Of: r.Place}
	var err error
	switch req.ID {
	case Submit:
		err = r.planSubmit(ctx, &p, s)
	case Scale:
		err = planScale(&p, s)
	case Restart:
		err = planRestart(&p, s)
	case Stop:
		err = planStop(&p, s)
	case Drain:
		err = planDrain(&p, s)
	case Undrain:
		err = planUndrain(&p, s)
	case Ineligible:
		err = planIneligible(&p, s)
	}
	if err != nil {
		return Plan{}, err
	}
	p.Refused = r.lacking(p.ID, p.Request.Job.Namespace)
	r.guard(&p)
	return p, nil
}

// guard asks for the name where one yes is too easy.
func (r *Runner) guard(p *Plan) {
	if p.Nothing != "" {
		return
	}
	many := p.Danger && max(len(p.Touches), p.taken) > 1
	if many || r.Production {
		p.Ask = target(p)
	}
}

// target is the name of what the plan is about, as the audit file and the
// confirmation know it.
func target(p *Plan) string {
	switch {
	case p.ID == Submit && p.Job != nil:
		return p.Job.Job.ID.Name
	case p.Node != "":
		return cmp.Or(p.NodeName, string(p.Node))
	}
	return p.Request.Job.Name
}

// Do carries a plan out and writes its audit line. What cannot be noted is not done.
func (r *Runner) Do(ctx context.Context, p Plan) (Result, error) {
	if err := r.Allowed(p.ID); err != nil {
		return Result{}, err
	}
	if (r.Place != cluster.Place{}) && p.Of != r.Place {
		return Result{}, fmt.Errorf("%s: %w", p.Title, ErrElsewhere)
	}
	if p.Nothing != "" {
		return Result{}, fmt.Errorf("%w: %s", ErrNothing, p.Nothing)
	}
	if p.Refused != nil {
		return Result{}, fmt.Errorf("%s: %w", p.Title, p.Refused)
	}
	if err := r.Audit.Ready(); err != nil {
		return Result{}, fmt.Errorf("%s: %w", p.Title, err)
	}
	res, err := r.do(ctx, p)
	if err != nil {
		if p.ID != Restart { // which may have done a part
			res = Result{}
		}
		err = fmt.Errorf("%s: %w", p.Title, needing(p.ID, err))
	}
	if auditErr := r.Audit.write(r.Now(), p, res, err); auditErr != nil {
		what := "the change was made, but not noted in the audit file"
		if err != nil {
			what = "this is not noted in the audit file"
		}
		return res, errors.Join(err, fmt.Errorf("%s: %w", what, auditErr))
	}
	return res, err
}

func (r *Runner) do(ctx context.Context, p Plan) (Result, error) {
	switch p.ID {
	case Submit:
		sub, err := r.Scheduler.Submit(ctx, p.Job.Job, p.Job.CheckIndex)
		return result(p.Job.Job.ID, "submitted", sub), err
	case Scale:
		sub, err := r.Scheduler.Scale(ctx, p.Request.Job, p.Group, p.Count)
		return result(p.Request.Job, fmt.Sprintf("scaled %s to %d", p.Group, p.Count), sub), err
	case Stop:
		sub, err := r.Scheduler.Stop(ctx, p.Request.Job, p.Purge)
		return result(p.Request.Job, stopped(&p), sub), err
	case Restart:
		return r.restart(ctx, p)
	case Drain:
		sub, err := r.Scheduler.Drain(ctx, p.Node, p.Deadline)
		return Result{Text: "draining " + target(&p), Eval: sub.Eval}, err
	case Undrain:
		sub, err := r.Scheduler.Undrain(ctx, p.Node)
		return Result{Text: target(&p) + " takes work again", Eval: sub.Eval}, err
	case Ineligible:
		sub, err := r.Scheduler.Ineligible(ctx, p.Node)
		return Result{Text: target(&p) + " takes no new work", Eval: sub.Eval}, err
	}
	return Result{}, fmt.Errorf("%w: unknown action %q", ErrUsage, p.ID)
}

// stopped is what became of a job; one that is forgotten was often stopped before.
func stopped(p *Plan) string {
	runs := slices.ContainsFunc(p.Touches, func(t Touch) bool { return t.Kind == "alloc" })
	switch {
	case !p.Purge:
		return "stopped"
	case runs:
		return "stopped and forgotten"
	}
	return "forgotten"
}

func result(id cluster.JobID, what string, sub cluster.Submitted) Result {
	text := fmt.Sprintf("job %s %s", id, what)
	if sub.Eval != "" {
		text += ", evaluation " + sub.Eval.Short()
	}
	return Result{Text: text, Eval: sub.Eval, Job: id}
}

// restart takes one allocation after the other, so that the rest keeps serving.
func (r *Runner) restart(ctx context.Context, p Plan) (Result, error) {
	res := Result{Job: p.Request.Job}
	for i, id := range p.allocs {
		if err := r.Scheduler.RestartAlloc(ctx, id); err != nil {
			res.Text = fmt.Sprintf("restarted %d of %s of %s", i, count(len(p.allocs), "allocation"), p.Request.Job)
			return res, fmt.Errorf("after %d of %s: %w", i, count(len(p.allocs), "allocation"), err)
		}
	}
	res.Text = fmt.Sprintf("restarted %s of %s", count(len(p.allocs), "allocation"), p.Request.Job)
	return res, nil
}
