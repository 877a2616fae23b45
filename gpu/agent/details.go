package agent

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"stoker/gpu"
)

// gauge and counter shorten the tables of metrics.
const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// deviceF, detailF and their like read one number that may be unknown; a
// sample without details knows none of them.
func deviceF(scale float64, get func(*gpu.Device) *float64) func(*gpu.Device, *gpu.Sample) (float64, bool) {
	return func(d *gpu.Device, _ *gpu.Sample) (float64, bool) { return num(get(d), scale) }
}

func detail[T int | uint64 | float64](scale float64, get func(*gpu.Detail) *T) func(*gpu.Device, *gpu.Sample) (float64, bool) {
	return func(_ *gpu.Device, s *gpu.Sample) (float64, bool) {
		if s.Detail == nil {
			return 0, false
		}
		return num(get(s.Detail), scale)
	}
}

func gpm(scale float64, get func(*gpu.GPM) *float64) func(*gpu.Device, *gpu.Sample) (float64, bool) {
	return func(_ *gpu.Device, s *gpu.Sample) (float64, bool) {
		if s.Detail == nil || s.Detail.GPM == nil {
			return 0, false
		}
		return num(get(s.Detail.GPM), scale)
	}
}

func deviceFlag(get func(*gpu.Device) *bool) func(*gpu.Device, *gpu.Sample) (float64, bool) {
	return func(d *gpu.Device, _ *gpu.Sample) (float64, bool) { return flag(get(d)) }
}

func deviceInt(get func(*gpu.Device) *int) func(*gpu.Device, *gpu.Sample) (float64, bool) {
	return func(d *gpu.Device, _ *gpu.Sample) (float64, bool) { return num(get(d), 1) }
}

// deviceMetrics are what a device says of itself once.
func deviceMetrics(d describe) []metric {
	return []metric{
		{d("power_default_limit_watts", "Power limit that the board comes with."), gauge, deviceF(1, func(v *gpu.Device) *float64 { return v.PowerDefaultLimitWatts })},
		{d("slowdown_temperature_celsius", "Core temperature at which the hardware slows down."), gauge, deviceF(1, func(v *gpu.Device) *float64 { return v.SlowdownCelsius })},
		{d("shutdown_temperature_celsius", "Core temperature at which the hardware switches off."), gauge, deviceF(1, func(v *gpu.Device) *float64 { return v.ShutdownCelsius })},
		{d("memory_temperature_max_celsius", "Highest temperature at which the memory is meant to work."), gauge, deviceF(1, func(v *gpu.Device) *float64 { return v.MaxMemTempCelsius })},
		{d("bar1_total_bytes", "Size of the BAR1 window."), gauge, func(v *gpu.Device, _ *gpu.Sample) (float64, bool) { return num(v.BAR1Bytes, 1) }},
		{d("pcie_generation_max", "Highest PCIe generation of GPU and slot."), gauge, deviceInt(func(v *gpu.Device) *int { return v.MaxPCIeGen })},
		{d("pcie_lanes_max", "Most PCIe lanes of GPU and slot."), gauge, deviceInt(func(v *gpu.Device) *int { return v.MaxPCIeWidth })},
		{d("persistence_mode", "1 when the driver stays loaded without users."), gauge, deviceFlag(func(v *gpu.Device) *bool { return v.Persistence })},
		{d("ecc_mode", "1 when ECC is on."), gauge, deviceFlag(func(v *gpu.Device) *bool { return v.ECC })},
		{d("mig_mode", "1 when the GPU is cut into MIG instances."), gauge, deviceFlag(func(v *gpu.Device) *bool { return v.MIG })},
		{d("mig_mode_pending", "What MIG mode is after the next reset."), gauge, deviceFlag(func(v *gpu.Device) *bool { return v.MIGPending })},
	}
}

