package nomad

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"stoker/cluster"
)

// detailFetches bounds how many single jobs or services are asked for at once.
const detailFetches = 8

func pathEscape(s string) string { return url.PathEscape(s) }

func (c *Client) listNodes(ctx context.Context) (cluster.Update, error) {
	var rows []nodeJSON
	idx, err := c.get(ctx, "/v1/nodes", map[string]string{"resources": "true"}, &rows)
	if err != nil {
		return cluster.Update{}, err
	}
	u := cluster.Update{Lists: cluster.SetNodes, Index: idx}
	for i := range rows {
		u.Nodes = append(u.Nodes, rows[i].row(c.place))
	}
	return u, nil
}

// listJobs reads everything that lives in namespaces. The index is the lowest
// of the lists, so that streaming from it misses nothing.
func (c *Client) listJobs(ctx context.Context) (cluster.Update, error) {
	u := cluster.Update{Lists: cluster.SetAll &^ cluster.SetNodes}
	var mu sync.Mutex
	note := func(idx uint64, add func()) {
		mu.Lock()
		defer mu.Unlock()
		if u.Index == 0 || idx < u.Index {
			u.Index = idx
		}
		add()
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		rows, idx, err := c.jobs(ctx)
		note(idx, func() { u.Jobs = rows })
		return err
	})
	g.Go(func() error {
		var rows []allocJSON
		idx, err := c.get(ctx, "/v1/allocations", map[string]string{"resources": "true"}, &rows)
		note(idx, func() { u.Allocs = convert(rows, func(r *allocJSON) cluster.Alloc { return r.row(c.place) }) })
		return err
	})
	g.Go(func() error {
		var rows []deploymentJSON
		idx, err := c.get(ctx, "/v1/deployments", nil, &rows)
		note(idx, func() {
			u.Deployments = convert(rows, func(r *deploymentJSON) cluster.Deployment { return r.row(c.place) })
		})
		return err
	})
	g.Go(func() error {
		var rows []evalJSON
		idx, err := c.get(ctx, "/v1/evaluations", nil, &rows)
		note(idx, func() {
			u.Evaluations = convert(rows, func(r *evalJSON) cluster.Evaluation { return r.row(c.place) })
		})
		return err
	})
	g.Go(func() error {
		rows, idx, err := c.services(ctx)
		note(idx, func() { u.Services = rows })
		return err
	})
	return u, g.Wait()
}

func convert[J, R any](rows []J, row func(*J) R) []R {
	out := make([]R, len(rows))
	for i := range rows {
		out[i] = row(&rows[i])
	}
	return out
}

// jobs lists all jobs and reads the specification of those that live: the
// list alone does not say what GPUs a group asks for.
func (c *Client) jobs(ctx context.Context) ([]cluster.Job, uint64, error) {
	var stubs []jobJSON
	idx, err := c.get(ctx, "/v1/jobs", map[string]string{"meta": "true"}, &stubs)
	if err != nil {
		return nil, 0, err
	}
	out := convert(stubs, func(r *jobJSON) cluster.Job { return r.row(c.place) })
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(detailFetches)
	for i := range out {
		if out[i].Status == "dead" {
			continue
		}
		g.Go(func() error {
			var full jobJSON
			_, err := c.api.Raw().Query(jobPath(out[i].ID, ""), &full, c.query(ctx, out[i].ID.Namespace))
			if err = c.fault(err); errors.Is(err, cluster.ErrNotFound) {
				return nil // purged between the two questions
			}
			if err == nil {
				out[i] = full.row(c.place)
			}
			return err
		})
	}
	return out, idx, g.Wait()
}

// services lists all instances: the list names services, each is asked for its own.
func (c *Client) services(ctx context.Context) ([]cluster.Service, uint64, error) {
	var spaces []struct {
		Namespace string
		Services  []struct{ ServiceName string }
	}
	idx, err := c.get(ctx, "/v1/services", nil, &spaces)
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
				_, err := c.api.Raw().Query("/v1/service/"+pathEscape(s.ServiceName), &rows, c.query(ctx, space.Namespace))
				if err = c.fault(err); errors.Is(err, cluster.ErrNotFound) {
					return nil
				}
				mu.Lock()
				defer mu.Unlock()
				out = slices.AppendSeq(out, slices.Values(convert(rows, func(r *serviceJSON) cluster.Service { return r.row(c.place) })))
				return err
			})
		}
	}
	return out, idx, g.Wait()
}
