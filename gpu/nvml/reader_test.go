//go:build cgo

package nvml_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"stoker/gpu"
	"stoker/gpu/nvml"
	"stoker/gpu/sim"
)

// node is a simulated node under test with a clock that moves by hand.
type node struct {
	t   *testing.T
	dir string
	lib nvml.Library
	now atomic.Int64 // Unix seconds
}

func newNode(t *testing.T, gpus ...string) *node {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	return simulated(t, gpus...)
}

// simulated is a node whose goroutines somebody else watches.
func simulated(t *testing.T, gpus ...string) *node {
	t.Helper()
	n := &node{t: t, dir: t.TempDir()}
	n.now.Store(1772366400)
	if err := sim.Create(n.dir, sim.Spec{Node: "n1", GPUs: gpus}); err != nil {
		t.Fatal(err)
	}
	lib, err := sim.OpenAt(n.dir, n.clock)
	if err != nil {
		t.Fatal(err)
	}
	n.lib = lib
	return n
}

func (n *node) clock() time.Time { return time.Unix(n.now.Load(), 0).UTC() }

func (n *node) open(options ...nvml.Option) *nvml.Reader {
	n.t.Helper()
	// A machine that stands still for a while is not a GPU that hangs.
	options = append([]nvml.Option{nvml.Clock(n.clock), nvml.Patience(time.Minute)}, options...)
	r, err := nvml.Open(n.lib, "n1", options...)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		if err := r.Close(); err != nil {
			n.t.Error(err)
		}
	})
	return r
}

// read lets so much time pass and reads.
func (n *node) read(r *nvml.Reader, after time.Duration) gpu.Batch {
	n.t.Helper()
	n.now.Add(int64(after / time.Second))
	b, err := r.Read(n.clock())
	if err != nil {
		n.t.Fatal(err)
	}
	return b
}

func (n *node) inject(f sim.Fault) {
	n.t.Helper()
	if err := sim.Inject(n.dir, f); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) clear(index int) {
	n.t.Helper()
	if err := sim.Clear(n.dir, index); err != nil {
		n.t.Fatal(err)
	}
}

func verdicts(b gpu.Batch) []gpu.Verdict {
	var vs []gpu.Verdict
	for _, s := range b.Samples {
		vs = append(vs, s.Health.Verdict)
	}
	return vs
}

func wantVerdicts(t *testing.T, b gpu.Batch, want ...gpu.Verdict) {
	t.Helper()
	if d := cmp.Diff(want, verdicts(b)); d != "" {
		t.Errorf("verdicts (-want +got):\n%s", d)
	}
}

func kinds(b gpu.Batch) []gpu.EventKind {
	var ks []gpu.EventKind
	for _, e := range b.Events {
		ks = append(ks, e.Kind)
	}
	return ks
}

func TestReadDescribesAndMeasures(t *testing.T) {
	n := newNode(t, sim.H100, sim.L40S)
	r := n.open()
	n.read(r, 0)
	b := n.read(r, time.Second) // PCIe has its turn from the second on
	want, err := sim.Devices(n.dir)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, b.Devices); d != "" {
		t.Errorf("devices (-want +got):\n%s", d)
	}
	if b.Node != "n1" || b.Source != "nvml" || b.Driver != "580.82.07" || b.CUDA != "13.0" || !b.At.Equal(n.clock()) {
		t.Errorf("batch of %s from %s, driver %s, CUDA %s, at %s", b.Node, b.Source, b.Driver, b.CUDA, b.At)
	}
	s := b.Samples[0]
	for name, known := range map[string]bool{
		"util": s.UtilPercent != nil, "memory util": s.MemoryUtilPercent != nil, "memory": s.MemoryUsedBytes != nil,
		"power": s.PowerWatts != nil, "limit": s.PowerLimitWatts != nil, "energy": s.EnergyJoules != nil,
		"temperature": s.TempCelsius != nil, "SM clock": s.SMClockMHz != nil, "memory clock": s.MemClockMHz != nil,
		"P-state": s.PState != nil, "encoder": s.EncoderPercent != nil, "decoder": s.DecoderPercent != nil,
		"PCIe tx": s.PCIeTxBytesPerSec != nil, "PCIe rx": s.PCIeRxBytesPerSec != nil,
		"corrected": s.ECCCorrected != nil, "uncorrected": s.ECCUncorrected != nil,
		"pending": s.RowRemapPending != nil, "failure": s.RowRemapFailure != nil, "throttle": s.Throttle != nil,
		"no fan": s.FanPercent == nil,
	} {
		if !known {
			t.Errorf("the H100's %s is wrong", name)
		}
	}
	wantVerdicts(t, b, gpu.VerdictOK, gpu.VerdictOK)
}

