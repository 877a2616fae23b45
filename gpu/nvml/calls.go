//go:build cgo

package nvml

import "github.com/NVIDIA/go-nvml/pkg/nvml"

// Library is the calls made to the library itself.
type Library interface {
	// Supports tells whether the library has the function of this C name.
	Supports(symbol string) bool
	Init() nvml.Return
	Shutdown() nvml.Return
	SystemGetDriverVersion() (string, nvml.Return)
	SystemGetCudaDriverVersion_v2() (int, nvml.Return)
	DeviceGetCount() (int, nvml.Return)
	DeviceGetHandleByIndex(index int) (Device, nvml.Return)
	EventSetCreate() (EventSet, nvml.Return)
}

// Device is the calls made to one device; go-nvml's Device is one.
// Implementations are comparable: the same device is the same value.
type Device interface {
	GetUUID() (string, nvml.Return)
	GetName() (string, nvml.Return)
	GetSerial() (string, nvml.Return)
	GetPciInfo() (nvml.PciInfo, nvml.Return)
	GetMemoryInfo() (nvml.Memory, nvml.Return)
	GetMemoryInfo_v2() (nvml.Memory_v2, nvml.Return)
	GetEnforcedPowerLimit() (uint32, nvml.Return)
	GetMaxClockInfo(nvml.ClockType) (uint32, nvml.Return)
	GetClockInfo(nvml.ClockType) (uint32, nvml.Return)
	GetUtilizationRates() (nvml.Utilization, nvml.Return)
	GetPowerUsage() (uint32, nvml.Return)
	GetTotalEnergyConsumption() (uint64, nvml.Return)
	GetTemperature(nvml.TemperatureSensors) (uint32, nvml.Return)
	GetFanSpeed() (uint32, nvml.Return)
	GetPerformanceState() (nvml.Pstates, nvml.Return)
	GetEncoderUtilization() (uint32, uint32, nvml.Return)
	GetDecoderUtilization() (uint32, uint32, nvml.Return)
	GetPcieThroughput(nvml.PcieUtilCounter) (uint32, nvml.Return)
	GetTotalEccErrors(nvml.MemoryErrorType, nvml.EccCounterType) (uint64, nvml.Return)
	GetRemappedRows() (int, int, bool, bool, nvml.Return)
	GetCurrentClocksEventReasons() (uint64, nvml.Return)
	GetCurrentClocksThrottleReasons() (uint64, nvml.Return)
	GetComputeRunningProcesses() ([]nvml.ProcessInfo, nvml.Return)
	GetGraphicsRunningProcesses() ([]nvml.ProcessInfo, nvml.Return)
	GetMigMode() (int, int, nvml.Return)
	GetMaxMigDeviceCount() (int, nvml.Return)
	GetMigDeviceHandleByIndex(index int) (nvml.Device, nvml.Return)
}

// EventSet is a set of devices whose events are waited for together.
type EventSet interface {
	Register(device Device, eventTypes uint64) nvml.Return
	// Wait returns ERROR_TIMEOUT when nothing happened in that time.
	Wait(timeoutMillis uint32) (Event, nvml.Return)
	Free() nvml.Return
}

// Event is one event of a set.
type Event struct {
	Device Device
	Type   uint64 // one of go-nvml's EventType constants
	Data   uint64 // the Xid, for EventTypeXidCriticalError
}

// call names one call whose support is looked up and remembered.
type call int

const (
	callSerial call = iota
	callMemory
	callMemoryV2
	callPowerLimit
	callMaxClock
	callClock
	callUtil
	callPower
	callEnergy
	callTemperature
	callFan
	callPState
	callEncoder
	callDecoder
	callPCIe
	callECC
	callRemappedRows
	callEventReasons
	callThrottleReasons
	callCompute
	callGraphics
	callMig
	callMigDevices
	callEvents
	callCount // how many there are
)

// symbols gives the C functions behind each call; go-nvml takes the newest of
// them that exists, so one is enough.
func (c call) symbols() []string {
	return [callCount][]string{
		callSerial:          {"nvmlDeviceGetSerial"},
		callMemory:          {"nvmlDeviceGetMemoryInfo"},
		callMemoryV2:        {"nvmlDeviceGetMemoryInfo_v2"},
		callPowerLimit:      {"nvmlDeviceGetEnforcedPowerLimit"},
		callMaxClock:        {"nvmlDeviceGetMaxClockInfo"},
		callClock:           {"nvmlDeviceGetClockInfo"},
		callUtil:            {"nvmlDeviceGetUtilizationRates"},
		callPower:           {"nvmlDeviceGetPowerUsage"},
		callEnergy:          {"nvmlDeviceGetTotalEnergyConsumption"},
		callTemperature:     {"nvmlDeviceGetTemperature"},
		callFan:             {"nvmlDeviceGetFanSpeed"},
		callPState:          {"nvmlDeviceGetPerformanceState"},
		callEncoder:         {"nvmlDeviceGetEncoderUtilization"},
		callDecoder:         {"nvmlDeviceGetDecoderUtilization"},
		callPCIe:            {"nvmlDeviceGetPcieThroughput"},
		callECC:             {"nvmlDeviceGetTotalEccErrors"},
		callRemappedRows:    {"nvmlDeviceGetRemappedRows"},
		callEventReasons:    {"nvmlDeviceGetCurrentClocksEventReasons"},
		callThrottleReasons: {"nvmlDeviceGetCurrentClocksThrottleReasons"},
		callCompute:         {"nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2", "nvmlDeviceGetComputeRunningProcesses"},
		callGraphics:        {"nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2", "nvmlDeviceGetGraphicsRunningProcesses"},
		callMig:             {"nvmlDeviceGetMigMode"},
		callMigDevices:      {"nvmlDeviceGetMigDeviceHandleByIndex"},
		callEvents:          {"nvmlDeviceRegisterEvents"},
	}[c]
}

// unsupported is what a device, or the library for all of them, cannot answer.
type unsupported [callCount]bool

// missing looks every call up in the library.
func missing(lib Library) unsupported {
	var m unsupported
	for c := range callCount {
		m[c] = true
		for _, s := range c.symbols() {
			if lib.Supports(s) {
				m[c] = false
				break
			}
		}
	}
	return m
}
