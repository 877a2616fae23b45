package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/hashicorp/nomad/nomad/structs"
)

// How long what fails by itself stays so. A node must be silent for longer than
// the servers wait for it.
const (
	nodeAway = 90 * time.Second
	gpuSick  = time.Minute
)

// churn lets things happen by themselves, so many a second.
type churn struct {
	fleet *fleet
	api   []*api.Client // one a server; any will do
	jobs  []ask
	runs  map[string]int // how often a batch job was submitted
	rand  *rand.Rand
}

// run goes on until ctx ends. Nothing that it cannot do matters: the next change
// comes anyway.
func (c *churn) run(ctx context.Context, rate float64) {
	if rate <= 0 {
		return
	}
	every := time.Duration(float64(time.Second) / rate)
	for pause(ctx, every/2+time.Duration(c.rand.Int64N(int64(every)+1))) {
		if err := c.change(ctx); err != nil {
			c.fleet.complain(ctx, c.fleet.nodes[0], "churn", err)
		}
	}
}

func (c *churn) change(ctx context.Context) error {
	// Machines fail far less often than jobs change.
	switch p := c.rand.Float64(); {
	case p < 0.42:
		return c.again(ctx)
	case p < 0.84:
		return c.scale()
	case p < 0.975:
		c.crash()
	case p < 0.995:
		c.sicken(ctx)
	default:
		c.flap(ctx)
	}
	return nil
}

// of picks a job of a type that is meant to run.
func (c *churn) of(typ string) (ask, bool) {
	for range 100 {
		if k := c.jobs[c.rand.IntN(len(c.jobs))]; k.typ == typ && !k.waits() {
			return k, true
		}
	}
	return ask{}, false
}

// each does something to the allocations of a job that run, until it returns false.
func (f *fleet) each(k ask, do func(n *node, a *alloc) bool) {
	for _, n := range f.nodes {
		n.mu.Lock()
		for _, a := range n.allocs {
			if a.job == k.id && a.namespace == k.namespace && a.status == structs.AllocClientStatusRunning && !do(n, a) {
				n.mu.Unlock()
				return
			}
		}
		n.mu.Unlock()
	}
}

// again ends a batch job, as when its work is done, and submits it anew.
func (c *churn) again(ctx context.Context) error {
	k, ok := c.of(api.JobTypeBatch)
	if !ok {
		return nil
	}
	c.fleet.each(k, func(n *node, a *alloc) bool {
		a.finish(n, 0)
		return true
	})
	c.runs[k.id]++
	k.run = c.runs[k.id]
	if !pause(ctx, time.Second) {
		return nil
	}
	return c.any(func(cl *api.Client) error {
		_, _, err := cl.Jobs().Register(k.job(), nil)
		return err
	})
}

// scale changes how many allocations a service has, by a few.
func (c *churn) scale() error {
	k, ok := c.of(api.JobTypeService)
	if !ok {
		return nil
	}
	count := max(1, k.count+c.rand.IntN(5)-2)
	return c.any(func(cl *api.Client) error {
		// Nomad refuses while the change before is under way: as good as another.
		_, _, err := cl.Jobs().Scale(k.id, k.group(), &count, "churn", false, nil, &api.WriteOptions{Namespace: k.namespace})
		if err != nil && strings.Contains(err.Error(), "active deployment") {
			return nil
		}
		return err
	})
}

// any asks one server after the other.
func (c *churn) any(do func(*api.Client) error) (err error) {
	for _, cl := range c.api {
		if err = do(cl); err == nil {
			return nil
		}
	}
	return err
}

// crash lets one task of a service fail: the scheduler starts another.
func (c *churn) crash() {
	if k, ok := c.of(api.JobTypeService); ok {
		c.fleet.each(k, func(n *node, a *alloc) bool {
			a.finish(n, 1)
			return false
		})
	}
}

// sicken lets a GPU fail for a while.
func (c *churn) sicken(ctx context.Context) {
	n := c.fleet.nodes[c.rand.IntN(len(c.fleet.nodes))]
	target := fmt.Sprintf("%s/%d", n.shape.name, c.rand.IntN(gpusPerNode))
	xid := []uint64{79, 48, 63, 94, 13, 31}[c.rand.IntN(6)]
	if c.fleet.inject(fault{Target: target, Kind: faultXid, Xid: xid}) == nil {
		c.later(ctx, gpuSick, func() { _ = c.fleet.clear(target) })
	}
}

// flap lets a node lose its network for a while.
func (c *churn) flap(ctx context.Context) {
	n := c.fleet.nodes[c.rand.IntN(len(c.fleet.nodes))]
	n.kill(false)
	c.later(ctx, nodeAway, func() { n.start(ctx) })
}

func (c *churn) later(ctx context.Context, d time.Duration, do func()) {
	go func() {
		if pause(ctx, d) {
			do()
		}
	}()
}
