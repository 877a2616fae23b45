package source

import (
	"context"
	"fmt"
	"time"

	"stoker/gpu"
)

// Sampler reads the devices of this host once. Read may hang: a driver in
// trouble does. It is never called twice at the same time.
type Sampler interface {
	Read(now time.Time) (gpu.Batch, error)
	Close() error
}

// LocalSource reads one Sampler at an interval.
type LocalSource struct {
	sampler  Sampler
	interval time.Duration
	now      func() time.Time
}

// stopGrace is how long Run waits at its end for a reading that is under way.
const stopGrace = 2 * time.Second

// Local returns a reader of this host's devices, which owns the sampler from
// now on. An interval of 0 means 1 s, a nil now time.Now.
func Local(s Sampler, interval time.Duration, now func() time.Time) *LocalSource {
	if now == nil {
		now = time.Now
	}
	return &LocalSource{sampler: s, interval: orDefault(interval, time.Second), now: now}
}

type reading struct {
	batch gpu.Batch
	err   error
}

// Run reads at once and then at each interval until ctx ends, and returns its
// error. Readings that overrun skip the intervals that they overran. A reading
// that hangs makes the state frozen and blocks nothing else; one that hangs
// still at the end is left behind, and then the sampler is not closed, since
// closing a library under a call can crash. Otherwise Run closes it.
func (l *LocalSource) Run(ctx context.Context, emit func(gpu.Batch), status func(Status)) error {
	track := &tracker{
		out: &sink{emit: emit, status: status}, now: l.now, last: Status{Endpoint: "local"},
	}
	track.set(StateConnecting, "", nil)
	results := make(chan reading, 1) // a late reading must find room when nobody waits
	ticks := time.NewTicker(l.interval)
	defer ticks.Stop()
	began, busy := l.begin(results), true
	for {
		select {
		case <-ctx.Done():
			l.finish(busy, results)
			return ctx.Err()
		case r := <-results:
			busy = false
			l.judge(track, r)
		case <-ticks.C:
			if !busy {
				began, busy = l.begin(results), true
				continue
			}
			if d := l.now().Sub(began); d > l.lateAfter() {
				track.set(StateFrozen, fmt.Sprintf("%s %s", hungSince, began.Format(time.TimeOnly)), track.last.Frozen)
			}
		}
	}
}

// hungSince begins the words for a reading that does not come back. A time,
// not a duration, so that the words stay the same while it hangs.
const hungSince = "the driver has not answered since"

func (l *LocalSource) lateAfter() time.Duration { return max(3*l.interval, 20*time.Millisecond) }

func (l *LocalSource) begin(results chan<- reading) time.Time {
	now := l.now()
	go func() {
		b, err := l.sampler.Read(now)
		results <- reading{b, err}
	}()
	return now
}

func (l *LocalSource) judge(track *tracker, r reading) {
	if r.err != nil {
		track.set(StateDown, r.err.Error(), track.last.Frozen)
		return
	}
	if track.last.Node == "" {
		track.last.Node = r.batch.Node
	}
	track.batch(r.batch)
	track.set(StateLive, "", frozenDevices(r.batch, max(3*l.interval, 3*time.Second)))
}

func (l *LocalSource) finish(busy bool, results <-chan reading) {
	if busy {
		t := time.NewTimer(stopGrace)
		defer t.Stop()
		select {
		case <-results:
		case <-t.C:
			return
		}
	}
	_ = l.sampler.Close()
}
