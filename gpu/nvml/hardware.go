//go:build cgo

package nvml

import (
	"fmt"
	"slices"

	"github.com/NVIDIA/go-nvml/pkg/dl"
	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

const libraryName = "libnvidia-ml.so.1"

// Load gives the library of the installed driver, or ErrNoDriver.
func Load() (Library, error) {
	handle := dl.New(libraryName, dl.RTLD_LAZY|dl.RTLD_GLOBAL)
	if err := handle.Open(); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrNoDriver, err)
	}
	h := hardware{Interface: nvml.New(), handle: handle}
	// Without these nothing can be read. Of several versions one is enough.
	for _, versions := range [][]string{
		{"nvmlInit_v2", "nvmlInit", "nvmlInitWithFlags"},
		{"nvmlDeviceGetCount_v2", "nvmlDeviceGetCount"},
		{"nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex"},
	} {
		if !h.hasOne(versions...) {
			return nil, fmt.Errorf("load NVML: the installed %s has no function %s: update the driver", libraryName, versions[0])
		}
	}
	return h, nil
}

// hardware is go-nvml as a Library. go-nvml takes the newest version of a
// function that the library has.
type hardware struct {
	nvml.Interface
	handle *dl.DynamicLibrary // our own hold on the library, to look symbols up
}

func (h hardware) Supports(symbol string) bool { return h.handle.Lookup(symbol) == nil }

// hasOne tells that the library has one of these functions.
func (h hardware) hasOne(symbols ...string) bool { return slices.ContainsFunc(symbols, h.Supports) }

func (h hardware) Init() nvml.Return {
	if !h.hasOne("nvmlInit_v2", "nvmlInit") {
		return h.InitWithFlags(0)
	}
	return h.Interface.Init()
}

// Shutdown of a library that has none leaves it to the end of the process.
func (h hardware) Shutdown() nvml.Return {
	if !h.Supports("nvmlShutdown") {
		return nvml.SUCCESS
	}
	return h.Interface.Shutdown()
}

func (h hardware) SystemGetDriverVersion() (string, nvml.Return) {
	if !h.Supports("nvmlSystemGetDriverVersion") {
		return "", nvml.ERROR_FUNCTION_NOT_FOUND
	}
	return h.Interface.SystemGetDriverVersion()
}

func (h hardware) SystemGetCudaDriverVersion_v2() (int, nvml.Return) {
	switch {
	case h.Supports("nvmlSystemGetCudaDriverVersion_v2"):
		return h.Interface.SystemGetCudaDriverVersion_v2()
	case h.Supports("nvmlSystemGetCudaDriverVersion"):
		return h.SystemGetCudaDriverVersion()
	}
	return 0, nvml.ERROR_FUNCTION_NOT_FOUND
}

func (h hardware) DeviceGetHandleByIndex(index int) (Device, nvml.Return) {
	d, ret := h.Interface.DeviceGetHandleByIndex(index)
	return guarded{d}, ret
}

func (h hardware) EventSetCreate() (EventSet, nvml.Return) {
	if !h.hasOne("nvmlEventSetWait_v2", "nvmlEventSetWait") {
		return nil, nvml.ERROR_FUNCTION_NOT_FOUND
	}
	for _, s := range []string{"nvmlEventSetCreate", "nvmlEventSetFree", "nvmlDeviceRegisterEvents"} {
		if !h.Supports(s) {
			return nil, nvml.ERROR_FUNCTION_NOT_FOUND
		}
	}
	set, ret := h.Interface.EventSetCreate()
	return hardwareEvents{set}, ret
}

type hardwareEvents struct{ set nvml.EventSet }

func (e hardwareEvents) Register(d Device, eventTypes uint64) nvml.Return {
	real, ok := d.(nvml.Device)
	if !ok {
		return nvml.ERROR_INVALID_ARGUMENT
	}
	return real.RegisterEvents(eventTypes, e.set)
}

func (e hardwareEvents) Wait(timeoutMillis uint32) (Event, nvml.Return) {
	data, ret := e.set.Wait(timeoutMillis)
	return Event{Device: guarded{data.Device}, Type: data.EventType, Data: data.EventData}, ret
}

func (e hardwareEvents) Free() nvml.Return { return e.set.Free() }

// guarded is go-nvml's device, but for the calls that answer a list: go-nvml
// believes the length that the library gives, and panics where that is more
// than there was room for.
type guarded struct{ nvml.Device }

// list turns such a panic into an answer of no use.
func list[T any](f func() ([]T, nvml.Return)) (items []T, ret nvml.Return) {
	defer func() {
		if recover() != nil {
			items, ret = nil, nvml.ERROR_UNKNOWN
		}
	}()
	return f()
}

func (g guarded) GetComputeRunningProcesses() ([]nvml.ProcessInfo, nvml.Return) {
	return list(g.Device.GetComputeRunningProcesses)
}

func (g guarded) GetGraphicsRunningProcesses() ([]nvml.ProcessInfo, nvml.Return) {
	return list(g.Device.GetGraphicsRunningProcesses)
}

func (g guarded) GetProcessUtilization(since uint64) ([]nvml.ProcessUtilizationSample, nvml.Return) {
	return list(func() ([]nvml.ProcessUtilizationSample, nvml.Return) { return g.Device.GetProcessUtilization(since) })
}

func (g guarded) GetRetiredPages(cause nvml.PageRetirementCause) ([]uint64, nvml.Return) {
	return list(func() ([]uint64, nvml.Return) { return g.Device.GetRetiredPages(cause) })
}

func (g guarded) GetMigDeviceHandleByIndex(index int) (nvml.Device, nvml.Return) {
	d, ret := g.Device.GetMigDeviceHandleByIndex(index)
	return guarded{d}, ret
}
