package agent

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stoker/gpu"
)

// dcgm exports the last batch under dcgm-exporter's names, labels and units, so
// that dashboards and alerts made for it go on working. What NVML does not tell
// is absent, and so are MIG instances: it names them by numbers that
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

// perSecond: the violation counters of DCGM are in nanoseconds.
const perSecond = 1e9

func newDCGM(a *Agent) *dcgm {
	labels := []string{"gpu", "UUID", "pci_bus_id", "device", "modelName", "Hostname", "DCGM_FI_DRIVER_VERSION"}
	d := func(name, help string, _ ...string) *prometheus.Desc {
		return prometheus.NewDesc("DCGM_FI_"+name, help, labels, nil)
	}
	return &dcgm{agent: a, fields: slices.Concat(dcgmVital(d, a.lastXid), dcgmHealth(d), dcgmLinks(d), dcgmProfile(d))}
}

func dcgmVital(d describe, lastXid func(*gpu.Device, *gpu.Sample) (float64, bool)) []metric {
	g, c := gauge, counter
	return []metric{
		{d("DEV_SM_CLOCK", "Multiprocessor clock in MHz."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.SMClockMHz })},
		{d("DEV_MEM_CLOCK", "Memory clock in MHz."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.MemClockMHz })},
		{d("DEV_VIDEO_CLOCK", "Video clock in MHz."), g, detail(1, func(t *gpu.Detail) *float64 { return t.VideoClockMHz })},
		{d("DEV_MAX_SM_CLOCK", "Highest multiprocessor clock in MHz."), g, deviceF(1, func(v *gpu.Device) *float64 { return v.MaxSMClockMHz })},
		{d("DEV_MAX_MEM_CLOCK", "Highest memory clock in MHz."), g, deviceF(1, func(v *gpu.Device) *float64 { return v.MaxMemClockMHz })},
		{d("DEV_GPU_TEMP", "Core temperature in C."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.TempCelsius })},
		{d("DEV_MEMORY_TEMP", "Memory temperature in C."), g, detail(1, func(t *gpu.Detail) *float64 { return t.MemTempCelsius })},
		{d("DEV_SLOWDOWN_TEMP", "Core temperature in C at which the hardware slows down."), g, deviceF(1, func(v *gpu.Device) *float64 { return v.SlowdownCelsius })},
		{d("DEV_SHUTDOWN_TEMP", "Core temperature in C at which the hardware switches off."), g, deviceF(1, func(v *gpu.Device) *float64 { return v.ShutdownCelsius })},
		{d("DEV_POWER_USAGE", "Power drawn in W."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.PowerWatts })},
		{d("DEV_POWER_MGMT_LIMIT", "Power limit in W."), g, powerLimit},
		{d("DEV_POWER_MGMT_LIMIT_DEF", "Default power limit in W."), g, deviceF(1, func(v *gpu.Device) *float64 { return v.PowerDefaultLimitWatts })},
		{d("DEV_TOTAL_ENERGY_CONSUMPTION", "Energy since the driver was loaded in mJ."), c, sampleF(perJoule, func(s *gpu.Sample) *float64 { return s.EnergyJoules })},
		{d("DEV_GPU_UTIL", "GPU utilisation in %."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.UtilPercent })},
		{d("DEV_MEM_COPY_UTIL", "Memory bandwidth utilisation in %."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.MemoryUtilPercent })},
		{d("DEV_ENC_UTIL", "Encoder utilisation in %."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.EncoderPercent })},
		{d("DEV_DEC_UTIL", "Decoder utilisation in %."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.DecoderPercent })},
		{d("DEV_FB_TOTAL", "Memory installed in MiB."), g, func(v *gpu.Device, _ *gpu.Sample) (float64, bool) {
			return float64(v.MemoryBytes) / mib, v.MemoryBytes > 0
		}},
		{d("DEV_FB_USED", "Memory used in MiB."), g, func(_ *gpu.Device, s *gpu.Sample) (float64, bool) { return num(s.MemoryUsedBytes, 1.0/mib) }},
		{d("DEV_FB_FREE", "Memory free in MiB."), g, memoryFree},
		{d("DEV_FB_RESERVED", "Memory that the driver keeps in MiB."), g, detail(1.0/mib, func(t *gpu.Detail) *uint64 { return t.MemoryReservedBytes })},
		{d("DEV_BAR1_TOTAL", "BAR1 window in MiB."), g, func(v *gpu.Device, _ *gpu.Sample) (float64, bool) { return num(v.BAR1Bytes, 1.0/mib) }},
		{d("DEV_BAR1_USED", "BAR1 window in use in MiB."), g, detail(1.0/mib, func(t *gpu.Detail) *uint64 { return t.BAR1UsedBytes })},
		{d("DEV_FAN_SPEED", "Fan speed in %."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.FanPercent })},
		{d("DEV_PSTATE", "Performance state."), g, func(_ *gpu.Device, s *gpu.Sample) (float64, bool) { return num(s.PState, 1) }},
		{d("DEV_XID_ERRORS", "Number of the last Xid error, 0 for none since the agent began."), g, lastXid},
	}
}

