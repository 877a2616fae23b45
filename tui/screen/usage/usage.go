package usage

import (
	"cmp"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/gpu"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// Model is the screen of usage.
type Model struct {
	screen.List[cluster.Usage, cluster.JobID] // a namespace is a job without a name
	waste                                     screen.List[cluster.Waste, gpu.UUID]
	unsure                                    int // seen idle or rogue, but not yet for long enough
	below                                     bool
	w, h                                      int
}

// New makes the screen.
func New(e *screen.Env) *Model {
	m := &Model{}
	m.List = screen.NewList(e, "usage", m.summary, func(u *cluster.Usage) cluster.JobID { return u.Job }, columns(e)).
		Facts("usage", func(_ *cluster.Snapshot, u *cluster.Usage) facts.Row { return facts.UsageRow(u) })
	m.waste = screen.NewList(e, "usage", nil, func(w *cluster.Waste) gpu.UUID { return w.UUID }, wasteColumns(e)).
		Facts("idle", func(_ *cluster.Snapshot, w *cluster.Waste) facts.Row { return facts.WasteRow(w) })
	return m
}

// SetSize implements screen.Screen.
func (m *Model) SetSize(w, h int) {
	m.w, m.h = w, h
	m.List.SetSize(w, h)
	m.layout()
}

// layout gives what is wasted a third at least, if it needs it, and more where
// the jobs leave it over.
func (m *Model) layout() {
	left := m.h - 4 // summary, blank, rule, heading of the waste
	n := max(min(m.waste.Shown(), max(left/3, left-m.Shown()-1)), 1)
	m.Table.SetSize(m.w, max(left-n, 2))
	m.waste.Table.SetSize(m.w, n+1) // its heading is ours
}

// SetSnapshot implements screen.Screen.
func (m *Model) SetSnapshot(s *cluster.Snapshot) {
	m.Fill(s, rows(s))
	var sure []cluster.Waste
	m.unsure = 0
	for _, w := range s.Waste() {
		if w.Sure() {
			sure = append(sure, w)
		} else {
			m.unsure++
		}
	}
	m.waste.Fill(s, sure)
	old := screen.Old(s, "usage")
	m.waste.SetOld(func(w *cluster.Waste) bool { return w.Stale(s.At) || old != nil && old(w.Place) })
	if m.waste.All() == 0 {
		m.below = false
	}
	m.layout()
}

// rows are each namespace with its jobs under it.
func rows(s *cluster.Snapshot) []cluster.Usage {
	var out []cluster.Usage
	jobs := s.JobUsage()
	for _, space := range s.NamespaceUsage() {
		out = append(out, space)
		for len(jobs) > 0 && jobs[0].Job.Namespace == space.Job.Namespace && jobs[0].Job.Of == space.Job.Of {
			out = append(out, jobs[0])
			jobs = jobs[1:]
		}
	}
	return out
}

// part is the list in which the keys move.
func (m *Model) part() screen.Part {
	if m.below {
		return &m.waste
	}
	return &m.List
}

// SetFilter implements screen.Filterer: of the part in which the keys move, as all that follows.
func (m *Model) SetFilter(text string) error {
	err := m.part().SetFilter(text)
	m.layout()
	return err
}

// Filter implements screen.Filterer.
func (m *Model) Filter() (text string, ok bool) { return m.part().Filter() }

// Counts implements screen.Filterer.
func (m *Model) Counts() (shown, all int) { return m.part().Counts() }

// Lists implements screen.Factual.
func (m *Model) Lists() *facts.View { return m.part().Lists() }

// Columns implements screen.Tabular.
func (m *Model) Columns() []screen.TableColumn { return m.part().Columns() }

// ShowColumns implements screen.Tabular.
func (m *Model) ShowColumns(names []string) error { return m.part().ShowColumns(names) }

// Picked implements screen.Tabular.
func (m *Model) Picked() bool { return m.part().Picked() }

// Order implements screen.Tabular.
func (m *Model) Order() (column string, descending bool) { return m.part().Order() }

// OrderBy implements screen.Tabular.
func (m *Model) OrderBy(column string, descending bool) error {
	return m.part().OrderBy(column, descending)
}

// Rows implements screen.Tabular.
func (m *Model) Rows() (view *facts.View, rows []facts.Row) { return m.part().Rows() }

// Chosen implements screen.Chooser.
func (m *Model) Chosen() (view *facts.View, rows []facts.Row) { return m.part().Chosen() }

// FocusRow implements screen.Part.
func (m *Model) FocusRow() (*facts.View, facts.Row) { return m.part().FocusRow() }

// Clear implements screen.Part.
func (m *Model) Clear() bool { return m.part().Clear() }

// Update implements screen.Screen.
func (m *Model) Update(msg tea.Msg) tea.Cmd {
	if k, ok := msg.(screen.KeyMsg); ok && k.ID == keys.Pane {
		m.below = !m.below && m.waste.All() > 0
		return nil
	}
	if m.below {
		return m.inWaste(msg)
	}
	if _, tick := msg.(screen.TickMsg); tick {
		m.waste.Redraw()
	}
	k, ok := m.Keys(msg)
	u := m.Selected()
	if !ok || u == nil || u.Job.Name == "" {
		return nil
	}
	switch k {
	case keys.Open:
		return screen.Open(screen.Jobs, screen.Target{Job: u.Job, Details: true})
	}
	return nil
}

func (m *Model) inWaste(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case screen.TickMsg:
		m.Redraw()
		m.waste.Redraw()
	case screen.KeyMsg:
		k, ok := m.waste.Keys(msg)
		w := m.waste.Selected()
		if !ok || w == nil || k != keys.Open {
			return nil
		}
		return screen.Open(screen.GPUs, screen.Target{GPU: w.UUID, Node: w.Node, Details: true})
	}
	return nil
}

