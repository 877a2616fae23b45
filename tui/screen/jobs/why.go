package jobs

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/explain"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// reasons keeps the explanation of one job, which is made anew only when what it
// is made of has changed: at a thousand nodes it is some work, and most snapshots
// bring readings of GPUs.
type reasons struct {
	of  *cluster.Snapshot
	why *explain.Explanation
}

// restAge is how old an explanation may be: it says how long things last.
const restAge = 10 * time.Second

// about explains a job; nil when there is none.
func (r *reasons) about(s *cluster.Snapshot, id cluster.JobID) *explain.Explanation {
	if r.why != nil && r.why.Job == id && sameRows(r.of, s) && s.At.Sub(r.why.AsOf) < restAge {
		return r.why
	}
	r.of = s
	if r.why, _ = explain.Job(s, id); r.why == nil { // the job is gone
		return nil
	}
	return r.why
}

// sameRows tells that all that an explanation is made of is as it was.
func sameRows(a, b *cluster.Snapshot) bool {
	return cluster.Same(a.Nodes, b.Nodes) && cluster.Same(a.Jobs, b.Jobs) && cluster.Same(a.Allocs, b.Allocs) &&
		cluster.Same(a.Evaluations, b.Evaluations) && cluster.Same(a.Deployments, b.Deployments)
}

// why is the screen that says why a job waits: what would help, what Nomad says,
// and a verdict for each node, or for all nodes that have the same.
type why struct {
	env     *screen.Env
	id      cluster.JobID
	snap    *cluster.Snapshot
	reasons reasons
	e       *explain.Explanation // nil when the job is gone
	group   int                  // which of its groups
	table   *ui.Table[verdict, verdictKey]
	opened  map[string]bool // verdicts whose nodes are listed
	at      int             // the line in which the table begins
	w, h    int
}

// verdict is one row: what some nodes have in common, or one of these nodes.
type verdict struct {
	verdictKey
	name  string
	kind  explain.Kind
	text  string
	count int
	under bool // it is one of the nodes of the row above
	open  bool
	node  *explain.Node // of a row that is one node
}

type verdictKey struct {
	verdict string
	node    cluster.NodeID
}

func newWhy(e *screen.Env, id cluster.JobID) *why {
	y := &why{env: e, id: id, snap: &cluster.Snapshot{}, opened: map[string]bool{}}
	y.table = ui.NewTable(e.Theme, func(v *verdict) verdictKey { return v.verdictKey }, verdictColumns(e))
	return y
}

func verdictColumns(e *screen.Env) []ui.Column[verdict] {
	th := e.Theme
	return []ui.Column[verdict]{
		{Title: "NODE", Min: 12, Max: 30, Cell: func(v *verdict) ui.Cell {
			switch {
			case v.under:
				return ui.Txt("  " + v.name)
			case v.node == nil && v.open:
				return ui.In(th.Accent, th.G.Down+" "+v.name)
			case v.node == nil:
				return ui.In(th.Accent, th.G.Arrow+" "+v.name)
			}
			return ui.Txt(v.name)
		}},
		{Title: "VERDICT", Min: 30, Max: 200, Cell: func(v *verdict) ui.Cell {
			glyph, st := markOf(th, v.kind)
			return ui.In(st, glyph+" "+v.text)
		}},
	}
}

// markOf: what is full may pass, what is closed can be opened, and the rest is
// not for the job.
func markOf(th *theme.Theme, k explain.Kind) (string, theme.Style) {
	switch {
	case k == explain.Fits:
		return th.G.OK, th.OK
	case k.Exhausted() || k == explain.Quota:
		return th.G.Warn, th.Warn
	case k == explain.Down:
		return th.G.Bad, th.Bad
	case k == explain.Unread:
		return th.G.Unknown, th.Muted
	}
	return th.G.Off, th.Muted
}

func (y *why) setSnapshot(s *cluster.Snapshot) {
	y.snap = s
	y.e = y.reasons.about(s, y.id)
	y.table.SetDim(screen.IsOld(s, "jobs", y.id.Of))
	y.arrange()
}

func (y *why) setSize(w, h int) {
	y.w, y.h = w, h
	y.arrange()
}

