package rows

import (
	"cmp"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/jobs/action"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// Kind says what is to be known of rows of type R, each with an identity of type K.
type Kind[R any, K comparable] struct {
	Things string // in the plural
	View   string // of line mode
	List   func(*cluster.Snapshot) []R
	Key    func(*R) K
	Row    func(*cluster.Snapshot, *R) facts.Row
	About  func(*cluster.Snapshot, *R) screen.Subject
	// Same says that nothing changed of which the view tells; nil: it may have.
	Same func(old, now *R) bool
	// Columns are those that stand there unless somebody chooses; one without a
	// Cell shows the value of the view.
	Columns func(*screen.Env) []ui.Column[R]
	// Name and State head the sheet of one row; Status is Nomad's word for the
	// state, by which rows are counted. The last two may be nil.
	Name   func(*R) string
	State  func(*theme.Theme, *R) ui.Cell
	Status func(*R) string
	// More is what the sheet tells beside the view; nil: nothing.
	More func(*cluster.Snapshot, *R) []Part
	// Way is where enter leads to instead of the sheet; nil, also its answer: to that.
	Way func(*cluster.Snapshot, *R) tea.Cmd
	// Find is the row that a jump means; false: it means none.
	Find func(*cluster.Snapshot, screen.Target) (K, bool)
	// Within says which rows belong to a target, where About alone does not; nil: it does.
	Within func(*cluster.Snapshot, screen.Target) func(*R) bool
	// Newest says that what is new comes first, and is watched.
	Newest bool
	// Keys are those that do something with a row, and Do does it. Both may be nil.
	Keys []keys.ID
	Do   func(k keys.ID, r *R) tea.Cmd
	// Change is what a key of Keys that changes the cluster asks for, in place of Do.
	Change func(k keys.ID, r *R) action.Request
}

// Part is a part of a sheet.
type Part struct {
	Title string
	Lines []string
}

// Model is the screen of one kind.
type Model[R any, K comparable] struct {
	screen.List[R, K]
	kind   Kind[R, K]
	sheet  *sheet[R, K] // nil shows the table
	jumped bool         // a jump opened it
	states []stated
	w, h   int
}

// New makes the screen of a kind.
func New[R any, K comparable](e *screen.Env, kind Kind[R, K]) *Model[R, K] {
	m := &Model[R, K]{kind: kind}
	m.List = screen.NewList(e, kind.Things, m.summary, kind.Key, kind.Columns(e)).
		Facts(kind.View, kind.Row).Same(kind.Same).
		About(kind.About).
		Under(func() bool { return m.sheet != nil })
	if kind.Within != nil {
		m.List = m.Belonging(kind.Within)
	}
	if kind.Newest {
		m.Float()
	}
	return m
}

// summary counts the rows, and those in each state.
func (m *Model[R, K]) summary(*cluster.Snapshot) string {
	th := m.Env.Theme
	segs := []ui.Seg{{Text: th.Title.Render(ui.Count(m.All(), strings.TrimSuffix(m.kind.Things, "s")))}}
	for _, c := range m.states {
		glyph, word, _ := strings.Cut(c.Text, " ")
		segs = append(segs, ui.Seg{Text: c.Style.Render(glyph + " " + ui.Int(c.n) + " " + word), Drop: 1})
	}
	return ui.Segs(segs, 3, m.w-24)
}

// SetSize implements screen.Screen.
func (m *Model[R, K]) SetSize(w, h int) {
	m.w, m.h = w, h
	m.count(m.kind.List(m.Snap)) // in the styles of the theme that may be another
	m.List.SetSize(w, h)
	if m.sheet != nil {
		m.sheet.SetSize(w, h)
	}
}

// SetSnapshot implements screen.Screen.
func (m *Model[R, K]) SetSnapshot(s *cluster.Snapshot) {
	all := m.kind.List(s)
	m.count(all)
	m.Fill(s, all)
	if m.sheet != nil {
		m.sheet.SetSnapshot(s)
	}
}

// Update implements screen.Screen.
func (m *Model[R, K]) Update(msg tea.Msg) tea.Cmd {
	if m.sheet != nil {
		k, ok := m.sheet.Keys(msg)
		if r := m.sheet.row(); ok && r != nil && k != keys.Open {
			return m.do(k, r)
		}
		return nil
	}
	k, ok := m.Keys(msg)
	r := m.Selected()
	switch {
	case !ok || r == nil:
	case k == keys.Open:
		return m.enter(r)
	case m.changes(k):
		return m.AskAll(func(r *R) action.Request { return m.kind.Change(k, r) })
	default:
		return m.do(k, r)
	}
	return nil
}

// enter goes where a row leads, or shows its sheet.
func (m *Model[R, K]) enter(r *R) tea.Cmd {
	if m.kind.Way != nil {
		if cmd := m.kind.Way(m.Snap, r); cmd != nil {
			return cmd
		}
	}
	m.show(m.kind.Key(r))
	return nil
}

// changes says that a key is one of the kind's that change the cluster.
func (m *Model[R, K]) changes(k keys.ID) bool {
	return m.kind.Change != nil && slices.Contains(m.kind.Keys, k)
}

func (m *Model[R, K]) do(k keys.ID, r *R) tea.Cmd {
	if m.changes(k) {
		return screen.Ask(m.kind.Change(k, r))
	}
	if m.kind.Do == nil {
		return nil
	}
	return m.kind.Do(k, r)
}

func (m *Model[R, K]) show(key K) {
	m.sheet = newSheet(m.Env, m.kind, key)
	m.sheet.SetSize(m.w, m.h)
	m.sheet.SetSnapshot(m.Snap)
}

// Open implements screen.Opener.
func (m *Model[R, K]) Open(t screen.Target) tea.Cmd {
	m.sheet, m.jumped = nil, false
	m.NarrowTo(t)
	if t.Within {
		return nil
	}
	key, ok := m.kind.Find(m.Snap, t)
	if !ok {
		return nil
	}
	m.Select(key)
	if t.Details {
		m.show(key)
		m.jumped = true
	}
	return nil
}

// Focus implements screen.Focused.
func (m *Model[R, K]) Focus() (screen.Subject, bool) {
	if m.sheet == nil {
		return m.List.Focus()
	}
	if r := m.sheet.row(); r != nil {
		return m.kind.About(m.Snap, r), true
	}
	return screen.Subject{}, false
}

// Inner implements screen.Layered: the sheet is of one row.
func (m *Model[R, K]) Inner() (*facts.View, []facts.Row) {
	if m.sheet == nil || m.sheet.row() == nil {
		return nil, nil
	}
	return m.Lists(), []facts.Row{m.kind.Row(m.Snap, m.sheet.row())}
}

// Keep implements screen.Keeper.
func (m *Model[R, K]) Keep() (restore func()) {
	back, sheet, jumped := m.List.Keep(), m.sheet, m.jumped
	return func() {
		back()
		if m.sheet, m.jumped = sheet, jumped; sheet != nil {
			sheet.SetSize(m.w, m.h)
			sheet.SetSnapshot(m.Snap)
		}
	}
}

// Back implements screen.Backer.
func (m *Model[R, K]) Back() bool {
	if m.sheet == nil {
		return false
	}
	closed := !m.jumped
	m.sheet, m.jumped = nil, false
	return closed
}

// Wheel implements screen.Pointed.
func (m *Model[R, K]) Wheel(n int) {
	if m.sheet != nil {
		m.sheet.Wheel(n)
		return
	}
	m.List.Wheel(n)
}

// Actions implements screen.Screen.
func (m *Model[R, K]) Actions() []keys.ID {
	of, ok := m.Focus()
	if !ok {
		return nil
	}
	var out []keys.ID
	if m.sheet == nil {
		out = append(out, keys.Open)
	}
	out = append(out, m.kind.Keys...)
	if of.Job != (cluster.JobID{}) {
		out = append(out, keys.GoJob)
	}
	if out = append(out, keys.Raw); m.sheet == nil {
		out = append(out, keys.Columns, keys.Sort)
	}
	return out
}

// View implements screen.Screen.
func (m *Model[R, K]) View() string {
	if m.sheet != nil {
		return m.sheet.view()
	}
	return m.List.View()
}

// stated is a state with the number of rows in it.
type stated struct {
	ui.Cell
	n int
}

// count counts the rows in each state, what is wrong first.
func (m *Model[R, K]) count(all []R) {
	m.states = nil
	if m.kind.Status == nil {
		return
	}
	th := m.Env.Theme
	at := map[string]int{}
	for i := range all {
		word := m.kind.Status(&all[i])
		k, ok := at[word]
		if !ok {
			c := m.kind.State(th, &all[i])
			glyph, _, _ := strings.Cut(c.Text, " ")
			k, at[word] = len(m.states), len(m.states)
			m.states = append(m.states, stated{Cell: ui.In(c.Style, glyph+" "+word)})
		}
		m.states[k].n++
	}
	loud := []string{th.G.Bad, th.G.Warn, th.G.Busy, th.G.Unknown, th.G.OK, th.G.Off}
	rank := func(s stated) int {
		glyph, _, _ := strings.Cut(s.Text, " ")
		return slices.Index(loud, glyph)
	}
	slices.SortFunc(m.states, func(a, b stated) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Text, b.Text)) })
}
