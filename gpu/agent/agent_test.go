package agent

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
	"stoker/gpu/source"
	"stoker/gpu/stream"
)

// running starts an agent with its server and returns its base address.
func running(t *testing.T, cfg Config) (*Agent, string) {
	t.Helper()
	a := newAgent(t, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ln, err := a.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = a.Run(ctx) })
	wg.Go(func() { _ = a.Serve(ctx, ln) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return a, "http://" + ln.Addr().String()
}

func get(t *testing.T, url, token string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// collect runs a real reader against an address and keeps what it says.
type collect struct {
	mu       sync.Mutex
	batches  []gpu.Batch
	statuses []source.Status
}

func (c *collect) start(t *testing.T, cfg source.Config) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = source.Agents(cfg).Run(ctx, func(b gpu.Batch) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.batches = append(c.batches, b)
		}, func(s source.Status) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.statuses = append(c.statuses, s)
		})
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

func (c *collect) last() (gpu.Batch, source.Status, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b gpu.Batch
	var s source.Status
	if len(c.batches) > 0 {
		b = c.batches[len(c.batches)-1]
	}
	if len(c.statuses) > 0 {
		s = c.statuses[len(c.statuses)-1]
	}
	return b, s, len(c.batches)
}

// TestAgentToSource is the whole way: sampler, agent, HTTP, reader.
func TestAgentToSource(t *testing.T) {
	for _, zip := range []bool{false, true} {
		s := &script{change: func(b *gpu.Batch) { b.Samples[1].Throttle = []string{} }}
		_, url := running(t, Config{
			Sampler: s, Interval: 10 * time.Millisecond, Token: func() string { return "sesame" },
		})
		var c collect
		c.start(t, source.Config{
			Endpoints: func() []source.Endpoint { return []source.Endpoint{{Node: "node-1", NodeName: "gpu-1", URL: url}} },
			Token:     func(context.Context) (string, error) { return "sesame", nil },
			Gzip:      zip,
		})
		eventually(t, "five batches", func() bool { _, _, n := c.last(); return n >= 5 })
		s.set(func(s *script) { s.change = func(b *gpu.Batch) { b.Samples[0].UtilPercent = ptr(99.0) } })
		eventually(t, "the change", func() bool {
			b, st, _ := c.last()
			return st.State == source.StateLive && *b.Samples[0].UtilPercent == 99
		})
		got, _, _ := c.last()
		want := node(2, got.At.Local())
		want.Node, want.Source = "node-1", "agent"
		want.Samples[0].UtilPercent = ptr(99.0)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("gzip %v (-want +got)\n%s", zip, d)
		}
		c.mu.Lock()
		if c.batches[0].Samples[1].Throttle == nil {
			t.Error("an empty list of reasons became an unknown one")
		}
		c.mu.Unlock()
	}
}

func TestHungSampler(t *testing.T) {
	s := &script{}
	a, url := running(t, Config{Sampler: s, Interval: 10 * time.Millisecond})
	var c collect
	c.start(t, source.Config{Endpoints: func() []source.Endpoint { return []source.Endpoint{{URL: url}} }})
	eventually(t, "live", func() bool { _, st, _ := c.last(); return st.State == source.StateLive })
	// A reading that a slow machine holds up is late like one that hangs, until it is there.
	eventually(t, "healthy", func() bool { code, _ := get(t, url+"/healthz", ""); return code == http.StatusOK })

	free := make(chan struct{})
	s.set(func(s *script) { s.hang = free })
	eventually(t, "the stream says so", func() bool {
		_, st, _ := c.last()
		return st.State == source.StateFrozen && strings.Contains(st.Err, "driver has not answered")
	})
	code, body := get(t, url+"/healthz", "")
	var h health
	if err := json.Unmarshal(body, &h); err != nil || code != http.StatusServiceUnavailable || h.Status != stream.SamplerLate {
		t.Errorf("hung: %d %s %v", code, body, err)
	}
	if h.LastSample == nil || h.AgeSeconds == nil {
		t.Errorf("no age of the last reading: %s", body)
	}
	if code, _ := get(t, url+"/v1/snapshot", ""); code != http.StatusOK {
		t.Errorf("snapshot while hung: %d", code)
	}
	if up := series(scrape(t, a, "/metrics")["stoker_agent_sampler_up"]); up[""] != 0 {
		t.Errorf("sampler_up while hung: %v", up)
	}

	s.set(func(s *script) { s.hang = nil })
	close(free)
	eventually(t, "live again", func() bool { _, st, _ := c.last(); return st.State == source.StateLive })
}

