//go:build cgo

package sim

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"

	"stoker/gpu/nvml"
)

const (
	fresh    = 100 * time.Millisecond // how long a moment answers calls
	pollStep = 100 * time.Millisecond // between two looks for an event, or for the end of a hang
)

const supportedEvents = gonvml.EventTypeXidCriticalError | gonvml.EventTypeSingleBitEccErrorStorm | gonvml.EventTypeDoubleBitEccError |
	gonvml.EventTypeDramRetirementEvent | gonvml.EventTypeDramRetirementFailure | gonvml.EventTypeNonFatalPoisonError |
	gonvml.EventTypeFatalPoisonError | gonvml.EventTypeClock | gonvml.EventTypePowerSourceChange | gonvml.EventMigConfigChange

// library is the GPUs of one folder as an nvml.Library.
type library struct {
	dir     string
	now     func() time.Time
	handles []*device

	mu     sync.Mutex
	open   bool
	closed chan struct{} // closed by Shutdown, so that hung calls return
	loads  int           // of the driver when it was opened
	found  []*device     // the handles by NVML's index
	moment moment
	taken  time.Time // when moment was
}

// Open gives the simulated GPUs of the folder that Create made.
func Open(dir string) (nvml.Library, error) { return OpenAt(dir, time.Now) }

// OpenAt is Open with a clock: the GPUs warm up and cool down by it.
func OpenAt(dir string, now func() time.Time) (nvml.Library, error) {
	spec, err := readSpec(dir)
	if err != nil {
		return nil, err
	}
	l := &library{dir: dir, now: now, closed: make(chan struct{})}
	close(l.closed)
	for i, name := range spec.GPUs {
		p, err := profileOf(name)
		if err != nil {
			return nil, fmt.Errorf("open simulated GPUs: %w", err)
		}
		l.handles = append(l.handles, &device{library: l, index: i, profile: p, spec: spec})
	}
	return l, nil
}

// Supports is true: the simulated driver is a recent one.
func (l *library) Supports(string) bool { return true }

// Init finds the GPUs, unless the driver is away.
func (l *library) Init() gonvml.Return {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open {
		return gonvml.SUCCESS
	}
	d, err := driverOf(l.dir, len(l.handles))
	if err != nil {
		return gonvml.ERROR_UNKNOWN
	}
	if time.Now().Before(d.Back) { // by the clock of the world, as the module is loaded
		return gonvml.ERROR_DRIVER_NOT_LOADED
	}
	l.open, l.closed, l.loads, l.found, l.taken = true, make(chan struct{}), d.Loads, nil, time.Time{}
	for i, h := range l.handles {
		if !slices.Contains(d.Absent, i) {
			l.found = append(l.found, h)
		}
	}
	return gonvml.SUCCESS
}

func (l *library) Shutdown() gonvml.Return {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open {
		return gonvml.ERROR_UNINITIALIZED
	}
	l.open = false
	close(l.closed)
	return gonvml.SUCCESS
}

func (l *library) SystemGetDriverVersion() (string, gonvml.Return) {
	return "580.82.07", gonvml.SUCCESS
}

func (l *library) SystemGetCudaDriverVersion_v2() (int, gonvml.Return) { return 13000, gonvml.SUCCESS }

func (l *library) DeviceGetCount() (int, gonvml.Return) { return len(l.devices()), gonvml.SUCCESS }

// devices are those that the driver found when it was loaded.
func (l *library) devices() []*device {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.found
}

func (l *library) DeviceGetHandleByIndex(index int) (nvml.Device, gonvml.Return) {
	found := l.devices()
	if index < 0 || index >= len(found) {
		return nil, gonvml.ERROR_INVALID_ARGUMENT
	}
	return found[index], gonvml.SUCCESS
}

func (l *library) EventSetCreate() (nvml.EventSet, gonvml.Return) {
	log, err := readXids(l.dir)
	if err != nil {
		return nil, gonvml.ERROR_OPERATING_SYSTEM
	}
	return &eventSet{library: l, seen: log.Last}, gonvml.SUCCESS
}

