//go:build cgo

package nvml

import (
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"stoker/gpu"
)

// processes merges the compute and the graphics contexts by PID: a process
// with both is listed twice by the driver with the same memory.
func processes(p *asker, h Device) []gpu.Process {
	var procs []gpu.Process
	index := map[uint32]int{}
	for i, list := range []*[]nvml.ProcessInfo{
		ask(p, callCompute, h.GetComputeRunningProcesses),
		ask(p, callGraphics, h.GetGraphicsRunningProcesses),
	} {
		if list == nil {
			continue
		}
		kind := []string{"C", "G"}[i]
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
				procs = append(procs, gpu.Process{PID: int(info.Pid), Type: kind, MemoryBytes: memory})
			case seen[info.Pid]: // twice in one list: in several MIG instances
				procs[i].MemoryBytes += memory
			default:
				procs[i].MemoryBytes = max(procs[i].MemoryBytes, memory)
				procs[i].Type = "C+G"
			}
			seen[info.Pid] = true
		}
	}
	return procs
}

// processUtil remembers how busy each process kept the device. The driver
// writes it down some times a second, and only for processes that worked.
type processUtil struct {
	seen  uint64 // the driver's time of the newest sample, in microseconds
	known map[uint32]worked
}

type worked struct {
	percent float64
	at      time.Time
}

// idleAfter is how long no sample of a process must come for it to count as idle.
const idleAfter = 2 * time.Second

// fill writes the utilisation into the list of processes.
func (u *processUtil) fill(p *asker, h Device, now time.Time, procs []gpu.Process) {
	if len(procs) == 0 {
		u.known = nil
		return
	}
	samples := ask(p, callProcessUtil, func() ([]nvml.ProcessUtilizationSample, nvml.Return) {
		list, ret := h.GetProcessUtilization(u.seen)
		if ret == nvml.ERROR_NOT_FOUND {
			ret = nvml.SUCCESS // none worked since
		}
		return list, ret
	})
	if samples == nil {
		return
	}
	if u.known == nil {
		u.known = map[uint32]worked{}
	}
	newest := map[uint32]uint64{}
	for _, s := range *samples {
		u.seen = max(u.seen, s.TimeStamp)
		if s.SmUtil <= 100 && s.TimeStamp >= newest[s.Pid] {
			newest[s.Pid] = s.TimeStamp
			u.known[s.Pid] = worked{float64(s.SmUtil), now}
		}
	}
	for pid, w := range u.known {
		if now.Sub(w.at) > idleAfter {
			delete(u.known, pid)
		}
	}
	for i := range procs {
		percent := u.known[uint32(procs[i].PID)].percent
		procs[i].UtilPercent = &percent
	}
}
