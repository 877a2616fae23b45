package nn

import "math"

const (
	momentum    = 0.9
	weightDecay = 1e-4
	// leastProbability keeps the loss of a hopelessly wrong answer finite.
	leastProbability = 1e-12
)

// Trainer improves a network step by step. Net and Velocity are its whole
// state: saved and put back, the training goes on as if never interrupted.
type Trainer struct {
	Net      Net `json:"net"`
	Velocity Net `json:"velocity"`
}

// NewTrainer starts to train net, at rest.
func NewTrainer(net Net) *Trainer {
	return &Trainer{Net: net, Velocity: zero(net.In, net.Hidden, net.Out)}
}

// Step learns from one batch and returns its mean cross entropy in nats, taken
// before the weights changed. Each input holds Net.In values and each label is
// below Net.Out; the batch is not empty.
func (t *Trainer) Step(inputs [][]float64, labels []int, rate float64) float64 {
	n := t.Net
	grad := zero(n.In, n.Hidden, n.Out)
	hidden, scores := make([]float64, n.Hidden), make([]float64, n.Out)
	loss := 0.0
	for s, x := range inputs {
		n.forward(x, hidden, scores)
		loss -= math.Log(max(scores[labels[s]], leastProbability))
		scores[labels[s]]-- // the derivative of softmax and cross entropy together
		n.backward(grad, x, hidden, scores)
	}
	t.apply(grad, rate, float64(len(inputs)))
	return loss / float64(len(inputs))
}

// backward adds the gradient of one sample to grad. delta is the derivative of
// the loss by each output before softmax.
func (n Net) backward(grad Net, x, hidden, delta []float64) {
	for o, d := range delta {
		grad.B2[o] += d
		row := grad.W2[o*n.Hidden : (o+1)*n.Hidden]
		for h, v := range hidden {
			row[h] += d * v
		}
	}
	for h, v := range hidden {
		if v <= 0 {
			continue // a unit that is off passes nothing back
		}
		d := 0.0
		for o, dOut := range delta {
			d += dOut * n.W2[o*n.Hidden+h]
		}
		grad.B1[h] += d
		row := grad.W1[h*n.In : (h+1)*n.In]
		for i, xi := range x {
			row[i] += d * xi
		}
	}
}

func (t *Trainer) apply(grad Net, rate, samples float64) {
	weights, speeds := t.Net.parts(), t.Velocity.parts()
	for p, g := range grad.parts() {
		w, v := weights[p], speeds[p]
		for i := range g {
			v[i] = momentum*v[i] - rate*(g[i]/samples+weightDecay*w[i])
			w[i] += v[i]
		}
	}
}
