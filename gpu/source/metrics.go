package source

import (
	"math"
	"strings"

	"stoker/gpu"
)

// metric is one number of a GPU and all the names under which it is told. The
// first name that a GPU has counts: stoker's agent before dcgm-exporter, and of
// DCGM the name that says its unit before the older one.
type metric struct {
	names []spelling
	// set takes the number in stoker's unit.
	set func(g *gathered, v float64)
	// detail says that a fleet can do without it.
	detail bool
	// ticks says that it counts nanoseconds: it outgrows what of other numbers
	// must be DCGM's mark for a missing float.
	ticks bool
	// fromOne says that 0 is no reading: boards without the sensor tell it.
	fromOne bool
	// ratio says that a value above 1 under a name with the scale 100 is in
	// percent already.
	ratio bool
}

// spelling is a name and what its value is multiplied by.
type spelling struct {
	name  string
	scale float64
}

const (
	dev  = "DCGM_FI_DEV_"
	prof = "DCGM_FI_PROF_"
	own  = "stoker_gpu_"

	mebi = 1 << 20
	// lanes is what a number of DCGM's in MB/s stands for: it divides NVML's KiB/s by 1,000.
	lanes = 1000 * 1024
)

// metrics is the table of names. The new names came with DCGM 4.6, which gave
// some to unchanged numbers, and 4.7, which made those with a unit in the name
// mean it; dcgm-exporter tells the new ones by default from 4.9. The one name
// with two meanings is GPU_UTIL_RATIO: percent in 4.6, 0 to 1 from 4.7.
func metrics() []metric {
	return append(append(vitals(), boards()...), details()...)
}

