package jobs

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/jobs/action"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// Model is the jobs screen. Of its views the log and the account of why a job
// waits lie over the details, and these over the table.
type Model struct {
	screen.List[row, cluster.JobID]
	detail *detail
	reason *why
	logs   *logView
	jumped bool   // a jump opened what is on top
	stream uint64 // number of the last log view
	head   string // the summary: it counts all rows, so it is made once for each snapshot
	w, h   int
}

// New makes the screen.
func New(e *screen.Env) *Model {
	m := &Model{}
	m.List = screen.NewList(e, "jobs", func(*cluster.Snapshot) string { return m.head },
		func(r *row) cluster.JobID { return r.ID }, columns(e)).
		Facts("jobs", func(s *cluster.Snapshot, r *row) facts.Row { return facts.JobRow(s, r.Job) }).
		Same(func(old, now *row) bool { // what did not change is shared between snapshots
			return old.Job == now.Job && old.deployment == now.deployment && old.util == now.util && old.failedGPUs == now.failedGPUs
		}).
		About(func(_ *cluster.Snapshot, r *row) screen.Subject { return screen.JobSubject(r.Job) }).
		Belonging(within).
		Under(func() bool { return m.detail != nil || m.reason != nil || m.logs != nil })
	return m
}

// within are the jobs of a pool or of a namespace, or those that run on a node.
func within(s *cluster.Snapshot, t screen.Target) func(*row) bool {
	if t.Node == "" {
		return func(r *row) bool {
			about := screen.JobSubject(r.Job)
			return about.Is(&t)
		}
	}
	on := map[cluster.JobID]bool{}
	for _, a := range s.NodeAllocs(t.Node) {
		on[a.Job] = true
	}
	return func(r *row) bool { return on[r.ID] }
}

// Scope says that a log has keys of its own.
func (m *Model) Scope() keys.Scope {
	if m.logs != nil {
		return keys.ScopeLog
	}
	return ""
}

// SetSize implements screen.Screen.
func (m *Model) SetSize(w, h int) {
	m.w, m.h = w, h
	m.List.SetSize(w, h)
	m.head = summary(m.Env.Theme, m.Snap, rows(m.Snap), w)
	if m.detail != nil {
		m.detail.setSize(w, h)
	}
	if m.reason != nil {
		m.reason.setSize(w, h)
	}
	if m.logs != nil {
		m.logs.setSize(w, h)
	}
}

// SetSnapshot implements screen.Screen.
func (m *Model) SetSnapshot(s *cluster.Snapshot) {
	all := rows(s)
	m.Fill(s, all)
	m.head = summary(m.Env.Theme, s, all, m.w)
	if m.detail != nil {
		m.detail.setSnapshot(s)
	}
	if m.reason != nil {
		m.reason.setSnapshot(s)
	}
	if m.logs != nil {
		m.logs.snap = s
	}
}

// Update implements screen.Screen.
func (m *Model) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case logLinesMsg, logEndedMsg:
		if m.logs == nil {
			return nil // of a view that was closed
		}
		return m.logs.reply(msg)
	case screen.TickMsg:
		if m.logs != nil {
			return m.logs.tick()
		}
	}
	switch {
	case m.logs != nil:
		return m.updateLogs(msg)
	case m.reason != nil:
		k, cmd := m.reason.keys(msg)
		if k != "" {
			return m.act(k, m.reason.id)
		}
		return cmd
	case m.detail != nil:
		if k, ok := m.detail.keys(msg); ok {
			return m.act(k, m.detail.id)
		}
		return nil
	}
	k, ok := m.Keys(msg)
	at := m.Selected()
	marked, _ := m.Marked()
	switch {
	case !ok || at == nil:
		return nil
	case k == keys.Restart, k == keys.Stop:
		return m.AskAll(func(r *row) action.Request { return action.Request{ID: action.ID(k), Job: r.ID} })
	case k == keys.Scale && len(marked) > 1:
		return screen.Note(cluster.Info, "scale takes one job at a time; esc takes the marks away")
	}
	return m.act(k, at.ID)
}

func (m *Model) updateLogs(msg tea.Msg) tea.Cmd {
	k, ok := msg.(screen.KeyMsg)
	if !ok {
		return nil
	}
	if cmd, taken := m.logs.key(k.ID); taken {
		return cmd
	}
	switch k.ID {
	case keys.Scale, keys.Restart, keys.Stop:
		return m.act(k.ID, m.logs.job)
	}
	return nil
}

// act does a key for a job, the same from all views.
func (m *Model) act(k keys.ID, id cluster.JobID) tea.Cmd {
	switch k {
	case keys.Open:
		return m.open(id)
	case keys.Logs:
		return m.follow(id, "")
	case keys.Scale:
		return m.scale(id)
	case keys.Restart, keys.Stop:
		return screen.Ask(action.Request{ID: action.ID(k), Job: id})
	case keys.Why:
		return m.why(id)
	}
	return nil
}