// now is the group that is shown; nil when none waits.
func (y *why) now() *explain.Group {
	if y.e == nil || len(y.e.Groups) == 0 {
		return nil
	}
	y.group = min(y.group, len(y.e.Groups)-1)
	return &y.e.Groups[y.group]
}

func (y *why) groups() []explain.Group {
	if y.e == nil {
		return nil
	}
	return y.e.Groups
}

// arrange makes the rows, and gives the table what the lines around it leave.
func (y *why) arrange() {
	var rows []verdict
	if g := y.now(); g != nil {
		rows = y.rows(g)
	}
	y.table.SetRows(rows)
	y.at = len(y.head())
	y.table.SetSize(y.w, max(y.h-y.at-y.footRoom(), 0))
}

func (y *why) rows(g *explain.Group) []verdict {
	var out []verdict
	for i := range g.Verdicts {
		v := &g.Verdicts[i]
		text := v.Text
		if by := g.By(v, y.e.AsOf, 3); by != "" {
			text += "; " + by
		}
		if len(v.Nodes) == 1 {
			n := &g.Nodes[v.Nodes[0]]
			out = append(out, verdict{verdictKey: verdictKey{node: n.ID}, name: n.Name, kind: v.Kind, text: text, count: 1, node: n})
			continue
		}
		row := verdict{verdictKey: verdictKey{verdict: v.Key}, name: ui.Count(len(v.Nodes), "node"), kind: v.Kind, text: text, count: len(v.Nodes), open: y.opened[v.Key]}
		out = append(out, row)
		if !row.open {
			continue
		}
		for _, k := range v.Nodes {
			n := &g.Nodes[k]
			out = append(out, verdict{verdictKey: verdictKey{v.Key, n.ID}, name: n.Name, kind: v.Kind, text: allReasons(n, y.e.AsOf), count: 1, under: true, node: n})
		}
	}
	return out
}

// allReasons is all that keeps an allocation away from one node.
func allReasons(n *explain.Node, now time.Time) string {
	if len(n.Reasons) == 0 {
		return "it fits here"
	}
	parts := make([]string, len(n.Reasons))
	for i := range n.Reasons {
		r := &n.Reasons[i]
		parts[i] = r.Text()
		if by := r.By(now, 4); by != "" {
			parts[i] += ", " + by
		}
	}
	return strings.Join(parts, "; ")
}

// keys moves, opens and closes; what is left is for the job.
func (y *why) keys(msg tea.Msg) (k keys.ID, cmd tea.Cmd) {
	switch msg := msg.(type) {
	case screen.TickMsg:
		y.table.Redraw()
	case screen.KeyMsg:
		switch {
		case msg.ID == keys.Open:
			return "", y.enter()
		case msg.ID == keys.Pane:
			if g := y.now(); g != nil {
				y.group = (y.group + 1) % len(y.e.Groups)
				y.table.Top()
				y.arrange()
			}
		case msg.ID == keys.Why, msg.ID == keys.Sort, msg.ID == keys.Reverse: // it is open, and in its order
		case !screen.Move(y.table, msg.ID):
			return msg.ID, nil
		}
		if y.table.Selected() != nil {
			y.arrange() // the lines under the table are of the row
		}
	}
	return "", nil
}

// enter lists the nodes of a verdict, or goes to the node.
func (y *why) enter() tea.Cmd {
	row := y.table.Selected()
	switch {
	case row == nil:
		return nil
	case row.node == nil:
		y.opened[row.verdict] = !row.open
		y.arrange()
		return nil
	}
	return screen.Open(screen.Nodes, screen.Target{Node: row.node.ID, Details: true})
}

func (y *why) view() string {
	th := y.env.Theme
	if y.e == nil {
		return ui.Block([]string{"", "  " + th.Muted.Render("job "+ui.Clean(y.id.String())+" is not there any more; esc goes back")}, y.w, y.h)
	}
	lines := y.head()
	if y.table.All() > 0 {
		lines = append(lines, y.table.ViewLines(true)...)
	}
	if foot := y.foot(); len(foot) > 0 {
		lines = append(ui.Lines(lines, y.w, y.h-len(foot)), foot...)
	}
	return ui.Block(lines, y.w, y.h)
}