// vitals are what the fleet's screens show.
func vitals() []metric {
	return []metric{
		{names: []spelling{{own + "utilization_ratio", 100}, {dev + "GPU_UTIL_RATIO", 100}, {dev + "GPU_UTIL", 1}, {prof + "GR_ENGINE_UTIL_RATIO", 100}, {prof + "GR_ENGINE_ACTIVE", 100}}, ratio: true, set: float(func(g *gathered) **float64 { return &g.sample.UtilPercent })},
		{names: []spelling{{own + "memory_bandwidth_utilization_ratio", 100}, {dev + "MEMORY_UTIL_RATIO", 100}, {dev + "MEM_COPY_UTIL", 1}}, set: float(func(g *gathered) **float64 { return &g.sample.MemoryUtilPercent })},
		{names: []spelling{{own + "memory_used_bytes", 1}, {dev + "FB_USED_BYTES", 1}, {dev + "FB_USED", mebi}}, set: whole(func(g *gathered) **uint64 { return &g.sample.MemoryUsedBytes })},
		{names: []spelling{{dev + "FB_FREE_BYTES", 1}, {dev + "FB_FREE", mebi}}, set: whole(func(g *gathered) **uint64 { return &g.detail.MemoryFreeBytes })},
		{names: []spelling{{dev + "FB_RESERVED_BYTES", 1}, {dev + "FB_RESERVED", mebi}}, set: whole(func(g *gathered) **uint64 { return &g.detail.MemoryReservedBytes })},
		{names: []spelling{{own + "memory_total_bytes", 1}, {dev + "FB_CAPACITY_BYTES", 1}, {dev + "FB_TOTAL", mebi}}, set: func(g *gathered, v float64) { g.device.MemoryBytes = uint64(v) }},
		{names: []spelling{{own + "power_watts", 1}, {dev + "BOARD_POWER_WATTS", 1}, {dev + "POWER_USAGE", 1}, {dev + "BOARD_POWER_RAW_WATTS", 1}, {dev + "POWER_USAGE_INSTANT", 1}}, set: float(func(g *gathered) **float64 { return &g.sample.PowerWatts })},
		{names: []spelling{{own + "power_limit_watts", 1}, {dev + "BOARD_POWER_LIMIT_ENFORCED_WATTS", 1}, {dev + "ENFORCED_POWER_LIMIT", 1}, {dev + "BOARD_POWER_LIMIT_REQUESTED_WATTS", 1}, {dev + "POWER_MGMT_LIMIT", 1}}, set: float(func(g *gathered) **float64 { return &g.sample.PowerLimitWatts })},
		{names: []spelling{{own + "energy_joules_total", 1}, {dev + "GPU_ENERGY_JOULES_TOTAL", 1}, {dev + "TOTAL_ENERGY_CONSUMPTION", 1e-3}}, set: float(func(g *gathered) **float64 { return &g.sample.EnergyJoules })},
		{names: []spelling{{own + "temperature_celsius", 1}, {dev + "GPU_TEMP_CELSIUS", 1}, {dev + "GPU_TEMP", 1}}, set: float(func(g *gathered) **float64 { return &g.sample.TempCelsius })},
		{names: []spelling{{own + "sm_clock_hertz", 1e-6}, {dev + "SM_CLOCK_HERTZ", 1e-6}, {dev + "SM_CLOCK", 1}}, set: float(func(g *gathered) **float64 { return &g.sample.SMClockMHz })},
		{names: []spelling{{own + "memory_clock_hertz", 1e-6}, {dev + "MEMORY_CLOCK_HERTZ", 1e-6}, {dev + "MEM_CLOCK", 1}}, set: float(func(g *gathered) **float64 { return &g.sample.MemClockMHz })},
		{names: []spelling{{dev + "CLOCKS_EVENT_REASONS", 1}, {dev + "CLOCK_THROTTLE_REASONS", 1}}, set: func(g *gathered, v float64) { g.sample.Throttle = throttle(uint64(v)) }},
		{names: []spelling{{dev + "ECC_SBE_VOL_TOTAL", 1}}, set: whole(func(g *gathered) **uint64 { return &g.sample.ECCCorrected })},
		{names: []spelling{{dev + "ECC_DBE_VOL_TOTAL", 1}}, set: whole(func(g *gathered) **uint64 { return &g.sample.ECCUncorrected })},
		{names: []spelling{{own + "row_remap_pending", 1}, {dev + "ROW_REMAP_PENDING", 1}}, set: truth(func(g *gathered) **bool { return &g.sample.RowRemapPending })},
		{names: []spelling{{own + "row_remap_failure", 1}, {dev + "ROW_REMAP_FAILED", 1}, {dev + "ROW_REMAP_FAILURE", 1}}, set: truth(func(g *gathered) **bool { return &g.sample.RowRemapFailure })},
		{names: []spelling{{dev + "XID_ERROR", 1}, {dev + "XID_ERRORS", 1}}, set: whole(func(g *gathered) **uint64 { return &g.xid })},
	}
}

