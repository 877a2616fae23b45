package fleet

import (
	"fmt"
	"time"

	"stoker/cluster"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// utilStep is the time between two points of Fleet.Util.
const utilStep = 5 * time.Second

// capacity draws the two lines on top.
func capacity(e *screen.Env, s *cluster.Snapshot, w int) []string {
	return []string{ui.Fit("  "+first(e, s, w-3), w), ui.Fit("  "+second(e, s, w-3), w)}
}

// told is what the meter is made of; each GPU counts once, but for those that
// failed and are held.
type told struct{ held, failed, failedHeld, down int }

func tell(s *cluster.Snapshot) (n told) {
	for i := range s.GPUs {
		switch g := &s.GPUs[i]; {
		case !g.NodeUp:
			n.down++
		case g.Failed():
			n.failed++
			if g.Holder != nil {
				n.failedHeld++
			}
		case g.Holder != nil:
			n.held++
		}
	}
	return n
}

// utilOf is the utilisation, with its last minutes where they are known.
func utilOf(e *screen.Env, f *cluster.Fleet) ui.Seg {
	th := e.Theme
	text := th.Muted.Render("util ") + ui.Percent(f.UtilPercent)
	seg := ui.Seg{Text: text, Short: text, Drop: 3}
	if n := len(f.Util); n >= 4 {
		points := f.Util[n-min(n, 24):]
		seg.Text += "  " + th.Accent.Render(ui.Spark(&th.G, points, len(points), 100)) + th.Muted.Render(" last "+ui.Dur(time.Duration(len(points))*utilStep))
	}
	return seg
}

// first is the meter: how many GPUs there are and what they are doing.
func first(e *screen.Env, s *cluster.Snapshot, w int) string {
	th, f := e.Theme, &s.Fleet
	if f.GPUs == 0 {
		return th.Title.Render("GPUs ") + th.Muted.Render(ui.None)
	}
	head := th.Title.Render("GPUs " + ui.Int(f.GPUs))
	n := tell(s)
	old := screen.Old(s, "jobs") != nil // who holds what is history then
	count := func(n int, word string) string {
		switch {
		case !f.Claims:
			return ui.None + " " + th.Muted.Render(word)
		case old:
			return th.Faint.Render(ui.Int(n) + " " + word)
		}
		return ui.Int(n) + " " + th.Muted.Render(word)
	}
	segs := []ui.Seg{{Text: count(f.Held, "held")}, {Text: count(f.Free, "free")}}
	if n.failed > 0 {
		text := th.Bad.Render(ui.Int(n.failed) + " failed")
		long := text
		if n.failedHeld > 0 { // the two counts overlap: say so
			long += th.Muted.Render(fmt.Sprintf(" (%d still held)", n.failedHeld))
		}
		segs = append(segs, ui.Seg{Text: long, Short: text, Drop: 4})
	} else {
		segs = append(segs, ui.Seg{Text: th.Muted.Render("0 failed"), Drop: 2})
	}
	if f.Closed > 0 {
		segs = append(segs, ui.Seg{Text: th.Warn.Render(ui.Int(f.Closed) + " closed"), Drop: 1})
	}
	if n.down > 0 {
		segs = append(segs, ui.Seg{Text: th.Bad.Render(ui.Int(n.down) + " down"), Drop: 2})
	}
	segs = append(segs, utilOf(e, f))
	meter := min(max(w/4, 10), 48)
	parts := []ui.Part{
		{N: n.held, Glyph: th.G.Full, Style: th.Accent},
		{N: n.failed, Glyph: th.G.Failed, Style: th.Bad},
		{N: n.down, Glyph: th.G.Part, Style: th.Unknown},
	}
	bar := ui.Meter(th, parts, f.GPUs, meter)
	return head + "  " + bar + "  " + ui.Segs(segs, 3, w-ui.Width(head)-meter-4)
}

// second is the rest: what is wrong with the use of the fleet, and its limits.
func second(e *screen.Env, s *cluster.Snapshot, w int) string {
	th, f := e.Theme, &s.Fleet
	if f.GPUs == 0 {
		return ""
	}
	label := func(name, value string) string { return th.Muted.Render(name+" ") + value }
	loud := func(n int) string {
		if !f.Claims {
			return ui.None
		}
		if n == 0 {
			return "0"
		}
		return th.Warn.Render(ui.Int(n))
	}
	pending := label("pending", "0")
	if s.Known&cluster.SetEvaluations == 0 {
		pending = label("pending", ui.None)
	}
	switch {
	case f.PendingJobs > 0 && screen.Old(s, "jobs") != nil:
		pending = th.Faint.Render("pending " + ui.Count(f.Pending, "GPU") + " in " + ui.Count(f.PendingJobs, "job"))
	case f.PendingJobs > 0:
		pending = th.Muted.Render("pending ") + th.Warn.Render(ui.Count(f.Pending, "GPU")) + th.Muted.Render(" in "+ui.Count(f.PendingJobs, "job"))
	}
	segs := []ui.Seg{
		{Text: label("held idle", loud(f.Idle))},
		{Text: label("rogue", loud(f.Rogue)), Drop: 2},
		{Text: pending},
		{Text: label("memory", memoryIn(f)), Drop: 4},
		{Text: label("power", powerOf(f)), Short: label("power", ui.Watts(f.PowerWatts)), Drop: 3},
	}
	if f.HottestCelsius != nil {
		short := label("hottest", ui.Celsius(f.HottestCelsius))
		long := short
		if g := s.GPU(f.Hottest); g != nil {
			long += th.Muted.Render(fmt.Sprintf(" %s/%d", ui.Clean(g.NodeName), g.Index))
		}
		segs = append(segs, ui.Seg{Text: long, Short: short, Drop: 5})
	}
	return ui.Segs(segs, 3, w)
}

func memoryIn(f *cluster.Fleet) string {
	if f.MemoryTotal == 0 { // no agent told of any
		return ui.None
	}
	used := ui.None
	if f.MemoryUsed != nil {
		used = ui.GiB(*f.MemoryUsed)
	}
	return used + " of " + ui.GiB(f.MemoryTotal) + " GiB"
}

func powerOf(f *cluster.Fleet) string {
	if f.PowerWatts == nil || f.PowerLimitWatts == nil {
		return ui.Watts(f.PowerWatts)
	}
	if *f.PowerLimitWatts < 1000 {
		return ui.Num(f.PowerWatts, 0, "") + " of " + ui.Num(f.PowerLimitWatts, 0, "W")
	}
	now, limit := *f.PowerWatts/1000, *f.PowerLimitWatts/1000
	return ui.Num(&now, 1, "") + " of " + ui.Num(&limit, 1, "kW")
}
