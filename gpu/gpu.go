package gpu

import (
	"fmt"
	"strings"
	"time"
)

// UUID names a device as NVML does: "GPU-…", or "MIG-…" for an instance of one.
// It is what Nomad schedules, so it is the key on which samples and allocations join.
type UUID string

// Unnamed is the UUID of the device in a place of the driver's list that does
// not tell its own: it is shown, but nothing can be scheduled on it.
func Unnamed(index int) UUID { return UUID(fmt.Sprintf("%s%d", unnamed, index)) }

const unnamed = "GPU-unnamed-"

// Named tells that a UUID is a device's own.
func (id UUID) Named() bool { return !strings.HasPrefix(string(id), unnamed) }

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
	PowerLimitWatts        *float64 `json:"power_limit_watts,omitempty"`
	PowerDefaultLimitWatts *float64 `json:"power_default_limit_watts,omitempty"`
	MaxSMClockMHz          *float64 `json:"max_sm_clock_mhz,omitempty"`
	MaxMemClockMHz         *float64 `json:"max_mem_clock_mhz,omitempty"`
	// SlowdownCelsius and ShutdownCelsius are the core temperatures at which
	// the hardware slows down and switches off; MaxMemTempCelsius is the
	// highest at which the memory is meant to work.
	SlowdownCelsius   *float64 `json:"slowdown_celsius,omitempty"`
	ShutdownCelsius   *float64 `json:"shutdown_celsius,omitempty"`
	MaxMemTempCelsius *float64 `json:"max_memory_temperature_celsius,omitempty"`
	BAR1Bytes         *uint64  `json:"bar1_bytes,omitempty"`
	MaxPCIeGen        *int     `json:"max_pcie_generation,omitempty"`
	MaxPCIeWidth      *int     `json:"max_pcie_width,omitempty"` // lanes
	VBIOS             string   `json:"vbios,omitempty"`
	ComputeMode       string   `json:"compute_mode,omitempty"` // "default", "exclusive_process", "prohibited"
	Persistence       *bool    `json:"persistence,omitempty"`
	ECC               *bool    `json:"ecc,omitempty"`
	// MIG is whether the device is cut into instances, nil where it cannot be;
	// MIGPending is what it will be after the next reset.
	MIG         *bool        `json:"mig,omitempty"`
	MIGPending  *bool        `json:"mig_pending,omitempty"`
	MIGProfile  string       `json:"mig_profile,omitempty"`  // of an instance, for example "3g.40gb"
	MIGProfiles []MIGProfile `json:"mig_profiles,omitempty"` // that a cut device offers
}

// MIGProfile is one way of cutting an instance out of a device.
type MIGProfile struct {
	Name string `json:"name"` // for example "3g.40gb"
	Most int    `json:"most"` // instances of it on an empty device
	Free int    `json:"free"` // that could still be made now
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
	// Detail is what only somebody who opens this GPU asks for; nil from a
	// source that tells the vital numbers alone.
	Detail *Detail `json:"detail,omitempty"`
}

// Detail is the part of a Sample that a fleet can do without. As there, nil is
// unknown.
type Detail struct {
	MemoryFreeBytes     *uint64  `json:"memory_free_bytes,omitempty"`
	MemoryReservedBytes *uint64  `json:"memory_reserved_bytes,omitempty"` // kept by the driver
	BAR1UsedBytes       *uint64  `json:"bar1_used_bytes,omitempty"`
	MemTempCelsius      *float64 `json:"memory_temperature_celsius,omitempty"`
	TempMarginCelsius   *float64 `json:"temperature_margin_celsius,omitempty"` // to the next slowdown
	VideoClockMHz       *float64 `json:"video_clock_mhz,omitempty"`
	JPEGPercent         *float64 `json:"jpeg_percent,omitempty"`
	OFAPercent          *float64 `json:"ofa_percent,omitempty"` // optical flow accelerator
	PCIeGen             *int     `json:"pcie_generation,omitempty"`
	PCIeWidth           *int     `json:"pcie_width,omitempty"`   // lanes
	PCIeReplays         *uint64  `json:"pcie_replays,omitempty"` // since the driver was loaded
	// ThrottleSeconds is for how long each reason of Sample.Throttle has held
	// the clocks back since the driver was loaded; a reason that has no
	// counter is left out.
	ThrottleSeconds map[string]float64 `json:"throttle_seconds,omitempty"`

	// The aggregate counts are over the device's life.
	ECCCorrectedTotal   *uint64 `json:"ecc_corrected_total,omitempty"`
	ECCUncorrectedTotal *uint64 `json:"ecc_uncorrected_total,omitempty"`
	RowsCorrectable     *uint64 `json:"rows_remapped_correctable,omitempty"`
	RowsUncorrectable   *uint64 `json:"rows_remapped_uncorrectable,omitempty"`
	PagesSingleBit      *uint64 `json:"pages_retired_single_bit,omitempty"` // before Ampere
	PagesDoubleBit      *uint64 `json:"pages_retired_double_bit,omitempty"`
	PagesPending        *bool   `json:"pages_pending,omitempty"`

	NVLinks []NVLink `json:"nvlinks,omitempty"` // those that the board has
	// NVLinkTotal is all links together, from a source that tells the sums.
	NVLinkTotal *NVLinkTotal `json:"nvlink_total,omitempty"`
	GPM         *GPM         `json:"gpm,omitempty"` // Hopper and later
}

