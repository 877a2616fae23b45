package gpu

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Rules are the thresholds by which a device is judged.
type Rules struct {
	// XidHold is how long an Xid that no reset clears is held against a device.
	XidHold time.Duration
	// Quiet is how long a device must look better before its verdict
	// improves. A verdict that gets worse counts at once.
	Quiet time.Duration
	// ThrottleAfter is how long the driver must hold the clocks back because
	// of heat before it is worth a word, and how long the hardware must do so,
	// which is watched at once, before the device counts as degraded.
	ThrottleAfter time.Duration
	// NVLinkErrors is how many errors of one link in a second degrade a device.
	NVLinkErrors float64
	// A device that has failed Flaps times within FlapWindow must look better
	// for FlapQuiet instead of Quiet.
	Flaps      int
	FlapWindow time.Duration
	FlapQuiet  time.Duration
	// ECCFailed is the number of uncorrectable memory errors since the
	// driver was loaded at which a device has failed; fewer degrade it.
	ECCFailed uint64
}

// DefaultRules are the rules that stoker judges by.
func DefaultRules() Rules {
	return Rules{
		XidHold:       10 * time.Minute,
		Quiet:         30 * time.Second,
		ThrottleAfter: 10 * time.Second,
		NVLinkErrors:  1,
		Flaps:         3,
		FlapWindow:    time.Hour,
		FlapQuiet:     10 * time.Minute,
		ECCFailed:     8,
	}
}

// Evidence is what one reading tells about the health of a device.
type Evidence struct {
	// Device is what was read; limits that it does not tell are not judged by.
	Device Device
	// Sample is the reading; only At counts when the device gave none.
	Sample Sample
	// Silent is why the device gave no reading, "" when it did.
	Silent string
	// Lost says that it was silent because it is no longer there: when it
	// is back it has been reset.
	Lost bool
	// Events are those since the last evidence.
	Events []Event
}

// Record is what judging remembers of a device between two readings.
// The zero Record is of a device never seen.
type Record struct {
	Health Health

	xids        []Event      // the latest of each number still held against it
	slowedSince [2]time.Time // by the driver, by the hardware
	betterSince time.Time
	toldBetter  bool        // the reason says so
	failures    []time.Time // the latest beginnings of a failure
	energy      *float64
	lost        bool
	links       linkRecord
}

// Judge gives the record after a reading, with the health in it. It depends on
// its arguments only, and changes none of them.
func (r Rules) Judge(before Record, e Evidence) Record {
	after := before
	after.xids = r.heldXids(before, e)
	after.lost = e.Lost
	if e.Silent == "" {
		after.energy = e.Sample.EnergyJoules
	}
	for i, slowed := range []bool{slowedByDriver(e.Sample), slowedByHardware(e.Sample)} {
		switch {
		case !slowed:
			after.slowedSince[i] = time.Time{}
		case before.slowedSince[i].IsZero():
			after.slowedSince[i] = e.Sample.At
		}
	}
	after.links = before.links.with(e)
	seen := r.worst(after, e)
	held := before.Health
	switch {
	case rank(seen.Verdict) > rank(held.Verdict):
		seen.Since = e.Sample.At
		after.Health = seen
		after.turn(time.Time{})
		if seen.Verdict == VerdictFailed {
			after.failures = r.recent(append(slices.Clone(before.failures), seen.Since), seen.Since)
		}
	case seen.Verdict == held.Verdict:
		after.Health.Reason = seen.Reason
		after.turn(time.Time{})
	case before.betterSince.IsZero():
		after.turn(e.Sample.At)
	case e.Sample.At.Sub(before.betterSince) >= r.quiet(before, e.Sample.At):
		seen.Since = before.betterSince
		after.Health = seen
		after.turn(time.Time{})
	case !before.toldBetter && e.Sample.At.Sub(before.betterSince) >= r.Quiet/3:
		after.Health.Reason, after.toldBetter = r.better(before, seen.Verdict, e.Sample.At), true
	}
	return after
}

// turn notes since when the device looks better than its verdict; zero: it does not.
func (rec *Record) turn(better time.Time) { rec.betterSince, rec.toldBetter = better, false }

// better is the reason of a verdict that is no longer what is seen, but is not
// taken back yet. Who has mended the device must not read what to do about it. It
// is said once, and not at the first good reading: a scheduler is told of each
// change.
func (r Rules) better(rec Record, seen Verdict, now time.Time) string {
	cause, _, _ := strings.Cut(rec.Health.Reason, "; ")
	looks := "well"
	if seen != VerdictOK {
		looks = "no worse than " + string(seen)
	}
	quiet := r.quiet(rec, now)
	text := fmt.Sprintf("%s; looks %s since %s UTC, believed after %s of that", cause, looks, rec.betterSince.UTC().Format("15:04"), span(quiet))
	if quiet > r.Quiet {
		text += fmt.Sprintf(": it failed %d times within %s", len(r.recent(rec.failures, now)), span(r.FlapWindow))
	}
	return text
}