// Click implements screen.Pointed.
func (m *Model) Click(x, y int, twice bool) tea.Cmd {
	heading := m.h - m.waste.Page() - 1
	if y < heading {
		m.below = false
		return m.List.Click(x, y, twice)
	}
	if m.waste.Point(y - heading) {
		m.below = true
		if twice {
			return screen.Press(keys.Open)
		}
	}
	return nil
}

// Wheel implements screen.Pointed.
func (m *Model) Wheel(n int) {
	if m.below {
		m.waste.Scroll(n)
		return
	}
	m.List.Wheel(n)
}

// Focus implements screen.Focused.
func (m *Model) Focus() (screen.Subject, bool) {
	if w := m.waste.Selected(); m.below && w != nil {
		return screen.GPUSubject(w.GPU), true
	}
	u := m.Selected()
	switch {
	case m.below || u == nil:
		return screen.Subject{}, false
	case u.Job.Name == "":
		return screen.NamespaceSubject(u.Place, u.Job.Namespace), true
	}
	return screen.JobOf(m.Snap, u.Job)
}

// Actions implements screen.Screen.
func (m *Model) Actions() []keys.ID {
	var out []keys.ID
	switch u := m.Selected(); {
	case m.below:
		out = append(out, keys.Open)
	case u != nil && u.Job.Name != "":
		out = append(out, keys.Open, keys.GoGPUs)
	}
	if m.waste.All() > 0 {
		out = append(out, keys.Pane)
	}
	return append(out, keys.Sort)
}

// View implements screen.Screen.
func (m *Model) View() string {
	th := m.Env.Theme
	summary := th.Title.Render("usage")
	if m.All() > 0 || m.Snap.Ready {
		summary = m.summary(m.Snap)
	}
	lines := append([]string{"  " + summary, ""}, m.ViewLines(!m.below)...)
	if m.Shown() == 0 {
		for i, text := range ui.Wrap(m.empty(), max(m.w-4, 1)) {
			if at := 4 + i; at < len(lines) {
				lines[at] = "  " + th.Muted.Render(text)
			}
		}
	}
	lines = append(lines, ui.Rule(th, m.w))
	return ui.Block(append(lines, m.wasteLines()...), m.w, m.h)
}

func (m *Model) empty() string {
	switch {
	case m.All() > 0:
		return "no usage matches the filter"
	case m.Snap.Ready && m.Snap.Fleet.Claims:
		return "no job holds a GPU"
	case m.Snap.Ready:
		return "allocations may not be read, so nobody knows who uses the GPUs"
	}
	return screen.EmptyText(m.Snap, "usage", m.Env.Now())
}

