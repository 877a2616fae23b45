//go:build cgo

package sim

import (
	"math"

	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"

	"stoker/gpu/nvml"
)

func (d *device) GpmQueryDeviceSupport() (gonvml.GpmSupport, gonvml.Return) {
	return gonvml.GpmSupport{Version: 1, IsSupportedDevice: uint32(boolIndex(d.profile.gpm))}, d.identity()
}

// gpmSample is one look of the performance monitor.
type gpmSample struct{ util float64 }

func (l *library) GpmSampleAlloc() (nvml.GpmSample, gonvml.Return) {
	return &gpmSample{}, gonvml.SUCCESS
}

func (s *gpmSample) Get(of nvml.Device) gonvml.Return {
	d, ok := of.(*device)
	if !ok {
		return gonvml.ERROR_INVALID_ARGUMENT
	}
	if len(d.profile.cut) > 0 {
		return gonvml.ERROR_NOT_SUPPORTED // only its instances can be looked at
	}
	r, ret := d.read()
	s.util = r.util
	return ret
}

func (s *gpmSample) MigGet(of nvml.Device, gpuInstance int) gonvml.Return {
	d, ok := of.(*device)
	if !ok || gpuInstance < 1 || gpuInstance > len(d.profile.cut) {
		return gonvml.ERROR_INVALID_ARGUMENT
	}
	r, ret := d.read()
	if ret == gonvml.SUCCESS {
		s.util = r.instances[gpuInstance-1].util
	}
	return ret
}

func (s *gpmSample) Free() gonvml.Return { return gonvml.SUCCESS }

// GpmMetrics makes of util what a workload of dense matrices would make of it.
func (l *library) GpmMetrics(from, to nvml.GpmSample, ids []gonvml.GpmMetricId) ([]float64, gonvml.Return) {
	a, ok1 := from.(*gpmSample)
	b, ok2 := to.(*gpmSample)
	if !ok1 || !ok2 {
		return nil, gonvml.ERROR_INVALID_ARGUMENT
	}
	share := map[gonvml.GpmMetricId]float64{
		gonvml.GPM_METRIC_GRAPHICS_UTIL: 1, gonvml.GPM_METRIC_SM_UTIL: 0.9, gonvml.GPM_METRIC_SM_OCCUPANCY: 0.45,
		gonvml.GPM_METRIC_ANY_TENSOR_UTIL: 0.55, gonvml.GPM_METRIC_DRAM_BW_UTIL: 0.5,
		gonvml.GPM_METRIC_FP16_UTIL: 0.2, gonvml.GPM_METRIC_FP32_UTIL: 0.1, gonvml.GPM_METRIC_FP64_UTIL: 0,
	}
	out := make([]float64, len(ids))
	for i, id := range ids {
		out[i] = math.NaN()
		if part, known := share[id]; known {
			out[i] = (a.util + b.util) / 2 * part
		}
	}
	return out, gonvml.SUCCESS
}
