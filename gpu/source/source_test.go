package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"stoker/gpu"
	"stoker/gpu/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ptr[T any](v T) *T { return &v }

func reading1(n int, util float64) gpu.Batch {
	at := time.Unix(int64(1000+n), 0).UTC()
	b := gpu.Batch{Node: "n1", Source: "nvml", At: at}
	for _, id := range []gpu.UUID{"GPU-0", "GPU-1"} {
		b.Devices = append(b.Devices, gpu.Device{UUID: id, Model: "H100"})
		b.Samples = append(b.Samples, gpu.Sample{UUID: id, At: at, UtilPercent: ptr(util)})
	}
	return b
}

// peer writes one stream as a test wants it.
type peer struct {
	t *testing.T
	w http.ResponseWriter
}

func (p peer) header(node string) {
	l, err := stream.MarshalHeader(stream.Header{Node: node, IntervalMS: 10})
	p.write(l, err)
}

func (p peer) frame(f stream.Frame) {
	l, err := stream.MarshalFrame(f)
	p.write(l, err)
}

func (p peer) write(l []byte, err error) {
	if err != nil {
		p.t.Error(err)
	}
	_, _ = p.w.Write(l)
	p.w.(http.Flusher).Flush()
}

// news keeps what a reader says.
type news struct {
	mu       sync.Mutex
	batches  []gpu.Batch
	statuses []Status
	busy     atomic.Int32
}

func (n *news) emit(b gpu.Batch) {
	defer n.alone()()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.batches = append(n.batches, b)
}

func (n *news) status(s Status) {
	defer n.alone()()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.statuses = append(n.statuses, s)
}

// alone panics when two calls overlap, which Run promises not to do.
func (n *news) alone() func() {
	if n.busy.Add(1) != 1 {
		panic("called from two goroutines at a time")
	}
	return func() { n.busy.Add(-1) }
}

func (n *news) states() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for _, s := range n.statuses {
		if len(out) == 0 || out[len(out)-1] != s.State {
			out = append(out, s.State)
		}
	}
	return out
}

func (n *news) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.batches)
}

func (n *news) lastBatch() gpu.Batch {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.batches) == 0 {
		return gpu.Batch{}
	}
	return n.batches[len(n.batches)-1]
}

func (n *news) lastStatus() Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.statuses) == 0 {
		return Status{}
	}
	return n.statuses[len(n.statuses)-1]
}

// start runs a reader of srv's agent until the test ends.
func start(t *testing.T, n *news, cfg Config) (stop func()) {
	t.Helper()
	if cfg.Timing.BackoffMin == 0 {
		cfg.Timing.BackoffMin, cfg.Timing.BackoffMax = time.Millisecond, 5*time.Millisecond
	}
	// A machine that stands still for a while freezes and silences nobody.
	cfg.Timing.Frozen, cfg.Timing.Silence = orDefault(cfg.Timing.Frozen, time.Hour), orDefault(cfg.Timing.Silence, time.Hour)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Agents(cfg).Run(ctx, n.emit, n.status) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("run returned %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func serve(t *testing.T, h func(p peer, r *http.Request)) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h(peer{t, w}, r) }))
	t.Cleanup(srv.Close)
	return srv
}

func only(e ...Endpoint) func() []Endpoint { return func() []Endpoint { return e } }

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("not in time: %s", what)
}

// TestReconnect breaks the stream in the middle of a line, after which the
// reader must come back by itself, fold anew, and not repeat events.
func TestReconnect(t *testing.T) {
	xid := gpu.Event{UUID: "GPU-0", At: time.Unix(1001, 0).UTC(), Kind: gpu.EventXid, Xid: 79}
	var calls atomic.Int32
	srv := serve(t, func(p peer, r *http.Request) {
		n := int(calls.Add(1))
		if r.URL.Path != "/v1/stream" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		p.header("n1")
		key := reading1(10*n, 1)
		key.Events = []gpu.Event{xid}
		p.frame(stream.Key(5, key))
		d, _ := stream.Delta(6, key, reading1(10*n+1, 2))
		p.frame(d)
		if n < 3 {
			p.write([]byte(`{"kind":"del`), nil)
			return
		}
		<-r.Context().Done()
	})
	var n news
	stop := start(t, &n, Config{Endpoints: only(Endpoint{Node: "n1", NodeName: "gpu-1", URL: srv.URL + "/"})})
	eventually(t, "three connections", func() bool { return n.count() == 6 })
	stop()
	if d := cmp.Diff([]string{"connecting", "live", "down", "live", "down", "live"}, n.states()); d != "" {
		t.Error(d)
	}
	events := 0
	for i, b := range n.batches {
		want := reading1(10*(i/2+1)+i%2, float64(i%2+1))
		want.Source = "agent"
		events += len(b.Events)
		b.Events = nil
		if d := cmp.Diff(want, b); d != "" {
			t.Errorf("batch %d (-want +got)\n%s", i, d)
		}
	}
	if events != 1 {
		t.Errorf("the event was told %d times", events)
	}
	if err := n.statuses[2].Err; !strings.Contains(err, "gpu-1") || !strings.Contains(err, "closed the stream") {
		t.Errorf("words of the break: %q", err)
	}
	if n.statuses[2].AsOf.IsZero() {
		t.Error("the break does not say how old the last reading is")
	}
}

