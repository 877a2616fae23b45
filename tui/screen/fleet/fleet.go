package fleet

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// pane says where the cursor is.
type pane int

const (
	attention pane = iota
	machines
)

// Model is the fleet screen.
type Model struct {
	env    *screen.Env
	snap   *cluster.Snapshot
	w, h   int
	pane   pane
	chosen bool // the user moved: the cursor stays where it is
	filter selection

	capacity []string
	problems *ui.Table[problem, problemID]
	nodes    *ui.Table[nodeRow, cluster.NodeID]
	cells    int // GPUs per node that the table has cells for
	dense    *grid
	known    []fact // of the snapshot's GPUs
}

// New makes the screen.
func New(e *screen.Env) *Model {
	m := &Model{env: e, snap: &cluster.Snapshot{}}
	m.problems = ui.NewTable(e.Theme, func(p *problem) problemID { return p.id }, problemColumns(e))
	m.problems.Float()
	m.dense = newGrid(e)
	m.newTable(8)
	return m
}

func (m *Model) newTable(cells int) {
	m.cells = cells
	m.nodes = ui.NewTable(m.env.Theme, func(r *nodeRow) cluster.NodeID { return r.node.ID }, nodeColumns(m.env, cells))
	m.nodes.LeadColumns(screen.Whose(m.env, func() *cluster.Snapshot { return m.snap }, func(r *nodeRow) cluster.Place { return r.node.Place }))
	m.filter.narrow(m.nodes)
}

// rects are the parts of the screen; a part without height is not drawn.
type rects struct{ capacity, attention, machines ui.Rect }

// layout gives the capacity two lines; the problems get at least a third of
// what is left if they need it, and more when the nodes leave it over.
func layout(w, h, problems, nodes int) rects {
	left := h - 5 // capacity, two rules, heading
	n := min(problems, max(left/3, left-nodes-1))
	n = max(n, 0)
	r := ui.Stack(w, h, 2, 1, 1+n, 1, 0)
	return rects{r[0], r[2], r[4]}
}

// isDense says whether nodes get a map instead of rows.
func (m *Model) isDense() bool {
	switch d := m.dense; {
	case d.by != byNode || d.only != nil || d.zoom > asRows:
		return true
	case d.zoom == asRows:
		return false
	}
	return m.count()+1 > m.layout().machines.H
}

// count is the number of nodes that the filter leaves.
func (m *Model) count() int {
	if m.fewNodes() {
		return m.nodes.Shown()
	}
	return len(m.snap.Nodes)
}

// fewNodes says that nodes may be rows, so that the table of them is filled: of a
// large fleet nobody sees it.
func (m *Model) fewNodes() bool {
	return m.dense.zoom == asRows || !m.filter.Empty() || len(m.snap.Nodes) <= m.h
}

func (m *Model) layout() rects {
	return layout(m.w, m.h, max(m.problems.Shown(), 1), m.count())
}

// SetSize implements screen.Screen.
func (m *Model) SetSize(w, h int) {
	m.w, m.h = w, h
	m.fill()
	m.dense.arrange() // its names are styled
}

func (m *Model) resize() {
	r := m.layout()
	m.problems.SetSize(m.w, r.attention.H) // its heading is ours
	m.nodes.SetSize(m.w, r.machines.H)
	m.dense.setSize(m.w, r.machines.H)
}

// SetSnapshot implements screen.Screen.
func (m *Model) SetSnapshot(s *cluster.Snapshot) {
	m.snap = s
	m.problems.SetOld(oldProblems(s))
	m.problems.SetRows(merge(s.Problems))
	m.fill()
	if !m.chosen {
		m.pane = attention
	}
	if m.problems.Shown() == 0 {
		m.pane = machines
	}
}

// fill draws the snapshot anew, as far as it is to be seen.
func (m *Model) fill() {
	s := m.snap
	m.read()
	if m.fewNodes() {
		rows, most := nodeRows(s)
		if most > m.cells {
			m.newTable(most)
		}
		m.nodes.SetOld(nil)
		if old := screen.Old(s, "nodes"); old != nil {
			m.nodes.SetOld(func(r *nodeRow) bool { return old(r.node.Place) })
		}
		m.nodes.SetRows(rows)
	} else if m.nodes.All() > 0 {
		m.nodes.SetRows(nil)
	}
	m.resize()
	if m.isDense() {
		m.dense.setSnapshot(s, m.known, m.filter)
	}
	m.capacity = capacity(m.env, s, m.w)
}

// read notes what the GPUs are now.
func (m *Model) read() {
	now := m.env.Now()
	m.known = m.known[:0]
	for i := range m.snap.GPUs {
		m.known = append(m.known, factOf(&m.snap.GPUs[i], now))
	}
}

// SetFilter implements screen.Filterer.
func (m *Model) SetFilter(text string) error {
	next, err := selectBy(text)
	if err != nil {
		return err
	}
	was := m.filter
	m.narrow(next)
	if err := next.mistake(); err != nil && m.count() == 0 {
		m.narrow(was)
		return err
	}
	return nil
}

// narrow shows what a filter keeps. An expression is about GPUs: what needs
// attention stays.
func (m *Model) narrow(f selection) {
	m.filter = f
	m.problems.SetFilter(f.Filter)
	m.filter.narrow(m.nodes)
	m.fill()
}

// Lists implements screen.Factual: a filter is about GPUs.
func (m *Model) Lists() *facts.View {
	v, _ := facts.Find("gpus")
	return v
}

// Filter implements screen.Filterer.
func (m *Model) Filter() (text string, ok bool) { return m.filter.text, true }

// Counts implements screen.Filterer.
func (m *Model) Counts() (shown, all int) { return m.count(), len(m.snap.Nodes) }

