package wire

import (
	"context"
	"slices"
	"sync"
	"time"

	"stoker/cluster"
	"stoker/cluster/contexts"
)

// How long a Nomad has to tell its regions before the session begins without
// them, and how often it is asked then.
const (
	regionsFor   = 2 * time.Second
	regionsEvery = 5 * time.Second
)

// regions replaces each context that is about several regions of its Nomad by
// one for each of them. unknown says that a Nomad did not tell which these are:
// its context is there as it was.
func (w *wiring) regions(ctx context.Context, list []contexts.Context) (out []contexts.Context, unknown bool) {
	told := make([][]string, len(list))
	var asking sync.WaitGroup
	for i, c := range list {
		if c.Nomad.Region == contexts.EveryRegion {
			asking.Go(func() { told[i] = w.askRegions(ctx, c) })
		}
	}
	asking.Wait()
	for i, c := range list {
		names := c.Nomad.Regions
		if c.Nomad.Region == contexts.EveryRegion {
			names = told[i]
			unknown = unknown || len(names) == 0
		}
		if len(names) == 0 {
			out = append(out, c)
			continue
		}
		for i, name := range names {
			one := c.In(name)
			if i > 0 {
				one.Vault = contexts.Vault{} // there is one, and the first region shows it
			}
			out = append(out, one)
		}
	}
	return out, unknown
}

// askRegions are the regions that a Nomad knows; none when it does not tell.
func (w *wiring) askRegions(ctx context.Context, c contexts.Context) []string {
	nc, err := OpenNomad(cluster.Place{Cluster: c.Cluster()}, c, w.redactor)
	if err != nil {
		return nil // the session says it
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(ctx, regionsFor)
	defer cancel()
	names, err := nc.Regions(ctx)
	if err != nil {
		return nil
	}
	return names
}

// await asks until every Nomad told its regions, and shows those of each as soon
// as it does.
func (u *union) await(ctx context.Context, w *wiring, list []contexts.Context) {
	var was []contexts.Context
	for _, m := range u.all() {
		was = append(was, m.Context)
	}
	tick := time.NewTicker(w.regionsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, unknown := w.regions(ctx, list)
		if ctx.Err() != nil {
			return
		}
		if !slices.EqualFunc(now, was, func(a, b contexts.Context) bool { return a.Name == b.Name }) {
			u.become(ctx, w, now)
			was = now
		}
		if !unknown {
			return
		}
	}
}

// become goes over to other members; those that stay go on as they are.
func (u *union) become(ctx context.Context, w *wiring, list []contexts.Context) {
	old := map[string]*opened{}
	for _, m := range u.all() {
		old[m.Context.Name] = m
	}
	var members []*opened
	var feeds []*cluster.Feed
	for _, c := range list {
		m := old[c.Name]
		delete(old, c.Name)
		if m == nil {
			var err error
			if m, err = w.one(ctx, c, cluster.Named()); err != nil {
				continue // it was opened before, as another region
			}
		}
		members, feeds = append(members, m), append(feeds, m.feed)
	}
	u.mu.Lock()
	u.members = members
	u.mu.Unlock()
	u.feed.Set(feeds...)
	for _, m := range old {
		m.Close()
	}
}