// wasteLines is the heading and the rows below the rule.
func (m *Model) wasteLines() []string {
	th := m.Env.Theme
	head := func(text string) string {
		segs := []ui.Seg{{Text: text}}
		if m.unsure > 0 {
			segs = append(segs, ui.Seg{Text: th.Muted.Render(ui.Int(m.unsure) + " more, not yet for long"), Drop: 1})
		}
		return "  " + ui.Segs(segs, 3, m.w-2)
	}
	if m.waste.All() > 0 && m.waste.Shown() == 0 {
		return []string{head(th.Muted.Render("no GPU that lies idle, or is used without being held, matches the filter"))}
	}
	if m.waste.Shown() == 0 {
		text := th.OK.Render(th.G.OK) + " no GPU lies idle, none is used without being held"
		if !m.Snap.Ready || !m.Snap.Fleet.Claims {
			text = th.Muted.Render("not known: held but idle, used but not held")
		}
		return []string{head(text)}
	}
	lines := m.waste.ViewLines(m.below)
	title := th.Title.Render("HELD BUT IDLE, USED BUT NOT HELD") + "   " + th.Muted.Render(ui.Int(m.waste.Shown()))
	lines[0] = ui.Fit(head(title), m.w)
	return lines
}

// summary is the answer in one line.
func (m *Model) summary(s *cluster.Snapshot) string {
	th, f := m.Env.Theme, &s.Fleet
	var total cluster.Usage
	for _, u := range s.NamespaceUsage() {
		total.Add(&u)
	}
	label := func(name, value string) string { return th.Muted.Render(name+" ") + value }
	held := ui.None
	if f.Claims {
		held = ui.Int(total.GPUs)
	}
	segs := []ui.Seg{{Text: th.Title.Render(held + " of " + ui.Count(f.GPUs, "GPU") + " held")}}
	if f.Idle > 0 {
		segs = append(segs, ui.Seg{Text: th.Warn.Render(fmt.Sprintf("%s %s idle", th.G.Warn, ui.Int(f.Idle)))})
	}
	if f.Rogue > 0 {
		segs = append(segs, ui.Seg{Text: th.Warn.Render(fmt.Sprintf("%s %s rogue", th.G.Warn, ui.Int(f.Rogue)))})
	}
	segs = append(segs,
		ui.Seg{Text: label("power of jobs", ui.Watts(total.PowerWatts)), Drop: 1},
		ui.Seg{Text: label("energy", energy(&total.Account)), Drop: 2},
		ui.Seg{Text: label("efficiency", ui.Ratio(total.Account.Efficiency(), 0)), Drop: 3},
		ui.Seg{Text: label("watched", ui.Age(total.Account.Since, m.Env.Now())), Drop: 4},
	)
	return ui.Segs(segs, 3, m.w-3)
}

// energy says with it how sure it is.
func energy(a *cluster.Account) string {
	text := ui.Energy(a.Joules())
	switch {
	case a.Joules() == nil:
	case a.DarkSeconds > 0:
		return "≥ " + text
	case a.PowerSeconds > 0:
		return "≈ " + text
	}
	return text
}

