//go:build cgo

package nvml

import (
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"stoker/gpu"
)

// sample reads the vital numbers.
func (p *probe) sample(now time.Time) gpu.Sample {
	h := p.handle
	s := gpu.Sample{
		UUID: p.device.UUID, At: now, PCIeTxBytesPerSec: p.pcieTx, PCIeRxBytesPerSec: p.pcieRx,
		PowerLimitWatts: p.device.PowerLimitWatts,
	}
	if u := ask(&p.asker, callUtil, h.GetUtilizationRates); u != nil {
		s.UtilPercent, s.MemoryUtilPercent = percent(&p.asker, &u.Gpu), percent(&p.asker, &u.Memory)
	}
	s.MemoryUsedBytes = p.memory(h).used
	s.PowerWatts = scaled(&p.asker, ask(&p.asker, callPower, h.GetPowerUsage), 1e-3)
	s.EnergyJoules = scaled(&p.asker, ask(&p.asker, callEnergy, h.GetTotalEnergyConsumption), 1e-3)
	s.TempCelsius = scaled(&p.asker, ask(&p.asker, callTemperature, of(h.GetTemperature, nvml.TEMPERATURE_GPU)), 1)
	s.SMClockMHz = scaled(&p.asker, ask(&p.asker, callClock, of(h.GetClockInfo, nvml.CLOCK_SM)), 1)
	s.MemClockMHz = scaled(&p.asker, ask(&p.asker, callMemClock, of(h.GetClockInfo, nvml.CLOCK_MEM)), 1)
	s.FanPercent = scaled(&p.asker, ask(&p.asker, callFan, h.GetFanSpeed), 1)
	if st := ask(&p.asker, callPState, h.GetPerformanceState); st != nil && *st <= nvml.PSTATE_15 {
		n := int(*st)
		s.PState = &n
	}
	s.EncoderPercent = percent(&p.asker, ask(&p.asker, callEncoder, first(h.GetEncoderUtilization)))
	s.DecoderPercent = percent(&p.asker, ask(&p.asker, callDecoder, first(h.GetDecoderUtilization)))
	s.ECCCorrected = ask(&p.asker, callECC, p.ecc(nvml.MEMORY_ERROR_TYPE_CORRECTED, nvml.VOLATILE_ECC))
	s.ECCUncorrected = ask(&p.asker, callECC, p.ecc(nvml.MEMORY_ERROR_TYPE_UNCORRECTED, nvml.VOLATILE_ECC))
	if rows := p.rows(); rows != nil {
		s.RowRemapPending, s.RowRemapFailure = &rows.pending, &rows.failure
	}
	s.Throttle = p.throttle()
	s.Processes = processes(&p.asker, h)
	p.procs.fill(&p.asker, h, now, s.Processes)
	return s
}

// percent drops what can be none: a driver that does not know may say 2^32-1.
func percent(p *asker, v *uint32) *float64 {
	if v == nil || *v > 100 {
		return nil
	}
	return scaled(p, v, 1)
}

type memory struct {
	total          uint64 // 0 when unknown
	used           *uint64
	free, reserved *uint64
}

// memory asks for what is installed and used. The newer call does not count
// what the driver reserves as used, as nvidia-smi does not. More used than
// there is cannot be: the driver does not know.
func (p *asker) memory(h Device) memory {
	if m := ask(p, callMemoryV2, h.GetMemoryInfo_v2); m != nil {
		if m.Used > m.Total {
			return memory{total: m.Total}
		}
		return memory{total: m.Total, used: &m.Used, free: &m.Free, reserved: &m.Reserved}
	}
	if m := ask(p, callMemory, h.GetMemoryInfo); m != nil {
		if m.Used > m.Total {
			return memory{total: m.Total}
		}
		return memory{total: m.Total, used: &m.Used, free: &m.Free}
	}
	return memory{}
}

type remapped struct {
	correctable, uncorrectable uint64
	pending, failure           bool
}

func (p *probe) rows() *remapped {
	return ask(&p.asker, callRemappedRows, func() (remapped, nvml.Return) {
		c, u, pending, failure, ret := p.handle.GetRemappedRows()
		return remapped{uint64(max(c, 0)), uint64(max(u, 0)), pending, failure}, ret
	})
}

// measurePCIe takes 40 ms: the driver counts for 20 ms each way.
func (p *probe) measurePCIe() {
	direction := func(c nvml.PcieUtilCounter) *float64 {
		return scaled(&p.asker, ask(&p.asker, callPCIe, of(p.handle.GetPcieThroughput, c)), 1024) // KB/s
	}
	p.pcieTx, p.pcieRx = direction(nvml.PCIE_UTIL_TX_BYTES), direction(nvml.PCIE_UTIL_RX_BYTES)
}

// throttle names what holds the clocks back; an idle GPU is not held back.
func (p *probe) throttle() []string {
	bits := ask(&p.asker, callEventReasons, p.handle.GetCurrentClocksEventReasons)
	if bits == nil {
		bits = ask(&p.asker, callThrottleReasons, p.handle.GetCurrentClocksThrottleReasons)
	}
	if bits == nil {
		return nil
	}
	reasons := []string{}
	for _, r := range []struct {
		bit  uint64
		name string
	}{
		{nvml.ClocksEventReasonApplicationsClocksSetting, "applications_clocks_setting"},
		{nvml.ClocksEventReasonSwPowerCap, "sw_power_cap"},
		{nvml.ClocksThrottleReasonHwSlowdown, "hw_slowdown"},
		{nvml.ClocksEventReasonSyncBoost, "sync_boost"},
		{nvml.ClocksEventReasonSwThermalSlowdown, "sw_thermal_slowdown"},
		{nvml.ClocksThrottleReasonHwThermalSlowdown, "hw_thermal_slowdown"},
		{nvml.ClocksThrottleReasonHwPowerBrakeSlowdown, "hw_power_brake_slowdown"},
		{nvml.ClocksEventReasonDisplayClockSetting, "display_clock_setting"},
	} {
		if *bits&r.bit != 0 {
			reasons = append(reasons, r.name)
		}
	}
	return reasons
}