// span is a time that passes, without the parts that are 0: "10m".
func span(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// heldXids adds the new Xids and drops those that have lapsed, or that a
// reset has cleared.
func (r Rules) heldXids(before Record, e Evidence) []Event {
	old := before.xids
	if wasReset(before, e) {
		old = nil
	}
	var held []Event
	for _, ev := range slices.Concat(old, e.Events) {
		if ev.Kind != EventXid {
			continue
		}
		x, _ := LookupXid(ev.Xid)
		if !x.UntilReset && e.Sample.At.Sub(ev.At) >= r.XidHold {
			continue
		}
		held = slices.DeleteFunc(held, func(h Event) bool { return h.Xid == ev.Xid })
		held = append(held, ev)
	}
	return held
}

// wasReset tells that the device was reset or its driver loaded again: it
// came back from nowhere, or its energy counter, which counts from then,
// starts again.
func wasReset(before Record, e Evidence) bool {
	if e.Silent != "" {
		return false
	}
	now := e.Sample.EnergyJoules
	return before.lost || before.energy != nil && now != nil && *now < *before.energy
}

// quiet is how long a device must look better before it is believed.
func (r Rules) quiet(rec Record, now time.Time) time.Duration {
	if r.Flaps > 0 && rec.Health.Verdict == VerdictFailed && len(r.recent(rec.failures, now)) >= r.Flaps {
		return max(r.FlapQuiet, r.Quiet)
	}
	return r.Quiet
}

// recent are the failures that still count as flapping.
func (r Rules) recent(failures []time.Time, now time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(failures), func(t time.Time) bool { return now.Sub(t) > r.FlapWindow })
}

func slowedByDriver(s Sample) bool { return slices.Contains(s.Throttle, "sw_thermal_slowdown") }

func slowedByHardware(s Sample) bool {
	return slices.Contains(s.Throttle, "hw_thermal_slowdown") || slices.Contains(s.Throttle, "hw_power_brake_slowdown")
}

// worst is the health by this reading alone. Reasons hold no number that
// moves, so that a reason changes only when the cause does.
func (r Rules) worst(rec Record, e Evidence) Health {
	worst := Health{Verdict: VerdictOK}
	add := func(v Verdict, reason string) {
		if rank(v) > rank(worst.Verdict) {
			worst = Health{Verdict: v, Reason: reason}
		}
	}
	for _, ev := range rec.xids {
		x, _ := LookupXid(ev.Xid)
		add(x.Verdict, fmt.Sprintf("%s; %s", x, x.Advice))
	}
	if e.Silent != "" {
		add(VerdictFailed, e.Silent)
		return worst // the sample holds no numbers
	}
	s := e.Sample
	if s.RowRemapFailure != nil && *s.RowRemapFailure {
		add(VerdictFailed, "row remapping failed; replace the GPU")
	}
	if s.ECCUncorrected != nil && *s.ECCUncorrected >= max(r.ECCFailed, 1) {
		add(VerdictFailed, "many uncorrectable memory errors; drain the GPU and reset it")
	}
	if s.RowRemapPending != nil && *s.RowRemapPending {
		add(VerdictDegraded, "a row remapping waits for a reset")
	}
	if s.ECCUncorrected != nil && *s.ECCUncorrected > 0 {
		add(VerdictDegraded, "uncorrectable memory errors; reset the GPU when it is free")
	}
	if s.Detail != nil {
		judgeDetail(e.Device, s.Detail, add)
	}
	if link, rate := rec.links.worst(); rate >= r.NVLinkErrors && r.NVLinkErrors > 0 {
		add(VerdictDegraded, fmt.Sprintf("NVLink %d counts errors; see nvidia-smi nvlink --errorcounters, drain the GPU and reset it", link))
	} else if rate > 0 {
		add(VerdictWatch, fmt.Sprintf("NVLink %d counts errors", link))
	}
	if down := rec.links.down(); len(down) > 0 {
		add(VerdictDegraded, fmt.Sprintf("NVLink %s went down; drain the GPU and reset it", strings.Join(down, ", ")))
	}
	driver, hardware := rec.slowedSince[0], rec.slowedSince[1]
	if !hardware.IsZero() {
		v := VerdictWatch
		if s.At.Sub(hardware) >= r.ThrottleAfter {
			v = VerdictDegraded
		}
		add(v, slowdown(s))
	}
	if !driver.IsZero() && s.At.Sub(driver) >= r.ThrottleAfter {
		add(VerdictWatch, "heat holds the clocks back; check the cooling")
	}
	return worst
}

// judgeDetail judges by what only a full reading tells.
func judgeDetail(d Device, s *Detail, add func(Verdict, string)) {
	if s.PagesPending != nil && *s.PagesPending {
		add(VerdictDegraded, "retired pages wait for a reset")
	}
	if s.MemTempCelsius != nil && d.MaxMemTempCelsius != nil && *s.MemTempCelsius >= *d.MaxMemTempCelsius {
		add(VerdictWatch, "the memory is hotter than it is meant to be; check the cooling")
	}
	// The generation goes down to save power; the width does not.
	if s.PCIeWidth != nil && d.MaxPCIeWidth != nil && *s.PCIeWidth > 0 && *s.PCIeWidth < *d.MaxPCIeWidth {
		add(VerdictWatch, fmt.Sprintf("PCI Express runs on %d of %d lanes; check the seating", *s.PCIeWidth, *d.MaxPCIeWidth))
	}
}

// slowdown says why the hardware holds the clocks back.
func slowdown(s Sample) string {
	if slices.Contains(s.Throttle, "hw_power_brake_slowdown") {
		return "a power brake holds the clocks back; check the power supply"
	}
	return "the hardware holds the clocks back because of heat; check the cooling"
}

// rank orders verdicts from best to worst, with unknown before all.
func rank(v Verdict) int {
	return slices.Index(Verdicts(), v)
}
