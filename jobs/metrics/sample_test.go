package metrics

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stoker/cluster"
)

var start = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

const (
	testFresh  = 5 * time.Second
	testWindow = 30 * time.Second
)

func mustPage(t testing.TB, text string) page {
	t.Helper()
	p, err := parsePage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func file(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// scraped is a target that answered with the pages, one every two seconds.
func scraped(t testing.TB, e Endpoint, pages ...string) *target {
	t.Helper()
	out := &target{endpoint: e}
	for i, text := range pages {
		out.add(point{start.Add(time.Duration(2*i) * time.Second), mustPage(t, text)}, testWindow)
	}
	return out
}

func endpoint(job, alloc string) Endpoint {
	return Endpoint{URL: "http://" + alloc, Job: cluster.JobID{Namespace: "default", Name: job}, Alloc: cluster.AllocID(alloc), Model: "meta-model", Version: "meta-version"}
}

func key(job, model, version string) cluster.ModelKey {
	return cluster.ModelKey{Job: cluster.JobID{Namespace: "default", Name: job}, Model: model, Version: version}
}

func samples(now time.Time, targets ...*target) []cluster.ModelSample {
	return modelSamples(cluster.Place{}, now, targets, testFresh, testWindow)
}

func expectSamples(t *testing.T, got, want []cluster.ModelSample) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-9), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func ptr[T any](v T) *T { return &v }

func TestServersAreRead(t *testing.T) {
	at := start.Add(2 * time.Second)
	tests := []struct {
		name          string
		before, after string
		want          cluster.ModelSample
	}{
		{
			name: "reference workload, recorded", before: file(t, "serve-1.txt"), after: file(t, "serve-2.txt"),
			want: cluster.ModelSample{
				Key: key("j", "digits", "1"), Requests: ptr(51.5), ErrorRatio: ptr(0.0), RejectedRatio: ptr(3 / 103.0),
				P50: &cluster.Quantile{Seconds: .0005, Bound: "<"}, P95: &cluster.Quantile{Seconds: .0005, Bound: "<"},
				P99: &cluster.Quantile{Seconds: .0005, Bound: "<"}, InFlight: ptr(0.0), RequestsServed: ptr(223.0),
			},
		},
		{
			// Two engines of one server; its HTTP layer also counts what is no inference.
			name: "vllm", before: file(t, "vllm-1.txt"), after: file(t, "vllm-2.txt"),
			want: cluster.ModelSample{
				Key: key("j", "meta-model", "meta-version"), Requests: ptr(20.0), ErrorRatio: ptr(.05), RejectedRatio: ptr(.05),
				P50: ptr(cluster.Quantile{Seconds: 1.75}), P95: &cluster.Quantile{Seconds: 7680, Bound: "≥"}, P99: &cluster.Quantile{Seconds: 7680, Bound: "≥"},
				InFlight: ptr(5.0), Queue: ptr(4.0), TTFT95: &cluster.Quantile{Seconds: .375}, TokensPerSec: ptr(2000.0), KVCacheRatio: ptr(.6),
				RequestsServed: ptr(324.0),
			},
		},
		{
			// Rank 1 repeats what rank 0 says.
			name: "sglang", before: `# TYPE sglang:num_requests_total counter
sglang:num_requests_total{model_name="m",tp_rank="0"} 10
`, after: `# TYPE sglang:num_requests_total counter
sglang:num_requests_total{model_name="m",tp_rank="0"} 14
sglang:num_requests_total{model_name="m",tp_rank="1"} 14
# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{model_name="m",tp_rank="0"} 3
sglang:num_running_reqs{model_name="m",tp_rank="1"} 3
# TYPE sglang:token_usage gauge
sglang:token_usage{model_name="m",tp_rank="0"} 0.25
`,
			want: cluster.ModelSample{
				Key: key("j", "meta-model", "meta-version"), Requests: ptr(2.0), InFlight: ptr(3.0), KVCacheRatio: ptr(.25), RequestsServed: ptr(14.0),
			},
		},
		{
			name: "triton without histograms", before: `nv_inference_request_success{model="a",version="2"} 90
nv_inference_request_failure{model="a",version="2",reason="BACKEND"} 0
nv_inference_pending_request_count{model="a",version="2"} 7
`, after: `nv_inference_request_success{model="a",version="2"} 96
nv_inference_request_failure{model="a",version="2",reason="BACKEND"} 3
nv_inference_request_failure{model="a",version="2",reason="REJECTED"} 1
nv_inference_pending_request_count{model="a",version="2"} 5
`,
			want: cluster.ModelSample{
				Key: key("j", "a", "2"), Requests: ptr(3.0), ErrorRatio: ptr(.3), RejectedRatio: ptr(.1), Queue: ptr(5.0), RequestsServed: ptr(96.0),
			},
		},
		{
			name: "nothing asked of it", before: file(t, "serve-2.txt"), after: file(t, "serve-2.txt"),
			want: cluster.ModelSample{Key: key("j", "digits", "1"), Requests: ptr(0.0), InFlight: ptr(0.0), RequestsServed: ptr(223.0)},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.At, tt.want.Window, tt.want.Replicas = at, 2*time.Second, 1
			expectSamples(t, samples(at, scraped(t, endpoint("j", "a1"), tt.before, tt.after)), []cluster.ModelSample{tt.want})
		})
	}
}

