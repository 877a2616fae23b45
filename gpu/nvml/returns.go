//go:build cgo

package nvml

import (
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// returnError is a return code as an error. Its name comes from our own
// table: go-nvml's asks a function that an old library may lack.
type returnError nvml.Return

func (r returnError) Error() string {
	switch ret := nvml.Return(r); ret {
	case nvml.SUCCESS:
		return "success"
	case nvml.ERROR_UNINITIALIZED:
		return "uninitialised"
	case nvml.ERROR_INVALID_ARGUMENT:
		return "invalid argument"
	case nvml.ERROR_NOT_SUPPORTED:
		return "not supported"
	case nvml.ERROR_NO_PERMISSION:
		return "no permission"
	case nvml.ERROR_NOT_FOUND:
		return "not found"
	case nvml.ERROR_INSUFFICIENT_POWER:
		return "power cables not connected"
	case nvml.ERROR_DRIVER_NOT_LOADED:
		return "driver not loaded"
	case nvml.ERROR_TIMEOUT:
		return "timeout"
	case nvml.ERROR_IRQ_ISSUE:
		return "interrupt problem"
	case nvml.ERROR_LIBRARY_NOT_FOUND:
		return "library not found"
	case nvml.ERROR_FUNCTION_NOT_FOUND:
		return "function not found in the library"
	case nvml.ERROR_CORRUPTED_INFOROM:
		return "corrupted infoROM"
	case nvml.ERROR_GPU_IS_LOST:
		return "GPU is lost"
	case nvml.ERROR_RESET_REQUIRED:
		return "GPU needs a reset"
	case nvml.ERROR_OPERATING_SYSTEM:
		return "blocked by the operating system"
	case nvml.ERROR_LIB_RM_VERSION_MISMATCH:
		return "driver and library differ in version (restart the node after a driver update)"
	case nvml.ERROR_IN_USE:
		return "in use"
	case nvml.ERROR_MEMORY:
		return "out of memory"
	case nvml.ERROR_NO_DATA:
		return "no data"
	case nvml.ERROR_INSUFFICIENT_RESOURCES:
		return "insufficient resources"
	case nvml.ERROR_NOT_READY:
		return "not ready"
	case nvml.ERROR_GPU_NOT_FOUND:
		return "no GPU found"
	case nvml.ERROR_UNKNOWN:
		return "unknown error of the driver"
	default:
		return fmt.Sprintf("NVML return code %d", int(ret))
	}
}

// asError is nil for success.
func asError(ret nvml.Return) error {
	if ret == nvml.SUCCESS {
		return nil
	}
	return returnError(ret)
}

// permanent tells that a device will give the same answer the next time.
func permanent(ret nvml.Return) bool {
	switch ret {
	case nvml.ERROR_NOT_SUPPORTED, nvml.ERROR_FUNCTION_NOT_FOUND, nvml.ERROR_NO_PERMISSION,
		nvml.ERROR_ARGUMENT_VERSION_MISMATCH, nvml.ERROR_DEPRECATED:
		return true
	default:
		return false
	}
}

// fatal tells that a device can answer nothing at all.
func fatal(ret nvml.Return) bool {
	switch ret {
	case nvml.ERROR_GPU_IS_LOST, nvml.ERROR_RESET_REQUIRED, nvml.ERROR_GPU_NOT_FOUND:
		return true
	default:
		return driverGone(ret)
	}
}

// driverGone tells that the driver is not there any more, or not the one that
// the library was opened with.
func driverGone(ret nvml.Return) bool {
	switch ret {
	case nvml.ERROR_UNINITIALIZED, nvml.ERROR_DRIVER_NOT_LOADED, nvml.ERROR_LIB_RM_VERSION_MISMATCH:
		return true
	default:
		return false
	}
}
