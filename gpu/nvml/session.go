//go:build cgo

package nvml

import (
	"errors"
	"fmt"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// session is the library while it is open: handles, and what the driver is.
// A driver that is loaded again needs a new one.
type session struct {
	lib    Library
	driver string
	cuda   string
	lacks  []string // functions that the library does not have
	watch  *watcher // nil where the library has no events
	slots  []*slot
}

// slot is one place in the driver's list of devices.
type slot struct {
	probe    *probe
	pending  chan reading // not nil while a reading is under way
	asked    time.Time    // when that began
	late     bool         // it was waited for in vain
	holds    *known       // the device last found here, or that stands in for it; nil until the first reading
	answered bool         // holds is what the device itself said
}

// openSession initialises the library and starts to listen for events.
func openSession(lib Library, now func() time.Time) (*session, error) {
	switch ret := lib.Init(); ret {
	case nvml.SUCCESS:
	case nvml.ERROR_LIBRARY_NOT_FOUND, nvml.ERROR_DRIVER_NOT_LOADED:
		return nil, fmt.Errorf("open NVML: %w: %w", ErrNoDriver, asError(ret))
	default:
		return nil, fmt.Errorf("open NVML: %w", asError(ret))
	}
	count, ret := lib.DeviceGetCount()
	if ret != nvml.SUCCESS {
		err := fmt.Errorf("count GPUs: %w", asError(ret))
		return nil, errors.Join(err, asError(lib.Shutdown()))
	}
	s := &session{lib: lib}
	if v, ret := lib.SystemGetDriverVersion(); ret == nvml.SUCCESS {
		s.driver = v
	}
	if v, ret := lib.SystemGetCudaDriverVersion_v2(); ret == nvml.SUCCESS {
		s.cuda = fmt.Sprintf("%d.%d", v/1000, v%1000/10)
	}
	absent, names := missing(lib)
	s.lacks = names
	s.watch = watch(lib, now)
	for i := range count {
		s.slots = append(s.slots, &slot{probe: &probe{lib: lib, index: i, missing: absent, watch: s.watch}})
	}
	return s, nil
}

// hung are the slots with a reading under way.
func (s *session) hung() []*slot {
	var out []*slot
	for _, sl := range s.slots {
		if sl.pending != nil {
			out = append(out, sl)
		}
	}
	return out
}

// close stops listening and lets the library go. Nothing may be under way,
// unless the process ends.
func (s *session) close(patience time.Duration) error {
	var err error
	if s.watch != nil {
		err = s.watch.close(patience)
	}
	for _, sl := range s.slots {
		if sl.pending == nil {
			sl.probe.forget()
		}
	}
	// A driver that hangs in a call may never let go: whoever closes must not hang, too.
	done := make(chan nvml.Return, 1)
	go func() { done <- s.lib.Shutdown() }()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case ret := <-done:
		return errors.Join(err, asError(ret))
	case <-limit.C:
		return errors.Join(err, fmt.Errorf("the driver did not let go in %s", patience))
	}
}

// ask starts the reading of each device that has none under way; turn is the
// slot that measures PCI Express, -1 for none.
func (s *session) ask(now time.Time, turn int) {
	for i, sl := range s.slots {
		if sl.pending != nil {
			continue // hung: its goroutine is still in the driver
		}
		answer := make(chan reading, 1)
		sl.pending, sl.asked = answer, now
		go func() { answer <- sl.probe.read(now, i == turn) }()
	}
}

// grace is the part of the patience that follows it. A machine that stood still, or
// had no time for anybody, lets the patience run out with all answers on their way.
const grace = 5

// gather takes the answers that come in time, nil for those that do not. A
// device is waited for once: while it hangs, the others are read as often as ever.
func (s *session) gather(patience time.Duration) []*reading {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	answers := make([]*reading, len(s.slots))
	graced, expired := false, false
	for i, sl := range s.slots {
		if expired || sl.late { // what came in time still counts
			select {
			case a := <-sl.pending:
				answers[i] = &a
			default:
			}
			continue
		}
		for answers[i] == nil && !expired {
			select {
			case a := <-sl.pending:
				answers[i] = &a
			case <-deadline.C:
				expired, graced = graced, true
				deadline.Reset(patience / grace)
			}
		}
	}
	for i, sl := range s.slots {
		sl.late = answers[i] == nil
		if answers[i] != nil {
			sl.pending = nil
		}
	}
	return answers
}

// unloaded tells that the driver went away under the library: every device
// answers that, and none is being waited for.
func unloaded(answers []*reading) bool {
	for _, a := range answers {
		if a == nil || !driverGone(a.fault) {
			return false
		}
	}
	return len(answers) > 0
}