// served makes a page of the reference workload.
func servedPage(version string, requests string, buckets string) string {
	var b strings.Builder
	b.WriteString("# TYPE stoker_model_requests_total counter\n# TYPE stoker_model_request_duration_seconds histogram\n")
	for _, r := range strings.Fields(requests) {
		code, n, _ := strings.Cut(r, ":")
		b.WriteString(`stoker_model_requests_total{code="` + code + `",model="m",version="` + version + `"} ` + n + "\n")
	}
	for _, r := range strings.Fields(buckets) {
		le, n, _ := strings.Cut(r, ":")
		b.WriteString(`stoker_model_request_duration_seconds_bucket{le="` + le + `",model="m",version="` + version + `"} ` + n + "\n")
		if le == "+Inf" {
			b.WriteString(`stoker_model_request_duration_seconds_count{model="m",version="` + version + `"} ` + n + "\n")
		}
	}
	return b.String()
}

func TestWindows(t *testing.T) {
	p := servedPage
	b2 := func(a, b string) []string { return []string{a, b} }
	tests := []struct {
		name     string
		replicas [][]string // pages of each
		requests *float64
		errors   *float64
		p50      *cluster.Quantile
	}{
		{name: "one scrape says no rate", replicas: [][]string{{p("1", "200:5", "1:5 2:5 +Inf:5")}}},
		{
			name:     "a counter that fell was started again",
			replicas: [][]string{{p("1", "200:10", ""), p("1", "200:14", ""), p("1", "200:3", ""), p("1", "200:8", "")}},
			requests: ptr((4 + 3 + 5) / 6.0), errors: ptr(0.0),
		},
		{
			name:     "a series that appears stood at zero",
			replicas: [][]string{b2(p("1", "200:10", ""), p("1", "200:12 500:2", ""))},
			requests: ptr(2.0), errors: ptr(.5),
		},
		{
			name:     "a count that fell makes all buckets new",
			replicas: [][]string{b2(p("1", "200:10", "1:2 2:10 +Inf:10"), p("1", "200:4", "1:4 2:4 +Inf:4"))},
			requests: ptr(2.0), errors: ptr(0.0), p50: &cluster.Quantile{Seconds: 1, Bound: "<"},
		},
		{
			// 4 below 1 s here, 6 between 2 and 4 s there: the mean of both medians is no median.
			name: "replicas are summed before the quantile",
			replicas: [][]string{
				b2(p("1", "200:0", "1:0 2:0 4:0 +Inf:0"), p("1", "200:4", "1:4 2:4 4:4 +Inf:4")),
				b2(p("1", "200:0", "1:0 2:0 4:0 +Inf:0"), p("1", "200:6", "1:0 2:0 4:6 +Inf:6")),
			},
			requests: ptr(5.0), errors: ptr(0.0), p50: &cluster.Quantile{Seconds: 2 + 2/6.0},
		},
		{
			name: "different buckets have no common quantile",
			replicas: [][]string{
				b2(p("1", "200:0", "1:0 +Inf:0"), p("1", "200:4", "1:4 +Inf:4")),
				b2(p("1", "200:0", "2:0 +Inf:0"), p("1", "200:4", "2:4 +Inf:4")),
			},
			requests: ptr(4.0), errors: ptr(0.0),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var targets []*target
			var now time.Time
			for i, pages := range tt.replicas {
				targets = append(targets, scraped(t, endpoint("j", string(rune('a'+i))), pages...))
				now = targets[i].last().at
			}
			got := samples(now, targets...)
			if len(got) != 1 || got[0].Replicas != len(tt.replicas) {
				t.Fatalf("rows %+v", got)
			}
			type numbers struct {
				Requests, Errors *float64
				P50              *cluster.Quantile
			}
			want := numbers{tt.requests, tt.errors, tt.p50}
			if diff := cmp.Diff(want, numbers{got[0].Requests, got[0].ErrorRatio, got[0].P50}, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Versions that run side by side during a rollout are told apart by what the
// servers say: the job knows only the newest.
func TestVersionsSideBySide(t *testing.T) {
	a := scraped(t, endpoint("j", "a"), servedPage("1", "200:1", ""), servedPage("1", "200:3", ""))
	b := scraped(t, endpoint("j", "b"), servedPage("2", "200:1", ""), servedPage("2", "200:7", ""))
	got := samples(a.last().at, a, b)
	if len(got) != 2 || got[0].Key.Version != "1" || *got[0].Requests != 1 || got[1].Key.Version != "2" || *got[1].Requests != 3 {
		t.Errorf("rows %+v", got)
	}
}

func TestReplicaThatStopsAnswering(t *testing.T) {
	a := scraped(t, endpoint("j", "a"), servedPage("1", "200:1", ""), servedPage("1", "200:3", ""))
	at := a.last().at
	expectSamples(t, samples(at.Add(testFresh+time.Second), a), []cluster.ModelSample{{Key: key("j", "m", "1"), At: at}})
	expectSamples(t, samples(at.Add(testWindow+time.Second), a), nil)
}

func TestWindowForgets(t *testing.T) {
	a := &target{endpoint: endpoint("j", "a")}
	for i := range 100 {
		n := "10"
		if i >= 50 {
			n = "1000000"
		}
		a.add(point{start.Add(time.Duration(i) * time.Second), mustPage(t, servedPage("1", "200:"+n, ""))}, testWindow)
	}
	got := samples(a.last().at, a)
	if len(a.points) != 31 || got[0].Window != testWindow || *got[0].Requests != 0 {
		t.Errorf("%d points, window %s, %v requests", len(a.points), got[0].Window, *got[0].Requests)
	}
	a.add(point{start, mustPage(t, servedPage("1", "200:1", ""))}, testWindow)
	if len(a.points) != 1 {
		t.Errorf("%d points after the clock was set back, want 1", len(a.points))
	}
}

func TestTraining(t *testing.T) {
	a := scraped(t, endpoint("t", "a"), file(t, "training-1.txt"), file(t, "training-2.txt"))
	b := scraped(t, endpoint("t", "b"), file(t, "training-1.txt")) // the allocation before
	at := a.last().at
	got := trainingSamples(cluster.Place{}, at, []*target{b, a}, testFresh)
	first, second := mustPage(t, file(t, "training-1.txt")), mustPage(t, file(t, "training-2.txt"))
	id := identity{"digits", "1"}
	learned := *second.training[id].samples - *first.training[id].samples
	want := []cluster.TrainingSample{{
		Job: a.endpoint.Job, Alloc: "a", Model: "digits", Version: "1", At: at, Step: ptr(239.0), PlannedSteps: ptr(400.0), Epoch: ptr(8.0),
		Loss: ptr(0.4590064665914016), Accuracy: ptr(0.9554317548746518), LearningRate: ptr(0.03529798373838481), SamplesPerSec: ptr(learned / 2),
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	early := scraped(t, endpoint("t", "c"), "stoker_training_step 0\nstoker_training_loss NaN\n")
	got = trainingSamples(cluster.Place{}, start, []*target{early}, testFresh)
	if len(got) != 1 || got[0].Loss != nil || got[0].Accuracy != nil || got[0].SamplesPerSec != nil || got[0].Model != "meta-model" {
		t.Errorf("before the first step: %+v", got)
	}
}

// FuzzNormalise looks for pages that give numbers that cannot be.
func FuzzNormalise(f *testing.F) {
	for _, name := range []string{"serve", "vllm", "training"} {
		f.Add(file(f, name+"-1.txt"), file(f, name+"-2.txt"))
		f.Add(file(f, name+"-2.txt"), file(f, name+"-1.txt"))
	}
	f.Add(servedPage("1", "200:-1 500:NaN", "1:5 +Inf:2"), servedPage("1", "200:+Inf 500:1e300", "-1:5 NaN:1 +Inf:2"))
	f.Fuzz(func(t *testing.T, before, after string) {
		a := &target{endpoint: endpoint("j", "a")}
		for i, text := range []string{before, after} {
			if p, err := parsePage(strings.NewReader(text)); err == nil {
				a.add(point{start.Add(time.Duration(i) * time.Second), p}, testWindow)
			}
		}
		now := start.Add(time.Second)
		for _, s := range samples(now, a) {
			for _, v := range []*float64{s.Requests, s.InFlight, s.Queue, s.TokensPerSec, s.RequestsServed} {
				if v != nil && (*v < 0 || math.IsNaN(*v)) {
					t.Errorf("%v is no number of requests", *v)
				}
			}
			for _, v := range []*float64{s.ErrorRatio, s.RejectedRatio, s.KVCacheRatio} {
				if v != nil && !(*v >= 0 && *v <= 1) {
					t.Errorf("%v is no share", *v)
				}
			}
			for _, q := range []*cluster.Quantile{s.P50, s.P95, s.P99, s.TTFT95} {
				if q != nil && (math.IsNaN(q.Seconds) || math.IsInf(q.Seconds, 0)) {
					t.Errorf("%v is no latency", *q)
				}
			}
		}
		trainingSamples(cluster.Place{}, now, []*target{a}, testFresh)
	})
}