// detailMetrics are readings of gpu.Detail that have one number for a GPU.
func detailMetrics(d describe) []metric {
	return []metric{
		{d("memory_free_bytes", "Memory that can be taken."), gauge, detail(1, func(t *gpu.Detail) *uint64 { return t.MemoryFreeBytes })},
		{d("memory_reserved_bytes", "Memory that the driver keeps."), gauge, detail(1, func(t *gpu.Detail) *uint64 { return t.MemoryReservedBytes })},
		{d("bar1_used_bytes", "BAR1 window in use."), gauge, detail(1, func(t *gpu.Detail) *uint64 { return t.BAR1UsedBytes })},
		{d("memory_temperature_celsius", "Temperature of the memory."), gauge, detail(1, func(t *gpu.Detail) *float64 { return t.MemTempCelsius })},
		{d("temperature_margin_celsius", "How much warmer it may get before it slows down."), gauge, detail(1, func(t *gpu.Detail) *float64 { return t.TempMarginCelsius })},
		{d("video_clock_hertz", "Clock of the video engines."), gauge, detail(1e6, func(t *gpu.Detail) *float64 { return t.VideoClockMHz })},
		{d("jpeg_utilization_ratio", "Share of time in which the JPEG engine worked."), gauge, detail(0.01, func(t *gpu.Detail) *float64 { return t.JPEGPercent })},
		{d("ofa_utilization_ratio", "Share of time in which the optical flow accelerator worked."), gauge, detail(0.01, func(t *gpu.Detail) *float64 { return t.OFAPercent })},
		{d("pcie_generation", "PCIe generation that the link runs at."), gauge, detail(1, func(t *gpu.Detail) *int { return t.PCIeGen })},
		{d("pcie_lanes", "PCIe lanes that the link runs with."), gauge, detail(1, func(t *gpu.Detail) *int { return t.PCIeWidth })},
		{d("pcie_replays_total", "PCIe transfers that had to be repeated, since the driver was loaded."), counter, detail(1, func(t *gpu.Detail) *uint64 { return t.PCIeReplays })},
		{d("retired_pages_pending", "1 when pages are retired at the next reboot."), gauge, func(_ *gpu.Device, s *gpu.Sample) (float64, bool) {
			if s.Detail == nil {
				return 0, false
			}
			return flag(s.Detail.PagesPending)
		}},
		{d("sm_active_ratio", "Multiprocessors with work."), gauge, gpm(0.01, func(g *gpu.GPM) *float64 { return g.SMPercent })},
		{d("sm_occupancy_ratio", "Warps resident, of the most possible."), gauge, gpm(0.01, func(g *gpu.GPM) *float64 { return g.OccupancyPercent })},
		{d("tensor_active_ratio", "Share of time in which the tensor cores worked."), gauge, gpm(0.01, func(g *gpu.GPM) *float64 { return g.TensorPercent })},
		{d("dram_active_ratio", "Share of time in which memory was transferred."), gauge, gpm(0.01, func(g *gpu.GPM) *float64 { return g.DRAMPercent })},
		{d("fp16_active_ratio", "Share of time in which the FP16 pipe worked."), gauge, gpm(0.01, func(g *gpu.GPM) *float64 { return g.FP16Percent })},
		{d("fp32_active_ratio", "Share of time in which the FP32 pipe worked."), gauge, gpm(0.01, func(g *gpu.GPM) *float64 { return g.FP32Percent })},
		{d("fp64_active_ratio", "Share of time in which the FP64 pipe worked."), gauge, gpm(0.01, func(g *gpu.GPM) *float64 { return g.FP64Percent })},
	}
}

// detailDescs are the families of gpu.Detail and gpu.Device that have more
// than one number for a GPU.
type detailDescs struct {
	held, lifetimeECC, rows, pages, migMost, migFree                         *prometheus.Desc
	linkUp, linkSpeed, linkTx, linkRx, linkReplays, linkRecoveries, linkCRCs *prometheus.Desc
}

