package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"stoker/scenarios/workload/artifact"
	"stoker/scenarios/workload/digits"
	"stoker/scenarios/workload/train"
)

// trained is a model that has learned enough for these tests.
func trained(t *testing.T) artifact.Folder {
	t.Helper()
	cfg := train.Default()
	cfg.Steps, cfg.StepDelay, cfg.Version = 60, 0, "7"
	f, err := train.Run(t.Context(), cfg, train.Deps{
		Log: io.Discard, Metrics: train.NewMetrics(prometheus.NewRegistry(), "", ""),
		Progress: &train.Progress{}, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func options() Options {
	return Options{Now: time.Now, Worked: func(time.Duration, time.Duration) {}}
}

func start(t *testing.T, s *Server) *httptest.Server {
	t.Helper()
	ts := httptest.NewServer(s.Handler())
	t.Cleanup(ts.Close)
	return ts
}

// call returns the status, the content type and the body.
func call(t *testing.T, method, url, body string) (status int, contentType, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(got)
}

// list writes n values as a JSON list.
func list(n int, value string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(value+",", n), ",") + "]"
}

func request(shape, data string) string {
	return fmt.Sprintf(`{"inputs":[{"name":"image","datatype":"FP32","shape":%s,"data":%s}]}`, shape, data)
}

func TestProtocol(t *testing.T) {
	s := New(options())
	if err := s.Load(trained(t)); err != nil {
		t.Fatal(err)
	}
	ts := start(t, s)
	blank := list(64, "0")
	nested := list(1, list(8, list(8, "1.5")))
	infer := "/v2/models/digits/infer"
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		want                     string // in the body
	}{
		{"live", "GET", "/v2/health/live", "", 200, `{"live":true}`},
		{"ready", "GET", "/v2/health/ready", "", 200, `{"ready":true}`},
		{"server", "GET", "/v2", "", 200, `"name":"stoker-workload"`},
		{"model", "GET", "/v2/models/digits", "", 200, `"inputs":[{"name":"image","datatype":"FP32","shape":[-1,64]}]`},
		{"model version", "GET", "/v2/models/digits/versions/7", "", 200, `"versions":["7"]`},
		{"model ready", "GET", "/v2/models/digits/ready", "", 200, `{"name":"digits","ready":true}`},
		{"model version ready", "GET", "/v2/models/digits/versions/7/ready", "", 200, `"ready":true`},
		{"openapi", "GET", "/openapi.json", "", 200, `"openapi": "3.1.0"`},
		{"infer", "POST", infer, request("[1,64]", blank), 200, `"model_name":"digits","model_version":"7"`},
		{"infer version", "POST", "/v2/models/digits/versions/7/infer", request("[1,64]", blank), 200, `"datatype":"INT64","shape":[1]`},
		{"infer two", "POST", infer, request("[2,64]", list(128, "0")), 200, `"name":"scores","datatype":"FP32","shape":[2,10]`},
		{"infer square", "POST", infer, request("[1,8,8]", blank), 200, `"label"`},
		{"infer nested", "POST", infer, request("[1,8,8]", nested), 200, `"label"`},
		{"id echoed", "POST", infer, `{"id":"a1",` + request("[1,64]", blank)[1:], 200, `"id":"a1"`},
		{"one output", "POST", infer, `{"outputs":[{"name":"scores"}],` + request("[1,64]", blank)[1:], 200, `"outputs":[{"name":"scores"`},

		{"unknown model", "GET", "/v2/models/letters", "", 404, `no model \"letters\"`},
		{"unknown version", "GET", "/v2/models/digits/versions/8/ready", "", 404, `no version \"8\"`},
		{"infer unknown model", "POST", "/v2/models/letters/infer", request("[1,64]", blank), 404, `this server has \"digits\"`},
		{"infer unknown version", "POST", "/v2/models/digits/versions/8/infer", request("[1,64]", blank), 404, `this server has \"7\"`},
		{"no such path", "GET", "/v1/models", "", 404, "/openapi.json"},
		{"wrong method", "GET", infer, "", 405, "use POST"},
		{"wrong method to metadata", "DELETE", "/v2/models/digits", "", 405, "use GET"},
		{"no JSON", "POST", infer, "image", 400, "no inference request"},
		{"no inputs", "POST", infer, "{}", 400, `one input tensor, named \"image\"`},
		{"other input", "POST", infer, strings.Replace(request("[1,64]", blank), "image", "picture", 1), 400, "named"},
		{"other type", "POST", infer, strings.Replace(request("[1,64]", blank), "FP32", "FP64", 1), 400, "want FP32"},
		{"shape [64]", "POST", infer, request("[64]", blank), 400, "want [N,64] or [N,8,8]"},
		{"shape [1,63]", "POST", infer, request("[1,63]", list(63, "0")), 400, "has shape [1 63]"},
		{"shape [0,64]", "POST", infer, request("[0,64]", "[]"), 400, "has shape"},
		{"shape [-1,64]", "POST", infer, request("[-1,64]", blank), 400, "has shape"},
		{"shape overflows", "POST", infer, request("[288230376151711745,64]", blank), 400, "has shape"},
		{"data too short", "POST", infer, request("[2,64]", blank), 400, "64 values, the shape [2 64] has 128"},
		{"nested wrongly", "POST", infer, request("[1,8,8]", list(1, list(4, list(16, "0")))), 400, "4 rows, want 8"},
		{"ragged", "POST", infer, request("[1,64]", list(1, list(63, "0"))), 400, "a row has 63 values, want 64"},
		{"null value", "POST", infer, request("[1,64]", strings.Replace(blank, "0", "null", 1)), 400, "value 0 is null"},
		{"text value", "POST", infer, request("[1,64]", strings.Replace(blank, "0", `"0"`, 1)), 400, "not a list of numbers"},
		{"huge value", "POST", infer, request("[1,64]", strings.Replace(blank, "0", "1e999", 1)), 400, "not a list of numbers"},
		{"no data", "POST", infer, `{"inputs":[{"name":"image","datatype":"FP32","shape":[1,64]}]}`, 400, "not a list of numbers"},
		{"too bright", "POST", infer, request("[1,64]", strings.Replace(blank, "0", "255", 1)), 400, "image 0, pixel 0 is 255, outside of 0 to 16"},
		{"negative", "POST", infer, request("[2,64]", "["+strings.Repeat("0,", 127)+"-0.5]"), 400, "image 1, pixel 63 is -0.5"},
		{"other output", "POST", infer, `{"outputs":[{"name":"logits"}],` + request("[1,64]", blank)[1:], 400, `output \"logits\" is unknown`},
		{"too large", "POST", infer, request("[1,64]", list(600_000, "0")), 413, "larger than 1048576 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, contentType, body := call(t, tt.method, ts.URL+tt.path, tt.body)
			if status != tt.status || !strings.Contains(body, tt.want) {
				t.Fatalf("%d %s\nwant %d and %s", status, body, tt.status, tt.want)
			}
			if status == 200 {
				return
			}
			var p problem
			if err := json.Unmarshal([]byte(body), &p); err != nil || contentType != "application/problem+json" {
				t.Fatalf("%s, %v", contentType, err)
			}
			if p.Status != status || p.Title == "" || p.Detail == "" || p.Error != p.Detail {
				t.Errorf("problem %+v", p)
			}
		})
	}
}

