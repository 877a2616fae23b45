package source

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
)

// first is the batch of the first reading of a page.
func first(t testing.TB, page string) gpu.Batch {
	t.Helper()
	gpus, err := readPage(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return newVerdicts().batch(gpus, epoch())
}

func epoch() time.Time { return time.Unix(1_700_000_000, 0).UTC() }

func file(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDCGMOfOld reads a page with the names of before DCGM 4.6: a busy GPU, one
// of which little is known, and one that is cut into instances.
func TestDCGMOfOld(t *testing.T) {
	yes, no := true, false
	at := epoch()
	limit := ptr(700.0)
	want := gpu.Batch{
		At: at, Driver: "535.161.08",
		Devices: []gpu.Device{
			{UUID: "GPU-aaaa0000", Index: 0, Model: "NVIDIA H100 80GB HBM3", PCI: "0000:1b:00.0", MemoryBytes: 81559 << 20, PowerLimitWatts: limit},
			{UUID: "GPU-bbbb1111", Index: 1, Model: "NVIDIA H100 80GB HBM3", PCI: "0000:43:00.0", MemoryBytes: 81559 << 20, PowerLimitWatts: limit},
			// Numbers of instances are not the device's: there is no sample of it.
			{UUID: "GPU-cccc2222", Index: 2, Model: "NVIDIA H100 80GB HBM3", PCI: "0000:6b:00.0", MIG: &yes},
		},
		Samples: []gpu.Sample{
			{
				UUID: "GPU-aaaa0000", At: at, Health: gpu.Health{Verdict: gpu.VerdictOK, Since: at},
				UtilPercent: ptr(97.0), MemoryUtilPercent: ptr(41.0), MemoryUsedBytes: ptr(uint64(61000 << 20)), PowerWatts: ptr(412.5), PowerLimitWatts: limit,
				EnergyJoules: ptr(812345678.9), TempCelsius: ptr(51.0), SMClockMHz: ptr(1980.0), MemClockMHz: ptr(2619.0), EncoderPercent: ptr(0.0), DecoderPercent: ptr(5.0),
				PCIeTxBytesPerSec: ptr(1.5e6), PCIeRxBytesPerSec: ptr(2.5e6), ECCCorrected: ptr(uint64(4)), ECCUncorrected: ptr(uint64(0)), RowRemapFailure: &no,
				Detail: &gpu.Detail{
					MemoryFreeBytes: ptr(uint64(20000 << 20)), MemoryReservedBytes: ptr(uint64(559 << 20)), MemTempCelsius: ptr(58.0), PCIeReplays: ptr(uint64(3)),
					ThrottleSeconds:   map[string]float64{"sw_power_cap": 150000, "sw_thermal_slowdown": 2.5},
					ECCCorrectedTotal: ptr(uint64(12)), ECCUncorrectedTotal: ptr(uint64(1)), RowsCorrectable: ptr(uint64(2)), RowsUncorrectable: ptr(uint64(1)),
					PagesSingleBit: ptr(uint64(0)), PagesPending: &no,
					NVLinks:     []gpu.NVLink{{Link: 3, Up: true, CRCErrors: ptr(uint64(2))}},
					NVLinkTotal: &gpu.NVLinkTotal{BytesPerSec: ptr(1.024e9), CRCErrors: ptr(uint64(3))},
					GPM:         &gpu.GPM{TensorPercent: ptr(41.0), DRAMPercent: ptr(33.0)},
				},
			},
			{
				// Of this one DCGM has no util, power, energy and memory temperature.
				UUID: "GPU-bbbb1111", At: at,
				Health:      gpu.Health{Verdict: gpu.VerdictWatch, Since: at, Reason: "Xid 79: GPU has fallen off the bus, at an unknown time; reset the GPU when it is free"},
				UtilPercent: ptr(25.0), // of the graphics engine, for want of a better one
				TempCelsius: ptr(30.0), MemoryUsedBytes: ptr(uint64(0)), PowerLimitWatts: limit, SMClockMHz: ptr(345.0), MemClockMHz: ptr(2619.0), EncoderPercent: ptr(0.0), DecoderPercent: ptr(0.0),
				PCIeTxBytesPerSec: ptr(0.0), PCIeRxBytesPerSec: ptr(0.0), ECCCorrected: ptr(uint64(0)), ECCUncorrected: ptr(uint64(0)), RowRemapFailure: &no,
				Detail: &gpu.Detail{
					MemoryFreeBytes: ptr(uint64(81000 << 20)), MemoryReservedBytes: ptr(uint64(559 << 20)), PCIeReplays: ptr(uint64(0)),
					ThrottleSeconds:   map[string]float64{"sw_power_cap": 0, "sw_thermal_slowdown": 0},
					ECCCorrectedTotal: ptr(uint64(0)), ECCUncorrectedTotal: ptr(uint64(0)), RowsCorrectable: ptr(uint64(0)), RowsUncorrectable: ptr(uint64(0)),
					PagesSingleBit: ptr(uint64(0)), PagesPending: &no,
					NVLinkTotal: &gpu.NVLinkTotal{BytesPerSec: ptr(0.0), CRCErrors: ptr(uint64(0))},
					GPM:         &gpu.GPM{TensorPercent: ptr(0.0), DRAMPercent: ptr(0.0)},
				},
			},
		},
	}
	got := first(t, file(t, "dcgm-3.txt"))
	if d := cmp.Diff(want, got, near()); d != "" {
		t.Error(d)
	}
}

// TestDCGMSinceItsRenaming reads a page with the names and units of dcgm-exporter 4.9.
func TestDCGMSinceItsRenaming(t *testing.T) {
	no := false
	at := epoch()
	got := first(t, file(t, "dcgm-4.9.txt"))
	wantDevice := gpu.Device{UUID: "GPU-aaaa0000", Index: 0, Model: "NVIDIA H200", PCI: "0000:1b:00.0", MemoryBytes: 150754820096, PowerLimitWatts: ptr(700.0)}
	want := gpu.Sample{
		UUID: "GPU-aaaa0000", At: at, Health: gpu.Health{Verdict: gpu.VerdictOK, Since: at},
		UtilPercent: ptr(97.0), MemoryUtilPercent: ptr(41.0), MemoryUsedBytes: ptr(uint64(50000000000)), PowerWatts: ptr(512.25), PowerLimitWatts: ptr(700.0),
		EnergyJoules: ptr(912345678.0), TempCelsius: ptr(55.0), SMClockMHz: ptr(1980.0), MemClockMHz: ptr(3201.0), EncoderPercent: ptr(0.0), DecoderPercent: ptr(5.0),
		RowRemapFailure: &no, Throttle: []string{"sw_power_cap", "sw_thermal_slowdown"},
		Detail: &gpu.Detail{
			MemoryFreeBytes: ptr(uint64(100000000000)), MemoryReservedBytes: ptr(uint64(754820096)), MemTempCelsius: ptr(61.0), PCIeReplays: ptr(uint64(3)),
			ThrottleSeconds: map[string]float64{"sw_power_cap": 150000}, RowsCorrectable: ptr(uint64(2)), RowsUncorrectable: ptr(uint64(1)), PagesPending: &no,
			NVLinkTotal: &gpu.NVLinkTotal{BytesPerSec: ptr(1.024e9)},
			GPM:         &gpu.GPM{OccupancyPercent: ptr(50.0), TensorPercent: ptr(41.0), DRAMPercent: ptr(33.0)},
		},
	}
	if d := cmp.Diff(wantDevice, got.Devices[0]); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want, got.Samples[0], near()); d != "" {
		t.Error(d)
	}
	if got.Driver != "580.65.06" || len(got.Events) != 0 {
		t.Errorf("driver %q, events %v", got.Driver, got.Events)
	}
	b := got.Samples[1]
	if b.Throttle == nil || len(b.Throttle) != 0 || *b.UtilPercent != 0 || b.Detail.MemTempCelsius != nil || b.Health.Verdict != gpu.VerdictFailed {
		t.Errorf("the idle GPU, whose rows cannot be remapped: %+v %+v", b, b.Detail)
	}
}

// near takes two floats for the same when only their last digits differ.
func near() cmp.Option {
	return cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(math.Abs(a), math.Abs(b)) })
}

