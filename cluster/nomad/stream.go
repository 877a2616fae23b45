package nomad

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"stoker/cluster"
)

const (
	// silentAfter is how long a stream may say nothing: Nomad sends a heartbeat
	// every 30 seconds, so a longer silence is a dead connection.
	silentAfter = 75 * time.Second
	// relistEvery bounds how long a row that was collected as garbage lingers:
	// collecting makes no event.
	relistEvery = 5 * time.Minute
	listTimeout = 30 * time.Second
	firstRetry  = 500 * time.Millisecond
	lastRetry   = 10 * time.Second
)

// class is what one kind of right lets a token read.
type class struct {
	source string
	sets   cluster.Set
	topics []string
	list   func(context.Context) (cluster.Update, error)
}

func (c *Client) classes() []class {
	return []class{
		{"nomad", cluster.SetAll &^ cluster.SetNodes, []string{"Job", "Allocation", "Deployment", "Evaluation", "Service"}, c.listJobs},
		{"nomad/nodes", cluster.SetNodes, []string{"Node"}, c.listNodes},
	}
}

// Run lists and then follows everything, handing on what changes, until ctx
// ends. Its sources are called "nomad" (what lives in namespaces) and "nomad/nodes".
func (c *Client) Run(ctx context.Context, emit func(cluster.Update), status func(cluster.SourceStatus)) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, cl := range c.classes() {
		g.Go(func() error { return c.keep(ctx, cl, emit, status) })
	}
	return g.Wait()
}

// keep follows one class for ever, listing again after each break.
func (c *Client) keep(ctx context.Context, cl class, emit func(cluster.Update), status func(cluster.SourceStatus)) error {
	say := func(state cluster.SourceState, err error, retry time.Time) {
		s := cluster.SourceStatus{Name: cl.source, State: state, Retry: retry}
		if err != nil {
			s.Err = err.Error()
		} else {
			s.AsOf = c.now()
		}
		status(s)
	}
	status(cluster.SourceStatus{Name: cl.source, State: cluster.SourceStarting})
	wait := firstRetry
	for {
		worked, err := c.follow(ctx, cl, emit, func() { say(cluster.SourceLive, nil, time.Time{}) })
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if worked {
			wait = firstRetry
		}
		if err == nil {
			continue // time to list again
		}
		pause := wait/2 + rand.N(wait) //nolint:gosec // jitter
		state := cluster.SourceRetrying
		if errors.Is(err, cluster.ErrDenied) {
			state, pause = cluster.SourceDenied, lastRetry
			emit(cluster.Update{Lists: cl.sets}) // nothing is all that may be seen
		}
		say(state, err, c.now().Add(pause))
		wait = min(2*wait, lastRetry)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// follow lists once and streams until the stream breaks. worked says that the
// list was read. A nil error means that it is time to list again.
func (c *Client) follow(ctx context.Context, cl class, emit func(cluster.Update), alive func()) (worked bool, err error) {
	listCtx, cancel := context.WithTimeout(ctx, listTimeout)
	u, err := cl.list(listCtx)
	cancel()
	if err != nil {
		return false, err
	}
	emit(u)
	alive()

	ctx, stop := context.WithTimeout(ctx, relistEvery)
	defer stop()
	params := url.Values{"index": {strconv.FormatUint(u.Index, 10)}, "topic": cl.topics}
	q := (&api.QueryOptions{Namespace: c.namespace}).WithContext(ctx)
	body, err := c.api.Raw().Response("/v1/event/stream?"+params.Encode(), q)
	if err != nil {
		return true, c.fault(err)
	}
	defer body.Close()
	watchdog := time.AfterFunc(silentAfter, func() { _ = body.Close() })
	defer watchdog.Stop()

	err = c.read(body, func(u cluster.Update, any bool) {
		watchdog.Reset(silentAfter)
		if any {
			emit(u)
		}
		alive()
	})
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return true, nil
	}
	return true, &cluster.Fault{Kind: cluster.ErrUnreachable, Err: err, Text: fmt.Sprintf("lost nomad's event stream at %s: %s", c.address, cause(err))}
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
	dec := json.NewDecoder(r)
	for {
		var line eventsJSON
		if err := dec.Decode(&line); err != nil {
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
		case p.Job != nil && (p.Deleted || e.Type == "JobDeregistered" && p.Job.ModifyIndex < e.Index && p.Job.Status == ""):
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
			u.Nodes = append(u.Nodes, p.Node.row(c.place))
		case p.Service != nil && e.Type == "ServiceDeregistration":
			u.GoneServices = append(u.GoneServices, cluster.ServiceID(p.Service.ID))
		case p.Service != nil:
			u.Services = append(u.Services, p.Service.row(c.place))
		}
	}
	return u
}
