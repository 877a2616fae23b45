package drive

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/scenarios/workload/digits"
)

// labeller answers each image with a label, right or wrong being for the
// caller to arrange.
func labeller(label func() int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = json.NewEncoder(w).Encode(map[string]any{"outputs": []any{
			map[string]any{"name": "label", "datatype": "INT64", "shape": []int{1}, "data": []int{label()}},
		}})
	})
}

func config(urls ...string) Config {
	return Config{URLs: urls, Duration: 200 * time.Millisecond, Rate: 200, Model: "digits", Timeout: time.Minute}
}

func TestRunCountsByServer(t *testing.T) {
	var good, bad atomic.Int64
	a := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/models/digits/versions/2/infer" || r.Method != http.MethodPost {
			t.Errorf("%s %s", r.Method, r.URL.Path)
		}
		good.Add(1)
		labeller(func() int { return 4 }).ServeHTTP(w, r)
	}))
	defer a.Close()
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		bad.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer b.Close()
	cfg := config(a.URL, b.URL+"/")
	cfg.Version = "2"
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests != 40 || good.Load() != 20 || bad.Load() != 20 {
		t.Errorf("%d requests, %d and %d at the servers; want 40, 20 and 20", r.Requests, good.Load(), bad.Load())
	}
	if diff := cmp.Diff(map[string]int{"200": 20, "503": 20}, r.Codes); diff != "" {
		t.Error(diff)
	}
	if r.Errors != 20 || *r.ErrorRate != 0.5 || r.Answered != 40 {
		t.Errorf("%d errors, rate %v, %d answered", r.Errors, *r.ErrorRate, r.Answered)
	}
	set, err := digits.Load()
	if err != nil {
		t.Fatal(err)
	}
	fours := 0.0
	for i := 0; i < 40; i += 2 { // the images that the first server was sent
		if set.Test[i].Label == 4 {
			fours++
		}
	}
	if *r.Accuracy != fours/20 || fours == 0 {
		t.Errorf("accuracy %v of a server that always says 4, want %v", *r.Accuracy, fours/20)
	}
	if *r.P50 <= 0 || *r.P50 > *r.P95 || *r.P95 > *r.P99 || *r.P99 > *r.Max {
		t.Errorf("latencies %v %v %v %v", *r.P50, *r.P95, *r.P99, *r.Max)
	}
}

// The load does not wait for answers: a stalled server sees all requests, and
// each is charged its whole wait.
func TestLoadIsOpen(t *testing.T) {
	release := make(chan struct{})
	var arrived atomic.Int64
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if arrived.Add(1) == 40 {
			close(release)
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
		labeller(func() int { return 0 }).ServeHTTP(w, r)
	}))
	defer ts.Close()
	r, err := Run(t.Context(), config(ts.URL))
	if err != nil {
		t.Fatal(err)
	}
	if r.Errors != 0 || r.Requests != 40 {
		t.Fatalf("%d errors of %d: %v", r.Errors, r.Requests, r.Codes)
	}
	if *r.P50 < 0.08 {
		t.Errorf("p50 %v s; requests were held for 0 to 0.2 s", *r.P50)
	}
}

func TestNothingAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + l.Addr().String()
	l.Close()
	r, err := Run(t.Context(), config(address))
	if err != nil {
		t.Fatal(err)
	}
	if r.Answered != 0 || r.Codes[codeFailed] != 40 || r.Accuracy != nil || r.P50 != nil || *r.ErrorRate != 1 {
		t.Errorf("%+v", r)
	}
	line, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(line), `"accuracy":null`) {
		t.Errorf("%s %v", line, err)
	}
	if !strings.Contains(r.Text(), "accuracy: –") {
		t.Error(r.Text())
	}
}

// Two runs: the server that hangs needs a short timeout to be told, the one
// that answers nonsense a long one, so that a slow machine is not taken for it.
func TestTimeoutAndNonsense(t *testing.T) {
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer hang.Close()
	odd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer odd.Close()
	for _, tt := range []struct {
		url     string
		timeout time.Duration
		code    string
	}{
		{hang.URL, 50 * time.Millisecond, codeTimeout},
		{odd.URL, time.Minute, codeNonsense},
	} {
		cfg := config(tt.url)
		cfg.Timeout, cfg.Rate = tt.timeout, 20
		r, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int{tt.code: 4}, r.Codes); diff != "" {
			t.Error(diff)
		}
	}
}

// A stop ends a run of an hour, whatever the server does, and is no fault of it.
func TestStopEndsTheRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answer := labeller(func() int { return 1 })
	var (
		mu      sync.Mutex
		known   = map[string]bool{}
		arrived int
	)
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		arrived++
		again := known[r.RemoteAddr] // a connection is used again once its answer was read
		known[r.RemoteAddr] = true
		mu.Unlock()
		if again {
			cancel()
		}
		if ctx.Err() != nil {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return
		}
		answer.ServeHTTP(w, r)
	}))
	defer ts.Close()
	cfg := config(ts.URL)
	cfg.Duration, cfg.Rate, cfg.Timeout = time.Hour, 50, time.Minute
	r, err := Run(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if r.Requests == 0 || r.Requests >= arrived || r.Errors != 0 {
		t.Errorf("%d requests of %d that arrived, %v", r.Requests, arrived, r.Codes)
	}
}

func TestQuantileIsByNearestRank(t *testing.T) {
	var took []time.Duration
	for i := 1; i <= 10; i++ {
		took = append(took, time.Duration(i)*time.Second)
	}
	for q, want := range map[float64]float64{0: 1, 0.1: 1, 0.11: 2, 0.5: 5, 0.95: 10, 1: 10} {
		if got := *quantile(took, q); got != want {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
	if quantile(nil, 0.5) != nil {
		t.Error("a quantile of nothing")
	}
}

func TestConfigCheck(t *testing.T) {
	for name, spoil := range map[string]func(*Config){
		"no URL":   func(c *Config) { c.URLs = nil },
		"no host":  func(c *Config) { c.URLs = []string{"127.0.0.1:80"} },
		"rate":     func(c *Config) { c.Rate = 0 },
		"model":    func(c *Config) { c.Model = "" },
		"duration": func(c *Config) { c.Duration = 0 },
		"none due": func(c *Config) { c.Duration, c.Rate = time.Second, 0.1 },
	} {
		c := config("http://127.0.0.1:80")
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		spoil(&c)
		if c.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