// boards are what else of a Sample there is, and what does not change.
func boards() []metric {
	return []metric{
		{detail: true, names: []spelling{{own + "fan_speed_ratio", 100}, {dev + "FAN_SPEED_RATIO", 100}, {dev + "FAN_SPEED", 1}}, set: float(func(g *gathered) **float64 { return &g.sample.FanPercent })},
		{detail: true, names: []spelling{{own + "performance_state", 1}, {dev + "GPU_PSTATE", 1}, {dev + "PSTATE", 1}}, set: number(func(g *gathered) **int { return &g.sample.PState })},
		{detail: true, names: []spelling{{own + "encoder_utilization_ratio", 100}, {dev + "ENC_UTIL_RATIO", 100}, {dev + "ENC_UTIL", 1}}, set: float(func(g *gathered) **float64 { return &g.sample.EncoderPercent })},
		{detail: true, names: []spelling{{own + "decoder_utilization_ratio", 100}, {dev + "DEC_UTIL_RATIO", 100}, {dev + "DEC_UTIL", 1}}, set: float(func(g *gathered) **float64 { return &g.sample.DecoderPercent })},
		// Under these names DCGM tells rates, although some lists call them counters.
		{detail: true, names: []spelling{{own + "pcie_transmit_bytes_per_second", 1}, {prof + "PCIE_TX_BYTES", 1}, {dev + "PCIE_TX_THROUGHPUT", 1024}}, set: float(func(g *gathered) **float64 { return &g.sample.PCIeTxBytesPerSec })},
		{detail: true, names: []spelling{{own + "pcie_receive_bytes_per_second", 1}, {prof + "PCIE_RX_BYTES", 1}, {dev + "PCIE_RX_THROUGHPUT", 1024}}, set: float(func(g *gathered) **float64 { return &g.sample.PCIeRxBytesPerSec })},
		{detail: true, names: []spelling{{dev + "BOARD_POWER_LIMIT_DEFAULT_WATTS", 1}, {dev + "POWER_MGMT_LIMIT_DEF", 1}}, set: float(func(g *gathered) **float64 { return &g.device.PowerDefaultLimitWatts })},
		{detail: true, names: []spelling{{own + "sm_clock_max_hertz", 1e-6}, {dev + "SM_MAX_CLOCK_HERTZ", 1e-6}, {dev + "MAX_SM_CLOCK", 1}}, set: float(func(g *gathered) **float64 { return &g.device.MaxSMClockMHz })},
		{detail: true, names: []spelling{{own + "memory_clock_max_hertz", 1e-6}, {dev + "MEMORY_MAX_CLOCK_HERTZ", 1e-6}, {dev + "MAX_MEM_CLOCK", 1}}, set: float(func(g *gathered) **float64 { return &g.device.MaxMemClockMHz })},
		{detail: true, names: []spelling{{dev + "GPU_TEMP_SLOWDOWN_CELSIUS", 1}, {dev + "SLOWDOWN_TEMP", 1}}, set: float(func(g *gathered) **float64 { return &g.device.SlowdownCelsius })},
		{detail: true, names: []spelling{{dev + "GPU_TEMP_SHUTDOWN_CELSIUS", 1}, {dev + "SHUTDOWN_TEMP", 1}}, set: float(func(g *gathered) **float64 { return &g.device.ShutdownCelsius })},
		{detail: true, names: []spelling{{dev + "MEMORY_MAX_OP_TEMP_CELSIUS", 1}, {dev + "MEM_MAX_OP_TEMP", 1}}, set: float(func(g *gathered) **float64 { return &g.device.MaxMemTempCelsius })},
		{detail: true, names: []spelling{{dev + "BAR1_CAPACITY_BYTES", 1}, {dev + "BAR1_TOTAL", mebi}}, set: whole(func(g *gathered) **uint64 { return &g.device.BAR1Bytes })},
		{detail: true, names: []spelling{{dev + "PCIE_MAX_LINK_GEN", 1}}, set: number(func(g *gathered) **int { return &g.device.MaxPCIeGen })},
		{detail: true, names: []spelling{{dev + "PCIE_MAX_LINK_WIDTH", 1}}, set: number(func(g *gathered) **int { return &g.device.MaxPCIeWidth })},
		{detail: true, names: []spelling{{dev + "GPU_PERSISTENCE_MODE", 1}, {dev + "PERSISTENCE_MODE", 1}}, set: truth(func(g *gathered) **bool { return &g.device.Persistence })},
		{detail: true, names: []spelling{{dev + "ECC_MODE", 1}, {dev + "ECC_CURRENT", 1}}, set: truth(func(g *gathered) **bool { return &g.device.ECC })},
		{detail: true, names: []spelling{{dev + "MIG_MODE", 1}}, set: truth(func(g *gathered) **bool { return &g.device.MIG })},
	}
}

