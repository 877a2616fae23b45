package cluster

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"stoker/gpu"
)

// Account is what a job, or a namespace, used of the GPUs that it held, from
// the first reading that this stoker counted for it. All seconds are
// GPU-seconds: two GPUs for a minute are 120.
type Account struct {
	Since, Last time.Time // the first and the latest reading that counted
	// HeldSeconds is for how long it held GPUs whose utilisation was known, and
	// BusySeconds for how much of that they worked.
	HeldSeconds, BusySeconds float64
	// CounterJoules were counted by the GPUs in CounterSeconds; PowerJoules are
	// power over time where a GPU counts no energy, in PowerSeconds. In
	// DarkSeconds neither was known, so the energy is more than their sum.
	CounterJoules, PowerJoules                float64
	CounterSeconds, PowerSeconds, DarkSeconds float64
}

// Joules is the energy used as far as it is known; nil when none is.
func (a *Account) Joules() *float64 {
	if a.CounterSeconds+a.PowerSeconds == 0 {
		return nil
	}
	sum := a.CounterJoules + a.PowerJoules
	return &sum
}

// Basis says what Joules comes from: "counter", "power", "counter+power", or
// "" for nothing.
func (a *Account) Basis() string {
	switch counter, power := a.CounterSeconds > 0, a.PowerSeconds > 0; {
	case counter && power:
		return "counter+power"
	case counter:
		return "counter"
	case power:
		return "power"
	}
	return ""
}

// Efficiency is the part of the held time in which the GPUs worked, 0 to 1; nil
// before the second reading.
func (a *Account) Efficiency() *float64 {
	if a.HeldSeconds == 0 {
		return nil
	}
	part := a.BusySeconds / a.HeldSeconds
	return &part
}

// usage is what one GPU used between two readings.
type usage struct {
	at                              time.Time
	held, busy                      float64 // seconds; 0 when the utilisation is not known
	joules                          float64
	byCounter, byPower, unknown, of float64 // seconds
}

const (
	// gapAfter is the time between two readings from which the later one says
	// nothing of the time between. A counter of energy still does.
	gapAfter = time.Minute
	// mostWatts is more than any one GPU draws: a counter that rose faster is
	// not believed.
	mostWatts = 5000
	// accountsKept bounds the accounts: those that were not used for the
	// longest time go first.
	accountsKept = 4096
)

// used compares two readings of a device. Energy and power of a MIG instance
// are its parent's, and cannot be told apart: they are not known.
func used(d *gpu.Device, sameSource bool, was, now *gpu.Sample) usage {
	span := now.At.Sub(was.At)
	seconds := span.Seconds()
	u := usage{at: now.At, of: seconds}
	if now.UtilPercent != nil && span <= gapAfter {
		u.held, u.busy = seconds, seconds*min(max(*now.UtilPercent, 0), 100)/100
	}
	counted, ok := counterRise(was.EnergyJoules, now.EnergyJoules, seconds)
	switch {
	case d.Parent != "":
		u.unknown = seconds
	case ok && sameSource: // another source may count from another time
		u.joules, u.byCounter = counted, seconds
	case was.PowerWatts != nil && now.PowerWatts != nil && span <= gapAfter:
		u.joules, u.byPower = (*was.PowerWatts+*now.PowerWatts)/2*seconds, seconds
	default:
		u.unknown = seconds
	}
	return u
}

// counterRise is by how much a counter of energy rose. One that fell began
// again when the driver was loaded anew, so what it shows was used since; what
// it had counted up to then is lost. A rise that no GPU can make is none.
func counterRise(was, now *float64, seconds float64) (joules float64, ok bool) {
	if was == nil || now == nil {
		return 0, false
	}
	rise := *now - *was
	if rise < 0 {
		rise = *now
	}
	return rise, rise >= 0 && rise <= mostWatts*seconds
}

// ledger holds the accounts.
type ledger struct {
	jobs   map[JobID]*Account
	spaces map[string]*Account
	forgot int // how often accounts were dropped
}

