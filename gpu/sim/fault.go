package sim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Kind is a kind of fault.
type Kind string

// The kinds of fault that a simulated GPU can suffer.
const (
	FaultXid     Kind = "xid"     // the driver reports an Xid, with what comes with it
	FaultECC     Kind = "ecc"     // an uncorrectable memory error; each injection adds one
	FaultRemap   Kind = "remap"   // a row of memory could not be replaced
	FaultThermal Kind = "thermal" // the cooling fails: the GPU heats up and slows down
	FaultLost    Kind = "lost"    // the GPU is gone from the bus
	FaultHang    Kind = "hang"    // calls to the driver for this GPU do not return
)

// Fault is one thing that is wrong with one GPU, until it is cleared.
type Fault struct {
	GPU  int    `json:"gpu"` // its index
	Kind Kind   `json:"kind"`
	Xid  uint64 `json:"xid,omitempty"` // for FaultXid
}

// faults is what the faults of one GPU come to.
type faults struct {
	lost, hang, thermal        bool
	eccUncorrected             uint64
	remapPending, remapFailure bool
}

// effects adds faults up. Some Xids do more than be reported.
func effects(list []Fault) faults {
	var f faults
	for _, fault := range list {
		switch fault.Kind {
		case FaultECC:
			f.eccUncorrected++
		case FaultRemap:
			f.remapFailure = true
		case FaultThermal:
			f.thermal = true
		case FaultLost:
			f.lost = true
		case FaultHang:
			f.hang = true
		case FaultXid:
			switch fault.Xid {
			case 48, 94, 95, 140:
				f.eccUncorrected++
			case 63:
				f.remapPending = true
			case 64:
				f.remapFailure = true
			case 79:
				f.lost = true
			}
		}
	}
	return f
}

// Inject adds a fault to a GPU of the node in dir. An Xid is reported once,
// to all who listen at that time; what comes with it lasts until Clear.
func Inject(dir string, f Fault) error {
	switch {
	case f.Kind == FaultXid && f.Xid == 0:
		return errors.New("inject fault: say which Xid")
	case f.Kind != FaultXid && f.Xid != 0:
		return fmt.Errorf("inject fault: %q has no Xid", f.Kind)
	case !slices.Contains([]Kind{FaultXid, FaultECC, FaultRemap, FaultThermal, FaultLost, FaultHang}, f.Kind):
		return fmt.Errorf("inject fault: %q is no kind of fault", f.Kind)
	}
	err := change(dir, f.GPU, func(t *thermal) {
		t.Faults = append(t.Faults, f)
	}, func(log *xidLog) {
		if f.Kind != FaultXid {
			return
		}
		log.Last++
		log.Xids = append(log.Xids, xidEntry{Seq: log.Last, GPU: f.GPU, Xid: f.Xid})
		log.Xids = log.Xids[max(0, len(log.Xids)-keptXids):]
	})
	if err != nil {
		return fmt.Errorf("inject fault: %w", err)
	}
	return nil
}

// Clear ends all faults of a GPU and resets it, as an operator would: its
// error counts and its energy counter start again.
func Clear(dir string, gpu int) error {
	err := change(dir, gpu, func(t *thermal) { t.Faults, t.EnergyJoules = nil, 0 }, func(*xidLog) {})
	if err != nil {
		return fmt.Errorf("clear faults: %w", err)
	}
	return nil
}

// Faults lists what is wrong with the GPUs of the node in dir, by index and
// in the order of injection.
func Faults(dir string) ([]Fault, error) {
	spec, err := readSpec(dir)
	if err != nil {
		return nil, err
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, fmt.Errorf("list faults: %w", err)
	}
	defer unlock()
	s, err := readState(dir, len(spec.GPUs))
	if err != nil {
		return nil, fmt.Errorf("list faults: %w", err)
	}
	var all []Fault
	for _, t := range s.Devices {
		all = append(all, t.Faults...)
	}
	return all, nil
}

// change applies a change to one GPU and to the log of Xids.
func change(dir string, index int, device func(*thermal), log func(*xidLog)) error {
	spec, err := readSpec(dir)
	if err != nil {
		return err
	}
	if index < 0 || index >= len(spec.GPUs) {
		return fmt.Errorf("node %s has no GPU %d: it has %d", spec.Node, index, len(spec.GPUs))
	}
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	s, err := readState(dir, len(spec.GPUs))
	if err != nil {
		return err
	}
	device(&s.Devices[index])
	if err := writeJSON(filepath.Join(dir, stateFile), s); err != nil {
		return err
	}
	before, err := readXids(dir)
	if err != nil {
		return err
	}
	after := before
	log(&after)
	if after.Last == before.Last {
		return nil // listeners look at the time of the file
	}
	return writeJSON(filepath.Join(dir, eventsFile), after)
}

func readXids(dir string) (xidLog, error) {
	var log xidLog
	err := readJSON(filepath.Join(dir, eventsFile), &log)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return log, err
}
