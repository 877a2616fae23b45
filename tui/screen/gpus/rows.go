package gpus

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/screen"
	"stoker/tui/screen/parts"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

type row = cluster.GPU

// columns are the table's. Without a scheduler nobody holds a GPU: processes
// are what uses it, and there is one node only.
func columns(e *screen.Env, alone bool) []ui.Column[row] {
	th := e.Theme
	by := func(of func(*row) *float64) func(a, b *row) int {
		return func(a, b *row) int { return screen.Known(of(a), of(b)) }
	}
	name := ui.Column[row]{Title: "GPU", Min: 8, Max: 28, Cell: func(g *row) ui.Cell { return ui.Txt(parts.Name(g)) }}
	use := ui.Column[row]{Title: "HELD BY", Min: 16, Max: 50, Cell: func(g *row) ui.Cell { return heldBy(th, g) }, Compare: func(a, b *row) int { return cmp.Compare(heldBy(th, a).Text, heldBy(th, b).Text) }}
	if alone {
		name = ui.Column[row]{Title: "GPU", Min: 3, Align: ui.Right, Cell: func(g *row) ui.Cell { return ui.Txt(fmt.Sprint(g.Index)) }}
		use = ui.Column[row]{Title: "USED BY", Min: 18, Max: 60, Cell: func(g *row) ui.Cell { return usedBy(th, g) }}
	}
	return parts.Fade(th, []ui.Column[row]{
		name,
		{Title: "MODEL", Min: 9, Max: 16, Drop: 4, Cell: func(g *row) ui.Cell { return ui.In(th.Muted, screen.ShortModel(g.Model)) }, Compare: func(a, b *row) int { return cmp.Compare(a.Model, b.Model) }},
		{Title: "STATE", Min: 10, Cell: func(g *row) ui.Cell { return state(th, g, alone) }, Compare: func(a, b *row) int { return cmp.Compare(word(a, alone), word(b, alone)) }},
		{Title: "UTIL", Min: 14, Cell: func(g *row) ui.Cell { return parts.Meter(th, g.Util(), 8) }, Compare: by((*row).Util), Desc: true},
		{Title: "10 MIN", Min: 12, Drop: 6, Cell: func(g *row) ui.Cell { return parts.Trend(th, g, 12) }},
		{Title: "MEMORY", Min: 13, Align: ui.Right, Drop: 1, Cell: func(g *row) ui.Cell { return ui.Txt(memory(g)) }, Compare: by(usedBytes), Desc: true},
		{Title: "POWER", Min: 9, Align: ui.Right, Drop: 2, Cell: func(g *row) ui.Cell { return ui.Txt(power(g, "/")) }, Compare: by(watts), Desc: true},
		{Title: "TEMP", Min: 5, Align: ui.Right, Drop: 3, Cell: func(g *row) ui.Cell { return parts.Temp(th, g) }, Compare: by(celsius), Desc: true},
		{Title: "SM CLOCK", Min: 15, Align: ui.Right, Drop: 8, Cell: func(g *row) ui.Cell {
			return ui.In(th.Muted, parts.Reading(g, func(s *gpu.Sample) string { return clock(s.SMClockMHz, g.MaxSMClockMHz, "/") }))
		}},
		{Title: "THROTTLE", Min: 12, Max: 24, Drop: 7, Cell: func(g *row) ui.Cell { return throttle(th, g) }},
		use,
		{Title: "READING", Min: 10, Drop: 5, Cell: func(g *row) ui.Cell { return reading(e, g) }},
	}, func(g *row) bool { return parts.Stale(g, e.Now()) })
}

// word is the one word for a GPU. A verdict that is not good stands before what
// the scheduler does with the GPU; where there is no scheduler (alone), what
// uses it decides.
func word(g *row, alone bool) string {
	v := g.Health.Verdict
	switch {
	case !g.NodeUp || g.Failed():
		return g.State()
	case v == gpu.VerdictDegraded || v == gpu.VerdictWatch:
		return string(v)
	case !alone:
		return g.State()
	case g.Sample == nil:
		return "unknown"
	}
	if u := g.Util(); len(g.Sample.Processes) > 0 || u != nil && *u >= 1 {
		return "in use"
	}
	return "free"
}

// state is a GPU's word with its glyph and style.
func state(th *theme.Theme, g *row, alone bool) ui.Cell {
	switch w := word(g, alone); w {
	case "degraded", "watch":
		return ui.In(th.Warn, th.G.Warn+" "+w)
	case "unknown":
		return ui.In(th.Unknown, th.G.Unknown+" "+w)
	case "in use":
		return ui.In(th.OK, th.G.OK+" "+w)
	case "free":
		return ui.In(th.Muted, th.G.Off+" "+w)
	}
	return screen.GPUState(th, g)
}

func heldBy(th *theme.Theme, g *row) ui.Cell {
	switch {
	case g.Holder != nil:
		return ui.Txt(g.Holder.Job.Namespace + "/" + g.Holder.Name)
	case g.Rogue():
		return ui.In(th.Warn, processes(g.Sample))
	}
	return screen.Nobody(th, g)
}

func usedBy(th *theme.Theme, g *row) ui.Cell {
	switch {
	case g.Failed():
		cause, _, _ := strings.Cut(g.Health.Reason, "; ")
		return ui.In(th.Bad, cause)
	case g.Sample == nil:
		return ui.In(th.Faint, ui.None)
	case len(g.Sample.Processes) == 0:
		return ui.In(th.Faint, "nobody")
	}
	return ui.Txt(processes(g.Sample))
}

