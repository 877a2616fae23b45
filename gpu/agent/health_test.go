package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
	"stoker/gpu/source"
	"stoker/gpu/stream"
)

// ask sends a request to an agent without a network.
func ask(a *Agent, method, path string, header ...string) (int, string) {
	r := httptest.NewRequest(method, path, nil)
	r.Host = "127.0.0.1:9460"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func healthz(t *testing.T, a *Agent) (int, health) {
	t.Helper()
	code, body := ask(a, http.MethodGet, "/healthz")
	var h health
	if err := json.Unmarshal([]byte(body), &h); err != nil {
		t.Fatal(err)
	}
	return code, h
}

// silent makes devices say what a sampler says of those that it cannot read.
func silent(b *gpu.Batch, why string, devices ...int) {
	for _, i := range devices {
		b.Samples[i] = gpu.Sample{UUID: b.Samples[i].UUID, At: b.At, Health: gpu.Health{Verdict: gpu.VerdictFailed, Reason: why}}
	}
}

// hanger is a sampler that tells which devices hang.
type hanger struct {
	script
	hung map[gpu.UUID]time.Time
}

func (h *hanger) Hung() map[gpu.UUID]time.Time { return h.hung }

// A GPU that hangs is named, with the time at which that began; only when none
// can be read is the agent itself not well.
func TestHealthNamesHungGPUs(t *testing.T) {
	at := time.Unix(1_700_000_000, 0).UTC()
	now := at
	s := &hanger{}
	a := newAgent(t, Config{Sampler: s, Now: func() time.Time { return now }})
	a.setStatus(source.Status{State: source.StateLive, Since: at})
	const hangs, lost = "the driver does not answer", "GPU is lost"
	for i, step := range []struct {
		hung, silent []int
		why          string
		code         int
		state        string
		since        int // seconds after the first
	}{
		{nil, nil, "", 200, stream.SamplerOK, 0},
		{[]int{1}, []int{1}, hangs, 200, stream.SamplerOK, 0},
		{[]int{0, 1}, []int{0, 1}, hangs, 503, stream.SamplerLate, 2},
		{[]int{0, 1}, []int{0, 1}, hangs, 503, stream.SamplerLate, 2},
		{[]int{1}, []int{0, 1}, lost, 503, stream.SamplerFailing, 2},
		{nil, []int{0}, lost, 200, stream.SamplerOK, 0},
		{nil, []int{0, 1}, lost, 503, stream.SamplerFailing, 6},
		{nil, nil, "", 200, stream.SamplerOK, 0},
	} {
		now = at.Add(time.Duration(i) * time.Second)
		b := node(2, now)
		silent(&b, step.why, step.silent...)
		s.hung = map[gpu.UUID]time.Time{}
		want := []hungGPU{}
		for _, g := range step.hung {
			since := at.Add(-time.Duration(g) * time.Minute)
			s.hung[b.Devices[g].UUID] = since
			want = append(want, hungGPU{b.Devices[g].UUID, g, since})
		}
		a.publish(b)
		code, h := healthz(t, a)
		if code != step.code || h.Status != step.state || h.GPUs != 2 || !cmp.Equal(h.Hung, want) {
			t.Errorf("step %d: %d %+v, want %d %s with %v", i, code, h, step.code, step.state, want)
		}
		if since := at.Add(time.Duration(step.since) * time.Second); !h.Since.Equal(since) || (code == 503) != strings.Contains(h.Error, "no GPU can be read: "+step.why) {
			t.Errorf("step %d: since %v %q, want %v", i, h.Since, h.Error, since)
		}
		metrics := scrape(t, a, "/metrics")
		for n, g := range []string{"gpu=0,uuid=GPU-0", "gpu=1,uuid=GPU-1"} {
			if is := series(metrics["stoker_gpu_sampler_hung"])[g]; (is == 1) != slices.Contains(step.hung, n) {
				t.Errorf("step %d: sampler_hung of %s is %v", i, g, is)
			}
			if _, known := series(metrics["stoker_gpu_processes"])[g]; known == slices.Contains(step.silent, n) {
				t.Errorf("step %d: processes of %s known: %v", i, g, known)
			}
		}
		if up := series(metrics["stoker_agent_sampler_up"])[""]; (up == 1) != (step.code == 200) {
			t.Errorf("step %d: sampler_up %v", i, up)
		}
	}
	if _, h := healthz(t, newAgent(t, Config{})); h.Hung == nil || len(h.Hung) != 0 {
		t.Errorf("before the first reading: %+v", h)
	}
	a.setStatus(source.Status{State: source.StateLive, Since: at})
	a.publish(gpu.Batch{At: now}) // a node without GPUs is well
	if code, _ := healthz(t, a); code != http.StatusOK {
		t.Errorf("without GPUs: %d", code)
	}
}

// An instance hangs with its device.
func TestHungInstances(t *testing.T) {
	b := node(2, time.Now())
	b.Devices[1].Parent = "GPU-0"
	since := time.Unix(1000, 0)
	m := &meter{next: &hanger{hung: map[gpu.UUID]time.Time{"GPU-0": since, "GPU-9": since}}}
	if d := cmp.Diff(map[gpu.UUID]time.Time{"GPU-0": since, "GPU-1": since}, m.hungIn(b)); d != "" {
		t.Error(d)
	}
}

// releaser is a sampler that can let the driver go.
type releaser struct {
	script
	now func() time.Time

	mu       sync.Mutex
	until    time.Time
	refuse   error
	holdup   chan struct{}
	released []time.Duration
}

func (r *releaser) Release(hold time.Duration) error {
	r.mu.Lock()
	wait := r.holdup
	r.mu.Unlock()
	if wait != nil {
		<-wait
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse != nil {
		return r.refuse
	}
	r.released = append(r.released, hold)
	r.until = r.now().Add(hold)
	return nil
}

func (r *releaser) Read(now time.Time) (gpu.Batch, error) {
	r.mu.Lock()
	away := now.Before(r.until)
	r.mu.Unlock()
	if away {
		return gpu.Batch{}, errors.New("released")
	}
	return r.script.Read(now)
}

func TestRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &releaser{now: time.Now}
		a := newAgent(t, Config{Sampler: r, Now: time.Now})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = a.Run(ctx) }()
		defer func() { stop(); <-done }()
		time.Sleep(1500 * time.Millisecond)

		code, body := ask(a, http.MethodPost, "/release?for=90s")
		until := time.Now().Add(90 * time.Second).UTC()
		if code != http.StatusOK || !strings.Contains(body, `"released"`) || !cmp.Equal(r.released, []time.Duration{90 * time.Second}) {
			t.Fatalf("%d %s, %v", code, body, r.released)
		}
		synctest.Wait()
		a.publish(node(2, time.Now().Add(-time.Second))) // was under way, and comes late
		code, h := healthz(t, a)
		if code != http.StatusServiceUnavailable || h.Status != stream.SamplerReleased || !strings.Contains(h.Error, "released until "+until.Format(time.RFC3339)) {
			t.Errorf("at once: %d %+v", code, h)
		}
		time.Sleep(89 * time.Second)
		if code, h := healthz(t, a); code != http.StatusServiceUnavailable || h.Status != stream.SamplerReleased {
			t.Errorf("before the end: %d %+v", code, h)
		}
		time.Sleep(3 * time.Second)
		if code, h := healthz(t, a); code != http.StatusOK || h.Status != stream.SamplerOK || h.Error != "" {
			t.Errorf("after the end: %d %+v", code, h)
		}
	})
}

