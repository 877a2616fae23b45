package gpu

import (
	"fmt"
	"slices"
	"time"
)

// Rules are the thresholds by which a device is judged.
type Rules struct {
	// XidHold is how long an Xid that no reset clears is held against a device.
	XidHold time.Duration
	// Quiet is how long a device must look better before its verdict
	// improves. A verdict that gets worse counts at once.
	Quiet time.Duration
	// ThrottleAfter is how long heat or a power brake must hold the clocks
	// back before it is worth a word.
	ThrottleAfter time.Duration
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
		ECCFailed:     8,
	}
}

// Evidence is what one reading tells about the health of a device.
type Evidence struct {
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

	xids           []Event // the latest of each number still held against it
	throttledSince time.Time
	betterSince    time.Time
	energy         *float64
	lost           bool
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
	switch {
	case !heatThrottled(e.Sample):
		after.throttledSince = time.Time{}
	case before.throttledSince.IsZero():
		after.throttledSince = e.Sample.At
	}
	seen := r.worst(after, e)
	held := before.Health
	switch {
	case rank(seen.Verdict) > rank(held.Verdict):
		seen.Since = e.Sample.At
		after.Health, after.betterSince = seen, time.Time{}
	case seen.Verdict == held.Verdict:
		after.Health.Reason, after.betterSince = seen.Reason, time.Time{}
	case before.betterSince.IsZero():
		after.betterSince = e.Sample.At
	case e.Sample.At.Sub(before.betterSince) >= r.Quiet:
		seen.Since = before.betterSince
		after.Health, after.betterSince = seen, time.Time{}
	}
	return after
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

func heatThrottled(s Sample) bool {
	return slices.ContainsFunc(s.Throttle, func(reason string) bool {
		return reason == "hw_thermal_slowdown" || reason == "sw_thermal_slowdown" || reason == "hw_power_brake_slowdown"
	})
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
	if since := rec.throttledSince; !since.IsZero() && s.At.Sub(since) >= r.ThrottleAfter {
		add(VerdictWatch, "heat or a power brake holds the clocks back; check the cooling and the power supply")
	}
	return worst
}

// rank orders verdicts from best to worst, with unknown before all.
func rank(v Verdict) int {
	return slices.Index([]Verdict{VerdictUnknown, VerdictOK, VerdictWatch, VerdictDegraded, VerdictFailed}, v)
}