// ended is closed when the library is shut down.
func (l *library) ended() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// at is when the readings that calls answer with were taken.
func (l *library) at() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.taken
}

// read gives what one GPU shows now.
func (l *library) read(index int) (reading, gonvml.Return) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open {
		return reading{}, gonvml.ERROR_UNINITIALIZED
	}
	now := l.now()
	if age := now.Sub(l.taken); l.taken.IsZero() || age < 0 || age >= fresh {
		m, err := advance(l.dir, now)
		if err != nil {
			// The folder is gone or broken: as if the driver were.
			return reading{}, gonvml.ERROR_UNKNOWN
		}
		l.moment, l.taken = m, now
	}
	if l.moment.driver.Loads != l.loads {
		return reading{}, gonvml.ERROR_UNINITIALIZED // it was unloaded under the open library
	}
	if index >= len(l.moment.readings) {
		return reading{}, gonvml.ERROR_GPU_IS_LOST // taken out of the spec
	}
	return l.moment.readings[index], gonvml.SUCCESS
}

// eventSet reports what was injected since it was made.
type eventSet struct {
	library *library

	mu      sync.Mutex
	devices map[*device]uint64 // and the types of event that each is to report
	seen    int                // the number of the last entry looked at
	file    os.FileInfo
	queue   []xidEntry
}

func (s *eventSet) Register(d nvml.Device, eventTypes uint64) gonvml.Return {
	sd, ok := d.(*device)
	if !ok || sd.library != s.library {
		return gonvml.ERROR_INVALID_ARGUMENT
	}
	if eventTypes&^supportedEvents != 0 {
		return gonvml.ERROR_NOT_SUPPORTED
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.devices == nil {
		s.devices = map[*device]uint64{}
	}
	s.devices[sd] |= eventTypes
	return gonvml.SUCCESS
}

func (s *eventSet) Wait(timeoutMillis uint32) (nvml.Event, gonvml.Return) {
	deadline := time.After(time.Duration(timeoutMillis) * time.Millisecond)
	for {
		e, found, err := s.next()
		if err != nil {
			return nvml.Event{}, gonvml.ERROR_UNKNOWN
		}
		if found {
			return e, gonvml.SUCCESS
		}
		select {
		case <-deadline:
			return nvml.Event{}, gonvml.ERROR_TIMEOUT
		case <-s.library.ended():
			return nvml.Event{}, gonvml.ERROR_UNINITIALIZED
		case <-time.After(pollStep):
		}
	}
}

// next takes one entry of a registered device, when there is one.
func (s *eventSet) next() (nvml.Event, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refill(); err != nil {
		return nvml.Event{}, false, err
	}
	for len(s.queue) > 0 {
		x := s.queue[0]
		s.queue = s.queue[1:]
		kind := x.Type
		if x.Xid != 0 {
			kind = gonvml.EventTypeXidCriticalError
		}
		for d, types := range s.devices {
			if d.index == x.GPU && types&kind != 0 {
				return nvml.Event{Device: d, Type: kind, Data: x.Xid}, true, nil
			}
		}
	}
	return nvml.Event{}, false, nil
}

// refill reads the log when the file is another than before: it is replaced
// at each Xid, so asking for its identity is enough.
func (s *eventSet) refill() error {
	info, err := os.Stat(filepath.Join(s.library.dir, eventsFile))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if s.file != nil && os.SameFile(s.file, info) && info.ModTime().Equal(s.file.ModTime()) {
		return nil
	}
	log, err := readXids(s.library.dir)
	if err != nil {
		return err
	}
	for _, x := range log.Xids {
		if x.Seq > s.seen {
			s.queue = append(s.queue, x)
		}
	}
	s.seen, s.file = log.Last, info
	return nil
}

func (s *eventSet) Free() gonvml.Return { return gonvml.SUCCESS }
