package cluster

import (
	"cmp"
	"fmt"
	"slices"

	"stoker/secrets"
)

// sum adds the fleet up.
func sum(s *Snapshot) Fleet {
	f := Fleet{Nodes: len(s.Nodes), Claims: s.Claims()}
	for i := range s.Nodes {
		if s.Nodes[i].Status == NodeReady {
			f.NodesReady++
		}
	}
	var util float64
	for i := range s.GPUs {
		g := &s.GPUs[i]
		f.count(g)
		now := g.Live(s.At)
		if now == nil {
			continue
		}
		if u := now.UtilPercent; u != nil {
			util += *u
			f.Reporting++
		}
		if !g.Split { // its instances tell of its memory
			f.MemoryUsed = plus(f.MemoryUsed, now.MemoryUsedBytes)
		}
		f.PowerWatts = plus(f.PowerWatts, now.PowerWatts)
		f.PowerLimitWatts = plus(f.PowerLimitWatts, now.PowerLimitWatts)
		if t := now.TempCelsius; t != nil && (f.HottestCelsius == nil || *t > *f.HottestCelsius) {
			f.HottestCelsius, f.Hottest = t, g.UUID
		}
	}
	if f.Reporting > 0 {
		mean := util / float64(f.Reporting)
		f.UtilPercent = &mean
	}
	for i := range s.Jobs {
		if w := s.Jobs[i].Waiting; w != nil {
			f.PendingJobs++
			f.Pending += w.GPUs
		}
	}
	return f
}

// count counts a device; one that is cut into instances is counted through
// these, though power and heat are its own.
func (f *Fleet) count(g *GPU) {
	if g.Split {
		return
	}
	f.GPUs++
	if g.Holder != nil {
		f.Held++
	}
	if !g.NodeUp {
		f.Down++
		return
	}
	switch {
	case g.Failed():
		f.Failed++
	case g.Free():
		f.Free++
	case g.Standing() == "closed":
		f.Closed++
	}
	if g.Idle() {
		f.Idle++
	}
	if g.Rogue() {
		f.Rogue++
	}
	f.MemoryTotal += g.MemoryBytes
}

// plus adds a value that may be unknown to a sum that may have none yet. The
// sum is its own, so it can be added to in place.
func plus[N float64 | uint64](sum, v *N) *N {
	switch {
	case v == nil:
	case sum == nil:
		first := *v
		return &first
	default:
		*sum += *v
	}
	return sum
}

// joinKeys says which artifacts each Transit key still opens.
func joinKeys(place Place, v *secrets.State, artifacts []Artifact) []Key {
	if v == nil {
		return nil
	}
	out := make([]Key, 0, len(v.Keys))
	for _, k := range v.Keys {
		row := Key{Place: place, Key: k}
		for _, a := range artifacts {
			if a.Key != k.Name {
				continue
			}
			row.Artifacts = append(row.Artifacts, a)
			if a.KeyVersion > 0 && a.KeyVersion < k.Latest {
				row.Stale++
			}
		}
		out = append(out, row)
	}
	slices.SortFunc(out, func(a, b Key) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// count is "1 GPU", "2 GPUs".
func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