// TestMissingNumbers holds that none of DCGM's marks for a missing number is
// taken for one, and that a large number of nanoseconds is.
func TestMissingNumbers(t *testing.T) {
	for value, known := range map[string]bool{
		"9223372036854775792": false, "9223372036854775793": false, "9223372036854775794": false, "9223372036854775795": false,
		"2147483632": false, "2147483633": false, "2147483634": false, "2147483635": false, "2147483647": false,
		"140737488355328.000000": false, "140737488355329": false, "140737488355331": false, "NaN": false, "+Inf": false, "-1": false,
		"0": true, "2147483631": true, "2147483648": true, "140737488355327": true,
	} {
		page := `DCGM_FI_DEV_POWER_USAGE{UUID="GPU-1"} 70` + "\n" + `DCGM_FI_DEV_ECC_SBE_VOL_TOTAL{UUID="GPU-1"} ` + value + "\n" + `DCGM_FI_DEV_GPU_TEMP{UUID="GPU-1"} ` + value + "\n"
		s := first(t, page).Samples[0]
		if got := s.ECCCorrected != nil; got != known {
			t.Errorf("%s as a count: known %v", value, got)
		}
		if got := s.TempCelsius != nil; got != known {
			t.Errorf("%s as a temperature: known %v", value, got)
		}
	}
	s := first(t, `DCGM_FI_DEV_POWER_VIOLATION{UUID="GPU-1"} 200000000000000`).Samples[0]
	if s.Detail == nil || math.Abs(s.Detail.ThrottleSeconds["sw_power_cap"]-200000) > 1e-6 {
		t.Errorf("two days of throttling are lost: %+v", s.Detail)
	}
}

