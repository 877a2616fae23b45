package gpus

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/screen/parts"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// counters are the numbers that have no curve, a group a line. What a device
// or its source does not tell is – beside what it does; a group of which nothing
// is known is left out.
func (d *detail) counters(g *cluster.GPU) []string {
	s := g.Sample
	if s == nil {
		return nil
	}
	more := s.Detail
	if more == nil {
		more = &gpu.Detail{}
	}
	var out []string
	group := func(label string, facts ...parts.Fact) {
		if known(facts) {
			out = append(out, parts.Facts(d.Env.Theme, label, facts, d.W)...)
		}
	}
	group("clocks", d.clocks(g, s, more)...)
	group("throttled", d.throttled(g, more)...)
	group("temp", d.temperatures(g, s, more)...)
	group("power", d.powers(g, s)...)
	group("memory", d.memories(g, s, more)...)
	group("activity", activity(more.GPM)...)
	group("engines", engines(s, more)...)
	group("PCIe", d.pcie(g, s, more)...)
	group("NVLink", d.links(g)...)
	out = append(out, d.eachLink(more.NVLinks)...)
	group("ECC", d.ecc(s, more)...)
	group("rows", d.rowsRemapped(s, more)...)
	group("pages", d.pages(more)...)
	group("MIG", profiles(g)...)
	return out
}

// known says that a group has something to say.
func known(facts []parts.Fact) bool {
	return slices.ContainsFunc(facts, func(f parts.Fact) bool { return f.Value != "" && f.Value != ui.None })
}

func (d *detail) clocks(g *cluster.GPU, s *gpu.Sample, more *gpu.Detail) []parts.Fact {
	out := []parts.Fact{
		parts.F("SM", clock(s.SMClockMHz, g.MaxSMClockMHz, " of ")), parts.F("memory", clock(s.MemClockMHz, g.MaxMemClockMHz, " of ")),
		parts.F("video", parts.Worth(ui.Num(more.VideoClockMHz, 0, "MHz"))),
	}
	if s.PState != nil {
		out = append(out, parts.F("performance state", fmt.Sprintf("P%d", *s.PState)))
	}
	return out
}

// throttled is what holds the clocks back now, and for how long each reason has
// since the driver was loaded.
func (d *detail) throttled(g *cluster.GPU, more *gpu.Detail) []parts.Fact {
	t := throttle(d.Env.Theme, g)
	out := []parts.Fact{{Value: t.Text, Style: t.Style}}
	for i, reason := range slices.Sorted(maps.Keys(more.ThrottleSeconds)) {
		took := time.Duration(more.ThrottleSeconds[reason] * float64(time.Second))
		if took <= 0 {
			continue
		}
		name := throttleWord(reason)
		if i == 0 || len(out) == 1 {
			name = "so far: " + name
		}
		text := ui.Long(took)
		if took < time.Second {
			text = parts.Seconds(took.Seconds())
		}
		out = append(out, parts.F(name, text))
	}
	return out
}

func (d *detail) temperatures(g *cluster.GPU, s *gpu.Sample, more *gpu.Detail) []parts.Fact {
	core := parts.Temp(d.Env.Theme, g)
	memory := ui.Celsius(more.MemTempCelsius)
	if more.MemTempCelsius != nil && g.MaxMemTempCelsius != nil {
		memory = ui.Num(more.MemTempCelsius, 0, "") + " of " + ui.Celsius(g.MaxMemTempCelsius)
	}
	margin := parts.F("margin", parts.Worth(ui.Celsius(more.TempMarginCelsius)))
	if m := more.TempMarginCelsius; m != nil && *m <= 2 {
		margin.Style = d.Env.Theme.Warn
	}
	return []parts.Fact{
		{Name: "core", Value: core.Text, Style: core.Style},
		margin, parts.F("memory", parts.Worth(memory)),
		parts.F("slows down at", parts.Worth(ui.Celsius(g.SlowdownCelsius))), parts.F("switches off at", parts.Worth(ui.Celsius(g.ShutdownCelsius))),
		parts.F("fan", parts.Worth(ui.Percent(s.FanPercent))),
	}
}

func (d *detail) powers(g *cluster.GPU, s *gpu.Sample) []parts.Fact {
	out := []parts.Fact{parts.F("now", power(g, " of "))}
	if def, now := g.PowerDefaultLimitWatts, limit(g); def != nil && now != nil {
		f := parts.F("default limit", ui.Watts(def))
		if *now < *def-1 { // somebody lowered it: less work can be done
			f.Style = d.Env.Theme.Warn
		}
		out = append(out, f)
	}
	if s.EnergyJoules != nil {
		out = append(out, parts.F("energy since the driver was loaded", energy(*s.EnergyJoules)))
	}
	return out
}