func columns(e *screen.Env) []ui.Column[cluster.Usage] {
	type U = cluster.Usage
	th := e.Theme
	held := func(u *U) *float64 {
		if u.Account.HeldSeconds == 0 {
			return nil
		}
		return &u.Account.HeldSeconds
	}
	return []ui.Column[U]{
		{Name: "job", Title: "NAMESPACE/JOB", Min: 16, Max: 48, Ahead: true, Cell: func(u *U) ui.Cell {
			if u.Job.Name == "" {
				return ui.In(th.Title, u.Job.Namespace)
			}
			return ui.Txt(u.Job.String())
		}, By: func(r *U) ui.Key { return screen.ByJob(r.Job) }},
		{Name: "gpus", Title: "GPUS", Min: 4, Align: ui.Right, Cell: func(u *U) ui.Cell { return ui.Txt(ui.Int(u.GPUs)) }, By: func(r *U) ui.Key { return ui.By(r.GPUs) }, Desc: true},
		{Name: "gpus_idle", Title: "IDLE", Min: 4, Align: ui.Right, Drop: 3, Cell: func(u *U) ui.Cell {
			switch {
			case u.Reporting == 0:
				return ui.In(th.Faint, ui.None)
			case u.Idle == 0:
				return ui.In(th.Faint, "0")
			}
			return ui.In(th.Warn, ui.Int(u.Idle))
		}, By: func(r *U) ui.Key { return ui.By(r.Idle) }, Desc: true},
		{Name: "util_percent", Title: "UTIL", Min: 5, Align: ui.Right, Cell: func(u *U) ui.Cell {
			if u.UtilPercent == nil {
				return ui.In(th.Faint, ui.None)
			}
			return ui.In(th.Heat[ui.HeatLevel(*u.UtilPercent, -1)], ui.Percent(u.UtilPercent))
		}, By: func(r *U) ui.Key { return ui.ByKnown(r.UtilPercent) }, Desc: true},
		{Name: "power_watts", Title: "POWER", Min: 8, Align: ui.Right, Cell: func(u *U) ui.Cell { return ui.Txt(ui.Watts(u.PowerWatts)) }, By: func(r *U) ui.Key { return ui.ByKnown(r.PowerWatts) }, Desc: true},
		{Name: "energy_joules", Title: "ENERGY", Min: 11, Align: ui.Right, Cell: func(u *U) ui.Cell { return ui.Txt(energy(&u.Account)) }, By: func(r *U) ui.Key { return ui.ByKnown(r.Account.Joules()) }, Desc: true},
		{Name: "held_gpu_seconds", Title: "GPU HOURS", Min: 9, Align: ui.Right, Drop: 2, Cell: func(u *U) ui.Cell { return ui.Txt(ui.GPUHours(held(u))) }, By: func(r *U) ui.Key { return ui.ByKnown(held(r)) }, Desc: true},
		{Name: "efficiency_ratio", Title: "EFFICIENCY", Min: 10, Align: ui.Right, Drop: 1, Cell: func(u *U) ui.Cell { return ui.Txt(ui.Ratio(u.Account.Efficiency(), 0)) }, By: func(r *U) ui.Key { return ui.ByKnown(r.Account.Efficiency()) }, Desc: true},
		{Name: "since", Title: "WATCHED", Min: 7, Align: ui.Right, Drop: 4, Cell: func(u *U) ui.Cell { return ui.In(th.Muted, ui.Age(u.Account.Since, e.Now())) }},
	}
}

func wasteColumns(e *screen.Env) []ui.Column[cluster.Waste] {
	type W = cluster.Waste
	th := e.Theme
	return []ui.Column[W]{
		{Name: "state", Min: 7, Cell: func(w *W) ui.Cell { return ui.In(th.Warn, th.G.Warn+" "+w.What) }},
		{Name: "node", Min: 10, Max: 28, Ahead: true, Cell: func(w *W) ui.Cell { return ui.In(th.Title, fmt.Sprintf("%s/%d", w.NodeName, w.Index)) }},
		{Name: "since", Min: 4, Align: ui.Right, Cell: func(w *W) ui.Cell { return ui.In(th.Muted, ui.Age(w.Since, e.Now())) }},
		{Name: "power_watts", Min: 6, Align: ui.Right, Drop: 2, Cell: func(w *W) ui.Cell { return ui.Txt(ui.Watts(w.Sample.PowerWatts)) }},
		{Name: "held_by", Min: 24, Max: 120, Cell: func(w *W) ui.Cell { return ui.Txt(who(w)) }},
		{Name: "users", Min: 8, Max: 24, Drop: 1, Cell: func(w *W) ui.Cell { return ui.In(th.Muted, strings.Join(w.Users(), ", ")) }},
	}
}

// who holds the GPU, or else what runs on it.
func who(w *cluster.Waste) string {
	if h := w.Holder; h != nil {
		return "held by " + h.Job.Namespace + "/" + h.Name
	}
	var names []string
	list, _ := w.Processes()
	for _, p := range list {
		names = append(names, fmt.Sprintf("%s (%d)", cmp.Or(p.Name, "process"), p.PID))
	}
	return "runs " + cmp.Or(strings.Join(names, ", "), "something")
}
