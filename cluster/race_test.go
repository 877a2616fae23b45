package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"stoker/gpu"
)

// TestReadersAndWriters lets several sources write while several readers go
// through whatever was published; with -race it shows what is shared wrongly.
// Each reader also remembers what it read first and reads it again at the end.
func TestReadersAndWriters(t *testing.T) {
	f := NewFeed(Place{"lab", "global"}, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { _ = f.Run(ctx) })
	var readers sync.WaitGroup
	for range 3 {
		ch, _ := f.Subscribe()
		readers.Go(func() {
			kept := map[*Snapshot]string{}
			for s := range ch {
				text := whole(t, s) + picture(s)
				for _, n := range s.Nodes {
					_ = s.NodeGPUs(n.ID)
					_ = s.NodeAllocs(n.ID)
				}
				for _, j := range s.Jobs {
					_, _ = s.JobAllocs(j.ID), s.Outcome(j.ID)
				}
				if len(kept) < 10 {
					kept[s] = text
				}
			}
			for s, was := range kept {
				if whole(t, s)+picture(s) != was {
					t.Errorf("snapshot %d changed after it was published", s.Rev)
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	seeds := []uint64{rng.Uint64(), rng.Uint64(), rng.Uint64()}
	var writers sync.WaitGroup
	for i, seed := range seeds {
		writers.Go(func() { write(f, i, rand.New(rand.NewPCG(seed, 0))) })
	}
	writers.Wait()
	time.Sleep(publishEvery) // the last publication, if one is due; nothing depends on it
	cancel()
	all.Wait()
	readers.Wait()
}

func write(f *Feed, who int, rng *rand.Rand) {
	node1 := fmt.Sprint("n", who)
	at := time.Now()
	for i := range 400 {
		idx := uint64(1 + rng.IntN(400))
		of := fmt.Sprint("j", rng.IntN(4))
		g := gpu.UUID(fmt.Sprint("G", who, rng.IntN(4)))
		switch rng.IntN(8) {
		case 0:
			f.Scheduler(Update{Nodes: []Node{node(node1, "gpu-"+node1, idx, gpu.UUID(fmt.Sprint("G", who, 0)), g)}})
		case 1:
			f.Scheduler(Update{Jobs: []Job{job(of, idx, func(j *Job) { j.Kind = []Kind{"", KindInference, KindTraining}[rng.IntN(3)] })}})
		case 2:
			f.Scheduler(Update{Index: idx, GoneAllocs: []AllocID{AllocID(fmt.Sprint("a", rng.IntN(9)))}})
		case 3:
			f.Scheduler(Update{Lists: SetAllocs, Index: idx, Allocs: []Alloc{alloc(fmt.Sprint("a", rng.IntN(9)), of, idx, holding(g))}})
		case 4:
			step, loss := float64(i), rng.Float64()
			f.Training([]TrainingSample{{Job: JobID{Namespace: "default", Name: of}, Alloc: "a1", Step: &step, Loss: &loss}})
		case 5:
			f.Models([]ModelSample{{Key: ModelKey{Job: JobID{Namespace: "default", Name: of}}, P95: &Quantile{Seconds: rng.Float64()}}})
		case 6:
			f.Scheduler(Update{Allocs: []Alloc{alloc(fmt.Sprint("a", rng.IntN(9)), of, idx, holding(g), ended([]string{"running", "failed"}[rng.IntN(2)]))}})
		default:
			at = at.Add(time.Second)
			b := reading(node1, at, sample(g, at, 100*rng.Float64()))
			b.Events = []gpu.Event{{UUID: g, At: at, Kind: gpu.EventXid, Xid: uint64(i)}}
			f.GPUs(b)
		}
		if i%40 == 0 {
			time.Sleep(time.Millisecond) // lets snapshots come between
		}
	}
}
