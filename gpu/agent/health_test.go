package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
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
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
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

// hangs makes devices say what a sampler says of those that do not answer.
func hangs(b *gpu.Batch, devices ...int) {
	for _, i := range devices {
		b.Samples[i] = gpu.Sample{UUID: b.Samples[i].UUID, At: b.At, Health: gpu.Health{
			Verdict: gpu.VerdictFailed, Reason: "the driver does not answer for this GPU; drain and restart the node",
			Since: b.At.Add(-time.Hour), // it was bad before, for another reason
		}}
	}
}

// A GPU that hangs is named, with the time at which that began; only when none
// answers is the agent itself not well.
func TestHealthNamesHungGPUs(t *testing.T) {
	at := time.Unix(1_700_000_000, 0).UTC()
	now := at
	a := newAgent(t, Config{Now: func() time.Time { return now }})
	a.setStatus(source.Status{State: source.StateLive, Since: at})
	for i, step := range []struct {
		hung  []int
		code  int
		state string
		want  []hungGPU
	}{
		{nil, 200, stream.SamplerOK, []hungGPU{}},
		{[]int{1}, 200, stream.SamplerOK, []hungGPU{{"GPU-1", 1, at.Add(time.Second)}}},
		{[]int{1}, 200, stream.SamplerOK, []hungGPU{{"GPU-1", 1, at.Add(time.Second)}}},
		{[]int{0, 1}, 503, stream.SamplerLate, []hungGPU{{"GPU-0", 0, at.Add(3 * time.Second)}, {"GPU-1", 1, at.Add(time.Second)}}},
		{nil, 200, stream.SamplerOK, []hungGPU{}},
		{[]int{1}, 200, stream.SamplerOK, []hungGPU{{"GPU-1", 1, at.Add(5 * time.Second)}}},
	} {
		now = at.Add(time.Duration(i) * time.Second)
		b := node(2, now)
		hangs(&b, step.hung...)
		a.publish(b)
		code, h := healthz(t, a)
		if code != step.code || h.Status != step.state || h.GPUs != 2 || !cmp.Equal(h.Hung, step.want) {
			t.Errorf("step %d: %d %+v, want %d %s with %v", i, code, h, step.code, step.state, step.want)
		}
		metrics := scrape(t, a, "/metrics")
		for _, g := range []string{"0", "1"} {
			is := series(metrics["stoker_gpu_sampler_hung"])["gpu="+g+",uuid=GPU-"+g]
			if want := strings.Contains(strings.Join(indexes(step.hung), ","), g); (is == 1) != want {
				t.Errorf("step %d: sampler_hung of GPU %s is %v", i, g, is)
			}
			if _, known := series(metrics["stoker_gpu_processes"])["gpu="+g+",uuid=GPU-"+g]; known == (is == 1) {
				t.Errorf("step %d: processes of GPU %s known: %v", i, g, known)
			}
		}
		if up := series(metrics["stoker_agent_sampler_up"])[""]; (up == 1) != (step.code == 200) {
			t.Errorf("step %d: sampler_up %v", i, up)
		}
	}
	if _, h := healthz(t, newAgent(t, Config{})); h.Hung == nil || len(h.Hung) != 0 {
		t.Errorf("before the first reading: %+v", h)
	}
}

func indexes(list []int) (out []string) {
	for _, i := range list {
		out = append(out, string(rune('0'+i)))
	}
	return out
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
	if code, _ := ask(newAgent(t, Config{}), http.MethodPost, "/release"); code != http.StatusNotImplemented {
		t.Errorf("a sampler that cannot: %d", code)
	}
	guarded := newAgent(t, Config{Sampler: r, Token: func() string { return "sesame" }, OpenMetrics: true})
	if code, _ := ask(guarded, http.MethodPost, "/release"); code != http.StatusUnauthorized {
		t.Errorf("without the token: %d", code)
	}
	if code, _ := ask(guarded, http.MethodPost, "/release", "Authorization", "Bearer sesame"); code != http.StatusOK {
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
