package gpuload

import (
	"errors"
	"sync"
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	at := time.Unix(1000, 0)
	m := NewMeter(func() time.Time { return at })
	expect := func(what string, want float64) {
		t.Helper()
		if got := m.Util(); got != want {
			t.Errorf("%s: %v %%, want %v", what, got, want)
		}
	}
	expect("no request yet", 0)
	m.Add(time.Microsecond, 0)
	expect("one quick request", leastPercent)
	for range 30 {
		at = at.Add(33 * time.Millisecond)
		m.Add(100*time.Microsecond, 5*time.Millisecond)
	}
	if got := m.Util(); got < 40 || got > 50 {
		t.Errorf("30 requests a second of 15 ms each: %v %%, want about 45", got)
	}
	at = at.Add(1500 * time.Millisecond)
	expect("a pause", leastPercent)
	at = at.Add(time.Second)
	expect("idle", 0)
	m.Add(0, time.Minute)
	expect("overloaded", 100)
}

type recorder struct {
	mu     sync.Mutex
	util   float64
	memory uint64
	closed bool
	told   chan struct{}
	fail   error
}

func (r *recorder) Set(util float64, memory uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.util, r.memory = util, memory
	select {
	case r.told <- struct{}{}:
	default:
	}
	return r.fail
}

func (r *recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return nil
}

func TestGroupReportsToEveryDevice(t *testing.T) {
	a, b := &recorder{told: make(chan struct{}, 1)}, &recorder{told: make(chan struct{}, 1), fail: errors.New("full")}
	warned := make(chan error, 10)
	g := Start([]Reporter{a, b}, func() (float64, uint64) { return 42, 7 }, func(err error) { warned <- err })
	<-a.told
	<-b.told
	if err := <-warned; !errors.Is(err, b.fail) {
		t.Errorf("warned of %v", err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if a.util != 42 || a.memory != 7 || !a.closed || !b.closed {
		t.Errorf("after close: %+v %+v", a, b)
	}
}

func TestGroupWithoutDevices(t *testing.T) {
	g := Start(nil, func() (float64, uint64) { panic("nobody asks") }, nil)
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
}
