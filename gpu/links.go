package gpu

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// linkRecord remembers what the NVLinks of a device counted.
type linkRecord struct {
	at    time.Time
	links map[int]linkCount // never changed in place
}

type linkCount struct {
	errors uint64
	told   bool // errors were counted at all
	up     bool
	wasUp  bool    // at any time
	rate   float64 // errors in a second, since the count last moved or was read
	at     time.Time
}

// countedOver is the least time that errors are spread over, since a link is
// looked at that seldom: a single error is no error a second.
const countedOver = 2 * time.Second

// countFor is how long errors of a link are held against it: its counts are
// not asked at each reading.
const countFor = 5 * time.Second

// with is the record after a reading. A silent device keeps what it had.
func (r linkRecord) with(e Evidence) linkRecord {
	s := e.Sample
	if e.Silent != "" || s.Detail == nil || len(s.Detail.NVLinks) == 0 {
		return r
	}
	out := linkRecord{at: s.At, links: make(map[int]linkCount, len(s.Detail.NVLinks))}
	for _, l := range s.Detail.NVLinks {
		was, known := r.links[l.Link]
		n, told := errorsOf(l)
		is := linkCount{errors: n, told: told, up: l.Up, wasUp: was.wasUp || l.Up, rate: was.rate, at: was.at}
		switch elapsed := s.At.Sub(r.at); {
		case known && was.told && told && n > was.errors && elapsed > 0:
			is.rate, is.at = float64(n-was.errors)/max(elapsed, countedOver).Seconds(), s.At
		case s.At.Sub(was.at) > countFor:
			is.rate = 0
		}
		out.links[l.Link] = is
	}
	return out
}

// errorsOf adds up what a link counts; told is false where it counts nothing.
func errorsOf(l NVLink) (n uint64, told bool) {
	for _, c := range []*uint64{l.Replays, l.Recoveries, l.CRCErrors} {
		if c != nil {
			n, told = n+*c, true
		}
	}
	return n, told
}

// worst is the link with the most errors in a second.
func (r linkRecord) worst() (link int, rate float64) {
	for _, i := range slices.Sorted(maps.Keys(r.links)) {
		if c := r.links[i]; c.rate > rate {
			link, rate = i, c.rate
		}
	}
	return link, rate
}

// down are the links that were up and are not any more.
func (r linkRecord) down() []string {
	var out []string
	for _, i := range slices.Sorted(maps.Keys(r.links)) {
		if c := r.links[i]; c.wasUp && !c.up {
			out = append(out, strconv.Itoa(i))
		}
	}
	return out
}