// TestUtilOfBothMeanings: DCGM 4.6 called percent a ratio.
func TestUtilOfBothMeanings(t *testing.T) {
	for value, want := range map[string]float64{"0.5": 50, "1": 100, "0": 0, "37": 37, "100": 100} {
		s := first(t, `DCGM_FI_DEV_GPU_UTIL_RATIO{UUID="GPU-1"} `+value).Samples[0]
		if s.UtilPercent == nil || *s.UtilPercent != want {
			t.Errorf("%s: %v", value, s.UtilPercent)
		}
	}
	s := first(t, `DCGM_FI_DEV_GPU_UTIL{UUID="GPU-1"} 1`).Samples[0]
	if s.UtilPercent == nil || *s.UtilPercent != 1 {
		t.Errorf("the old name means percent: %v", s.UtilPercent)
	}
}

// TestNoNameTwice holds that the table is one: a name that stood twice would
// silently lose one meaning.
func TestNoNameTwice(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range metrics() {
		for _, s := range m.names {
			if seen[s.name] || s.scale <= 0 || !isOurs(s.name) {
				t.Errorf("%s stands twice, or cannot be read", s.name)
			}
			seen[s.name] = true
		}
	}
	for name := range labelled() {
		if seen[name] {
			t.Errorf("%s stands twice", name)
		}
	}
}

