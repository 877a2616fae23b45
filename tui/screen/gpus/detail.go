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
	below = append(below, d.lacks(g)...)
	roomy := d.H >= len(above)+len(below)+10
	if roomy {
		above, below = append(above, ""), append([]string{""}, below...)
	}
	lines := append(above, d.charts(g, d.H-len(above)-len(below))...)
	d.body.Set(append(lines, below...), d.H)
}

func (d *detail) identity(g *cluster.GPU) []string {
	th, now := d.Env.Theme, d.Env.Now()
	st := screen.GPUState(th, g)
	from := "no reading yet"
	if g.Sample != nil {
		from = "read by " + g.Source + ", " + ui.Ago(g.AsOf(), now)
	}
	facts := []parts.Fact{
		{Value: string(g.UUID)},
		parts.F("PCI", g.PCI), parts.F("serial", g.Serial), parts.F("VBIOS", g.VBIOS), parts.F("instance of", string(g.Parent)),
	}
	out := append([]string{parts.Head(th, parts.Name(g)+screen.In(d.Snap, g.Place), st, g.Model, from, d.W)}, parts.Facts(th, "device", facts, d.W)...)
	out = append(out, parts.Facts(th, "driver", []parts.Fact{
		{Value: g.Driver},
		parts.F("CUDA", g.CUDA), parts.F("compute mode", strings.ReplaceAll(g.ComputeMode, "_", " ")),
		parts.F("persistence", onOff(g.Persistence)), parts.F("ECC", onOff(g.ECC)), parts.F("MIG", mig(g)),
	}, d.W)...)
	return append(out, parts.Text(th, "note", old(g, now), th.Warn, d.W, 2)...)
}

// lacks names what the driver's library is without: it explains numbers that are
// unknown.
func (d *detail) lacks(g *cluster.GPU) []string {
	if len(g.Lacks) == 0 {
		return nil
	}
	text := strings.Join(g.Lacks, ", ") + ": the driver's library is without, and what they tell is unknown"
	return parts.Text(d.Env.Theme, "lacks", text, d.Env.Theme.Muted, d.W, 4)
}

// old says why the numbers are history; empty when they are not.
func old(g *cluster.GPU, now time.Time) string {
	switch {
	case !g.NodeUp:
		return "the node is down: these are its last numbers"
	case g.Stale(now):
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
	case g.Split:
		facts = append(facts, parts.Fact{Value: "its instances are what is held and free", Style: th.Muted})
	case !g.Known && !g.Alone:
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
	case !g.Alone && !g.Split:
		out = parts.Facts(th, "held by", []parts.Fact{{Value: screen.Nobody(th, g).Text, Style: th.Muted}}, d.W)
	}
	if g.Sample == nil {
		return out
	}
	return append(out, d.processes(g)...)
}

// processes are those with a context on the device, a line or two each.
func (d *detail) processes(g *cluster.GPU) (out []string) {
	th := d.Env.Theme
	most := 4
	if d.H >= 40 {
		most = 12
	}
	for i := range g.Sample.Processes {
		p := &g.Sample.Processes[i]
		label := ""
		if i == 0 {
			label = "process"
		}
		if i == most {
			return append(out, parts.Facts(th, "", []parts.Fact{{Value: fmt.Sprintf("and %d more", len(g.Sample.Processes)-most), Style: th.Muted}}, d.W)...)
		}
		command := ui.Clean(parts.Command(p))
		if room := max(d.W/3, 24); ui.Width(command) > room {
			command = ui.Fit(command, room)
		}
		facts := []parts.Fact{
			{Value: fmt.Sprintf("%s %d", command, p.PID)},
			parts.F("user", p.User),
			parts.F("memory", parts.Worth(ui.BytesOf(parts.Memory(p)))), parts.F("util", parts.Worth(ui.Percent(p.UtilPercent))),
			parts.F("CPU", parts.Worth(ui.Percent(p.CPUPercent))), parts.F("host memory", parts.Worth(ui.BytesOf(p.HostMemoryBytes))),
			parts.F("type", p.Type), parts.F("task", parts.TaskOf(d.Snap, p)),
		}
		if g.Rogue() {
			facts[0].Style = th.Warn
		}
		out = append(out, parts.Facts(th, label, facts, d.W)...)
	}
	return out
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