func TestALostGPULeavesTheOthersAlone(t *testing.T) {
	n := newNode(t, sim.H100, sim.H100, sim.H100)
	r := n.open()
	n.read(r, 0)
	n.inject(sim.Fault{GPU: 1, Kind: sim.FaultLost})
	b := n.read(r, time.Second)
	wantVerdicts(t, b, gpu.VerdictOK, gpu.VerdictFailed, gpu.VerdictOK)
	if s := b.Samples[1]; s.UtilPercent != nil || s.PowerWatts != nil {
		t.Errorf("a lost GPU has numbers: %+v", s)
	}
	if s := b.Samples[2]; s.UtilPercent == nil {
		t.Error("the GPU beside it has none")
	}
	if d := cmp.Diff([]gpu.EventKind{gpu.EventLost}, kinds(b)); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	if b = n.read(r, time.Second); len(b.Events) != 0 {
		t.Errorf("lost twice: %v", b.Events)
	}
	n.clear(1)
	b = n.read(r, time.Second)
	if d := cmp.Diff([]gpu.EventKind{gpu.EventBack}, kinds(b)); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	wantVerdicts(t, b, gpu.VerdictOK, gpu.VerdictFailed, gpu.VerdictOK) // not yet trusted
	wantVerdicts(t, n.read(r, gpu.DefaultRules().Quiet), gpu.VerdictOK, gpu.VerdictOK, gpu.VerdictOK)
}

// In a bubble, patience passes only while all that is left to do is to wait for
// the GPU that hangs: the one beside it has answered, however slow the machine.
func TestAHungGPULeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const patience = 2 * time.Second
		n := simulated(t, sim.H100, sim.H100)
		r := n.open(nvml.Patience(patience))
		n.read(r, 0)
		n.inject(sim.Fault{GPU: 0, Kind: sim.FaultHang})
		for range 3 {
			began := time.Now()
			wantVerdicts(t, n.read(r, time.Second), gpu.VerdictFailed, gpu.VerdictOK)
			if took := time.Since(began); took != patience {
				t.Errorf("a GPU that hangs took %s of the reading, want %s", took, patience)
			}
		}
		n.clear(0)
		if b := n.read(r, time.Second); b.Samples[0].UtilPercent == nil {
			t.Fatal("the GPU does not come back from a hang")
		}
		n.read(r, time.Second)
		wantVerdicts(t, n.read(r, time.Minute), gpu.VerdictOK, gpu.VerdictOK)
	})
}

func TestXidsAreEventsAndHealth(t *testing.T) {
	n := newNode(t, sim.H100, sim.H100)
	r := n.open()
	uuid := n.read(r, 0).Devices[1].UUID
	n.inject(sim.Fault{GPU: 1, Kind: sim.FaultXid, Xid: 95})
	var b gpu.Batch
	deadline := time.Now().Add(time.Minute)
	for b = n.read(r, time.Second); len(b.Events) == 0; b = n.read(r, time.Second) {
		if time.Now().After(deadline) {
			t.Fatal("no event")
		}
	}
	e := b.Events[0]
	if e.UUID != uuid || e.Kind != gpu.EventXid || e.Xid != 95 || e.Text != "Xid 95: uncontained memory error" || len(b.Events) != 1 {
		t.Errorf("events %+v", b.Events)
	}
	wantVerdicts(t, b, gpu.VerdictOK, gpu.VerdictFailed)
	if *b.Samples[1].ECCUncorrected != 1 {
		t.Errorf("uncorrected errors: %d", *b.Samples[1].ECCUncorrected)
	}
	n.read(r, time.Hour) // uses energy, whose counter tells of the reset
	n.clear(1)
	n.read(r, time.Second)
	wantVerdicts(t, n.read(r, time.Minute), gpu.VerdictOK, gpu.VerdictOK)
}

// bent is a simulated library bent by a test.
type bent struct {
	nvml.Library
	missing []string
	device  func(nvml.Device) nvml.Device
}

func (b bent) Supports(symbol string) bool { return !slices.Contains(b.missing, symbol) }

