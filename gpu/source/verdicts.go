package source

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"stoker/gpu"
)

// verdicts judges the GPUs of one peer from reading to reading. It is used from
// one goroutine at a time.
type verdicts struct {
	rules   gpu.Rules
	devices map[gpu.UUID]*judged
}

// judged is what is remembered of one GPU.
type judged struct {
	record gpu.Record
	seen   bool
	energy *float64
	moved  time.Time // when energy last changed

	xid     uint64             // as the gauge had it
	xids    map[uint64]float64 // as the counts had them
	counted bool               // that counts are told: then the gauge says nothing new
	byGauge uint64             // the Xid that the gauge told last
	old     uint64             // an Xid from before the first reading; 0: none
	since   time.Time          // the first reading
}

func newVerdicts() *verdicts {
	return &verdicts{rules: gpu.DefaultRules(), devices: map[gpu.UUID]*judged{}}
}

// batch makes a batch of readings taken at a time: with verdicts, and the Xids
// that are new. Of a GPU that told no number there is no sample.
func (v *verdicts) batch(readings []*gathered, at time.Time) gpu.Batch {
	b := gpu.Batch{At: at}
	for _, g := range readings {
		b.Driver, b.CUDA = firstOf(g.driver, b.Driver), firstOf(g.cuda, b.CUDA)
		b.Devices = append(b.Devices, g.device)
		if g.empty() {
			continue
		}
		s, events := v.judge(g, at)
		b.Samples, b.Events = append(b.Samples, s), append(b.Events, events...)
	}
	v.forget(readings)
	return b
}

// missed is how many GPUs that a reading lacks are remembered for the next, and
// as many as it has: a peer that tells of others each time must not make this grow.
const missed = 64

// forget drops the GPUs that the reading lacks when they become too many.
func (v *verdicts) forget(readings []*gathered) {
	if len(v.devices) <= 2*len(readings)+missed {
		return
	}
	told := make(map[gpu.UUID]bool, len(readings))
	for _, g := range readings {
		told[g.device.UUID] = true
	}
	maps.DeleteFunc(v.devices, func(id gpu.UUID, _ *judged) bool { return !told[id] })
}

func (v *verdicts) judge(g *gathered, at time.Time) (gpu.Sample, []gpu.Event) {
	j := v.devices[g.device.UUID]
	if j == nil {
		j = &judged{since: at}
		v.devices[g.device.UUID] = j
	}
	s := g.sample
	s.At = j.timeOf(&s, at)
	events := j.news(g, at)
	j.record = v.rules.Judge(j.record, gpu.Evidence{Device: g.device, Sample: s, Events: events})
	s.Health = j.record.Health
	switch {
	case g.told != gpu.VerdictUnknown && g.told != gpu.VerdictOK:
		s.Health = gpu.Health{Verdict: g.told, Reason: "its node's agent says so"}
	case g.told == gpu.VerdictOK:
		s.Health = gpu.Health{Verdict: g.told}
	case j.old != 0 && s.Health.Verdict == gpu.VerdictOK:
		x, _ := gpu.LookupXid(j.old)
		s.Health = gpu.Health{Verdict: gpu.VerdictWatch, Since: j.since, Reason: fmt.Sprintf("%s, at an unknown time; reset the GPU when it is free", x)}
	}
	return s, events
}

// timeOf says when a sample was measured. An exporter repeats its last numbers
// when what it asks hangs, and between two measurements. The energy of a GPU
// that is alive always grows: while it stands still, the sample is an old one.
func (j *judged) timeOf(s *gpu.Sample, at time.Time) time.Time {
	before := j.energy
	j.energy = s.EnergyJoules
	if before != nil && s.EnergyJoules != nil && *s.EnergyJoules < *before {
		j.old = 0 // it was reset, or the driver loaded anew
	}
	if !s.At.IsZero() {
		return s.At // told
	}
	if before == nil || s.EnergyJoules == nil || *before != *s.EnergyJoules || j.moved.IsZero() {
		j.moved = at
	}
	return j.moved
}

// news finds the Xids since the reading before. The gauge never goes back to
// 0, so only its change is news. What it or a total has at the first reading may
// be years old: it is no event, and held against the GPU as something to watch,
// where the catalogue says that only a reset ends it. A count over the last
// minutes is news at the first reading too.
func (j *judged) news(g *gathered, at time.Time) (out []gpu.Event) {
	event := func(n uint64) {
		x, _ := gpu.LookupXid(n)
		out = append(out, gpu.Event{UUID: g.device.UUID, At: at, Kind: gpu.EventXid, Xid: n, Text: x.String()})
		if j.old == n {
			j.old = 0 // now its time is known
		}
	}
	first := !j.seen
	j.seen = true
	j.counted = j.counted || len(g.xids) > 0
	for _, n := range slices.Sorted(maps.Keys(g.xids)) {
		risen := g.xids[n] - j.xids[n]
		if risen < 0 && !g.recent[n] {
			risen = g.xids[n] // who counts began anew; a count over the last minutes just falls
		}
		if n == j.byGauge && risen > 0 {
			risen, j.byGauge = risen-1, 0 // the gauge was quicker
		}
		switch {
		case risen <= 0:
		case first && !g.recent[n]:
			j.before(n)
		default:
			event(n)
		}
	}
	j.xids = g.xids
	if g.xid == nil {
		return out
	}
	now := *g.xid
	switch {
	case now == 0:
		if j.xid != 0 {
			j.old = 0
		}
	case first && !j.counted:
		j.before(now)
	case now != j.xid && !j.counted:
		event(now)
		j.byGauge = now
	}
	j.xid = now
	return out
}

// before notes an Xid from before the first reading, where it still matters.
func (j *judged) before(n uint64) {
	if x, _ := gpu.LookupXid(n); x.UntilReset {
		j.old = n
	}
}