func TestFailingSampler(t *testing.T) {
	s := &script{err: errors.New("driver not loaded")}
	_, url := running(t, Config{Sampler: s, Interval: 5 * time.Millisecond})
	eventually(t, "failing", func() bool {
		code, body := get(t, url+"/healthz", "")
		return code == http.StatusServiceUnavailable && strings.Contains(string(body), "driver not loaded")
	})
	if code, body := get(t, url+"/v1/snapshot", ""); code != http.StatusServiceUnavailable {
		t.Errorf("snapshot of nothing: %d %s", code, body)
	}
	_, metrics := get(t, url+"/metrics", "")
	if strings.Contains(string(metrics), "stoker_gpu_") || !strings.Contains(string(metrics), `stoker_agent_errors_total{operation="sample"}`) {
		t.Errorf("metrics:\n%s", metrics)
	}
	s.set(func(s *script) { s.err = nil })
	eventually(t, "ok", func() bool { code, _ := get(t, url+"/healthz", ""); return code == http.StatusOK })
}

func TestRunClosesSampler(t *testing.T) {
	s := &script{}
	a := newAgent(t, Config{Sampler: s})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if !s.closed {
		t.Error("left open")
	}
}

func TestToken(t *testing.T) {
	token := "sesame"
	a := newAgent(t, Config{Token: func() string { return token }})
	a.publish(node(1, time.Now()))
	ask := func(h http.Handler, path, authorization string) int {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		ctx, cancel := context.WithCancel(r.Context())
		cancel() // so that a stream ends at once
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(ctx))
		return w.Code
	}
	for _, path := range []string{"/v1/stream", "/v1/snapshot", "/metrics", "/metrics/dcgm"} {
		for authorization, want := range map[string]int{
			"": 401, "Bearer ": 401, "Bearer no": 401, "sesame": 401, "Basic sesame": 401, "Bearer sesame": 200,
		} {
			if got := ask(a.Handler(), path, authorization); got != want {
				t.Errorf("%s with %q: %d, want %d", path, authorization, got, want)
			}
		}
	}
	if got := ask(a.Handler(), "/healthz", ""); got != http.StatusServiceUnavailable { // open, but Run never ran
		t.Errorf("healthz: %d", got)
	}
	token = ""
	for _, authorization := range []string{"", "Bearer ", "Bearer sesame"} {
		if got := ask(a.Handler(), "/v1/snapshot", authorization); got != 401 {
			t.Errorf("with an empty token, %q: %d, want nobody let in", authorization, got)
		}
	}
	a.cfg.OpenMetrics = true
	if got := ask(a.Handler(), "/metrics", ""); got != 200 {
		t.Errorf("open metrics: %d", got)
	}
}

func TestListenRefusesOtherMachines(t *testing.T) {
	for _, tc := range []struct {
		addr          string
		authenticated bool
		want          error
	}{
		{"127.0.0.1:0", false, nil},
		{"localhost:0", false, nil},
		{"0.0.0.0:0", false, ErrExposed},
		{":0", false, ErrExposed},
		{"[::]:0", false, ErrExposed},
		{"192.0.2.1:0", false, ErrExposed},
		{"0.0.0.0:0", true, nil},
	} {
		ln, err := Listen(t.Context(), tc.addr, tc.authenticated)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s authenticated=%v: %v, want %v", tc.addr, tc.authenticated, err, tc.want)
		}
		if ln != nil {
			ln.Close()
		}
	}
	ln, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := newAgent(t, Config{}).Serve(t.Context(), ln); !errors.Is(err, ErrExposed) {
		t.Errorf("serve on all interfaces: %v", err)
	}
}

func xids(b gpu.Batch) (out []uint64) {
	for _, e := range b.Events {
		out = append(out, e.Xid)
	}
	return out
}

// TestSlowClient holds that what a client missed comes as one keyframe, with
// all the events, and that the sampling side never waits.
func TestSlowClient(t *testing.T) {
	h := newHub(time.Hour)
	at := time.Unix(1000, 0)
	publish := func(n int) {
		b := node(1, at.Add(time.Duration(n)*time.Second))
		b.Events = []gpu.Event{{UUID: "GPU-0", At: b.At, Kind: gpu.EventXid, Xid: uint64(n)}}
		h.publish(b)
	}
	publish(1)
	box, _ := h.join(1)
	if _, ok := h.join(1); ok {
		t.Error("more clients than allowed")
	}
	var folder stream.Folder
	var seq uint64
	next := func() (stream.Kind, gpu.Batch) {
		t.Helper()
		<-box.ready
		tk := box.take()
		l, err := h.line(tk, seq, false)
		if err != nil {
			t.Fatal(err)
		}
		seq = tk.seq
		head, _ := stream.MarshalHeader(stream.Header{})
		dec, err := stream.NewDecoder(strings.NewReader(string(head)+string(l)), new(stream.Lines))
		if err != nil {
			t.Fatal(err)
		}
		f, err := dec.Next()
		if err != nil {
			t.Fatal(err)
		}
		b, ok := folder.Fold(f)
		if !ok {
			t.Fatal("not folded")
		}
		return f.Kind, b
	}
	for _, step := range []struct {
		publish []int
		kind    stream.Kind
		xids    []uint64
	}{
		{nil, stream.KindKey, []uint64{1}},
		{[]int{2}, stream.KindDelta, []uint64{2}},
		{[]int{3, 4, 5}, stream.KindKey, []uint64{3, 4, 5}},
		{[]int{6}, stream.KindDelta, []uint64{6}},
	} {
		for _, n := range step.publish {
			publish(n)
		}
		kind, b := next()
		if kind != step.kind || !cmp.Equal(xids(b), step.xids) {
			t.Errorf("after %v: %s with %v, want %s with %v", step.publish, kind, xids(b), step.kind, step.xids)
		}
	}
}