func newLedger() ledger { return ledger{jobs: map[JobID]*Account{}, spaces: map[string]*Account{}} }

// account counts what a device used since the reading before for those who held
// it then, each for the time of its stay. A better source may measure a little
// before the one that it replaces: no time counts twice.
func (st *state) account(dev *device, d *gpu.Device, sameSource bool, now *gpu.Sample) {
	was := dev.sample
	if !now.At.After(was.At) || !now.At.After(dev.counted) {
		return
	}
	u := used(d, sameSource, was, now)
	from := was.At
	if dev.counted.After(from) {
		from = dev.counted
	}
	dev.counted = now.At
	stays := dev.tenure.stays
	for i := range stays { // the earlier first: it has the device until it ends
		s := &stays[i]
		to := now.At
		if !s.to.IsZero() && s.to.Before(to) {
			to = s.to
		}
		if s.Since.After(from) {
			from = s.Since
		}
		if part := to.Sub(from).Seconds(); part > 0 {
			dev.payer = st.ledger.charge(dev.payer, s.Job, &u, part/u.of, from)
			from = to
		}
	}
}

// payer is who was charged last for a device: nearly always who is charged next.
type payer struct {
	id         JobID
	job, space *Account
	forgot     int // as of which forgetting the accounts are in the ledger
}

func (l *ledger) charge(last payer, id JobID, u *usage, part float64, since time.Time) payer {
	p := last
	if p.job == nil || p.forgot != l.forgot || p.id != id {
		p = l.payer(id, since)
	}
	p.job.add(u, part)
	p.space.add(u, part)
	return p
}

func (l *ledger) payer(id JobID, since time.Time) payer {
	job := l.jobs[id]
	if job == nil {
		if len(l.jobs) >= accountsKept {
			l.forget()
		}
		job = &Account{Since: since}
		l.jobs[id] = job
	}
	space := l.spaces[id.Namespace]
	if space == nil {
		space = &Account{Since: since}
		l.spaces[id.Namespace] = space
	}
	return payer{id, job, space, l.forgot}
}

func (a *Account) add(u *usage, part float64) {
	if u.at.After(a.Last) {
		a.Last = u.at
	}
	a.HeldSeconds += part * u.held
	a.BusySeconds += part * u.busy
	a.CounterSeconds += part * u.byCounter
	a.PowerSeconds += part * u.byPower
	a.DarkSeconds += part * u.unknown
	if u.byCounter > 0 {
		a.CounterJoules += part * u.joules
	} else {
		a.PowerJoules += part * u.joules
	}
}

// merge adds another account; the watch began with the earlier.
func (a *Account) merge(o *Account) {
	if a.Since.IsZero() || !o.Since.IsZero() && o.Since.Before(a.Since) {
		a.Since = o.Since
	}
	if o.Last.After(a.Last) {
		a.Last = o.Last
	}
	a.HeldSeconds += o.HeldSeconds
	a.BusySeconds += o.BusySeconds
	a.CounterJoules += o.CounterJoules
	a.PowerJoules += o.PowerJoules
	a.CounterSeconds += o.CounterSeconds
	a.PowerSeconds += o.PowerSeconds
	a.DarkSeconds += o.DarkSeconds
}

// forget drops an eighth of the accounts, so that it is seldom done.
func (l *ledger) forget() {
	old := slices.SortedFunc(maps.Keys(l.jobs), func(a, b JobID) int {
		return cmp.Or(l.jobs[a].Last.Compare(l.jobs[b].Last), a.Compare(b))
	})
	l.forgot++
	for _, id := range old[:len(old)/8] {
		delete(l.jobs, id)
	}
}

// copies are the accounts as a snapshot keeps them.
func (l *ledger) copies() (jobs map[JobID]Account, spaces map[string]Account) {
	jobs, spaces = make(map[JobID]Account, len(l.jobs)), make(map[string]Account, len(l.spaces))
	for id, a := range l.jobs {
		jobs[id] = *a
	}
	for name, a := range l.spaces {
		spaces[name] = *a
	}
	return jobs, spaces
}
