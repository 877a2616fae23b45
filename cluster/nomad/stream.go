package nomad

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goccy/go-json"
	"github.com/hashicorp/nomad/api"
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
	// thing. Nomad 1.11 accepts every subscription, greets those that are
	// allowed at once, and says nothing at all to those that are denied.
	hello time.Duration
	// relist bounds how long a row that was collected as garbage lingers:
	// collecting makes no event.
	relist                time.Duration
	list                  time.Duration
	firstRetry, lastRetry time.Duration
	// block is how long a blocking query may wait for a change, again the least
	// time between two of them.
	block, again time.Duration
	token        time.Duration // between two looks at the token
	detail       time.Duration // before all of many nodes is read
}

func defaultTimings() timings {
	return timings{
		silent: 45 * time.Second, hello: 5 * time.Second, relist: 5 * time.Minute, list: 30 * time.Second,
		firstRetry: 500 * time.Millisecond, lastRetry: 10 * time.Second,
		block: 4 * time.Minute, again: time.Second, token: time.Minute, detail: time.Second,
	}
}

// class is what one kind of right lets a token read.
type class struct {
	source     string
	sets       cluster.Set
	topics     []string
	namespaced bool
	list       func(ctx context.Context, emit func(cluster.Update)) (index uint64, err error)
	// more reads, beside the stream, what can wait; nil where there is nothing.
	more func(ctx context.Context, emit func(cluster.Update))
}

func (c *Client) classes() []class {
	return []class{
		{"nomad", cluster.SetAll &^ cluster.SetNodes, []string{"Job", "Allocation", "Deployment", "Evaluation", "Service"}, true, c.listJobs, c.tasks},
		{"nomad/nodes", cluster.SetNodes, []string{"Node"}, false, c.listNodes, c.details},
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

// follow lists once and streams until the stream breaks. worked says that the
// stream said something. A nil error means that it is time to list again.
func (c *Client) follow(ctx context.Context, cl class, emit func(cluster.Update), alive func()) (worked bool, err error) {
	listCtx, cancel := context.WithTimeout(ctx, c.wait.list)
	index, err := cl.list(listCtx, emit)
	cancel()
	if errors.Is(err, cluster.ErrDenied) {
		emit(cluster.Update{Refused: cl.sets})
	}
	if err != nil {
		return false, err
	}
	alive()

	ctx, stop := context.WithTimeout(ctx, c.wait.relist)
	if cl.more != nil {
		var beside sync.WaitGroup
		beside.Go(func() { cl.more(ctx, emit) })
		defer beside.Wait()
	}
	defer stop()
	var heard atomic.Bool
	got := func(u cluster.Update, anything bool) {
		heard.Store(true)
		if anything {
			emit(u)
		}
		alive()
	}
	err = c.stream(ctx, cl, c.namespace, index, got)
	if errors.Is(err, cluster.ErrDenied) && cl.namespaced && c.namespace == api.AllNamespacesNamespace {
		err = c.streamEach(ctx, cl, index, got)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(err, errSpaces) {
		return true, nil
	}
	return heard.Load(), err
}

// errSpaces ends the streams of single namespaces when there are others.
var errSpaces = errors.New("the namespaces changed")

// streamEach follows each namespace by itself, for a token that may not read
// all of them: Nomad refuses "*" then, while its lists leave out what is
// denied. It ends with the first stream that breaks, and when the token may see
// other namespaces than before.
func (c *Client) streamEach(ctx context.Context, cl class, index uint64, got func(u cluster.Update, anything bool)) error {
	spaces, since, err := c.spaces(ctx, 0)
	if err != nil {
		return err
	}
	denied := make([]error, len(spaces))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, gctx := errgroup.WithContext(ctx)
	for i, space := range spaces {
		g.Go(func() error {
			err := c.stream(gctx, cl, space, index, got)
			if errors.Is(err, cluster.ErrDenied) {
				denied[i] = err
				return nil // the others may be allowed
			}
			return err
		})
	}
	var beside sync.WaitGroup
	changed := false
	beside.Go(func() {
		if changed = c.spacesChanged(gctx, since, slices.Clone(spaces)) == nil; changed {
			stop()
		}
	})
	err = g.Wait()
	stop()
	beside.Wait()
	switch {
	case changed:
		return errSpaces
	case err != nil:
		return err
	}
	return cmp.Or(slices.Concat(denied, []error{c.denied("no namespace can be read")})...)
}

func (c *Client) denied(text string) error {
	return &cluster.Fault{Kind: cluster.ErrDenied, Text: "nomad: " + text, Advice: "following needs the capability read-job in the namespace, and node:read for nodes"}
}

// stream follows one namespace from an index until the stream breaks.
func (c *Client) stream(ctx context.Context, cl class, namespace string, index uint64, got func(u cluster.Update, anything bool)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(c.wait.silent, cancel)
	defer watchdog.Stop()
	params := url.Values{"index": {strconv.FormatUint(index, 10)}, "topic": cl.topics}
	q := (&api.QueryOptions{Namespace: namespace}).WithContext(ctx)
	body, err := c.api.Raw().Response("/v1/event/stream?"+params.Encode(), q)
	if err != nil {
		return c.fault(err)
	}
	defer body.Close()
	watchdog.Reset(c.wait.hello)
	greeted := false
	err = c.read(body, func(u cluster.Update, anything bool) {
		greeted = true
		watchdog.Reset(c.wait.silent)
		got(u, anything)
	})
	if !greeted && ctx.Err() != nil { // it ended by our patience, not by a fault
		return c.denied("the event stream stays silent: permission denied")
	}
	if ctx.Err() != nil {
		err = errors.New("no heartbeat")
	}
	return &cluster.Fault{Kind: cluster.ErrUnreachable, Err: err, Text: fmt.Sprintf("lost nomad's event stream at %s: %s", c.address, cause(err))}
}

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

// read decodes one line after the other: a batch of events or an empty heartbeat.
func (c *Client) read(body io.Reader, got func(u cluster.Update, anything bool)) error {
	r := bufio.NewReaderSize(body, 64<<10)
	for {
		text, err := r.ReadBytes('\n')
		if len(text) == 0 && err != nil { // else what came before it counts
			return err
		}
		var line eventsJSON
		if err := json.Unmarshal(text, &line); err != nil {
			return err
		}
		got(c.update(&line), len(line.Events) > 0)
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
			u.Jobs = append(u.Jobs, p.Job.row(c.place))
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
