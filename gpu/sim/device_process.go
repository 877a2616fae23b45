//go:build cgo

package sim

import (
	"math"

	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"

	"stoker/gpu/sim/load"
)

const noInstance = math.MaxUint32 // as the driver writes it, without MIG

func (d *device) GetComputeRunningProcesses() ([]gonvml.ProcessInfo, gonvml.Return) {
	return answer(d, func(r reading) []gonvml.ProcessInfo {
		if len(d.profile.cut) == 0 {
			return processes(r.processes, noInstance)
		}
		var all []gonvml.ProcessInfo
		for i, is := range r.instances {
			all = append(all, processes(is.processes, uint32(i+1))...)
		}
		return all
	})
}

func processes(reports []load.Report, instance uint32) []gonvml.ProcessInfo {
	infos := []gonvml.ProcessInfo{}
	for _, p := range reports {
		infos = append(infos, gonvml.ProcessInfo{
			Pid: uint32(p.PID), UsedGpuMemory: p.MemoryBytes, GpuInstanceId: instance, ComputeInstanceId: instance,
		})
	}
	return infos
}

func (d *device) GetGraphicsRunningProcesses() ([]gonvml.ProcessInfo, gonvml.Return) {
	_, ret := d.read()
	return nil, ret
}

// GetProcessUtilization tells of processes that worked since the last asked;
// not with MIG, as on real GPUs.
func (d *device) GetProcessUtilization(lastSeenMicros uint64) ([]gonvml.ProcessUtilizationSample, gonvml.Return) {
	if len(d.profile.cut) > 0 {
		return nil, gonvml.ERROR_NOT_SUPPORTED
	}
	r, ret := d.read()
	if ret != gonvml.SUCCESS {
		return nil, ret
	}
	at := uint64(d.library.at().UnixMicro())
	var out []gonvml.ProcessUtilizationSample
	for _, p := range r.processes {
		if p.UtilPercent >= 0.5 && at > lastSeenMicros {
			out = append(out, gonvml.ProcessUtilizationSample{
				Pid: uint32(p.PID), TimeStamp: at, SmUtil: uint32(math.Round(p.UtilPercent)), MemUtil: uint32(math.Round(0.6 * p.UtilPercent)),
			})
		}
	}
	if len(out) == 0 {
		return nil, gonvml.ERROR_NOT_FOUND
	}
	return out, gonvml.SUCCESS
}
