package scenarios

import (
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/scenarios"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/parts"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// Source is where the run comes from; *Recorder is one. Its methods return
// copies and do not wait.
type Source interface {
	Run() Run
	Files() []File
}

// Model is the screen of scenarios.
type Model struct {
	env   *screen.Env
	src   Source
	run   Run
	files []File
	steps *ui.Table[Line, int]
	// follow keeps the cursor on the step that runs, until it is moved.
	follow bool
	filter ui.Filter
	w, h   int
}

// New makes the screen. Without a source (nil) nothing ever runs.
func New(e *screen.Env, src Source) *Model {
	return &Model{env: e, src: src, follow: true, steps: ui.NewTable(e.Theme, func(l *Line) int { return l.Step }, columns(e))}
}

// SetSize implements screen.Screen.
func (m *Model) SetSize(w, h int) {
	m.w, m.h = w, h
	m.refresh()
}

// SetSnapshot implements screen.Screen.
func (m *Model) SetSnapshot(*cluster.Snapshot) { m.refresh() }

// refresh asks for the run as it is now.
func (m *Model) refresh() {
	if m.src == nil {
		return
	}
	before := m.run.ID
	m.run, m.files = m.src.Run(), m.src.Files()
	if m.run.ID != before {
		m.follow = true
	}
	m.steps.SetRows(m.run.Lines)
	if m.follow {
		if at := current(&m.run); at != 0 {
			m.steps.Select(at)
		}
	}
	m.steps.SetSize(m.w, m.tableHeight())
}

// current is the step to look at: the first that did not pass, then the one
// that runs, then the last that ended. 0 is none.
func current(r *Run) int {
	at := 0
	for _, l := range r.Lines {
		switch l.State {
		case Running:
			return l.Step
		case State(scenarios.Failed), State(scenarios.Inconclusive), State(scenarios.Interrupted):
			if r.State != Running {
				return l.Step
			}
			at = l.Step
		case State(scenarios.Passed):
			at = l.Step
		}
	}
	return at
}

// tableHeight leaves at least a third to the log.
func (m *Model) tableHeight() int {
	rest := m.h - len(m.head()) - 1
	return max(min(m.steps.All()+1, rest*2/3), 2)
}

// Update implements screen.Screen.
func (m *Model) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case screen.TickMsg:
		m.refresh()
	case screen.KeyMsg:
		if screen.Move(m.steps, msg.ID) {
			m.follow = false
		}
	}
	return nil
}

// Actions implements screen.Screen.
func (m *Model) Actions() []keys.ID { return nil }

// Back implements screen.Backer: it lets the cursor follow the run again.
func (m *Model) Back() bool {
	if m.follow || m.run.State != Running {
		return false
	}
	m.follow = true
	m.refresh()
	return true
}

// SetFilter implements screen.Filterer.
func (m *Model) SetFilter(text string) error {
	m.filter = ui.ParseFilter(text)
	m.steps.SetFilter(m.filter)
	return nil
}

// Filter implements screen.Filterer.
func (m *Model) Filter() (text string, ok bool) { return m.filter.String(), true }

// Counts implements screen.Filterer.
func (m *Model) Counts() (shown, all int) { return m.steps.Shown(), m.steps.All() }

// View implements screen.Screen.
func (m *Model) View() string {
	if m.run.State == "" {
		return ui.Block(m.nothing(), m.w, m.h)
	}
	lines := append(m.head(), m.steps.ViewLines(true)...)
	lines = append(lines, "")
	return ui.Block(append(lines, m.log(m.h-len(lines))...), m.w, m.h)
}

// nothing says how to start a scenario.
func (m *Model) nothing() []string {
	th := m.env.Theme
	out := []string{"  " + th.Title.Render("no scenario runs here"), ""}
	for _, text := range []string{
		"stoker demo brings a lab up and plays the first one while you watch it on this screen.",
		"stoker run SCENARIO plays a file, or one of those below, in a terminal, and ends with a verdict and an exit code.",
	} {
		for _, l := range ui.Wrap(text, max(m.w-4, 1)) {
			out = append(out, "  "+th.Muted.Render(l))
		}
	}
	if len(m.files) == 0 {
		return out
	}
	widest := 0
	for _, f := range m.files {
		widest = max(widest, ui.Width(f.Name))
	}
	out = append(out, "", "  "+th.Muted.Render(ui.Fit("SCENARIO", widest)+"  WHAT IT DOES"))
	for _, f := range m.files {
		for i, l := range ui.Wrap(ui.Clean(f.Text), max(m.w-widest-6, 1)) {
			name := ""
			if i == 0 {
				name = ui.Clean(f.Name)
			}
			out = append(out, "  "+th.Title.Render(ui.Fit(name, widest))+"  "+l)
		}
	}
	return out
}

