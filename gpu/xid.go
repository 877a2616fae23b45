package gpu

import "fmt"

// Fault says where the cause of an Xid usually lies.
type Fault string

// The usual places. FaultUnknown is the zero value.
const (
	FaultUnknown     Fault = ""
	FaultApplication Fault = "application"
	FaultDriver      Fault = "driver" // or firmware
	FaultHardware    Fault = "hardware"
	FaultLink        Fault = "link" // PCI Express or NVLink
)

// Xid is one entry of the catalogue of driver errors.
type Xid struct {
	Number  uint64
	Name    string // short, as in "GPU has fallen off the bus"
	Meaning string // one sentence
	Fault   Fault
	Advice  string // what the operator does now
	// Verdict is what the Xid alone says about the device.
	Verdict Verdict
	// UntilReset keeps the verdict until the device was reset; otherwise
	// it lapses with time.
	UntilReset bool
}

// String names an Xid as operators do: "Xid 79: GPU has fallen off the bus".
func (x Xid) String() string { return fmt.Sprintf("Xid %d: %s", x.Number, x.Name) }

// LookupXid finds an Xid by its number. One that is not in the catalogue is
// returned as something to watch, with ok false.
func LookupXid(number uint64) (x Xid, ok bool) {
	for _, x := range Xids() {
		if x.Number == number {
			return x, true
		}
	}
	return Xid{
		Number: number, Name: "not in the catalogue", Verdict: VerdictWatch,
		Meaning: "The driver reported an error that stoker does not know.",
		Advice:  "look it up in NVIDIA's Xid catalogue",
	}, false
}

// Xids lists the Xids that ask an operator for something, by number. They
// follow NVIDIA's public Xid catalogue for Ampere and newer GPUs: what it
// says to reset or restart at once is a failure here, what may wait is
// degraded, and what is the application's own is watched or ignored.
func Xids() []Xid {
	const (
		reset   = "drain the GPU and reset it; if it comes back, contact the vendor"
		restart = "restart the job; check it with compute-sanitizer if it comes back"
	)
	return []Xid{
		{13, "graphics engine exception", "A kernel of the application faulted, often by an access out of bounds.", FaultApplication, restart, VerdictWatch, false},
		{31, "GPU memory page fault", "The application touched memory that it does not own.", FaultApplication, restart, VerdictWatch, false},
		{32, "corrupted push buffer", "The stream of commands over PCI Express arrived damaged.", FaultLink, "restart the job; if it comes back, check the PCI Express link", VerdictWatch, false},
		{38, "driver firmware error", "The firmware that schedules the engines ran into its watchdog.", FaultDriver, "update the driver; contact the vendor if it comes back", VerdictWatch, false},
		{43, "GPU stopped processing", "The application made a fault and ends; the GPU stays healthy.", FaultApplication, "look at the application", VerdictOK, false},
		{44, "fault during context switch", "The graphics engine faulted while it changed from one process to the next.", FaultDriver, "contact the vendor if it comes back", VerdictWatch, false},
		{45, "preemptive cleanup", "The driver cleaned up after a process that ended or was killed.", FaultApplication, "nothing, unless another Xid came with it", VerdictOK, false},
		{46, "GPU stopped processing", "The GPU did not answer in time.", FaultHardware, reset, VerdictFailed, true},
		{48, "double-bit ECC error", "Memory of the GPU lost data beyond repair.", FaultHardware, "drain the GPU and reset it; run the field diagnostics if it comes back", VerdictFailed, true},
		{61, "internal micro-controller warning", "The power controller stopped at a breakpoint (older drivers).", FaultDriver, "update the driver; contact the vendor if it comes back", VerdictWatch, false},
		{62, "internal micro-controller halt", "The power controller halted.", FaultHardware, reset, VerdictFailed, true},
		{63, "row remapped or page retired", "The GPU replaced a bad part of its memory; the next reset makes it effective.", FaultHardware, "reset the GPU when it is free", VerdictWatch, false},
		{64, "row remapping failed", "The GPU could not replace a bad part of its memory.", FaultHardware, "drain the GPU and reset it; replace it if it comes back", VerdictFailed, true},
		{69, "graphics engine class error", "The application sent the engine a command that it does not know.", FaultApplication, restart, VerdictWatch, false},
		{74, "NVLink error", "A link to another GPU or a switch failed; the other end may be the cause.", FaultLink, "drain the GPU and reset it; see nvidia-smi nvlink --errorcounters", VerdictDegraded, true},
		{79, "GPU has fallen off the bus", "The driver cannot reach the GPU over PCI Express.", FaultLink, "drain and restart the node; check seating, power and the PCI Express log", VerdictFailed, true},
		{92, "high single-bit ECC error rate", "Memory errors are being corrected, but too many of them.", FaultHardware, "plan a check of the GPU with the vendor", VerdictWatch, false},
		{94, "contained memory error", "An uncorrectable memory error ended one application and no other.", FaultHardware, "restart the job; reset the GPU when it is free", VerdictDegraded, true},
		{95, "uncontained memory error", "An uncorrectable memory error may have reached several applications.", FaultHardware, reset, VerdictFailed, true},
		{109, "context switch timeout", "The GPU did not change to the next process in time.", FaultDriver, reset, VerdictFailed, true},
		{110, "security fault", "The GPU raised a security fault; rare without failing hardware.", FaultHardware, "drain the node and switch it off and on; contact the vendor if it comes back", VerdictFailed, true},
		{119, "GSP RPC timeout", "The GPU's system processor did not answer the driver.", FaultDriver, reset, VerdictFailed, true},
		{120, "GSP error", "The GPU's system processor failed.", FaultDriver, reset, VerdictFailed, true},
		{136, "link training failed", "An NVLink could not be brought up.", FaultLink, reset, VerdictFailed, true},
		{137, "NVLink privilege error", "An application touched memory of another GPU that it does not own.", FaultApplication, restart, VerdictWatch, false},
		{140, "unrecovered ECC error", "Uncorrectable memory errors came too fast to replace the memory.", FaultHardware, reset, VerdictFailed, true},
		{143, "GPU initialisation error", "The GPU could not be initialised.", FaultHardware, reset, VerdictFailed, true},
		{154, "recovery action changed", "The driver says what another Xid needs: reset, drain or reboot.", FaultUnknown, "follow the Xid that came with it", VerdictWatch, false},
		{158, "fatal GPU timeout", "The GPU did not answer in time and cannot go on.", FaultHardware, reset, VerdictFailed, true},
	}
}
