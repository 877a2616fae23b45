package scenarios

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"stoker/cluster"
	"stoker/jobs/action"
)

// change plans and does what a step asks for, and notes how to take it back.
func (r *run) change(ctx context.Context, st *Step) error {
	var req action.Request
	err := r.known(ctx, func(w *sight) (err error) {
		req, err = r.request(st, w)
		return err
	})
	if err != nil {
		return err
	}
	snap := r.env.Feed.Latest()
	plan, err := r.env.Actions.Plan(ctx, req, snap)
	if err != nil {
		return err
	}
	if plan.Nothing != "" {
		r.say("nothing to do: %s", plan.Nothing)
		return nil
	}
	if err := r.foreign(snap, &plan); err != nil {
		return err
	}
	if plan.ID == action.Stop && plan.Purge {
		if err := r.letGo(ctx, plan.Request.Job); err != nil {
			return err
		}
	}
	for _, w := range plan.Warnings {
		r.say("warning: %s", w)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	taken := r.note(snap, &plan)
	res, err := r.doPlan(ctx, plan)
	if err != nil {
		taken.refused(res, err)
		return err
	}
	taken.made = true
	return r.seen(ctx, plan, res.Eval)
}

// doPlan does not let an interrupt cut a change in two: whether it was made
// must be known to take it back.
func (r *run) doPlan(ctx context.Context, plan action.Plan) (action.Result, error) {
	if !r.last {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, changeFor)
	defer cancel()
	res, err := r.env.Actions.Do(ctx, plan)
	if res.Text != "" && err == nil {
		r.say("%s", res.Text)
	}
	return res, err
}

// seen waits until the snapshots hold what the scheduler made of a change.
// Without it the next step could be judged by what was true before.
func (r *run) seen(ctx context.Context, p action.Plan, id cluster.EvalID) error {
	err := r.watch(ctx, seenFor, func(s *cluster.Snapshot) bool { return decided(s, id) && effective(s, &p) })
	if errors.Is(err, errLimit) {
		return fmt.Errorf("%w: %s: the change was sent, but what the scheduler made of it was not seen within %s", ErrInconclusive, p.Title, seenFor)
	}
	return err
}

// decided says that the scheduler has worked on a change. Not all changes have
// an evaluation.
func decided(s *cluster.Snapshot, id cluster.EvalID) bool {
	for i := range s.Evaluations {
		if e := &s.Evaluations[i]; e.ID == id {
			return e.Status != "pending"
		}
	}
	return id == ""
}

// effective says that the thing itself shows the change.
func effective(s *cluster.Snapshot, p *action.Plan) bool {
	switch p.ID {
	case action.Ineligible:
		n := s.Node(p.Node)
		return n == nil || !n.Eligible
	case action.Drain, action.Undrain:
		n := s.Node(p.Node)
		return n == nil || (!n.Draining && n.Eligible) == (p.ID == action.Undrain)
	case action.Scale:
		return groupCount(s, p) == p.Count
	}
	return true
}

// request fills the step's operands in.
func (r *run) request(st *Step, w *sight) (action.Request, error) {
	c := st.change
	req := action.Request{ID: action.ID(st.Kind), Purge: c.purge, Deadline: c.deadline}
	var text string
	var err error
	if st.Kind == KindSubmit {
		req.File, err = r.file(c, w)
		return req, err
	}
	if c.job != nil {
		if text, err = c.job.render(w); err != nil {
			return req, fmt.Errorf("job: %w", err)
		}
		req.Job = jobID(text)
	}
	if c.group != nil {
		if req.Group, err = c.group.render(w); err != nil {
			return req, fmt.Errorf("group: %w", err)
		}
	}
	if c.count != nil {
		if text, err = c.count.render(w); err != nil {
			return req, fmt.Errorf("count: %w", err)
		}
		if req.Count, err = strconv.Atoi(text); err != nil {
			return req, fmt.Errorf("count: %q is no whole number", text)
		}
	}
	if c.node != nil {
		if text, err = c.node.render(w); err != nil {
			return req, fmt.Errorf("node: %w", err)
		}
		req.Node, err = nodeID(w.snap, text)
	}
	return req, err
}

func nodeID(s *cluster.Snapshot, name string) (cluster.NodeID, error) {
	var found []cluster.NodeID
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Name == name || string(n.ID) == name {
			found = append(found, n.ID)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%d nodes are called %q", len(found), name)
	}
	return found[0], nil
}

// file renders the pack: the context's values, and over them the step's.
func (r *run) file(c *change, w *sight) (cluster.JobFile, error) {
	p, err := r.env.Packs.Find(c.pack)
	if err != nil {
		return cluster.JobFile{}, err
	}
	given := map[string]string{}
	for _, v := range c.vars {
		if given[v.name], err = v.value.render(w); err != nil {
			return cluster.JobFile{}, fmt.Errorf("variable %s: %w", v.name, err)
		}
	}
	f, err := p.Render(p.With(r.env.PackVars, given))
	if err != nil {
		return f, fmt.Errorf("pack %s: %w", p.Name, err)
	}
	return f, nil
}

// foreign refuses to submit over a job that somebody else runs.
func (r *run) foreign(s *cluster.Snapshot, p *action.Plan) error {
	if p.ID != action.Submit || r.owns(p.Request.Job) || !alive(s, p.Request.Job) {
		return nil
	}
	return fmt.Errorf("job %s runs already, and this run did not start it: nothing was changed; wait for its end, or stop it with stoker stop %s",
		p.Request.Job, p.Request.Job)
}

func (r *run) owns(id cluster.JobID) bool {
	for _, u := range r.undo {
		if u.plan.ID == action.Submit && u.plan.Request.Job == id && !u.void {
			return true
		}
	}
	return false
}

// undo is how to take one change back.
type undo struct {
	plan  action.Plan
	back  action.Request
	made  bool // the scheduler took it
	void  bool // there is nothing to take back
	doubt bool // the scheduler's answer never came
}

// note remembers a change before it is made. Restart and stop cannot be taken
// back; a job of this run that is scaled is stopped anyway.
func (r *run) note(s *cluster.Snapshot, p *action.Plan) *undo {
	u := &undo{plan: *p}
	switch {
	case p.ID == action.Submit && !r.owns(p.Request.Job):
		u.back = action.Request{ID: action.Stop, Job: p.Request.Job, Purge: true}
	case p.ID == action.Drain || p.ID == action.Ineligible:
		u.back = action.Request{ID: action.Undrain, Node: p.Node}
	case p.ID == action.Scale && !r.owns(p.Request.Job):
		u.back = action.Request{ID: action.Scale, Job: p.Request.Job, Group: p.Group, Count: groupCount(s, p)}
	default:
		u.void = true
	}
	r.undo = append(r.undo, u)
	return u
}

func groupCount(s *cluster.Snapshot, p *action.Plan) int {
	if j := s.Job(p.Request.Job); j != nil {
		for _, g := range j.Groups {
			if g.Name == p.Group {
				return g.Count
			}
		}
	}
	return p.Count
}

// refused decides, after an error, whether the change may have been made.
func (u *undo) refused(res action.Result, err error) {
	if res.Eval != "" {
		return // it was made; only noting it failed
	}
	for _, kind := range []error{cluster.ErrConflict, cluster.ErrDenied, cluster.ErrNotFound, action.ErrReadOnly, action.ErrNothing} {
		if errors.Is(err, kind) {
			u.void = true
			return
		}
	}
	u.doubt = u.plan.ID == action.Submit
}

// what names the change for a message.
func (u *undo) what() string {
	switch u.back.ID {
	case action.Stop:
		return "job " + u.back.Job.String()
	case action.Scale:
		return fmt.Sprintf("scale of %s.%s", u.back.Job, u.back.Group)
	}
	return "the state of node " + u.plan.NodeName
}

// byHand is the command that does what the cleanup could not.
func (u *undo) byHand() string {
	switch u.back.ID {
	case action.Stop:
		return "stoker stop --purge " + u.back.Job.String()
	case action.Scale:
		return fmt.Sprintf("stoker scale --group %s %s %d", u.back.Group, u.back.Job, u.back.Count)
	}
	return "stoker drain --off " + u.plan.NodeName
}

// goneFor is how long a job that was stopped may take until it holds nothing.
const goneFor = time.Minute
