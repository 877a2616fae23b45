//go:build cgo

package nvml

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"stoker/gpu"
)

// Reader reads all GPUs of one node.
type Reader struct {
	lib      Library
	node     string
	now      func() time.Time
	patience time.Duration
	rules    gpu.Rules

	mu       sync.Mutex // held for the length of a Read
	session  *session   // nil while the library is closed
	opening  chan opened
	openAt   time.Time // while it is closed: when to try to open it
	released bool      // it is closed because Release asked for it
	lookAt   time.Time // while a device is lost: when to open the library anew
	look     time.Duration
	known    []*known  // by index
	pcieAt   time.Time // when a device last had its turn for PCIe
	pcieDue  int       // whose turn is next
	closed   bool

	hungMu sync.Mutex
	hung   map[gpu.UUID]time.Time
}

type opened struct {
	session *session
	err     error
}

// Option changes how a Reader works.
type Option func(*Reader)

// Clock sets the clock that dates events; it is time.Now otherwise.
func Clock(now func() time.Time) Option { return func(r *Reader) { r.now = now } }

// Patience sets how long a Read waits for a device before it calls it hung:
// 1.5 s unless set, so that who reads each second knows within three.
func Patience(d time.Duration) Option { return func(r *Reader) { r.patience = d } }

// Rules sets the rules by which devices are judged; they are
// gpu.DefaultRules otherwise.
func Rules(rules gpu.Rules) Option { return func(r *Reader) { r.rules = rules } }

// Expect names devices that the node has had: one that is not found is lost,
// as if it had answered this Reader once.
func Expect(devices []gpu.Device) Option {
	return func(r *Reader) {
		for _, d := range devices {
			if d.Parent == "" && d.UUID.Named() {
				r.find([]gpu.Device{d})
			}
		}
	}
}

const (
	reopenEvery = time.Second      // while the driver is not loaded
	lookFirst   = 30 * time.Second // for a lost device, with a new session
	lookMost    = 10 * time.Minute
)

// Open initialises the library and starts to listen for events. node is the
// Nomad node's ID that batches carry. The error is ErrNoDriver where the
// library is installed but no driver runs.
func Open(lib Library, node string, options ...Option) (*Reader, error) {
	r := &Reader{lib: lib, node: node, now: time.Now, patience: 1500 * time.Millisecond, rules: gpu.DefaultRules(), look: lookFirst}
	for _, o := range options {
		o(r)
	}
	var err error
	r.session, err = openSession(lib, r.now)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Read reads all devices. A device that does not answer is in the batch with
// a failed health and no numbers, and nameless if it has never answered. The
// error is ErrReleased
// after Release, or for a Reader that was closed.
func (r *Reader) Read(now time.Time) (gpu.Batch, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return gpu.Batch{}, errors.New("read GPUs: the reader is closed")
	}
	b := gpu.Batch{Node: r.node, Source: "nvml", At: now}
	if why, err := r.reopen(now); err != nil {
		return gpu.Batch{}, err
	} else if why != "" {
		for _, k := range r.known {
			k.conclude(r.rules, nil, &silence{why: why}, nil, time.Time{}, &b)
		}
		return b, nil
	}
	s := r.session
	s.ask(now, r.turn(now))
	answers := s.gather(r.patience)
	b.Driver, b.CUDA, b.Lacks = s.driver, s.cuda, s.lacks
	events := map[gpu.UUID][]gpu.Event{}
	if s.watch != nil {
		b.Events = s.watch.take()
		for _, e := range b.Events {
			events[e.UUID] = append(events[e.UUID], e)
		}
	}
	r.conclude(answers, events, &b)
	r.note(s)
	r.renew(now, answers)
	return b, nil
}

// heard is what a slot told of a device at one reading.
type heard struct {
	answer *reading
	quiet  *silence
}

// conclude judges every device that answered now or before.
func (r *Reader) conclude(answers []*reading, events map[gpu.UUID][]gpu.Event, b *gpu.Batch) {
	from := map[*known]heard{}
	for i, sl := range r.session.slots {
		a := answers[i]
		quiet := silenceOf(a)
		switch {
		case quiet == nil:
			r.forgetNameless(sl, a)
			a.rename(from, sl.probe.index)
			sl.holds, sl.answered = r.find(a.devices), true
		case !sl.answered: // it never said what it is, but it is there
			sl.holds = r.standIn(sl, answers)
		}
		from[sl.holds] = heard{a, quiet}
	}
	for _, k := range r.known {
		h, present := from[k]
		if !present {
			h.quiet = &silence{why: whyMissing, lost: true}
			if len(r.session.hung()) > 0 {
				h.quiet = &silence{why: whyHung} // perhaps it is behind the one that hangs
			}
		}
		var clocksAt time.Time
		if w := r.session.watch; w != nil {
			clocksAt = w.clocksAt(k.uuid())
		}
		k.conclude(r.rules, h.answer, h.quiet, events, clocksAt, b)
	}
}

