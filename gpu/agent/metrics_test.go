package agent

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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
	addDetails(&b)
	b.Samples[0].Processes = []gpu.Process{
		{PID: 1, MemoryBytes: 5, AllocID: allocA, Task: "serve"},
		{PID: 2, MemoryBytes: 6, AllocID: allocA, Task: "serve"},
		{PID: 3, MemoryBytes: 7},
		{PID: 4, AllocID: allocA, Task: "hidden"}, // whose memory the driver does not tell
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
			"compute_mode=default,cuda=12.8,driver=570.86.15,gpu=0,mig_profile=,model=NVIDIA H100 80GB HBM3,parent=,pci=0000:1b:00.0,serial=165,uuid=GPU-0,vbios=96.00": 1,
			"compute_mode=,cuda=12.8,driver=570.86.15,gpu=1,mig_profile=,model=NVIDIA H100 80GB HBM3,parent=,pci=0000:1c:00.0,serial=,uuid=GPU-1,vbios=":                1,
		},
		"stoker_gpu_processes":                       one(4), // of GPU-1 it is unknown
		"stoker_gpu_sampler_hung":                    {"gpu=0,uuid=GPU-0": 0, "gpu=1,uuid=GPU-1": 0},
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

// addDetails sets all of gpu.Detail and of what is new in gpu.Device on the
// first GPU, each to a number of its own.
func addDetails(b *gpu.Batch) {
	d, s := &b.Devices[0], &b.Samples[0]
	d.Serial, d.VBIOS, d.ComputeMode = "165", "96.00", "default"
	d.PowerDefaultLimitWatts, d.SlowdownCelsius, d.ShutdownCelsius, d.MaxMemTempCelsius = ptr(690.0), ptr(87.0), ptr(92.0), ptr(95.0)
	d.BAR1Bytes, d.MaxPCIeGen, d.MaxPCIeWidth = ptr(uint64(128<<30)), ptr(5), ptr(16)
	d.Persistence, d.ECC, d.MIG, d.MIGPending = ptr(true), ptr(true), ptr(false), ptr(true)
	d.MIGProfiles = []gpu.MIGProfile{{Name: "3g.40gb", Most: 2, Free: 1}}
	s.Detail = &gpu.Detail{
		MemoryFreeBytes: ptr(uint64(59 << 30)), MemoryReservedBytes: ptr(uint64(1 << 30)), BAR1UsedBytes: ptr(uint64(2 << 20)),
		MemTempCelsius: ptr(70.0), TempMarginCelsius: ptr(27.0), VideoClockMHz: ptr(1300.0), JPEGPercent: ptr(11.0), OFAPercent: ptr(12.0),
		PCIeGen: ptr(4), PCIeWidth: ptr(8), PCIeReplays: ptr(uint64(13)),
		ThrottleSeconds:   map[string]float64{"sw_power_cap": 1.5, "sw_thermal_slowdown": 2, "hw_thermal_slowdown": 3},
		ECCCorrectedTotal: ptr(uint64(14)), ECCUncorrectedTotal: ptr(uint64(15)), RowsCorrectable: ptr(uint64(16)), RowsUncorrectable: ptr(uint64(17)),
		PagesSingleBit: ptr(uint64(18)), PagesDoubleBit: ptr(uint64(19)), PagesPending: ptr(true),
		NVLinks: []gpu.NVLink{
			{Link: 0, Up: true, SpeedMBPerSec: ptr(26562.0), TxBytesPerSec: ptr(100.0), RxBytesPerSec: ptr(200.0), Replays: ptr(uint64(20)), Recoveries: ptr(uint64(21)), CRCErrors: ptr(uint64(22))},
			{Link: 1, TxBytesPerSec: ptr(1.0), CRCErrors: ptr(uint64(3))},
		},
		GPM: &gpu.GPM{
			SMPercent: ptr(81.0), OccupancyPercent: ptr(32.0), TensorPercent: ptr(43.0), DRAMPercent: ptr(54.0),
			FP16Percent: ptr(65.0), FP32Percent: ptr(76.0), FP64Percent: ptr(0.0),
		},
	}
}

