package nomad

import (
	"context"
	"errors"
	"io"
	"net/url"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"stoker/cluster"
)

// detailFetches bounds how many single jobs or services are asked for at once.
const detailFetches = 8

func pathEscape(s string) string { return url.PathEscape(s) }

// listNodes emits all nodes.
func (c *Client) listNodes(ctx context.Context, emit func(cluster.Update)) error {
	defer c.turns.nodes.done()
	nodes, idx, err := list(ctx, c, "/v1/nodes", map[string]string{"resources": "true"}, func(r *nodeJSON) cluster.Node { return r.row(c.place) })
	if err != nil {
		return err
	}
	c.wholes.list(nodes)
	emit(cluster.Update{Lists: cluster.SetNodes, Index: idx, Nodes: nodes})
	return nil
}

// nodesIndex is the index of the list of nodes.
func (c *Client) nodesIndex(ctx context.Context) (uint64, error) {
	_, idx, err := list(ctx, c, "/v1/nodes", map[string]string{"per_page": "1"}, func(*struct{}) struct{} { return struct{}{} })
	return idx, err
}

// list reads a whole list, or says that it takes too long. Each list has the
// index of its own table: taken together they would not say what a row that is
// missing means. A table that was never written has index 0, which here would
// mean that none was given.
func list[J, R any](ctx context.Context, c *Client, path string, params map[string]string, row func(*J) R) (rows []R, index uint64, err error) {
	return listWithin(ctx, c.wait.ask, c, path, params, row)
}

func listWithin[J, R any](ctx context.Context, most time.Duration, c *Client, path string, params map[string]string, row func(*J) R) (rows []R, index uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	index, err = c.ask(ctx, c.namespace, path, params, func(body io.Reader) error {
		rows, err = rowsOf(body, row)
		return err
	})
	return rows, max(index, 1), err
}