// head is the run: what, how it stands, and why it did not pass.
func (m *Model) head() []string {
	th, r := m.env.Theme, &m.run
	c := word(th, r.State)
	long := m.took(r.Started, r.Ended)
	more := ""
	switch at := current(r); {
	case r.State != Running:
	case at == Cleanup:
		more = "cleaning up"
	case at > 0:
		more = fmt.Sprintf("step %d of %d", at, r.Steps)
	}
	segs := []ui.Seg{
		{Text: th.Title.Render(ui.Clean(r.Name))},
		{Text: c.Style.Render(c.Text)},
		{Text: more},
		{Text: long, Drop: 1},
		{Text: th.Muted.Render("run " + ui.Clean(r.ID)), Drop: 3},
		{Text: th.Muted.Render("on " + ui.Clean(r.Cluster)), Drop: 2},
	}
	out := []string{"  " + ui.Segs(segs, 3, m.w-3)}
	if r.State != Running && r.State != State(scenarios.Passed) {
		lines := ui.Wrap(ui.Clean(r.Text), max(m.w-4, 1))
		for _, l := range lines[:min(len(lines), 3)] {
			out = append(out, "  "+c.Style.Render(l))
		}
	}
	if n := len(r.Left); n > 0 {
		out = append(out, "  "+th.Bad.Render(fmt.Sprintf("%s %s still there: see the cleanup", th.G.Bad, ui.Count(n, "thing"))))
	}
	return append(out, "")
}

// log is what the selected step did, the newest at the bottom.
func (m *Model) log(h int) []string {
	th, l := m.env.Theme, m.steps.Selected()
	if l == nil || h < 2 {
		return nil
	}
	title := fmt.Sprintf("STEP %d", l.Step)
	if l.Step == Cleanup {
		title = "CLEANUP"
	}
	out := []string{ui.Fit(parts.Title(th, title, ui.Clean(l.Name)), m.w)}
	room := max(m.w-14, 1)
	var body []string
	if l.Text != "" {
		c := word(th, l.State)
		for i, text := range ui.Wrap(ui.Clean(l.Text), room) {
			body = append(body, m.entry(i, time.Time{}, c, text))
		}
	}
	for _, e := range m.run.Log {
		if e.Step != l.Step {
			continue
		}
		c := ui.In(th.Muted, " ")
		if e.State != "" {
			c = word(th, e.State)
		}
		for i, text := range ui.Wrap(ui.Clean(e.Text), room) {
			body = append(body, m.entry(i, e.At, c, text))
		}
	}
	if len(body) == 0 {
		body = []string{"  " + th.Faint.Render("nothing said yet")}
	}
	if over := len(body) - (h - 1); over > 0 {
		body = body[over:]
	}
	return append(out, body...)
}

func (m *Model) entry(line int, at time.Time, c ui.Cell, text string) string {
	th := m.env.Theme
	clock, glyph := "        ", " "
	if line == 0 {
		if !at.IsZero() {
			clock = at.In(m.env.Now().Location()).Format("15:04:05")
		}
		if r := []rune(c.Text); len(r) > 0 {
			glyph = string(r[0])
		}
	}
	return "  " + th.Muted.Render(clock) + "  " + c.Style.Render(glyph) + " " + text
}

// took is how long something took, or takes so far.
func (m *Model) took(from, to time.Time) string {
	switch {
	case from.IsZero():
		return ""
	case to.IsZero():
		return ui.Long(m.env.Now().Sub(from))
	case to.Sub(from) < time.Second:
		return "< 1s"
	}
	return ui.Long(to.Sub(from))
}

// word is a state as glyph, word and style.
func word(th *theme.Theme, s State) ui.Cell {
	switch s {
	case Pending:
		return ui.In(th.Faint, th.G.Free+" pending")
	case Running:
		return ui.In(th.Accent, th.G.Busy+" running")
	case State(scenarios.Passed):
		return ui.In(th.OK, th.G.OK+" passed")
	case State(scenarios.Failed):
		return ui.In(th.Bad, th.G.Bad+" failed")
	case State(scenarios.Inconclusive), State(scenarios.Interrupted):
		return ui.In(th.Warn, th.G.Warn+" "+string(s))
	case State(scenarios.Skipped):
		return ui.In(th.Muted, th.G.Off+" skipped")
	}
	return ui.In(th.Unknown, th.G.Unknown+" "+string(s))
}

func columns(e *screen.Env) []ui.Column[Line] {
	th := e.Theme
	m := Model{env: e}
	type L = Line
	return []ui.Column[L]{
		{Title: "", Min: 2, Align: ui.Right, Cell: func(l *L) ui.Cell {
			if l.Step == Cleanup {
				return ui.Cell{}
			}
			return ui.In(th.Muted, fmt.Sprint(l.Step))
		}},
		{Title: "STATE", Min: 14, Cell: func(l *L) ui.Cell { return word(th, l.State) }},
		{Title: "STEP", Min: 24, Max: 60, Cell: func(l *L) ui.Cell {
			if l.Name == "" {
				return ui.In(th.Faint, "to come")
			}
			if l.State == Pending || l.State == State(scenarios.Skipped) {
				return ui.In(th.Muted, l.Name)
			}
			return ui.Txt(l.Name)
		}},
		{Title: "KIND", Min: 8, Drop: 2, Cell: func(l *L) ui.Cell { return ui.In(th.Muted, l.Kind) }},
		{Title: "TOOK", Min: 7, Align: ui.Right, Cell: func(l *L) ui.Cell { return ui.In(th.Muted, m.took(l.Started, l.Ended)) }},
		{Title: "HOW IT STANDS", Min: 20, Max: 120, Drop: 1, Cell: func(l *L) ui.Cell {
			st := word(th, l.State).Style
			if l.State == Running || l.State == State(scenarios.Passed) {
				st = th.Muted
			}
			return ui.In(st, l.Text)
		}},
	}
}
