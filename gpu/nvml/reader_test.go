//go:build cgo

package nvml_test

import (
	"encoding/json"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/charmbracelet/x/exp/golden"
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
	golden.RequireEqual(t, described(t, b))
	if b.Node != "n1" || b.Source != "nvml" || b.Driver != "580.82.07" || b.CUDA != "13.0" || !b.At.Equal(n.clock()) {
		t.Errorf("batch of %s from %s, driver %s, CUDA %s, at %s", b.Node, b.Source, b.Driver, b.CUDA, b.At)
	}
	wantVerdicts(t, b, gpu.VerdictOK, gpu.VerdictOK)
}

// described is a batch as JSON, without what depends on the machine.
func described(t *testing.T, b gpu.Batch) []byte {
	t.Helper()
	out, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
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
		// It is waited for once, and then the readings are quick again.
		for _, want := range []time.Duration{patience + patience/5, 0, 0} {
			began := time.Now()
			b := n.read(r, time.Second)
			took := time.Since(began)
			wantVerdicts(t, b, gpu.VerdictFailed, gpu.VerdictOK)
			if took != want {
				t.Errorf("a GPU that hangs took %s of the reading, want %s", took, want)
			}
		}
		n.clear(0)
		n.read(r, time.Second)  // the GPU's own time goes on,
		time.Sleep(time.Second) // and that of the bubble: the call returns
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

func TestMIGInstances(t *testing.T) {
	n := newNode(t, sim.H100+":3g.40gb,1g.10gb", sim.A100+":7g.80gb", sim.L40S)
	r := n.open()
	n.read(r, 0)
	b := n.read(r, time.Second) // the performance monitor compares two samples
	type row struct {
		Model, Profile string
		Parent         int
		Util           bool
	}
	var got []row
	index := map[gpu.UUID]int{"": -1}
	for i, d := range b.Devices {
		index[d.UUID] = i
		got = append(got, row{d.Model, d.MIGProfile, index[d.Parent], b.Samples[i].UtilPercent != nil})
	}
	if d := cmp.Diff([]row{
		{"NVIDIA H100 80GB HBM3", "", -1, false}, // with MIG on, only instances have a utilisation
		{"NVIDIA H100 80GB HBM3 MIG 3g.40gb", "3g.40gb", 0, true},
		{"NVIDIA H100 80GB HBM3 MIG 1g.10gb", "1g.10gb", 0, true},
		{"NVIDIA A100-SXM4-80GB", "", -1, false},
		{"NVIDIA A100-SXM4-80GB MIG 7g.80gb", "7g.80gb", 3, false}, // before Hopper nothing tells it
		{"NVIDIA L40S", "", -1, true},
	}, got); d != "" {
		t.Fatalf("devices (-want +got):\n%s", d)
	}
	whole, cut := b.Devices[5], b.Devices[0]
	if whole.MIG != nil || cut.MIG == nil || !*cut.MIG {
		t.Errorf("MIG is %v on the L40S and %v on the H100", whole.MIG, cut.MIG)
	}
	want := gpu.MIGProfile{Name: "1g.10gb", Most: 7, Free: 3}
	if len(cut.MIGProfiles) != 5 || cut.MIGProfiles[0] != want {
		t.Errorf("profiles %+v, want 5 that begin with %+v", cut.MIGProfiles, want)
	}
	n.inject(sim.Fault{GPU: 0, Kind: sim.FaultLost})
	wantVerdicts(t, n.read(r, time.Second), gpu.VerdictFailed, gpu.VerdictFailed, gpu.VerdictFailed, gpu.VerdictOK, gpu.VerdictOK, gpu.VerdictOK)
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

func TestWhatTheLibraryLacks(t *testing.T) {
	n := newNode(t, sim.H100)
	n.lib = bent{n.lib, []string{"nvmlDeviceGetFanSpeed", "nvmlDeviceGetTotalEccErrors"}, func(d nvml.Device) nvml.Device { return d }}
	b := n.read(n.open(), 0)
	if d := cmp.Diff([]string{"nvmlDeviceGetFanSpeed", "nvmlDeviceGetTotalEccErrors"}, b.Lacks); d != "" {
		t.Errorf("lacks (-want +got):\n%s", d)
	}
	if s := b.Samples[0]; s.ECCCorrected != nil || s.Detail.ECCCorrectedTotal != nil || s.UtilPercent == nil {
		t.Errorf("the sample is %+v", s)
	}
}
