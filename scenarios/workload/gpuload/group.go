package gpuload

import (
	"errors"
	"sync"
	"time"
)

// Every is how often a Group reports.
const Every = 500 * time.Millisecond

// Reporter is one simulated GPU; stoker/gpu/sim/load has the real one.
type Reporter interface {
	Set(utilPercent float64, memoryBytes uint64) error
	Close() error
}

// Group reports to all GPUs of the task.
type Group struct {
	reporters []Reporter
	stop      chan struct{}
	done      sync.WaitGroup
}

// Start reports what read returns, percent and bytes, to every reporter now
// and then at each Every until Close. warn is told of the first failure only:
// load is a courtesy to the simulation, never a reason to fail the work.
func Start(reporters []Reporter, read func() (utilPercent float64, memoryBytes uint64), warn func(error)) *Group {
	g := &Group{reporters: reporters, stop: make(chan struct{})}
	if len(reporters) == 0 {
		return g
	}
	g.done.Go(func() {
		ticker := time.NewTicker(Every)
		defer ticker.Stop()
		warned := false
		for {
			if err := g.report(read); err != nil && !warned {
				warned = true
				warn(err)
			}
			select {
			case <-g.stop:
				return
			case <-ticker.C:
			}
		}
	})
	return g
}

func (g *Group) report(read func() (float64, uint64)) error {
	var errs []error
	for _, r := range g.reporters {
		errs = append(errs, r.Set(read()))
	}
	return errors.Join(errs...)
}

// Close stops reporting and releases the GPUs. It is called once.
func (g *Group) Close() error {
	close(g.stop)
	g.done.Wait()
	var errs []error
	for _, r := range g.reporters {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}
