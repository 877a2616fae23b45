package parts

import (
	"cmp"
	"strconv"
	"strings"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// GPUs is the table of a job's GPUs.
type GPUs = ui.Table[cluster.GPU, gpu.UUID]

// NewGPUs makes the table of the GPUs that one job holds.
func NewGPUs(e *screen.Env) *GPUs {
	th := e.Theme
	type G = cluster.GPU
	cols := []ui.Column[G]{
		{Title: "GPU", Min: 9, Max: 24, Cell: func(g *G) ui.Cell { return ui.Txt(Name(g)) }},
		{Title: "MODEL", Min: 9, Max: 14, Drop: 5, Cell: func(g *G) ui.Cell { return ui.In(th.Muted, screen.ShortModel(g.Model)) }},
		{Title: "STATE", Min: 10, Cell: func(g *G) ui.Cell { return screen.GPUState(th, g) }},
		{Title: "UTIL", Min: 14, Cell: func(g *G) ui.Cell { return Meter(th, g.Util(), 8) }},
		{Title: "10 MIN", Min: 12, Drop: 3, Cell: func(g *G) ui.Cell { return Trend(th, g, 12) }},
		{Title: "MEMORY", Min: 9, Align: ui.Right, Cell: func(g *G) ui.Cell { return ui.Txt(MemoryUsed(g)) }},
		{Title: "POWER", Min: 6, Align: ui.Right, Drop: 2, Cell: func(g *G) ui.Cell {
			return ui.Txt(Reading(g, func(s *gpu.Sample) string { return ui.Watts(s.PowerWatts) }))
		}},
		{Title: "TEMP", Min: 5, Align: ui.Right, Drop: 4, Cell: func(g *G) ui.Cell { return Temp(th, g) }},
		{Title: "HELD BY", Min: 18, Max: 44, Drop: 1, Cell: func(g *G) ui.Cell {
			if g.Holder == nil {
				return ui.Cell{}
			}
			return ui.Txt(g.Holder.Name)
		}},
	}
	return ui.NewTable(th, func(g *G) gpu.UUID { return g.UUID }, Fade(th, cols, func(g *G) bool { return g.Stale(e.Now()) }))
}

// Name is a GPU as people say it: "gpu-a/3", "gpu-a/3 2g.20gb".
func Name(g *cluster.GPU) string { return g.NodeName + "/" + Number(g) }

// Number is Name without the node. Of an instance it is its device's, with the
// profile by which it was cut out.
func Number(g *cluster.GPU) string {
	if g.Parent == "" {
		return strconv.Itoa(g.Index)
	}
	return strconv.Itoa(g.Index) + " " + cmp.Or(g.MIGProfile, "MIG")
}

// Trend is the utilisation of the last minutes in w cells.
func Trend(th *theme.Theme, g *cluster.GPU, w int) ui.Cell {
	if g.History == nil {
		return ui.Cell{}
	}
	return ui.Cell{Text: ui.SparkBytes(&th.G, g.History.Util(), w, 100), Style: th.Accent}
}

// Reading is something of the sample; "–" when there is none.
func Reading(g *cluster.GPU, of func(*gpu.Sample) string) string {
	if g.Sample == nil {
		return ui.None
	}
	return of(g.Sample)
}

// MemoryUsed is the memory in use.
func MemoryUsed(g *cluster.GPU) string {
	return Reading(g, func(s *gpu.Sample) string { return ui.BytesOf(s.MemoryUsedBytes) })
}

// HotFrom is the temperature from which a GPU is shown in the colour of a
// warning: the clocks of data centre GPUs begin to fall a few degrees above.
const HotFrom = 85

// Short is Number where there is little room: of the profile the part that is
// computing, "2 3g".
func Short(g *cluster.GPU) string {
	if g.Parent == "" {
		return strconv.Itoa(g.Index)
	}
	part, _, _ := strings.Cut(cmp.Or(g.MIGProfile, "MIG"), ".")
	return strconv.Itoa(g.Index) + " " + part
}

// Temp is the temperature.
func Temp(th *theme.Theme, g *cluster.GPU) ui.Cell {
	text := Reading(g, func(s *gpu.Sample) string { return ui.Celsius(s.TempCelsius) })
	if g.Sample != nil && g.Sample.TempCelsius != nil && *g.Sample.TempCelsius >= HotFrom {
		return ui.In(th.Warn, text)
	}
	return ui.Txt(text)
}
