package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
)

// promServer answers as Prometheus does; what, is for the test to say.
type promServer struct {
	t        *testing.T
	presence string // elements of the answer to "which GPUs are there"
	numbers  string
	past     string
	asked    []string
	status   int
}

func (p *promServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.FormValue("query")
	p.asked = append(p.asked, q)
	if r.Method != http.MethodPost || r.Header.Get("Authorization") != "Bearer secret" {
		p.t.Errorf("%s %s with %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}
	if p.status != 0 {
		w.WriteHeader(p.status)
		_, _ = io.WriteString(w, `{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\""}`)
		return
	}
	kind, body := "vector", p.numbers
	switch {
	case r.URL.Path == "/api/v1/query_range":
		kind, body = "matrix", p.past
	case r.URL.Path != "/api/v1/query":
		p.t.Errorf("asked %s", r.URL.Path)
	case strings.HasPrefix(q, "timestamp("):
		body = p.presence
	}
	fmt.Fprintf(w, `{"status":"success","data":{"resultType":%q,"result":[%s],"stats":{"seriesFetched":"1"}},"warnings":["slow"]}`, kind, body)
}

// element1 is one series of an answer of now.
func element1(value float64, labels ...string) string {
	m := map[string]string{}
	for _, l := range labels {
		name, v, _ := strings.Cut(l, "=")
		m[name] = v
	}
	text, _ := json.Marshal(m)
	return fmt.Sprintf(`{"metric":%s,"value":[%d.5,"%v"]}`, text, epoch().Unix(), value)
}

func ago(d time.Duration) float64 { return float64(epoch().Add(-d).Unix()) }

// prom makes a reader of a server whose GPUs are on the nodes of the map, by
// UUID or by host.
func prom(t *testing.T, p *promServer, nodes map[string]string) *PrometheusSource {
	t.Helper()
	p.t = t
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	src := Prometheus(PrometheusConfig{
		URL: srv.URL + "/", Match: map[string]string{"cluster": `a"b`}, Now: epoch,
		HTTP: HTTP{Token: func(context.Context) (string, error) { return "secret", nil }},
		Node: func(id gpu.UUID, labels map[string]string) string {
			return firstOf(nodes[string(id)], nodes[label(labels, "Hostname", "hostname")])
		},
	})
	t.Cleanup(src.asker.close)
	return src
}

// TestPrometheusReadsTheFleet: exporters of both generations and stoker's agent,
// by one server; a GPU of another cluster, and one whose series are old.
func TestPrometheusReadsTheFleet(t *testing.T) {
	p := &promServer{
		presence: strings.Join([]string{
			element1(ago(5*time.Second), "UUID=GPU-1", "gpu=0", "modelName=H100", "Hostname=old", "pci_bus_id=00000000:1B:00.0", "DCGM_FI_DRIVER_VERSION=535"),
			element1(ago(7*time.Second), "UUID=GPU-2", "gpu=1", "modelName=H200", "hostname=new"),
			element1(ago(2*time.Second), "uuid=GPU-3", "gpu=0", "model=A100", "pci=0000:1b:00.0", "driver=550", "cuda=12.4"),
			element1(ago(time.Hour), "UUID=GPU-4", "gpu=3", "modelName=H100"),
			element1(ago(time.Second), "UUID=GPU-9", "gpu=0", "Hostname=foreign"),
			element1(1, "gpu=0"),
		}, ","),
		numbers: strings.Join([]string{
			element1(50, "__name__=DCGM_FI_DEV_GPU_UTIL", "UUID=GPU-1"), element1(1000, "__name__=DCGM_FI_DEV_FB_USED", "UUID=GPU-1"), element1(3000, "__name__=DCGM_FI_DEV_FB_FREE", "UUID=GPU-1"),
			element1(9223372036854775794, "__name__=DCGM_FI_DEV_POWER_USAGE", "UUID=GPU-1"),
			element1(1, "__name__=DCGM_EXP_XID_ERRORS_COUNT", "UUID=GPU-1", "xid=79"),
			element1(0.25, "__name__=DCGM_FI_DEV_GPU_UTIL_RATIO", "UUID=GPU-2"), element1(1.98e9, "__name__=DCGM_FI_DEV_SM_CLOCK_HERTZ", "UUID=GPU-2"),
			element1(0.75, "__name__=stoker_gpu_utilization_ratio", "uuid=GPU-3"), element1(0, "__name__=stoker_gpu_throttled", "uuid=GPU-3", "reason=sync_boost"), element1(1, "__name__=stoker_gpu_throttled", "uuid=GPU-3", "reason=sw_power_cap"),
			element1(7, "__name__=stoker_gpu_ecc_errors_total", "uuid=GPU-3", "type=corrected"),
			element1(0, "__name__=stoker_gpu_health", "uuid=GPU-3", "verdict=ok"), element1(1, "__name__=stoker_gpu_health", "uuid=GPU-3", "verdict=degraded"),
			element1(99, "__name__=DCGM_FI_DEV_GPU_UTIL", "UUID=GPU-4"), element1(99, "__name__=DCGM_FI_DEV_GPU_UTIL", "UUID=GPU-9"),
		}, ","),
	}
	src := prom(t, p, map[string]string{"GPU-1": "n1", "new": "n2", "GPU-3": "n3", "GPU-4": "n1"})
	b, err := src.read(t.Context(), Endpoint{})
	if err != nil {
		t.Fatal(err)
	}
	at := epoch().Add(500 * time.Millisecond)
	on := func(d time.Duration) time.Time { return epoch().Add(-d) }
	x, _ := gpu.LookupXid(79)
	want := []gpu.Batch{
		{
			Node: "n1", At: at,
			Devices: []gpu.Device{
				{UUID: "GPU-1", Index: 0, Model: "H100", PCI: "0000:1b:00.0", MemoryBytes: 4000 << 20},
				{UUID: "GPU-4", Index: 3, Model: "H100"},
			},
			Samples: []gpu.Sample{{
				UUID: "GPU-1", At: on(5 * time.Second), UtilPercent: ptr(50.0), MemoryUsedBytes: ptr(uint64(1000 << 20)), Detail: &gpu.Detail{MemoryFreeBytes: ptr(uint64(3000 << 20))},
				Health: gpu.Health{Verdict: gpu.VerdictFailed, Since: on(5 * time.Second)},
			}},
			Events: []gpu.Event{{UUID: "GPU-1", At: at, Kind: gpu.EventXid, Xid: 79, Text: x.String()}},
		},
		{
			Node: "n3", At: at,
			Devices: []gpu.Device{{UUID: "GPU-3", Index: 0, Model: "A100", PCI: "0000:1b:00.0"}},
			Samples: []gpu.Sample{{UUID: "GPU-3", At: on(2 * time.Second), UtilPercent: ptr(75.0), ECCCorrected: ptr(uint64(7)), Throttle: []string{"sw_power_cap"}, Health: gpu.Health{Verdict: gpu.VerdictDegraded, Reason: "its node's agent says so"}}},
		},
		{
			Node: "n2", At: at,
			Devices: []gpu.Device{{UUID: "GPU-2", Index: 1, Model: "H200"}},
			Samples: []gpu.Sample{{UUID: "GPU-2", At: on(7 * time.Second), UtilPercent: ptr(25.0), SMClockMHz: ptr(1980.0), Health: gpu.Health{Verdict: gpu.VerdictOK, Since: on(7 * time.Second)}}},
		},
	}
	byNode := func(a, b gpu.Batch) int { return strings.Compare(a.Node, b.Node) }
	got := src.split(b)
	slices.SortFunc(got, byNode)
	slices.SortFunc(want, byNode)
	for i := range got {
		got[i].Driver, got[i].CUDA = "", ""
		if s := &got[i].Samples[0]; s.UUID == "GPU-1" {
			s.Health.Reason = "" // the rules' own words
		}
	}
	if d := cmp.Diff(want, got, near()); d != "" {
		t.Error(d)
	}
	for _, q := range p.asked {
		if !strings.Contains(q, `cluster="a\"b"`) || !strings.Contains(q, `GPU_I_ID=""`) {
			t.Errorf("asked for more than the whole GPUs of this cluster: %s", q)
		}
	}
}

// TestPrometheusSparesDetails: of a large fleet the vital numbers are asked alone.
func TestPrometheusSparesDetails(t *testing.T) {
	p := &promServer{}
	src := prom(t, p, nil)
	for _, n := range []int{0, detailUpTo, detailUpTo + 1} {
		src.gpus = n
		p.asked = nil
		if _, err := src.read(t.Context(), Endpoint{}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(p.asked[1], "PIPE_TENSOR_ACTIVE"); got != (n <= detailUpTo) {
			t.Errorf("%d GPUs: details asked for: %v", n, got)
		}
		if !strings.Contains(p.asked[1], "DCGM_FI_DEV_XID_ERRORS") {
			t.Errorf("%d GPUs: health is not asked for", n)
		}
	}
}

func TestPrometheusPast(t *testing.T) {
	values := func(name string, values string) string {
		return fmt.Sprintf(`{"metric":{"__name__":%q},"values":[%s]}`, name, values)
	}
	p := &promServer{past: strings.Join([]string{
		values("DCGM_FI_DEV_GPU_UTIL", `[1700000060,"7"],[1700000000,"5"]`), values("DCGM_FI_DEV_FB_USED", `[1700000000,"2"]`),
		values("DCGM_FI_DEV_POWER_USAGE", `[1700000000,"140737488355328"],[1700000060,"300.5"]`), values("DCGM_FI_DEV_GPU_TEMP", `[1700000060,"41"]`),
		values("something_else", `[1700000090,"1"]`),
	}, ",")}
	src := prom(t, p, nil)
	got, err := src.Past(t.Context(), `GPU-"1`, epoch(), epoch().Add(time.Minute), 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []gpu.Sample{
		{UUID: `GPU-"1`, At: epoch(), UtilPercent: ptr(5.0), MemoryUsedBytes: ptr(uint64(2 << 20))},
		{UUID: `GPU-"1`, At: epoch().Add(time.Minute), UtilPercent: ptr(7.0), PowerWatts: ptr(300.5), TempCelsius: ptr(41.0)},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if q := p.asked[0]; !strings.Contains(q, `UUID="GPU-\"1"`) || !strings.Contains(q, `uuid="GPU-\"1"`) {
		t.Errorf("asked %s", q)
	}
}

func TestPrometheusSaysNo(t *testing.T) {
	p := &promServer{}
	src := prom(t, p, nil)
	for status, c := range map[int]struct {
		denied bool
		says   string
	}{
		http.StatusBadRequest: {false, `invalid parameter "query"`}, http.StatusUnauthorized: {true, "token refused"},
		http.StatusForbidden: {true, "token refused"}, http.StatusBadGateway: {false, "HTTP 502"},
	} {
		p.status = status
		_, err := src.read(t.Context(), Endpoint{})
		if err == nil || !strings.Contains(err.Error(), c.says) || isDenied(err) != c.denied || strings.Contains(err.Error(), "secret") {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestDecodeVector(t *testing.T) {
	for in, want := range map[string]error{
		`{"status":"success","data":{"resultType":"vector","result":[]}}`:          nil,
		`{"data":{"result":[{"metric":{},"value":[1,"NaN"]}]},"status":"success"}`: nil,
		`{"status":"error","error":"too many samples"}`:                            errTold,
		`{"status":"success","data":{"result":[{"metric":{},"value":[1,2]}]}}`:     errNotProm,
		`{"status":"success","data":{"result":[{"metric":{},"value":[1]}]}}`:       errNotProm,
		`{"status":"success","data":{"result":[`:                                   errNotProm,
		`{"status":"success","data":[]}`:                                           errNotProm,
		`{}`:                                                                       errNotProm,
		`[]`:                                                                       errNotProm,
		`<html>`:                                                                   errNotProm,
		``:                                                                         errNotProm,
		`{"status":"success","data":{"result":[{"metric":{"a":"b"},"value":[1e300,"1"]},{"metric":null,"values":null}]}} `: nil,
	} {
		if err := decodeVector(strings.NewReader(in), func(series) {}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", in, err, want)
		}
	}
}

// BenchmarkPrometheusFleet reads one answer for 8,000 GPUs, the vital numbers of
// dcgm-exporter's default list.
func BenchmarkPrometheusFleet(b *testing.B) {
	var text strings.Builder
	text.WriteString(`{"status":"success","data":{"resultType":"vector","result":[`)
	names := []string{"GPU_UTIL", "MEM_COPY_UTIL", "FB_USED", "FB_FREE", "FB_RESERVED", "POWER_USAGE", "TOTAL_ENERGY_CONSUMPTION", "GPU_TEMP", "SM_CLOCK", "MEM_CLOCK", "ROW_REMAP_FAILURE", "XID_ERRORS"}
	for i := range 8000 {
		for j, n := range names {
			if i+j > 0 {
				text.WriteByte(',')
			}
			text.WriteString(element1(float64(i%100), "__name__=DCGM_FI_DEV_"+n, fmt.Sprintf("UUID=GPU-%08x-0000-0000-0000-000000000000", i)))
		}
	}
	text.WriteString(`]}}`)
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	v := newVerdicts()
	for b.Loop() {
		c := newCollector()
		if err := decodeVector(strings.NewReader(text.String()), func(s series) { s.at = time.Time{}; c.add(s) }); err != nil {
			b.Fatal(err)
		}
		v.batch(c.readings(), epoch())
	}
}
