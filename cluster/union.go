package cluster

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Union is a Feed of several clusters: its snapshots are merged from the latest
// of each. What one member does not tell, the others do not wait for.
type Union struct {
	now func() time.Time
	outlet

	guard   sync.Mutex
	members []*Feed
	moved   chan struct{} // the members are others
}

// NewUnion makes a Union of Feeds that are Named and run by the caller. Call
// Run to start it.
func NewUnion(now func() time.Time, members ...*Feed) *Union {
	u := &Union{now: now, members: members, moved: make(chan struct{}, 1)}
	u.latest.Store(new(merger).merge(u.parts()))
	u.latest.Load().Rev = 0 // nothing was published yet
	return u
}

// Set replaces the clusters by others, some of which may be the same.
func (u *Union) Set(feeds ...*Feed) {
	u.guard.Lock()
	u.members = slices.Clone(feeds)
	u.guard.Unlock()
	nudge(u.moved)
}

func (u *Union) feeds() []*Feed {
	u.guard.Lock()
	defer u.guard.Unlock()
	return u.members
}

func (u *Union) parts() []*Snapshot {
	var out []*Snapshot
	for _, f := range u.feeds() {
		out = append(out, f.Latest())
	}
	return out
}

// mergeShare bounds what merging may take of a core: after a merge that took
// long, the next waits for so many times as long.
const mergeShare = 10

// Run merges until ctx ends: the first change at once, then at most ten times a
// second.
func (u *Union) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var followers sync.WaitGroup
	defer func() {
		cancel() // the followers' contexts end with this one
		followers.Wait()
		u.finish()
	}()
	changed := make(chan struct{}, 1)
	leave := func() {}
	follow := func() {
		leave()
		sub, stop := context.WithCancel(ctx)
		leave = stop
		for _, f := range u.feeds() {
			followers.Go(func() { tell(sub, f, changed) })
		}
	}
	follow()
	var m merger
	var last time.Time
	var took time.Duration
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-u.moved:
			follow()
			nudge(changed)
			continue
		case <-changed:
			if due != nil {
				continue
			}
			if wait := max(publishEvery, mergeShare*took) - u.now().Sub(last); wait > 0 {
				due = time.After(wait)
				continue
			}
		case <-due:
			due = nil
		}
		last = u.now()
		s := m.merge(u.parts())
		took = u.now().Sub(last)
		u.publish(s)
	}
}

// tell says of each new snapshot of a Feed that there is one.
func tell(ctx context.Context, f *Feed, changed chan<- struct{}) {
	ch, stop := f.Subscribe()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, open := <-ch:
			if !open {
				return
			}
			nudge(changed)
		}
	}
}

func nudge(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
