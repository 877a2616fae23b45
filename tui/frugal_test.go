package tui

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stoker/cluster"
	"stoker/tui/screen/fixture"
	"stoker/tui/theme"
)

// thousand is one fleet of a thousand nodes for all tests: a snapshot is never changed.
var thousand = sync.OnceValue(func() *cluster.Snapshot { return fixture.Big(1000) })

// walk is a fleet whose readings move as real ones do: most a little from second
// to second, some by much when a batch begins or ends.
type walk struct {
	*cluster.Snapshot
	rnd   *rand.Rand
	parts int // of the nodes, one of which reports at a time
	jumps int // one reading in so many is far from the one before
	beat  int
}

func (f *walk) next(now time.Time) *cluster.Snapshot {
	f.beat++
	s := *f.Snapshot
	s.Rev, s.At = s.Rev+1, now
	s.GPUs = append([]cluster.GPU(nil), s.GPUs...)
	for i := range s.GPUs {
		if g := &s.GPUs[i]; g.Sample != nil && g.NodeUp && i/8%f.parts == f.beat%f.parts {
			f.move(g, now)
		}
	}
	f.sum(&s)
	f.Snapshot = &s
	return &s
}

func (f *walk) move(g *cluster.GPU, now time.Time) {
	s := *g.Sample
	s.At = now
	if u := s.UtilPercent; u != nil && (g.Holder != nil || *u >= 1) {
		to := *u + f.rnd.NormFloat64()*4
		if f.rnd.IntN(f.jumps) == 0 {
			to = float64(f.rnd.IntN(100))
		}
		s.UtilPercent = fixture.Float(min(max(to, 1), 100))
		s.PowerWatts = fixture.Float(700 * (0.12 + 0.0078**s.UtilPercent))
		s.TempCelsius = fixture.Float(31 + 0.5**s.UtilPercent)
	}
	g.Sample = &s
}

func (f *walk) sum(s *cluster.Snapshot) {
	var util, power float64
	n := 0
	for i := range s.GPUs {
		if g := &s.GPUs[i]; g.Sample != nil && g.Sample.UtilPercent != nil && g.Sample.PowerWatts != nil && g.NodeUp {
			util += *g.Sample.UtilPercent
			power += *g.Sample.PowerWatts
			n++
		}
	}
	s.Fleet.UtilPercent, s.Fleet.PowerWatts = fixture.Float(util/float64(n)), &power
}

// bytesASecond runs the whole program on a fleet that moves, in the time of a
// synctest bubble, and counts what it writes once the first picture is there.
func bytesASecond(t *testing.T, s *cluster.Snapshot, parts, jumps int, keys string) (rate float64) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		now := func() time.Time { return fixture.Now().Add(time.Since(began)) }
		p := newProgram(t, 0, 120, 40, theme.Dark, now, s)
		p.shows("GPUs", 5*time.Second)
		f := &walk{Snapshot: s, rnd: rand.New(rand.NewPCG(1, 2)), parts: parts, jumps: jumps}
		publish := func(seconds int) {
			for range seconds * parts {
				p.feed.ch <- f.next(now())
				time.Sleep(time.Second / time.Duration(parts))
			}
		}
		publish(1)
		if keys != "" {
			p.types(keys)
			publish(1)
		}
		before := p.sent()
		const seconds = 4
		publish(seconds)
		rate = float64(p.sent()-before) / seconds
		p.quit(time.Second)
	})
	return rate
}

// TestFrugal: what the fleet screen costs on the way to the terminal, at 120x40
// with every GPU read once a second.
func TestFrugal(t *testing.T) {
	big := thousand()
	for _, tc := range []struct {
		name         string
		s            *cluster.Snapshot
		parts, jumps int
		keys         string
		most         float64 // bytes a second
	}{
		{"lab", fixture.Lab(), 3, 50, "", 4 << 10},
		{"lab, all jump", fixture.Lab(), 3, 1, "", 4 << 10},
		{"1000 nodes by rack", big, 10, 50, "bb", 16 << 10},
		{"1000 nodes, two GPUs a cell", big, 10, 50, "+", 16 << 10},
		{"1000 nodes, two GPUs a cell, all jump", big, 10, 1, "+", 16 << 10},
		{"1000 nodes as rows, all jump", big, 10, 1, "+++", 16 << 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rate := bytesASecond(t, tc.s, tc.parts, tc.jumps, tc.keys)
			t.Logf("%.0f bytes a second", rate)
			if rate > tc.most || rate < 100 {
				t.Errorf("%.0f bytes a second, want at most %.0f", rate, tc.most)
			}
		})
	}
}
