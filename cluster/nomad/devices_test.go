package nomad

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stoker/cluster"
	"stoker/gpu"
)

func ptr[V any](v V) *V { return &v }

func TestDeviceStats(t *testing.T) {
	srv := newServer(t)
	got, err := open(t, srv.URL).DeviceStats(t.Context(), "63a3e7e4")
	if err != nil {
		t.Fatal(err)
	}
	first := gpu.UUID("GPU-11f96f11-7e2c-8fad-b6a0-747e8e8d5e35")
	second := gpu.UUID("GPU-951cb555-550a-87fc-846f-76e39e2d817b")
	device := func(id gpu.UUID, limit *float64) gpu.Device {
		return gpu.Device{UUID: id, Index: gpu.UnknownIndex, Model: "NVIDIA H100 80GB HBM3", MemoryBytes: 81559 << 20, PowerLimitWatts: limit}
	}
	sample := func(id gpu.UUID, util float64, used uint64) gpu.Sample {
		return gpu.Sample{
			UUID: id, UtilPercent: &util, MemoryUsedBytes: &used, MemoryUtilPercent: ptr(0.0), DecoderPercent: ptr(0.0),
			TempCelsius: ptr(31.0), SMClockMHz: ptr(345.0), MemClockMHz: ptr(2619.0), ECCCorrected: ptr(uint64(0)), ECCUncorrected: ptr(uint64(0)),
			Health: gpu.Health{Verdict: gpu.VerdictOK},
		}
	}
	one, two := sample(first, 64, 51200<<20), sample(second, 0, 0)
	one.PowerWatts, one.PowerLimitWatts, one.EncoderPercent = ptr(431.0), ptr(700.0), ptr(0.0)
	want := gpu.Batch{
		Node: "63a3e7e4", Source: "nomad",
		Devices: []gpu.Device{device(first, ptr(700.0)), device(second, nil)},
		Samples: []gpu.Sample{one, two},
	}
	opts := cmp.Options{
		cmpopts.SortSlices(func(a, b gpu.Device) bool { return a.UUID < b.UUID }),
		cmpopts.SortSlices(func(a, b gpu.Sample) bool { return a.UUID < b.UUID }),
		cmpopts.IgnoreFields(gpu.Batch{}, "At"), cmpopts.IgnoreFields(gpu.Sample{}, "At"),
	}
	if d := cmp.Diff(want, got, opts); d != "" {
		t.Error(d)
	}
	for _, s := range got.Samples {
		if age := got.At.Sub(s.At); s.At.IsZero() || age < 0 || age > 5*time.Second {
			t.Errorf("read %s before the answer", age)
		}
	}
	if q := srv.asked[len(srv.asked)-1]; q.query.Get("node_id") != "63a3e7e4" {
		t.Errorf("asked %+v", q)
	}
}

// Statistics come as whole numbers or as fractions, and as words where the
// hardware has none; other devices are of no interest.
func TestDeviceStatsOfOtherPlugins(t *testing.T) {
	var s statJSON
	for body, want := range map[string]*float64{
		`{"IntNumeratorVal":7}`: ptr(7.0), `{"FloatNumeratorVal":7.5,"FloatDenominatorVal":10}`: ptr(7.5), `{"StringVal":"N/A"}`: nil, `{}`: nil,
	} {
		s = statJSON{}
		if err := json.Unmarshal([]byte(body), &s); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, s.number()); d != "" {
			t.Errorf("%s: %s", body, d)
		}
	}
	srv := newServer(t)
	srv.on("GET /v1/client/stats", status(http.StatusOK, `{"Timestamp":1,"DeviceStats":[
		{"Type":"fpga","InstanceStats":{"F-1":{"Stats":{"Attributes":{}}}}},
		{"Type":"gpu","Name":"m","InstanceStats":{"GPU-1":{"Stats":{"Attributes":{"Health":{"StringVal":"failed: Xid 79: lost"}}}},"GPU-2":{}}}]}`))
	got, err := open(t, srv.URL).DeviceStats(t.Context(), "n")
	if err != nil || len(got.Samples) != 1 || got.Samples[0].Health != (gpu.Health{Verdict: gpu.VerdictFailed, Reason: "Xid 79: lost"}) || got.Samples[0].UtilPercent != nil {
		t.Errorf("%+v, %v", got, err)
	}
	srv.on("GET /v1/client/stats", status(http.StatusForbidden, "Permission denied"))
	if _, err := open(t, srv.URL).DeviceStats(t.Context(), "n"); !errors.Is(err, cluster.ErrDenied) {
		t.Error(err)
	}
}
