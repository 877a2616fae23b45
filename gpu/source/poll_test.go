package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
)

// answerer is a peer that is asked: what it answers is for the test to set.
type answerer struct {
	mu    sync.Mutex
	asked int
	under int // readings under way
	most  int
	take  time.Duration // how long an answer takes
	err   error
	stops bool          // its time stands still
	lost  time.Duration // how long its devices have stood still before the answer's time
	began time.Time
}

func (p *answerer) read(ctx context.Context, e Endpoint) (gpu.Batch, error) {
	p.mu.Lock()
	p.asked++
	p.under++
	p.most = max(p.most, p.under)
	take, err, at := p.take, p.err, time.Now()
	if p.stops {
		at = p.began
	}
	lost := p.lost
	p.mu.Unlock()
	defer func() { p.mu.Lock(); p.under--; p.mu.Unlock() }()
	select {
	case <-ctx.Done():
		return gpu.Batch{}, ctx.Err()
	case <-time.After(take):
	}
	id := gpu.UUID("GPU-" + e.Node)
	return gpu.Batch{Node: "who it says it is", At: at, Devices: []gpu.Device{{UUID: id}}, Samples: []gpu.Sample{{UUID: id, At: at.Add(-lost)}}}, err
}

func (p *answerer) set(f func(*answerer)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

func (p *answerer) times() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

var errRefused = errors.New("refused")

// polling runs f beside a poll of the nodes, on the test's clock.
func polling(t *testing.T, nodes []string, f func(p *answerer, n *news, set func(nodes ...string))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &answerer{began: time.Now()}
		var n news
		var mu sync.Mutex
		changed := make(chan struct{}, 1)
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		src := Poll(PollConfig{
			Source: "nomad", Read: p.read, Changed: changed, AtOnce: 4, Denied: func(err error) bool { return errors.Is(err, errRefused) },
			Endpoints: func() []Endpoint {
				mu.Lock()
				defer mu.Unlock()
				var out []Endpoint
				for _, name := range nodes {
					out = append(out, Endpoint{Node: name, NodeName: name})
				}
				return out
			},
		})
		run.Go(func() { _ = src.Run(ctx, n.emit, n.status) })
		f(p, &n, func(names ...string) {
			mu.Lock()
			nodes = names
			mu.Unlock()
			changed <- struct{}{}
		})
		cancel()
		run.Wait()
	})
}

func TestPollReadsAtItsInterval(t *testing.T) {
	polling(t, []string{"n1"}, func(p *answerer, n *news, _ func(...string)) {
		p.set(func(p *answerer) { p.take = 300 * time.Millisecond })
		time.Sleep(20*time.Second + 500*time.Millisecond)
		if got := n.count(); got < 10 || got > 11 {
			t.Errorf("%d batches in 20 s at 2 s", got)
		}
		b := n.lastBatch()
		if b.Node != "n1" || b.Source != "nomad" {
			t.Errorf("the batch is of %s by %s", b.Node, b.Source)
		}
		if d := cmp.Diff([]string{StateConnecting, StateLive}, n.states()); d != "" {
			t.Error(d)
		}
	})
}

func TestPollBacksOff(t *testing.T) {
	for want, err := range map[string]error{StateDown: errors.New("no route"), StateDenied: fmt.Errorf("nomad: %w", errRefused)} {
		t.Run(want, func(t *testing.T) {
			polling(t, []string{"n1"}, func(p *answerer, n *news, _ func(...string)) {
				p.set(func(p *answerer) { p.err = err })
				time.Sleep(10 * time.Minute)
				if s := n.lastStatus(); s.State != want || s.Err != err.Error() {
					t.Errorf("%+v", s)
				}
				if got := p.times(); got > 45 || got < 15 {
					t.Errorf("asked %d times in ten minutes", got)
				}
				p.set(func(p *answerer) { p.err = nil })
				time.Sleep(31 * time.Second)
				if s := n.lastStatus(); s.State != StateLive {
					t.Errorf("it answers again: %+v", s)
				}
			})
		})
	}
}

// A plugin that ended leaves its last numbers in Nomad for ever: they must not
// look live, neither at the first look nor later.
func TestPollSeesReadingsThatStandStill(t *testing.T) {
	for name, frozen := range map[string]func(*answerer){
		"the devices": func(p *answerer) { p.lost = time.Hour },
		"all of it":   func(p *answerer) { p.stops = true },
	} {
		t.Run(name, func(t *testing.T) {
			polling(t, []string{"n1"}, func(p *answerer, n *news, _ func(...string)) {
				p.set(frozen)
				time.Sleep(time.Minute)
				if s := n.lastStatus(); s.State != StateFrozen || s.Err == "" {
					t.Errorf("%+v", s)
				}
				p.set(func(p *answerer) { p.lost, p.stops = 0, false })
				time.Sleep(3 * time.Second)
				if s := n.lastStatus(); s.State != StateLive {
					t.Errorf("it moves again: %+v", s)
				}
			})
		})
	}
}

func TestPollIsPatientOnceAndGentle(t *testing.T) {
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprint("n", i))
	}
	polling(t, names, func(p *answerer, n *news, _ func(...string)) {
		p.set(func(p *answerer) { p.take = time.Hour })
		time.Sleep(time.Minute)
		p.set(func(p *answerer) {
			if p.most != 4 {
				t.Errorf("%d readings were under way at once, 4 may be", p.most)
			}
		})
		if s := n.lastStatus(); s.State != StateDown || !strings.Contains(s.Err, "deadline") {
			t.Errorf("a peer that hangs: %+v", s)
		}
	})
}

func TestPollFollowsItsEndpoints(t *testing.T) {
	polling(t, []string{"n1"}, func(p *answerer, n *news, set func(...string)) {
		time.Sleep(3 * time.Second)
		set("n2")
		time.Sleep(5 * time.Second)
		if s := n.states(); !slices.Contains(s, StateGone) {
			t.Errorf("n1 went, but %v", s)
		}
		if b := n.lastBatch(); b.Node != "n2" {
			t.Errorf("the last batch is of %s", b.Node)
		}
	})
}