func processes(s *gpu.Sample) string {
	names := make([]string, len(s.Processes))
	for i, p := range s.Processes {
		names[i] = fmt.Sprintf("%s %d", cmp.Or(p.Name, "process"), p.PID)
	}
	return strings.Join(names, ", ")
}

func usedBytes(g *row) *float64 {
	if g.Sample == nil || g.Sample.MemoryUsedBytes == nil {
		return nil
	}
	v := float64(*g.Sample.MemoryUsedBytes)
	return &v
}

func watts(g *row) *float64 {
	if g.Sample == nil {
		return nil
	}
	return g.Sample.PowerWatts
}

func celsius(g *row) *float64 {
	if g.Sample == nil {
		return nil
	}
	return g.Sample.TempCelsius
}

// memory is used and total, "62.1/79.6 GiB".
func memory(g *row) string {
	used := usedBytes(g)
	if used == nil || g.MemoryBytes == 0 {
		return parts.MemoryUsed(g)
	}
	gib, total := *used/(1<<30), float64(g.MemoryBytes)/(1<<30)
	return ui.Num(&gib, 1, "") + "/" + ui.Num(&total, 1, "GiB")
}

// limit is the power limit now, or the one that the device was installed with.
func limit(g *row) *float64 {
	if g.Sample != nil && g.Sample.PowerLimitWatts != nil {
		return g.Sample.PowerLimitWatts
	}
	return g.PowerLimitWatts
}

// power is the draw and its limit, "614/700 W".
func power(g *row, of string) string {
	p := watts(g)
	if p == nil || limit(g) == nil {
		return ui.Num(p, 0, "W")
	}
	return ui.Num(p, 0, "") + of + ui.Num(limit(g), 0, "W")
}

func clock(now, most *float64, of string) string {
	if now == nil || most == nil {
		return ui.Num(now, 0, "MHz")
	}
	return ui.Num(now, 0, "") + of + ui.Num(most, 0, "MHz")
}

// throttle says why clocks are held back. Only heat and power brakes are loud:
// a power cap is how a busy GPU runs.
func throttle(th *theme.Theme, g *row) ui.Cell {
	switch {
	case g.Sample == nil || g.Sample.Throttle == nil:
		return ui.In(th.Faint, ui.None)
	case len(g.Sample.Throttle) == 0:
		return ui.In(th.Faint, "none")
	}
	var words []string
	st := th.Muted
	for _, r := range g.Sample.Throttle {
		switch r {
		case "hw_thermal_slowdown", "sw_thermal_slowdown":
			r, st = "heat", th.Warn
		case "hw_power_brake_slowdown":
			r, st = "power brake", th.Warn
		case "sw_power_cap":
			r = "power cap"
		case "gpu_idle":
			r = "idle"
		default:
			r = strings.ReplaceAll(r, "_", " ")
		}
		if !slices.Contains(words, r) {
			words = append(words, r)
		}
	}
	return ui.In(st, strings.Join(words, ", "))
}

// reading says where the numbers come from and how old they are.
func reading(e *screen.Env, g *row) ui.Cell {
	if g.Sample == nil {
		return ui.In(e.Theme.Unknown, "none yet")
	}
	return ui.In(e.Theme.Muted, g.Source+" "+ui.Age(g.AsOf(), e.Now()))
}

// summary is the answer in one line.
func (m *Model) summary(s *cluster.Snapshot) string {
	th, f := m.Env.Theme, &s.Fleet
	segs := []ui.Seg{{Text: th.Title.Render(ui.Count(f.GPUs, "GPU"))}}
	for _, t := range m.tallies {
		c := state(th, t.first, m.local)
		glyph, _, _ := strings.Cut(c.Text, " ")
		segs = append(segs, ui.Seg{Text: c.Style.Render(fmt.Sprintf("%s %s %s", glyph, ui.Int(t.n), t.word))})
	}
	label := func(name, value string) string { return th.Muted.Render(name+" ") + value }
	segs = append(segs, ui.Seg{Text: label("util", ui.Percent(f.UtilPercent)), Drop: 1})
	if f.MemoryTotal > 0 {
		segs = append(segs, ui.Seg{Text: label("memory", ui.GiB(f.MemoryUsed)+" of "+ui.GiB(f.MemoryTotal)+" GiB"), Drop: 3})
	}
	segs = append(segs, ui.Seg{Text: label("power", ui.Watts(f.PowerWatts)), Drop: 2})
	if f.HottestCelsius != nil {
		segs = append(segs, ui.Seg{Text: label("hottest", ui.Celsius(f.HottestCelsius)), Drop: 4})
	}
	return ui.Segs(segs, 3, m.w-3)
}

// tally is how many GPUs have a word; first is one of them.
type tally struct {
	word  string
	n     int
	first *row
}

// count counts the GPUs by their word, what is wrong first.
func count(gpus []row, alone bool) []tally {
	var out []tally
	for i := range gpus {
		w := word(&gpus[i], alone)
		at := slices.IndexFunc(out, func(t tally) bool { return t.word == w })
		if at < 0 {
			at, out = len(out), append(out, tally{word: w, first: &gpus[i]})
		}
		out[at].n++
	}
	loud := []string{"failed", "down", "degraded", "watch", "rogue", "idle", "closed", "held", "in use", "free", "unknown"}
	slices.SortFunc(out, func(a, b tally) int {
		return cmp.Compare(slices.Index(loud, a.word), slices.Index(loud, b.word))
	})
	return out
}
