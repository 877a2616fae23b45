package gpus

import (
	"math"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/gpu"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/parts"
	"stoker/tui/ui"
)

// Top is the screen of one machine without a scheduler: its GPUs, their last
// minutes, and the processes on them.
type Top struct {
	screen.List[cluster.GPU, gpu.UUID]
	procs   parts.Processes
	killer  Killer  // nil: nothing can be ended from here
	detail  *detail // nil shows all
	lower   bool    // the keys move in the processes
	all     bool    // the charts are of all GPUs, not of the selected one
	tallies []tally
	w, h    int
	rows    heights
}

// NewTop makes the screen. Without a killer processes are only shown.
func NewTop(e *screen.Env, killer Killer) *Top {
	t := &Top{killer: killer, procs: parts.NewProcesses(e)}
	t.List = newList(e, columnsAlone(e), nil).Under(func() bool { return t.detail != nil })
	return t
}

// heights is how many lines each part of the screen has, headings included.
type heights struct{ gpus, charts, procs int }

// share gives lines to the parts: all GPUs first, then processes down to three,
// then charts as high as most, and what is left to the processes.
func share(h, gpus, procs, most int) heights {
	const summary, gap, title, least, chartsLeast = 1, 1, 1, 4, 4
	if h >= roomy {
		h -= 3 * gap
	}
	left := max(h-summary-title, 0)
	out := heights{gpus: min(gpus+1, max(left-least, 2))}
	left -= out.gpus
	want := max(procs, 1) + 1
	if out.charts = min(left-want, most); out.charts < chartsLeast {
		out.charts = 0
		if left-chartsLeast >= least {
			out.charts = chartsLeast
		}
	}
	out.procs = max(left-out.charts, 0)
	return out
}

func (t *Top) share() heights {
	most := 10 // one row of charts
	if t.w >= twoByTwo && t.w < allBeside {
		most = 15
	}
	return share(t.h, t.List.All(), t.procs.All(), most)
}

// The widths from which the four charts stand two by two, and all beside each
// other. Below, two of them stand alone.
const (
	twoByTwo  = 100
	allBeside = 150
)

// roomy is the height from which a blank line stands between the parts.
const roomy = 30

// SetSize implements screen.Screen.
func (t *Top) SetSize(w, h int) {
	t.w, t.h = w, h
	t.arrange()
	if t.detail != nil {
		t.detail.SetSize(w, h)
	}
}

func (t *Top) arrange() {
	t.rows = t.share()
	gap := 0
	if t.h >= roomy {
		gap = 1
	}
	t.TableAt(1 + gap)
	t.procs.TableAt(t.h - t.rows.procs)
	t.Table.SetSize(t.w, t.rows.gpus)
	t.procs.Table.SetSize(t.w, t.rows.procs)
}

// SetSnapshot implements screen.Screen.
func (t *Top) SetSnapshot(s *cluster.Snapshot) {
	t.tallies = count(s.GPUs)
	t.Fill(s, s.GPUs)
	t.procs.Fill(s, parts.ProcessesOf(s, s.GPUs))
	if t.share() != t.rows {
		t.arrange()
	}
	if t.detail != nil {
		t.detail.SetSnapshot(s)
	}
}

// Update implements screen.Screen.
func (t *Top) Update(msg tea.Msg) tea.Cmd {
	if t.detail != nil {
		_, _ = t.detail.Keys(msg)
		return nil
	}
	if _, tick := msg.(screen.TickMsg); tick {
		t.Redraw()
		t.procs.Redraw()
		return nil
	}
	move := t.List.Keys
	if t.lower {
		move = t.procs.Keys
	}
	k, ok := move(msg)
	if !ok {
		return nil
	}
	switch k {
	case keys.Pane:
		t.lower = !t.lower
	case keys.AllGPUs:
		t.all = !t.all
	case keys.Open:
		if g := t.gpu(); g != nil {
			t.show(g.UUID)
		}
	case keys.EndProcess:
		return t.end()
	}
	return nil
}

// gpu is the one under the cursor, or that of the process under it.
func (t *Top) gpu() *cluster.GPU {
	if t.lower {
		if p := t.procs.Selected(); p != nil {
			return p.GPU
		}
	}
	return t.Selected()
}

func (t *Top) show(id gpu.UUID) {
	t.detail = newDetail(t.Env, id)
	t.detail.SetSize(t.w, t.h)
	t.detail.SetSnapshot(t.Snap)
}

