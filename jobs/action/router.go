package action

import (
	"context"
	"errors"
	"fmt"

	"stoker/cluster"
)

// ErrSeveral refuses what has no target that says of which cluster it is.
var ErrSeveral = errors.New("several clusters are shown: choose one first")

// Router is a Runner for several clusters: each request goes to that of its
// target, with what that one says may be done.
type Router struct {
	// Of is the Runner of a cluster; nil for one that is not there.
	Of func(cluster.Place) *Runner
	// Each are all of them.
	Each func() []*Runner
}

// Allowed says whether the action may be done in any of the clusters; Plan says
// it of that of the target.
func (r *Router) Allowed(id ID) error {
	if id == Submit {
		return ErrSeveral
	}
	var err error
	for _, one := range r.Each() {
		if err = one.Allowed(id); err == nil {
			return nil
		}
	}
	return err
}

// Plan works out what the request would touch, in the cluster of its target.
func (r *Router) Plan(ctx context.Context, req Request, s *cluster.Snapshot) (Plan, error) {
	place, ok := where(&req, s)
	if !ok {
		return Plan{}, fmt.Errorf("%s: %w", req.ID, ErrSeveral)
	}
	one := r.Of(place)
	if one == nil {
		return Plan{}, fmt.Errorf("%w: there is no cluster %s", ErrUsage, s.Label(place))
	}
	if err := one.Allowed(req.ID); err != nil {
		return Plan{}, fmt.Errorf("%s: %w", s.Label(place), err)
	}
	p, err := one.Plan(ctx, req, s.Of(place))
	p.Of, p.Cluster = place, s.Label(place)
	return p, err
}

// Do carries a plan out in its cluster, and notes it there.
func (r *Router) Do(ctx context.Context, p Plan) (Result, error) {
	one := r.Of(p.Of)
	if one == nil {
		return Result{}, fmt.Errorf("%s: %w", p.Title, ErrSeveral)
	}
	res, err := one.Do(ctx, p)
	if res.Text != "" {
		res.Text = p.Cluster + ": " + res.Text
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", p.Cluster, err)
	}
	return res, err
}

// where is the cluster of a request's target.
func where(req *Request, s *cluster.Snapshot) (cluster.Place, bool) {
	if n := s.Node(req.Node); n != nil {
		return n.Place, true
	}
	return req.Job.Of, req.Job.Of != cluster.Place{}
}
