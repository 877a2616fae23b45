package metrics

import "time"

// point is one successful scrape.
type point struct {
	at time.Time
	page
}

// target is one endpoint with what it said lately. It belongs to Run's goroutine.
type target struct {
	endpoint Endpoint
	points   []point // oldest first; the first is the newest that a whole window lies after
	health
}

func (t *target) last() *point {
	if len(t.points) == 0 {
		return nil
	}
	return &t.points[len(t.points)-1]
}

// add takes a scrape and forgets what no longer bears on the window.
func (t *target) add(p point, window time.Duration) {
	if last := t.last(); last != nil && !p.at.After(last.at) {
		t.points = t.points[:0] // the clock was set back: begin anew
	}
	t.points = append(t.points, p)
	from := p.at.Add(-window)
	drop := 0
	for drop+1 < len(t.points) && !t.points[drop+1].at.After(from) {
		drop++
	}
	t.points = append(t.points[:0], t.points[drop:]...)
}

// increase is how much a counter grew between two readings. One that fell was
// started again from 0.
func increase(prev, cur float64) float64 {
	if cur < prev {
		return cur
	}
	return cur - prev
}

// tally is what happened to one model version at one endpoint over the window.
type tally struct {
	elapsed  time.Duration
	counters map[series]float64
	// histograms holds what was added, by role; an entry is nil where the
	// series of one role have different buckets.
	histograms map[role]*histogram
	present    map[role]bool // roles with a histogram, observed or not
}

// tally adds up the increases from scrape to scrape. A series that was not
// there at a scrape stood at 0 then: servers make most of them at first use.
func (t *target) tally(id identity) tally {
	out := tally{counters: map[series]float64{}, histograms: map[role]*histogram{}, present: map[role]bool{}}
	bad := map[role]bool{}
	for i := 1; i < len(t.points); i++ {
		prev, cur := t.points[i-1].models[id], t.points[i].models[id]
		if cur == nil {
			continue
		}
		if prev == nil {
			prev = &reading{}
		}
		for s, v := range cur.counters {
			out.counters[s] += increase(prev.counters[s], v)
		}
		for s, h := range cur.histograms {
			out.present[s.role] = true
			sum, ok := h.since(prev.histograms[s]).plus(out.histograms[s.role])
			if !ok {
				bad[s.role] = true
				continue
			}
			out.histograms[s.role] = sum
		}
	}
	for r := range bad {
		out.histograms[r] = nil
	}
	if n := len(t.points); n > 1 {
		out.elapsed = t.points[n-1].at.Sub(t.points[0].at)
	}
	return out
}