func TestPeriodicKeyframe(t *testing.T) {
	h := newHub(30 * time.Second)
	keys := 0
	for i := range 91 {
		h.publish(node(1, time.Unix(int64(i), 0)))
		l, err := h.last.encoded(false)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(l), `{"kind":"key"`) {
			keys++
		}
	}
	if keys != 4 { // at 0, 30, 60 and 90 s
		t.Errorf("%d keyframes", keys)
	}
}

// TestPlainStream: who wants no details gets none, in no frame, and each reading
// all the same.
func TestPlainStream(t *testing.T) {
	h := newHub(7 * time.Second)
	var folder stream.Folder
	free := uint64(7)
	for i := range 20 {
		b := node(2, time.Unix(int64(i), 0))
		for k := range b.Samples {
			b.Samples[k].Detail = &gpu.Detail{MemoryFreeBytes: &free}
		}
		h.publish(b)
		l, err := h.line(h.last, uint64(i), true)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(l), "memory_free") {
			t.Fatalf("reading %d has details: %s", i, l)
		}
		head, _ := stream.MarshalHeader(stream.Header{})
		dec, err := stream.NewDecoder(strings.NewReader(string(head)+string(l)), new(stream.Lines))
		if err != nil {
			t.Fatal(err)
		}
		f, err := dec.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := folder.Fold(f); !ok || !got.At.Equal(b.At) || len(got.Samples) != 2 || got.Samples[1].Detail != nil {
			t.Fatalf("reading %d came as %+v", i, got)
		}
		if b.Samples[0].Detail == nil {
			t.Fatal("taken from the reading itself")
		}
	}
}

// TestDeafClient connects and reads nothing: it must be dropped, and the
// others be served meanwhile.
func TestDeafClient(t *testing.T) {
	s := &script{gpus: 400} // so that buffers fill soon
	a := newAgent(t, Config{Sampler: s, Interval: time.Millisecond})
	a.writeTimeout = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	ln, err := a.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = a.Run(ctx) })
	wg.Go(func() { _ = a.Serve(ctx, ln) })
	defer wg.Wait()
	defer cancel()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); !strings.Contains(line, "200") {
		t.Fatalf("got %q, %v", line, err)
	}
	var c collect
	c.start(t, source.Config{Endpoints: func() []source.Endpoint {
		return []source.Endpoint{{URL: "http://" + ln.Addr().String()}}
	}})
	eventually(t, "the other one is served", func() bool { _, _, n := c.last(); return n >= 3 })
	eventually(t, "dropped", func() bool { return a.hub.clients() == 1 })
}

// TestHeartbeat reads the stream by hand while nothing is sampled.
func TestHeartbeat(t *testing.T) {
	a := newAgent(t, Config{Interval: 5 * time.Millisecond})
	srv := httptest.NewServer(a.Handler())
	defer srv.Close()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/v1/stream", nil)
	req.Header.Set("Accept-Encoding", "br, gzip;q=0.5")
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	z, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	for want := range []string{"header", "beat", "beat"} {
		if !lines.Scan() {
			t.Fatal(lines.Err())
		}
		var got map[string]any
		if err := json.Unmarshal(lines.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if want == 0 && (got["stoker"] != "gpu-stream" || got["version"] != 1.0 || got["node_name"] != "gpu-1") {
			t.Errorf("header %v", got)
		}
		if want > 0 && (got["kind"] != "beat" || got["sampler"].(map[string]any)["state"] != stream.SamplerStarting) {
			t.Errorf("beat %v", got)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("no sampler")
	}
	if _, err := New(Config{Sampler: &script{}, Interval: -1}); err == nil {
		t.Error("negative interval")
	}
}

// BenchmarkPublish8 is one reading of eight GPUs, joined and encoded once for
// any number of clients.
func BenchmarkPublish8(b *testing.B) {
	a := newAgent(b, Config{Sampler: &script{gpus: 8}})
	at := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(time.Second)
		batch, err := a.meter.Read(at)
		if err != nil {
			b.Fatal(err)
		}
		a.publish(batch)
		if _, err := a.hub.last.encoded(false); err != nil {
			b.Fatal(err)
		}
	}
}