func TestNoExporter(t *testing.T) {
	for name, page := range map[string]string{
		"a web page":       "<html>\n",
		"another exporter": "node_load1 0.2\n",
		"nothing":          "",
		"of no GPU":        `DCGM_FI_DEV_GPU_TEMP{gpu="0"} 3`,
		"broken":           `DCGM_FI_DEV_GPU_TEMP{UUID="GPU-1"`,
		"a long line":      "DCGM_" + strings.Repeat("x", maxLine),
	} {
		if _, err := readPage(strings.NewReader(page)); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

// xidPage is a page of one GPU whose energy goes on.
func xidPage(n int, lines ...string) string {
	out := `DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-1"} ` + json.Number(itoa(1000+n)).String() + "\n"
	for _, l := range lines {
		name, rest, _ := strings.Cut(l, " ")
		labels, value, ok := strings.Cut(rest, " ")
		if !ok {
			labels, value = "", rest
		}
		out += name + `{gpu="0",UUID="GPU-1"` + labels + "} " + value + "\n"
	}
	return out
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

// TestXids: the gauge never clears, so only its change is an event; counts are better.
func TestXids(t *testing.T) {
	gauge := func(n string) string { return "DCGM_FI_DEV_XID_ERRORS " + n }
	window := func(xid, n string) string { return `DCGM_EXP_XID_ERRORS_COUNT ,xid="` + xid + `" ` + n }
	total := func(xid, n string) string { return `DCGM_EXP_XID_ERRORS_TOTAL ,xid="` + xid + `" ` + n }
	const ok, watch, failed = gpu.VerdictOK, gpu.VerdictWatch, gpu.VerdictFailed
	type step struct {
		page    []string
		events  []uint64
		verdict gpu.Verdict
	}
	for name, steps := range map[string][]step{
		"there at the first look":          {{[]string{gauge("79")}, nil, watch}, {[]string{gauge("79")}, nil, watch}},
		"an application's is forgotten":    {{[]string{gauge("31")}, nil, ok}, {[]string{gauge("31")}, nil, ok}},
		"changes":                          {{[]string{gauge("0")}, nil, ok}, {[]string{gauge("79")}, []uint64{79}, failed}, {[]string{gauge("79")}, nil, failed}, {[]string{gauge("48")}, []uint64{48}, failed}},
		"unknown in between":               {{[]string{gauge("79")}, nil, watch}, {[]string{gauge("2147483632")}, nil, watch}, {[]string{gauge("79")}, nil, watch}},
		"cleared after all":                {{[]string{gauge("79")}, nil, watch}, {[]string{gauge("0")}, nil, ok}, {[]string{gauge("79")}, []uint64{79}, failed}},
		"counted of late":                  {{[]string{gauge("79"), window("79", "1")}, []uint64{79}, failed}, {[]string{gauge("79"), window("79", "1")}, nil, failed}, {[]string{gauge("79"), window("79", "3")}, []uint64{79}, failed}},
		"counted since the exporter began": {{[]string{gauge("79"), total("79", "4")}, nil, watch}, {[]string{gauge("79"), total("79", "5")}, []uint64{79}, failed}},
		"the window passes":                {{[]string{window("31", "2")}, []uint64{31}, watch}, {nil, nil, watch}, {[]string{window("31", "1")}, []uint64{31}, watch}},
		"gauge before its count":           {{[]string{gauge("0")}, nil, ok}, {[]string{gauge("79")}, []uint64{79}, failed}, {[]string{gauge("79"), window("79", "1")}, nil, failed}},
		"the exporter begins anew":         {{[]string{total("79", "4")}, nil, watch}, {[]string{total("79", "1")}, []uint64{79}, failed}},
		"the window slides":                {{[]string{window("31", "3")}, []uint64{31}, watch}, {[]string{window("31", "1")}, nil, watch}},
		"two numbers at once":              {{nil, nil, ok}, {[]string{total("48", "1"), total("63", "1")}, []uint64{48, 63}, failed}},
		"no number":                        {{[]string{total("x", "1"), total("0", "1"), total("79", "NaN"), gauge("NaN")}, nil, ok}},
	} {
		t.Run(name, func(t *testing.T) {
			v, at := newVerdicts(), epoch()
			for i, s := range steps {
				at = at.Add(10 * time.Second)
				gpus, err := readPage(strings.NewReader(xidPage(i, s.page...)))
				if err != nil {
					t.Fatal(err)
				}
				b := v.batch(gpus, at)
				var got []uint64
				for _, e := range b.Events {
					got = append(got, e.Xid)
					if !e.At.Equal(at) || e.Kind != gpu.EventXid || e.UUID != "GPU-1" || e.Text == "" {
						t.Errorf("step %d: %+v", i, e)
					}
				}
				if d := cmp.Diff(s.events, got); d != "" {
					t.Errorf("step %d: %s", i, d)
				}
				if h := b.Samples[0].Health; h.Verdict != s.verdict {
					t.Errorf("step %d: %+v, want %s", i, h, s.verdict)
				}
			}
		})
	}
}

// A page of others each time does not make the reader grow, and one that is
// not of a node is refused.
func TestVerdictsAreBounded(t *testing.T) {
	v := newVerdicts()
	page := func(from, n int) string {
		var out strings.Builder
		for i := range n {
			out.WriteString(`DCGM_FI_DEV_GPU_TEMP{UUID="GPU-` + itoa(from+i) + `"} 40` + "\n")
		}
		return out.String()
	}
	for i := range 100 {
		gpus, err := readPage(strings.NewReader(page(8*i, 8)))
		if err != nil {
			t.Fatal(err)
		}
		v.batch(gpus, epoch())
	}
	if n := len(v.devices); n > 2*8+missed {
		t.Errorf("%d GPUs are remembered", n)
	}
	if _, err := readPage(strings.NewReader(page(0, maxGPUs+1))); err == nil {
		t.Errorf("a page of %d GPUs was read", maxGPUs+1)
	}
	gpus, err := readPage(strings.NewReader(`DCGM_FI_PROF_NVLINK_TX_BYTES{UUID="GPU-1",nvlink="1000"} 1` + "\n"))
	if err != nil || len(gpus[0].links) != 0 {
		t.Errorf("link 1000 of a GPU: %v, %v", gpus, err)
	}
}

// TestResetEndsAnOldXid: the energy of a GPU begins anew when it is reset.
func TestResetEndsAnOldXid(t *testing.T) {
	v := newVerdicts()
	for i, want := range []gpu.Verdict{gpu.VerdictWatch, gpu.VerdictWatch, gpu.VerdictOK} {
		n := []int{100, 200, 0}[i]
		gpus, err := readPage(strings.NewReader(xidPage(n, "DCGM_FI_DEV_XID_ERRORS 79")))
		if err != nil {
			t.Fatal(err)
		}
		if h := v.batch(gpus, epoch().Add(time.Duration(i)*time.Second)).Samples[0].Health; h.Verdict != want {
			t.Errorf("reading %d: %+v, want %s", i, h, want)
		}
	}
}

// TestTimeOfASample: the sample's own; else the time at which the energy moved;
// else that of the reading.
func TestTimeOfASample(t *testing.T) {
	const energy, temp = `DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{UUID="GPU-1"} `, `DCGM_FI_DEV_GPU_TEMP{UUID="GPU-1"} `
	for name, c := range map[string]struct {
		pages []string
		want  []int // seconds after the first reading; readings are 10 s apart
	}{
		"moves":            {[]string{energy + "1000", energy + "1001", energy + "1002"}, []int{0, 10, 20}},
		"stands still":     {[]string{energy + "1000", energy + "1000", energy + "1000"}, []int{0, 0, 0}},
		"moves again":      {[]string{energy + "1000", energy + "1000", energy + "1001"}, []int{0, 0, 20}},
		"tells no energy":  {[]string{temp + "30", temp + "30", temp + "30"}, []int{0, 10, 20}},
		"tells its time":   {[]string{temp + "30 1699999990000", temp + "30 1699999995000"}, []int{-10, -5}},
		"energy ends once": {[]string{energy + "1000", temp + "30", energy + "1000"}, []int{0, 10, 20}},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVerdicts()
			for i, page := range c.pages {
				gpus, err := readPage(strings.NewReader(page))
				if err != nil {
					t.Fatal(err)
				}
				s := v.batch(gpus, epoch().Add(time.Duration(i)*10*time.Second)).Samples[0]
				if want := epoch().Add(time.Duration(c.want[i]) * time.Second); !s.At.Equal(want) {
					t.Errorf("reading %d is of %s, want %s", i, s.At, want)
				}
			}
		})
	}
}

// TestDCGMSource reads an exporter over HTTP: its page, its refusal, its end.
func TestDCGMSource(t *testing.T) {
	var refuse atomic.Bool
	page := file(t, "dcgm-3.txt")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/metrics" || r.Header.Get("Authorization") != "Bearer secret":
			t.Errorf("asked for %s with %q", r.URL, r.Header.Get("Authorization"))
		case refuse.Load():
			w.WriteHeader(http.StatusForbidden)
		default:
			_, _ = w.Write([]byte(page))
		}
	}))
	defer srv.Close()
	src := DCGM(DCGMConfig{
		HTTP:      HTTP{Token: func(context.Context) (string, error) { return "secret", nil }},
		Endpoints: only(Endpoint{Node: "n1", NodeName: "gpu-7", URL: srv.URL + "/metrics"}),
		Interval:  time.Millisecond, Timing: Timing{BackoffMin: time.Millisecond},
	})
	var n news
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- src.Run(ctx, n.emit, n.status) }()
	eventually(t, "two readings", func() bool { return n.count() >= 2 })
	refuse.Store(true)
	eventually(t, "the refusal", func() bool { return n.lastStatus().State == StateDenied })
	cancel()
	<-done
	if b := n.lastBatch(); b.Node != "n1" || b.Source != "dcgm" || len(b.Devices) != 3 || len(b.Samples) != 2 {
		t.Errorf("%+v", b)
	}
	if s := n.lastStatus(); !strings.Contains(s.Err, "gpu-7") || strings.Contains(s.Err, "secret") {
		t.Errorf("%+v", s)
	}
}

