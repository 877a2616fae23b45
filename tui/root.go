package tui

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/settings"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// The smallest terminal that is drawn on.
const (
	minWidth  = 60
	minHeight = 16
)

// model is the root.
type model struct {
	cfg       Config
	env       *screen.Env
	theme     theme.Theme
	plain     func(string) string // set when the terminal has only ASCII
	program   context.Context     // ends when the program does; env.Base with the session
	snapshots <-chan *cluster.Snapshot
	leaveSite func() // ends what the session's screens have under way
	snap      *cluster.Snapshot
	w, h      int
	banner    string // above the body while Nomad does not answer

	screens []entry
	seen    []uint64 // the snapshot's number that each screen has
	fits    []bool   // whether each has the size that there is now
	stack   []visit  // the way to the active screen, which is the last

	over overlay    // nil when nothing lies over the screen
	line *inputLine // nil when nothing is typed in the footer
	past typedPast

	user    settings.Settings // what the user wrote
	ticks   int
	looking bool // the user's files are being read
	mouse   bool
	light   bool // the terminal said that its background is
	pointer pointer

	acts actions
	log  notes

	agents agentCount

	link   *link  // the way to the terminal; nil draws always
	frame  string // what was drawn last
	urgent bool   // somebody waits for the next one: it answers a key
	// touched is Config.Touched: it stays when the cluster is switched.
	touched func()
}

func newModel(ctx context.Context, cfg Config, snapshots <-chan *cluster.Snapshot, stop func()) (*model, error) {
	m := &model{cfg: cfg, touched: cfg.Touched, mouse: cfg.Mouse, program: ctx, past: newPast(cfg.Typed)}
	if cfg.ASCII || theme.WantsASCII(cfg.Env) {
		m.plain = theme.Plain()
	}
	var err error
	if m.theme, err = theme.New(theme.Choose("", cfg.Env), m.plain != nil); err != nil {
		return nil, err
	}
	m.env = &screen.Env{Theme: &m.theme, Keys: keys.NewMap(keys.Table()), Now: cfg.Now}
	m.enterSite(snapshots, stop)
	start, ok := m.find(cfg.Start)
	if !ok && cfg.Start != "" {
		return nil, fmt.Errorf("no screen %q", cfg.Start)
	}
	m.stack = []visit{{screen: start}}
	m.firstLook()
	if cfg.Theme != "" {
		err = m.restyle(theme.Choose(cfg.Theme, cfg.Env))
	}
	return m, err
}

// Init implements tea.Model.
func (m *model) Init() tea.Cmd {
	cmds := []tea.Cmd{m.waitSnapshot(), tick()}
	if m.theme.Name == theme.Auto {
		cmds = append(cmds, tea.RequestBackgroundColor)
	}
	return tea.Batch(cmds...)
}

// waitSnapshot reads one snapshot; Update asks again when it was drawn.
func (m *model) waitSnapshot() tea.Cmd {
	ch, done := m.snapshots, m.env.Base.Done()
	return func() tea.Msg {
		select {
		case s, ok := <-ch:
			return snapshotMsg{s, ok, ch}
		case <-done:
			return snapshotMsg{}
		}
	}
}

func tick() tea.Cmd {
	return tea.Every(time.Second, func(t time.Time) tea.Msg { return tickMsg{t} })
}

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg.(type) {
	case tea.KeyPressMsg, tea.PasteMsg, tea.MouseClickMsg, tea.MouseWheelMsg:
		m.urgent = true
		if m.touched != nil {
			m.touched()
		}
	}
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h = msg.Width, msg.Height
		m.resize()
		m.frame = "" // it does not fit any more
		return m, m.show()
	case linkMsg:
		if msg.lost {
			return m, tea.ClearScreen
		}
		return m, nil
	case tea.BackgroundColorMsg:
		if m.light = !msg.IsDark(); m.theme.Name == theme.Auto {
			_ = m.restyle(theme.Auto) // it is built in
		}
		return m, nil
	case snapshotMsg:
		return m, m.snapshot(msg)
	case tickMsg:
		return m, tea.Batch(tick(), m.lookAgain(), m.active().Update(screen.TickMsg{Now: m.env.Now()}))
	case tea.KeyPressMsg:
		return m, m.key(msg)
	case tea.PasteMsg:
		return m, m.paste(msg)
	case tea.MouseClickMsg:
		return m, m.click(msg)
	case tea.MouseWheelMsg:
		return m, m.wheel(msg)
	}
	return m, m.message(msg)
}

