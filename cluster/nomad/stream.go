package nomad

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"stoker/cluster"
)

// timings are the patience of Run.
type timings struct {
	// silent is how long a stream may say nothing: Nomad sends a heartbeat every
	// 30 seconds, so a longer silence is a dead connection. Nomad 1.11 also leaves
	// the connection open, in silence, when it ends a subscription.
	silent time.Duration
	// hello is how long a stream that was accepted may take to say the first
	// thing, early how long the first lists wait for that.
	hello, early time.Duration
	denial       time.Duration // how long it is believed that a stream is denied
	settled      time.Duration // from then on a stream that breaks is one that worked
	// relist bounds how long a row that was collected as garbage lingers:
	// collecting makes no event.
	relist                time.Duration
	ask                   time.Duration // for one answer
	firstRetry, lastRetry time.Duration
	// block is how long a blocking query may wait for a change, again the least
	// time between two of them.
	block, again time.Duration
	token        time.Duration // between two looks at the token
	detail       time.Duration // before all of many nodes is read
	// drawn is how long it takes to draw a fleet of which the allocations came.
	drawn time.Duration
}

func defaultTimings() timings {
	return timings{
		silent: 45 * time.Second, hello: 2 * time.Second, early: 500 * time.Millisecond, denial: 15 * time.Minute, settled: 5 * time.Second,
		relist: 5 * time.Minute, ask: 30 * time.Second,
		firstRetry: 500 * time.Millisecond, lastRetry: 10 * time.Second,
		block: 4 * time.Minute, again: time.Second, token: time.Minute, detail: time.Second, drawn: 250 * time.Millisecond,
	}
}

// class is what one kind of right lets a token read.
type class struct {
	source     string
	sets       cluster.Set
	topics     []string
	namespaced bool
	cheap      string // a list that needs the same right as the stream
	list       func(ctx context.Context, emit func(cluster.Update)) error
	// index asks for that of the list alone; nil where the class has several lists.
	index func(ctx context.Context) (uint64, error)
	// more reads, beside the stream, what can wait; nil where there is nothing.
	more func(ctx context.Context, emit func(cluster.Update))
}

func (c *Client) classes() []class {
	return []class{
		{"nomad", cluster.SetAll &^ cluster.SetNodes, []string{"Job", "Allocation", "Deployment", "Evaluation", "Service"}, true, "/v1/allocations", c.listJobs, nil, c.tasks},
		{"nomad/nodes", cluster.SetNodes, []string{"Node"}, false, "/v1/nodes", c.listNodes, c.nodesIndex, c.details},
	}
}

// Run lists and then follows everything, handing on what changes, until ctx
// ends. Its sources are called "nomad" (what lives in namespaces), "nomad/nodes",
// "nomad/token" while the token has an end, "pools", "namespaces" and "variables".
// Both functions are called from several goroutines.
func (c *Client) Run(ctx context.Context, emit func(cluster.Update), status func(cluster.SourceStatus)) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, cl := range c.classes() {
		g.Go(func() error { return c.keep(ctx, cl, emit, status) })
	}
	for _, w := range c.watches() {
		g.Go(func() error { return c.watch(ctx, w, emit, status) })
	}
	g.Go(func() error { return c.tokenLife(ctx, status) })
	return g.Wait()
}

// sayer tells the state of one source.
func (c *Client) sayer(source string, status func(cluster.SourceStatus)) func(cluster.SourceState, error, time.Time) {
	return func(state cluster.SourceState, err error, retry time.Time) {
		s := cluster.SourceStatus{Name: source, State: state, Retry: retry}
		if err != nil {
			s.Err = err.Error()
		} else {
			s.AsOf = c.now()
		}
		status(s)
	}
}

// failed tells of an error and returns how long to wait; wait grows.
func (c *Client) failed(say func(cluster.SourceState, error, time.Time), err error, wait *time.Duration) time.Duration {
	pause := *wait/2 + rand.N(*wait) //nolint:gosec // jitter
	state := cluster.SourceRetrying
	if errors.Is(err, cluster.ErrDenied) {
		state, pause = cluster.SourceDenied, c.wait.lastRetry
	}
	say(state, err, c.now().Add(pause))
	*wait = min(2**wait, c.wait.lastRetry)
	return pause
}

// keep follows one class for ever, listing again after each break.
func (c *Client) keep(ctx context.Context, cl class, emit func(cluster.Update), status func(cluster.SourceStatus)) error {
	say := c.sayer(cl.source, status)
	status(cluster.SourceStatus{Name: cl.source, State: cluster.SourceStarting})
	wait := c.wait.firstRetry
	for {
		worked, err := c.follow(ctx, cl, emit, func() { say(cluster.SourceLive, nil, time.Time{}) })
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if worked {
			wait = c.wait.firstRetry
		}
		if err == nil {
			continue // time to list again
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.failed(say, err, &wait)):
		}
	}
}

