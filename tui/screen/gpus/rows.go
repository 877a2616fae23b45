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
	state := func(g *row) ui.Cell { return State(th, g) }
	if alone {
		name = ui.Column[row]{Title: "GPU", Min: 3, Align: ui.Right, Cell: func(g *row) ui.Cell { return ui.Txt(fmt.Sprint(g.Index)) }}
		use = ui.Column[row]{Title: "USED BY", Min: 18, Max: 60, Cell: func(g *row) ui.Cell { return usedBy(th, g) }}
		state = func(g *row) ui.Cell { return localState(th, g) }
	}
	return parts.Fade(th, []ui.Column[row]{
		name,
		{Title: "MODEL", Min: 9, Max: 16, Drop: 4, Cell: func(g *row) ui.Cell { return ui.In(th.Muted, screen.ShortModel(g.Model)) }, Compare: func(a, b *row) int { return cmp.Compare(a.Model, b.Model) }},
		{Title: "STATE", Min: 10, Cell: state, Compare: func(a, b *row) int { return cmp.Compare(state(a).Text, state(b).Text) }},
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

// State is a GPU's state as glyph, word and style. A verdict that is not good
// stands before what the scheduler does with the GPU.
func State(th *theme.Theme, g *row) ui.Cell {
	if c, ok := trouble(th, g); ok {
		return c
	}
	return screen.GPUState(th, g)
}

func trouble(th *theme.Theme, g *row) (ui.Cell, bool) {
	switch v := g.Health.Verdict; {
	case !g.NodeUp || g.Failed():
		return screen.GPUState(th, g), true
	case v == gpu.VerdictDegraded || v == gpu.VerdictWatch:
		return ui.In(th.Warn, th.G.Warn+" "+string(v)), true
	}
	return ui.Cell{}, false
}

// localState is State where there is no scheduler.
func localState(th *theme.Theme, g *row) ui.Cell {
	if c, ok := trouble(th, g); ok {
		return c
	}
	switch u := g.Util(); {
	case g.Sample == nil:
		return ui.In(th.Unknown, th.G.Unknown+" unknown")
	case len(g.Sample.Processes) > 0 || u != nil && *u >= 1:
		return ui.In(th.OK, th.G.OK+" in use")
	}
	return ui.In(th.Muted, th.G.Off+" free")
}

func heldBy(th *theme.Theme, g *row) ui.Cell {
	switch {
	case g.Holder != nil:
		return ui.Txt(g.Holder.Job.Namespace + "/" + g.Holder.Name)
	case g.Rogue():
		return ui.In(th.Warn, processes(g.Sample))
	}
	return ui.In(th.Faint, "nobody")
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
	words, counts := m.states(s)
	segs := []ui.Seg{{Text: th.Title.Render(ui.Count(f.GPUs, "GPU"))}}
	for i, c := range words {
		glyph, word, _ := strings.Cut(c.Text, " ")
		segs = append(segs, ui.Seg{Text: c.Style.Render(fmt.Sprintf("%s %d %s", glyph, counts[i], word))})
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

// states counts the GPUs by their state, what is wrong first.
func (m *Model) states(s *cluster.Snapshot) (words []ui.Cell, counts []int) {
	of := State
	if m.local {
		of = localState
	}
	for i := range s.GPUs {
		c := of(m.Env.Theme, &s.GPUs[i])
		at := slices.IndexFunc(words, func(w ui.Cell) bool { return w.Text == c.Text })
		if at < 0 {
			at, words, counts = len(words), append(words, c), append(counts, 0)
		}
		counts[at]++
	}
	order := make([]int, len(words))
	for i := range order {
		order[i] = i
	}
	g := &m.Env.Theme.G
	loud := func(text string) int {
		switch {
		case strings.HasPrefix(text, g.Bad):
			return 0
		case strings.HasPrefix(text, g.Warn):
			return 1
		case strings.HasPrefix(text, g.OK):
			return 2
		}
		return 3
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(loud(words[a].Text), loud(words[b].Text)), cmp.Compare(words[a].Text, words[b].Text))
	})
	w, c := make([]ui.Cell, len(order)), make([]int, len(order))
	for i, o := range order {
		w[i], c[i] = words[o], counts[o]
	}
	return w, c
}
