package agent

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	dto "github.com/prometheus/client_model/go"

	"stoker/gpu"
)

// scrape publishes a batch and returns an endpoint's families.
func scrape(t *testing.T, a *Agent, path string) map[string]*dto.MetricFamily {
	t.Helper()
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	p := expfmt.NewTextParser(model.LegacyValidation)
	out, err := p.TextToMetricFamilies(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// series flattens a family to label text and value.
func series(f *dto.MetricFamily) map[string]float64 {
	out := map[string]float64{}
	for _, m := range f.GetMetric() {
		var labels []string
		for _, l := range m.GetLabel() {
			labels = append(labels, l.GetName()+"="+l.GetValue())
		}
		out[strings.Join(labels, ",")] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetSummary().GetSampleSum()
	}
	return out
}

func busyAgent(t *testing.T, now func() time.Time) *Agent {
	t.Helper()
	a := newAgent(t, Config{Now: now})
	b := node(2, now())
	b.Samples[1] = gpu.Sample{UUID: "GPU-1", At: now()} // says nothing of itself
	b.Devices[1].PowerLimitWatts, b.Devices[1].MaxSMClockMHz = nil, nil
	b.Events = []gpu.Event{
		{UUID: "GPU-0", At: now(), Kind: gpu.EventXid, Xid: 63},
		{UUID: "GPU-0", At: now(), Kind: gpu.EventXid, Xid: 79},
		{UUID: "GPU-0", At: now(), Kind: gpu.EventXid, Xid: 79},
	}
	b.Samples[0].Processes = []gpu.Process{
		{PID: 1, MemoryBytes: 5, AllocID: allocA, Task: "serve"},
		{PID: 2, MemoryBytes: 6, AllocID: allocA, Task: "serve"},
		{PID: 3, MemoryBytes: 7},
	}
	a.publish(b)
	return a
}

func fixedClock() func() time.Time {
	return func() time.Time { return time.Unix(1_700_000_000, 0) }
}

func TestMetrics(t *testing.T) {
	got := scrape(t, busyAgent(t, fixedClock()), "/metrics")
	one := func(v float64) map[string]float64 { return map[string]float64{"gpu=0,uuid=GPU-0": v} }
	for name, want := range map[string]map[string]float64{
		"stoker_gpu_utilization_ratio":   one(0.5),
		"stoker_gpu_memory_used_bytes":   one(20 << 30),
		"stoker_gpu_memory_total_bytes":  {"gpu=0,uuid=GPU-0": 80 << 30, "gpu=1,uuid=GPU-1": 80 << 30},
		"stoker_gpu_power_watts":         one(350.5),
		"stoker_gpu_power_limit_watts":   one(700),
		"stoker_gpu_energy_joules_total": one(1234.5),
		"stoker_gpu_temperature_celsius": one(60),
		"stoker_gpu_sm_clock_hertz":      one(1.5e9),
		"stoker_gpu_fan_speed_ratio":     one(0.3),
		"stoker_gpu_row_remap_failure":   one(1),
		"stoker_gpu_health": {
			"gpu=0,uuid=GPU-0,verdict=ok": 0, "gpu=0,uuid=GPU-0,verdict=watch": 1,
			"gpu=0,uuid=GPU-0,verdict=degraded": 0, "gpu=0,uuid=GPU-0,verdict=failed": 0,
		},
		"stoker_gpu_xid_errors_total":       {"gpu=0,uuid=GPU-0,xid=63": 1, "gpu=0,uuid=GPU-0,xid=79": 2},
		"stoker_gpu_task_memory_used_bytes": {"alloc_id=" + allocA + ",gpu=0,task=serve,uuid=GPU-0": 11},
		"stoker_gpu_info": {
			"cuda=12.8,driver=570.86.15,gpu=0,model=NVIDIA H100 80GB HBM3,parent=,pci=0000:1b:00.0,uuid=GPU-0": 1,
			"cuda=12.8,driver=570.86.15,gpu=1,model=NVIDIA H100 80GB HBM3,parent=,pci=0000:1c:00.0,uuid=GPU-1": 1,
		},
		"stoker_agent_last_sample_timestamp_seconds": {"": 1_700_000_000},
		"stoker_agent_errors_total":                  {"operation=sample": 0},
		"stoker_agent_sampler_up":                    {"": 0}, // Run was not started
	} {
		// The parser's metrics hold floats, so nothing is lost on the way.
		if d := cmp.Diff(want, series(got[name])); d != "" {
			t.Errorf("%s (-want +got)\n%s", name, d)
		}
	}
	held := series(got["stoker_gpu_throttled"])
	if held["gpu=0,reason=sw_power_cap,uuid=GPU-0"] != 1 || len(held) != len(throttleReasons()) {
		t.Errorf("throttled: %v", held)
	}
}

func TestMetricsAreLintClean(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(newCollector(busyAgent(t, fixedClock())))
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestStaleReadingsAreNotExported(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	a := busyAgent(t, func() time.Time { return now })
	now = now.Add(time.Minute)
	for name := range scrape(t, a, "/metrics") {
		if strings.HasPrefix(name, "stoker_gpu_") {
			t.Errorf("%s is exported a minute after the reading", name)
		}
	}
	if got := scrape(t, a, "/metrics/dcgm"); len(got) != 0 {
		t.Errorf("dcgm: %d families of a stale reading", len(got))
	}
}

// TestBrokenLabel holds that text that is not UTF-8 does not cost the scrape.
func TestBrokenLabel(t *testing.T) {
	a := newAgent(t, Config{})
	b := node(1, time.Now())
	b.Devices[0].Model = "H100\xff"
	a.publish(b)
	if got := series(scrape(t, a, "/metrics")["stoker_gpu_power_watts"]); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

func TestDCGM(t *testing.T) {
	a := busyAgent(t, fixedClock())
	got := scrape(t, a, "/metrics/dcgm")
	labels := "DCGM_FI_DRIVER_VERSION=570.86.15,Hostname=gpu-1,UUID=GPU-0,device=nvidia0,gpu=0," +
		"modelName=NVIDIA H100 80GB HBM3,pci_bus_id=00000000:1B:00.0"
	for name, want := range map[string]float64{
		"GPU_UTIL": 50, "MEM_COPY_UTIL": 25, "FB_USED": 20 << 10, "FB_FREE": 60 << 10, "POWER_USAGE": 350.5,
		"TOTAL_ENERGY_CONSUMPTION": 1234500, "GPU_TEMP": 60, "SM_CLOCK": 1500, "MEM_CLOCK": 2600, "ENC_UTIL": 0,
		"XID_ERRORS": 79, "ROW_REMAP_FAILURE": 1, "ECC_SBE_VOL_TOTAL": 3, "POWER_MGMT_LIMIT": 700,
	} {
		f := got["DCGM_FI_DEV_"+name]
		s := series(f)
		if v, ok := s[labels]; !ok || v != want {
			t.Errorf("%s = %v, want %v under %s", name, s, want, labels)
		}
		if _, unknown := s[strings.ReplaceAll(labels, "GPU-0", "GPU-1")]; unknown {
			t.Errorf("%s: a value for a GPU that did not say", name)
		}
	}
	if k := got["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"].GetType(); k != dto.MetricType_COUNTER {
		t.Errorf("energy is a %v", k)
	}
}