// TestToken holds that a refused token is asked for again, and that a token is
// not carried along a redirect.
func TestToken(t *testing.T) {
	elsewhere := serve(t, func(_ peer, r *http.Request) {
		t.Errorf("followed a redirect, with authorization %q", r.Header.Get("Authorization"))
	})
	var calls atomic.Int32
	srv := serve(t, func(p peer, r *http.Request) {
		switch {
		case calls.Add(1) == 1:
			http.Redirect(p.w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		case r.Header.Get("Authorization") != "Bearer new":
			p.w.WriteHeader(http.StatusUnauthorized)
		default:
			p.header("n1")
			p.frame(stream.Key(1, reading1(1, 1)))
			<-r.Context().Done()
		}
	})
	var asked atomic.Int32
	var n news
	start(t, &n, Config{
		Endpoints: only(Endpoint{Node: "n1", URL: srv.URL}),
		Token: func(context.Context) (string, error) {
			switch asked.Add(1) {
			case 3:
				return "", errors.New("vault is sealed")
			case 1, 2:
				return "old", nil
			}
			return "new", nil
		},
	})
	eventually(t, "live", func() bool { return n.lastStatus().State == StateLive })
	if d := cmp.Diff([]string{"connecting", "down", "denied", "down", "live"}, n.states()); d != "" {
		t.Error(d)
	}
	for _, s := range n.statuses {
		if strings.Contains(s.Err, "old") {
			t.Errorf("a token in %q", s.Err)
		}
	}
}

// TestImpostor holds that an agent cannot speak for another node.
func TestImpostor(t *testing.T) {
	srv := serve(t, func(p peer, _ *http.Request) {
		p.header("n2")
		p.frame(stream.Key(1, reading1(1, 1)))
	})
	quiet := serve(t, func(p peer, r *http.Request) { // does not say who it is, lies in the batch
		p.header("")
		b := reading1(1, 1)
		b.Node = "n7"
		p.frame(stream.Key(1, b))
		<-r.Context().Done()
	})
	var n news
	start(t, &n, Config{Endpoints: only(Endpoint{Node: "n1", URL: srv.URL}, Endpoint{Node: "n3", URL: quiet.URL})})
	eventually(t, "refusal and batch", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		refused := false
		for _, s := range n.statuses {
			refused = refused || (s.Node == "n1" && strings.Contains(s.Err, "not trusted"))
		}
		return refused && len(n.batches) > 0
	})
	for _, b := range n.batches {
		if b.Node != "n3" {
			t.Errorf("a batch of node %s", b.Node)
		}
	}
}

