package sim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
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

	FaultPowerBrake Kind = "power-brake" // the power supply asks the GPU to slow down
	FaultNVLink     Kind = "nvlink"      // one of its links counts errors
	// FaultDriver unloads the driver of the whole node and loads it again
	// after DriverAway; it is not kept as a fault of a GPU.
	FaultDriver Kind = "driver-reload"
)

// DriverAway is for how long FaultDriver leaves the node without a driver.
const DriverAway = 5 * time.Second

// Kinds lists the kinds of fault.
func Kinds() []Kind {
	return []Kind{
		FaultXid, FaultECC, FaultRemap, FaultThermal, FaultPowerBrake, FaultNVLink, FaultLost, FaultHang, FaultDriver,
	}
}

// Fault is one thing that is wrong with one GPU, until it is cleared.
type Fault struct {
	GPU  int    `json:"gpu"` // its index
	Kind Kind   `json:"kind"`
	Xid  uint64 `json:"xid,omitempty"` // for FaultXid
}

// faults is what the faults of one GPU come to.
type faults struct {
	lost, hang, thermal        bool
	powerBrake, nvlink         bool
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
		case FaultPowerBrake:
			f.powerBrake = true
		case FaultNVLink:
			f.nvlink = true
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
	case !slices.Contains(Kinds(), f.Kind):
		return fmt.Errorf("inject fault: %q is no kind of fault", f.Kind)
	}
	err := change(dir, f.GPU, func(p profile, s *state) error { return s.suffer(p, f) }, events(f)...)
	if err != nil {
		return fmt.Errorf("inject fault: %w", err)
	}
	return nil
}

// suffer lets a fault happen.
func (s *state) suffer(p profile, f Fault) error {
	t := &s.Devices[f.GPU]
	switch f.Kind {
	case FaultDriver:
		s.reload()
		return nil
	case FaultNVLink:
		if p.nvlinks == 0 {
			return fmt.Errorf("%s has no NVLink", p.name)
		}
	case FaultThermal:
		// Whoever injects it wants to see the slowdown, not to wait for the heat.
		t.TempC = max(t.TempC, p.hwSlowdownC+1)
	}
	before := effects(t.Faults).eccUncorrected
	t.Faults = append(t.Faults, f)
	t.ECCLife += effects(t.Faults).eccUncorrected - before
	return nil
}

// reload loads the driver anew: counters start again, what is wrong with the
// hardware stays.
func (s *state) reload() {
	s.Driver = driver{Loads: s.Driver.Loads + 1, Back: time.Now().Add(DriverAway)}
	for i := range s.Devices {
		t := &s.Devices[i]
		if effects(t.Faults).lost {
			s.Driver.Absent = append(s.Driver.Absent, i)
			continue
		}
		t.EnergyJoules, t.Throttled, t.LinkKiB, t.LinkErrors = 0, nil, 0, 0
		t.Faults = slices.DeleteFunc(slices.Clone(t.Faults), func(f Fault) bool {
			return f.Kind == FaultXid || f.Kind == FaultECC || f.Kind == FaultHang
		})
	}
}

// events are what the driver reports of a fault, in NVML's types.
func events(f Fault) []xidEntry {
	const doubleBit, clock, retired, retiring = 2, 16, 1024, 2048
	typed := func(t uint64) xidEntry { return xidEntry{GPU: f.GPU, Type: t} }
	switch f.Kind {
	case FaultXid:
		out := []xidEntry{{GPU: f.GPU, Xid: f.Xid}}
		switch f.Xid {
		case 48:
			out = append(out, typed(doubleBit))
		case 63:
			out = append(out, typed(retired))
		case 64:
			out = append(out, typed(retiring))
		}
		return out
	case FaultECC:
		return []xidEntry{typed(doubleBit)}
	case FaultRemap:
		return []xidEntry{typed(retiring)}
	case FaultThermal, FaultPowerBrake:
		return []xidEntry{typed(clock)}
	}
	return nil
}

// Signal lets the driver of the node in dir report an event of one of NVML's
// types for a GPU, and nothing else happen.
func Signal(dir string, gpu int, eventType uint64) error {
	err := change(dir, gpu, func(profile, *state) error { return nil }, xidEntry{GPU: gpu, Type: eventType})
	if err != nil {
		return fmt.Errorf("signal event: %w", err)
	}
	return nil
}

// Clear ends all faults of a GPU and resets it, as an operator would: its
// error counts and its energy counter start again. A driver that is away is back.
func Clear(dir string, gpu int) error {
	err := change(dir, gpu, func(p profile, s *state) error {
		t := &s.Devices[gpu]
		if effects(t.Faults).thermal {
			t.TempC = min(t.TempC, p.slowdownC-5) // whoever repairs the cooling need not wait either
		}
		*t = thermal{TempC: t.TempC, ECCLife: t.ECCLife}
		s.Driver.Back = time.Time{}
		s.Driver.Absent = slices.DeleteFunc(s.Driver.Absent, func(i int) bool { return i == gpu })
		return nil
	})
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

// change applies a change to the state of one GPU, and adds events to the log.
func change(dir string, index int, do func(profile, *state) error, events ...xidEntry) error {
	spec, err := readSpec(dir)
	if err != nil {
		return err
	}
	if index < 0 || index >= len(spec.GPUs) {
		return fmt.Errorf("node %s has no GPU %d: it has %d", spec.Node, index, len(spec.GPUs))
	}
	p, err := profileOf(spec.GPUs[index])
	if err != nil {
		return err
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
	if err := do(p, &s); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(dir, stateFile), s); err != nil {
		return err
	}
	if len(events) == 0 {
		return nil // listeners look at the time of the file
	}
	log, err := readXids(dir)
	if err != nil {
		return err
	}
	for _, e := range events {
		log.Last++
		e.Seq = log.Last
		log.Xids = append(log.Xids, e)
	}
	log.Xids = log.Xids[max(0, len(log.Xids)-keptXids):]
	return writeJSON(filepath.Join(dir, eventsFile), log)
}

func readXids(dir string) (xidLog, error) {
	var log xidLog
	err := readJSON(filepath.Join(dir, eventsFile), &log)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return log, err
}
