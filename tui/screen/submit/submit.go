package submit

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/jobs/pack"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// Model is the submit screen: the list of packs, or the form of one.
type Model struct {
	*ui.Table[pack.Pack, string]
	env     *screen.Env
	list    func() ([]pack.Pack, error)
	presets map[string]string
	context string // that a command must name; may be empty
	snap    *cluster.Snapshot
	filter  ui.Filter

	asked  int                          // number of the last reading of the packs
	loaded bool                         // one came
	err    error                        // of a folder that could not be read
	form   *form                        // nil shows the list
	typed  map[string]map[string]string // by pack, of the forms that were left
	w, h   int
}

// packsMsg brings the packs: the answer to the reading of that number.
type packsMsg struct {
	asked int
	packs []pack.Pack
	err   error
}

// New makes the screen. packs lists the packs and may read files; presets are
// the context's values for variables, for packs that have them; the command
// that is offered names the context, unless that is empty.
func New(e *screen.Env, packs func() ([]pack.Pack, error), presets map[string]string, context string) *Model {
	return &Model{
		Table: ui.NewTable(e.Theme, func(p *pack.Pack) string { return p.Name }, columns(e)),
		env:   e, list: packs, presets: presets, context: context, snap: &cluster.Snapshot{},
	}
}

func columns(e *screen.Env) []ui.Column[pack.Pack] {
	th := e.Theme
	return []ui.Column[pack.Pack]{
		{Title: "PACK", Min: 14, Max: 32, Cell: func(p *pack.Pack) ui.Cell { return ui.Txt(p.Name) }, By: func(r *pack.Pack) ui.Key { return ui.ByText(r.Name) }},
		{Title: "WHAT IT DOES", Min: 34, Max: 90, Cell: func(p *pack.Pack) ui.Cell {
			if p.Err != nil {
				return ui.In(th.Bad, th.G.Bad+" cannot be used: "+p.Err.Error())
			}
			return ui.Txt(p.Title)
		}},
		{Title: "VARIABLES", Min: 9, Align: ui.Right, Drop: 1, Cell: func(p *pack.Pack) ui.Cell { return ui.In(th.Muted, ui.Int(len(p.Variables))) }},
		{Title: "FROM", Min: 8, Max: 50, Drop: 2, Cell: func(p *pack.Pack) ui.Cell { return ui.In(th.Muted, from(p)) }},
	}
}

func from(p *pack.Pack) string {
	if p.Path == "" {
		return "built in"
	}
	return p.Path
}

// SetSize implements screen.Screen.
func (m *Model) SetSize(w, h int) {
	m.w, m.h = w, h
	m.Table.SetSize(w, m.tableLines())
	if m.form != nil {
		m.form.setSize(w, h)
	}
}

// tableLines leaves room for the summary, and below for the description.
func (m *Model) tableLines() int {
	rest := max(m.h-2, 1)
	return min(m.All()+1, max(rest-8, min(rest, 5)))
}

// SetSnapshot implements screen.Screen.
func (m *Model) SetSnapshot(s *cluster.Snapshot) {
	m.snap = s
	if m.form != nil {
		m.form.setSnapshot(s)
	}
}

// Update implements screen.Screen.
func (m *Model) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case packsMsg:
		m.got(msg)
	case screen.TickMsg:
		if m.asked == 0 { // shown without Open: the first screen of the program
			return m.read()
		}
	case tea.KeyPressMsg:
		if m.form != nil {
			return m.formKey(msg)
		}
	case tea.PasteMsg:
		if m.form != nil {
			m.form.paste(msg.Content)
		}
	case screen.KeyMsg:
		if m.form == nil && !screen.Move(m.Table, msg.ID) && msg.ID == keys.Open {
			return m.open()
		}
	}
	return nil
}

func (m *Model) got(msg packsMsg) {
	if msg.asked != m.asked {
		return
	}
	m.loaded, m.err = true, msg.err
	m.SetRows(msg.packs)
	m.SetSize(m.w, m.h)
}

