package gpu

import (
	"cmp"
	"fmt"
	"slices"
)

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

// Action is the kind of thing that an Xid asks for now, before its cause is
// looked into.
type Action string

// The actions, from the lightest to the heaviest.
const (
	ActionNone    Action = "none"    // the GPU works on
	ActionFollow  Action = "follow"  // what the Xid that came with it asks for
	ActionRestart Action = "restart" // the job
	ActionUpdate  Action = "update"  // driver and firmware
	ActionReset   Action = "reset"   // the GPU, once it is drained
	ActionReboot  Action = "reboot"  // the machine, or the virtual one that has the GPU
	ActionInspect Action = "inspect" // seating, cables, power and cooling
	ActionContact Action = "contact" // the vendor: nothing else is documented
)

// Xid is one entry of the catalogue of driver errors.
type Xid struct {
	Number  uint64
	Name    string // short, as in "GPU has fallen off the bus"
	Meaning string // one sentence
	Fault   Fault
	Action  Action
	Advice  string // what the operator does now, in words
	// Verdict is what the Xid alone says about the device.
	Verdict Verdict
	// UntilReset keeps the verdict until the device was reset; otherwise
	// it lapses with time.
	UntilReset bool
	// Immediate and Later are the names of what NVIDIA's catalogue wants done
	// at once and to find the cause ("RESET_GPU", "CONTACT_SUPPORT"); "" where
	// it names nothing.
	Immediate, Later string
}

// String names an Xid as operators do: "Xid 79: GPU has fallen off the bus".
func (x Xid) String() string { return fmt.Sprintf("Xid %d: %s", x.Number, x.Name) }

// LookupXid finds an Xid by its number. One that is not in the catalogue is
// returned as something to watch, with ok false.
func LookupXid(number uint64) (x Xid, ok bool) {
	i, ok := slices.BinarySearchFunc(catalogue[:], number, func(x Xid, n uint64) int { return cmp.Compare(x.Number, n) })
	if ok {
		return catalogue[i], true
	}
	return Xid{
		Number: number, Name: "not in the catalogue", Verdict: VerdictWatch,
		Meaning: "The driver reported an error that stoker does not know.",
		Action:  ActionContact, Advice: "look it up in NVIDIA's Xid catalogue",
	}, false
}

// Xids lists the catalogue by number.
func Xids() []Xid { return slices.Clone(catalogue[:]) }