// open is enter: details, and in them the log of the allocation under the cursor.
func (m *Model) open(id cluster.JobID) tea.Cmd {
	if m.detail == nil {
		m.show(id)
		return nil
	}
	if a := m.detail.selected(); a != nil {
		return m.follow(id, a.ID)
	}
	return nil
}

// why opens the account of why a job waits; for one that does not, a line says
// what it does.
func (m *Model) why(id cluster.JobID) tea.Cmd {
	y := newWhy(m.Env, id)
	y.setSize(m.w, m.h)
	y.setSnapshot(m.Snap)
	switch {
	case y.e == nil:
		return screen.Note(cluster.Warn, "job "+id.String()+" is not there any more")
	case !y.e.Waits:
		return screen.Note(cluster.Info, "job "+id.String()+": "+y.e.Summary)
	}
	m.reason = y
	return nil
}

// scale asks for the group, where there are several, and for the count. The
// root plans and confirms it.
func (m *Model) scale(id cluster.JobID) tea.Cmd {
	if m.Env.Allowed != nil {
		if err := m.Env.Allowed(action.Scale); err != nil {
			return screen.Note(cluster.Warn, "scale: "+err.Error())
		}
	}
	j := m.Snap.Job(id)
	switch {
	case j == nil:
		return screen.Note(cluster.Warn, "job "+id.String()+" is not there any more")
	case j.Type == "system" || j.Type == "sysbatch":
		return screen.Note(cluster.Info, "job "+id.String()+" runs once on each node: there is no count to change")
	case len(j.Groups) == 0:
		return screen.Note(cluster.Warn, "the groups of job "+id.String()+" have not been read yet")
	case len(j.Groups) == 1:
		return askCount(id, j.Groups[0])
	}
	groups := slices.Clone(j.Groups)
	names := make([]string, len(groups))
	for i := range groups {
		names[i] = groups[i].Name
	}
	find := func(name string) int { return slices.Index(names, strings.TrimSpace(name)) }
	initial := names[0]
	if m.detail != nil {
		if a := m.detail.selected(); a != nil && find(a.Group) >= 0 {
			initial = a.Group
		}
	}
	return screen.Prompt(screen.PromptMsg{
		Title: "scale " + ui.Clean(id.String()) + ": which group?", Initial: initial,
		Check: func(text string) error {
			if find(text) < 0 {
				return fmt.Errorf("the groups are %s", strings.Join(names, ", "))
			}
			return nil
		},
		Then: func(text string) tea.Cmd { return askCount(id, groups[find(text)]) },
	})
}

func askCount(id cluster.JobID, g cluster.Group) tea.Cmd {
	return screen.Prompt(screen.PromptMsg{
		Title: "scale " + ui.Clean(id.String()+"."+g.Name) + ": how many allocations?", Initial: strconv.Itoa(g.Count),
		Check: func(text string) error {
			_, err := parseCount(text)
			return err
		},
		Then: func(text string) tea.Cmd {
			n, err := parseCount(text)
			if err != nil {
				return screen.Note(cluster.Warn, err.Error())
			}
			return screen.Ask(action.Request{ID: action.Scale, Job: id, Group: g.Name, Count: n})
		},
	})
}

func parseCount(text string) (int, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 31)
	if err != nil {
		return 0, errors.New("give a whole number from 0 on")
	}
	return int(n), nil
}

func (m *Model) show(id cluster.JobID) {
	m.detail = newDetail(m.Env, id)
	m.detail.setSize(m.w, m.h)
	m.detail.setSnapshot(m.Snap)
}

// follow opens the log of all allocations, or of one.
func (m *Model) follow(id cluster.JobID, only cluster.AllocID) tea.Cmd {
	if m.Env.Logs == nil {
		return screen.Note(cluster.Warn, "there is no source of logs")
	}
	m.closeLogs()
	m.stream++
	m.logs = newLogView(m.Env, m.stream, id, only)
	m.logs.snap = m.Snap
	m.logs.setSize(m.w, m.h)
	return m.logs.begin()
}

func (m *Model) closeLogs() {
	if m.logs != nil {
		m.logs.close()
		m.logs = nil
	}
}