// NVLink is one link of a device. Counts are since the driver was loaded.
type NVLink struct {
	Link          int      `json:"link"`
	Up            bool     `json:"up"`
	SpeedMBPerSec *float64 `json:"speed_mb_per_second,omitempty"`
	TxBytesPerSec *float64 `json:"tx_bytes_per_second,omitempty"`
	RxBytesPerSec *float64 `json:"rx_bytes_per_second,omitempty"`
	Replays       *uint64  `json:"replays,omitempty"`
	Recoveries    *uint64  `json:"recoveries,omitempty"`
	CRCErrors     *uint64  `json:"crc_errors,omitempty"`
}

// NVLinkTotal is all links of a device together. Counts are since the driver
// was loaded.
type NVLinkTotal struct {
	BytesPerSec   *float64 `json:"bytes_per_second,omitempty"` // both ways
	TxBytesPerSec *float64 `json:"tx_bytes_per_second,omitempty"`
	RxBytesPerSec *float64 `json:"rx_bytes_per_second,omitempty"`
	Replays       *uint64  `json:"replays,omitempty"`
	Recoveries    *uint64  `json:"recoveries,omitempty"`
	CRCErrors     *uint64  `json:"crc_errors,omitempty"`
}

// GPM holds what the GPU performance monitor counts, in percent of what the
// device could do since the sample before.
type GPM struct {
	SMPercent        *float64 `json:"sm_percent,omitempty"`        // multiprocessors with work
	OccupancyPercent *float64 `json:"occupancy_percent,omitempty"` // warps resident
	TensorPercent    *float64 `json:"tensor_percent,omitempty"`
	DRAMPercent      *float64 `json:"dram_percent,omitempty"` // bandwidth
	FP16Percent      *float64 `json:"fp16_percent,omitempty"`
	FP32Percent      *float64 `json:"fp32_percent,omitempty"`
	FP64Percent      *float64 `json:"fp64_percent,omitempty"`
}

// Process is one process with a context on a device.
type Process struct {
	PID int `json:"pid"` // in the host's namespace, as NVML gives it
	// Start is when it began, in ticks of its machine's clock: a PID is used
	// again, the two together are one process for good. 0 is unknown.
	Start       uint64 `json:"start,omitempty"`
	Name        string `json:"name,omitempty"`
	Command     string `json:"command,omitempty"` // with its arguments where the source tells them
	User        string `json:"user,omitempty"`
	Type        string `json:"type,omitempty"` // "C" computes, "G" draws, "C+G" both
	MemoryBytes uint64 `json:"memory_bytes"`   // 0 is unknown: a context always takes some
	// UtilPercent is its part of the device's Sample.UtilPercent; nil where
	// the driver does not tell, as with MIG.
	UtilPercent     *float64 `json:"util_percent,omitempty"`
	CPUPercent      *float64 `json:"cpu_percent,omitempty"` // of one core
	HostMemoryBytes *uint64  `json:"host_memory_bytes,omitempty"`
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

// Verdicts are all verdicts, from the zero value and the best to the worst.
func Verdicts() []Verdict {
	return []Verdict{VerdictUnknown, VerdictOK, VerdictWatch, VerdictDegraded, VerdictFailed}
}

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
	EventXid   EventKind = "xid"
	EventLost  EventKind = "lost" // expected, but no longer present
	EventBack  EventKind = "back"
	EventECC   EventKind = "ecc"   // a memory error, a page retired, poison
	EventClock EventKind = "clock" // what holds the clocks back has changed
	EventPower EventKind = "power" // the source of power has changed
	EventMIG   EventKind = "mig"   // the device was cut otherwise
)

// Event is something that happened to one device at one time.
type Event struct {
	UUID UUID      `json:"uuid"`
	At   time.Time `json:"at"`
	Kind EventKind `json:"kind"`
	Xid  uint64    `json:"xid,omitempty"` // for EventXid
	// Verdict is what the event alone says of the device, where its kind leaves
	// that open; the catalogue says it of an Xid.
	Verdict Verdict `json:"verdict,omitempty"`
	Text    string  `json:"text,omitempty"`
}

// Batch is one node's devices as one source saw them at one time. Devices holds
// every device the source knows, Samples the latest reading of each that answered.
type Batch struct {
	Node   string    `json:"node"` // the Nomad node's ID
	Source string    `json:"source"`
	At     time.Time `json:"at"`
	Driver string    `json:"driver,omitempty"`
	CUDA   string    `json:"cuda,omitempty"`
	// Lacks names what the source itself cannot tell of any device: the
	// functions that an old driver's library does not have.
	Lacks   []string `json:"lacks,omitempty"`
	Devices []Device `json:"devices"`
	Samples []Sample `json:"samples"`
	Events  []Event  `json:"events,omitempty"`
}
