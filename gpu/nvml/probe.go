//go:build cgo

package nvml

import (
	"fmt"
	"strings"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"stoker/gpu"
)

// reading is one device and its instances as one probe found them.
type reading struct {
	devices []gpu.Device // the device, then its MIG instances
	samples []gpu.Sample // of the same, without health
	fault   nvml.Return  // not SUCCESS: the device answers nothing, the rest is empty
}

// probe reads one device. It is used by one goroutine at a time.
type probe struct {
	lib     Library
	index   int
	missing unsupported
	watch   *watcher // nil when the library has no events

	handle  Device // nil until known, and after the device was lost
	device  gpu.Device
	cannot  unsupported // what this device does not support
	fault   nvml.Return // of the read under way
	pcieTx  *float64
	pcieRx  *float64
	withMig bool
}

// ask makes one call, unless the device has said before that it cannot
// answer it, or answers nothing any more.
func ask[T any](p *probe, c call, f func() (T, nvml.Return)) (answer *T) {
	if p.cannot[c] || p.fault != nvml.SUCCESS {
		return nil
	}
	v, ret := f()
	switch {
	case ret == nvml.SUCCESS:
		return &v
	case permanent(ret):
		p.cannot[c] = true
	case fatal(ret):
		p.fault = ret
	}
	return nil
}

// read asks the device for everything.
func (p *probe) read(now time.Time, withPCIe bool) reading {
	p.fault = nvml.SUCCESS
	if p.handle == nil {
		if ret := p.describe(); ret != nvml.SUCCESS {
			return reading{fault: ret}
		}
	}
	if withPCIe {
		p.measurePCIe()
	}
	s := p.sample(now)
	r := reading{devices: []gpu.Device{p.device}, samples: []gpu.Sample{s}}
	if p.withMig {
		p.readInstances(now, &r)
	}
	if p.fault != nvml.SUCCESS {
		p.handle = nil
		return reading{fault: p.fault}
	}
	return r
}

// describe takes the handle and what does not change.
func (p *probe) describe() nvml.Return {
	h, ret := p.lib.DeviceGetHandleByIndex(p.index)
	if ret != nvml.SUCCESS {
		return ret
	}
	p.cannot = p.missing // the device may have been exchanged or reset
	uuid, ret := h.GetUUID()
	if ret != nvml.SUCCESS {
		return ret
	}
	d := gpu.Device{UUID: gpu.UUID(uuid), Index: p.index}
	if d.Model, ret = h.GetName(); ret != nvml.SUCCESS {
		return ret
	}
	pci, ret := h.GetPciInfo()
	if ret != nvml.SUCCESS {
		return ret
	}
	d.PCI = busID(pci)
	if s := ask(p, callSerial, h.GetSerial); s != nil {
		d.Serial = *s
	}
	d.MemoryBytes, _ = p.memory(h)
	d.PowerLimitWatts = scaled(ask(p, callPowerLimit, h.GetEnforcedPowerLimit), 1e-3)
	d.MaxSMClockMHz = scaled(ask(p, callMaxClock, func() (uint32, nvml.Return) { return h.GetMaxClockInfo(nvml.CLOCK_SM) }), 1)
	d.MaxMemClockMHz = scaled(ask(p, callMaxClock, func() (uint32, nvml.Return) { return h.GetMaxClockInfo(nvml.CLOCK_MEM) }), 1)
	mig := ask(p, callMig, func() (int, nvml.Return) {
		current, _, ret := h.GetMigMode()
		return current, ret
	})
	p.withMig = mig != nil && *mig == nvml.DEVICE_MIG_ENABLE
	if p.fault == nvml.SUCCESS {
		p.handle, p.device = h, d
		if p.watch != nil && !p.cannot[callEvents] {
			p.watch.register(h, d.UUID)
		}
	}
	return p.fault
}

// sample reads the numbers that change.
func (p *probe) sample(now time.Time) gpu.Sample {
	h := p.handle
	s := gpu.Sample{UUID: p.device.UUID, At: now, PCIeTxBytesPerSec: p.pcieTx, PCIeRxBytesPerSec: p.pcieRx}
	if u := ask(p, callUtil, h.GetUtilizationRates); u != nil {
		s.UtilPercent, s.MemoryUtilPercent = scaled(&u.Gpu, 1), scaled(&u.Memory, 1)
	}
	if _, used := p.memory(h); used != nil {
		s.MemoryUsedBytes = used
	}
	s.PowerWatts = scaled(ask(p, callPower, h.GetPowerUsage), 1e-3)
	s.PowerLimitWatts = scaled(ask(p, callPowerLimit, h.GetEnforcedPowerLimit), 1e-3)
	s.EnergyJoules = scaled(ask(p, callEnergy, h.GetTotalEnergyConsumption), 1e-3)
	s.TempCelsius = scaled(ask(p, callTemperature, func() (uint32, nvml.Return) { return h.GetTemperature(nvml.TEMPERATURE_GPU) }), 1)
	s.SMClockMHz = scaled(ask(p, callClock, func() (uint32, nvml.Return) { return h.GetClockInfo(nvml.CLOCK_SM) }), 1)
	s.MemClockMHz = scaled(ask(p, callClock, func() (uint32, nvml.Return) { return h.GetClockInfo(nvml.CLOCK_MEM) }), 1)
	s.FanPercent = scaled(ask(p, callFan, h.GetFanSpeed), 1)
	if st := ask(p, callPState, h.GetPerformanceState); st != nil && *st != nvml.PSTATE_UNKNOWN {
		n := int(*st)
		s.PState = &n
	}
	s.EncoderPercent = scaled(ask(p, callEncoder, first(h.GetEncoderUtilization)), 1)
	s.DecoderPercent = scaled(ask(p, callDecoder, first(h.GetDecoderUtilization)), 1)
	s.ECCCorrected = ask(p, callECC, func() (uint64, nvml.Return) {
		return h.GetTotalEccErrors(nvml.MEMORY_ERROR_TYPE_CORRECTED, nvml.VOLATILE_ECC)
	})
	s.ECCUncorrected = ask(p, callECC, func() (uint64, nvml.Return) {
		return h.GetTotalEccErrors(nvml.MEMORY_ERROR_TYPE_UNCORRECTED, nvml.VOLATILE_ECC)
	})
	if rows := ask(p, callRemappedRows, func() (flags [2]bool, ret nvml.Return) {
		_, _, flags[0], flags[1], ret = h.GetRemappedRows()
		return flags, ret
	}); rows != nil {
		s.RowRemapPending, s.RowRemapFailure = &rows[0], &rows[1]
	}
	s.Throttle = p.throttle()
	s.Processes = p.processes()
	return s
}

