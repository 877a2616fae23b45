//go:build cgo

package nvml

import (
	"fmt"

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
	// These are called without a further look: no driver lacks them.
	for _, s := range []string{
		"nvmlInit_v2", "nvmlShutdown", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2",
		"nvmlDeviceGetUUID", "nvmlDeviceGetName", "nvmlDeviceGetPciInfo_v3",
	} {
		if !h.Supports(s) {
			return nil, fmt.Errorf("load NVML: the installed %s has no function %s: update the driver", libraryName, s)
		}
	}
	return h, nil
}

// hardware is go-nvml as a Library.
type hardware struct {
	nvml.Interface
	handle *dl.DynamicLibrary // our own hold on the library, to look symbols up
}

func (h hardware) Supports(symbol string) bool { return h.handle.Lookup(symbol) == nil }

func (h hardware) SystemGetDriverVersion() (string, nvml.Return) {
	if !h.Supports("nvmlSystemGetDriverVersion") {
		return "", nvml.ERROR_FUNCTION_NOT_FOUND
	}
	return h.Interface.SystemGetDriverVersion()
}

func (h hardware) SystemGetCudaDriverVersion_v2() (int, nvml.Return) {
	if !h.Supports("nvmlSystemGetCudaDriverVersion_v2") {
		return 0, nvml.ERROR_FUNCTION_NOT_FOUND
	}
	return h.Interface.SystemGetCudaDriverVersion_v2()
}

func (h hardware) DeviceGetHandleByIndex(index int) (Device, nvml.Return) {
	return h.Interface.DeviceGetHandleByIndex(index)
}

func (h hardware) EventSetCreate() (EventSet, nvml.Return) {
	for _, s := range []string{"nvmlEventSetCreate", "nvmlEventSetWait", "nvmlEventSetFree", "nvmlDeviceRegisterEvents"} {
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
	return Event{Device: data.Device, Type: data.EventType, Data: data.EventData}, ret
}

func (e hardwareEvents) Free() nvml.Return { return e.set.Free() }
