package gpus

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/screen"
	"stoker/tui/screen/parts"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// detail is one GPU: lines that scroll where they do not fit.
type detail struct {
	parts.Detail
	id   gpu.UUID
	body parts.Scroll
}

func newDetail(e *screen.Env, id gpu.UUID) *detail {
	d := &detail{id: id}
	d.Detail = parts.NewDetail(e, &d.body, d.draw)
	return d
}

func (d *detail) view() string { return d.body.View(d.Env.Theme, d.W) }

func (d *detail) draw() {
	g := d.Snap.GPU(d.id)
	if g == nil {
		d.body.Set([]string{"", "  " + d.Env.Theme.Muted.Render("this GPU is not there any more; esc goes back")}, d.H)
		return
	}
	above := append(d.identity(g), d.verdict(g)...)
	above = append(above, d.use(g)...)
	below := append(d.counters(g), d.timeline(g)...)
	roomy := d.H >= len(above)+len(below)+10
	if roomy {
		above, below = append(above, ""), append([]string{""}, below...)
	}
	lines := append(above, d.charts(g, d.H-len(above)-len(below))...)
	d.body.Set(append(lines, below...), d.H)
}

func (d *detail) identity(g *cluster.GPU) []string {
	th, now := d.Env.Theme, d.Env.Now()
	st := state(th, g, local(d.Snap))
	from := "no reading yet"
	if g.Sample != nil {
		from = "read by " + g.Source + ", " + ui.Ago(g.AsOf(), now)
	}
	facts := []parts.Fact{
		{Value: string(g.UUID)},
		parts.F("PCI", g.PCI), parts.F("driver", g.Driver), parts.F("CUDA", g.CUDA),
		parts.F("serial", g.Serial), parts.F("instance of", string(g.Parent)),
	}
	out := append([]string{parts.Head(th, parts.Name(g), st, g.Model, from, d.W)}, parts.Facts(th, "device", facts, d.W)...)
	return append(out, parts.Text(th, "note", old(g, now), th.Warn, d.W, 2)...)
}

// old says why the numbers are history; empty when they are not.
func old(g *cluster.GPU, now time.Time) string {
	switch {
	case !g.NodeUp:
		return "the node is down: these are its last numbers"
	case parts.Stale(g, now):
		return "nothing heard for " + ui.Age(g.AsOf(), now) + ": these numbers are old"
	}
	return ""
}

// verdict says what is wrong, what it means and what to do now.
func (d *detail) verdict(g *cluster.GPU) []string {
	th, now := d.Env.Theme, d.Env.Now()
	h := g.Health
	glyph, st := th.G.OK, th.OK
	switch h.Verdict {
	case gpu.VerdictUnknown:
		glyph, st = th.G.Unknown, th.Unknown
	case gpu.VerdictWatch, gpu.VerdictDegraded:
		glyph, st = th.G.Warn, th.Warn
	case gpu.VerdictFailed:
		glyph, st = th.G.Bad, th.Bad
	}
	facts := []parts.Fact{{Value: glyph + " " + cmp.Or(string(h.Verdict), "unknown"), Style: st}}
	if h.Since.IsZero() && g.Sample != nil && g.Sample.Health.Verdict == h.Verdict {
		h.Since = g.Sample.Health.Since // Nomad, which closed it, does not say since when
	}
	if !h.Since.IsZero() {
		facts = append(facts, parts.F("since", clockTime(h.Since, now)+", "+ui.Ago(h.Since, now)))
	}
	switch {
	case g.Known && !g.Schedulable:
		facts = append(facts, parts.Fact{Value: "closed to the scheduler", Style: th.Bad})
	case g.Known && g.NodeUp && !g.NodeOpen:
		facts = append(facts, parts.Fact{Value: "its node takes no new work", Style: th.Warn})
	case g.Known && g.NodeUp:
		facts = append(facts, parts.Fact{Value: "open to the scheduler", Style: th.Muted})
	case !g.Known && !local(d.Snap):
		facts = append(facts, parts.Fact{Value: "the node does not offer it to the scheduler", Style: th.Warn})
	}
	out := parts.Facts(th, "verdict", facts, d.W)
	cause, advice, _ := strings.Cut(h.Reason, "; ")
	if cause == "" {
		return out
	}
	out = append(out, parts.Text(th, "reason", cause, th.Text, d.W, 2)...)
	if x, ok := xidOf(cause); ok {
		out = append(out, parts.Text(th, "means", x.Meaning+where(x), th.Text, d.W, 2)...)
		advice = x.Advice
	}
	if advice != "" {
		out = append(out, parts.Text(th, "do now", advice, th.Title, d.W, 2)...)
	}
	return out
}