// follow subscribes, lists, and hands on what changes until a stream breaks. It
// subscribes first, or what happened between a list and a later subscription would
// be missed. worked says that it lasted. A nil error means that it is time to do
// it all again.
func (c *Client) follow(ctx context.Context, cl class, emit func(cluster.Update), alive func()) (worked bool, err error) {
	ctx, stop := context.WithTimeout(ctx, c.wait.relist)
	g, gctx := errgroup.WithContext(ctx)
	defer func() {
		stop()
		_ = g.Wait()
	}()
	var subs subscriptions
	var denied error
	subscribed := make(chan struct{})
	g.Go(func() error {
		defer close(subscribed)
		subs, denied = c.subscribe(gctx, cl)
		return nil
	})
	first := c.look(gctx, g, cl, emit)
	select {
	case <-subscribed:
	case <-time.After(c.wait.early): // to find out that one is denied takes seconds: who looks need not wait for that
		if err := first.orElse(func() error { return c.lists(gctx, cl, inPart(emit)) }); err != nil {
			return false, err
		}
		alive()
		<-subscribed
	}
	if denied != nil && !errors.Is(denied, cluster.ErrDenied) {
		return false, denied
	}
	held := &gate{}
	for _, s := range subs.open {
		g.Go(func() error {
			return s.read(func(u cluster.Update, anything bool) {
				held.pass(func() {
					if anything {
						emit(u)
					}
					alive()
				})
			})
		})
	}
	whole := emit
	if cl.namespaced && !subs.all {
		whole = inPart(emit)
	}
	if !first.stands(gctx, cl) {
		if err := c.lists(gctx, cl, whole); err != nil {
			if gctx.Err() != nil && ctx.Err() == nil { // a stream broke meanwhile: that is why
				err = g.Wait()
			}
			return false, err
		}
	}
	alive()
	listed := time.Now()
	if denied != nil {
		return false, denied
	}
	held.open()
	if cl.more != nil {
		g.Go(func() error { cl.more(gctx, whole); return nil })
	}
	if subs.spaces != nil {
		g.Go(func() error { return c.spacesChanged(gctx, subs.since, subs.spaces) })
		g.Go(func() error { return c.mayChanged(gctx) })
	}
	err = g.Wait()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(err, errSpaces) {
		return true, nil
	}
	return time.Since(listed) >= c.wait.settled, err
}

// lists lists once.
func (c *Client) lists(ctx context.Context, cl class, emit func(cluster.Update)) error {
	err := cl.list(ctx, emit)
	if errors.Is(err, cluster.ErrDenied) {
		emit(cluster.Update{Refused: cl.sets})
	}
	return err
}

// inPart marks lists from which namespaces may be missing.
func inPart(emit func(cluster.Update)) func(cluster.Update) {
	return func(u cluster.Update) {
		u.Partial = u.Lists &^ cluster.SetNodes
		emit(u)
	}
}

// gate holds back what streams tell until all is listed: before, it would be
// told as if it happened now.
type gate struct {
	mu     sync.Mutex
	opened bool
	held   []func()
}

func (g *gate) pass(tell func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened {
		tell()
		return
	}
	g.held = append(g.held, tell)
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, tell := range g.held {
		tell()
	}
	g.opened, g.held = true, nil
}

// errSpaces ends the streams of single namespaces when others may be read.
var errSpaces = errors.New("the namespaces changed")

type eventsJSON struct {
	Index  uint64
	Events []struct {
		Topic, Type, Key, Namespace string
		Index                       uint64
		Payload                     struct {
			Job        *jobJSON
			Deleted    bool
			Allocation *allocJSON
			Deployment *deploymentJSON
			Evaluation *evalJSON
			Node       *nodeJSON
			Service    *serviceJSON
		}
	}
}

func (c *Client) update(line *eventsJSON) cluster.Update {
	u := cluster.Update{Index: line.Index}
	for i := range line.Events {
		e := &line.Events[i]
		p := &e.Payload
		switch {
		case p.Job != nil && (p.Deleted || strings.HasSuffix(e.Type, "Deregistered") && p.Job.ModifyIndex < e.Index):
			// A job that is only stopped is written once more, at the event's index.
			u.GoneJobs = append(u.GoneJobs, cluster.JobID{Namespace: p.Job.Namespace, Name: p.Job.ID})
		case p.Job != nil:
			j := p.Job.row(c.place)
			c.specs.seen(&j)
			u.Jobs = append(u.Jobs, j)
		case p.Allocation != nil:
			u.Allocs = append(u.Allocs, p.Allocation.row(c.place))
		case p.Deployment != nil:
			u.Deployments = append(u.Deployments, p.Deployment.row(c.place))
		case p.Evaluation != nil:
			u.Evaluations = append(u.Evaluations, p.Evaluation.row(c.place))
		case p.Node != nil && e.Type == "NodeDeregistration":
			u.GoneNodes = append(u.GoneNodes, cluster.NodeID(p.Node.ID))
		case p.Node != nil:
			c.wholes.seen(cluster.NodeID(p.Node.ID), p.Node.ModifyIndex)
			u.Nodes = append(u.Nodes, p.Node.row(c.place))
		case p.Service != nil && e.Type == "ServiceDeregistration":
			u.GoneServices = append(u.GoneServices, cluster.ServiceID(p.Service.ID))
		case p.Service != nil:
			u.Services = append(u.Services, p.Service.row(c.place))
		}
	}
	return u
}
