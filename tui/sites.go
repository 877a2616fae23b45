package tui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/cluster/facts"
	"stoker/jobs/action"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// Sites are the clusters that the program can be switched to while it runs.
type Sites interface {
	// List are the contexts that can be named.
	List() ([]Site, error)
	// Ask says whether the cluster of a context answers, within a few seconds.
	Ask(ctx context.Context, name string) error
	// Open begins a session of one context, or of several with commas between
	// their names. It does not wait for the clusters: an error is about the names.
	Open(ctx context.Context, names string) (Config, error)
}

// Site is one named context.
type Site struct {
	Name, Address        string
	Production, ReadOnly bool
}

// siteMsg is the reply to switchTo: the next session, or why there is none.
type siteMsg struct {
	cfg Config
	err error
}

// switchContext goes over to the contexts that are named, or asks which.
func (m *model) switchContext(args string) (tea.Cmd, error) {
	if m.cfg.Sites == nil {
		return nil, errors.New("this screen stays with its cluster")
	}
	names := strings.FieldsFunc(args, func(r rune) bool { return r == ',' || r == ' ' })
	if len(names) == 0 {
		return m.choose()
	}
	known, err := m.siteNames()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		whole, _, _ := strings.Cut(name, "/") // a region may stand behind it
		if !slices.Contains(known, name) && !slices.Contains(known, whole) {
			return nil, fmt.Errorf("there is no context %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	return m.openSites(names), nil
}

// siteNames are the contexts that can be named, and the word for all of them.
func (m *model) siteNames() ([]string, error) {
	sites, err := m.cfg.Sites.List()
	var names []string
	for _, s := range sites {
		names = append(names, s.Name)
	}
	return append(names, contexts.Every), err
}

// completeSites completes the last name.
func (m *model) completeSites(head string) facts.Completion {
	if m.cfg.Sites == nil {
		return facts.Completion{}
	}
	if m.line.sites == nil { // once while a line is open: it is drawn often
		m.line.sites, _ = m.siteNames() // what is wrong with the file, the command says
	}
	names := m.line.sites
	from, word := lastWord(head, ", ")
	return facts.Completion{From: from, Options: beginning(names, word)}
}

func (m *model) openSites(names []string) tea.Cmd {
	if m.busy() {
		return nil
	}
	m.passing("opening " + strings.Join(names, ", ") + screen.Ellipsis)
	sites, ctx := m.cfg.Sites, m.program
	return func() tea.Msg {
		cfg, err := sites.Open(ctx, strings.Join(names, ","))
		return siteMsg{cfg, err}
	}
}

// busy says, also to the user, that a change is under way: its session must not close.
func (m *model) busy() bool {
	if len(m.acts.doing) == 0 {
		return false
	}
	m.note(cluster.Warn, "a change is under way: wait for it, then switch")
	return true
}

// switched takes the next session into use. The old one closes beside it.
func (m *model) switched(msg siteMsg) tea.Cmd {
	m.log.clear()
	if msg.err != nil {
		m.note(cluster.Warn, "ctx: "+msg.err.Error())
		return nil
	}
	if m.busy() {
		return closing(msg.cfg)
	}
	old, at := m.cfg, m.active().name
	m.leaveSite()
	m.cfg, m.over, m.line = msg.cfg, nil, nil
	m.acts = actions{next: m.acts.next}
	snapshots, stop := m.cfg.Feed.Subscribe()
	m.enterSite(snapshots, stop)
	if i, ok := m.find(at); ok {
		m.stack = []visit{{screen: i}}
	}
	m.resize()
	return tea.Batch(m.show(), m.waitSnapshot(), closing(old))
}

func closing(cfg Config) tea.Cmd {
	if cfg.Close == nil {
		return nil
	}
	return func() tea.Msg { cfg.Close(); return nil }
}

// enterSite makes the screens of the session that cfg is of.
func (m *model) enterSite(snapshots <-chan *cluster.Snapshot, stop func()) {
	if m.cfg.Redact == nil {
		m.cfg.Redact = func(text string) string { return text }
	}
	base, cancel := context.WithCancel(m.program)
	m.leaveSite = func() {
		cancel()
		stop()
	}
	m.snapshots, m.snap = snapshots, m.cfg.Feed.Latest()
	env := *m.env
	env.Base, env.Logs, env.Past, env.Look, env.Allowed = base, m.cfg.Logs, m.cfg.Past, m.cfg.Look, allowed(m.cfg)
	m.env = &env
	m.screens = screens(m.env, m.cfg)
	m.seen, m.fits = make([]uint64, len(m.screens)), make([]bool, len(m.screens))
	m.stack = []visit{{}}
}

// allowed says why an action may not be done, before anyone asks for it.
func allowed(cfg Config) func(action.ID) error {
	return func(id action.ID) error {
		switch {
		case cfg.ReadOnly:
			return action.ErrReadOnly
		case cfg.Runner == nil:
			return &cluster.Fault{Kind: cluster.ErrDenied, Text: "there is no scheduler to " + string(id) + " with"}
		}
		return cfg.Runner.Allowed(id)
	}
}

// label is what the cluster of a place is called, with what follows it, where
// several are shown.
func (m *model) label(p cluster.Place, more string) string {
	if m.snap.Members == nil {
		return ""
	}
	return ui.Clean(m.snap.Label(p)) + more
}
