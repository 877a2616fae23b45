//go:build cgo

package sim

import (
	"fmt"
	"math"
	"time"

	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"
)

// device answers the calls for one simulated GPU.
type device struct {
	library *library
	index   int
	profile profile
	spec    Spec
}

// read gives what the GPU shows; a lost one says so, a hung one never returns
// while it hangs and the library is open.
func (d *device) read() (reading, gonvml.Return) {
	for {
		r, ret := d.library.read(d.index)
		switch {
		case ret != gonvml.SUCCESS:
			return reading{}, ret
		case r.faults.lost:
			return reading{}, gonvml.ERROR_GPU_IS_LOST
		case !r.faults.hang:
			return r, gonvml.SUCCESS
		}
		select {
		case <-d.library.ended():
			return reading{}, gonvml.ERROR_UNINITIALIZED
		case <-time.After(pollStep):
		}
	}
}

// answer is one number of the reading.
func answer[T any](d *device, pick func(reading) T) (T, gonvml.Return) {
	r, ret := d.read()
	if ret != gonvml.SUCCESS {
		var none T
		return none, ret
	}
	return pick(r), gonvml.SUCCESS
}

// What a GPU is: the driver knows it without asking the GPU, unless lost.

func (d *device) identity() gonvml.Return {
	r, ret := d.library.read(d.index)
	if ret == gonvml.SUCCESS && r.faults.lost {
		ret = gonvml.ERROR_GPU_IS_LOST
	}
	return ret
}

func (d *device) GetUUID() (string, gonvml.Return) {
	return string(d.spec.uuid(d.index)), d.identity()
}

func (d *device) GetName() (string, gonvml.Return) { return d.profile.name, d.identity() }

func (d *device) GetSerial() (string, gonvml.Return) { return d.spec.serial(d.index), d.identity() }

func (d *device) GetPciInfo() (gonvml.PciInfo, gonvml.Return) {
	info := gonvml.PciInfo{Bus: uint32(busOf(d.index))}
	for i, c := range []byte(fmt.Sprintf("%08X:%02X:00.0", 0, info.Bus)) {
		info.BusId[i] = int8(c)
	}
	return info, d.identity()
}

func (d *device) GetEnforcedPowerLimit() (uint32, gonvml.Return) {
	return uint32(d.profile.limitWatts * 1000), d.identity()
}

func (d *device) GetMaxClockInfo(t gonvml.ClockType) (uint32, gonvml.Return) {
	switch t {
	case gonvml.CLOCK_SM, gonvml.CLOCK_GRAPHICS:
		return uint32(d.profile.smMHz[1]), d.identity()
	case gonvml.CLOCK_MEM:
		return uint32(d.profile.memMHz[1]), d.identity()
	}
	return 0, gonvml.ERROR_NOT_SUPPORTED
}

// What a GPU shows.

func (d *device) GetMemoryInfo_v2() (gonvml.Memory_v2, gonvml.Return) {
	return answer(d, func(r reading) gonvml.Memory_v2 {
		total, reserved := d.profile.memoryMiB*mib, d.profile.reservedMiB*mib
		return gonvml.Memory_v2{Total: total, Reserved: reserved, Used: r.memoryUsed, Free: total - reserved - r.memoryUsed}
	})
}

func (d *device) GetMemoryInfo() (gonvml.Memory, gonvml.Return) {
	return answer(d, func(r reading) gonvml.Memory {
		total := d.profile.memoryMiB * mib
		used := r.memoryUsed + d.profile.reservedMiB*mib
		return gonvml.Memory{Total: total, Used: used, Free: total - used}
	})
}

func (d *device) GetUtilizationRates() (gonvml.Utilization, gonvml.Return) {
	if len(d.profile.cut) > 0 {
		return gonvml.Utilization{}, gonvml.ERROR_NOT_SUPPORTED // as with MIG on real GPUs
	}
	return answer(d, func(r reading) gonvml.Utilization {
		return gonvml.Utilization{Gpu: uint32(math.Round(r.util)), Memory: uint32(math.Round(0.6 * r.util))}
	})
}