// Open implements screen.Opener.
func (t *Top) Open(to screen.Target) tea.Cmd {
	t.detail = nil
	if to.GPU == "" {
		return nil
	}
	t.Select(to.GPU)
	if to.Details {
		t.show(to.GPU)
	}
	return nil
}

// Back implements screen.Backer.
func (t *Top) Back() bool {
	if t.detail == nil {
		return false
	}
	t.detail = nil
	return true
}

// Actions implements screen.Screen.
func (t *Top) Actions() []keys.ID {
	switch {
	case t.detail != nil:
		return nil
	case t.lower && t.killer != nil && t.procs.Selected() != nil:
		return []keys.ID{keys.EndProcess, keys.Pane, keys.Open, keys.Sort, keys.AllGPUs}
	case t.gpu() != nil:
		return []keys.ID{keys.Open, keys.Pane, keys.Sort, keys.AllGPUs}
	}
	return nil
}

// part is the list in which the keys move.
func (t *Top) part() screen.Part {
	if t.lower {
		return &t.procs
	}
	return &t.List
}

// Filter implements screen.Filterer.
func (t *Top) Filter() (text string, ok bool) {
	if t.detail != nil {
		return "", false
	}
	return t.part().Filter()
}

// SetFilter implements screen.Filterer: of the part in which the keys move, as all that follows.
func (t *Top) SetFilter(text string) error { return t.part().SetFilter(text) }

// Counts implements screen.Filterer.
func (t *Top) Counts() (shown, all int) { return t.part().Counts() }

// Lists implements screen.Factual.
func (t *Top) Lists() *facts.View { return t.part().Lists() }

// Columns implements screen.Tabular.
func (t *Top) Columns() []screen.TableColumn { return t.part().Columns() }

// ShowColumns implements screen.Tabular.
func (t *Top) ShowColumns(names []string) error { return t.part().ShowColumns(names) }

// Picked implements screen.Tabular.
func (t *Top) Picked() bool { return t.part().Picked() }

// Order implements screen.Tabular.
func (t *Top) Order() (column string, descending bool) { return t.part().Order() }

// OrderBy implements screen.Tabular.
func (t *Top) OrderBy(column string, descending bool) error {
	return t.part().OrderBy(column, descending)
}

// Rows implements screen.Tabular.
func (t *Top) Rows() (view *facts.View, rows []facts.Row) { return t.part().Rows() }

// Chosen implements screen.Chooser.
func (t *Top) Chosen() (view *facts.View, rows []facts.Row) { return t.part().Chosen() }

// FocusRow implements screen.Part.
func (t *Top) FocusRow() (*facts.View, facts.Row) { return t.part().FocusRow() }

// Clear implements screen.Part.
func (t *Top) Clear() bool { return t.detail == nil && t.part().Clear() }

// Click implements screen.Pointed: the keys then move in the part that it hit.
func (t *Top) Click(x, y int, twice bool) tea.Cmd {
	if t.detail != nil {
		return nil
	}
	if t.lower = y >= t.h-t.rows.procs; t.lower {
		return t.procs.Click(x, y, twice)
	}
	return t.List.Click(x, y, twice)
}

// Wheel implements screen.Pointed.
func (t *Top) Wheel(n int) {
	switch {
	case t.detail != nil:
		t.detail.Wheel(n)
	case t.lower:
		t.procs.Wheel(n)
	default:
		t.List.Wheel(n)
	}
}

// View implements screen.Screen.
func (t *Top) View() string {
	if t.detail != nil {
		return t.detail.view()
	}
	th := t.Env.Theme
	if t.List.All() == 0 {
		return ui.Block([]string{"", "  " + th.Muted.Render(t.nothing())}, t.w, t.h)
	}
	gap := func(lines []string) []string {
		if t.h >= roomy {
			lines = append(lines, "")
		}
		return lines
	}
	lines := gap([]string{"  " + summary(th, &t.Snap.Fleet, t.tallies, t.w)})
	gpus := t.Table.ViewLines(!t.lower)
	if t.Shown() == 0 {
		gpus = []string{gpus[0], "  " + th.Muted.Render("no GPUs match the filter")}
	}
	lines = gap(append(lines, gpus...))
	if t.rows.charts > 0 {
		lines = gap(append(lines, t.charts()...))
	}
	lines = append(lines, t.title())
	procs := t.procs.ViewLines(t.lower)
	if t.procs.Shown() == 0 && len(procs) > 1 {
		procs[1] = "  " + th.Muted.Render(t.idle())
	}
	return ui.Block(append(lines, procs...), t.w, t.h)
}