func energy(joules float64) string {
	wh := joules / 3600
	if wh < 1000 {
		return ui.Num(&wh, 0, "Wh")
	}
	kwh := wh / 1000
	return ui.Num(&kwh, 1, "kWh")
}

func (d *detail) memories(g *cluster.GPU, s *gpu.Sample, more *gpu.Detail) []parts.Fact {
	bar1 := parts.Worth(ui.BytesOf(more.BAR1UsedBytes))
	if bar1 != "" && g.BAR1Bytes != nil {
		bar1 += " of " + ui.Bytes(*g.BAR1Bytes)
	}
	return []parts.Fact{
		parts.F("used", strings.Replace(memory(g), "/", " of ", 1)),
		parts.F("free", parts.Worth(ui.BytesOf(more.MemoryFreeBytes))), parts.F("reserved", parts.Worth(ui.BytesOf(more.MemoryReservedBytes))),
		parts.F("BAR1", bar1), parts.F("bandwidth", ui.Percent(s.MemoryUtilPercent)),
	}
}

// activity is what the performance monitor counts: a busy loop has full util
// and none of this.
func activity(m *gpu.GPM) []parts.Fact {
	if m == nil {
		return nil
	}
	return []parts.Fact{
		parts.F("SM", ui.Percent(m.SMPercent)), parts.F("occupancy", ui.Percent(m.OccupancyPercent)), parts.F("tensor", ui.Percent(m.TensorPercent)),
		parts.F("DRAM", ui.Percent(m.DRAMPercent)), parts.F("FP16", ui.Percent(m.FP16Percent)), parts.F("FP32", ui.Percent(m.FP32Percent)),
		parts.F("FP64", ui.Percent(m.FP64Percent)),
	}
}

func engines(s *gpu.Sample, more *gpu.Detail) []parts.Fact {
	return []parts.Fact{
		parts.F("encoder", ui.Percent(s.EncoderPercent)), parts.F("decoder", ui.Percent(s.DecoderPercent)),
		parts.F("JPEG", ui.Percent(more.JPEGPercent)), parts.F("optical flow", ui.Percent(more.OFAPercent)),
	}
}

// busyFrom is the utilisation from which a link should run at full speed: an
// idle device slows its link down to save power.
const busyFrom = 10

func (d *detail) pcie(g *cluster.GPU, s *gpu.Sample, more *gpu.Detail) []parts.Fact {
	link := parts.F("", pcieLink(g, more))
	less := func(now, most *int) bool { return now != nil && most != nil && *now < *most }
	busy := s.UtilPercent != nil && *s.UtilPercent >= busyFrom
	if busy && (less(more.PCIeGen, g.MaxPCIeGen) || less(more.PCIeWidth, g.MaxPCIeWidth)) {
		link.Value, link.Style = d.Env.Theme.G.Warn+" "+link.Value, d.Env.Theme.Warn
	}
	return []parts.Fact{
		link, parts.F("out", perSecond(s.PCIeTxBytesPerSec)), parts.F("in", perSecond(s.PCIeRxBytesPerSec)),
		counted(d.Env.Theme, "replays", more.PCIeReplays, d.Env.Theme.Text),
	}
}

// pcieLink is "gen 5 x16", or "gen 4 of 5, x8 of x16".
func pcieLink(g *cluster.GPU, more *gpu.Detail) string {
	part := func(before string, now, most *int) string {
		switch {
		case now == nil:
			return ""
		case most != nil && *most != *now:
			return fmt.Sprintf("%s%d of %s%d", before, *now, strings.TrimPrefix(before, "gen "), *most)
		}
		return fmt.Sprint(before, *now)
	}
	gen, width := part("gen ", more.PCIeGen, g.MaxPCIeGen), part("x", more.PCIeWidth, g.MaxPCIeWidth)
	if strings.Contains(gen+width, " of ") && gen != "" && width != "" {
		return gen + ", " + width
	}
	return strings.TrimSpace(gen + " " + width)
}

