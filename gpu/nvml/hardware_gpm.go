//go:build cgo

package nvml

import (
	"math"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// has tells that the library has all of these functions.
func (h hardware) has(symbols ...string) bool {
	for _, s := range symbols {
		if !h.Supports(s) {
			return false
		}
	}
	return true
}

func (h hardware) GpmSampleAlloc() (GpmSample, nvml.Return) {
	if !h.has("nvmlGpmSampleAlloc", "nvmlGpmSampleFree", "nvmlGpmMetricsGet") {
		return nil, nvml.ERROR_FUNCTION_NOT_FOUND
	}
	s, ret := h.Interface.GpmSampleAlloc()
	return hardwareGpm{s}, ret
}

func (h hardware) GpmMetrics(from, to GpmSample, ids []nvml.GpmMetricId) ([]float64, nvml.Return) {
	a, ok1 := from.(hardwareGpm)
	b, ok2 := to.(hardwareGpm)
	if !ok1 || !ok2 {
		return nil, nvml.ERROR_INVALID_ARGUMENT
	}
	get := &nvml.GpmMetricsGetType{NumMetrics: uint32(len(ids)), Sample1: a.GpmSample, Sample2: b.GpmSample}
	for i, id := range ids {
		get.Metrics[i].MetricId = uint32(id)
	}
	if ret := h.Interface.GpmMetricsGet(get); ret != nvml.SUCCESS {
		return nil, ret
	}
	out := make([]float64, len(ids))
	for i := range ids {
		out[i] = math.NaN()
		if m := get.Metrics[i]; nvml.Return(m.NvmlReturn) == nvml.SUCCESS {
			out[i] = m.Value
		}
	}
	return out, nvml.SUCCESS
}

type hardwareGpm struct{ nvml.GpmSample }

func (g hardwareGpm) Get(d Device) nvml.Return {
	real, ok := d.(nvml.Device)
	if !ok {
		return nvml.ERROR_INVALID_ARGUMENT
	}
	return g.GpmSample.Get(real)
}

func (g hardwareGpm) MigGet(d Device, instance int) nvml.Return {
	real, ok := d.(nvml.Device)
	if !ok {
		return nvml.ERROR_INVALID_ARGUMENT
	}
	return g.GpmSample.MigGet(real, instance)
}

func (h hardware) MIGProfile(d Device, n int) (MIGProfile, nvml.Return) {
	real, ok := d.(nvml.Device)
	if !ok {
		return MIGProfile{}, nvml.ERROR_INVALID_ARGUMENT
	}
	if !h.has("nvmlDeviceGetGpuInstanceProfileInfo", "nvmlDeviceGetGpuInstanceProfileInfoV", "nvmlDeviceGetGpuInstanceRemainingCapacity") {
		return MIGProfile{}, nvml.ERROR_FUNCTION_NOT_FOUND
	}
	info, ret := real.GetGpuInstanceProfileInfo(n)
	if ret != nvml.SUCCESS {
		return MIGProfile{}, ret
	}
	named, ret := real.GetGpuInstanceProfileInfoV(n).V3()
	if ret != nvml.SUCCESS {
		return MIGProfile{}, ret
	}
	free, ret := real.GetGpuInstanceRemainingCapacity(&info)
	if ret != nvml.SUCCESS {
		return MIGProfile{}, ret
	}
	var name []byte
	for _, c := range named.Name {
		if c == 0 {
			break
		}
		name = append(name, byte(c))
	}
	return MIGProfile{Name: string(name), Most: int(info.InstanceCount), Free: free}, nvml.SUCCESS
}
