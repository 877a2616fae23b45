package fleet

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
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
	filter ui.Filter

	capacity []string
	problems *ui.Table[problem, problemID]
	nodes    *ui.Table[nodeRow, cluster.NodeID]
	cells    int // GPUs per node that the table has cells for
	dense    *grid
	levels   levels
}

// New makes the screen.
func New(e *screen.Env) *Model {
	m := &Model{env: e, snap: &cluster.Snapshot{}, levels: levels{}}
	m.problems = ui.NewTable(e.Theme, func(p *problem) problemID { return p.id }, problemColumns(e))
	m.dense = newGrid(e)
	m.newTable(8)
	return m
}

func (m *Model) newTable(cells int) {
	m.cells = cells
	m.nodes = ui.NewTable(m.env.Theme, func(r *nodeRow) cluster.NodeID { return r.node.ID }, nodeColumns(m.env, cells))
	m.nodes.SetFilter(m.filter)
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
	return m.nodes.Shown()+1 > m.layout().machines.H || m.dense.by != byNode
}

func (m *Model) layout() rects {
	return layout(m.w, m.h, max(m.problems.Shown(), 1), m.nodes.Shown())
}

// SetSize implements screen.Screen.
func (m *Model) SetSize(w, h int) {
	m.w, m.h = w, h
	m.resize()
	m.dense.arrange() // its names are styled
	m.capacity = capacity(m.env, m.snap, m.w)
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
	m.levels.update(s)
	rows, most := nodeRows(s)
	if most > m.cells {
		m.newTable(most)
	}
	m.problems.SetRows(merge(s.Problems))
	m.nodes.SetRows(rows)
	m.dense.setSnapshot(s, m.levels, m.filter)
	m.resize()
	m.capacity = capacity(m.env, s, m.w)
	if !m.chosen {
		m.pane = attention
	}
	if m.problems.Shown() == 0 {
		m.pane = machines
	}
}

// SetFilter implements screen.Filterer.
func (m *Model) SetFilter(text string) error {
	f := ui.ParseFilter(text)
	m.filter = f
	m.problems.SetFilter(f)
	m.nodes.SetFilter(f)
	m.dense.setSnapshot(m.snap, m.levels, f)
	m.resize()
	return nil
}

// Filter implements screen.Filterer.
func (m *Model) Filter() (text string, ok bool) { return m.filter.String(), true }

// Counts implements screen.Filterer.
func (m *Model) Counts() (shown, all int) { return m.nodes.Shown(), m.nodes.All() }

// Update implements screen.Screen.
func (m *Model) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case screen.TickMsg:
		m.problems.Redraw()
		m.nodes.Redraw()
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
	case id == keys.GroupBy:
		m.dense.nextGroup()
		m.pane = machines
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
		if g := m.dense.selected(); g != nil {
			return screen.Open(screen.GPUs, screen.Target{GPU: g.UUID, Details: true})
		}
		return nil
	}
	if r := m.nodes.Selected(); r != nil {
		return screen.Open(screen.Nodes, screen.Target{Node: r.node.ID, Details: true})
	}
	return nil
}

// Actions implements screen.Screen.
func (m *Model) Actions() []keys.ID {
	out := []keys.ID{keys.Open, keys.GroupBy}
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
	case m.nodes.All() == 0:
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