// details are the numbers of gpu.Detail.
func details() []metric {
	out := []metric{
		{names: []spelling{{dev + "BAR1_USED_BYTES", 1}, {dev + "BAR1_USED", mebi}}, set: whole(func(g *gathered) **uint64 { return &g.detail.BAR1UsedBytes })},
		{names: []spelling{{dev + "MEMORY_TEMP_CELSIUS", 1}, {dev + "MEMORY_TEMP", 1}}, fromOne: true, set: float(func(g *gathered) **float64 { return &g.detail.MemTempCelsius })},
		{names: []spelling{{dev + "GPU_TEMP_MARGIN_CELSIUS", 1}, {dev + "GPU_TEMP_LIMIT", 1}}, set: float(func(g *gathered) **float64 { return &g.detail.TempMarginCelsius })},
		{names: []spelling{{dev + "VIDEO_CLOCK_HERTZ", 1e-6}, {dev + "VIDEO_CLOCK", 1}}, set: float(func(g *gathered) **float64 { return &g.detail.VideoClockMHz })},
		{names: []spelling{{dev + "PCIE_LINK_GEN", 1}}, set: number(func(g *gathered) **int { return &g.detail.PCIeGen })},
		{names: []spelling{{dev + "PCIE_LINK_WIDTH", 1}}, set: number(func(g *gathered) **int { return &g.detail.PCIeWidth })},
		{names: []spelling{{dev + "PCIE_REPLAY_TOTAL", 1}, {dev + "PCIE_REPLAY_COUNTER", 1}}, set: whole(func(g *gathered) **uint64 { return &g.detail.PCIeReplays })},
		{names: []spelling{{dev + "ECC_SBE_AGG_TOTAL", 1}}, set: whole(func(g *gathered) **uint64 { return &g.detail.ECCCorrectedTotal })},
		{names: []spelling{{dev + "ECC_DBE_AGG_TOTAL", 1}}, set: whole(func(g *gathered) **uint64 { return &g.detail.ECCUncorrectedTotal })},
		{names: []spelling{{dev + "ROW_REMAP_CORRECTABLE_TOTAL", 1}, {dev + "CORRECTABLE_REMAPPED_ROWS", 1}}, set: whole(func(g *gathered) **uint64 { return &g.detail.RowsCorrectable })},
		{names: []spelling{{dev + "ROW_REMAP_UNCORRECTABLE_TOTAL", 1}, {dev + "UNCORRECTABLE_REMAPPED_ROWS", 1}}, set: whole(func(g *gathered) **uint64 { return &g.detail.RowsUncorrectable })},
		{names: []spelling{{dev + "PAGE_RETIRED_SBE_TOTAL", 1}, {dev + "RETIRED_SBE", 1}}, set: whole(func(g *gathered) **uint64 { return &g.detail.PagesSingleBit })},
		{names: []spelling{{dev + "PAGE_RETIRED_DBE_TOTAL", 1}, {dev + "RETIRED_DBE", 1}}, set: whole(func(g *gathered) **uint64 { return &g.detail.PagesDoubleBit })},
		{names: []spelling{{dev + "PAGE_RETIRED_PENDING", 1}, {dev + "RETIRED_PENDING", 1}}, set: truth(func(g *gathered) **bool { return &g.detail.PagesPending })},

		{names: []spelling{{prof + "SM_UTIL_RATIO", 100}, {prof + "SM_ACTIVE", 100}}, set: float(func(g *gathered) **float64 { return &g.gpm.SMPercent })},
		{names: []spelling{{prof + "SM_OCCUPANCY_RATIO", 100}, {prof + "SM_OCCUPANCY", 100}}, set: float(func(g *gathered) **float64 { return &g.gpm.OccupancyPercent })},
		{names: []spelling{{prof + "TENSOR_UTIL_RATIO", 100}, {prof + "PIPE_TENSOR_ACTIVE", 100}}, set: float(func(g *gathered) **float64 { return &g.gpm.TensorPercent })},
		{names: []spelling{{prof + "DRAM_UTIL_RATIO", 100}, {prof + "DRAM_ACTIVE", 100}}, set: float(func(g *gathered) **float64 { return &g.gpm.DRAMPercent })},
		{names: []spelling{{prof + "FP16_UTIL_RATIO", 100}, {prof + "PIPE_FP16_ACTIVE", 100}}, set: float(func(g *gathered) **float64 { return &g.gpm.FP16Percent })},
		{names: []spelling{{prof + "FP32_UTIL_RATIO", 100}, {prof + "PIPE_FP32_ACTIVE", 100}}, set: float(func(g *gathered) **float64 { return &g.gpm.FP32Percent })},
		{names: []spelling{{prof + "FP64_UTIL_RATIO", 100}, {prof + "PIPE_FP64_ACTIVE", 100}}, set: float(func(g *gathered) **float64 { return &g.gpm.FP64Percent })},

		{names: []spelling{{dev + "NVLINK_THROUGHPUT_BYTES_PER_SECOND", 1}, {dev + "NVLINK_THROUGHPUT_TOTAL", lanes}, {dev + "NVLINK_BANDWIDTH_TOTAL", lanes}}, set: float(func(g *gathered) **float64 { return &g.fabric.BytesPerSec })},
		{names: []spelling{{prof + "NVLINK_TX_BYTES", 1}}, set: float(func(g *gathered) **float64 { return &g.fabric.TxBytesPerSec })},
		{names: []spelling{{prof + "NVLINK_RX_BYTES", 1}}, set: float(func(g *gathered) **float64 { return &g.fabric.RxBytesPerSec })},
		{names: []spelling{{dev + "NVLINK_REPLAY_TOTAL", 1}, {dev + "NVLINK_ERROR_DL_REPLAY", 1}, {dev + "NVLINK_REPLAY_ERROR_TOTAL", 1}, {dev + "NVLINK_REPLAY_ERROR_COUNT_TOTAL", 1}}, set: whole(func(g *gathered) **uint64 { return &g.fabric.Replays })},
		{names: []spelling{{dev + "NVLINK_RECOVERY_TOTAL", 1}, {dev + "NVLINK_ERROR_DL_RECOVERY", 1}, {dev + "NVLINK_RECOVERY_ERROR_TOTAL", 1}, {dev + "NVLINK_RECOVERY_ERROR_COUNT_TOTAL", 1}}, set: whole(func(g *gathered) **uint64 { return &g.fabric.Recoveries })},
		{names: []spelling{{dev + "NVLINK_CRC_ERROR_TOTAL", 1}, {dev + "NVLINK_ERROR_DL_CRC", 1}}, set: whole(func(g *gathered) **uint64 { return &g.crc[0] })},
		{names: []spelling{{dev + "NVLINK_CRC_FLIT_ERROR_TOTAL", 1}, {dev + "NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", 1}}, set: whole(func(g *gathered) **uint64 { return &g.crc[1] })},
		{names: []spelling{{dev + "NVLINK_CRC_DATA_ERROR_TOTAL", 1}, {dev + "NVLINK_CRC_DATA_ERROR_COUNT_TOTAL", 1}}, set: whole(func(g *gathered) **uint64 { return &g.crc[2] })},
	}
	// DCGM's own comment calls these microseconds; NVML, whose number it hands on, counts nanoseconds.
	for _, v := range []struct{ reason, old, seconds string }{
		{"sw_power_cap", "POWER_VIOLATION", "GPU_POWER_THROTTLE_SECONDS_TOTAL"},
		{"sw_thermal_slowdown", "THERMAL_VIOLATION", "GPU_THERMAL_THROTTLE_SECONDS_TOTAL"},
		{"sync_boost", "SYNC_BOOST_VIOLATION", "GPU_SYNC_BOOST_THROTTLE_SECONDS_TOTAL"},
		{"board_limit", "BOARD_LIMIT_VIOLATION", "GPU_BOARD_LIMIT_THROTTLE_SECONDS_TOTAL"},
		{"low_utilization", "LOW_UTIL_VIOLATION", "GPU_LOW_UTIL_THROTTLE_SECONDS_TOTAL"},
		{"reliability", "RELIABILITY_VIOLATION", "GPU_RELIABILITY_THROTTLE_SECONDS_TOTAL"},
	} {
		out = append(out, metric{names: []spelling{{dev + v.seconds, 1}, {dev + v.old, 1e-9}}, ticks: true, set: func(g *gathered, n float64) {
			if g.detail.ThrottleSeconds == nil {
				g.detail.ThrottleSeconds = map[string]float64{}
			}
			g.detail.ThrottleSeconds[v.reason] = n
		}})
	}
	for i := range out {
		out[i].detail = true
	}
	return out
}

