package metrics

import (
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// histogram is one classic histogram: upper bounds in rising order, the last
// +Inf, and cumulative counts. It is not changed once made.
type histogram struct {
	bounds []float64
	counts []float64
}

// readHistogram takes a histogram from what was scraped; nil where it has no
// classic buckets or makes no sense.
func readHistogram(h *dto.Histogram, scale float64) *histogram {
	total := float64(h.GetSampleCount())
	if f := h.GetSampleCountFloat(); f > 0 {
		total = f
	}
	if len(h.GetBucket()) == 0 || !counts(total) {
		return nil
	}
	byBound := map[float64]float64{math.Inf(1): total}
	for _, b := range h.GetBucket() {
		bound, count := b.GetUpperBound(), float64(b.GetCumulativeCount())
		if f := b.GetCumulativeCountFloat(); f > 0 {
			count = f
		}
		if math.IsNaN(bound) || math.IsInf(bound, -1) || !counts(count) {
			return nil
		}
		if !math.IsInf(bound, 1) {
			bound *= scale
		}
		byBound[bound] = max(byBound[bound], count)
	}
	out := &histogram{}
	for bound := range byBound {
		out.bounds = append(out.bounds, bound)
	}
	slices.Sort(out.bounds)
	for _, bound := range out.bounds {
		out.counts = append(out.counts, byBound[bound])
	}
	return out
}

// counts reports a number that a counter may have.
func counts(v float64) bool { return v >= 0 && !math.IsInf(v, 1) }

// since is what was added after prev. A fallen count means that the server
// started again, and so do other buckets: all that is there is new then.
func (h *histogram) since(prev *histogram) *histogram {
	if prev == nil || !slices.Equal(h.bounds, prev.bounds) {
		return h
	}
	out := &histogram{bounds: h.bounds, counts: make([]float64, len(h.counts))}
	for i := range h.counts {
		if h.counts[i] < prev.counts[i] {
			return h
		}
		out.counts[i] = h.counts[i] - prev.counts[i]
	}
	return out
}

// plus adds histograms of the same buckets; ok is false for others, which
// cannot be added.
func (h *histogram) plus(o *histogram) (sum *histogram, ok bool) {
	switch {
	case h == nil:
		return o, true
	case o == nil:
		return h, true
	case !slices.Equal(h.bounds, o.bounds):
		return nil, false
	}
	sum = &histogram{bounds: h.bounds, counts: slices.Clone(h.counts)}
	for i, c := range o.counts {
		sum.counts[i] += c
	}
	return sum, true
}
