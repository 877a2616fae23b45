//go:build cgo

package nvml_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
	"stoker/gpu/nvml"
	"stoker/gpu/sim"
)

// The node's driver goes away under the open library and comes back: the GPUs
// fail for that time and no longer than the rules say, without anyone's doing.
func TestADriverThatIsLoadedAgain(t *testing.T) {
	n := newNode(t, sim.H100, sim.H100, sim.H100)
	r := n.open()
	n.read(r, 0)
	n.inject(sim.Fault{GPU: 1, Kind: sim.FaultLost})
	wantVerdicts(t, n.read(r, time.Second), gpu.VerdictOK, gpu.VerdictFailed, gpu.VerdictOK)
	n.inject(sim.Fault{GPU: 0, Kind: sim.FaultDriver})
	for range 3 {
		b := n.read(r, time.Second)
		wantVerdicts(t, b, gpu.VerdictFailed, gpu.VerdictFailed, gpu.VerdictFailed)
		if why := b.Samples[2].Health.Reason; !strings.Contains(why, "driver is not loaded") {
			t.Fatalf("the reason is %q", why)
		}
	}
	n.clear(0) // which brings the driver back, without the GPU that is lost
	b := n.read(r, time.Second)
	if b.Samples[0].UtilPercent == nil || b.Samples[2].UtilPercent == nil || len(b.Devices) != 3 {
		t.Fatalf("after the driver came back: %+v", b.Samples)
	}
	b = n.read(r, gpu.DefaultRules().Quiet)
	wantVerdicts(t, b, gpu.VerdictOK, gpu.VerdictFailed, gpu.VerdictOK)
	if why := b.Samples[1].Health.Reason; !strings.Contains(why, "does not find it any more") {
		t.Errorf("the GPU that the driver did not find: %q", why)
	}
	// Once it is repaired, a new look at the driver finds it.
	n.clear(1)
	n.read(r, 20*time.Minute)
	b = n.read(r, time.Second)
	if b.Samples[1].UtilPercent == nil {
		t.Error("a GPU that was repaired is not found again")
	}
}

// A GPU that was gone before anybody looked is shown all the same, and is
// itself once it answers.
func TestAGPULostFromTheStart(t *testing.T) {
	n := newNode(t, sim.H100, sim.H100)
	n.inject(sim.Fault{GPU: 1, Kind: sim.FaultLost})
	r := n.open()
	b := n.read(r, 0)
	wantVerdicts(t, b, gpu.VerdictOK, gpu.VerdictFailed)
	if d := b.Devices[1]; d.UUID.Named() || d.Index != 1 {
		t.Errorf("the device is %+v", d)
	}
	n.clear(1)
	b = n.read(r, time.Second)
	if len(b.Devices) != 2 || !b.Devices[1].UUID.Named() || b.Samples[1].UtilPercent == nil {
		t.Errorf("once it answers: %+v", b.Devices)
	}
}

// The library is opened anew to look for a lost GPU. One that still does not
// say its name is the one that was there, and not a second one.
func TestALostGPUIsLookedForAndStaysOne(t *testing.T) {
	n := newNode(t, sim.H100, sim.H100, sim.H100)
	r := n.open()
	before := n.read(r, 0).Devices
	n.inject(sim.Fault{GPU: 1, Kind: sim.FaultLost})
	n.read(r, time.Second)
	for range 3 { // each is after the next look
		n.read(r, 20*time.Minute)
		b := n.read(r, time.Second)
		if d := cmp.Diff(before, b.Devices); d != "" {
			t.Fatalf("devices (-want +got):\n%s", d)
		}
		wantVerdicts(t, b, gpu.VerdictOK, gpu.VerdictFailed, gpu.VerdictOK)
		if len(b.Events) > 0 {
			t.Errorf("it is lost once, and these came again: %v", b.Events)
		}
	}
	n.clear(1)
	n.read(r, 20*time.Minute)
	if b := n.read(r, time.Second); len(b.Devices) != 3 || b.Samples[1].UtilPercent == nil {
		t.Errorf("once it answers: %+v", b.Samples)
	}
}

// The same holds for what an earlier reader knew of the node.
func TestAnExpectedGPUThatDoesNotSayItsName(t *testing.T) {
	n := newNode(t, sim.H100, sim.H100)
	first := n.open()
	before := n.read(first, 0).Devices
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	n.inject(sim.Fault{GPU: 1, Kind: sim.FaultLost})
	b := n.read(n.open(nvml.Expect(before)), time.Second)
	if len(b.Devices) != 2 || b.Devices[1].UUID != before[1].UUID {
		t.Errorf("devices %+v, want those from before", b.Devices)
	}
	wantVerdicts(t, b, gpu.VerdictOK, gpu.VerdictFailed)
}

// What the node had before is expected: it is lost where it is not found.
func TestExpectedGPUs(t *testing.T) {
	n := newNode(t, sim.H100)
	before := n.open()
	here := n.read(before, 0).Devices[0]
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	gone := gpu.Device{UUID: "GPU-gone", Index: 1, Model: "NVIDIA H100 80GB HBM3"}
	b := n.read(n.open(nvml.Expect([]gpu.Device{here, gone})), time.Second)
	wantVerdicts(t, b, gpu.VerdictOK, gpu.VerdictFailed)
	if d := cmp.Diff([]gpu.Device{here, gone}, b.Devices); d != "" {
		t.Errorf("devices (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]gpu.EventKind{gpu.EventLost}, kinds(b)); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
}

func TestRelease(t *testing.T) {
	n := newNode(t, sim.H100)
	r := n.open()
	n.read(r, 0)
	if err := r.Release(time.Minute); err != nil {
		t.Fatal(err)
	}
	if ret := n.lib.Shutdown(); ret != gonvml.ERROR_UNINITIALIZED {
		t.Errorf("the library is still open: %d", ret)
	}
	for range 2 {
		n.now.Add(29)
		if _, err := r.Read(n.clock()); !errors.Is(err, nvml.ErrReleased) {
			t.Fatalf("released, and read: %v", err)
		}
	}
	if b := n.read(r, 2*time.Second); b.Samples[0].UtilPercent == nil {
		t.Error("it was not opened again")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Release(0); err == nil {
		t.Error("a closed reader is released")
	}
}

func TestNothingIsReleasedUnderACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, sim.H100, sim.H100)
		r := n.open(nvml.Patience(2 * time.Second))
		uuid := n.read(r, 0).Devices[1].UUID
		n.inject(sim.Fault{GPU: 1, Kind: sim.FaultHang})
		began := n.clock().Add(time.Second)
		n.read(r, time.Second)
		if d := cmp.Diff(map[gpu.UUID]time.Time{uuid: began}, r.Hung()); d != "" {
			t.Errorf("what hangs (-want +got):\n%s", d)
		}
		if err := r.Release(time.Minute); err == nil || !strings.Contains(err.Error(), "GPU 1") {
			t.Errorf("Release: %v, want that GPU 1 hangs", err)
		}
		n.clear(1)
		n.read(r, time.Second)  // the GPU's own time goes on,
		time.Sleep(time.Second) // and that of the bubble: the call returns
		n.read(r, time.Second)
		if hung := r.Hung(); len(hung) != 0 {
			t.Errorf("still hung: %v", hung)
		}
	})
}