func newDetailDescs(d describe) detailDescs {
	return detailDescs{
		held:           d("throttled_seconds_total", "For how long each reason has held clocks back since the driver was loaded.", "reason"),
		lifetimeECC:    d("ecc_lifetime_errors_total", "ECC errors over the GPU's life.", "type"),
		rows:           d("remapped_rows_total", "Memory rows that spare ones have replaced, by the kind of error that was why.", "type"),
		pages:          d("retired_pages_total", "Memory pages out of use, by the kind of error that was why; before Ampere.", "type"),
		migMost:        d("mig_profile_instances_max", "Instances of a profile that fit on the empty GPU.", "profile"),
		migFree:        d("mig_profile_instances_free", "Instances of a profile that could still be made.", "profile"),
		linkUp:         d("nvlink_up", "1 when the link is up.", "link"),
		linkSpeed:      d("nvlink_speed_bytes_per_second", "Speed at which the link runs.", "link"),
		linkTx:         d("nvlink_transmit_bytes_per_second", "Sent over the link.", "link"),
		linkRx:         d("nvlink_receive_bytes_per_second", "Received over the link.", "link"),
		linkReplays:    d("nvlink_replays_total", "Transfers that had to be repeated, since the driver was loaded.", "link"),
		linkRecoveries: d("nvlink_recoveries_total", "Times the link had to be trained again, since the driver was loaded.", "link"),
		linkCRCs:       d("nvlink_crc_errors_total", "CRC errors of the link since the driver was loaded.", "link"),
	}
}

const bytesPerMB = 1e6

func (d detailDescs) collect(ch chan<- prometheus.Metric, v *gpu.Device, s *gpu.Sample) {
	for _, p := range v.MIGProfiles {
		send(ch, d.migMost, gauge, float64(p.Most), gpuLabels(v, p.Name))
		send(ch, d.migFree, gauge, float64(p.Free), gpuLabels(v, p.Name))
	}
	t := s.Detail
	if t == nil {
		return
	}
	for reason, n := range t.ThrottleSeconds {
		send(ch, d.held, counter, n, gpuLabels(v, reason))
	}
	for _, c := range []struct {
		desc *prometheus.Desc
		kind string
		n    *uint64
	}{
		{d.lifetimeECC, "corrected", t.ECCCorrectedTotal},
		{d.lifetimeECC, "uncorrected", t.ECCUncorrectedTotal},
		{d.rows, "correctable", t.RowsCorrectable},
		{d.rows, "uncorrectable", t.RowsUncorrectable},
		{d.pages, "single_bit", t.PagesSingleBit},
		{d.pages, "double_bit", t.PagesDoubleBit},
	} {
		if n, ok := num(c.n, 1); ok {
			send(ch, c.desc, counter, n, gpuLabels(v, c.kind))
		}
	}
	for i := range t.NVLinks {
		d.collectLink(ch, v, &t.NVLinks[i])
	}
}

func (d detailDescs) collectLink(ch chan<- prometheus.Metric, v *gpu.Device, l *gpu.NVLink) {
	labels := func() []string { return gpuLabels(v, strconv.Itoa(l.Link)) }
	send(ch, d.linkUp, gauge, boolValue(l.Up), labels())
	for _, g := range []struct {
		desc  *prometheus.Desc
		v     *float64
		scale float64
	}{{d.linkSpeed, l.SpeedMBPerSec, bytesPerMB}, {d.linkTx, l.TxBytesPerSec, 1}, {d.linkRx, l.RxBytesPerSec, 1}} {
		if n, ok := num(g.v, g.scale); ok {
			send(ch, g.desc, gauge, n, labels())
		}
	}
	for _, c := range []struct {
		desc *prometheus.Desc
		n    *uint64
	}{{d.linkReplays, l.Replays}, {d.linkRecoveries, l.Recoveries}, {d.linkCRCs, l.CRCErrors}} {
		if n, ok := num(c.n, 1); ok {
			send(ch, c.desc, counter, n, labels())
		}
	}
}
