package cluster

import (
	"slices"
	"testing"

	"stoker/gpu"
)

// TestAllWordsAreListed: a filter refuses the words that are not in the lists.
func TestAllWordsAreListed(t *testing.T) {
	busy, calm := 100.0, 0.0
	yes := []bool{false, true}
	seen := map[string]bool{}
	for _, verdict := range gpu.Verdicts() {
		for _, util := range []*float64{nil, &busy, &calm} {
			for bits := range 1 << 8 {
				bit := func(i int) bool { return yes[bits>>i&1] }
				g := GPU{
					Host: &Host{NodeUp: bit(0), NodeOpen: bit(1), Alone: bit(3)}, Reading: &Reading{}, Split: bit(2), Claims: bit(4), Known: bit(5), Schedulable: bit(6),
					Health: gpu.Health{Verdict: verdict}, Sample: &gpu.Sample{UtilPercent: util}, History: &History{},
				}
				if bit(7) {
					g.Holder = &Holder{}
				}
				seen[g.State()] = true
			}
		}
	}
	for _, status := range []NodeStatus{"", NodeReady, NodeDown, NodeInitialising, NodeDisconnected} {
		for bits := range 4 {
			n := Node{Status: status, Eligible: yes[bits&1], Draining: yes[bits>>1]}
			if w := n.State(); !slices.Contains(NodeStates(), w) {
				t.Errorf("%q of a node is not listed", w)
			}
		}
	}
	for w := range seen {
		if !slices.Contains(GPUStates(), w) {
			t.Errorf("%q of a GPU is not listed", w)
		}
	}
	for _, w := range []string{"degraded", "watch", "failed", "down", "held", "free", "closed", "split", "in use", "unknown"} {
		if !seen[w] {
			t.Errorf("no GPU is %q", w)
		}
	}
}
