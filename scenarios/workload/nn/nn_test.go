package nn

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEvaluate(t *testing.T) {
	// Class 0: 3 of 4 found, 1 false alarm. Class 1: 1 of 2 found, 1 false
	// alarm. Class 2 never occurs and is never said.
	truth := []int{0, 0, 0, 0, 1, 1}
	said := []int{0, 0, 0, 1, 1, 0}
	got := Evaluate(3, truth, said)
	want := Evaluation{
		Samples: 6, Accuracy: 4.0 / 6,
		MacroPrecision: (0.75 + 0.5) / 3, MacroRecall: (0.75 + 0.5) / 3, MacroF1: (0.75 + 0.5) / 3,
		Classes: []ClassScore{
			{Label: 0, Precision: 0.75, Recall: 0.75, F1: 0.75, Support: 4},
			{Label: 1, Precision: 0.5, Recall: 0.5, F1: 0.5, Support: 2},
			{Label: 2},
		},
		Confusion: [][]int{{3, 1, 0}, {1, 1, 0}, {0, 0, 0}},
	}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-12 })
	if diff := cmp.Diff(want, got, near); diff != "" {
		t.Error(diff)
	}
	if empty := Evaluate(2, nil, nil); empty.Accuracy != 0 || empty.Samples != 0 {
		t.Errorf("nothing evaluated: %+v", empty)
	}
}

// The gradient that Step follows must be the slope of the loss, measured by
// moving each weight a little.
func TestStepFollowsTheSlope(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	net := New(5, 4, 3, rng)
	inputs, labels := make([][]float64, 6), make([]int, 6)
	for i := range inputs {
		for range net.In {
			inputs[i] = append(inputs[i], rng.Float64())
		}
		labels[i] = rng.IntN(net.Out)
	}
	loss := func() float64 {
		sum := 0.0
		for i, x := range inputs {
			sum -= math.Log(net.Predict(x)[labels[i]])
		}
		return sum / float64(len(inputs))
	}
	before := clone(net)
	slopes := zero(net.In, net.Hidden, net.Out)
	for p, part := range net.parts() {
		for i := range part {
			const h = 1e-6
			at := part[i]
			part[i] = at + h
			up := loss()
			part[i] = at - h
			slopes.parts()[p][i] = (up - loss()) / (2 * h)
			part[i] = at
		}
	}
	wantLoss := loss()
	const rate = 0.01
	if got := NewTrainer(net).Step(inputs, labels, rate); math.Abs(got-wantLoss) > 1e-12 {
		t.Errorf("loss %v, want %v", got, wantLoss)
	}
	for p, part := range net.parts() {
		for i, w := range part {
			old := before.parts()[p][i]
			want := old - rate*(slopes.parts()[p][i]+weightDecay*old)
			if math.Abs(w-want) > 1e-8 {
				t.Fatalf("part %d weight %d: %v, want %v", p, i, w, want)
			}
		}
	}
}

func clone(n Net) Net {
	c := zero(n.In, n.Hidden, n.Out)
	for p, part := range n.parts() {
		copy(c.parts()[p], part)
	}
	return c
}

func TestPredictSurvivesLargeScores(t *testing.T) {
	net := zero(1, 1, 2)
	net.W1[0], net.W2[0] = 1, 1e6
	scores := net.Predict([]float64{1})
	if best, top := Best(scores); best != 0 || top != 1 || scores[1] != 0 {
		t.Errorf("scores %v", scores)
	}
}

func TestCheck(t *testing.T) {
	fresh := func() Net { return New(3, 2, 2, rand.New(rand.NewPCG(1, 1))) }
	for name, spoil := range map[string]func(*Net){
		"size":    func(n *Net) { n.In = 4 },
		"missing": func(n *Net) { n.B2 = nil },
		"zero":    func(n *Net) { n.Hidden = 0 },
		"NaN":     func(n *Net) { n.W2[1] = math.NaN() },
		"Inf":     func(n *Net) { n.W1[0] = math.Inf(-1) },
	} {
		n := fresh()
		if err := n.Check(); err != nil {
			t.Fatalf("good network refused: %v", err)
		}
		spoil(&n)
		if n.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