// labelled are the names of which a GPU has several series, told apart by a label.
func labelled() map[string]func(g *gathered, s series) {
	return map[string]func(g *gathered, s series){
		"DCGM_EXP_XID_ERRORS_COUNT": func(g *gathered, s series) { g.count(s, true) },
		"DCGM_EXP_XID_ERRORS_TOTAL": func(g *gathered, s series) { g.count(s, false) },
		own + "xid_errors_total":    func(g *gathered, s series) { g.count(s, false) },
		own + "health": func(g *gathered, s series) {
			switch v := gpu.Verdict(s.labels["verdict"]); v {
			case gpu.VerdictOK, gpu.VerdictWatch, gpu.VerdictDegraded, gpu.VerdictFailed:
				if s.value == 1 {
					g.told = v
				}
			}
		},
		own + "throttled": func(g *gathered, s series) {
			if g.sample.Throttle == nil {
				g.sample.Throttle = []string{} // known, and none so far
			}
			if s.value == 1 {
				g.sample.Throttle = append(g.sample.Throttle, s.labels["reason"])
			}
		},
		own + "ecc_errors_total": func(g *gathered, s series) {
			switch s.labels["type"] {
			case "corrected":
				g.sample.ECCCorrected = toWhole(s.value)
			case "uncorrected":
				g.sample.ECCUncorrected = toWhole(s.value)
			}
		},
		own + "info": func(*gathered, series) {}, // its labels say it all
	}
}

