//go:build cgo

package nvml

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"stoker/gpu"
)

const (
	eventWait = 250 * time.Millisecond // so that Close need not wait long
	maxEvents = 256                    // kept between two reads; the oldest go first
)

// watcher collects what an event set tells in a goroutine of its own.
type watcher struct {
	set  EventSet
	now  func() time.Time
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	devices []registered
	events  []gpu.Event
	clocks  map[gpu.UUID]time.Time // when the clocks of a device changed first since the last take
	recut   map[gpu.UUID]bool      // whose MIG instances changed
}

type registered struct {
	handle Device
	uuid   gpu.UUID
}

// watch starts a watcher; it is nil where the library has no events.
func watch(lib Library, now func() time.Time) *watcher {
	set, ret := lib.EventSetCreate()
	if ret != nvml.SUCCESS {
		return nil
	}
	w := &watcher{
		set: set, now: now, stop: make(chan struct{}), done: make(chan struct{}),
		clocks: map[gpu.UUID]time.Time{}, recut: map[gpu.UUID]bool{},
	}
	go w.run()
	return w
}

// register adds a device; one without events is as if none happened.
func (w *watcher) register(h Device, uuid gpu.UUID, types uint64) {
	w.mu.Lock()
	i := slices.IndexFunc(w.devices, func(r registered) bool { return r.uuid == uuid })
	if i >= 0 && w.devices[i].handle == h {
		w.mu.Unlock()
		return // the driver keeps a registration over a loss
	}
	if i >= 0 {
		w.devices = slices.Delete(w.devices, i, i+1)
	}
	w.devices = append(w.devices, registered{h, uuid})
	w.mu.Unlock()
	w.set.Register(h, types)
}

func (w *watcher) run() {
	defer close(w.done)
	for {
		select {
		case <-w.stop:
			return
		default:
		}
		e, ret := w.set.Wait(uint32(eventWait.Milliseconds()))
		switch ret {
		case nvml.SUCCESS:
			w.add(e)
		case nvml.ERROR_TIMEOUT:
		default:
			// The driver answers at once when a device is lost: without a
			// pause this would turn in circles.
			select {
			case <-w.stop:
				return
			case <-time.After(eventWait):
			}
		}
	}
}

func (w *watcher) add(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.devices, func(r registered) bool { return r.handle == e.Device })
	if i < 0 {
		return
	}
	uuid := w.devices[i].uuid
	kind, verdict, text := named(e.Type)
	switch e.Type {
	case nvml.EventTypeXidCriticalError:
		x, _ := gpu.LookupXid(e.Data)
		w.keep(gpu.Event{UUID: uuid, At: w.now(), Kind: gpu.EventXid, Xid: e.Data, Text: x.String()})
		return
	case nvml.EventTypeClock:
		// A busy GPU changes its clocks all the time: only the next reading
		// tells whether something held them back.
		if _, earlier := w.clocks[uuid]; !earlier {
			w.clocks[uuid] = w.now()
		}
		return
	case nvml.EventMigConfigChange:
		w.recut[uuid] = true
	}
	if kind != "" {
		w.keep(gpu.Event{UUID: uuid, At: w.now(), Kind: kind, Verdict: verdict, Text: text})
	}
}

// named says what a type of event is; the kind is empty for one that tells nothing.
func named(eventType uint64) (gpu.EventKind, gpu.Verdict, string) {
	switch eventType {
	case nvml.EventTypeDoubleBitEccError:
		return gpu.EventECC, gpu.VerdictFailed, "uncorrectable memory error"
	case nvml.EventTypeSingleBitEccErrorStorm:
		return gpu.EventECC, gpu.VerdictWatch, "a storm of corrected memory errors"
	case nvml.EventTypeDramRetirementEvent:
		return gpu.EventECC, gpu.VerdictWatch, "memory was taken out of use"
	case nvml.EventTypeDramRetirementFailure:
		return gpu.EventECC, gpu.VerdictFailed, "memory could not be taken out of use"
	case nvml.EventTypeNonFatalPoisonError:
		return gpu.EventECC, gpu.VerdictWatch, "damaged data was found and kept apart"
	case nvml.EventTypeFatalPoisonError:
		return gpu.EventECC, gpu.VerdictFailed, "damaged data was used"
	case nvml.EventTypePowerSourceChange:
		return gpu.EventPower, gpu.VerdictWatch, "the source of power changed"
	case nvml.EventMigConfigChange:
		return gpu.EventMIG, gpu.VerdictOK, "the MIG instances changed"
	}
	return "", gpu.VerdictUnknown, ""
}

// keep adds an event; the caller holds mu.
func (w *watcher) keep(e gpu.Event) {
	w.events = append(w.events, e)
	if extra := len(w.events) - maxEvents; extra > 0 {
		w.events = slices.Delete(w.events, 0, extra)
	}
}

// wasRecut tells once that a device's instances changed.
func (w *watcher) wasRecut(uuid gpu.UUID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.recut[uuid]
	delete(w.recut, uuid)
	return was
}

// clocksAt is when the clocks of a device changed since it was last asked; zero
// when they did not.
func (w *watcher) clocksAt(uuid gpu.UUID) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.clocks[uuid]
	delete(w.clocks, uuid)
	return at
}

// take gives the events since the last take.
func (w *watcher) take() []gpu.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	events := w.events
	w.events = nil
	return events
}

// close stops the goroutine. Where the driver hangs, it is left behind after
// patience, and so is the set.
func (w *watcher) close(patience time.Duration) error {
	close(w.stop)
	select {
	case <-w.done:
		return asError(w.set.Free())
	case <-time.After(patience):
		return fmt.Errorf("the wait for events did not end in %s", patience)
	}
}