// memory gives the total, 0 when unknown, and the used bytes. The newer call
// does not count what the driver reserves as used, as nvidia-smi does not.
func (p *probe) memory(h Device) (total uint64, used *uint64) {
	if m := ask(p, callMemoryV2, h.GetMemoryInfo_v2); m != nil {
		return m.Total, &m.Used
	}
	if m := ask(p, callMemory, h.GetMemoryInfo); m != nil {
		return m.Total, &m.Used
	}
	return 0, nil
}

// measurePCIe takes 40 ms: the driver counts for 20 ms each way.
func (p *probe) measurePCIe() {
	direction := func(c nvml.PcieUtilCounter) *float64 {
		return scaled(ask(p, callPCIe, func() (uint32, nvml.Return) { return p.handle.GetPcieThroughput(c) }), 1024) // KB/s
	}
	p.pcieTx, p.pcieRx = direction(nvml.PCIE_UTIL_TX_BYTES), direction(nvml.PCIE_UTIL_RX_BYTES)
}

// throttle names what holds the clocks back; an idle GPU is not held back.
func (p *probe) throttle() []string {
	bits := ask(p, callEventReasons, p.handle.GetCurrentClocksEventReasons)
	if bits == nil {
		bits = ask(p, callThrottleReasons, p.handle.GetCurrentClocksThrottleReasons)
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

// processes merges the compute and the graphics contexts by PID: a process
// with both is listed twice by the driver with the same memory.
func (p *probe) processes() []gpu.Process {
	var procs []gpu.Process
	index := map[uint32]int{}
	for _, list := range []*[]nvml.ProcessInfo{
		ask(p, callCompute, p.handle.GetComputeRunningProcesses),
		ask(p, callGraphics, p.handle.GetGraphicsRunningProcesses),
	} {
		if list == nil {
			continue
		}
		seen := map[uint32]bool{}
		for _, info := range *list {
			memory := info.UsedGpuMemory
			if memory == ^uint64(0) {
				memory = 0 // not available, as on WDDM or without permission
			}
			i, known := index[info.Pid]
			switch {
			case !known:
				index[info.Pid] = len(procs)
				procs = append(procs, gpu.Process{PID: int(info.Pid), MemoryBytes: memory})
			case seen[info.Pid]: // twice in one list: in several MIG instances
				procs[i].MemoryBytes += memory
			default:
				procs[i].MemoryBytes = max(procs[i].MemoryBytes, memory)
			}
			seen[info.Pid] = true
		}
	}
	return procs
}

// readInstances adds the MIG instances: the driver tells their memory only.
func (p *probe) readInstances(now time.Time, r *reading) {
	count := ask(p, callMigDevices, p.handle.GetMaxMigDeviceCount)
	if count == nil {
		return
	}
	for i := range *count {
		inst := ask(p, callMigDevices, func() (nvml.Device, nvml.Return) { return p.handle.GetMigDeviceHandleByIndex(i) })
		if inst == nil {
			continue // no instance in this place
		}
		uuid, ret := (*inst).GetUUID()
		if ret != nvml.SUCCESS {
			continue
		}
		d := gpu.Device{UUID: gpu.UUID(uuid), Parent: p.device.UUID, Index: p.index, PCI: p.device.PCI, Model: p.device.Model}
		if name, ret := (*inst).GetName(); ret == nvml.SUCCESS {
			d.Model = name
		}
		s := gpu.Sample{UUID: d.UUID, At: now}
		d.MemoryBytes, s.MemoryUsedBytes = p.memory(*inst)
		r.devices, r.samples = append(r.devices, d), append(r.samples, s)
	}
}

// scaled converts a number, and keeps unknown unknown.
func scaled[T uint32 | uint64](v *T, by float64) *float64 {
	if v == nil {
		return nil
	}
	f := float64(*v) * by
	return &f
}

// first drops the sampling period of an encoder's or decoder's utilisation.
func first(f func() (uint32, uint32, nvml.Return)) func() (uint32, nvml.Return) {
	return func() (uint32, nvml.Return) {
		v, _, ret := f()
		return v, ret
	}
}

// busID writes the bus id as the kernel does: "0000:1b:00.0".
func busID(info nvml.PciInfo) string {
	function := "0"
	var id strings.Builder
	for _, c := range info.BusId {
		if c == 0 {
			break
		}
		id.WriteByte(byte(c))
	}
	if _, f, ok := strings.Cut(id.String(), "."); ok && f != "" {
		function = f
	}
	return fmt.Sprintf("%04x:%02x:%02x.%s", info.Domain, info.Bus, info.Device, function)
}
