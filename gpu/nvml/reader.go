//go:build cgo

package nvml

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"stoker/gpu"
)

// Reader reads all GPUs of one node.
type Reader struct {
	lib      Library
	node     string
	now      func() time.Time
	patience time.Duration
	rules    gpu.Rules
	driver   string
	cuda     string
	watch    *watcher // nil where the library has no events

	mu      sync.Mutex // held for the length of a Read
	slots   []*slot
	pcieAt  time.Time // when a device last had its turn for PCIe
	pcieDue int       // whose turn is next
	closed  bool
}

// slot is one place in the driver's list of devices.
type slot struct {
	probe   *probe
	pending chan reading // not nil while a read is under way
	// devices are the device and its instances as last seen; none until the
	// device has answered once.
	devices []gpu.Device
	records map[gpu.UUID]gpu.Record
	lost    bool
}

// Option changes how a Reader works.
type Option func(*Reader)

// Clock sets the clock that dates events; it is time.Now otherwise.
func Clock(now func() time.Time) Option { return func(r *Reader) { r.now = now } }

// Patience sets how long a Read waits for a device before it calls it hung:
// 2 s unless set.
func Patience(d time.Duration) Option { return func(r *Reader) { r.patience = d } }

// Rules sets the rules by which devices are judged; they are
// gpu.DefaultRules otherwise.
func Rules(rules gpu.Rules) Option { return func(r *Reader) { r.rules = rules } }

// Open initialises the library and starts to listen for Xids. node is the
// Nomad node's ID that batches carry. The error is ErrNoDriver where the
// library is installed but no driver runs.
func Open(lib Library, node string, options ...Option) (*Reader, error) {
	r := &Reader{lib: lib, node: node, now: time.Now, patience: 2 * time.Second, rules: gpu.DefaultRules()}
	for _, o := range options {
		o(r)
	}
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
	if v, ret := lib.SystemGetDriverVersion(); ret == nvml.SUCCESS {
		r.driver = v
	}
	if v, ret := lib.SystemGetCudaDriverVersion_v2(); ret == nvml.SUCCESS {
		r.cuda = fmt.Sprintf("%d.%d", v/1000, v%1000/10)
	}
	r.watch = watch(lib, r.now)
	absent := missing(lib)
	for i := range count {
		p := &probe{lib: lib, index: i, missing: absent, watch: r.watch}
		r.slots = append(r.slots, &slot{probe: p, records: map[gpu.UUID]gpu.Record{}})
	}
	return r, nil
}

// Read reads all devices. A device that does not answer is in the batch with
// a failed health and no numbers; it is left out only if it has never
// answered, since nothing tells then what it is. The error is for a Reader
// that was closed.
func (r *Reader) Read(now time.Time) (gpu.Batch, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return gpu.Batch{}, errors.New("read GPUs: the reader is closed")
	}
	r.ask(now)
	deadline := time.NewTimer(r.patience)
	defer deadline.Stop()
	answers := make([]*reading, len(r.slots))
	expired := false
	for i, s := range r.slots {
		if expired { // what came in time still counts
			select {
			case a := <-s.pending:
				answers[i] = &a
			default:
			}
			continue
		}
		select {
		case a := <-s.pending:
			answers[i] = &a
		case <-deadline.C:
			expired = true
		}
	}
	b := gpu.Batch{Node: r.node, Source: "nvml", At: now, Driver: r.driver, CUDA: r.cuda}
	events := map[gpu.UUID][]gpu.Event{}
	if r.watch != nil {
		b.Events = r.watch.take()
		for _, e := range b.Events {
			events[e.UUID] = append(events[e.UUID], e)
		}
	}
	for i, s := range r.slots {
		if answers[i] != nil {
			s.pending = nil
		}
		r.conclude(s, answers[i], events, &b)
	}
	return b, nil
}

// ask starts the reading of each device that has none under way.
func (r *Reader) ask(now time.Time) {
	turn := -1
	if r.pcieAt.IsZero() {
		r.pcieAt = now // the first read is to be quick
	} else if now.Sub(r.pcieAt) >= time.Second && len(r.slots) > 0 {
		turn = r.pcieDue % len(r.slots)
		r.pcieAt, r.pcieDue = now, turn+1
	}
	for i, s := range r.slots {
		if s.pending != nil {
			continue // hung: its goroutine is still in the driver
		}
		answer := make(chan reading, 1)
		s.pending = answer
		go func() { answer <- s.probe.read(now, i == turn) }()
	}
}

// conclude judges one slot by its answer, nil for none, and adds it to the batch.
func (r *Reader) conclude(s *slot, a *reading, events map[gpu.UUID][]gpu.Event, b *gpu.Batch) {
	silent, lost := "", false
	switch {
	case a == nil:
		silent = "the driver does not answer for this GPU; drain and restart the node"
	case a.fault == nvml.ERROR_GPU_IS_LOST, a.fault == nvml.ERROR_GPU_NOT_FOUND:
		silent, lost = "GPU is lost: the driver cannot reach it; drain and restart the node", true
	case a.fault != nvml.SUCCESS:
		silent = returnError(a.fault).Error()
	}
	if silent == "" {
		s.devices = a.devices
	}
	for i, d := range s.devices {
		sample := gpu.Sample{UUID: d.UUID, At: b.At}
		if silent == "" {
			sample = a.samples[i]
		}
		parent := d.UUID
		if d.Parent != "" {
			parent = d.Parent // an Xid is the whole device's
		}
		rec := r.rules.Judge(s.records[d.UUID], gpu.Evidence{Sample: sample, Silent: silent, Lost: lost, Events: events[parent]})
		s.records[d.UUID] = rec
		sample.Health = rec.Health
		b.Devices, b.Samples = append(b.Devices, d), append(b.Samples, sample)
		if d.Parent == "" && lost != s.lost && (lost || silent == "") {
			kind, text := gpu.EventBack, "GPU answers again"
			if lost {
				kind, text = gpu.EventLost, "GPU is lost"
			}
			b.Events = append(b.Events, gpu.Event{UUID: d.UUID, At: b.At, Kind: kind, Text: text})
			s.lost = lost
		}
	}
}

// Close stops listening and lets the library go. A second Close does nothing.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	var err error
	if r.watch != nil {
		err = r.watch.close(r.patience)
	}
	if err = errors.Join(err, asError(r.lib.Shutdown())); err != nil {
		return fmt.Errorf("close NVML: %w", err)
	}
	return nil
}
