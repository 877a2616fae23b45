//go:build cgo

package nvml_test

import (
	"strings"
	"testing"
	"time"

	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"

	"stoker/gpu"
	"stoker/gpu/nvml"
	"stoker/gpu/sim"
)

// flaky is a device of which some answers are the test's.
type flaky struct {
	nvml.Device
	to *troubles
}

type troubles struct {
	link gonvml.Return // of each question for the state of a link
	mig  bool
}

func (f flaky) GetNvLinkState(link int) (gonvml.EnableState, gonvml.Return) {
	if f.to.link != gonvml.SUCCESS {
		return 0, f.to.link
	}
	return f.Device.GetNvLinkState(link)
}

func (f flaky) GetNvLinkErrorCounter(link int, c gonvml.NvLinkErrorCounter) (uint64, gonvml.Return) {
	if c == gonvml.NVLINK_ERROR_DL_CRC_DATA {
		return 0, gonvml.ERROR_NOT_SUPPORTED
	}
	return f.Device.GetNvLinkErrorCounter(link, c)
}

func (f flaky) GetMigMode() (current, pending int, ret gonvml.Return) {
	if f.to.mig {
		return gonvml.DEVICE_MIG_ENABLE, gonvml.DEVICE_MIG_ENABLE, gonvml.SUCCESS
	}
	return gonvml.DEVICE_MIG_DISABLE, gonvml.DEVICE_MIG_DISABLE, gonvml.SUCCESS
}

func (f flaky) GetUtilizationRates() (gonvml.Utilization, gonvml.Return) {
	if f.to.mig {
		return gonvml.Utilization{}, gonvml.ERROR_NOT_SUPPORTED
	}
	return f.Device.GetUtilizationRates()
}

func inTrouble(t *testing.T) (*node, *troubles) {
	t.Helper()
	n, to := newNode(t, sim.H100), &troubles{}
	n.lib = bent{n.lib, nil, func(d nvml.Device) nvml.Device { return flaky{d, to} }}
	return n, to
}

// A link whose state is not told is as it was: that it went down would drain the GPU.
func TestALinkThatDoesNotAnswerIsNotDown(t *testing.T) {
	for _, ret := range []gonvml.Return{gonvml.ERROR_UNKNOWN, gonvml.ERROR_NOT_SUPPORTED} {
		n, to := inTrouble(t)
		r := n.open()
		n.read(r, 0)
		to.link = ret
		for range 2 {
			b := n.read(r, 2*time.Second)
			wantVerdicts(t, b, gpu.VerdictOK)
			if links := b.Samples[0].Detail.NVLinks; len(links) == 0 || !links[0].Up {
				t.Errorf("return code %d: links %+v", ret, links)
			}
		}
	}
}

// One counter that a link does not have says nothing of the others.
func TestCountersOfLinksAreAskedEach(t *testing.T) {
	n, _ := inTrouble(t)
	r := n.open()
	n.read(r, 0)
	var b gpu.Batch
	for range 3 {
		b = n.read(r, time.Second)
	}
	for _, l := range b.Samples[0].Detail.NVLinks {
		if l.Replays == nil || l.Recoveries == nil || l.CRCErrors == nil {
			t.Fatalf("link %d: %+v", l.Link, l)
		}
	}
}

// What a GPU cannot answer while it is cut into instances it can afterwards.
func TestMIGIsSwitchedOff(t *testing.T) {
	n, to := inTrouble(t)
	to.mig = true
	r := n.open()
	if b := n.read(r, 0); b.Samples[0].UtilPercent != nil {
		t.Fatal("a GPU that is cut says how busy it is")
	}
	to.mig = false
	b := n.read(r, 10*time.Second)
	if b.Samples[0].UtilPercent == nil || b.Devices[0].MIG == nil || *b.Devices[0].MIG || b.Devices[0].PowerLimitWatts == nil {
		t.Errorf("after it was made whole: %+v of %+v", b.Samples[0], b.Devices[0])
	}
}

// stuck is a library that is never let go.
type stuck struct {
	nvml.Library
	until chan struct{}
}

func (s stuck) Shutdown() gonvml.Return {
	<-s.until
	return s.Library.Shutdown()
}

func TestADriverThatDoesNotLetGo(t *testing.T) {
	n := newNode(t, sim.H100)
	until := make(chan struct{})
	n.lib = stuck{n.lib, until}
	r, err := nvml.Open(n.lib, "n1", nvml.Clock(n.clock), nvml.Patience(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	n.read(r, 0)
	if err := r.Close(); err == nil || !strings.Contains(err.Error(), "did not let go") {
		t.Errorf("Close: %v", err)
	}
	close(until)
}

// stumbling is a device whose driver answers some calls with an error now and then.
type stumbling struct {
	nvml.Device
	now *bool
}

func (s stumbling) GetMaxMigDeviceCount() (int, gonvml.Return) {
	if *s.now {
		return 0, gonvml.ERROR_UNKNOWN
	}
	return s.Device.GetMaxMigDeviceCount()
}

func (s stumbling) GetMigDeviceHandleByIndex(i int) (gonvml.Device, gonvml.Return) {
	if *s.now {
		return nil, gonvml.ERROR_TIMEOUT
	}
	return s.Device.GetMigDeviceHandleByIndex(i)
}

// Who takes an instance for gone moves its jobs: one bad answer is not enough.
func TestInstancesStayWhileTheDriverStumbles(t *testing.T) {
	n, now := newNode(t, sim.H100+":3g.40gb,1g.10gb"), false
	n.lib = bent{n.lib, nil, func(d nvml.Device) nvml.Device { return stumbling{d, &now} }}
	r := n.open()
	before := n.read(r, 0).Devices
	now = true
	if b := n.read(r, time.Second); len(b.Devices) != 3 || b.Samples[2].MemoryUsedBytes == nil {
		t.Errorf("%d devices while the driver stumbles, want %d", len(b.Devices), len(before))
	}
}
