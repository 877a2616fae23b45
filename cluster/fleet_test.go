package cluster

import (
	"testing"
	"time"
)

// TestOldReadingsAreNotAddedUp: of a node that is ready the readings may still be
// hours old. How long one is live is up to how often its source measures.
func TestOldReadingsAreNotAddedUp(t *testing.T) {
	for source, life := range map[string]time.Duration{"agent": 10 * time.Second, "nomad": 10 * time.Second, "dcgm": 2 * time.Minute, "prometheus": 3 * time.Minute} {
		w := readWorld(t)
		w.update(Update{Nodes: []Node{node("n1", "gpu-a", 1, "G1")}, Jobs: []Job{job("x", 1)}, Allocs: []Alloc{alloc("a1", "x", 1, holding("G1"))}})
		at := w.clock().Add(time.Second)
		b := reading("n1", at, sample("G1", at, 40))
		watts, used, temp := 300.0, uint64(5<<30), 61.0
		b.Source, b.Samples[0].PowerWatts, b.Samples[0].MemoryUsedBytes, b.Samples[0].TempCelsius = source, &watts, &used, &temp
		w.batch(b)
		w.sleep(life - time.Second)
		s := w.update(Update{})
		if f := s.Fleet; f.Reporting != 1 || f.UtilPercent == nil || *f.UtilPercent != 40 || *f.PowerWatts != 300 || *f.MemoryUsed != 5<<30 || *f.HottestCelsius != 61 {
			t.Errorf("%s, while it is live: %+v", source, f)
		}
		s = w.update(Update{})
		if f := s.Fleet; f.Reporting != 0 || f.UtilPercent != nil || f.PowerWatts != nil || f.MemoryUsed != nil || f.HottestCelsius != nil {
			t.Errorf("%s, when it is old: %+v", source, f)
		}
		if u := s.JobUsage()[0]; u.GPUs != 1 || u.UtilPercent != nil || u.PowerWatts != nil {
			t.Errorf("%s: the job uses %+v", source, u)
		}
		if g := s.GPU("G1"); !g.Stale(s.At) || g.Sample == nil {
			t.Errorf("%s: the reading is gone, or not old", source)
		}
	}
}
