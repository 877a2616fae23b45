package tui

import (
	"context"
	"errors"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/tui/keys"
	"stoker/tui/ui"
)

// contextBox is the list of contexts over the screen: each with whether it answers.
type contextBox struct {
	m     *model
	sites []Site
	state map[string]answer
	used  []string // names in use
	pick  map[string]bool
	at    int
}

// answer is what became of asking a cluster.
type answer struct {
	given bool
	err   error
}

// answerMsg is the reply to one question.
type answerMsg struct {
	of   *contextBox
	name string
	err  error
}

// choose opens the list of contexts, and asks each cluster.
func (m *model) choose() (tea.Cmd, error) {
	sites, err := m.cfg.Sites.List()
	switch {
	case err != nil:
		return nil, err
	case len(sites) == 0:
		return nil, errors.New("no context is defined: the config file names them, and stoker lab up makes one")
	}
	c := &contextBox{m: m, sites: sites, state: map[string]answer{}, pick: map[string]bool{}, used: strings.Split(m.cfg.Context, ",")}
	c.at = max(slices.IndexFunc(sites, func(s Site) bool { return c.inUse(s.Name) }), 0)
	m.over = c
	cmds := make([]tea.Cmd, len(sites))
	for i, s := range sites {
		ask, ctx := m.cfg.Sites.Ask, m.env.Base
		cmds[i] = func() tea.Msg { return answerMsg{c, s.Name, ask(ctx, s.Name)} }
	}
	return tea.Batch(cmds...), nil
}

func (c *contextBox) inUse(name string) bool {
	return c.m.cfg.Context == name || slices.Contains(c.used, name)
}

// heard keeps an answer; one to a list that was closed is nobody's.
func (m *model) heard(msg answerMsg) {
	msg.of.state[msg.name] = answer{given: true, err: msg.err}
}

func (c *contextBox) paste(string) {}

func (c *contextBox) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	id, _ := c.m.env.Keys.Lookup(k.String(), keys.Choose)
	switch id {
	case keys.Cancel:
		return nil, true
	case keys.Up:
		c.at = max(c.at-1, 0)
	case keys.Down:
		c.at = min(c.at+1, len(c.sites)-1)
	case keys.Toggle:
		c.pick[c.sites[c.at].Name] = !c.pick[c.sites[c.at].Name]
		c.at = min(c.at+1, len(c.sites)-1)
	case keys.Accept:
		return c.m.openSites(c.picked()), true
	}
	return nil, false
}

// picked are the contexts that were picked, else the one under the cursor.
func (c *contextBox) picked() []string {
	var names []string
	for _, s := range c.sites {
		if c.pick[s.Name] {
			names = append(names, s.Name)
		}
	}
	if names == nil {
		names = []string{c.sites[c.at].Name}
	}
	return names
}

func (c *contextBox) view(w, h int) []string {
	th := c.m.env.Theme
	w = min(w, boxWidth)
	name := 4
	for _, s := range c.sites {
		name = min(max(name, ui.Width(ui.Clean(s.Name))), 24)
	}
	room := max(h-4, 1)
	from := min(max(c.at-room/2, 0), max(len(c.sites)-room, 0))
	var lines []string
	for i := from; i < min(from+room, len(c.sites)); i++ {
		s := &c.sites[i]
		box := "[ ] "
		if c.pick[s.Name] {
			box = "[x] "
		}
		left := box + ui.Fit(ui.Clean(s.Name), name) + "  "
		if i == c.at {
			left = th.Selected.Render(left)
		}
		lines = append(lines, ui.Sides(left+c.says(s), " "+c.marks(s), w-4))
	}
	keys := []string{th.Key.Render(th.G.Enter) + th.Muted.Render(" switch"), th.Key.Render("space") + th.Muted.Render(" pick several"), th.Key.Render("esc") + th.Muted.Render(" leave it")}
	return ui.Box(th, "contexts", append(lines, "", strings.Join(keys, "   ")), w)
}

// says is whether a cluster answers, and where it is.
func (c *contextBox) says(s *Site) string {
	th := c.m.env.Theme
	address := th.Muted.Render(ui.Clean(s.Address))
	switch a := c.state[s.Name]; {
	case !a.given:
		return th.Accent.Render(th.G.Busy+" asking ") + " " + address
	case a.err == nil:
		return th.OK.Render(th.G.OK+" answers") + " " + address
	case errors.Is(a.err, context.Canceled):
		return address
	default:
		return th.Bad.Render(th.G.Bad + " " + ui.Clean(a.err.Error()))
	}
}

func (c *contextBox) marks(s *Site) string {
	th := c.m.env.Theme
	var out []string
	if s.Production {
		out = append(out, th.Bad.Render("PRODUCTION"))
	}
	if s.ReadOnly {
		out = append(out, th.Accent.Render("read-only"))
	}
	if c.inUse(s.Name) {
		out = append(out, th.Muted.Render("in use"))
	}
	return strings.Join(out, " ")
}