// message takes what screens ask for, and what commands reply.
func (m *model) message(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case screen.OpenMsg:
		return m.open(msg.Screen, msg.Target)
	case screen.PressMsg:
		return m.dispatch(msg.ID)
	case settingsMsg:
		m.looked(msg)
	case screen.NoteMsg:
		m.note(msg.Level, msg.Text)
	case screen.AskMsg:
		return m.ask(msg.Request)
	case screen.AskAllMsg:
		return m.askAll(msg.Requests)
	case screen.QuestionMsg:
		return m.question(msg)
	case screen.PromptMsg:
		m.over = newPrompt(m.env, msg)
	case planReadyMsg:
		return m.planReady(msg)
	case rawMsg:
		m.rawReady(msg)
	case plansReadyMsg:
		return m.plansReady(msg)
	case stepMsg:
		return m.stepped(msg)
	case doneMsg:
		return m.done(msg)
	case siteMsg:
		return m.switched(msg)
	case answerMsg:
		m.heard(msg)
	default: // a screen's own reply: it knows its own types
		cmds := make([]tea.Cmd, 0, len(m.screens))
		for _, s := range m.screens {
			cmds = append(cmds, s.Update(msg))
		}
		return tea.Batch(cmds...)
	}
	return nil
}

func (m *model) snapshot(msg snapshotMsg) tea.Cmd {
	if !msg.ok || msg.from != m.snapshots {
		return nil // the Feed ended: the last snapshot stays; or it is of a session before
	}
	m.snap = msg.snap
	if had := m.banner != ""; had != (m.trouble() != nil) {
		m.resize()
	}
	return tea.Batch(m.show(), m.waitSnapshot())
}

// trouble is Nomad's status when it answered once and does not now; of several
// it is the first that does not answer, whether it did or not.
func (m *model) trouble() *cluster.SourceStatus {
	for _, one := range m.snap.Each() {
		if h := screen.Source(one, "nomad"); m.snap.Ready && h.Lost() {
			return &h.Worst
		}
	}
	return nil
}

// troubleText is the banner.
func (m *model) troubleText(src *cluster.SourceStatus) string {
	return m.label(src.Place, ": ") + screen.Trouble(src, m.env.Now())
}

// body is the part of the screen between header and footer.
func (m *model) body() ui.Rect {
	top := headerLines
	if m.banner != "" {
		top++
	}
	return ui.Rect{Y: top, W: m.w, H: max(m.h-top-m.footerLines(), 0)}
}

func (m *model) resize() {
	m.banner = ""
	if src := m.trouble(); src != nil {
		m.banner = m.troubleText(src)
	}
	if m.tooSmall() {
		return
	}
	clear(m.fits)
	m.fit()
}

// fit sizes the active screen, if it is not yet: who drags the window's edge
// waits for that one alone.
func (m *model) fit() {
	if i := m.top(); !m.fits[i] {
		r := m.body()
		m.screens[i].SetSize(r.W, r.H)
		m.fits[i] = true
	}
}

func (m *model) tooSmall() bool { return m.w < minWidth || m.h < minHeight }

// restyle changes the theme; screens draw anew when they are sized.
func (m *model) restyle(name string) error {
	if name == theme.Auto && m.light {
		name = theme.Light
	}
	t, err := makeTheme(m.user, name, m.plain != nil)
	if err != nil {
		return err
	}
	m.theme = t
	m.resize()
	return nil
}

// View implements tea.Model. While the terminal has not taken the last frame
// it stays: Bubble Tea then writes nothing.
func (m *model) View() tea.View {
	if m.frame == "" || m.link == nil || !m.link.behind(m.urgent) {
		m.frame, m.urgent = m.draw(), false
	}
	v := tea.NewView(m.frame)
	v.AltScreen = true
	if m.mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	v.WindowTitle = "stoker " + ui.Clean(m.cfg.Context)
	return v
}

func (m *model) draw() string {
	if m.w == 0 || m.h == 0 {
		return ""
	}
	if m.tooSmall() {
		text := fmt.Sprintf("stoker needs at least %d columns and %d lines; this terminal has %d and %d.", minWidth, minHeight, m.w, m.h)
		return ui.Block(ui.Wrap(text, m.w), m.w, m.h)
	}
	r := m.body()
	lines := make([]string, 0, m.h)
	lines = append(lines, m.header()...)
	if src := m.trouble(); src != nil && m.banner != "" {
		lines = append(lines, m.theme.Warn.Render(ui.Fit(" "+m.theme.G.Warn+" "+m.troubleText(src), m.w)))
	}
	lines = append(lines, strings.Split(m.active().View(), "\n")...)
	lines = append(lines, m.footer()...)
	if m.over != nil {
		box := m.over.view(m.w-4, r.H)
		lines = ui.Over(lines, box, (m.w-ui.Width(box[0]))/2, r.Y+max((r.H-len(box))/3, 0))
	}
	out := strings.Join(lines, "\n")
	if m.plain != nil {
		out = m.plain(out)
	}
	return out
}
