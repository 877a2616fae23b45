package nn

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// Net is a network In -> Hidden (rectified) -> Out (softmax). The weights lie
// row by row: W1[h*In+i] leads from input i to hidden unit h, W2[o*Hidden+h]
// from hidden unit h to output o.
type Net struct {
	In     int       `json:"in"`
	Hidden int       `json:"hidden"`
	Out    int       `json:"out"`
	W1     []float64 `json:"w1"`
	B1     []float64 `json:"b1"`
	W2     []float64 `json:"w2"`
	B2     []float64 `json:"b2"`
}

// New makes a network with random weights of a size that keeps the signal's
// variance the same through the rectified layer (He initialisation).
func New(in, hidden, out int, rng *rand.Rand) Net {
	n := zero(in, hidden, out)
	for i := range n.W1 {
		n.W1[i] = rng.NormFloat64() * math.Sqrt(2/float64(in))
	}
	for i := range n.W2 {
		n.W2[i] = rng.NormFloat64() * math.Sqrt(1/float64(hidden))
	}
	return n
}

func zero(in, hidden, out int) Net {
	return Net{
		In: in, Hidden: hidden, Out: out,
		W1: make([]float64, hidden*in), B1: make([]float64, hidden),
		W2: make([]float64, out*hidden), B2: make([]float64, out),
	}
}

// Check says whether the sizes fit together and every weight is finite, which
// a network read from a file must prove before it is used.
func (n Net) Check() error {
	if n.In <= 0 || n.Hidden <= 0 || n.Out <= 0 {
		return fmt.Errorf("layer sizes %d, %d, %d must be positive", n.In, n.Hidden, n.Out)
	}
	if len(n.W1) != n.Hidden*n.In || len(n.B1) != n.Hidden || len(n.W2) != n.Out*n.Hidden || len(n.B2) != n.Out {
		return fmt.Errorf("weights do not fit layer sizes %d, %d, %d", n.In, n.Hidden, n.Out)
	}
	for _, part := range n.parts() {
		for _, w := range part {
			if math.IsNaN(w) || math.IsInf(w, 0) {
				return errors.New("a weight is not finite")
			}
		}
	}
	return nil
}

func (n Net) parts() [4][]float64 { return [4][]float64{n.W1, n.B1, n.W2, n.B2} }

// Predict returns one probability for each output; they add up to 1. x holds
// In values.
func (n Net) Predict(x []float64) []float64 {
	hidden, scores := make([]float64, n.Hidden), make([]float64, n.Out)
	n.forward(x, hidden, scores)
	return scores
}

func (n Net) forward(x, hidden, scores []float64) {
	affine(n.W1, n.B1, x, hidden)
	for i, v := range hidden {
		hidden[i] = max(v, 0)
	}
	affine(n.W2, n.B2, hidden, scores)
	softmax(scores)
}

// affine computes out = w*x + b.
func affine(w, b, x, out []float64) {
	for o := range out {
		sum, row := b[o], w[o*len(x):(o+1)*len(x)]
		for i, v := range x {
			sum += row[i] * v
		}
		out[o] = sum
	}
}

// softmax turns scores into probabilities in place. The largest is subtracted
// first: the exponential of a large score would overflow.
func softmax(scores []float64) {
	top := scores[0]
	for _, s := range scores {
		top = max(top, s)
	}
	sum := 0.0
	for i, s := range scores {
		scores[i] = math.Exp(s - top)
		sum += scores[i]
	}
	for i := range scores {
		scores[i] /= sum
	}
}

// Best returns the index of the largest score and that score.
func Best(scores []float64) (index int, score float64) {
	for i, s := range scores {
		if s > scores[index] {
			index = i
		}
	}
	return index, scores[index]
}
