package source

import (
	"context"
	"sync"
	"time"
)

// reader reads one endpoint. run begins after a pause and lasts until ctx ends;
// then gone tells that the endpoint is no longer one, where that is why.
type reader interface {
	run(ctx context.Context, after time.Duration)
	gone()
}

// supervisor keeps one reader for each endpoint; it belongs to run's goroutine.
type supervisor struct {
	endpoints  func() []Endpoint
	changed    <-chan struct{}
	rand       func() float64
	spreadOver time.Duration
	open       func(Endpoint) reader

	readers map[Endpoint]*running
	wg      sync.WaitGroup
}

type running struct {
	cancel context.CancelFunc
	gone   chan struct{} // closed before cancel when the endpoint vanished
	done   chan struct{}
}

// run follows the endpoints until ctx ends, and returns when all readers have.
func (s *supervisor) run(ctx context.Context) error {
	s.readers = map[Endpoint]*running{}
	defer s.stopAll()
	s.sync(ctx)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, ok := <-s.changed:
			if !ok {
				s.changed = nil // closed: the list stays as it is
			}
			s.sync(ctx)
		}
	}
}

func (s *supervisor) sync(ctx context.Context) {
	want := map[Endpoint]bool{}
	for _, e := range s.endpoints() {
		want[e] = true
	}
	var stopped []*running
	for e, r := range s.readers {
		if !want[e] {
			close(r.gone)
			r.cancel()
			stopped = append(stopped, r)
			delete(s.readers, e)
		}
	}
	for _, r := range stopped {
		// So that "gone" of an old address never follows news of a new one.
		<-r.done
	}
	spread := s.spread(len(want))
	for e := range want {
		if s.readers[e] == nil {
			s.start(ctx, e, time.Duration(s.rand()*float64(spread)))
		}
	}
}

func (s *supervisor) spread(n int) time.Duration {
	if s.spreadOver > 0 {
		return s.spreadOver
	}
	return min(time.Duration(n)*time.Millisecond/2, time.Second)
}

func (s *supervisor) start(ctx context.Context, e Endpoint, after time.Duration) {
	ctx, cancel := context.WithCancel(ctx)
	r := &running{cancel: cancel, gone: make(chan struct{}), done: make(chan struct{})}
	s.readers[e] = r
	one := s.open(e)
	s.wg.Go(func() {
		defer close(r.done)
		defer cancel()
		one.run(ctx, after)
		select {
		case <-r.gone:
			one.gone()
		default:
		}
	})
}

func (s *supervisor) stopAll() {
	for _, r := range s.readers {
		r.cancel()
	}
	s.wg.Wait()
}
