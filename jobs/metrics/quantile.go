package metrics

import (
	"math"

	"stoker/cluster"
)

// The bounds of a cluster.Quantile.
const (
	below   = "<"
	atLeast = "≥"
)

// bucketQuantile is Prometheus' histogram_quantile over classic buckets: upper
// bounds in rising order, the last +Inf, and cumulative counts. It says in which
// bucket the value lies; ok is false where the histogram says nothing.
func bucketQuantile(q float64, bounds, counts []float64) (value float64, bucket int, ok bool) {
	n := len(bounds)
	if n < 2 || len(counts) != n || !math.IsInf(bounds[n-1], 1) || !(q >= 0 && q <= 1) {
		return 0, 0, false
	}
	counts = monotonic(counts)
	total := counts[n-1]
	if !(total > 0) {
		return 0, 0, false
	}
	rank := q * total
	b := 0
	for b < n-1 && counts[b] < rank {
		b++
	}
	switch {
	case b == n-1:
		return bounds[n-2], b, true
	case b == 0 && bounds[0] <= 0:
		return bounds[0], b, true
	}
	start, count := 0.0, counts[b]
	if b > 0 {
		start = bounds[b-1]
		count -= counts[b-1]
		rank -= counts[b-1]
	}
	if count <= 0 { // q is 0 and the bucket empty
		return start, b, true
	}
	return start + (bounds[b]-start)*(rank/count), b, true
}

// smallDelta is the relative difference below which counts are the same:
// adding up floating-point buckets loses as much.
const smallDelta = 1e-12

// monotonic raises each count to the one before it.
func monotonic(counts []float64) []float64 {
	out := make([]float64, len(counts))
	prev := math.Inf(-1)
	for i, c := range counts {
		if c < prev || almostEqual(prev, c) {
			c = prev
		}
		out[i], prev = c, c
	}
	return out
}

func almostEqual(a, b float64) bool {
	return math.Abs(a-b) < smallDelta*math.Min(math.Abs(a)+math.Abs(b), math.MaxFloat64)
}

// quantile says what the buckets can: a value within the first is only known to
// lie below its edge, one within the last to lie above the highest edge.
func quantile(q float64, h *histogram) *cluster.Quantile {
	if h == nil {
		return nil
	}
	value, bucket, ok := bucketQuantile(q, h.bounds, h.counts)
	switch {
	case !ok:
		return nil
	case bucket == len(h.bounds)-1:
		return &cluster.Quantile{Seconds: value, Bound: atLeast}
	case bucket == 0:
		return &cluster.Quantile{Seconds: h.bounds[0], Bound: below}
	}
	return &cluster.Quantile{Seconds: value}
}