// Update implements screen.Screen.
func (m *Model) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case screen.TickMsg:
		m.problems.Redraw()
		m.nodes.Redraw()
		if m.isDense() { // readings grow old
			m.read()
			m.dense.settle()
		}
	case screen.KeyMsg:
		m.chosen = true
		return m.key(msg.ID)
	}
	return nil
}

func (m *Model) key(id keys.ID) tea.Cmd {
	switch {
	case id == keys.Open:
		return m.open()
	case id == keys.Pane:
		m.turn()
	case id == keys.GroupBy, id == keys.ZoomIn, id == keys.ZoomOut, id == keys.ZoomFit:
		m.pane = machines
		return m.zoom(id)
	case m.pane == attention:
		if id == keys.Down && m.problems.Cursor() >= m.problems.Shown()-1 {
			m.pane = machines
			return nil
		}
		screen.Move(m.problems, id)
	case m.isDense():
		if !m.dense.key(id) && id == keys.Up {
			m.turn()
		}
	case id == keys.Up && m.nodes.Cursor() == 0:
		m.turn()
	default:
		screen.Move(m.nodes, id)
	}
	return nil
}

// zoom changes what the map shows, and how much of it.
func (m *Model) zoom(id keys.ID) tea.Cmd {
	now := asRows
	if m.isDense() {
		now = m.dense.now
	}
	rows := m.dense.by == byNode && m.dense.only == nil
	done := true
	switch id {
	case keys.GroupBy:
		m.dense.setSnapshot(m.snap, m.known, m.filter) // while rows are shown it has none, and that tells which groups there are
		m.dense.regroup()
	case keys.ZoomFit:
		m.dense.zoom = auto
	case keys.ZoomIn:
		done = m.dense.rezoom(-1, now, rows)
	case keys.ZoomOut:
		done = m.dense.rezoom(1, now, rows)
	}
	if !done {
		return screen.Note(cluster.Info, "there is no other scale on that side")
	}
	m.fill()
	return nil
}

// Back implements screen.Backer: it leaves the one group that is shown.
func (m *Model) Back() bool {
	if m.dense.only == nil {
		return false
	}
	m.dense.within(nil, "")
	m.fill()
	return true
}

// turn goes to the other pane, where there is something.
func (m *Model) turn() {
	switch {
	case m.pane == attention:
		m.pane = machines
	case m.problems.Shown() > 0:
		m.pane = attention
	}
}

// open goes to what is under the cursor.
func (m *Model) open() tea.Cmd {
	if m.pane == attention {
		if p := m.problems.Selected(); p != nil {
			return p.open(m.snap)
		}
		return nil
	}
	if m.isDense() {
		return m.openCell()
	}
	if r := m.nodes.Selected(); r != nil {
		return screen.Open(screen.Nodes, screen.Target{Node: r.node.ID, Details: true})
	}
	return nil
}

// openCell goes to the GPU or the node under the cursor, or into its group.
func (m *Model) openCell() tea.Cmd {
	p := m.dense.selected()
	if p == nil {
		return nil
	}
	first := &m.snap.GPUs[p.gpus[0]]
	switch d := m.dense.device(); {
	case d != nil:
		return screen.Open(screen.GPUs, screen.Target{GPU: d.UUID, Details: true})
	case m.dense.now == perGroup:
		m.dense.within(&p.group.name, p.group.text)
		m.fill()
		return nil
	}
	return screen.Open(screen.Nodes, screen.Target{Node: first.Node, Details: true})
}

// Actions implements screen.Screen.
func (m *Model) Actions() []keys.ID {
	out := []keys.ID{keys.Open, keys.GroupBy}
	if m.isDense() {
		out = append(out, keys.ZoomIn, keys.ZoomOut)
	}
	if m.problems.Shown() > 0 {
		out = append(out, keys.Pane)
	}
	return out
}

// View implements screen.Screen.
func (m *Model) View() string {
	r := m.layout()
	rule := ui.Rule(m.env.Theme, m.w)
	lines := append(make([]string, 0, m.h), m.capacity...)
	lines = append(lines, rule)
	lines = append(lines, m.attention(r.attention)...)
	lines = append(lines, rule)
	switch {
	case len(m.snap.Nodes) == 0:
		lines = append(lines, m.empty(r.machines)...)
	case m.isDense():
		lines = append(lines, m.dense.view(m.pane == machines)...)
	default:
		lines = append(lines, m.nodes.ViewLines(m.pane == machines)...)
	}
	return strings.Join(lines[:min(len(lines), m.h)], "\n")
}

func (m *Model) empty(r ui.Rect) []string {
	var out []string
	for _, l := range ui.Wrap(screen.EmptyText(m.snap, "nodes", m.env.Now()), max(m.w-4, 1)) {
		out = append(out, "  "+m.env.Theme.Muted.Render(l))
	}
	return ui.Lines(out, m.w, r.H)
}

// attention draws the heading and the problems.
func (m *Model) attention(r ui.Rect) []string {
	th := m.env.Theme
	if m.problems.Shown() == 0 {
		text := th.OK.Render(th.G.OK) + " nothing needs attention"
		if !m.snap.Ready {
			text = th.Muted.Render("nothing known yet")
		} else if m.problems.All() > 0 {
			text = th.Muted.Render("no problem matches the filter")
		}
		return ui.Lines([]string{"  " + text}, m.w, r.H)
	}
	all := m.problems.Shown()
	count := ui.Int(all)
	if fit := r.H - 1; fit < all {
		count = ui.Int(min(fit, all)) + " of " + count
	}
	lines := m.problems.ViewLines(m.pane == attention)
	lines[0] = ui.Sides("  "+th.Title.Render("NEEDS ATTENTION"), th.Muted.Render(count)+"  ", m.w)
	return lines
}