func (d *device) GetPowerUsage() (uint32, gonvml.Return) {
	return answer(d, func(r reading) uint32 { return uint32(r.watts * 1000) })
}

func (d *device) GetTotalEnergyConsumption() (uint64, gonvml.Return) {
	return answer(d, func(r reading) uint64 { return uint64(r.energyJoules * 1000) })
}

func (d *device) GetTemperature(gonvml.TemperatureSensors) (uint32, gonvml.Return) {
	return answer(d, func(r reading) uint32 { return uint32(math.Round(r.tempC)) })
}

func (d *device) GetClockInfo(t gonvml.ClockType) (uint32, gonvml.Return) {
	switch t {
	case gonvml.CLOCK_SM, gonvml.CLOCK_GRAPHICS:
		return answer(d, func(r reading) uint32 { return uint32(math.Round(r.smMHz)) })
	case gonvml.CLOCK_MEM:
		return answer(d, func(r reading) uint32 { return uint32(math.Round(r.memMHz)) })
	case gonvml.CLOCK_VIDEO:
		return answer(d, func(r reading) uint32 { return uint32(math.Round(d.profile.videoMHz[boolIndex(!r.idle)])) })
	}
	return 0, gonvml.ERROR_NOT_SUPPORTED
}

// GetFanSpeed is not supported: all three models are cooled by the server's fans.
func (d *device) GetFanSpeed() (uint32, gonvml.Return) { return 0, gonvml.ERROR_NOT_SUPPORTED }

func (d *device) GetPerformanceState() (gonvml.Pstates, gonvml.Return) {
	return answer(d, func(r reading) gonvml.Pstates { return gonvml.Pstates(r.pstate) })
}

func (d *device) GetEncoderUtilization() (util, periodMicros uint32, ret gonvml.Return) {
	_, ret = d.read()
	return 0, 166666, ret
}

func (d *device) GetDecoderUtilization() (util, periodMicros uint32, ret gonvml.Return) {
	_, ret = d.read()
	return 0, 166666, ret
}

// GetPcieThroughput is in KB/s: inputs come in, results go out.
func (d *device) GetPcieThroughput(c gonvml.PcieUtilCounter) (uint32, gonvml.Return) {
	share := 1.0
	if c == gonvml.PCIE_UTIL_TX_BYTES {
		share = 0.25
	}
	return answer(d, func(r reading) uint32 { return uint32(d.profile.pcieBytes * share * r.util / 100 / 1024) })
}

func (d *device) GetTotalEccErrors(t gonvml.MemoryErrorType, c gonvml.EccCounterType) (uint64, gonvml.Return) {
	return answer(d, func(r reading) uint64 {
		switch {
		case t != gonvml.MEMORY_ERROR_TYPE_UNCORRECTED:
			return 0
		case c == gonvml.AGGREGATE_ECC:
			return r.eccLife
		}
		return r.faults.eccUncorrected
	})
}

func (d *device) GetRemappedRows() (corrected, uncorrected int, pending, failure bool, ret gonvml.Return) {
	r, ret := d.read()
	return 0, int(r.faults.eccUncorrected), r.faults.remapPending, r.faults.remapFailure, ret
}

func (d *device) GetCurrentClocksEventReasons() (uint64, gonvml.Return) {
	return answer(d, func(r reading) uint64 {
		var bits uint64
		for _, reason := range []struct {
			on  bool
			bit uint64
		}{
			{r.idle && !r.swThermal, gonvml.ClocksEventReasonGpuIdle},
			{r.powerCap, gonvml.ClocksEventReasonSwPowerCap},
			{r.swThermal, gonvml.ClocksEventReasonSwThermalSlowdown},
			{r.hwThermal, gonvml.ClocksThrottleReasonHwThermalSlowdown | gonvml.ClocksThrottleReasonHwSlowdown},
			{r.faults.powerBrake, gonvml.ClocksThrottleReasonHwPowerBrakeSlowdown | gonvml.ClocksThrottleReasonHwSlowdown},
		} {
			if reason.on {
				bits |= reason.bit
			}
		}
		return bits
	})
}

func (d *device) GetCurrentClocksThrottleReasons() (uint64, gonvml.Return) {
	return d.GetCurrentClocksEventReasons()
}
