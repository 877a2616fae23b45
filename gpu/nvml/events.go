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

// watcher collects Xids from an event set in a goroutine of its own.
type watcher struct {
	set  EventSet
	now  func() time.Time
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	devices []registered
	events  []gpu.Event
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
	w := &watcher{set: set, now: now, stop: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w
}

// register adds a device; one without Xid events is as if none happened.
func (w *watcher) register(h Device, uuid gpu.UUID) {
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
	w.set.Register(h, nvml.EventTypeXidCriticalError)
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
	if e.Type&nvml.EventTypeXidCriticalError == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.devices, func(r registered) bool { return r.handle == e.Device })
	if i < 0 {
		return
	}
	x, _ := gpu.LookupXid(e.Data)
	w.events = append(w.events, gpu.Event{
		UUID: w.devices[i].uuid, At: w.now(), Kind: gpu.EventXid, Xid: e.Data, Text: x.String(),
	})
	if extra := len(w.events) - maxEvents; extra > 0 {
		w.events = slices.Delete(w.events, 0, extra)
	}
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
