package sim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"stoker/gpu"
	"stoker/gpu/sim/load"
)

// state is state.json: what the GPUs of a node remember.
type state struct {
	At      time.Time `json:"at"` // of the last step
	Driver  driver    `json:"driver,omitzero"`
	Devices []thermal `json:"devices"`
}

// driver is what became of the node's driver.
type driver struct {
	Loads  int       `json:"loads"`            // how often it was loaded again
	Back   time.Time `json:"back,omitzero"`    // it is not loaded before
	Absent []int     `json:"absent,omitempty"` // GPUs that it did not find when it was loaded
}

// thermal is the memory of one GPU.
type thermal struct {
	TempC        float64 `json:"temp_c"`
	EnergyJoules float64 `json:"energy_joules"` // since the last reset
	// Throttled is for how long each reason has held the clocks back, in
	// seconds since the last reset.
	Throttled  map[string]float64 `json:"throttled,omitempty"`
	LinkKiB    float64            `json:"link_kib,omitempty"`    // that went over each NVLink and way
	LinkErrors float64            `json:"link_errors,omitempty"` // of the one that FaultNVLink damages
	ECCLife    uint64             `json:"ecc_life,omitempty"`    // uncorrectable errors over its life
	Faults     []Fault            `json:"faults,omitempty"`
}

// xidLog is events.json.
type xidLog struct {
	Last int        `json:"last"` // the number of the newest
	Xids []xidEntry `json:"xids"` // the newest last; old ones are dropped
}

type xidEntry struct {
	Seq int    `json:"seq"`
	GPU int    `json:"gpu"`
	Xid uint64 `json:"xid,omitempty"`
	// Type is NVML's type of event, for one that is no Xid.
	Type uint64 `json:"type,omitempty"`
}

const keptXids = 64

// lock takes the folder for this process, waiting for others. flock belongs
// to the descriptor, so it orders the goroutines of a process too.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil // closing releases the lock
}

// readState reads the state, with room for each GPU of the spec. The caller
// holds the lock.
func readState(dir string, gpus int) (state, error) {
	var s state
	if err := readJSON(filepath.Join(dir, stateFile), &s); err != nil && !errors.Is(err, os.ErrNotExist) {
		return state{}, err
	}
	for len(s.Devices) < gpus {
		s.Devices = append(s.Devices, thermal{TempC: ambientC})
	}
	s.Devices = s.Devices[:gpus]
	return s, nil
}

// now is one moment of a node: what the calls answer until the next.
type moment struct {
	spec     Spec
	driver   driver
	readings []reading // by index
}

// advance moves the node in dir on to now and reads it.
func advance(dir string, now time.Time) (moment, error) {
	spec, err := readSpec(dir)
	if err != nil {
		return moment{}, err
	}
	reports, err := loads(dir, spec)
	if err != nil {
		return moment{}, err
	}
	byDevice := map[gpu.UUID][]load.Report{}
	for _, r := range reports {
		byDevice[r.UUID] = append(byDevice[r.UUID], r)
	}
	unlock, err := lock(dir)
	if err != nil {
		return moment{}, err
	}
	defer unlock()
	s, err := readState(dir, len(spec.GPUs))
	if err != nil {
		return moment{}, fmt.Errorf("read simulated GPUs: %w", err)
	}
	var elapsed time.Duration // 0 at the first step, and when the clock goes back
	if !s.At.IsZero() {
		elapsed = max(now.Sub(s.At), 0)
	}
	m := moment{spec: spec, driver: s.Driver, readings: make([]reading, len(spec.GPUs))}
	for i, name := range spec.GPUs {
		p, err := profileOf(name)
		if err != nil {
			return moment{}, fmt.Errorf("read simulated GPUs: %w", err)
		}
		s.Devices[i], m.readings[i] = p.step(s.Devices[i], spec.work(i, p, byDevice), elapsed)
	}
	s.At = now
	if err := writeJSON(filepath.Join(dir, stateFile), s); err != nil {
		return moment{}, fmt.Errorf("write simulated GPUs: %w", err)
	}
	return m, nil
}

// work is what the tasks ask of one GPU. What they ask of an instance is its
// part of the whole.
func (s Spec) work(index int, p profile, byDevice map[gpu.UUID][]load.Report) work {
	w := work{whole: byDevice[s.uuid(index)]}
	for n := range p.cut {
		w.instances = append(w.instances, byDevice[s.instance(index, n)])
	}
	return w
}

// loads reads what all tasks of the node report.
func loads(dir string, spec Spec) ([]load.Report, error) {
	dirs := []string{LoadDir(dir)}
	if spec.Allocs != "" {
		found, err := filepath.Glob(load.AllocDir(filepath.Join(spec.Allocs, "*", "alloc")))
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, found...)
	}
	var all []load.Report
	for _, d := range dirs {
		reports, err := load.Read(d)
		if err != nil {
			return nil, err
		}
		all = append(all, reports...)
	}
	return all, nil
}

// driverOf is what became of the driver of the node in dir.
func driverOf(dir string, gpus int) (driver, error) {
	unlock, err := lock(dir)
	if err != nil {
		return driver{}, err
	}
	defer unlock()
	s, err := readState(dir, gpus)
	return s.Driver, err
}
