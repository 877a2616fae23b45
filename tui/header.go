package tui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"stoker/cluster"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// headerLines is the height of the header: one line and a rule.
const headerLines = 2

// header says where one is, and whether what is shown is true.
func (m *model) header() []string {
	th := m.env.Theme
	arrow := " " + th.Muted.Render(th.G.Arrow) + " "
	where := []string{ui.Clean(or(m.cfg.Context, "default")), ui.Clean(or(m.region(), ui.None)), ui.Clean(or(m.cfg.Namespace, "*"))}
	if m.snap.Members != nil {
		where = m.several()
	}
	left := " " + th.Title.Render("stoker") + "  " + m.warned() + strings.Join(where, arrow)
	segs := append(m.nomadSegs(), m.vaultSeg(), m.agentsSeg())
	if m.cfg.Local {
		left, segs = m.localWhere(), []ui.Seg{m.nvmlSeg()}
	}
	segs = append(segs, m.otherSegs()...)
	if rate, ok := m.slowLink(); ok {
		segs = append(segs, ui.Seg{Text: th.Muted.Render("line ") + th.Warn.Render(rate), Drop: 1})
	}
	segs = append(segs, ui.Seg{Text: th.Muted.Render(m.env.Now().Format("15:04:05")), Drop: 6})
	if m.cfg.ReadOnly {
		segs = append(segs, ui.Seg{Text: th.Accent.Render("read-only")})
	}
	right := ui.Segs(segs, min(2+m.w/100, 3), m.w-ui.Width(left)-3)
	return []string{ui.Fit(ui.Sides(left, right+" ", m.w), m.w), m.way()}
}

// warned is the word for a cluster in which one is careful. It stands before the
// names: where there is no room for all, their end goes.
func (m *model) warned() string {
	if !m.cfg.Production {
		return ""
	}
	return m.env.Theme.Bad.Render("PRODUCTION") + "  "
}