func TestReleaseRefusals(t *testing.T) {
	r := &releaser{now: time.Now}
	a := newAgent(t, Config{Sampler: r})
	for path, want := range map[string]int{
		"/release?for=0s": 400, "/release?for=2h": 400, "/release?for=soon": 400, "/release?for=-1m": 400, "/release": 200,
	} {
		if code, body := ask(a, http.MethodPost, path); code != want {
			t.Errorf("%s: %d %s, want %d", path, code, body, want)
		}
	}
	if !cmp.Equal(r.released, []time.Duration{time.Minute}) {
		t.Errorf("released for %v, want a minute", r.released)
	}
	if code, _ := ask(a, http.MethodGet, "/release"); code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", code)
	}
	if code, _ := ask(a, http.MethodPost, "/release", "Sec-Fetch-Site", "cross-site"); code != http.StatusForbidden {
		t.Errorf("from another site's page: %d", code)
	}
	for host, want := range map[string]int{"rebound.example:9460": 403, "rebound.example": 403, "localhost:9460": 200, "[::1]:9460": 200, "::1": 403} {
		if code, body := ask(a, http.MethodPost, "/release", "Host", host); code != want {
			t.Errorf("as %s: %d %s, want %d", host, code, body, want)
		}
	}
	if code, _ := ask(newAgent(t, Config{}), http.MethodPost, "/release"); code != http.StatusNotImplemented {
		t.Errorf("a sampler that cannot: %d", code)
	}
	guarded := newAgent(t, Config{Sampler: r, Token: func() string { return "sesame" }, OpenMetrics: true})
	if code, _ := ask(guarded, http.MethodPost, "/release"); code != http.StatusUnauthorized {
		t.Errorf("without the token: %d", code)
	}
	if code, _ := ask(guarded, http.MethodPost, "/release", "Authorization", "Bearer sesame", "Host", "node1.example:9460"); code != http.StatusOK {
		t.Errorf("with the token: %d", code)
	}
	r.refuse = errors.New("a call of GPU 3 is under way")
	if code, body := ask(a, http.MethodPost, "/release"); code != http.StatusConflict || !strings.Contains(body, "GPU 3") {
		t.Errorf("under a call: %d %s", code, body)
	}
}

// A sampler that hangs holds a release up, and neither its answer nor another.
func TestReleaseOfAHungSampler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &releaser{now: time.Now, holdup: make(chan struct{})}
		a := newAgent(t, Config{Sampler: r, Now: time.Now})
		if code, body := ask(a, http.MethodPost, "/release"); code != http.StatusServiceUnavailable || !strings.Contains(body, "hangs") {
			t.Errorf("%d %s", code, body)
		}
		if code, _ := ask(a, http.MethodPost, "/release"); code != http.StatusConflict {
			t.Errorf("a second one: %d", code)
		}
		close(r.holdup)
		synctest.Wait()
		if code, _ := ask(a, http.MethodPost, "/release"); code != http.StatusOK {
			t.Errorf("once it is free: %d", code)
		}
	})
}