// nothing says why there are no GPUs.
func (t *Top) nothing() string {
	src := t.Snap.Source("nvml")
	switch {
	case src == nil || src.State == cluster.SourceStarting:
		return "reading the GPUs" + screen.Ellipsis
	case src.State == cluster.SourceLive:
		return "the driver runs, and there are no GPUs"
	}
	return screen.Trouble(src, t.Env.Now())
}

// idle says why there are no processes.
func (t *Top) idle() string {
	if t.procs.All() > 0 {
		return "no processes match the filter"
	}
	return "no process uses a GPU"
}

// title heads the processes. What the library lacks stands beside it: it
// explains the numbers that are unknown.
func (t *Top) title() string {
	th := t.Env.Theme
	n := ui.Count(t.procs.All(), "process")
	if t.procs.All() != 1 {
		n = ui.Int(t.procs.All()) + " processes"
	}
	left := "  " + th.Title.Render(n)
	if part := t.procs.Part(); part != "" {
		left += "  " + th.Muted.Render(part)
	}
	note := facts.Lacks(t.Snap)
	if room := t.w - ui.Width(left) - 6; ui.Width(note) > room {
		note = ui.Fit("the library lacks functions: "+th.G.Enter+" names them", max(room, 0))
	}
	return ui.Sides(left, th.Faint.Render(note)+"  ", t.w)
}

// charts are those of the selected GPU, or of all: as many beside each other as
// can be read.
func (t *Top) charts() []string {
	th := t.Env.Theme
	name, list, past := "", []parts.Chart(nil), (*cluster.GPU)(nil)
	switch g := t.gpu(); {
	case t.all:
		name, list = ui.Count(len(t.Snap.GPUs), "GPU"), allSeries(t.Snap)
		past = &t.Snap.GPUs[0]
	case g != nil:
		name, list, past = "GPU "+parts.Number(g), series(th, g), g
	default:
		return make([]string, t.rows.charts)
	}
	list[0].Name = name + " " + list[0].Name
	columns := 2
	switch {
	case t.w >= allBeside:
		columns = 4
	case t.w < twoByTwo || t.rows.charts < 11: // two high ones say more than four flat ones
		list = []parts.Chart{list[0], list[3]}
	}
	out := grid(th, list, columns, from(past), t.w, t.rows.charts)
	for len(out) < t.rows.charts {
		out = append(out, "")
	}
	return out
}

// allSeries draws all GPUs as one: the mean of what each used of itself, and the
// highest temperature.
func allSeries(s *cluster.Snapshot) []parts.Chart {
	f := &s.Fleet
	over := func(of func(*cluster.History) []uint8, most bool) []float64 {
		var all [][]float64
		for i := range s.GPUs {
			if h := s.GPUs[i].History; h != nil {
				all = append(all, parts.Bytes(of(h)))
			}
		}
		return merged(all, most)
	}
	chart := func(name, value string, points []float64, low, high string) parts.Chart {
		return parts.Chart{Name: name, Value: value, Points: points, High: 100, LowText: low, HighText: high}
	}
	memory := ui.BytesOf(f.MemoryUsed) + " of " + ui.Bytes(f.MemoryTotal)
	return []parts.Chart{
		chart("util, mean", ui.Percent(f.UtilPercent), over((*cluster.History).Util, false), "0 %", "100 %"),
		chart("power, mean of the limits", ui.Watts(f.PowerWatts), over((*cluster.History).Power, false), "0 %", "100 %"),
		chart("temp, hottest", ui.Celsius(f.HottestCelsius), over((*cluster.History).Temp, true), "0 °C", "100 °C"),
		chart("memory, mean", memory, over((*cluster.History).Memory, false), "0 %", "100 %"),
	}
}

// merged makes one series of several that end at the same time: the highest of
// what is known at each point, or the mean.
func merged(all [][]float64, most bool) []float64 {
	n := 0
	for _, points := range all {
		n = max(n, len(points))
	}
	out := make([]float64, n)
	for i := range out {
		sum, high, known := 0.0, math.Inf(-1), 0
		for _, points := range all {
			at := len(points) - n + i
			if at < 0 || math.IsNaN(points[at]) {
				continue
			}
			sum, high, known = sum+points[at], max(high, points[at]), known+1
		}
		switch {
		case known == 0:
			out[i] = math.NaN()
		case most:
			out[i] = high
		default:
			out[i] = sum / float64(known)
		}
	}
	return out
}
