package main

import (
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"stoker/gpu"
	"stoker/gpu/nvml"
	"stoker/gpu/sim"
)

// retry is how long a driver that could not be opened is left alone.
const retry = 10 * time.Second

// monitor is the one reader of the node's GPUs, opened when first asked.
type monitor struct {
	log     hclog.Logger
	now     func() time.Time
	simDir  string
	ignored []string
	rules   gpu.Rules

	mu      sync.Mutex
	reader  *nvml.Reader
	openAt  time.Time // not before
	lastErr string    // so that a lasting error is logged once
	batch   gpu.Batch // the latest reading; none before the first
	closed  bool
}

// offered is one device that Nomad may place on, with its latest sample.
type offered struct {
	device gpu.Device
	sample gpu.Sample
	driver string
	cuda   string
}

func newMonitor(log hclog.Logger, now func() time.Time, simDir string, ignored []string, healthyAfter time.Duration) *monitor {
	rules := gpu.DefaultRules()
	rules.Quiet = healthyAfter
	return &monitor{log: log, now: now, simDir: simDir, ignored: ignored, rules: rules}
}

// devices are those that the node offers, read again when the last reading
// is older than half a period.
func (m *monitor) devices(period time.Duration) []offered {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if age := now.Sub(m.batch.At); age < 0 || age >= period/2 {
		m.read(now)
	}
	sliced := map[gpu.UUID]bool{} // a GPU cut into instances is offered as those
	for _, d := range m.batch.Devices {
		sliced[d.Parent] = true
	}
	var out []offered
	for i, d := range m.batch.Devices {
		if !d.UUID.Named() || sliced[d.UUID] || slices.Contains(m.ignored, string(d.UUID)) || slices.Contains(m.ignored, string(d.Parent)) {
			continue
		}
		out = append(out, offered{device: d, sample: m.batch.Samples[i], driver: m.batch.Driver, cuda: m.batch.CUDA})
	}
	return out
}

// read takes a new batch. Without one, the last stays.
func (m *monitor) read(now time.Time) {
	if m.closed || m.reader == nil && now.Before(m.openAt) {
		return
	}
	err := m.open()
	var b gpu.Batch
	if err == nil {
		b, err = m.reader.Read(now)
	}
	if err != nil {
		m.openAt = now.Add(retry)
		if err.Error() != m.lastErr {
			m.lastErr = err.Error()
			m.log.Warn("no GPUs to offer; will look again", "error", err, "every", retry)
		}
		return
	}
	m.batch, m.lastErr = b, ""
	for _, e := range b.Events {
		m.log.Info("GPU event", "gpu", e.UUID, "kind", e.Kind, "text", e.Text)
	}
}

func (m *monitor) open() error {
	if m.reader != nil {
		return nil
	}
	load := nvml.Load
	if m.simDir != "" {
		load = func() (nvml.Library, error) { return sim.OpenAt(m.simDir, m.now) }
	}
	lib, err := load()
	if err != nil {
		return err
	}
	m.reader, err = nvml.Open(lib, "", nvml.Clock(m.now), nvml.Rules(m.rules))
	return err
}

// close lets the GPUs go; streams that still run keep the last reading.
func (m *monitor) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.reader == nil {
		return
	}
	if err := m.reader.Close(); err != nil {
		m.log.Warn("closing the GPUs failed", "error", err)
	}
	m.reader = nil
}