// The marks for a missing number begin here: DCGM_FP64_BLANK, and the 64-bit
// and 32-bit integers that it calls blank, not found, not supported and denied.
const (
	blankFloat  = 140737488355328
	blankWhole  = 0x7ffffffffffffff0
	blankShort  = 0x7ffffff0
	blankShortT = 0x7fffffff
)

// known tells a number from DCGM's marks for a missing one.
func (m *metric) known(v float64) bool {
	switch {
	case math.IsNaN(v), math.IsInf(v, 0), v >= blankWhole, v >= blankShort && v <= blankShortT:
		return false
	case v >= blankFloat && !m.ticks, v < 0, v == 0 && m.fromOne:
		return false
	}
	return true
}

// in gives a value told under a name in stoker's unit.
func (m *metric) in(s spelling, v float64) float64 {
	if m.ratio && v > 1 {
		return v
	}
	return v * s.scale
}

func float(at func(*gathered) **float64) func(*gathered, float64) {
	return func(g *gathered, v float64) { *at(g) = &v }
}

func whole(at func(*gathered) **uint64) func(*gathered, float64) {
	return func(g *gathered, v float64) { *at(g) = toWhole(v) }
}

func toWhole(v float64) *uint64 {
	if !(v >= 0 && v < 1<<63) {
		return nil
	}
	n := uint64(v)
	return &n
}

func number(at func(*gathered) **int) func(*gathered, float64) {
	return func(g *gathered, v float64) {
		n := int(v)
		*at(g) = &n
	}
}

func truth(at func(*gathered) **bool) func(*gathered, float64) {
	return func(g *gathered, v float64) {
		yes := v > 0
		*at(g) = &yes
	}
}

// throttle names the bits as NVML does; an idle GPU is not held back.
func throttle(bits uint64) []string {
	out := []string{}
	for i, name := range []string{
		"", "applications_clocks_setting", "sw_power_cap", "hw_slowdown", "sync_boost",
		"sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown", "display_clock_setting",
	} {
		if name != "" && bits&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}

// isOurs tells names that may be in the table from others, without looking.
func isOurs(name string) bool {
	return strings.HasPrefix(name, "DCGM_") || strings.HasPrefix(name, own)
}
