package source

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
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

func TestLocal(t *testing.T) {
	h := &hand{answers: make(chan error), asked: make(chan struct{}, 100)}
	var n news
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Local(h, time.Millisecond, nil).Run(ctx, n.emit, n.status) }()

	h.answers <- nil
	eventually(t, "live", func() bool { return n.lastStatus().State == StateLive && n.count() == 1 })
	h.answers <- errors.New("driver unloaded")
	eventually(t, "down", func() bool { return slices.Contains(n.states(), StateDown) })
	eventually(t, "hung", func() bool {
		s := n.lastStatus()
		return s.State == StateFrozen && strings.HasPrefix(s.Err, hungSince)
	})
	if got := len(h.asked); got != 3 {
		t.Errorf("read %d times, want 3: a hung one must not be called again", got)
	}
	h.answers <- nil
	eventually(t, "live again", func() bool { return n.lastStatus().State == StateLive })
	if s := n.lastStatus(); s.Node != "n1" || s.Endpoint != "local" || s.AsOf.IsZero() {
		t.Errorf("status %+v", s)
	}

	cancel()
	select { // the reading under way, if any, may end
	case h.answers <- nil:
	case <-time.After(20 * time.Millisecond):
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("run returned %v", err)
	}
	if h.closed != 1 {
		t.Errorf("closed %d times", h.closed)
	}
	want := []string{"connecting", "live", "down", "frozen", "live"}
	if got := n.states(); len(got) < len(want) || !cmp.Equal(got[:3], want[:3]) {
		t.Errorf("states %v", got)
	}
}

// TestLocalHungAtTheEnd holds that a hung driver cannot keep the program from
// ending, and that the library is not closed under it.
func TestLocalHungAtTheEnd(t *testing.T) {
	h := &hand{answers: make(chan error), asked: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	l := Local(h, time.Hour, nil)
	go func() { done <- l.Run(ctx, func(gpu.Batch) {}, nil) }()
	<-h.asked
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("run returned %v", err)
	}
	if h.closed != 0 {
		t.Error("closed under a reading")
	}
	h.answers <- nil // lets its goroutine end
}
