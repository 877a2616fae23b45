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
	GpmSampleAlloc() (GpmSample, nvml.Return)
	// GpmMetrics gives what happened between two samples, in the order of ids;
	// NaN where a metric is not counted.
	GpmMetrics(from, to GpmSample, ids []nvml.GpmMetricId) ([]float64, nvml.Return)
	// MIGProfile describes the n-th way of cutting an instance out of a device.
	MIGProfile(d Device, n int) (MIGProfile, nvml.Return)
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
	GetGpuInstanceId() (int, nvml.Return)
	GetBAR1MemoryInfo() (nvml.BAR1Memory, nvml.Return)
	GetJpgUtilization() (uint32, uint32, nvml.Return)
	GetOfaUtilization() (uint32, uint32, nvml.Return)
	GetTemperatureThreshold(nvml.TemperatureThresholds) (uint32, nvml.Return)
	GetMarginTemperature() (nvml.MarginTemperature, nvml.Return)
	GetPowerManagementDefaultLimit() (uint32, nvml.Return)
	GetCurrPcieLinkGeneration() (int, nvml.Return)
	GetCurrPcieLinkWidth() (int, nvml.Return)
	GetMaxPcieLinkGeneration() (int, nvml.Return)
	GetMaxPcieLinkWidth() (int, nvml.Return)
	GetPcieReplayCounter() (int, nvml.Return)
	GetRetiredPages(nvml.PageRetirementCause) ([]uint64, nvml.Return)
	GetRetiredPagesPendingStatus() (nvml.EnableState, nvml.Return)
	GetFieldValues([]nvml.FieldValue) nvml.Return
	GetNvLinkState(link int) (nvml.EnableState, nvml.Return)
	GetNvLinkErrorCounter(link int, counter nvml.NvLinkErrorCounter) (uint64, nvml.Return)
	GetProcessUtilization(lastSeenMicros uint64) ([]nvml.ProcessUtilizationSample, nvml.Return)
	GetVbiosVersion() (string, nvml.Return)
	GetComputeMode() (nvml.ComputeMode, nvml.Return)
	GetPersistenceMode() (nvml.EnableState, nvml.Return)
	GetEccMode() (current, pending nvml.EnableState, ret nvml.Return)
	GetSupportedEventTypes() (uint64, nvml.Return)
	GpmQueryDeviceSupport() (nvml.GpmSupport, nvml.Return)
}

// GpmSample is one look of the GPU performance monitor; go-nvml's is wrapped
// into one, since it takes only its own devices.
type GpmSample interface {
	Get(Device) nvml.Return
	MigGet(d Device, gpuInstance int) nvml.Return
	Free() nvml.Return
}

// MIGProfile is one way of cutting an instance out of a device.
type MIGProfile struct {
	Name string // for example "1g.10gb", or "MIG 1g.10gb"
	Most int    // instances of it on an empty device
	Free int    // that could still be made
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