// xidOf finds the Xid that a reason is about.
func xidOf(reason string) (gpu.Xid, bool) {
	var n uint64
	if _, err := fmt.Sscanf(reason, "Xid %d", &n); err != nil {
		return gpu.Xid{}, false
	}
	return gpu.LookupXid(n)
}

// where says in which part the cause of an Xid usually lies.
func where(x gpu.Xid) string {
	switch x.Fault {
	case gpu.FaultUnknown:
		return ""
	case gpu.FaultLink:
		return " Usually PCI Express, NVLink or power."
	}
	return " Usually the " + string(x.Fault) + "."
}

// use is the holder, and the processes that are really there.
func (d *detail) use(g *cluster.GPU) []string {
	th := d.Env.Theme
	var out []string
	switch h := g.Holder; {
	case h != nil:
		out = parts.Facts(th, "held by", []parts.Fact{
			{Value: h.Job.Namespace + "/" + h.Name, Style: th.Title},
			{Value: th.G.Enter, Style: th.Key},
			parts.F("task", h.Task), parts.F("alloc", h.Alloc.Short()), parts.F("for", ui.Age(h.Since, d.Env.Now())),
		}, d.W)
	case !local(d.Snap):
		out = parts.Facts(th, "held by", []parts.Fact{{Value: screen.Nobody(th, g).Text, Style: th.Muted}}, d.W)
	}
	if g.Sample == nil {
		return out
	}
	const most = 4
	for i, p := range g.Sample.Processes {
		label := ""
		if i == 0 {
			label = "process"
		}
		if i == most {
			return append(out, parts.Facts(th, "", []parts.Fact{{Value: fmt.Sprintf("and %d more", len(g.Sample.Processes)-most), Style: th.Muted}}, d.W)...)
		}
		facts := []parts.Fact{{Value: fmt.Sprintf("%s %d", cmp.Or(p.Name, "process"), p.PID)}, parts.F("user", p.User), parts.F("memory", ui.Bytes(p.MemoryBytes))}
		if p.AllocID != "" {
			facts = append(facts, parts.F("alloc", cluster.AllocID(p.AllocID).Short()), parts.F("task", p.Task))
		}
		if g.Rogue() {
			facts[0].Style = th.Warn
		}
		out = append(out, parts.Facts(th, label, facts, d.W)...)
	}
	return out
}

// historyPoints is the length of a whole History.
const historyPoints = 120

// from is the time at the left edge of a chart. Points are five seconds apart
// where the source is that fast; a slower one leaves a wider chart of unknown times.
func from(g *cluster.GPU) string {
	if g.Source == "agent" || g.Source == "nvml" {
		return "10m ago"
	}
	return "older"
}

// charts draws the last ten minutes, in two by two charts where h allows, else
// in a line each.
func (d *detail) charts(g *cluster.GPU, h int) []string {
	th := d.Env.Theme
	list := d.series(g)
	if g.History == nil {
		for i := range list {
			list[i].Points = nil
		}
	}
	const least = 8 // two charts of a heading and three lines
	if d.W < 100 || h < least+1 {
		return d.rows(g, list)
	}
	w := min((d.W-6)/2, parts.ChartWidth(historyPoints))
	high := min((h-1)/2, 7)
	for i := range list {
		list[i].Points = parts.Window(list[i].Points, historyPoints, min(parts.PlotWidth(w), historyPoints))
	}
	pair := func(a, b parts.Chart) []string {
		lines := parts.Beside(2, a.Lines(th, w, high), b.Lines(th, w, high))
		for i := range lines {
			lines[i] = "  " + lines[i]
		}
		return lines
	}
	out := append(pair(list[0], list[1]), pair(list[2], list[3])...)
	axis := ui.Spaces(w-parts.PlotWidth(w)) + ui.Sides(from(g), "now", parts.PlotWidth(w))
	return append(out, "  "+th.Faint.Render(axis+"  "+axis))
}

// rows draws each chart in one line: name, value, curve.
func (d *detail) rows(g *cluster.GPU, list []parts.Chart) []string {
	th := d.Env.Theme
	const value = 18
	w := min(d.W-parts.Label-value-6, historyPoints)
	out := make([]string, 0, len(list)+1)
	for _, c := range list {
		c.Points = parts.Window(c.Points, historyPoints, w)
		out = append(out, c.Row(th, value, w))
	}
	axis := ui.Spaces(2+parts.Label+value+1) + ui.Sides(from(g), "now", w)
	return append(out, th.Faint.Render(axis))
}