// head is what stands above the nodes.
func (y *why) head() []string {
	th := y.env.Theme
	if y.e == nil {
		return nil
	}
	width := max(y.w-4, 20)
	title := th.Title.Render(ui.Clean(y.id.String()))
	lines := y.wrapped(nil, title+"  ", y.e.Summary, 2)
	for _, n := range y.e.Notes {
		lines = y.wrapped(lines, th.Muted.Render("note")+"  ", n, 2)
	}
	g := y.now()
	if g == nil {
		return append(lines, "")
	}
	count := ""
	if n := len(g.Nodes); n > 0 {
		count = fmt.Sprintf("%d of %s can take one", g.Fitting, ui.Count(n, "node"))
	}
	if n := len(y.e.Groups); n > 1 {
		count += fmt.Sprintf("   group %d of %d, tab", y.group+1, n)
	}
	asks := th.Accent.Render(ui.Clean(g.Name)) + th.Muted.Render(" wants ") + ui.Clean(g.Asks)
	if ui.Width(asks)+ui.Width(count)+3 <= width {
		lines = append(lines, "  "+ui.Sides(asks, th.Muted.Render(count), width)+"  ")
	} else {
		lines = append(lines, "  "+ui.Fit(asks, width), "  "+th.Muted.Render(count))
	}
	lines = y.changes(lines, g)
	lines = y.checked(lines, g)
	if len(g.Unchecked) > 0 {
		lines = y.wrapped(lines, th.Muted.Render("not checked")+"  ", strings.Join(g.Unchecked, ", "), 1)
	}
	return append(lines, "")
}

// changes adds what would let the job run.
func (y *why) changes(lines []string, g *explain.Group) []string {
	th := y.env.Theme
	most := len(g.Changes)
	if y.h < 20 { // two ways and some nodes are better than three and none
		most = min(most, 2)
	}
	for i := range g.Changes[:most] {
		c := &g.Changes[i]
		text := c.Text
		if c.Room < g.Missing {
			text += fmt.Sprintf(" (for %d of the %d)", c.Room, g.Missing)
		}
		if i == 0 {
			lines = append(lines, "  "+th.Muted.Render("It would run, if you"))
		}
		lines = y.wrapped(lines, fmt.Sprintf("  %s ", th.OK.Render(fmt.Sprintf("%d", i+1))), text, 2)
	}
	return lines
}

// checked adds what Nomad says of it, and in what it differs.
func (y *why) checked(lines []string, g *explain.Group) []string {
	th := y.env.Theme
	st, glyph := th.Muted, th.G.OK
	if g.Check.Known && !g.Check.Agrees {
		st, glyph = th.Warn, th.G.Warn
	}
	lines = y.wrapped(lines, st.Render(glyph)+" ", g.Check.Text, 2)
	room := max(y.h/2-len(lines), 1) // the nodes get the other half
	for _, d := range g.Check.Differ {
		more := y.wrapped(nil, "  ", d, 2)
		if len(more) > room {
			break
		}
		room -= len(more)
		lines = append(lines, more...)
	}
	return lines
}

// wrapped adds a text behind a label, on at most so many lines.
func (y *why) wrapped(lines []string, label, text string, most int) []string {
	indent := ui.Width(label)
	parts := ui.Wrap(ui.Clean(text), max(y.w-4-indent, 10))
	for i, part := range parts {
		if i == most {
			break
		}
		if i == most-1 && len(parts) > most {
			part = ui.Fit(strings.Join(parts[i:], " "), max(y.w-4-indent, 10))
		}
		if i == 0 {
			lines = append(lines, "  "+label+part)
		} else {
			lines = append(lines, "  "+ui.Spaces(indent)+part)
		}
	}
	return lines
}

// footRoom is for what the row under the cursor cannot say in its line.
func (y *why) footRoom() int {
	if y.h < 16 {
		return 0
	}
	return min(y.h/6, 4) + 1
}

func (y *why) foot() []string {
	room := y.footRoom() - 1
	row := y.table.Selected()
	if room < 1 || row == nil {
		return nil
	}
	th := y.env.Theme
	text := row.text
	if row.node != nil {
		text = allReasons(row.node, y.e.AsOf)
	}
	lines := y.wrapped(nil, th.Muted.Render(ui.Fit(ui.Clean(row.name), min(ui.Width(row.name), 20)))+"  ", text, room)
	return append([]string{ui.Rule(th, y.w)}, ui.Lines(lines, y.w, room)...)
}
