package stream

import (
	"math"
	"slices"

	"stoker/gpu"
)

// A sample points to its numbers, for each may be unknown. Decoded one by one they
// would be the most of what a terminal with thousands of GPUs makes in a second,
// so they are decoded into memory that is used again, and those that are there
// are copied together.

// numbers is what a sample's pointers may point to while it is decoded.
type numbers struct {
	floats [floats]float64
	counts [counts]uint64
}

// How many numbers a sample has.
const (
	floats = 13
	counts = 3
)

// nobody is in counts before something is decoded into them, as NaN, which JSON
// does not have, is in floats: NVML says so that there is none.
const nobody = math.MaxUint64

func floatsOf(s *gpu.Sample) [floats]**float64 {
	return [floats]**float64{
		&s.UtilPercent, &s.MemoryUtilPercent, &s.PowerWatts, &s.PowerLimitWatts, &s.EnergyJoules, &s.TempCelsius, &s.SMClockMHz,
		&s.MemClockMHz, &s.FanPercent, &s.EncoderPercent, &s.DecoderPercent, &s.PCIeTxBytesPerSec, &s.PCIeRxBytesPerSec,
	}
}

func countsOf(s *gpu.Sample) [counts]**uint64 {
	return [counts]**uint64{&s.MemoryUsedBytes, &s.ECCCorrected, &s.ECCUncorrected}
}

// lendTo lets the sample be decoded into n.
func (n *numbers) lendTo(s *gpu.Sample) {
	for i, p := range floatsOf(s) {
		n.floats[i], *p = math.NaN(), &n.floats[i]
	}
	for i, p := range countsOf(s) {
		n.counts[i], *p = nobody, &n.counts[i]
	}
}

// own copies decoded samples into memory of their own, of just their size. Their
// processes are shared with the samples before, where they are the same.
func own(samples, before []gpu.Sample) []gpu.Sample {
	if len(samples) == 0 {
		return nil
	}
	out := make([]gpu.Sample, len(samples))
	copy(out, samples)
	ownProcesses(out, before)
	f, c := 0, 0
	for i := range out {
		for _, p := range floatsOf(&out[i]) {
			if *p != nil && math.IsNaN(**p) {
				*p = nil
			}
			f += told(*p)
		}
		for _, p := range countsOf(&out[i]) {
			if *p != nil && **p == nobody {
				*p = nil
			}
			c += told(*p)
		}
	}
	fs, cs := make([]float64, f), make([]uint64, c)
	for i := range out {
		for _, p := range floatsOf(&out[i]) {
			fs = move(p, fs)
		}
		for _, p := range countsOf(&out[i]) {
			cs = move(p, cs)
		}
	}
	return out
}

// ownProcesses lets samples have the processes of those before, or copies of their own.
func ownProcesses(samples, before []gpu.Sample) {
	n := 0
	stays := make([]bool, len(samples))
	for i := range samples {
		stays[i] = i < len(before) && slices.EqualFunc(samples[i].Processes, before[i].Processes, sameProcess)
		if !stays[i] {
			n += len(samples[i].Processes)
		}
	}
	procs := make([]gpu.Process, 0, n)
	for i := range samples {
		s := &samples[i]
		switch from := len(procs); {
		case stays[i]:
			s.Processes = before[i].Processes
		case len(s.Processes) == 0:
			s.Processes = nil
		default:
			procs = append(procs, s.Processes...)
			s.Processes = procs[from:len(procs):len(procs)]
		}
	}
}

func sameProcess(a, b gpu.Process) bool {
	same := sameNumber(a.UtilPercent, b.UtilPercent) && sameNumber(a.CPUPercent, b.CPUPercent) && sameNumber(a.HostMemoryBytes, b.HostMemoryBytes)
	a.UtilPercent, a.CPUPercent, a.HostMemoryBytes = b.UtilPercent, b.CPUPercent, b.HostMemoryBytes
	return same && a == b
}

func sameNumber[N comparable](a, b *N) bool { return a == b || a != nil && b != nil && *a == *b }

func told[N any](p *N) int {
	if p == nil {
		return 0
	}
	return 1
}

// move lets a number that is known be in the first place of to, and gives the rest.
func move[N any](p **N, to []N) []N {
	if *p == nil {
		return to
	}
	to[0] = **p
	*p = &to[0]
	return to[1:]
}