func (b bent) DeviceGetHandleByIndex(i int) (nvml.Device, gonvml.Return) {
	d, ret := b.Library.DeviceGetHandleByIndex(i)
	return b.device(d), ret
}

func (b bent) EventSetCreate() (nvml.EventSet, gonvml.Return) {
	return nil, gonvml.ERROR_FUNCTION_NOT_FOUND
}

type counting struct {
	nvml.Device
	fan, power *int
}

func (c counting) GetFanSpeed() (uint32, gonvml.Return) { *c.fan++; return c.Device.GetFanSpeed() }

func (c counting) GetPowerUsage() (uint32, gonvml.Return) {
	*c.power++
	return c.Device.GetPowerUsage()
}

func TestWhatIsUnsupportedIsAskedOnce(t *testing.T) {
	n := newNode(t, sim.H100)
	var fan, power int
	n.lib = bent{n.lib, []string{"nvmlDeviceGetPowerUsage"}, func(d nvml.Device) nvml.Device { return counting{d, &fan, &power} }}
	r := n.open()
	var b gpu.Batch
	for range 3 {
		b = n.read(r, time.Second)
	}
	if fan != 1 {
		t.Errorf("the fan was asked for %d times, want once", fan)
	}
	if power != 0 || b.Samples[0].PowerWatts != nil {
		t.Errorf("a function that the library lacks was called %d times", power)
	}
	if b.Samples[0].UtilPercent == nil {
		t.Error("and the rest is gone")
	}
}

type sliced struct {
	nvml.Device
	instance gonvml.Device
}

func (s sliced) GetMigMode() (current, pending int, ret gonvml.Return) {
	return gonvml.DEVICE_MIG_ENABLE, gonvml.DEVICE_MIG_ENABLE, gonvml.SUCCESS
}

func (s sliced) GetUtilizationRates() (gonvml.Utilization, gonvml.Return) {
	return gonvml.Utilization{}, gonvml.ERROR_NOT_SUPPORTED
}

func (s sliced) GetMigDeviceHandleByIndex(i int) (gonvml.Device, gonvml.Return) {
	if i != 2 {
		return nil, gonvml.ERROR_NOT_FOUND
	}
	return s.instance, gonvml.SUCCESS
}

func TestMIGInstancesHaveAParent(t *testing.T) {
	n := newNode(t, sim.A100)
	instance := &mock.Device{
		GetUUIDFunc: func() (string, gonvml.Return) { return "MIG-1", gonvml.SUCCESS },
		GetNameFunc: func() (string, gonvml.Return) {
			return "NVIDIA A100-SXM4-80GB MIG 3g.40gb", gonvml.SUCCESS
		},
		GetMemoryInfo_v2Func: func() (gonvml.Memory_v2, gonvml.Return) {
			return gonvml.Memory_v2{Total: 40 << 30, Used: 1 << 30}, gonvml.SUCCESS
		},
	}
	n.lib = bent{n.lib, nil, func(d nvml.Device) nvml.Device { return sliced{d, instance} }}
	r := n.open()
	b := n.read(r, 0)
	want := gpu.Device{
		UUID: "MIG-1", Parent: b.Devices[0].UUID, PCI: b.Devices[0].PCI,
		Model: "NVIDIA A100-SXM4-80GB MIG 3g.40gb", MemoryBytes: 40 << 30,
	}
	if d := cmp.Diff([]gpu.Device{b.Devices[0], want}, b.Devices); d != "" {
		t.Fatalf("devices (-want +got):\n%s", d)
	}
	if s := b.Samples[1]; *s.MemoryUsedBytes != 1<<30 || s.UtilPercent != nil {
		t.Errorf("the instance's sample is %+v", s)
	}
	n.inject(sim.Fault{GPU: 0, Kind: sim.FaultLost})
	wantVerdicts(t, n.read(r, time.Second), gpu.VerdictFailed, gpu.VerdictFailed)
}

func TestWithoutADriver(t *testing.T) {
	if _, err := nvml.Load(); err == nil {
		t.Skip("this machine has a driver")
	} else if !errors.Is(err, nvml.ErrNoDriver) {
		t.Errorf("Load: %v, want ErrNoDriver", err)
	}
}

func TestClosedReader(t *testing.T) {
	n := newNode(t, sim.H100)
	r := n.open()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(n.clock()); err == nil {
		t.Error("a closed reader reads")
	}
}
