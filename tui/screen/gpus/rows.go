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

// column makes the columns that the screen of a cluster and that of one machine
// share.
type column struct{ e *screen.Env }

func by(of func(*row) *float64) func(*row) ui.Key {
	return func(r *row) ui.Key { return ui.ByKnown(of(r)) }
}

func (c column) model(drop int) ui.Column[row] {
	return ui.Column[row]{
		Name: "model", Title: "MODEL", Min: 9, Max: 16, Drop: drop, Cell: func(g *row) ui.Cell { return ui.In(c.e.Theme.Muted, screen.ShortModel(g.Model)) },
		By: func(r *row) ui.Key { return ui.ByText(r.Model) },
	}
}

func (c column) state() ui.Column[row] {
	return ui.Column[row]{
		Name: "state", Title: "STATE", Min: 10, Cell: func(g *row) ui.Cell { return screen.GPUState(c.e.Theme, g) },
		By: func(r *row) ui.Key { return ui.ByText(r.State()) },
	}
}

func (c column) util(cells int) ui.Column[row] {
	return ui.Column[row]{
		Name: "util_percent", Title: "UTIL", Min: cells + 6, Cell: func(g *row) ui.Cell { return parts.Meter(c.e.Theme, g.Util(), cells) }, By: by((*row).Util), Desc: true,
	}
}

func (c column) trend(title string, drop int) ui.Column[row] {
	return ui.Column[row]{Name: "trend", Title: title, Graph: true, Min: 12, Drop: drop, Cell: func(g *row) ui.Cell { return parts.Trend(c.e.Theme, g, 12) }}
}

func (c column) memory(drop int) ui.Column[row] {
	return ui.Column[row]{
		Name: "memory_used_bytes", Title: "MEMORY", Min: 13, Align: ui.Right, Drop: drop, Cell: func(g *row) ui.Cell { return ui.Txt(memory(g)) }, By: by(usedBytes), Desc: true,
	}
}

func (c column) power(drop int) ui.Column[row] {
	return ui.Column[row]{
		Name: "power_watts", Title: "POWER", Min: 9, Align: ui.Right, Drop: drop, Cell: func(g *row) ui.Cell { return ui.Txt(power(g, "/")) }, By: by(watts), Desc: true,
	}
}

func (c column) temp(drop int) ui.Column[row] {
	return ui.Column[row]{
		Name: "temperature_celsius", Title: "TEMP", Min: 6, Align: ui.Right, Drop: drop, Cell: func(g *row) ui.Cell { return parts.Temp(c.e.Theme, g) }, By: by(celsius), Desc: true,
	}
}

func (c column) clock(drop int) ui.Column[row] {
	return ui.Column[row]{Name: "sm_clock_mhz", Title: "SM CLOCK", Min: 15, Align: ui.Right, Drop: drop, Cell: func(g *row) ui.Cell {
		return ui.In(c.e.Theme.Muted, parts.Reading(g, func(s *gpu.Sample) string { return clock(s.SMClockMHz, g.MaxSMClockMHz, "/") }))
	}}
}

func (c column) throttle(drop int) ui.Column[row] {
	return ui.Column[row]{Name: "throttle", Title: "THROTTLE", Min: 12, Max: 24, Drop: drop, Cell: func(g *row) ui.Cell { return throttle(c.e.Theme, g) }}
}

// fade makes old rows faint.
func (c column) fade(cols ...ui.Column[row]) []ui.Column[row] {
	return parts.Fade(c.e.Theme, cols, func(g *row) bool { return g.Stale(c.e.Now()) })
}

// columns are those of a cluster.
func columns(e *screen.Env) []ui.Column[row] {
	c, th := column{e}, e.Theme
	return c.fade(
		ui.Column[row]{Name: "node", Title: "GPU", Min: 8, Max: 28, Ahead: true, Cell: func(g *row) ui.Cell { return ui.Txt(parts.Name(g)) }},
		c.model(4), c.state(), c.util(8), c.trend("10 MIN", 6), c.memory(1), c.power(2), c.temp(3), c.clock(8), c.throttle(7),
		ui.Column[row]{Name: "held_by", Title: "HELD BY", Min: 16, Max: 50, Cell: func(g *row) ui.Cell { return heldBy(th, g) }, By: func(r *row) ui.Key { return ui.ByText(heldBy(th, r).Text) }},
		ui.Column[row]{Name: "as_of", Title: "READING", Min: 10, Drop: 5, Cell: func(g *row) ui.Cell { return reading(e, g) }},
	)
}

