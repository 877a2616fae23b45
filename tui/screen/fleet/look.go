package fleet

import (
	"math"
	"time"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// condition is what one cell of the map says, from the calmest to the worst.
type condition uint8

const (
	free    condition = iota
	closed            // nobody holds it and nobody can be given it
	working           // held, or in use; the level says how much
	silent            // held, and nobody tells what it does
	idle
	degraded
	rogue
	down
	failed
	conditions
)

// fact is what the map needs of a GPU.
type fact struct {
	condition
	old  bool // the reading is: what it says may not be so any more
	util float64
}

// factOf reads a GPU; util is NaN when nobody reports it.
func factOf(g *cluster.GPU, now time.Time) fact {
	f := fact{condition: conditionOf(g), util: math.NaN()}
	if u := g.Util(); u != nil {
		f.util = *u
		f.old = g.Stale(now)
	}
	return f
}

func conditionOf(g *cluster.GPU) condition {
	st := g.Standing()
	switch {
	case st == "down":
		return down
	case st == "failed":
		return failed
	case st == "rogue":
		return rogue
	case worn(g):
		return degraded
	case st == "idle":
		return idle
	case g.Util() != nil && *g.Util() >= 1:
		return working
	case st == "free":
		return free
	case st == "closed":
		return closed
	case g.Util() == nil:
		return silent
	}
	return working
}

// worn tells of a GPU that works, but not as it should.
func worn(g *cluster.GPU) bool { return !g.Failed() && g.Health.Verdict == gpu.VerdictDegraded }

// look is what a cell shows.
type look struct {
	condition
	old   bool
	level int8 // of the ramp; -1 where there is none
	util  int8 // percent, for which change is the greatest; -1 when unknown
}

// sumUp is the look of some GPUs in one cell: the worst of them, and their mean.
// last is what the cell shows now, for the step not to flicker.
func sumUp(facts []fact, of []int32, last look) look {
	out := look{level: -1, util: -1}
	var count [conditions]int
	sum, n, old := 0.0, 0, 0
	for _, i := range of {
		f := &facts[i]
		count[f.condition]++
		if !math.IsNaN(f.util) {
			sum += f.util
			n++
		}
		if f.old {
			old++
		}
	}
	out.condition = worst(&count)
	if n > 0 {
		out.level = int8(ui.HeatLevel(sum/float64(n), int(last.level)))
		out.util = int8(min(max(sum/float64(n), 0), 100))
		out.old = old == n
	}
	return out
}

// worst is one word for some GPUs. A failed one must be seen among many; those
// that only lie idle or tell nothing speak for the others when they are half of
// those at work.
func worst(count *[conditions]int) condition {
	for c := failed; c >= degraded; c-- {
		if count[c] > 0 {
			return c
		}
	}
	busy := count[working] + count[silent] + count[idle]
	switch {
	case busy == 0 && count[free] > 0:
		return free
	case busy == 0:
		return closed
	case 2*count[idle] >= busy:
		return idle
	case 2*count[silent] > busy:
		return silent
	}
	return working
}

// draw is glyph and style of a look in a cell of its own.
func (l look) draw(th *theme.Theme) (string, theme.Style) {
	switch l.condition {
	case failed:
		return th.G.Failed, th.Bad
	case down:
		return th.G.Part, th.Unknown
	case rogue:
		return th.G.Rogue, th.Warn
	case degraded:
		return th.G.Warn, th.Warn
	case idle:
		return th.G.Idle, th.Warn
	case free:
		return th.G.Free, th.Faint
	case closed:
		return th.G.Closed, th.Faint
	}
	if l.level < 0 {
		return th.G.None, th.Unknown
	}
	if l.old {
		return th.G.Level[l.level], th.Faint
	}
	return th.G.Level[l.level], th.Heat[l.level]
}

// both draws two looks in one cell, one above the other. What is wrong has a
// sign of its own and takes the cell.
func both(th *theme.Theme, top, bottom look) (string, theme.Style) {
	bad := top
	if bottom.condition > top.condition {
		bad = bottom
	}
	if bad.condition >= idle {
		return bad.draw(th)
	}
	glyph, st, _ := th.Halves(top.shade(), bottom.shade())
	return glyph, st
}

func (l look) shade() theme.Shade {
	switch {
	case l.condition == free || l.condition == closed:
		return theme.Nothing
	case l.old || l.level < 0:
		return theme.Dim
	}
	return theme.Shade(l.level)
}

// apart says how much two looks differ: 0 not at all, up to calm by what they
// work or are, and urgent where something went wrong or was put right. A cell that
// says that nobody tells what it does must not say so once somebody does.
func apart(a, b look) int {
	switch {
	case (a.condition == silent) != (b.condition == silent):
		return urgent
	case a.condition != b.condition && max(a.condition, b.condition) >= idle, a.old != b.old:
		return urgent
	case a.condition != b.condition || (a.level < 0) != (b.level < 0):
		return calm
	case a.level == b.level:
		return 0
	}
	return max(int(a.util)-int(b.util), int(b.util)-int(a.util), 1)
}

const (
	calm   = 100
	urgent = 1000
)
