//go:build cgo

package nvml

import "slices"

// call names one call whose support is looked up and remembered.
type call int

const (
	callUUID call = iota
	callName
	callPCI
	callSerial
	callMemory
	callMemoryV2
	callPowerLimit
	callPowerDefault
	callMaxClock
	callMaxMemClock
	callClock
	callMemClock
	callVideoClock
	callUtil
	callPower
	callEnergy
	callTemperature
	callThreshold
	callShutdown
	callMemThreshold
	callMargin
	callFan
	callPState
	callEncoder
	callDecoder
	callJPEG
	callOFA
	callPCIe
	callPCIeLink
	callPCIeWidth
	callMaxPCIeLink
	callMaxPCIeWidth
	callPCIeReplays
	callECC
	callECCTotal
	callECCMode
	callRemappedRows
	callRetiredPages
	callPagesPending
	callEventReasons
	callThrottleReasons
	callCompute
	callGraphics
	callProcessUtil
	callBAR1
	callFields
	callNVLink
	callNVLinkReplays
	callNVLinkRecoveries
	callNVLinkFlits
	callNVLinkData
	callVBIOS
	callComputeMode
	callPersistence
	callMig
	callMigCount
	callMigDevices
	callGpuInstance
	callGpm
	callGpmSample
	callGpmMigSample
	callEvents
	callEventTypes
	callCount // how many there are
)

// symbols gives the C functions behind each call; go-nvml takes the newest of
// them that exists, so one is enough. Two calls of one function are told apart
// where a device may answer one and not the other.
func (c call) symbols() []string {
	clock, threshold := []string{"nvmlDeviceGetClockInfo"}, []string{"nvmlDeviceGetTemperatureThreshold"}
	ecc, linkErrors := []string{"nvmlDeviceGetTotalEccErrors"}, []string{"nvmlDeviceGetNvLinkErrorCounter"}
	return [callCount][]string{
		callUUID:         {"nvmlDeviceGetUUID"},
		callName:         {"nvmlDeviceGetName"},
		callPCI:          {"nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetPciInfo_v2", "nvmlDeviceGetPciInfo"},
		callSerial:       {"nvmlDeviceGetSerial"},
		callMemory:       {"nvmlDeviceGetMemoryInfo"},
		callMemoryV2:     {"nvmlDeviceGetMemoryInfo_v2"},
		callPowerLimit:   {"nvmlDeviceGetEnforcedPowerLimit"},
		callPowerDefault: {"nvmlDeviceGetPowerManagementDefaultLimit"},
		callMaxClock:     {"nvmlDeviceGetMaxClockInfo"}, callMaxMemClock: {"nvmlDeviceGetMaxClockInfo"},
		callClock: clock, callMemClock: clock, callVideoClock: clock,
		callUtil:        {"nvmlDeviceGetUtilizationRates"},
		callPower:       {"nvmlDeviceGetPowerUsage"},
		callEnergy:      {"nvmlDeviceGetTotalEnergyConsumption"},
		callTemperature: {"nvmlDeviceGetTemperature"},
		callThreshold:   threshold, callShutdown: threshold, callMemThreshold: threshold,
		callMargin:       {"nvmlDeviceGetMarginTemperature"},
		callFan:          {"nvmlDeviceGetFanSpeed"},
		callPState:       {"nvmlDeviceGetPerformanceState"},
		callEncoder:      {"nvmlDeviceGetEncoderUtilization"},
		callDecoder:      {"nvmlDeviceGetDecoderUtilization"},
		callJPEG:         {"nvmlDeviceGetJpgUtilization"},
		callOFA:          {"nvmlDeviceGetOfaUtilization"},
		callPCIe:         {"nvmlDeviceGetPcieThroughput"},
		callPCIeLink:     {"nvmlDeviceGetCurrPcieLinkGeneration"},
		callPCIeWidth:    {"nvmlDeviceGetCurrPcieLinkWidth"},
		callMaxPCIeLink:  {"nvmlDeviceGetMaxPcieLinkGeneration"},
		callMaxPCIeWidth: {"nvmlDeviceGetMaxPcieLinkWidth"},
		callPCIeReplays:  {"nvmlDeviceGetPcieReplayCounter"},
		callECC:          ecc, callECCTotal: ecc,
		callECCMode:         {"nvmlDeviceGetEccMode"},
		callRemappedRows:    {"nvmlDeviceGetRemappedRows"},
		callRetiredPages:    {"nvmlDeviceGetRetiredPages"},
		callPagesPending:    {"nvmlDeviceGetRetiredPagesPendingStatus"},
		callEventReasons:    {"nvmlDeviceGetCurrentClocksEventReasons"},
		callThrottleReasons: {"nvmlDeviceGetCurrentClocksThrottleReasons"},
		callCompute:         {"nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2", "nvmlDeviceGetComputeRunningProcesses"},
		callGraphics:        {"nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2", "nvmlDeviceGetGraphicsRunningProcesses"},
		callProcessUtil:     {"nvmlDeviceGetProcessUtilization"},
		callBAR1:            {"nvmlDeviceGetBAR1MemoryInfo"},
		callFields:          {"nvmlDeviceGetFieldValues"},
		callNVLink:          {"nvmlDeviceGetNvLinkState"},
		callNVLinkReplays:   linkErrors, callNVLinkRecoveries: linkErrors, callNVLinkFlits: linkErrors, callNVLinkData: linkErrors,
		callVBIOS:        {"nvmlDeviceGetVbiosVersion"},
		callComputeMode:  {"nvmlDeviceGetComputeMode"},
		callPersistence:  {"nvmlDeviceGetPersistenceMode"},
		callMig:          {"nvmlDeviceGetMigMode"},
		callMigCount:     {"nvmlDeviceGetMaxMigDeviceCount"},
		callMigDevices:   {"nvmlDeviceGetMigDeviceHandleByIndex"},
		callGpuInstance:  {"nvmlDeviceGetGpuInstanceId"},
		callGpm:          {"nvmlGpmQueryDeviceSupport"},
		callGpmSample:    {"nvmlGpmSampleGet"},
		callGpmMigSample: {"nvmlGpmMigSampleGet"},
		callEvents:       {"nvmlDeviceRegisterEvents"},
		callEventTypes:   {"nvmlDeviceGetSupportedEventTypes"},
	}[c]
}

