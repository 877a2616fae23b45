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
// It is immutable: appending makes a new one, which shares the points that stand.
type History struct {
	Step                  time.Duration // from one point to the next, where the source is that fast
	busySince, quietSince time.Time
	last                  time.Time     // when the last point began
	every                 time.Duration // between the last two points that the source gave in its usual time
	settled               []point       // all but the last, which each reading replaces; shared
	live                  point
	// room is how much of the array of settled nobody has written to yet. Who
	// appends where it ends may do so in place: no earlier History looks there.
	room *int
}

// point is what was read at one time, in percent; power is of its limit, temp in °C.
type point struct {
	began                     uint32 // in seconds since 1970
	util, memory, power, temp uint8
}

// Util is in percent. As its like, it has a number for each point, or Unread, and
// is nil where nothing is known.
func (h *History) Util() []uint8 { return h.each(func(p *point) uint8 { return p.util }) }

// Memory is the part that is used, in percent.
func (h *History) Memory() []uint8 { return h.each(func(p *point) uint8 { return p.memory }) }

// Power is in percent of the limit.
func (h *History) Power() []uint8 { return h.each(func(p *point) uint8 { return p.power }) }

// Temp is in °C.
func (h *History) Temp() []uint8 { return h.each(func(p *point) uint8 { return p.temp }) }

func (h *History) each(of func(*point) uint8) []uint8 {
	if h == nil || h.last.IsZero() {
		return nil
	}
	out := make([]uint8, 0, len(h.settled)+1)
	for i := range h.settled {
		out = append(out, of(&h.settled[i]))
	}
	return append(out, of(&h.live))
}

// points are all points, in memory of their own.
func (h *History) points() []point {
	if h == nil || h.last.IsZero() {
		return nil
	}
	return append(slices.Clone(h.settled), h.live)
}

// Moment is one point of a History; nil is unknown.
type Moment struct {
	At time.Time // when it began: it holds the latest reading of five seconds
	// Percent; PowerPercent is of the power limit.
	UtilPercent, MemoryPercent, PowerPercent, TempCelsius *float64
}

// Moments are the points, oldest first.
func (h *History) Moments() []Moment {
	var out []Moment
	for _, p := range h.points() {
		out = append(out, Moment{
			At: time.Unix(int64(p.began), 0), UtilPercent: read(p.util), MemoryPercent: read(p.memory),
			PowerPercent: read(p.power), TempCelsius: read(p.temp),
		})
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
func (h *History) with(s *gpu.Sample, d *gpu.Device, step time.Duration) *History {
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
	if back || n.last.IsZero() || s.At.Sub(n.last) >= step-step/10 {
		n.settle(s.At, back)
		n.last, n.live.began = s.At, seconds(s.At)
	}
	n.live.util, n.live.temp = quantise(s.UtilPercent), quantise(s.TempCelsius)
	n.live.power, n.live.memory = Unread, Unread
	if limit := s.PowerLimitWatts; s.PowerWatts != nil && limit != nil && *limit > 0 {
		n.live.power = percent(*s.PowerWatts, *limit)
	}
	if s.MemoryUsedBytes != nil && d.MemoryBytes > 0 {
		n.live.memory = percent(float64(*s.MemoryUsedBytes), float64(d.MemoryBytes))
	}
	return n
}

// settle lets the last point stand, and with it unknown ones where the source was
// silent until now for much longer than is usual for it: a chart that left the
// time out would lie about all before.
func (h *History) settle(now time.Time, back bool) {
	if h.last.IsZero() {
		return
	}
	missed := 0
	if gap := now.Sub(h.last); !back && h.every > 0 && gap >= 4*h.every {
		missed = min(int(gap/h.every)-1, historyLen)
	} else if !back {
		h.every = gap
	}
	h.append(h.live)
	for i := range missed {
		at := h.last.Add(time.Duration(i+1) * h.every)
		h.append(point{seconds(at), Unread, Unread, Unread, Unread})
	}
}

// spare is how many points an array has room for beyond those that it was made
// for: so seldom are all points of a device copied.
const spare = 16

func (h *History) append(p point) {
	if h.room == nil || *h.room == 0 || *h.room != cap(h.settled)-len(h.settled) {
		old := h.settled
		h.settled = append(make([]point, 0, len(old)+spare), old...)
		room := spare
		h.room = &room
	}
	h.settled = append(h.settled, p)
	*h.room--
	h.settled = h.settled[max(len(h.settled)-(historyLen-1), 0):]
}

func seconds(t time.Time) uint32 { return uint32(t.Unix()) } //nolint:gosec // good until 2106

// after returns h with older samples before its own points: those of somebody
// who has watched for longer. Samples from h's own time on are left out.
func (h *History) after(past []gpu.Sample, d *gpu.Device, step time.Duration) *History {
	var older *History
	own := h.points()
	for i := range past {
		if len(own) > 0 && past[i].At.Unix() >= int64(own[0].began) {
			break
		}
		older = older.with(&past[i], d, step)
	}
	switch {
	case older == nil:
		return h
	case len(own) == 0:
		return older
	}
	n := *h
	n.settled = slices.Concat(older.points(), h.settled)
	n.settled, n.room = slices.Clip(n.settled[max(len(n.settled)-historyLen+1, 0):]), nil
	// What has held since h began may have held before, unless nobody looked in between.
	start := time.Unix(int64(own[0].began), 0)
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

func first(t, or time.Time) time.Time {
	if t.IsZero() {
		return or
	}
	return t
}

func percent(part, whole float64) uint8 {
	p := 100 * part / whole
	return quantise(&p)
}

func quantise(v *float64) uint8 {
	if v == nil || math.IsNaN(*v) {
		return Unread
	}
	return uint8(min(max(*v+0.5, 0), Unread-1))
}
