package source

import (
	"context"
	"math/rand/v2"
	"time"

	"stoker/gpu"
)

// PollConfig says what to read at an interval, where nothing streams. Source,
// Endpoints and Read must be set.
type PollConfig struct {
	Source    string // the name that batches carry: "nomad", "dcgm"
	Endpoints func() []Endpoint
	// Changed says that Endpoints would answer differently; nil: never.
	Changed <-chan struct{}
	// Read takes one reading. Of one endpoint it is never under way twice. At of
	// the batch and of its samples are by the peer's clock.
	Read func(ctx context.Context, e Endpoint) (gpu.Batch, error)
	// Denied tells an error that is a refusal; nil: none is.
	Denied func(error) bool
	// Still says what it may mean when the readings of all devices stand still.
	Still    string
	Interval time.Duration    // 0: 2 s
	Patience time.Duration    // for one reading; 0: 10 s
	AtOnce   int              // readings under way at once; 0: 16
	Now      func() time.Time // nil: time.Now
	Rand     func() float64   // in [0,1), called from many goroutines; nil: math/rand
	Timing   Timing           // BackoffMin, BackoffMax, Frozen and Spread count
}

// PollSource reads each endpoint at an interval.
type PollSource struct {
	cfg   PollConfig
	slots chan struct{}
}

// Poll returns a reader of what answers questions and does not stream.
func Poll(cfg PollConfig) *PollSource {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Float64
	}
	cfg.Interval = orDefault(cfg.Interval, 2*time.Second)
	cfg.Patience = orDefault(cfg.Patience, 10*time.Second)
	t := &cfg.Timing
	t.BackoffMin = orDefault(t.BackoffMin, time.Second)
	t.BackoffMax = orDefault(t.BackoffMax, 30*time.Second)
	// What is polled may itself be refreshed slowly: that is no standstill yet.
	t.Frozen = orDefault(t.Frozen, max(3*cfg.Interval, 30*time.Second))
	return &PollSource{cfg: cfg, slots: make(chan struct{}, orDefault(cfg.AtOnce, 16))}
}

// Run reads until ctx ends and returns its error. Failures are told to status
// and retried for ever; status may be nil.
func (p *PollSource) Run(ctx context.Context, emit func(gpu.Batch), status func(Status)) error {
	out := &sink{emit: emit, status: status}
	s := &supervisor{
		endpoints: p.cfg.Endpoints, changed: p.cfg.Changed, rand: p.cfg.Rand, spreadOver: p.cfg.Timing.Spread,
		open: func(e Endpoint) reader {
			t := p.cfg.Timing
			return &polled{
				src: p, end: e, moved: p.cfg.Now(),
				track: &tracker{out: out, now: p.cfg.Now, last: Status{Node: e.Node, Endpoint: e.URL}},
				wait:  backoff{low: t.BackoffMin, high: t.BackoffMax, rand: p.cfg.Rand},
			}
		},
	}
	return s.run(ctx)
}

// polled reads one endpoint again and again.
type polled struct {
	src   *PollSource
	end   Endpoint
	track *tracker
	wait  backoff
	moved time.Time // when the batch's time last advanced, by our clock
}

func (p *polled) gone() { p.track.set(StateGone, "", nil) }

func (p *polled) run(ctx context.Context, after time.Duration) {
	cfg := &p.src.cfg
	p.track.set(StateConnecting, "", nil)
	for sleep(ctx, after) {
		began := cfg.Now()
		err := p.once(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			p.wait.reset()
			after = max(cfg.Interval-cfg.Now().Sub(began), cfg.Interval/4)
			continue
		}
		after = p.wait.next()
		state := StateDown
		if cfg.Denied != nil && cfg.Denied(err) {
			state = StateDenied
		}
		p.track.set(state, err.Error(), nil)
	}
}

// once takes one reading and hands it on.
func (p *polled) once(ctx context.Context) error {
	cfg := &p.src.cfg
	select {
	case p.src.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	limited, cancel := context.WithTimeout(ctx, cfg.Patience)
	b, err := cfg.Read(limited, p.end)
	cancel()
	<-p.src.slots
	if err != nil {
		return err
	}
	b.Source = cfg.Source
	if p.end.Node != "" {
		b.Node = p.end.Node
	}
	now := cfg.Now()
	if !b.At.Equal(p.track.last.AsOf) {
		p.moved = now
	}
	p.track.batch(b)
	frozen := frozenDevices(b, cfg.Timing.Frozen)
	switch {
	case now.Sub(p.moved) > cfg.Timing.Frozen:
		p.track.set(StateFrozen, "readings do not advance", frozen)
	case len(frozen) > 0 && len(frozen) == len(b.Samples):
		p.track.set(StateFrozen, firstOf(cfg.Still, "the readings of all devices stand still"), frozen)
	default:
		p.track.set(StateLive, "", frozen)
	}
	return nil
}
