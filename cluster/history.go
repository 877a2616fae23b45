package cluster

import (
	"math"
	"slices"
	"time"

	"stoker/gpu"
)

// historyLen is the number of points kept: enough for the widest chart.
const historyLen = 120

// historyStep is the time between two points unless a Feed has another, so that
// 120 of them cover ten minutes whatever the rate of the source.
const historyStep = 5 * time.Second

// Unread marks a point of a History at which a metric was unknown.
const Unread = 255

// History is the recent past of one device in quantised points, oldest first.
// It is immutable: appending makes a new one.
type History struct {
	Util, Memory, Power, Temp []uint8       // percent; Power is percent of its limit, Temp °C
	Step                      time.Duration // from one point to the next, where the source is that fast
	busySince, quietSince     time.Time
	last                      time.Time
	every                     time.Duration // between the last two points that the source gave in its usual time
	began                     []uint32      // when each point began, in seconds since 1970; shared while none is added
}

// Moment is one point of a History; nil is unknown.
type Moment struct {
	At time.Time // when it began: it holds the latest reading of five seconds
	// Percent; PowerPercent is of the power limit.
	UtilPercent, MemoryPercent, PowerPercent, TempCelsius *float64
}

// Moments are the points, oldest first.
func (h *History) Moments() []Moment {
	if h == nil {
		return nil
	}
	out := make([]Moment, len(h.began))
	for i, at := range h.began {
		out[i] = Moment{
			At: time.Unix(int64(at), 0), UtilPercent: read(h.Util[i]), MemoryPercent: read(h.Memory[i]),
			PowerPercent: read(h.Power[i]), TempCelsius: read(h.Temp[i]),
		}
	}
	return out
}

func read(point uint8) *float64 {
	if point == Unread {
		return nil
	}
	v := float64(point)
	return &v
}

// busyPercent is the utilisation from which a device counts as working.
const busyPercent = 1

// with returns h with a sample added. Between two points the latest value
// replaces the last one, so the right edge of a chart is always live. A reading
// that comes a little early is a point of its own all the same: no clock ticks evenly.
func (h *History) with(s gpu.Sample, d gpu.Device, step time.Duration) *History {
	n := &History{}
	if h != nil {
		*n = *h
	}
	n.Step = step
	back := !n.last.IsZero() && n.last.Sub(s.At) > setBack
	if back {
		n.busySince, n.quietSince = time.Time{}, time.Time{} // by another clock
	}
	if s.UtilPercent != nil {
		if *s.UtilPercent >= busyPercent {
			n.quietSince = time.Time{}
			n.busySince = first(n.busySince, s.At)
		} else {
			n.busySince = time.Time{}
			n.quietSince = first(n.quietSince, s.At)
		}
	}
	grow := back || n.last.IsZero() || s.At.Sub(n.last) >= step-step/10
	if grow {
		if !back {
			n.miss(s.At)
		}
		n.last = s.At
		n.began = append(slices.Clone(n.began[max(len(n.began)-historyLen+1, 0):]), uint32(s.At.Unix())) //nolint:gosec // good until 2106
	}
	var power, memory *float64
	if limit := s.PowerLimitWatts; s.PowerWatts != nil && limit != nil && *limit > 0 {
		power = percent(*s.PowerWatts, *limit)
	}
	if s.MemoryUsedBytes != nil && d.MemoryBytes > 0 {
		memory = percent(float64(*s.MemoryUsedBytes), float64(d.MemoryBytes))
	}
	n.Util = push(n.Util, s.UtilPercent, grow)
	n.Memory = push(n.Memory, memory, grow)
	n.Power = push(n.Power, power, grow)
	n.Temp = push(n.Temp, s.TempCelsius, grow)
	return n
}

// after returns h with older samples before its own points: those of somebody
// who has watched for longer. Samples from h's own time on are left out.
func (h *History) after(past []gpu.Sample, d gpu.Device, step time.Duration) *History {
	var older *History
	for _, s := range past {
		if h != nil && len(h.began) > 0 && s.At.Unix() >= int64(h.began[0]) {
			break
		}
		older = older.with(s, d, step)
	}
	switch {
	case older == nil:
		return h
	case h == nil || len(h.began) == 0:
		return older
	}
	n := *h
	n.Util, n.Memory = before(older.Util, h.Util), before(older.Memory, h.Memory)
	n.Power, n.Temp = before(older.Power, h.Power), before(older.Temp, h.Temp)
	n.began = before(older.began, h.began)
	// What has held since h began may have held before, unless nobody looked in between.
	start := time.Unix(int64(h.began[0]), 0)
	if start.Sub(older.last) <= goneQuiet {
		n.busySince = unbroken(h.busySince, older.busySince, start)
		n.quietSince = unbroken(h.quietSince, older.quietSince, start)
	}
	return &n
}

// goneQuiet is the longest gap over which a device is taken to have gone on with
// what it did.
const goneQuiet = time.Minute

// unbroken is when something began that went on since before start; is and was
// are its beginnings after and before, zero where it did not hold.
func unbroken(is, was, start time.Time) time.Time {
	if is.IsZero() || was.IsZero() || is.After(start.Add(time.Second)) {
		return is
	}
	return was
}

// before puts points before others, as many as are kept.
func before[P uint8 | uint32](older, newer []P) []P {
	all := slices.Concat(older, newer)
	return all[max(len(all)-historyLen, 0):]
}

// miss puts unknown points where the source was silent for much longer than is
// usual for it: a chart that left the time out would lie about all before.
func (h *History) miss(now time.Time) {
	if h.last.IsZero() {
		return
	}
	gap := now.Sub(h.last)
	if h.every <= 0 || gap < 4*h.every {
		h.every = gap
		return
	}
	for i := range min(int(gap/h.every)-1, historyLen) {
		at := h.last.Add(time.Duration(i+1) * h.every)
		h.began = append(slices.Clone(h.began[max(len(h.began)-historyLen+1, 0):]), uint32(at.Unix())) //nolint:gosec // good until 2106
		h.Util, h.Memory = push(h.Util, nil, true), push(h.Memory, nil, true)
		h.Power, h.Temp = push(h.Power, nil, true), push(h.Temp, nil, true)
	}
}

func first(t, or time.Time) time.Time {
	if t.IsZero() {
		return or
	}
	return t
}

func percent(part, whole float64) *float64 {
	p := 100 * part / whole
	return &p
}

func push(points []uint8, v *float64, grow bool) []uint8 {
	keep := points
	if !grow && len(points) > 0 {
		keep = points[:len(points)-1]
	}
	if len(keep) >= historyLen {
		keep = keep[len(keep)-historyLen+1:]
	}
	out := make([]uint8, len(keep)+1)
	copy(out, keep)
	out[len(keep)] = quantise(v)
	return out
}

func quantise(v *float64) uint8 {
	if v == nil || math.IsNaN(*v) {
		return Unread
	}
	return uint8(min(max(*v+0.5, 0), Unread-1))
}