func TestEndpointsChange(t *testing.T) {
	var open atomic.Int32
	srv := serve(t, func(p peer, r *http.Request) {
		open.Add(1)
		defer open.Add(-1)
		p.header("")
		p.frame(stream.Key(1, reading1(1, 1)))
		<-r.Context().Done()
	})
	var list atomic.Pointer[[]Endpoint]
	set := func(ids ...string) {
		var e []Endpoint
		for _, id := range ids {
			e = append(e, Endpoint{Node: id, URL: srv.URL})
		}
		list.Store(&e)
	}
	set("a", "b")
	changed := make(chan struct{})
	var n news
	start(t, &n, Config{Endpoints: func() []Endpoint { return *list.Load() }, Changed: changed})
	eventually(t, "two", func() bool { return n.count() == 2 && open.Load() == 2 })
	set("b", "c")
	changed <- struct{}{}
	eventually(t, "c came", func() bool { return n.count() == 3 })
	eventually(t, "a was closed", func() bool { return open.Load() == 2 })
	want := map[string]string{"a": StateGone, "b": StateLive, "c": StateLive}
	eventually(t, "a is gone, b and c live", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		last := map[string]string{}
		for _, s := range n.statuses {
			last[s.Node] = s.State
		}
		return cmp.Equal(want, last)
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	if got := n.batches[2].Node; got != "c" {
		t.Errorf("the third batch is of %s: b was opened again", got)
	}
}

// TestFrozen moves the clock while the peer repeats one reading.
func TestFrozen(t *testing.T) {
	var clock atomic.Int64
	next := make(chan stream.Frame)
	srv := serve(t, func(p peer, r *http.Request) {
		p.header("n1")
		for {
			select {
			case f := <-next:
				p.frame(f)
			case <-r.Context().Done():
				return
			}
		}
	})
	var n news
	start(t, &n, Config{
		Endpoints: only(Endpoint{Node: "n1", URL: srv.URL}),
		Now:       func() time.Time { return time.Unix(clock.Load(), 0) },
		Timing:    Timing{Frozen: 5 * time.Second},
	})
	is := func(state string, frozen ...gpu.UUID) func() bool {
		return func() bool {
			s := n.lastStatus()
			return s.State == state && cmp.Equal(s.Frozen, frozen)
		}
	}
	first := reading1(0, 1)
	next <- stream.Key(1, first)
	eventually(t, "live", is(StateLive))

	clock.Store(6)
	next <- stream.Frame{Kind: stream.KindBeat}
	eventually(t, "the batch stands still", is(StateFrozen))

	second := reading1(10, 1)
	second.Samples[1].At = first.At // one device's reading stays behind
	d, _ := stream.Delta(2, first, second)
	next <- d
	eventually(t, "one device stands still", is(StateLive, "GPU-1"))

	next <- stream.Frame{Kind: stream.KindBeat, Sampler: &stream.SamplerState{State: stream.SamplerFailing, Err: "driver gone"}}
	eventually(t, "the agent says so", is(StateFrozen, "GPU-1"))
	if s := n.lastStatus(); s.Err != "driver gone" || !s.AsOf.Equal(second.At) {
		t.Errorf("got %+v", s)
	}
}

// TestSilence holds that a stream without a sign of life is given up.
func TestSilence(t *testing.T) {
	srv := serve(t, func(p peer, r *http.Request) {
		p.header("n1")
		<-r.Context().Done()
	})
	var n news
	start(t, &n, Config{Endpoints: only(Endpoint{Node: "n1", URL: srv.URL}), Timing: Timing{Silence: 20 * time.Millisecond}})
	eventually(t, "given up", func() bool {
		s := n.lastStatus()
		return s.State == StateDown && strings.Contains(s.Err, "nothing heard")
	})
}

func TestNotAnAgent(t *testing.T) {
	for name, tc := range map[string]struct {
		h    func(p peer, r *http.Request)
		want string
	}{
		"web page":  {func(p peer, _ *http.Request) { fmt.Fprintln(p.w, "<html>") }, "not a stoker gpu stream"},
		"not found": {func(p peer, _ *http.Request) { p.w.WriteHeader(404) }, "HTTP 404"},
		"newer": {func(p peer, _ *http.Request) {
			fmt.Fprintln(p.w, `{"stoker":"gpu-stream","version":9}`)
		}, "version not understood"},
	} {
		t.Run(name, func(t *testing.T) {
			var n news
			start(t, &n, Config{Endpoints: only(Endpoint{Node: "n1", URL: serve(t, tc.h).URL})})
			eventually(t, tc.want, func() bool { return strings.Contains(n.lastStatus().Err, tc.want) })
			if n.count() != 0 {
				t.Error("a batch came out of it")
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	for _, tc := range []struct {
		rand float64
		want []time.Duration
	}{
		{0, []time.Duration{50, 100, 200, 400, 500, 500}},
		{1, []time.Duration{100, 200, 400, 800, 1000, 1000}},
	} {
		b := backoff{low: 100, high: 1000, rand: func() float64 { return tc.rand }}
		var got []time.Duration
		for range tc.want {
			got = append(got, b.next())
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Error(d)
		}
		b.tries = 1 << 20
		if got := b.next(); got > 1000 || got < 500 {
			t.Errorf("after very many tries: %v", got)
		}
	}
}

func TestEventLogForgets(t *testing.T) {
	var l eventLog
	for i := range 3 * eventMemory {
		e := gpu.Event{UUID: "GPU-0", Xid: uint64(i)}
		if len(l.fresh([]gpu.Event{e, e})) != 1 {
			t.Fatalf("event %d", i)
		}
	}
	if len(l.known) != eventMemory || len(l.order) != eventMemory {
		t.Errorf("remembers %d and %d", len(l.known), len(l.order))
	}
}