// Open implements screen.Opener.
func (m *Model) Open(t screen.Target) tea.Cmd {
	m.closeLogs()
	m.detail, m.reason, m.jumped = nil, nil, false
	m.NarrowTo(t)
	if t.Within {
		return nil
	}
	if a := m.Snap.Alloc(t.Alloc); a != nil && t.Job == (cluster.JobID{}) {
		t.Job = a.Job
	}
	if t.Job == (cluster.JobID{}) {
		return nil
	}
	m.Select(t.Job)
	switch {
	case t.Logs:
		cmd := m.follow(t.Job, t.Alloc)
		m.jumped = m.logs != nil
		return cmd
	case t.Why:
		cmd := m.why(t.Job)
		if m.reason == nil { // by now it does not wait
			m.show(t.Job)
		}
		m.jumped = true
		return cmd
	case t.Details:
		m.show(t.Job)
		m.detail.allocs.Select(t.Alloc)
		m.detail.fillTasks()
		m.jumped = true
	}
	return nil
}

// Focus implements screen.Focused.
func (m *Model) Focus() (screen.Subject, bool) {
	switch {
	case m.detail == nil && m.reason == nil:
		return m.List.Focus()
	case m.reason != nil:
		return screen.JobOf(m.Snap, m.reason.id)
	}
	return screen.JobOf(m.Snap, m.detail.id)
}

// Inner implements screen.Layered: the table of the details in which the cursor is.
func (m *Model) Inner() (*facts.View, []facts.Row) {
	if m.detail == nil || m.reason != nil || m.logs != nil {
		return nil, nil
	}
	return m.detail.inner()
}

// Keep implements screen.Keeper. A log does not stay.
func (m *Model) Keep() (restore func()) {
	back, d, why, jumped := m.List.Keep(), m.detail, m.reason, m.jumped
	return func() {
		m.closeLogs()
		back()
		m.detail, m.reason, m.jumped = d, why, jumped
		m.SetSize(m.w, m.h)
		m.SetSnapshot(m.Snap)
	}
}

// Back implements screen.Backer.
func (m *Model) Back() bool {
	switch {
	case m.logs != nil && (m.detail != nil || m.reason != nil):
		m.closeLogs()
		return true
	case m.reason != nil && m.detail != nil:
		m.reason = nil
		return true
	case m.logs == nil && m.detail == nil && m.reason == nil:
		return false
	}
	m.closeLogs()
	closed := !m.jumped
	m.detail, m.reason, m.jumped = nil, nil, false
	return closed
}

// Wheel implements screen.Pointed.
func (m *Model) Wheel(n int) {
	switch {
	case m.logs != nil:
		m.logs.scroll(n)
	case m.reason != nil:
		m.reason.table.Scroll(n)
	case m.detail != nil:
		m.detail.panes()[m.detail.focus].Scroll(n)
		m.detail.fillTasks()
	default:
		m.List.Wheel(n)
	}
}

// Actions implements screen.Screen.
func (m *Model) Actions() []keys.ID {
	if m.logs != nil {
		return m.logs.actions()
	}
	id := cluster.JobID{}
	switch row := m.Selected(); {
	case m.reason != nil:
		id = m.reason.id
	case m.detail != nil:
		id = m.detail.id
	case row != nil:
		id = row.ID
	}
	j := m.Snap.Job(id)
	if j == nil {
		return []keys.ID{keys.GoSubmit}
	}
	out := []keys.ID{keys.Open, keys.Logs}
	if j.Waiting != nil && m.reason == nil {
		out = append(out, keys.Why)
	}
	if !j.Stopped {
		out = append(out, keys.Scale, keys.Restart, keys.Stop)
	}
	switch {
	case m.reason != nil && len(m.reason.groups()) > 1:
		return append(out, keys.Pane)
	case m.reason != nil:
		return out
	case m.detail != nil:
		return append(out, keys.Pane, keys.GoGPUs)
	}
	return append(out, keys.GoSubmit, keys.Sort)
}

// SetFilter implements screen.Filterer: of the log where one is open. A log takes
// words only, since its lines are no rows of facts.
func (m *Model) SetFilter(text string) error {
	if m.logs == nil {
		return m.List.SetFilter(text)
	}
	m.logs.setFilter(ui.ParseFilter(text))
	return nil
}

// Filter implements screen.Filterer: there is nothing to filter in the details.
func (m *Model) Filter() (text string, ok bool) {
	if m.logs != nil {
		return m.logs.filter.String(), true
	}
	return m.List.Filter()
}

// Lists implements screen.Factual: a log has words only.
func (m *Model) Lists() *facts.View {
	if m.logs != nil {
		return nil
	}
	return m.List.Lists()
}

// Counts implements screen.Filterer.
func (m *Model) Counts() (shown, all int) {
	if m.logs != nil {
		return m.logs.counts()
	}
	return m.List.Counts()
}

// View implements screen.Screen.
func (m *Model) View() string {
	switch {
	case m.logs != nil:
		return m.logs.view()
	case m.reason != nil:
		return m.reason.view()
	case m.detail != nil:
		return m.detail.view()
	}
	return m.List.View()
}