// read lists the packs in a command: it reads files.
func (m *Model) read() tea.Cmd {
	m.asked++
	n, list := m.asked, m.list
	return func() tea.Msg {
		packs, err := list()
		return packsMsg{n, packs, err}
	}
}

func (m *Model) open() tea.Cmd {
	p := m.Selected()
	switch {
	case p == nil:
		return nil
	case p.Err != nil:
		return screen.Note(cluster.Warn, "pack "+p.Name+" cannot be used: "+p.Err.Error())
	}
	m.form = newForm(m.env, *p, m.presets, m.context, m.typed[p.Name], m.snap)
	m.form.setSize(m.w, m.h)
	return nil
}

func (m *Model) formKey(k tea.KeyPressMsg) tea.Cmd {
	if id, _ := m.env.Keys.Lookup(k.String(), keys.Form); id == keys.Cancel {
		m.Back()
		return nil
	}
	return m.form.key(k)
}

// Open implements screen.Opener. An open form stays: what was typed is not lost
// by a look at another screen.
func (m *Model) Open(screen.Target) tea.Cmd { return m.read() }

// Back implements screen.Backer. What was typed is there when the form is opened again.
func (m *Model) Back() bool {
	if m.form == nil {
		return false
	}
	if m.typed == nil {
		m.typed = map[string]map[string]string{}
	}
	m.typed[m.form.pack.Name] = m.form.values()
	m.form = nil
	return true
}

// Typing implements screen.Typer.
func (m *Model) Typing() bool { return m.form != nil }

// Actions implements screen.Screen.
func (m *Model) Actions() []keys.ID {
	switch {
	case m.form != nil:
		return []keys.ID{keys.Submit, keys.NextField, keys.Cancel, keys.Copy, keys.Preset}
	case m.Selected() != nil:
		return []keys.ID{keys.Open, keys.Sort}
	}
	return nil
}

// SetFilter implements screen.Filterer.
func (m *Model) SetFilter(text string) error {
	m.filter = ui.ParseFilter(text)
	m.Table.SetFilter(m.filter)
	return nil
}

// Filter implements screen.Filterer.
func (m *Model) Filter() (text string, ok bool) { return m.filter.String(), m.form == nil }

// Counts implements screen.Filterer.
func (m *Model) Counts() (shown, all int) { return m.Shown(), m.All() }

// View implements screen.Screen.
func (m *Model) View() string {
	if m.form != nil {
		return m.form.view()
	}
	if m.h < 3 {
		return ui.Block(nil, m.w, m.h)
	}
	th := m.env.Theme
	head := th.Title.Render(ui.Count(m.All(), "pack")) + th.Muted.Render("   take one, fill in its form, look at the plan")
	switch {
	case !m.loaded:
		head = th.Title.Render("packs") + th.Muted.Render("   reading them"+screen.Ellipsis)
	case m.err != nil:
		head = th.Title.Render(ui.Count(m.All(), "pack")) + "   " + th.Warn.Render(th.G.Warn+" "+ui.Clean(m.err.Error()))
	}
	lines := append([]string{"  " + head, ""}, m.ViewLines(true)...)
	if m.loaded && m.Shown() == 0 {
		text := "no pack matches the filter"
		if m.All() == 0 {
			text = "no packs"
		}
		lines = append(lines, "  "+th.Muted.Render(text))
	}
	if p := m.Selected(); p != nil {
		lines = append(lines, "")
		for _, l := range describe(p, min(m.w-4, 96)) {
			lines = append(lines, "  "+th.Muted.Render(l))
		}
	}
	return ui.Block(lines, m.w, m.h)
}

// describe is what a pack says of itself, in lines of at most w cells.
func describe(p *pack.Pack, w int) []string {
	text := p.Description
	if p.Err != nil {
		text = p.Err.Error()
	}
	var out []string
	for i, para := range strings.Split(text, "\n\n") {
		if i > 0 {
			out = append(out, "")
		}
		out = append(out, ui.Wrap(ui.Clean(para), max(w, 1))...)
	}
	return out
}
