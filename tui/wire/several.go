package wire

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/gpu"
	"stoker/jobs/action"
	"stoker/tui/cli"
)

// union is a session of several clusters: what one can answer alone goes to
// the one that it is about.
type union struct {
	feed *cluster.Union

	mu      sync.Mutex
	members []*opened
}

// several opens a session of each context, and makes one of them. Nobody waits
// for a cluster that does not answer. With unknown, a Nomad has yet to tell its
// regions.
func (w *wiring) several(ctx context.Context, list []contexts.Context, unknown bool) (*cli.Session, error) {
	u := &union{}
	var feeds []*cluster.Feed
	for _, c := range list {
		one, err := w.one(ctx, c, cluster.Named())
		if err != nil {
			u.close()
			return nil, err
		}
		u.members, feeds = append(u.members, one), append(feeds, one.feed)
	}
	common := together(list, u.members)
	u.feed = cluster.NewUnion(time.Now, feeds...)
	ctx, cancel := context.WithCancel(ctx)
	var run sync.WaitGroup
	run.Go(func() { _ = u.feed.Run(ctx) })
	if unknown {
		run.Go(func() { u.await(ctx, w, list) })
	}
	return &cli.Session{
		Context: common,
		Feed:    u.feed,
		Members: u.sessions,
		Actions: &action.Router{Of: u.runner, Each: u.runners},
		Logs:    u.logs,
		Raw:     u.raw,
		Past:    u.past,
		Look:    u.look,
		Ping:    u.ping,
		Close: sync.OnceFunc(func() {
			cancel()
			run.Wait() // from now on no member comes
			u.close()
		}),
	}, nil
}

// together is what several contexts have in common.
func together(list []contexts.Context, members []*opened) contexts.Context {
	out := contexts.Context{Named: true, Configured: true, ReadOnly: true, Nomad: contexts.Nomad{Namespace: list[0].Nomad.Namespace}}
	var names []string
	for i, c := range list {
		names = append(names, c.Name)
		out.Production = out.Production || c.Production
		out.ReadOnly = out.ReadOnly && members[i].Context.ReadOnly
		if c.Nomad.Namespace != out.Nomad.Namespace {
			out.Nomad.Namespace = ""
		}
	}
	out.Name = strings.Join(names, ",")
	return out
}

func (u *union) all() []*opened {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.members
}

func (u *union) close() {
	var all sync.WaitGroup
	for _, m := range u.all() {
		all.Go(m.Close)
	}
	all.Wait()
}

func (u *union) sessions() []*cli.Session {
	var out []*cli.Session
	for _, m := range u.all() {
		out = append(out, m.Session)
	}
	return out
}

func (u *union) runners() []*action.Runner {
	var out []*action.Runner
	for _, m := range u.all() {
		out = append(out, m.runner)
	}
	return out
}

func (u *union) of(p cluster.Place) *opened {
	for _, m := range u.all() {
		if m.place == p {
			return m
		}
	}
	return nil
}

func (u *union) runner(p cluster.Place) *action.Runner {
	if m := u.of(p); m != nil {
		return m.runner
	}
	return nil
}

func (u *union) logs(ctx context.Context, req cluster.LogRequest, emit func(cluster.LogLine)) error {
	if a := u.feed.Latest().Alloc(req.Alloc); a != nil {
		if m := u.of(a.Place); m != nil {
			return m.Logs(ctx, req, emit)
		}
	}
	return &cluster.Fault{Kind: cluster.ErrNotFound, Text: "there is no allocation " + req.Alloc.Short()}
}

func (u *union) raw(ctx context.Context, ref cluster.Ref) (string, error) {
	if m := u.of(ref.Place); m != nil {
		return m.Raw(ctx, ref)
	}
	return "", &cluster.Fault{Kind: cluster.ErrNotFound, Text: "there is no cluster " + ref.Cluster}
}

// past loads the past of a GPU into the snapshots of its cluster, and waits
// until those hold it: the next of the union's then do, too.
func (u *union) past(ctx context.Context, id gpu.UUID) error {
	g := u.feed.Latest().GPU(id)
	if g == nil {
		return nil
	}
	m := u.of(g.Place)
	if m == nil || m.Past == nil {
		return nil
	}
	rev := m.feed.Latest().Rev
	if err := m.Past(ctx, id); err != nil {
		return fmt.Errorf("%s: %w", m.Context.Name, err)
	}
	_, _ = m.Wait(ctx, closeFor, func(s *cluster.Snapshot) bool { return s.Rev > rev+1 })
	return nil
}

// look tells the cluster of a GPU that somebody opened it.
func (u *union) look(id gpu.UUID) {
	if g := u.feed.Latest().GPU(id); g != nil {
		if m := u.of(g.Place); m != nil && m.Look != nil {
			m.Look(id)
		}
	}
}

// ping is the error of the first that fails, where none answers.
func (u *union) ping(ctx context.Context) error {
	members := u.all()
	errs := make(chan error, len(members))
	for _, m := range members {
		go func() {
			err := m.Ping(ctx)
			if err != nil {
				err = fmt.Errorf("%s: %w", m.Context.Name, err)
			}
			errs <- err
		}()
	}
	var first error
	for range members {
		err := <-errs
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}
