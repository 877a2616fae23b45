package main

import "testing"

// The jobs make as many allocations as are asked for, hold most GPUs, and leave
// room for none to be asked for twice.
func TestAsksFillTheFleet(t *testing.T) {
	for _, n := range []int{1, 10, 50, 100, 1000, 3000} {
		allocs, gpus, ids := n, 0, map[string]bool{}
		for _, k := range asks(n, 10) {
			if ids[k.id] {
				t.Errorf("%d nodes: two jobs are called %s", n, k.id)
			}
			ids[k.id] = true
			if k.typ == "system" {
				allocs += n
				continue
			}
			if k.waits() {
				continue
			}
			allocs += k.count
			gpus += k.count * int(k.gpus)
		}
		if allocs != 10*n {
			t.Errorf("%d nodes: %d allocations", n, allocs)
		}
		if held := float64(gpus) / float64(8*n); n >= 10 && (held < 0.7 || held > 0.95) {
			t.Errorf("%d nodes: %.2f of the GPUs held", n, held)
		}
	}
}