func dcgmHealth(d describe) []metric {
	g, c := gauge, counter
	return []metric{
		{d("DEV_ECC_SBE_VOL_TOTAL", "Corrected ECC errors since the driver was loaded."), c, func(_ *gpu.Device, s *gpu.Sample) (float64, bool) { return num(s.ECCCorrected, 1) }},
		{d("DEV_ECC_DBE_VOL_TOTAL", "Uncorrected ECC errors since the driver was loaded."), c, func(_ *gpu.Device, s *gpu.Sample) (float64, bool) { return num(s.ECCUncorrected, 1) }},
		{d("DEV_ECC_SBE_AGG_TOTAL", "Corrected ECC errors over the GPU's life."), c, detail(1, func(t *gpu.Detail) *uint64 { return t.ECCCorrectedTotal })},
		{d("DEV_ECC_DBE_AGG_TOTAL", "Uncorrected ECC errors over the GPU's life."), c, detail(1, func(t *gpu.Detail) *uint64 { return t.ECCUncorrectedTotal })},
		{d("DEV_CORRECTABLE_REMAPPED_ROWS", "Rows remapped for correctable errors."), c, detail(1, func(t *gpu.Detail) *uint64 { return t.RowsCorrectable })},
		{d("DEV_UNCORRECTABLE_REMAPPED_ROWS", "Rows remapped for uncorrectable errors."), c, detail(1, func(t *gpu.Detail) *uint64 { return t.RowsUncorrectable })},
		{d("DEV_ROW_REMAP_FAILURE", "Whether remapping of rows failed."), g, func(_ *gpu.Device, s *gpu.Sample) (float64, bool) { return flag(s.RowRemapFailure) }},
		{d("DEV_ROW_REMAP_PENDING", "Whether rows are remapped at the next reset."), g, func(_ *gpu.Device, s *gpu.Sample) (float64, bool) { return flag(s.RowRemapPending) }},
		{d("DEV_RETIRED_SBE", "Pages retired for single-bit errors."), c, detail(1, func(t *gpu.Detail) *uint64 { return t.PagesSingleBit })},
		{d("DEV_RETIRED_DBE", "Pages retired for double-bit errors."), c, detail(1, func(t *gpu.Detail) *uint64 { return t.PagesDoubleBit })},
		{d("DEV_RETIRED_PENDING", "Whether pages are retired at the next reboot."), g, func(_ *gpu.Device, s *gpu.Sample) (float64, bool) {
			if s.Detail == nil {
				return 0, false
			}
			return flag(s.Detail.PagesPending)
		}},
		{d("DEV_POWER_VIOLATION", "Time held back by the power limit in ns."), c, violation("sw_power_cap")},
		{d("DEV_THERMAL_VIOLATION", "Time held back by heat in ns."), c, violation("sw_thermal_slowdown", "hw_thermal_slowdown")},
		{d("DEV_SYNC_BOOST_VIOLATION", "Time held back by the sync boost group in ns."), c, violation("sync_boost")},
	}
}