// standIn gives the device of a place that has not answered since the library
// was opened: the one that was there before, unless that is elsewhere now,
// else one without a name. A lost GPU would else be there twice as soon as the
// library was opened anew to look for it.
func (r *Reader) standIn(sl *slot, answers []*reading) *known {
	if sl.holds != nil && !sl.holds.uuid().Named() {
		return sl.holds
	}
	for _, k := range r.known {
		if k.devices[0].Index == sl.probe.index && k.uuid().Named() && !r.elsewhere(k, sl, answers) {
			return k
		}
	}
	return r.find([]gpu.Device{nameless(sl.probe.index)})
}

// elsewhere tells that another place has this device, or answers as it now.
func (r *Reader) elsewhere(k *known, than *slot, answers []*reading) bool {
	for i, sl := range r.session.slots {
		if sl == than {
			continue
		}
		if sl.holds == k || silenceOf(answers[i]) == nil && answers[i].devices[0].UUID == k.uuid() {
			return true
		}
	}
	return false
}

// rename tells devices apart that a strange driver gives the same name.
func (a *reading) rename(others map[*known]heard, index int) {
	for k := range others {
		if k.uuid() == a.devices[0].UUID {
			a.devices[0].UUID = gpu.UUID(fmt.Sprintf("%s-%d", a.devices[0].UUID, index))
			a.samples[0].UUID = a.devices[0].UUID
			return
		}
	}
}

// forgetNameless drops what stood for a device until it answered.
func (r *Reader) forgetNameless(sl *slot, a *reading) {
	if sl.holds != nil && !sl.holds.uuid().Named() && a.devices[0].UUID.Named() {
		r.known = slices.DeleteFunc(r.known, func(k *known) bool { return k == sl.holds })
		sl.holds = nil
	}
}

// find gives the known device of this name, which may be new.
func (r *Reader) find(devices []gpu.Device) *known {
	i := slices.IndexFunc(r.known, func(k *known) bool { return k.uuid() == devices[0].UUID })
	if i >= 0 {
		return r.known[i]
	}
	k := &known{devices: devices, records: map[gpu.UUID]gpu.Record{}}
	r.known = append(r.known, k)
	slices.SortStableFunc(r.known, func(a, b *known) int { return cmp.Compare(a.devices[0].Index, b.devices[0].Index) })
	return k
}

// turn says which device measures PCI Express now, -1 for none.
func (r *Reader) turn(now time.Time) int {
	switch slots := len(r.session.slots); {
	case r.pcieAt.IsZero():
		r.pcieAt = now // the first read is to be quick
	case now.Sub(r.pcieAt) >= time.Second && slots > 0:
		turn := r.pcieDue % slots
		r.pcieAt, r.pcieDue = now, turn+1
		return turn
	}
	return -1
}

// note remembers which devices hang, for Hung.
func (r *Reader) note(s *session) {
	hung := map[gpu.UUID]time.Time{}
	for _, sl := range s.hung() {
		if sl.holds != nil {
			hung[sl.holds.uuid()] = sl.asked
		}
	}
	r.hungMu.Lock()
	defer r.hungMu.Unlock()
	r.hung = hung
}

// Hung tells which devices have not answered at the last Read, and since when.
// It never waits.
func (r *Reader) Hung() map[gpu.UUID]time.Time {
	r.hungMu.Lock()
	defer r.hungMu.Unlock()
	return maps.Clone(r.hung)
}

// Close stops listening and lets the library go. A second Close does nothing.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	if r.session == nil {
		return nil
	}
	if err := r.session.close(r.patience); err != nil {
		return fmt.Errorf("close NVML: %w", err)
	}
	return nil
}

// Release closes the library, which else keeps the driver's module in use. It
// is opened again by the first Read after hold that finds a driver. The error
// is for a driver that hangs in a call, under which nothing can be closed.
func (r *Reader) Release(hold time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return errors.New("release the driver: the reader is closed")
	case r.opening != nil:
		return errors.New("release the driver: it does not answer; restart the node")
	}
	if r.session != nil {
		if hung := r.session.hung(); len(hung) > 0 {
			var names []string
			for _, sl := range hung {
				names = append(names, fmt.Sprint(sl.probe.index))
			}
			return fmt.Errorf("release the driver: it does not answer for GPU %s; restart the node", strings.Join(names, ", "))
		}
		err := r.session.close(r.patience)
		r.session = nil
		if err != nil {
			return fmt.Errorf("release the driver: %w", err)
		}
	}
	r.released, r.openAt = true, r.now().Add(hold)
	return nil
}
