package gpu

import "time"

// UUID names a device as NVML does: "GPU-…", or "MIG-…" for an instance of one.
// It is what Nomad schedules, so it is the key on which samples and allocations join.
type UUID string

// UnknownIndex is the Index of a device whose source does not tell it.
const UnknownIndex = -1

// Device is what does not change while a GPU is installed.
type Device struct {
	UUID        UUID   `json:"uuid"`
	Parent      UUID   `json:"parent,omitempty"` // set when this is a MIG instance
	Index       int    `json:"index"`            // NVML's index on its node, or UnknownIndex
	Model       string `json:"model"`            // product name, for example "NVIDIA H100 80GB HBM3"
	PCI         string `json:"pci"`              // bus id, for example "0000:1b:00.0"
	Serial      string `json:"serial,omitempty"`
	MemoryBytes uint64 `json:"memory_bytes"`
	// PowerLimitWatts is the enforced limit; nil when the device does not say.
	PowerLimitWatts *float64 `json:"power_limit_watts,omitempty"`
	MaxSMClockMHz   *float64 `json:"max_sm_clock_mhz,omitempty"`
	MaxMemClockMHz  *float64 `json:"max_mem_clock_mhz,omitempty"`
}

// Sample is one reading of one device. A nil number is unknown: the hardware
// or the driver does not report it. It is never shown as 0.
type Sample struct {
	UUID UUID      `json:"uuid"`
	At   time.Time `json:"at"`

	UtilPercent       *float64 `json:"util_percent,omitempty"`
	MemoryUtilPercent *float64 `json:"memory_util_percent,omitempty"` // bandwidth, not occupancy
	MemoryUsedBytes   *uint64  `json:"memory_used_bytes,omitempty"`
	PowerWatts        *float64 `json:"power_watts,omitempty"`
	PowerLimitWatts   *float64 `json:"power_limit_watts,omitempty"`
	EnergyJoules      *float64 `json:"energy_joules,omitempty"` // since the driver was loaded
	TempCelsius       *float64 `json:"temperature_celsius,omitempty"`
	SMClockMHz        *float64 `json:"sm_clock_mhz,omitempty"`
	MemClockMHz       *float64 `json:"mem_clock_mhz,omitempty"`
	FanPercent        *float64 `json:"fan_percent,omitempty"`
	PState            *int     `json:"pstate,omitempty"`
	EncoderPercent    *float64 `json:"encoder_percent,omitempty"`
	DecoderPercent    *float64 `json:"decoder_percent,omitempty"`
	PCIeTxBytesPerSec *float64 `json:"pcie_tx_bytes_per_second,omitempty"`
	PCIeRxBytesPerSec *float64 `json:"pcie_rx_bytes_per_second,omitempty"`
	ECCCorrected      *uint64  `json:"ecc_corrected,omitempty"`   // volatile: since the driver was loaded
	ECCUncorrected    *uint64  `json:"ecc_uncorrected,omitempty"` // volatile: since the driver was loaded
	RowRemapPending   *bool    `json:"row_remap_pending,omitempty"`
	RowRemapFailure   *bool    `json:"row_remap_failure,omitempty"`
	// Throttle holds the reasons for which clocks are held back, by NVML's
	// names in lower case ("sw_thermal_slowdown"); nil is unknown, empty is none.
	Throttle []string `json:"throttle,omitzero"`

	Health    Health    `json:"health"`
	Processes []Process `json:"processes,omitempty"`
}

// Process is one process with a context on a device.
type Process struct {
	PID         int    `json:"pid"` // in the host's namespace, as NVML gives it
	Name        string `json:"name,omitempty"`
	User        string `json:"user,omitempty"`
	MemoryBytes uint64 `json:"memory_bytes"`
	// AllocID and Task say which Nomad task the process belongs to, when the
	// node could tell from its cgroup or container label.
	AllocID string `json:"alloc_id,omitempty"`
	Task    string `json:"task,omitempty"`
}

// Verdict is what stoker concludes about a device.
type Verdict string

// The verdicts, from best to worst. The zero value means that nothing is known yet.
const (
	VerdictUnknown  Verdict = ""
	VerdictOK       Verdict = "ok"
	VerdictWatch    Verdict = "watch"    // nothing to do yet
	VerdictDegraded Verdict = "degraded" // works, but not as it should
	VerdictFailed   Verdict = "failed"   // must not be given work
)

// Health is a verdict with the reason in words; Since is when the verdict began.
type Health struct {
	Verdict Verdict   `json:"verdict"`
	Reason  string    `json:"reason,omitempty"`
	Since   time.Time `json:"since,omitzero"`
}

// EventKind says what happened to a device.
type EventKind string

// The kinds of event.
const (
	EventXid  EventKind = "xid"
	EventLost EventKind = "lost" // expected, but no longer present
	EventBack EventKind = "back"
)

// Event is something that happened to one device at one time.
type Event struct {
	UUID UUID      `json:"uuid"`
	At   time.Time `json:"at"`
	Kind EventKind `json:"kind"`
	Xid  uint64    `json:"xid,omitempty"` // for EventXid
	Text string    `json:"text,omitempty"`
}

// Batch is one node's devices as one source saw them at one time. Devices holds
// every device the source knows, Samples the latest reading of each that answered.
type Batch struct {
	Node    string    `json:"node"` // the Nomad node's ID
	Source  string    `json:"source"`
	At      time.Time `json:"at"`
	Driver  string    `json:"driver,omitempty"`
	CUDA    string    `json:"cuda,omitempty"`
	Devices []Device  `json:"devices"`
	Samples []Sample  `json:"samples"`
	Events  []Event   `json:"events,omitempty"`
}