// FuzzDCGM holds that no page makes the reader panic, and that whatever it
// takes for a number is one that can be sent on.
func FuzzDCGM(f *testing.F) {
	for _, name := range []string{"dcgm-3.txt", "dcgm-4.9.txt"} { // line by line: small seeds are changed faster
		for line := range strings.Lines(file(f, name)) {
			if isOurs(line) {
				f.Add([]byte(line))
			}
		}
	}
	f.Add([]byte(xidPage(1, `DCGM_EXP_XID_ERRORS_COUNT ,xid="79" 1`, "DCGM_FI_DEV_XID_ERRORS 79")))
	f.Add([]byte(`DCGM_FI_DEV_NVLINK_CRC_ERROR_TOTAL{nvlink="17",gpu_uuid="GPU-1"} 1e300 9223372036854775807` + "\n"))
	f.Add([]byte(`stoker_gpu_throttled{uuid="GPU-1",reason="sw_power_cap"} 1` + "\n" + `stoker_gpu_health{uuid="GPU-1",verdict="failed"} 1`))
	f.Fuzz(func(t *testing.T, page []byte) {
		gpus, err := readPage(strings.NewReader(string(page)))
		if err != nil {
			return
		}
		v := newVerdicts()
		for i := range 2 {
			b := v.batch(gpus, epoch().Add(time.Duration(i)*time.Second))
			if len(b.Devices) == 0 || len(b.Devices) < len(b.Samples) {
				t.Fatalf("%d devices, %d samples", len(b.Devices), len(b.Samples))
			}
			if _, err := json.Marshal(b); err != nil && !strings.Contains(err.Error(), "year") {
				t.Fatalf("accepted, but cannot be encoded: %v", err)
			}
			for _, s := range b.Samples {
				for _, p := range []*float64{s.UtilPercent, s.PowerWatts, s.TempCelsius, s.EnergyJoules} {
					if p != nil && (*p < 0 || *p >= 100*blankFloat) {
						t.Fatalf("%v is no number of a GPU", *p)
					}
				}
				if !slices.IsSorted(s.Throttle) {
					t.Fatalf("%q", s.Throttle)
				}
			}
		}
	})
}