// listJobs emits everything that lives in namespaces, each list as it comes,
// from several goroutines.
//
// The first time, what the first screen needs comes first: jobs by name beside the
// nodes, then allocations, then the rest. Early leaves the story of tasks out of these, which
// is more than half of the answer on a large fleet; tasks brings it later.
func (c *Client) listJobs(ctx context.Context, emit func(cluster.Update)) error {
	early := c.early && !c.listed.Load()
	over := c.turns.allocs.done
	if early { // what comes next can wait until what there is was drawn
		over = func() { time.AfterFunc(c.wait.drawn, c.turns.allocs.done) }
	}
	lists := []func(context.Context) (cluster.Update, error){
		func(ctx context.Context) (u cluster.Update, err error) {
			u.Jobs, u.Index, err = c.jobs(ctx, emit)
			u.Lists = cluster.SetJobs
			return u, err
		},
		func(ctx context.Context) (cluster.Update, error) {
			defer over()
			c.turns.nodes.wait(ctx)
			return c.allocs(ctx, !early)
		},
		func(ctx context.Context) (cluster.Update, error) {
			c.turns.nodes.wait(ctx)
			rows, idx, err := list(ctx, c, "/v1/deployments", nil, func(r *deploymentJSON) cluster.Deployment { return r.row(c.place) })
			return cluster.Update{Lists: cluster.SetDeployments, Index: idx, Deployments: rows}, err
		},
		func(ctx context.Context) (cluster.Update, error) {
			c.turns.nodes.wait(ctx)
			rows, idx, err := list(ctx, c, "/v1/evaluations", nil, func(r *evalJSON) cluster.Evaluation { return r.row(c.place) })
			return cluster.Update{Lists: cluster.SetEvaluations, Index: idx, Evaluations: rows}, err
		},
		func(ctx context.Context) (u cluster.Update, err error) {
			c.turns.allocs.wait(ctx)
			u.Services, u.Index, err = c.services(ctx)
			u.Lists = cluster.SetServices
			return u, err
		},
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, list := range lists {
		g.Go(func() error {
			u, err := list(ctx)
			if err == nil {
				emit(u)
			}
			return err
		})
	}
	err := g.Wait()
	if err == nil {
		c.listed.Store(true)
	}
	return err
}

// allocs lists all allocations, with or without what their tasks went through.
func (c *Client) allocs(ctx context.Context, tasks bool) (cluster.Update, error) {
	u := cluster.Update{Lists: cluster.SetAllocs}
	params := map[string]string{"resources": "true"}
	if !tasks {
		params["task_states"] = "false"
	}
	var err error
	u.Allocs, u.Index, err = list(ctx, c, "/v1/allocations", params, func(r *allocJSON) cluster.Alloc { return r.row(c.place) })
	if !tasks {
		for i := range u.Allocs {
			for k := range u.Allocs[i].Tasks {
				u.Allocs[i].Tasks[k].State = "" // it is not known
			}
		}
	}
	return u, err
}

// tasks brings what the first list of allocations left out.
func (c *Client) tasks(ctx context.Context, emit func(cluster.Update)) {
	if !c.early || c.told.Load() {
		return
	}
	if u, err := c.allocs(ctx, true); err == nil {
		emit(u)
		c.told.Store(true)
	}
}

// jobs lists all jobs and reads the specification of those that live: the
// list alone does not say what GPUs a group asks for. What it does say is
// emitted at once.
func (c *Client) jobs(ctx context.Context, emit func(cluster.Update)) ([]cluster.Job, uint64, error) {
	out, idx, err := list(ctx, c, "/v1/jobs", map[string]string{"meta": "true"}, func(r *jobJSON) cluster.Job { return r.row(c.place) })
	if err != nil {
		return nil, 0, err
	}
	for i := range out {
		out[i].Version = cluster.UnknownVersion // a list does not tell it
	}
	todo := c.specs.complete(out)
	if len(todo) > detailFetches { // fewer are read in no time
		emit(cluster.Update{Index: idx, Jobs: slices.Clone(out)})
		c.turns.allocs.wait(ctx)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(detailFetches)
	for _, i := range todo {
		g.Go(func() error {
			var full jobJSON
			_, err := c.getIn(ctx, out[i].ID.Namespace, jobPath(out[i].ID, ""), nil, &full)
			if errors.Is(err, cluster.ErrNotFound) || errors.Is(err, cluster.ErrDenied) {
				return nil // purged between the two questions, or the token may list it and no more
			}
			if err == nil {
				out[i] = full.row(c.place)
				c.specs.seen(&out[i])
			}
			return err
		})
	}
	return out, idx, g.Wait()
}

// specs remembers the jobs that were read whole: one that has not changed since
// need not be read again.
type specs struct {
	mu    sync.Mutex
	known map[cluster.JobID]cluster.Job
}

func (s *specs) seen(j *cluster.Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was, ok := s.known[j.ID]; ok && was.ModifyIndex > j.ModifyIndex {
		return
	}
	if s.known == nil {
		s.known = map[cluster.JobID]cluster.Job{}
	}
	s.known[j.ID] = *j
}

// complete puts what is known in the place of listed rows that say no more than
// that, forgets what is not listed, and returns which of those that live are to
// be read.
func (s *specs) complete(rows []cluster.Job) (todo []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := make(map[cluster.JobID]cluster.Job, len(s.known))
	for i := range rows {
		j := &rows[i]
		if was, ok := s.known[j.ID]; ok {
			kept[j.ID] = was
			if was.ModifyIndex == j.ModifyIndex {
				*j = was
				continue
			}
		}
		if j.Status != "dead" {
			todo = append(todo, i)
		}
	}
	s.known = kept
	return todo
}

// services lists all instances: the list names services, each is asked for its own.
func (c *Client) services(ctx context.Context) ([]cluster.Service, uint64, error) {
	type space struct {
		Namespace string
		Services  []struct{ ServiceName string }
	}
	spaces, idx, err := list(ctx, c, "/v1/services", nil, func(s *space) space { return *s })
	if err != nil {
		return nil, 0, err
	}
	var mu sync.Mutex
	var out []cluster.Service
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(detailFetches)
	for _, space := range spaces {
		for _, s := range space.Services {
			g.Go(func() error {
				var rows []serviceJSON
				_, err := c.getIn(ctx, space.Namespace, "/v1/service/"+pathEscape(s.ServiceName), nil, &rows)
				if errors.Is(err, cluster.ErrNotFound) {
					return nil
				}
				mu.Lock()
				defer mu.Unlock()
				for i := range rows {
					out = append(out, rows[i].row(c.place))
				}
				return err
			})
		}
	}
	return out, idx, g.Wait()
}