// series is what is drawn over time. History holds percent, and °C.
func (d *detail) series(g *cluster.GPU) []parts.Chart {
	th, past := d.Env.Theme, g.History
	if past == nil {
		past = &cluster.History{}
	}
	chart := func(name, value string, points []uint8, high float64, low, top string) parts.Chart {
		return parts.Chart{Name: name, Value: value, Points: parts.Bytes(points), High: high, LowText: low, HighText: top}
	}
	full := "100 %"
	if limit(g) != nil {
		full = ui.Watts(limit(g))
	}
	size := "100 %"
	if g.MemoryBytes > 0 {
		size = ui.Bytes(g.MemoryBytes)
	}
	return []parts.Chart{
		chart("util", ui.Percent(g.Util()), past.Util, 100, "0 %", "100 %"),
		chart("power", power(g, " of "), past.Power, 100, "0 W", full),
		chart("temp", parts.Temp(th, g).Text, past.Temp, 100, "0 °C", "100 °C"),
		chart("memory", strings.Replace(memory(g), "/", " of ", 1), past.Memory, 100, "0 B", size),
	}
}

// counters are the numbers that have no curve.
func (d *detail) counters(g *cluster.GPU) []string {
	th, s := d.Env.Theme, g.Sample
	if s == nil {
		return nil
	}
	t := throttle(th, g)
	out := parts.Facts(th, "clocks", []parts.Fact{
		{Name: "throttled", Value: t.Text, Style: t.Style},
		parts.F("SM", clock(s.SMClockMHz, g.MaxSMClockMHz, " of ")), parts.F("memory", clock(s.MemClockMHz, g.MaxMemClockMHz, " of ")),
	}, d.W)
	out = append(out, parts.Facts(th, "ECC", []parts.Fact{
		errors(th, "corrected", s.ECCCorrected, th.Warn), errors(th, "uncorrected", s.ECCUncorrected, th.Bad),
		flag(th, "remap pending", s.RowRemapPending, th.Warn), flag(th, "remap failed", s.RowRemapFailure, th.Bad),
	}, d.W)...)
	more := []parts.Fact{
		parts.F("PCIe out", perSecond(s.PCIeTxBytesPerSec)), parts.F("PCIe in", perSecond(s.PCIeRxBytesPerSec)),
		parts.F("memory bandwidth", ui.Percent(s.MemoryUtilPercent)),
	}
	if d.W >= 100 {
		if s.PState != nil {
			more = append(more, parts.F("performance state", fmt.Sprintf("P%d", *s.PState)))
		}
		more = append(more, parts.F("fan", parts.Worth(ui.Percent(s.FanPercent))))
	}
	return append(out, parts.Facts(th, "traffic", more, d.W)...)
}

func errors(th *theme.Theme, name string, n *uint64, loud theme.Style) parts.Fact {
	switch {
	case n == nil:
		return parts.Fact{Name: name, Value: ui.None, Style: th.Faint}
	case *n == 0:
		return parts.F(name, "0")
	}
	return parts.Fact{Name: name, Value: ui.Int(int(*n)), Style: loud}
}

func flag(th *theme.Theme, name string, v *bool, loud theme.Style) parts.Fact {
	switch {
	case v == nil:
		return parts.Fact{Name: name, Value: ui.None, Style: th.Faint}
	case *v:
		return parts.Fact{Name: name, Value: "yes", Style: loud}
	}
	return parts.F(name, "no")
}

func perSecond(v *float64) string {
	if v == nil {
		return ui.None
	}
	return ui.Bytes(uint64(max(*v, 0))) + "/s"
}

// timeline lists the GPU's own events with who was on it then, newest first.
func (d *detail) timeline(g *cluster.GPU) []string {
	th, now := d.Env.Theme, d.Env.Now()
	if len(g.Events) == 0 {
		return parts.Facts(th, "events", []parts.Fact{{Value: "none seen", Style: th.Muted}}, d.W)
	}
	var out []string
	for i := len(g.Events) - 1; i >= 0; i-- {
		e := &g.Events[i]
		label := ""
		if len(out) == 0 {
			label = "events"
		}
		glyph, st := screen.Mark(th, e.Level())
		if e.Kind == gpu.EventBack {
			st = th.OK
		}
		out = append(out, parts.Facts(th, label, []parts.Fact{
			{Value: clockTime(e.At, now), Style: th.Muted},
			{Value: ui.FitRight(ui.Ago(e.At, now), 7), Style: th.Muted},
			{Value: glyph + " " + cmp.Or(e.Text, string(e.Kind)), Style: st},
			parts.F("on it", cluster.Tenants(e.On)),
		}, d.W)...)
	}
	return out
}

// clockTime is a time of day, with its date when that is another day.
func clockTime(t, now time.Time) string {
	t = t.In(now.Location())
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04:05")
	}
	return t.Format("2 Jan 15:04")
}