func dcgmLinks(d describe) []metric {
	g, c := gauge, counter
	return []metric{
		{d("DEV_PCIE_REPLAY_COUNTER", "PCIe transfers repeated since the driver was loaded."), c, detail(1, func(t *gpu.Detail) *uint64 { return t.PCIeReplays })},
		{d("DEV_PCIE_LINK_GEN", "PCIe generation now."), g, detail(1, func(t *gpu.Detail) *int { return t.PCIeGen })},
		{d("DEV_PCIE_LINK_WIDTH", "PCIe lanes now."), g, detail(1, func(t *gpu.Detail) *int { return t.PCIeWidth })},
		{d("DEV_PCIE_MAX_LINK_GEN", "Highest PCIe generation."), g, deviceInt(func(v *gpu.Device) *int { return v.MaxPCIeGen })},
		{d("DEV_PCIE_MAX_LINK_WIDTH", "Most PCIe lanes."), g, deviceInt(func(v *gpu.Device) *int { return v.MaxPCIeWidth })},
		{d("DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", "NVLink CRC errors of all links."), c, allLinks(func(l *gpu.NVLink) (float64, bool) { return num(l.CRCErrors, 1) })},
		{d("DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL", "NVLink replays of all links."), c, allLinks(func(l *gpu.NVLink) (float64, bool) { return num(l.Replays, 1) })},
		{d("DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL", "NVLink recoveries of all links."), c, allLinks(func(l *gpu.NVLink) (float64, bool) { return num(l.Recoveries, 1) })},
		{d("PROF_PCIE_TX_BYTES", "Sent over PCIe in bytes a second."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.PCIeTxBytesPerSec })},
		{d("PROF_PCIE_RX_BYTES", "Received over PCIe in bytes a second."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.PCIeRxBytesPerSec })},
		{d("PROF_NVLINK_TX_BYTES", "Sent over all NVLinks in bytes a second."), g, allLinks(func(l *gpu.NVLink) (float64, bool) { return num(l.TxBytesPerSec, 1) })},
		{d("PROF_NVLINK_RX_BYTES", "Received over all NVLinks in bytes a second."), g, allLinks(func(l *gpu.NVLink) (float64, bool) { return num(l.RxBytesPerSec, 1) })},
	}
}

func dcgmProfile(d describe) []metric {
	return []metric{
		{d("PROF_SM_ACTIVE", "Multiprocessors with work, 0 to 1."), gauge, gpm(0.01, func(m *gpu.GPM) *float64 { return m.SMPercent })},
		{d("PROF_SM_OCCUPANCY", "Warps resident, 0 to 1."), gauge, gpm(0.01, func(m *gpu.GPM) *float64 { return m.OccupancyPercent })},
		{d("PROF_PIPE_TENSOR_ACTIVE", "Tensor pipe active, 0 to 1."), gauge, gpm(0.01, func(m *gpu.GPM) *float64 { return m.TensorPercent })},
		{d("PROF_DRAM_ACTIVE", "Memory interface active, 0 to 1."), gauge, gpm(0.01, func(m *gpu.GPM) *float64 { return m.DRAMPercent })},
		{d("PROF_PIPE_FP16_ACTIVE", "FP16 pipe active, 0 to 1."), gauge, gpm(0.01, func(m *gpu.GPM) *float64 { return m.FP16Percent })},
		{d("PROF_PIPE_FP32_ACTIVE", "FP32 pipe active, 0 to 1."), gauge, gpm(0.01, func(m *gpu.GPM) *float64 { return m.FP32Percent })},
		{d("PROF_PIPE_FP64_ACTIVE", "FP64 pipe active, 0 to 1."), gauge, gpm(0.01, func(m *gpu.GPM) *float64 { return m.FP64Percent })},
	}
}

// violation adds the time of reasons, as far as they are known.
func violation(reasons ...string) func(*gpu.Device, *gpu.Sample) (float64, bool) {
	return func(_ *gpu.Device, s *gpu.Sample) (sum float64, known bool) {
		if s.Detail == nil {
			return 0, false
		}
		for _, r := range reasons {
			if n, ok := s.Detail.ThrottleSeconds[r]; ok {
				sum, known = sum+n*perSecond, true
			}
		}
		return sum, known
	}
}

// allLinks adds what the links of a GPU say, as far as they say it.
func allLinks(get func(*gpu.NVLink) (float64, bool)) func(*gpu.Device, *gpu.Sample) (float64, bool) {
	return func(_ *gpu.Device, s *gpu.Sample) (sum float64, known bool) {
		if s.Detail == nil {
			return 0, false
		}
		for i := range s.Detail.NVLinks {
			if n, ok := get(&s.Detail.NVLinks[i]); ok {
				sum, known = sum+n, true
			}
		}
		return sum, known
	}
}

func memoryFree(d *gpu.Device, s *gpu.Sample) (float64, bool) {
	if s.Detail != nil && s.Detail.MemoryFreeBytes != nil {
		return num(s.Detail.MemoryFreeBytes, 1.0/mib)
	}
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
