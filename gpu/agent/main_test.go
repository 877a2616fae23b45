package agent

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stoker/gpu"
)

const allocA = "5f2b8c1e-7a44-4a9b-9f31-0c6d2e8ab001"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ptr[T any](v T) *T { return &v }

// script is a sampler that the test steers.
type script struct {
	mu     sync.Mutex
	change func(*gpu.Batch)
	err    error
	hang   chan struct{} // not nil: Read waits for it
	reads  int
	closed bool
	gpus   int
}

func (s *script) set(f func(*script)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *script) Read(now time.Time) (gpu.Batch, error) {
	s.mu.Lock()
	hang := s.hang
	s.mu.Unlock()
	if hang != nil {
		<-hang
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	b := node(max(s.gpus, 2), now)
	if s.change != nil {
		s.change(&b)
	}
	return b, s.err
}

func (s *script) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("closed twice")
	}
	s.closed = true
	return nil
}

// node is a batch of busy GPUs.
func node(gpus int, at time.Time) gpu.Batch {
	b := gpu.Batch{Node: "from-the-sampler", Source: "nvml", At: at, Driver: "570.86.15", CUDA: "12.8"}
	for i := range gpus {
		id := gpu.UUID(fmt.Sprintf("GPU-%d", i))
		b.Devices = append(b.Devices, gpu.Device{
			UUID: id, Index: i, Model: "NVIDIA H100 80GB HBM3", PCI: fmt.Sprintf("0000:%02x:00.0", 0x1b+i),
			MemoryBytes: 80 << 30, PowerLimitWatts: ptr(700.0), MaxSMClockMHz: ptr(1980.0), MaxMemClockMHz: ptr(2619.0),
		})
		b.Samples = append(b.Samples, gpu.Sample{
			UUID: id, At: at, UtilPercent: ptr(50.0), MemoryUtilPercent: ptr(25.0), MemoryUsedBytes: ptr(uint64(20 << 30)),
			PowerWatts: ptr(350.5), EnergyJoules: ptr(1234.5), TempCelsius: ptr(60.0), SMClockMHz: ptr(1500.0),
			MemClockMHz: ptr(2600.0), FanPercent: ptr(30.0), PState: ptr(0), EncoderPercent: ptr(0.0), DecoderPercent: ptr(0.0),
			PCIeTxBytesPerSec: ptr(1e9), PCIeRxBytesPerSec: ptr(2e9), ECCCorrected: ptr(uint64(3)), ECCUncorrected: ptr(uint64(0)),
			RowRemapPending: ptr(false), RowRemapFailure: ptr(true), Throttle: []string{"sw_power_cap"},
			Health: gpu.Health{Verdict: gpu.VerdictWatch, Reason: "row remap failed"},
		})
	}
	return b
}

func newAgent(t testing.TB, cfg Config) *Agent {
	t.Helper()
	if cfg.Sampler == nil {
		cfg.Sampler = &script{}
	}
	if cfg.ProcRoot == "" {
		cfg.ProcRoot = t.TempDir()
	}
	cfg.Node, cfg.NodeName, cfg.Version = "node-1", "gpu-1", "1.2.3"
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// eventually polls until f holds.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("not in time: %s", what)
}
