package metrics

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"stoker/cluster"
)

const (
	defaultInterval = 2 * time.Second
	defaultWindow   = 30 * time.Second
	// Bounds of scrapes under way, each its own: neither endpoints that failed
	// nor new ones, of which many may be dead, hold up one that answers.
	atOnce       = 32
	atOnceNew    = 256
	atOnceFailed = 16
	longestPause = 30 * time.Second
	// An endpoint is told of as failing after this many failures: a server
	// that just starts is registered before it listens.
	failures = 3
	// name of the source in a snapshot.
	sourceName = "metrics"
)

// Source scrapes endpoints. The zero value works.
type Source struct {
	Place cluster.Place
	// Dial opens connections to nodes; nil dials directly.
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	Interval time.Duration // between two scrapes of an endpoint; 2 s unless set
	Window   time.Duration // over which rates and quantiles are taken; 30 s unless set
	Now      func() time.Time
}

// Run scrapes until ctx ends and returns its error. endpoints is asked at every
// interval. emitModels gets all rows there are, emitTraining those of jobs that
// answer; status tells how the whole is doing. All are called from one goroutine,
// and not after Run has returned.
func (s Source) Run(ctx context.Context, endpoints func() []Endpoint, emitModels func([]cluster.ModelSample), emitTraining func([]cluster.TrainingSample), status func(cluster.SourceStatus)) error {
	s = s.filled()
	client := newClient(s.Dial)
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithCancel(ctx)
	var scrapes sync.WaitGroup
	defer scrapes.Wait()
	defer cancel()
	l := &loop{
		Source: s, client: client, scrapes: &scrapes, targets: map[Endpoint]*target{},
		results: make(chan result),
		slots:   make(chan struct{}, atOnce), slotsNew: make(chan struct{}, atOnceNew), slotsFailed: make(chan struct{}, atOnceFailed),
		emitModels: emitModels, emitTraining: emitTraining, status: status,
	}
	return l.run(ctx, endpoints)
}

func (s Source) filled() Source {
	if s.Interval <= 0 {
		s.Interval = defaultInterval
	}
	if s.Window <= 0 {
		s.Window = defaultWindow
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	return s
}

// loop is the state of one Run; only its goroutine touches it.
type loop struct {
	Source
	client      *http.Client
	scrapes     *sync.WaitGroup
	targets     map[Endpoint]*target
	order       []*target
	results     chan result
	slots       chan struct{}
	slotsNew    chan struct{}
	slotsFailed chan struct{}
	awaited     int // live endpoints whose answers of this round are still out

	emitModels   func([]cluster.ModelSample)
	emitTraining func([]cluster.TrainingSample)
	status       func(cluster.SourceStatus)
	emitted      bool // rows of models stand in the last emission
}

// health is how scraping a target goes.
type health struct {
	busy     bool // a scrape is under way
	awaited  bool // and the round waits for it
	failures int  // in a row
	err      error
	next     time.Time // not before; for those that fail
}

type result struct {
	endpoint Endpoint
	point    point
	err      error
}

func (l *loop) run(ctx context.Context, endpoints func() []Endpoint) error {
	ticker := time.NewTicker(l.Interval)
	defer ticker.Stop()
	settle := time.NewTimer(0)
	settle.Stop()
	defer settle.Stop()
	due := false
	for round := true; ; {
		if round {
			l.sync(endpoints())
			l.start(ctx)
			settle.Reset(l.Interval / 4)
			round, due = false, true
		}
		if due && l.awaited == 0 {
			l.publish()
			due = false
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			round = true
		case <-settle.C:
			l.awaited = 0 // who answers later is in the next round
		case r := <-l.results:
			l.take(r)
		}
	}
}

// sync makes the targets those of the list, keeping what is known of them.
func (l *loop) sync(list []Endpoint) {
	targets := make(map[Endpoint]*target, len(list))
	l.order = l.order[:0]
	for _, e := range list {
		if targets[e] != nil {
			continue
		}
		t := l.targets[e]
		if t == nil {
			t = &target{endpoint: e}
		}
		targets[e] = t
		l.order = append(l.order, t)
	}
	l.targets = targets
}

// start begins the round's scrapes. The round waits for those that answered
// last time.
func (l *loop) start(ctx context.Context) {
	l.awaited = 0
	now := l.Now()
	for _, t := range l.order {
		t.awaited = false
		if t.busy || now.Before(t.next) {
			continue
		}
		t.busy = true
		slots := l.slots
		switch {
		case t.failures > 0:
			slots = l.slotsFailed
		case t.last() == nil:
			slots = l.slotsNew
		}
		if t.failures == 0 {
			t.awaited = true
			l.awaited++
		}
		e := t.endpoint
		l.scrapes.Go(func() { l.scrape(ctx, e, slots) })
	}
}

func (l *loop) scrape(ctx context.Context, e Endpoint, slots chan struct{}) {
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	timed, cancel := context.WithTimeout(ctx, max(l.Interval, minTimeout))
	p, err := fetch(timed, l.client, e.URL)
	cancel()
	<-slots
	select {
	case l.results <- result{e, point{l.Now(), p}, err}:
	case <-ctx.Done():
	}
}

func (l *loop) take(r result) {
	t := l.targets[r.endpoint]
	if t == nil {
		return // it left meanwhile, and counts in no round
	}
	t.busy = false
	if t.awaited {
		t.awaited = false
		l.awaited = max(l.awaited-1, 0)
	}
	if r.err != nil {
		t.failures++
		t.err = r.err
		t.next = r.point.at.Add(min(l.Interval<<min(t.failures-1, 16), longestPause))
		return
	}
	t.health = health{}
	t.add(r.point, l.Window)
}

// publish hands on what is known now.
func (l *loop) publish() {
	now := l.Now()
	fresh := 2*l.Interval + l.Interval/2
	models := modelSamples(l.Place, now, l.order, fresh, l.Window)
	if len(models) > 0 || l.emitted {
		l.emitModels(models)
	}
	l.emitted = len(models) > 0
	if training := trainingSamples(l.Place, now, l.order, fresh); len(training) > 0 {
		l.emitTraining(training)
	}
	l.status(l.state(now))
}

// state sums all endpoints up.
func (l *loop) state(now time.Time) cluster.SourceStatus {
	s := cluster.SourceStatus{Place: l.Place, Name: sourceName, State: cluster.SourceLive}
	var failing []*target
	for _, t := range l.order {
		if p := t.last(); p != nil && p.at.After(s.AsOf) {
			s.AsOf = p.at
		}
		if t.failures >= failures {
			failing = append(failing, t)
			if s.Retry.IsZero() || t.next.Before(s.Retry) {
				s.Retry = t.next
			}
		}
	}
	if len(l.order) == 0 {
		s.AsOf = now
	}
	if len(failing) > 0 {
		t := failing[0]
		s.State = cluster.SourceRetrying
		s.Err = fmt.Sprintf("%d of %d endpoints do not answer: %s at %s: %s",
			len(failing), len(l.order), t.endpoint.Job, strings.TrimPrefix(t.endpoint.URL, "http://"), short(t.err))
	}
	return s
}
