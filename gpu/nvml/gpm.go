//go:build cgo

package nvml

import (
	"math"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"stoker/gpu"
)

// gpm asks the GPU performance monitor of one device or instance: it takes a
// sample at each reading and compares it with the one before. A nil gpm reads
// nothing.
type gpm struct {
	probe    *probe
	device   Device
	instance *int // GPU instance; nil for the whole device
	last     GpmSample
	next     GpmSample
	ready    bool // last holds a sample
	util     *float64
}

// newGPM is nil where the device or the library has no such monitor.
func newGPM(p *probe, h Device, instance *int) *gpm {
	s := ask(&p.asker, callGpm, h.GpmQueryDeviceSupport)
	take := callGpmSample
	if instance != nil {
		take = callGpmMigSample
	}
	if s == nil || s.IsSupportedDevice == 0 || p.cannot[take] {
		return nil
	}
	g := &gpm{probe: p, device: h, instance: instance}
	var ret [2]nvml.Return
	g.last, ret[0] = p.lib.GpmSampleAlloc()
	g.next, ret[1] = p.lib.GpmSampleAlloc()
	if ret[0] != nvml.SUCCESS || ret[1] != nvml.SUCCESS {
		return nil // out of memory, or no such function: no numbers, not wrong ones
	}
	return g
}

func (g *gpm) free() {
	if g != nil {
		g.last.Free()
		g.next.Free()
	}
}

// read takes a sample. It is nil before the second, and on a device without
// the monitor; the utilisation of an instance is in util afterwards.
func (g *gpm) read() *gpu.GPM {
	if g == nil {
		return nil
	}
	p, take := &g.probe.asker, callGpmSample
	get := func() (struct{}, nvml.Return) { return struct{}{}, g.next.Get(g.device) }
	if g.instance != nil {
		take = callGpmMigSample
		get = func() (struct{}, nvml.Return) { return struct{}{}, g.next.MigGet(g.device, *g.instance) }
	}
	g.util = nil
	if ask(p, take, get) == nil {
		g.ready = false
		return nil
	}
	g.last, g.next = g.next, g.last
	if !g.ready {
		g.ready = true
		return nil
	}
	ids := []nvml.GpmMetricId{
		nvml.GPM_METRIC_GRAPHICS_UTIL,
		nvml.GPM_METRIC_SM_UTIL, nvml.GPM_METRIC_SM_OCCUPANCY, nvml.GPM_METRIC_ANY_TENSOR_UTIL, nvml.GPM_METRIC_DRAM_BW_UTIL,
		nvml.GPM_METRIC_FP16_UTIL, nvml.GPM_METRIC_FP32_UTIL, nvml.GPM_METRIC_FP64_UTIL,
	}
	p.calls++
	v, ret := g.probe.lib.GpmMetrics(g.next, g.last, ids)
	if ret != nvml.SUCCESS || len(v) != len(ids) {
		return nil
	}
	known := func(i int) *float64 {
		if math.IsNaN(v[i]) || v[i] < 0 {
			return nil
		}
		return p.num(min(v[i], 100))
	}
	g.util = known(0)
	out := &gpu.GPM{
		SMPercent: known(1), OccupancyPercent: known(2), TensorPercent: known(3), DRAMPercent: known(4),
		FP16Percent: known(5), FP32Percent: known(6), FP64Percent: known(7),
	}
	if *out == (gpu.GPM{}) {
		return nil
	}
	return out
}
