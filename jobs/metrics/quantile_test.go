package metrics

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
)

// The values of Prometheus' own tests of histogram_quantile.
func TestBucketQuantile(t *testing.T) {
	inf := math.Inf(1)
	tests := []struct {
		bounds, counts []float64
		q, want        float64
	}{
		{[]float64{.1, .2, 1, inf}, []float64{5, 7, 11, 12}, .2, .048},
		{[]float64{.1, .2, 1, inf}, []float64{5, 7, 11, 12}, .5, .15},
		{[]float64{.1, .2, 1, inf}, []float64{5, 7, 11, 12}, .8, .72},
		{[]float64{.1, .2, 1, inf}, []float64{5, 7, 11, 12}, .95, 1},
		{[]float64{-.2, -.1, .3, inf}, []float64{1, 2, 2, 3}, .2, -.2},
		{[]float64{-.2, -.1, .3, inf}, []float64{1, 2, 2, 3}, .5, -.15},
		{[]float64{-.2, -.1, .3, inf}, []float64{1, 2, 2, 3}, .8, .3},
		{[]float64{.1, .2, inf}, []float64{10, 19, 25}, .5, .1277777777777778},
		{[]float64{.1, .2, inf}, []float64{0, 19, 25}, 0, 0},
		{[]float64{.1, .2, .3, inf}, []float64{10, 9, 20, 20}, .5, .1}, // not cumulative: raised
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.bounds, tt.counts, tt.q), func(t *testing.T) {
			got, _, ok := bucketQuantile(tt.q, tt.bounds, tt.counts)
			if !ok || math.Abs(got-tt.want) > 1e-12 {
				t.Errorf("got %v %v, want %v", got, ok, tt.want)
			}
		})
	}
	for _, none := range []struct{ bounds, counts []float64 }{
		{nil, nil},
		{[]float64{inf}, []float64{3}},
		{[]float64{.1, .2}, []float64{1, 2}},
		{[]float64{.1, inf}, []float64{0, 0}},
	} {
		if v, _, ok := bucketQuantile(.5, none.bounds, none.counts); ok {
			t.Errorf("%v gives %v, want nothing", none.bounds, v)
		}
	}
}

func TestMonotonicIgnoresRoundingOnly(t *testing.T) {
	got := monotonic([]float64{1, 1 + 1e-13, 1 - 1e-13, 2, 1.5, 3})
	if want := []float64{1, 1, 1, 2, 2, 3}; !cmp.Equal(want, got) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestQuantileSaysWhatBucketsCannot(t *testing.T) {
	h := &histogram{bounds: []float64{.01, .1, 30, math.Inf(1)}, counts: []float64{50, 60, 70, 100}}
	tests := []struct {
		q    float64
		want *cluster.Quantile
	}{
		{.5, &cluster.Quantile{Seconds: .01, Bound: "<"}},
		{.55, &cluster.Quantile{Seconds: .055}},
		{.95, &cluster.Quantile{Seconds: 30, Bound: "≥"}},
	}
	for _, tt := range tests {
		got := quantile(tt.q, h)
		if got != nil {
			got.Seconds = math.Round(got.Seconds*1e9) / 1e9
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%v: %s", tt.q, diff)
		}
	}
	if quantile(.5, nil) != nil {
		t.Error("no histogram gives a quantile")
	}
}
