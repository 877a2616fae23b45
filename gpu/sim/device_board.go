//go:build cgo

package sim

import (
	"math"

	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"
)

func boolIndex(b bool) int {
	if b {
		return 1
	}
	return 0
}

// What the board is, and how it is set.

func (d *device) GetVbiosVersion() (string, gonvml.Return) { return d.profile.vbios, d.identity() }

func (d *device) GetComputeMode() (gonvml.ComputeMode, gonvml.Return) {
	return gonvml.COMPUTEMODE_DEFAULT, d.identity()
}

func (d *device) GetPersistenceMode() (gonvml.EnableState, gonvml.Return) {
	return gonvml.FEATURE_ENABLED, d.identity()
}

func (d *device) GetEccMode() (current, pending gonvml.EnableState, ret gonvml.Return) {
	return gonvml.FEATURE_ENABLED, gonvml.FEATURE_ENABLED, d.identity()
}

func (d *device) GetPowerManagementDefaultLimit() (uint32, gonvml.Return) {
	return uint32(d.profile.limitWatts * 1000), d.identity()
}

func (d *device) GetTemperatureThreshold(t gonvml.TemperatureThresholds) (uint32, gonvml.Return) {
	switch {
	case t == gonvml.TEMPERATURE_THRESHOLD_SLOWDOWN:
		return uint32(d.profile.hwSlowdownC), d.identity()
	case t == gonvml.TEMPERATURE_THRESHOLD_SHUTDOWN:
		return uint32(d.profile.shutdownC), d.identity()
	case t == gonvml.TEMPERATURE_THRESHOLD_MEM_MAX && d.profile.memMaxC > 0:
		return uint32(d.profile.memMaxC), d.identity()
	}
	return 0, gonvml.ERROR_NOT_SUPPORTED
}

func (d *device) GetSupportedEventTypes() (uint64, gonvml.Return) {
	return supportedEvents, d.identity()
}

// GetMarginTemperature is the distance to the software slowdown; only newer
// GPUs tell it.
func (d *device) GetMarginTemperature() (gonvml.MarginTemperature, gonvml.Return) {
	if !d.profile.gpm {
		return gonvml.MarginTemperature{}, gonvml.ERROR_NOT_SUPPORTED
	}
	return answer(d, func(r reading) gonvml.MarginTemperature {
		return gonvml.MarginTemperature{MarginTemperature: int32(math.Round(d.profile.slowdownC - r.tempC))}
	})
}

func (d *device) GetBAR1MemoryInfo() (gonvml.BAR1Memory, gonvml.Return) {
	return answer(d, func(r reading) gonvml.BAR1Memory {
		total := d.profile.bar1MiB * mib
		used := uint64(4+16*len(r.processes)) * mib
		return gonvml.BAR1Memory{Bar1Total: total, Bar1Used: used, Bar1Free: total - used}
	})
}

// What the engines for media do: nothing, since no workload asks for them.

func (d *device) engine() (util, periodMicros uint32, ret gonvml.Return) {
	if !d.profile.media {
		return 0, 0, gonvml.ERROR_NOT_SUPPORTED
	}
	_, ret = d.read()
	return 0, 166666, ret
}

func (d *device) GetJpgUtilization() (util, periodMicros uint32, ret gonvml.Return) {
	return d.engine()
}

func (d *device) GetOfaUtilization() (util, periodMicros uint32, ret gonvml.Return) {
	return d.engine()
}

// The PCI Express link, which slows down when there is nothing to do.

func (d *device) GetMaxPcieLinkGeneration() (int, gonvml.Return) {
	return d.profile.pcieGen, d.identity()
}

func (d *device) GetMaxPcieLinkWidth() (int, gonvml.Return) { return 16, d.identity() }

func (d *device) GetCurrPcieLinkGeneration() (int, gonvml.Return) {
	return answer(d, func(r reading) int {
		if r.idle && d.profile.idlePState > 0 {
			return 1
		}
		return d.profile.pcieGen
	})
}

func (d *device) GetCurrPcieLinkWidth() (int, gonvml.Return) {
	return answer(d, func(reading) int { return 16 })
}

func (d *device) GetPcieReplayCounter() (int, gonvml.Return) {
	return answer(d, func(reading) int { return 0 })
}

// These GPUs remap rows and retire no pages.

func (d *device) GetRetiredPages(gonvml.PageRetirementCause) ([]uint64, gonvml.Return) {
	return nil, gonvml.ERROR_NOT_SUPPORTED
}

func (d *device) GetRetiredPagesPendingStatus() (gonvml.EnableState, gonvml.Return) {
	return gonvml.FEATURE_DISABLED, gonvml.ERROR_NOT_SUPPORTED
}
