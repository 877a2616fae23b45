//go:build cgo

package nvml

import (
	"slices"
	"strings"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"stoker/gpu"
)

// known is a device that has answered once. It is expected from then on: one
// that is missing after the driver was loaded again is lost.
type known struct {
	devices []gpu.Device // the device and its MIG instances, as last seen
	records map[gpu.UUID]gpu.Record
	lost    bool
	held    []string           // what held its clocks back at the last reading
	seconds map[string]float64 // the throttle counters of then
}

func (k *known) uuid() gpu.UUID { return k.devices[0].UUID }

// silence is why a device gave no reading; lost says that it is not there.
type silence struct {
	why  string
	lost bool
}

const (
	whyHung     = "the driver does not answer for this GPU; drain and restart the node"
	whyLost     = "GPU is lost: the driver cannot reach it; drain and restart the node"
	whyMissing  = "GPU is lost: the driver does not find it any more; drain and restart the node"
	whyUnloaded = "the NVIDIA driver is not loaded; load it again"
)

// silenceOf says why an answer holds no reading; nil when it holds one.
func silenceOf(a *reading) *silence {
	switch {
	case a == nil:
		return &silence{why: whyHung}
	case a.fault == nvml.SUCCESS:
		return nil
	case a.fault == nvml.ERROR_GPU_IS_LOST, a.fault == nvml.ERROR_GPU_NOT_FOUND:
		return &silence{why: whyLost, lost: true}
	case driverGone(a.fault):
		return &silence{why: whyUnloaded}
	}
	return &silence{why: returnError(a.fault).Error()}
}

// conclude judges a device by its reading, or by its silence, and adds it to
// the batch. clocksAt is when the driver told of changed clocks, zero if not.
func (k *known) conclude(rules gpu.Rules, a *reading, quiet *silence, events map[gpu.UUID][]gpu.Event, clocksAt time.Time, b *gpu.Batch) {
	e := gpu.Evidence{}
	if quiet != nil {
		e.Silent, e.Lost = quiet.why, quiet.lost
	} else {
		k.devices = a.devices
	}
	for i, d := range k.devices {
		e.Device, e.Sample = d, gpu.Sample{UUID: d.UUID, At: b.At}
		if quiet == nil {
			e.Sample = a.samples[i]
		}
		// An Xid is the whole device's.
		e.Events = events[k.uuid()]
		rec := rules.Judge(k.records[d.UUID], e)
		k.records[d.UUID] = rec
		e.Sample.Health = rec.Health
		b.Devices, b.Samples = append(b.Devices, d), append(b.Samples, e.Sample)
	}
	if lost := e.Lost; lost != k.lost && (lost || quiet == nil) {
		kind, text := gpu.EventBack, "GPU answers again"
		if lost {
			kind, text = gpu.EventLost, "GPU is lost"
		}
		b.Events = append(b.Events, gpu.Event{UUID: k.uuid(), At: b.At, Kind: kind, Text: text})
		k.lost = lost
	}
	if quiet == nil {
		k.clocks(a.samples[0], clocksAt, b)
	}
}

// clocks tells when what holds the clocks back began or ended, and what held
// them for so short that no reading saw it. The limit of power is left out: a
// GPU that works as hard as it may reaches it all the time.
func (k *known) clocks(s gpu.Sample, changed time.Time, b *gpu.Batch) {
	at := b.At
	if !changed.IsZero() {
		at = changed
	}
	var held []string
	for _, r := range s.Throttle {
		if r != "sw_power_cap" && r != "applications_clocks_setting" && r != "display_clock_setting" {
			held = append(held, r)
		}
	}
	tell := func(v gpu.Verdict, text string) {
		b.Events = append(b.Events, gpu.Event{UUID: k.uuid(), At: at, Kind: gpu.EventClock, Verdict: v, Text: text})
	}
	switch same := slices.Equal(held, k.held); {
	case !same && len(held) > 0:
		tell(gpu.VerdictWatch, "clocks held back: "+strings.Join(held, ", "))
	case !same:
		tell(gpu.VerdictOK, "clocks are free again")
	case len(held) == 0 && s.Detail != nil:
		for _, r := range []string{"hw_power_brake_slowdown", "hw_thermal_slowdown", "sw_thermal_slowdown"} {
			was, known := k.seconds[r]
			if is := s.Detail.ThrottleSeconds[r]; known && is > was {
				tell(gpu.VerdictWatch, "clocks were held back for a moment: "+r)
			}
		}
	}
	k.held = held
	if s.Detail != nil {
		k.seconds = s.Detail.ThrottleSeconds
	}
}
