package source

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
)

// hand is a sampler that waits for the test's word at each reading.
type hand struct {
	answers chan error
	asked   chan struct{}
	mu      sync.Mutex
	closed  int
}

func (h *hand) Read(now time.Time) (gpu.Batch, error) {
	h.asked <- struct{}{}
	return gpu.Batch{Node: "n1", Source: "nvml", At: now}, <-h.answers
}

func (h *hand) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed++
	return nil
}

// In a bubble, time passes only while the reader waits.
func TestLocal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hand{answers: make(chan error), asked: make(chan struct{}, 100)}
		var n news
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- Local(h, time.Second, nil).Run(ctx, n.emit, n.status) }()
		expect := func(state string) Status {
			t.Helper()
			synctest.Wait()
			s := n.lastStatus()
			if s.State != state {
				t.Errorf("state %s, want %s", s.State, state)
			}
			return s
		}

		h.answers <- nil
		if expect(StateLive); n.count() != 1 {
			t.Errorf("%d batches", n.count())
		}
		h.answers <- errors.New("driver unloaded")
		expect(StateDown)
		time.Sleep(4 * time.Second) // the next reading begins after one of them, and may take three
		expect(StateDown)
		time.Sleep(time.Second)
		if s := expect(StateFrozen); !strings.HasPrefix(s.Err, hungSince) {
			t.Errorf("status %+v", s)
		}
		time.Sleep(time.Hour)
		if got := len(h.asked); got != 3 {
			t.Errorf("read %d times, want 3: a hung one must not be called again", got)
		}
		h.answers <- nil
		if s := expect(StateLive); s.Node != "n1" || s.Endpoint != "local" || s.AsOf.IsZero() {
			t.Errorf("status %+v", s)
		}

		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("run returned %v", err)
		}
		if h.closed != 1 {
			t.Errorf("closed %d times", h.closed)
		}
		if d := cmp.Diff([]string{"connecting", "live", "down", "frozen", "live"}, n.states()); d != "" {
			t.Error(d)
		}
	})
}

// TestLocalHungAtTheEnd holds that a hung driver cannot keep the program from
// ending, and that the library is not closed under it.
func TestLocalHungAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hand{answers: make(chan error), asked: make(chan struct{}, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		l := Local(h, time.Hour, nil)
		go func() { done <- l.Run(ctx, func(gpu.Batch) {}, nil) }()
		<-h.asked
		began := time.Now()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("run returned %v", err)
		}
		if took := time.Since(began); took != stopGrace {
			t.Errorf("it ended after %s, want %s", took, stopGrace)
		}
		if h.closed != 0 {
			t.Error("closed under a reading")
		}
		h.answers <- nil // lets its goroutine end
	})
}