func TestBinaryTensorsAreRefused(t *testing.T) {
	s := New(options())
	if err := s.Load(trained(t)); err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest("POST", "/v2/models/digits/infer", strings.NewReader("{}"))
	req.Header.Set("Inference-Header-Content-Length", "2")
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, req)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "binary tensors") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestAnswersAreTheModels(t *testing.T) {
	s := New(options())
	if err := s.Load(trained(t)); err != nil {
		t.Fatal(err)
	}
	ts := start(t, s)
	set, err := digits.Load()
	if err != nil {
		t.Fatal(err)
	}
	var pixels []float64
	for _, img := range set.Test {
		pixels = append(pixels, img.Pixels[:]...)
	}
	data, err := json.Marshal(pixels)
	if err != nil {
		t.Fatal(err)
	}
	_, _, body := call(t, "POST", ts.URL+"/v2/models/digits/infer", request(fmt.Sprintf("[%d,64]", len(set.Test)), string(data)))
	var answer struct {
		Outputs []struct {
			Name string    `json:"name"`
			Data []float64 `json:"data"`
		} `json:"outputs"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	labels, scores, right := answer.Outputs[0].Data, answer.Outputs[1].Data, 0
	for i, img := range set.Test {
		row, sum := scores[i*10:(i+1)*10], 0.0
		for _, v := range row {
			sum += v
			if v > row[int(labels[i])] {
				t.Fatalf("image %d: label %v is not that of the top score in %v", i, labels[i], row)
			}
		}
		if math.Abs(sum-1) > 1e-5 {
			t.Fatalf("image %d: scores add up to %v", i, sum)
		}
		if int(labels[i]) == img.Label {
			right++
		}
	}
	if share := float64(right) / float64(len(set.Test)); share < 0.85 {
		t.Errorf("accuracy %v over HTTP", share)
	}
}

func TestNotReady(t *testing.T) {
	s := New(options())
	ts := start(t, s)
	paths := []string{"/v2/health/ready", "/v2/models/digits", "/v2/models/digits/ready"}
	for _, path := range paths {
		if status, _, body := call(t, "GET", ts.URL+path, ""); status != 503 {
			t.Errorf("%s before loading: %d %s", path, status, body)
		}
	}
	if status, _, _ := call(t, "POST", ts.URL+"/v2/models/digits/infer", request("[1,64]", list(64, "0"))); status != 503 {
		t.Errorf("infer before loading: %d", status)
	}
	if status, _, _ := call(t, "GET", ts.URL+"/v2/health/live", ""); status != 200 {
		t.Errorf("live before loading: %d", status)
	}
	if err := s.Load(trained(t)); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	for path, want := range map[string]int{"/v2/health/ready": 503, "/v2/models/digits/ready": 503, "/v2/health/live": 200} {
		if status, _, _ := call(t, "GET", ts.URL+path, ""); status != want {
			t.Errorf("%s while stopping: %d, want %d", path, status, want)
		}
	}
	if status, _, _ := call(t, "POST", ts.URL+"/v2/models/digits/infer", request("[1,64]", list(64, "0"))); status != 200 {
		t.Errorf("infer while stopping: %d, what is still sent is still answered", status)
	}
}

func TestMetrics(t *testing.T) {
	opts := options()
	opts.Name, opts.Version = "letters", "9"
	s := New(opts)
	if err := s.Load(trained(t)); err != nil {
		t.Fatal(err)
	}
	ts := start(t, s)
	for _, c := range []struct{ model, body string }{
		{"letters", request("[1,64]", list(64, "0"))},
		{"letters", request("[3,64]", list(192, "0"))},
		{"letters", request("[1,64]", list(64, "99"))},
		{"letters", "nonsense"},
		{"digits", request("[1,64]", list(64, "0"))},
	} {
		call(t, "POST", ts.URL+"/v2/models/"+c.model+"/infer", c.body)
	}
	_, contentType, text := call(t, "GET", ts.URL+"/metrics", "")
	if !strings.HasPrefix(contentType, "text/plain; version=0.0.4") {
		t.Errorf("content type %s", contentType)
	}
	for _, want := range []string{
		`stoker_model_requests_total{code="200",model="letters",version="9"} 2`,
		`stoker_model_requests_total{code="400",model="letters",version="9"} 2`,
		`stoker_model_request_duration_seconds_count{model="letters",version="9"} 4`,
		`stoker_model_request_duration_seconds_bucket{model="letters",version="9",le="0.0005"}`,
		`stoker_model_requests_in_flight{model="letters",version="9"} 0`,
		`stoker_model_score_count{model="letters",version="9"} 4`,
		`stoker_model_score_bucket{model="letters",version="9",le="1"} 4`,
		`stoker_model_rejected_inputs_total{model="letters",reason="out_of_range",version="9"} 1`,
		`stoker_model_rejected_inputs_total{model="letters",reason="malformed",version="9"} 1`,
		`stoker_model_rejected_inputs_total{model="letters",reason="unknown_model",version="9"} 1`,
		`stoker_model_rejected_inputs_total{model="letters",reason="bad_shape",version="9"} 0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if n := strings.Count(text, "stoker_model_predictions_total{"); n != digits.Classes {
		t.Errorf("%d labels are counted, want all", n)
	}
	if n := strings.Count(text, "stoker_model_score_bucket{"); n != 11 {
		t.Errorf("%d score buckets, want 10 and +Inf", n)
	}
	problems, err := testutil.GatherAndLint(s.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}

func TestDelayIsServiceTime(t *testing.T) {
	const delay = 30 * time.Millisecond
	var mu sync.Mutex
	var told []time.Duration
	opts := options()
	opts.Delay = delay
	opts.Worked = func(compute, d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		if compute <= 0 {
			t.Errorf("compute took %s", compute)
		}
		told = append(told, d)
	}
	s := New(opts)
	if err := s.Load(trained(t)); err != nil {
		t.Fatal(err)
	}
	ts := start(t, s)
	began := time.Now()
	call(t, "POST", ts.URL+"/v2/models/digits/infer", request("[1,64]", list(64, "0")))
	if took := time.Since(began); took < delay {
		t.Errorf("answered after %s", took)
	}
	// One who hangs up is counted as such, and kept the GPU no longer.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req := httptest.NewRequestWithContext(ctx, "POST", "/v2/models/digits/infer", strings.NewReader(request("[1,64]", list(64, "0"))))
	s.Handler().ServeHTTP(httptest.NewRecorder(), req)
	if diff := cmp.Diff([]time.Duration{delay}, told); diff != "" {
		t.Error(diff)
	}
	if got := testutil.ToFloat64(s.model.Load().metrics.requests.WithLabelValues("499")); got != 1 {
		t.Errorf("%v requests with code 499", got)
	}
}

// The document must name every path that the server has, and no other.
func TestOpenAPINamesThePaths(t *testing.T) {
	var doc struct {
		OpenAPI string                    `json:"openapi"`
		Paths   map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	s := New(options())
	if err := s.Load(trained(t)); err != nil {
		t.Fatal(err)
	}
	ts := start(t, s)
	fill := strings.NewReplacer("{model}", "digits", "{version}", "7")
	for path, item := range doc.Paths {
		for method := range item {
			if method == "parameters" {
				continue
			}
			status, _, body := call(t, strings.ToUpper(method), ts.URL+fill.Replace(path), request("[1,64]", list(64, "0")))
			if status != 200 {
				t.Errorf("%s %s: %d %s", method, path, status, body)
			}
		}
	}
	if len(doc.Paths) != 11 {
		t.Errorf("%d paths are described, the server has 11", len(doc.Paths))
	}
}
