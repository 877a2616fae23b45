package cluster

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"stoker/gpu"
)

// TestHoldersAreThoseOfAllocations: whatever happens to allocations, nodes and
// jobs, a GPU is held where an allocation that is not over has it, and nowhere else.
func TestHoldersAreThoseOfAllocations(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		now := start()
		st := newState(Place{}, func() time.Time { return now })
		idx := uint64(10)
		gpus := []gpu.UUID{"G0", "G1", "G2", "G3"}
		nodes := func() []Node {
			a, b := node("n0", "gpu-a", idx, gpus[:2]...), node("n1", "gpu-b", idx, gpus[2:]...)
			if r.IntN(4) == 0 {
				b.Devices = nil // until its plugin answers again
			}
			return []Node{a, b}
		}
		some := func() Alloc {
			id := r.IntN(12)
			a := alloc(fmt.Sprint("a", id), fmt.Sprint("j", id%3), idx, holding(gpus[id%4]))
			a.Client = []string{"running", "running", "pending", "complete", "lost"}[r.IntN(5)]
			a.Desired = []string{"run", "stop"}[r.IntN(2)]
			a.Node, a.Created = NodeID(fmt.Sprint("n", id%4/2)), start().Add(time.Duration(id)*time.Second)
			return a
		}
		st.scheduler(Update{Lists: SetAll, Index: idx, Nodes: nodes()})
		for step := range 80 {
			idx++
			now = now.Add(time.Second)
			u := Update{Index: idx}
			switch r.IntN(8) {
			case 0:
				u.Nodes = nodes()
			case 1:
				u.Lists, u.Nodes = SetNodes, nodes()
			case 2:
				u.GoneJobs = []JobID{{Namespace: "default", Name: fmt.Sprint("j", r.IntN(3))}}
			case 3:
				u.Lists = SetAllocs
				seen := map[AllocID]bool{}
				for range r.IntN(6) {
					if a := some(); !seen[a.ID] {
						seen[a.ID] = true
						u.Allocs = append(u.Allocs, a)
					}
				}
			case 4:
				u.GoneAllocs = []AllocID{AllocID(fmt.Sprint("a", r.IntN(12)))}
			default:
				u.Allocs = []Alloc{some()}
			}
			st.scheduler(u)
			if r.IntN(3) == 0 {
				continue
			}
			s := st.snapshot()
			want := map[gpu.UUID]bool{}
			for i := range s.Allocs {
				if a := &s.Allocs[i]; !a.Terminal() {
					for _, id := range a.GPUs {
						want[id] = true
					}
				}
			}
			for i := range s.GPUs {
				g := &s.GPUs[i]
				if (g.Holder != nil) != want[g.UUID] {
					t.Fatalf("seed %d, step %d: %s is held: %v, an allocation has it: %v", seed, step, g.UUID, g.Holder != nil, want[g.UUID])
				}
			}
		}
	}
}
