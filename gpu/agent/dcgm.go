package agent

import (
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stoker/gpu"
)

// dcgm exports the last batch under dcgm-exporter's names, labels and units, so
// that dashboards and alerts made for it go on working. Fields that need DCGM
// itself are absent, and so are MIG instances: it names them by numbers that
// are not known here.
type dcgm struct {
	agent  *Agent
	fields []metric
}

const (
	mib = 1 << 20
	// perJoule: dcgm-exporter counts energy in millijoules.
	perJoule = 1000
)

func newDCGM(a *Agent) *dcgm {
	labels := []string{"gpu", "UUID", "pci_bus_id", "device", "modelName", "Hostname", "DCGM_FI_DRIVER_VERSION"}
	d := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("DCGM_FI_DEV_"+name, help, labels, nil)
	}
	g, c := prometheus.GaugeValue, prometheus.CounterValue
	return &dcgm{agent: a, fields: []metric{
		{d("SM_CLOCK", "Multiprocessor clock in MHz."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.SMClockMHz })},
		{d("MEM_CLOCK", "Memory clock in MHz."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.MemClockMHz })},
		{d("GPU_TEMP", "Core temperature in C."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.TempCelsius })},
		{d("POWER_USAGE", "Power drawn in W."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.PowerWatts })},
		{d("POWER_MGMT_LIMIT", "Power limit in W."), g, powerLimit},
		{d("TOTAL_ENERGY_CONSUMPTION", "Energy since the driver was loaded in mJ."), c, sampleF(perJoule, func(s *gpu.Sample) *float64 { return s.EnergyJoules })},
		{d("GPU_UTIL", "GPU utilisation in %."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.UtilPercent })},
		{d("MEM_COPY_UTIL", "Memory bandwidth utilisation in %."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.MemoryUtilPercent })},
		{d("ENC_UTIL", "Encoder utilisation in %."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.EncoderPercent })},
		{d("DEC_UTIL", "Decoder utilisation in %."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.DecoderPercent })},
		{d("FB_USED", "Memory used in MiB."), g, func(_ *gpu.Device, s *gpu.Sample) (float64, bool) { return num(s.MemoryUsedBytes, 1.0/mib) }},
		{d("FB_FREE", "Memory free in MiB."), g, memoryFree},
		{d("FAN_SPEED", "Fan speed in %."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.FanPercent })},
		{d("PSTATE", "Performance state."), g, func(_ *gpu.Device, s *gpu.Sample) (float64, bool) { return num(s.PState, 1) }},
		{d("ECC_SBE_VOL_TOTAL", "Corrected ECC errors since the driver was loaded."), c, func(_ *gpu.Device, s *gpu.Sample) (float64, bool) { return num(s.ECCCorrected, 1) }},
		{d("ECC_DBE_VOL_TOTAL", "Uncorrected ECC errors since the driver was loaded."), c, func(_ *gpu.Device, s *gpu.Sample) (float64, bool) { return num(s.ECCUncorrected, 1) }},
		{d("ROW_REMAP_FAILURE", "Whether remapping of rows failed."), g, func(_ *gpu.Device, s *gpu.Sample) (float64, bool) { return flag(s.RowRemapFailure) }},
		{d("XID_ERRORS", "Number of the last Xid error, 0 for none since the agent began."), g, a.lastXid},
	}}
}

func memoryFree(d *gpu.Device, s *gpu.Sample) (float64, bool) {
	if s.MemoryUsedBytes == nil || d.MemoryBytes < *s.MemoryUsedBytes {
		return 0, false
	}
	return float64(d.MemoryBytes-*s.MemoryUsedBytes) / mib, true
}

func (a *Agent) lastXid(d *gpu.Device, _ *gpu.Sample) (float64, bool) {
	a.meter.mu.Lock()
	defer a.meter.mu.Unlock()
	return float64(a.meter.lastXid[d.UUID]), true
}

// Describe describes nothing: which fields exist depends on the hardware.
func (c *dcgm) Describe(chan<- *prometheus.Desc) {}

// Collect sends the last batch, or nothing when it is too old.
func (c *dcgm) Collect(ch chan<- prometheus.Metric) {
	b, ok := c.agent.fresh()
	if !ok {
		return
	}
	samples := bySample(b)
	for i := range b.Devices {
		d := &b.Devices[i]
		s := samples[d.UUID]
		if s == nil || d.Parent != "" {
			continue
		}
		n := strconv.Itoa(d.Index)
		labels := []string{n, string(d.UUID), busID(d.PCI), "nvidia" + n, d.Model, c.agent.cfg.NodeName, b.Driver}
		for _, m := range c.fields {
			if v, ok := m.value(d, s); ok {
				send(ch, m.desc, m.kind, v, labels)
			}
		}
	}
}

// busID writes a bus id as dcgm-exporter does: eight digits of domain, capitals.
func busID(pci string) string {
	domain, rest, ok := strings.Cut(pci, ":")
	if !ok || len(domain) >= 8 {
		return strings.ToUpper(pci)
	}
	return strings.ToUpper(strings.Repeat("0", 8-len(domain)) + domain + ":" + rest)
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
