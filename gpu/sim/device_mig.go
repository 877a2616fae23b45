//go:build cgo

package sim

import (
	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"

	"stoker/gpu/nvml"
)

func (d *device) GetMigMode() (current, pending int, ret gonvml.Return) {
	mode := gonvml.DEVICE_MIG_DISABLE
	switch {
	case !d.profile.mig:
		return 0, 0, gonvml.ERROR_NOT_SUPPORTED
	case len(d.profile.cut) > 0:
		mode = gonvml.DEVICE_MIG_ENABLE
	}
	return mode, mode, d.identity()
}

func (d *device) GetMaxMigDeviceCount() (int, gonvml.Return) {
	if !d.profile.mig {
		return 0, d.identity()
	}
	return computeSlices, d.identity()
}

func (d *device) GetMigDeviceHandleByIndex(index int) (gonvml.Device, gonvml.Return) {
	if index < 0 || index >= len(d.profile.cut) {
		return nil, gonvml.ERROR_NOT_FOUND
	}
	return instance{parent: d, index: index}, d.identity()
}

// GetGpuInstanceId is for instances only.
func (d *device) GetGpuInstanceId() (int, gonvml.Return) { return 0, gonvml.ERROR_NOT_SUPPORTED }

func (l *library) MIGProfile(of nvml.Device, n int) (nvml.MIGProfile, gonvml.Return) {
	d, ok := of.(*device)
	if !ok || !d.profile.mig || n < 0 || n >= len(cuts()) {
		return nvml.MIGProfile{}, gonvml.ERROR_NOT_SUPPORTED
	}
	c := cuts()[n]
	return nvml.MIGProfile{
		Name: "MIG " + c.profile, Most: min(computeSlices/c.computes, memorySlices/c.memories), Free: d.profile.room(c),
	}, d.identity()
}

// instance is a MIG instance: it answers what real ones answer, and nothing
// else is asked of it.
type instance struct {
	gonvml.Device
	parent *device
	index  int
}

func (i instance) cut() cut { return i.parent.profile.cut[i.index] }

func (i instance) read() (instanceReading, gonvml.Return) {
	r, ret := i.parent.read()
	if ret != gonvml.SUCCESS {
		return instanceReading{}, ret
	}
	return r.instances[i.index], gonvml.SUCCESS
}

func (i instance) GetUUID() (string, gonvml.Return) {
	return string(i.parent.spec.instance(i.parent.index, i.index)), i.parent.identity()
}

func (i instance) GetName() (string, gonvml.Return) {
	return i.parent.profile.name + " MIG " + i.cut().profile, i.parent.identity()
}

func (i instance) GetGpuInstanceId() (int, gonvml.Return) {
	return i.index + 1, i.parent.identity()
}

func (i instance) GetMemoryInfo_v2() (gonvml.Memory_v2, gonvml.Return) {
	r, ret := i.read()
	total := i.parent.profile.memoryOf(i.cut())
	return gonvml.Memory_v2{Total: total, Used: r.memoryUsed, Free: total - r.memoryUsed}, ret
}

func (i instance) GetMemoryInfo() (gonvml.Memory, gonvml.Return) {
	m, ret := i.GetMemoryInfo_v2()
	return gonvml.Memory{Total: m.Total, Used: m.Used, Free: m.Free}, ret
}

func (i instance) GetComputeRunningProcesses() ([]gonvml.ProcessInfo, gonvml.Return) {
	r, ret := i.read()
	return processes(r.processes, uint32(i.index+1)), ret
}

func (i instance) GetGraphicsRunningProcesses() ([]gonvml.ProcessInfo, gonvml.Return) {
	_, ret := i.read()
	return nil, ret
}