// beside gives the C functions that are asked of the library as a whole, as
// symbols does: whoever calls one looks it up itself.
func beside() [][]string {
	return [][]string{
		{"nvmlSystemGetDriverVersion"},
		{"nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion"},
		{"nvmlEventSetCreate"},
		{"nvmlEventSetWait_v2", "nvmlEventSetWait"},
		{"nvmlEventSetFree"},
		{"nvmlGpmSampleAlloc"},
		{"nvmlGpmSampleFree"},
		{"nvmlGpmMetricsGet"},
		{"nvmlDeviceGetGpuInstanceProfileInfo"},
		{"nvmlDeviceGetGpuInstanceProfileInfoV"},
		{"nvmlDeviceGetGpuInstanceRemainingCapacity"},
	}
}

// unsupported is what a device, or the library for all of them, cannot answer.
type unsupported [callCount]bool

// missing looks every call up in the library, and names the functions that it
// does not have.
func missing(lib Library) (m unsupported, names []string) {
	for c := range callCount {
		known := c.symbols()
		m[c] = !slices.ContainsFunc(known, lib.Supports)
		if m[c] && !slices.Contains(names, known[0]) {
			names = append(names, known[0])
		}
	}
	for _, known := range beside() {
		if !slices.ContainsFunc(known, lib.Supports) {
			names = append(names, known[0])
		}
	}
	slices.Sort(names)
	return m, names
}