// way is the rule under the header. Where one came here by jumps, it says how:
// "jobs ▸ prod/chat ▸ evaluations".
func (m *model) way() string {
	th := m.env.Theme
	if len(m.stack) < 2 {
		return ui.Rule(th, m.w)
	}
	var words []string
	for _, v := range m.stack {
		if v.from != "" {
			words = append(words, v.from)
		}
		words = append(words, string(m.screens[v.screen].name))
	}
	text := ui.Clean(strings.Join(words, " "+th.G.Arrow+" "))
	for most := m.w - 6; ui.Width(text) > most && len(words) > 2; text = th.G.Ellipsis + " " + ui.Clean(strings.Join(words, " "+th.G.Arrow+" ")) {
		words = words[1:]
	}
	text = ui.Fit(text, min(ui.Width(text), m.w-6))
	return th.Border.Render(th.G.H+" ") + th.Muted.Render(text) + th.Border.Render(" ") + ui.Rule(th, m.w-ui.Width(text)-3)
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// badge is a name with a state: glyph, word and colour. Where there is no room for
// all words, that of what is well goes first.
func badge(th *theme.Theme, name string, st theme.Style, glyph, word string) ui.Seg {
	head := th.Muted.Render(name) + " " + st.Render(glyph)
	drop := 4
	if glyph == th.G.Bad || glyph == th.G.Warn {
		drop = 3
	}
	return ui.Seg{Text: head + " " + st.Render(word), Short: head, Drop: drop}
}

// several names the clusters that are shown together, and their region where
// they share one.
func (m *model) several() []string {
	var names []string
	for _, one := range m.snap.Members {
		if !slices.Contains(names, one.Place.Cluster) {
			names = append(names, one.Place.Cluster)
		}
	}
	if more := len(names) - mostNames; more > 0 {
		names = append(names[:mostNames:mostNames], fmt.Sprint(more))
	}
	out := []string{ui.Clean(strings.Join(names, "+"))}
	if r := m.region(); r != "" {
		out = append(out, ui.Clean(r))
	}
	return append(out, ui.Clean(or(m.cfg.Namespace, "*")))
}

// region is that of what is shown. It is not known before a Nomad answered.
func (m *model) region() string {
	for _, one := range m.snap.Each() {
		if src := one.Source("nomad"); src != nil && !src.AsOf.IsZero() {
			return m.snap.Place.Region
		}
	}
	return ""
}

// mostNames bounds how many clusters the header names.
const mostNames = 3

// nomadSegs say how the Nomads do: one word for all, unless one of several does
// not answer; then each has its own.
func (m *model) nomadSegs() []ui.Seg {
	th, h := m.env.Theme, screen.Source(m.snap, "nomad")
	if m.snap.Members == nil || h.OK() {
		return []ui.Seg{m.nomadSeg("nomad", h)}
	}
	var out []ui.Seg
	well := 0
	for _, one := range m.snap.Members {
		h := screen.Source(one, "nomad")
		if h.OK() {
			well++
			continue
		}
		out = append(out, m.nomadSeg(ui.Clean(m.snap.Label(one.Place)), h))
	}
	if more := len(out) - mostNames; more > 0 {
		out = append(out[:mostNames:mostNames], ui.Seg{Text: th.Bad.Render(fmt.Sprintf("and %d more", more)), Drop: 5})
	}
	count := badge(th, "nomad", th.Warn, th.G.Warn, fmt.Sprintf("%d/%d", well, len(m.snap.Members)))
	return append([]ui.Seg{count}, out...)
}

func (m *model) nomadSeg(name string, h screen.Health) ui.Seg {
	th := m.env.Theme
	switch {
	case h.Lost():
		return badge(th, name, th.Bad, th.G.Bad, m.retry(&h.Worst))
	case h.OK():
		return badge(th, name, th.OK, th.G.OK, "live")
	}
	return badge(th, name, th.Muted, th.G.Off, "starting")
}

// localWhere names the one machine, and its driver.
func (m *model) localWhere() string {
	th := m.env.Theme
	left := " " + th.Title.Render("stoker top")
	if len(m.snap.Nodes) > 0 {
		left += "  " + ui.Clean(m.snap.Nodes[0].Name)
	}
	if len(m.snap.GPUs) > 0 {
		if g := &m.snap.GPUs[0]; g.Driver != "" {
			left += "  " + th.Muted.Render(ui.Clean("driver "+g.Driver+"  CUDA "+or(g.CUDA, ui.None)))
		}
	}
	return left
}

// nvmlSeg says how the reading of this machine's GPUs goes.
func (m *model) nvmlSeg() ui.Seg {
	th, h := m.env.Theme, screen.Source(m.snap, "nvml")
	switch {
	case h.Lost():
		return badge(th, "nvml", th.Bad, th.G.Bad, m.retry(&h.Worst))
	case h.OK():
		return badge(th, "nvml", th.OK, th.G.OK, "live")
	}
	return badge(th, "nvml", th.Muted, th.G.Off, "starting")
}

// retry is the shortest account of a source that does not answer.
func (m *model) retry(src *cluster.SourceStatus) string {
	if src.State == cluster.SourceDenied {
		return "denied"
	}
	if left := src.Retry.Sub(m.env.Now()); left > 0 {
		return "retry in " + ui.Dur(max(left, time.Second))
	}
	return "retrying"
}

// state is how something does: the more it matters, the higher its rank.
type state struct {
	rank  int
	style theme.Style
	glyph string
	word  string
}

// illFrom is the rank from which on a state is trouble.
const illFrom = 3

// vaultSeg says how Vault does; of several, the one that does worst.
func (m *model) vaultSeg() ui.Seg {
	th := m.env.Theme
	var worst state
	name := "vault"
	for i, one := range m.snap.Each() {
		st := m.vaultState(one)
		if i > 0 && st.rank <= worst.rank {
			continue
		}
		if worst = st; st.rank >= illFrom && m.snap.Members != nil {
			name = "vault " + ui.Clean(m.snap.Label(one.Place))
		}
	}
	return badge(th, name, worst.style, worst.glyph, worst.word)
}

func (m *model) vaultState(s *cluster.Snapshot) state {
	th, h, v := m.env.Theme, screen.Source(s, "vault"), s.Vault
	switch {
	case h.Lost():
		return state{3, th.Warn, th.G.Warn, m.retry(&h.Worst)}
	case v != nil && v.Err != "" && !h.OK():
		return state{3, th.Warn, th.G.Warn, "late"}
	case v != nil && v.Sealed:
		return state{4, th.Bad, th.G.Bad, "sealed"}
	case v != nil:
		return state{1, th.OK, th.G.OK, "open"}
	case h.All == 0:
		return state{0, th.Muted, th.G.Off, "off"}
	}
	return state{2, th.Muted, th.G.Off, "starting"}
}

func (m *model) agentsSeg() ui.Seg {
	th := m.env.Theme
	if m.agents.of != m.snap {
		m.agents = countAgents(m.snap)
	}
	live, all, any := m.agents.live, m.agents.all, m.agents.any
	polled, name := m.polled()
	count := ui.Int(live) + "/" + ui.Int(all)
	var s ui.Seg
	switch {
	case !any && polled.All > 0:
		st, glyph := th.OK, th.G.OK
		if polled.Live < polled.All {
			st, glyph = th.Warn, th.G.Warn
		}
		s = badge(th, name, st, glyph, ui.Int(polled.Live)+"/"+ui.Int(polled.All))
	case !any && screen.Source(m.snap, "prometheus").OK():
		s = badge(th, "prometheus", th.OK, th.G.OK, "live")
	case !any && !m.snap.Ready: // whether there are any, Nomad tells
		s = badge(th, "agents", th.Muted, th.G.Off, th.G.None)
	case !any:
		s = badge(th, "agents", th.Muted, th.G.Off, "none")
	case live == all:
		s = badge(th, "agents", th.OK, th.G.OK, count)
	default:
		s = badge(th, "agents", th.Warn, th.G.Warn, count)
	}
	s.Short, s.Drop = "", 1
	return s
}

// polled is how the best source of GPUs does that asks node by node, and its name.
func (m *model) polled() (h screen.Health, name string) {
	for _, name = range []string{"devices", "dcgm"} {
		if h = screen.Each(m.snap, name); h.All > 0 {
			break
		}
	}
	return h, name
}

// agentCount is how many nodes with GPUs there are in a snapshot, and of how many
// an agent tells; any says that an agent is known at all. A picture is drawn for
// each key, and the sources of a large fleet are not counted each time.
type agentCount struct {
	of        *cluster.Snapshot
	live, all int
	any       bool
}

// countAgents leaves out nodes that were drained: they have no agent.
func countAgents(s *cluster.Snapshot) agentCount {
	out := agentCount{of: s}
	if s.Members == nil {
		out.count(s)
	}
	for _, m := range s.Members {
		out.count(m)
	}
	return out
}

// count adds those of one cluster, whose sources and nodes are both by name.
func (c *agentCount) count(s *cluster.Snapshot) {
	prefix := cluster.OfNode("agent")
	from, _ := slices.BinarySearchFunc(s.Sources, prefix, func(src cluster.SourceStatus, name string) int { return cmp.Compare(src.Name, name) })
	agents := s.Sources[from:]
	first := func() (node string, ok bool) {
		if len(agents) == 0 {
			return "", false
		}
		return strings.CutPrefix(agents[0].Name, prefix)
	}
	node, ok := first()
	c.any = c.any || ok
	for i := range s.Nodes {
		n := &s.Nodes[i]
		for ok && node < n.Name {
			agents = agents[1:]
			node, ok = first()
		}
		has := ok && node == n.Name
		if !has && len(s.NodeGPUs(n.ID)) == 0 {
			continue
		}
		c.all++
		if has && (agents[0].State == cluster.SourceLive || agents[0].Blip(s.At)) {
			c.live++
		}
	}
}

// slowLink is what the terminal takes a second, when it makes the picture late.
func (m *model) slowLink() (rate string, ok bool) {
	if m.link == nil {
		return "", false
	}
	bytes, ok := m.link.slow()
	return ui.Bytes(uint64(bytes)) + "/s", ok
}

// otherSegs names the sources that are in trouble; the others keep quiet, and so
// do those that a Nomad brings which does not answer.
func (m *model) otherSegs() []ui.Seg {
	th := m.env.Theme
	seen := map[string]bool{"nomad": true, "vault": true, "agent": true, "devices": true, "dcgm": true, "nvml": m.cfg.Local}
	var out []ui.Seg
	for i := range m.snap.Sources {
		src := &m.snap.Sources[i]
		group := screen.GroupOf(src.Name)
		if seen[group] || cluster.OfNomad(src.Name) && screen.Source(m.snap.Of(src.Place), "nomad").Lost() {
			continue
		}
		if h := screen.Source(m.snap.Of(src.Place), group); h.Lost() {
			seen[group] = true
			s := badge(th, ui.Clean(group), th.Warn, th.G.Warn, m.retry(&h.Worst))
			s.Drop = 5
			out = append(out, s)
		}
	}
	return out
}

// tabsFrom is the height from which the footer lists the screens.
const tabsFrom = 20

func (m *model) footerLines() int {
	if m.h < tabsFrom {
		return 2
	}
	return 3
}

// footer says what one can do: the screen's actions, or what is typed, or what
// became of the last action; below, the screens.
func (m *model) footer() []string {
	th := m.env.Theme
	out := []string{ui.Rule(th, m.w)}
	if m.line != nil && m.footerLines() == 2 { // an error must be seen on any height
		if under := m.underLine(); under != "" {
			out[0] = under
		}
	}
	switch {
	case m.line != nil:
		out = append(out, m.lineView(m.w))
	case m.log.now != nil:
		n := m.log.now
		glyph, st := screen.Mark(th, n.level)
		if n.passing {
			glyph, st = th.G.Busy, th.Accent
		}
		text := ui.Fit(" "+glyph+" "+n.text, m.w)
		out = append(out, st.Render(text))
	default:
		out = append(out, m.hints())
	}
	switch {
	case m.footerLines() == 2:
	case m.line != nil:
		out = append(out, ui.Fit(m.underLine(), m.w))
	default:
		out = append(out, m.tabs())
	}
	return out
}

func (m *model) hints() string {
	th := m.env.Theme
	hint := func(b keys.Binding) string {
		key := b.Keys[0]
		if key == "enter" {
			key = th.G.Enter
		}
		return th.Key.Render(key) + " " + th.Muted.Render(b.Label)
	}
	typing := m.typing()
	scopes := m.scopes()
	if typing {
		scopes = []keys.Scope{keys.Form}
	}
	var segs []ui.Seg
	var lacking []string
	if f, ok := m.filter(); ok && f != "" {
		shown, all := m.active().Screen.(screen.Filterer).Counts()
		segs = append(segs, ui.Seg{Text: th.Key.Render("/") + ui.Clean(f) + th.Muted.Render(fmt.Sprintf("  %s of %s, esc clears", ui.Int(shown), ui.Int(all)))})
	}
	for i, id := range m.active().Actions() {
		b, ok := m.env.Keys.Find(id, scopes...)
		if err := m.refused(b); ok && err != nil && !slices.Contains(lacking, err.Error()) {
			lacking = append(lacking, err.Error())
		}
		if !ok || m.hidden(b) {
			continue
		}
		segs = append(segs, ui.Seg{Text: hint(b), Drop: i + 2})
	}
	for _, text := range lacking {
		segs = append(segs, ui.Seg{Text: th.Muted.Render(th.G.Warn + " " + ui.Clean(text)), Drop: 3})
	}
	if typing { // any other key types
		return ui.Sides("  "+ui.Segs(segs, 3, m.w-4), "", m.w)
	}
	right := make([]ui.Seg, 0, 3)
	for i, id := range []keys.ID{keys.Filter, keys.Command, keys.Help} {
		if b, ok := m.env.Keys.Find(id, keys.Global); ok {
			right = append(right, ui.Seg{Text: hint(b), Drop: 2 - i})
		}
	}
	r := ui.Segs(right, 3, m.w/2)
	return ui.Sides("  "+ui.Segs(segs, 3, m.w-ui.Width(r)-5), r+"  ", m.w)
}

// tabs is the line of the screens.
func (m *model) tabs() string {
	var b strings.Builder
	b.WriteString(" ")
	for _, t := range m.tabList() {
		b.WriteString(t.text)
	}
	return ui.Fit(b.String(), m.w)
}