func TestMetricsOfDetails(t *testing.T) {
	got := scrape(t, busyAgent(t, fixedClock()), "/metrics")
	for name, want := range map[string]map[string]float64{
		"power_default_limit_watts": {"": 690}, "slowdown_temperature_celsius": {"": 87}, "shutdown_temperature_celsius": {"": 92},
		"memory_temperature_max_celsius": {"": 95}, "bar1_total_bytes": {"": 128 << 30}, "pcie_generation_max": {"": 5}, "pcie_lanes_max": {"": 16},
		"persistence_mode": {"": 1}, "ecc_mode": {"": 1}, "mig_mode": {"": 0}, "mig_mode_pending": {"": 1},
		"mig_profile_instances_max": {"profile=3g.40gb,": 2}, "mig_profile_instances_free": {"profile=3g.40gb,": 1},
		"memory_free_bytes": {"": 59 << 30}, "memory_reserved_bytes": {"": 1 << 30}, "bar1_used_bytes": {"": 2 << 20},
		"memory_temperature_celsius": {"": 70}, "temperature_margin_celsius": {"": 27}, "video_clock_hertz": {"": 1.3e9},
		"jpeg_utilization_ratio": {"": 0.11}, "ofa_utilization_ratio": {"": 0.12},
		"pcie_generation": {"": 4}, "pcie_lanes": {"": 8}, "pcie_replays_total": {"": 13},
		"throttled_seconds_total":   {"reason=sw_power_cap,": 1.5, "reason=sw_thermal_slowdown,": 2, "reason=hw_thermal_slowdown,": 3},
		"ecc_lifetime_errors_total": {"type=corrected,": 14, "type=uncorrected,": 15},
		"remapped_rows_total":       {"type=correctable,": 16, "type=uncorrectable,": 17},
		"retired_pages_total":       {"type=single_bit,": 18, "type=double_bit,": 19}, "retired_pages_pending": {"": 1},
		"nvlink_up": {"link=0,": 1, "link=1,": 0}, "nvlink_speed_bytes_per_second": {"link=0,": 26.562e9},
		"nvlink_transmit_bytes_per_second": {"link=0,": 100, "link=1,": 1}, "nvlink_receive_bytes_per_second": {"link=0,": 200},
		"nvlink_replays_total": {"link=0,": 20}, "nvlink_recoveries_total": {"link=0,": 21}, "nvlink_crc_errors_total": {"link=0,": 22, "link=1,": 3},
		"sm_active_ratio": {"": 0.81}, "sm_occupancy_ratio": {"": 0.32}, "tensor_active_ratio": {"": 0.43}, "dram_active_ratio": {"": 0.54},
		"fp16_active_ratio": {"": 0.65}, "fp32_active_ratio": {"": 0.76}, "fp64_active_ratio": {"": 0},
	} {
		labelled := map[string]float64{} // of the GPU that tells, and of no other
		for labels, v := range want {
			labelled["gpu=0,"+labels+"uuid=GPU-0"] = v
		}
		if d := cmp.Diff(labelled, series(got["stoker_gpu_"+name]), nearly()); d != "" {
			t.Errorf("%s (-want +got)\n%s", name, d)
		}
		if counts := got["stoker_gpu_"+name].GetType() == dto.MetricType_COUNTER; counts != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a counter: %v", name, counts)
		}
	}
}

// nearly forgives what a percentage loses as a ratio.
func nearly() cmp.Option { return cmpopts.EquateApprox(1e-12, 0) }

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
		"DEV_GPU_UTIL": 50, "DEV_MEM_COPY_UTIL": 25, "DEV_FB_USED": 20 << 10, "DEV_FB_FREE": 59 << 10, "DEV_FB_RESERVED": 1 << 10, "DEV_FB_TOTAL": 80 << 10,
		"DEV_POWER_USAGE": 350.5, "DEV_TOTAL_ENERGY_CONSUMPTION": 1234500, "DEV_GPU_TEMP": 60, "DEV_MEMORY_TEMP": 70, "DEV_SM_CLOCK": 1500,
		"DEV_MEM_CLOCK": 2600, "DEV_VIDEO_CLOCK": 1300, "DEV_ENC_UTIL": 0, "DEV_XID_ERRORS": 79, "DEV_ROW_REMAP_FAILURE": 1, "DEV_ROW_REMAP_PENDING": 0,
		"DEV_ECC_SBE_VOL_TOTAL": 3, "DEV_ECC_SBE_AGG_TOTAL": 14, "DEV_ECC_DBE_AGG_TOTAL": 15, "DEV_POWER_MGMT_LIMIT": 700, "DEV_POWER_MGMT_LIMIT_DEF": 690,
		"DEV_CORRECTABLE_REMAPPED_ROWS": 16, "DEV_UNCORRECTABLE_REMAPPED_ROWS": 17, "DEV_RETIRED_SBE": 18, "DEV_RETIRED_DBE": 19, "DEV_RETIRED_PENDING": 1,
		"DEV_POWER_VIOLATION": 1.5e9, "DEV_THERMAL_VIOLATION": 5e9, "DEV_PCIE_REPLAY_COUNTER": 13, "DEV_PCIE_LINK_GEN": 4, "DEV_PCIE_LINK_WIDTH": 8,
		"DEV_PCIE_MAX_LINK_GEN": 5, "DEV_PCIE_MAX_LINK_WIDTH": 16, "DEV_BAR1_TOTAL": 128 << 10, "DEV_BAR1_USED": 2, "DEV_SLOWDOWN_TEMP": 87, "DEV_SHUTDOWN_TEMP": 92,
		"DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL": 25, "DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL": 20, "DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL": 21,
		"PROF_NVLINK_TX_BYTES": 101, "PROF_NVLINK_RX_BYTES": 200, "PROF_PCIE_TX_BYTES": 1e9, "PROF_PCIE_RX_BYTES": 2e9,
		"PROF_SM_ACTIVE": 0.81, "PROF_SM_OCCUPANCY": 0.32, "PROF_PIPE_TENSOR_ACTIVE": 0.43, "PROF_DRAM_ACTIVE": 0.54,
		"PROF_PIPE_FP16_ACTIVE": 0.65, "PROF_PIPE_FP32_ACTIVE": 0.76, "PROF_PIPE_FP64_ACTIVE": 0,
	} {
		f := got["DCGM_FI_"+name]
		s := series(f)
		if v, ok := s[labels]; !ok || !cmp.Equal(v, want, nearly()) {
			t.Errorf("%s = %v, want %v under %s", name, s, want, labels)
		}
		if len(s) > 1 && !slices.Contains([]string{"DEV_FB_TOTAL", "DEV_XID_ERRORS"}, name) { // the size is the device's
			t.Errorf("%s: a value for a GPU that did not say", name)
		}
	}
	if unknown := got["DCGM_FI_DEV_SYNC_BOOST_VIOLATION"]; unknown != nil {
		t.Errorf("a time that nobody told: %v", unknown)
	}
	if k := got["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"].GetType(); k != dto.MetricType_COUNTER {
		t.Errorf("energy is a %v", k)
	}
}