// columnsAlone are those of one machine without a scheduler: nobody holds a GPU,
// and who uses it stands below.
func columnsAlone(e *screen.Env) []ui.Column[row] {
	c := column{e}
	return c.fade(
		ui.Column[row]{Name: "index", Title: "GPU", Min: 4, Max: 8, Cell: func(g *row) ui.Cell { return ui.Txt(parts.Short(g)) }},
		c.model(4), c.state(), c.util(6), c.trend("TREND", 7), c.memory(0), c.power(0), c.temp(0), c.clock(3), c.throttle(1),
		ui.Column[row]{Name: "memory_clock_mhz", Title: "MEM CLOCK", Min: 15, Align: ui.Right, Drop: 8, Cell: func(g *row) ui.Cell {
			return ui.In(e.Theme.Muted, parts.Reading(g, func(s *gpu.Sample) string { return clock(s.MemClockMHz, g.MaxMemClockMHz, "/") }))
		}},
		ui.Column[row]{Name: "fan_percent", Title: "FAN", Min: 5, Align: ui.Right, Drop: 9, Cell: func(g *row) ui.Cell {
			return ui.In(e.Theme.Muted, parts.Reading(g, func(s *gpu.Sample) string { return ui.Percent(s.FanPercent) }))
		}},
		ui.Column[row]{Name: "health", Title: "VERDICT", Min: 16, Max: 60, Drop: 6, Cell: func(g *row) ui.Cell { return cause(e.Theme, g) }},
	)
}

// cause is why a GPU is judged as it is; a good one needs no words.
func cause(th *theme.Theme, g *row) ui.Cell {
	text, _, _ := strings.Cut(g.Health.Reason, "; ")
	switch g.Health.Verdict {
	case gpu.VerdictUnknown:
		return ui.In(th.Faint, ui.None)
	case gpu.VerdictOK:
		return ui.In(th.Muted, "ok")
	case gpu.VerdictFailed:
		return ui.In(th.Bad, text)
	}
	return ui.In(th.Warn, text)
}

func heldBy(th *theme.Theme, g *row) ui.Cell {
	switch {
	case g.Holder != nil:
		return ui.Txt(g.Holder.Job.Namespace + "/" + g.Holder.Name)
	case g.Split:
		return ui.In(th.Faint, "in parts")
	case g.Rogue():
		return ui.In(th.Warn, processes(g.Sample))
	}
	return screen.Nobody(th, g)
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
		case "hw_thermal_slowdown", "sw_thermal_slowdown", "hw_power_brake_slowdown":
			st = th.Warn
		}
		r = throttleWord(r)
		if !slices.Contains(words, r) {
			words = append(words, r)
		}
	}
	return ui.In(st, strings.Join(words, ", "))
}

// throttleWord is a reason in a word or two.
func throttleWord(reason string) string {
	switch reason {
	case "hw_thermal_slowdown", "sw_thermal_slowdown":
		return "heat"
	case "hw_power_brake_slowdown":
		return "power brake"
	case "sw_power_cap":
		return "power cap"
	case "gpu_idle":
		return "idle"
	}
	return strings.ReplaceAll(reason, "_", " ")
}

// reading says where the numbers come from and how old they are.
func reading(e *screen.Env, g *row) ui.Cell {
	if g.Sample == nil {
		return ui.In(e.Theme.Unknown, "none yet")
	}
	return ui.In(e.Theme.Muted, g.Source+" "+ui.Age(g.AsOf(), e.Now()))
}

// summary is the answer in one line.
func summary(th *theme.Theme, f *cluster.Fleet, tallies []tally, w int) string {
	segs := []ui.Seg{{Text: th.Title.Render(ui.Count(f.GPUs, "GPU"))}}
	for _, t := range tallies {
		c := screen.GPUState(th, t.first)
		glyph, _, _ := strings.Cut(c.Text, " ")
		segs = append(segs, ui.Seg{Text: c.Style.Render(fmt.Sprintf("%s %s %s", glyph, ui.Int(t.n), t.word))})
	}
	label := func(name, value string) string { return th.Muted.Render(name+" ") + value }
	segs = append(segs, ui.Seg{Text: label("util", ui.Percent(f.UtilPercent)), Drop: 1})
	if f.MemoryTotal > 0 && f.MemoryUsed != nil {
		segs = append(segs, ui.Seg{Text: label("memory", ui.GiB(*f.MemoryUsed)+" of "+ui.GiB(f.MemoryTotal)+" GiB"), Drop: 3})
	}
	segs = append(segs, ui.Seg{Text: label("power", ui.Watts(f.PowerWatts)), Drop: 2})
	if f.HottestCelsius != nil {
		segs = append(segs, ui.Seg{Text: label("hottest", ui.Celsius(f.HottestCelsius)), Drop: 4})
	}
	return ui.Segs(segs, 3, w-3)
}

// tally is how many GPUs have a word; first is one of them.
type tally struct {
	word  string
	n     int
	first *row
}

// count counts the GPUs by their word, what is wrong first.
func count(gpus []row) []tally {
	var out []tally
	for i := range gpus {
		w := gpus[i].State()
		at := slices.IndexFunc(out, func(t tally) bool { return t.word == w })
		if at < 0 {
			at, out = len(out), append(out, tally{word: w, first: &gpus[i]})
		}
		out[at].n++
	}
	loud := cluster.GPUStates()
	slices.SortFunc(out, func(a, b tally) int {
		return cmp.Compare(slices.Index(loud, a.word), slices.Index(loud, b.word))
	})
	return out
}