// links is all NVLinks in one line.
func (d *detail) links(g *cluster.GPU) []parts.Fact {
	th, l := d.Env.Theme, g.Links()
	if l.All == 0 {
		return nil
	}
	up := parts.Fact{Value: fmt.Sprintf("%d/%d up", l.Up, l.All)}
	if l.Up < l.All {
		up.Value, up.Style = th.G.Warn+" "+up.Value, th.Warn
	}
	return []parts.Fact{
		up, parts.F("", linkSpeed(l.SpeedMBPerSec, " each")), parts.F("out", perSecond(l.TxBytesPerSec)), parts.F("in", perSecond(l.RxBytesPerSec)),
		counted(th, "errors", l.Errors, th.Warn),
	}
}

// linkSpeed is as NVLink is sold: in decimal units, one direction.
func linkSpeed(mb *float64, each string) string {
	if mb == nil {
		return ""
	}
	gb := *mb / 1000
	return ui.Num(&gb, 1, "GB/s") + each
}

// eachLink lists the links that are down or had errors, and all of them where
// there is room.
func (d *detail) eachLink(links []gpu.NVLink) (out []string) {
	th := d.Env.Theme
	for _, l := range links {
		bad := !l.Up || positive(l.Replays) || positive(l.Recoveries) || positive(l.CRCErrors)
		if !bad && d.H < roomForLinks {
			continue
		}
		state := parts.Fact{Value: fmt.Sprintf("link %2d  up", l.Link)}
		if !l.Up {
			state.Value, state.Style = fmt.Sprintf("link %2d  down", l.Link), th.Warn
		}
		out = append(out, parts.Facts(th, "", []parts.Fact{
			state, parts.F("", linkSpeed(l.SpeedMBPerSec, "")), parts.F("out", perSecond(l.TxBytesPerSec)), parts.F("in", perSecond(l.RxBytesPerSec)),
			counted(th, "replays", l.Replays, th.Warn), counted(th, "recoveries", l.Recoveries, th.Warn), counted(th, "CRC errors", l.CRCErrors, th.Warn),
		}, d.W)...)
	}
	return out
}

// roomForLinks is the height from which links without trouble have lines, too.
const roomForLinks = 56

func positive(n *uint64) bool { return n != nil && *n > 0 }

func (d *detail) ecc(s *gpu.Sample, more *gpu.Detail) []parts.Fact {
	th := d.Env.Theme
	out := []parts.Fact{counted(th, "corrected", s.ECCCorrected, th.Warn), counted(th, "uncorrected", s.ECCUncorrected, th.Bad)}
	if more.ECCCorrectedTotal != nil || more.ECCUncorrectedTotal != nil {
		out = append(out, counted(th, "in its life: corrected", more.ECCCorrectedTotal, th.Text), counted(th, "uncorrected", more.ECCUncorrectedTotal, th.Warn))
	}
	return out
}

func (d *detail) rowsRemapped(s *gpu.Sample, more *gpu.Detail) []parts.Fact {
	th := d.Env.Theme
	return []parts.Fact{
		counted(th, "remapped: correctable", more.RowsCorrectable, th.Text), counted(th, "uncorrectable", more.RowsUncorrectable, th.Warn),
		flag(th, "pending", s.RowRemapPending, th.Warn), flag(th, "failed", s.RowRemapFailure, th.Bad),
	}
}

func (d *detail) pages(more *gpu.Detail) []parts.Fact {
	th := d.Env.Theme
	return []parts.Fact{
		counted(th, "retired: single bit", more.PagesSingleBit, th.Text), counted(th, "double bit", more.PagesDoubleBit, th.Warn),
		flag(th, "pending", more.PagesPending, th.Warn),
	}
}

// profiles are the ways to cut the device.
func profiles(g *cluster.GPU) (out []parts.Fact) {
	for _, p := range g.MIGProfiles {
		out = append(out, parts.F(p.Name, fmt.Sprintf("%d of %d free", p.Free, p.Most)))
	}
	return out
}

func onOff(v *bool) string {
	switch {
	case v == nil:
		return ""
	case *v:
		return "on"
	}
	return "off"
}

// mig says whether the device is cut, or by which profile an instance was.
func mig(g *cluster.GPU) string {
	text := onOff(g.MIG)
	switch {
	case g.MIGProfile != "":
		return g.MIGProfile
	case g.MIG != nil && g.MIGPending != nil && *g.MIG != *g.MIGPending:
		return text + ", " + onOff(g.MIGPending) + " after the next reset"
	}
	return text
}

// counted is a number of things; loud when there are any.
func counted(th *theme.Theme, name string, n *uint64, loud theme.Style) parts.Fact {
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
