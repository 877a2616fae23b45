package tui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"stoker/cluster"
	"stoker/jobs/action"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// asking is what a confirmation shows. Its lines are clean and styled.
type asking struct {
	title   string
	lines   []string
	more    []string // that a key shows: all of a long difference
	name    string   // to be typed; empty when yes is enough
	nothing bool     // there is nothing to confirm
	ways    []string // the buttons after No
}

// planText turns a plan into what the confirmation shows.
func planText(e *screen.Env, p *action.Plan) asking {
	th := e.Theme
	a := asking{title: titleOf(p), name: p.Ask, nothing: p.Nothing != ""}
	a.ways = []string{verb(ui.Clean(p.Title))}
	if a.nothing {
		a.lines = []string{"Nothing to do: " + ui.Clean(p.Nothing) + "."}
		return a
	}
	a.lines = append(a.lines, touches(th, p.Touches)...)
	if p.Job != nil && p.Job.GPUs > 0 {
		a.lines = append(a.lines, "It asks for "+ui.Count(p.Job.GPUs, "GPU")+".")
	}
	for _, w := range p.Warnings {
		a.lines = append(a.lines, th.Warn.Render(th.G.Warn+" "+ui.Clean(w)))
	}
	if p.Job != nil && len(p.Job.Diff) > 0 {
		a.difference(th, p.Job)
	}
	return a
}

// titleOf is what a plan is about and, of several clusters, in which.
func titleOf(p *action.Plan) string {
	if p.Cluster == "" {
		return ui.Clean(p.Title)
	}
	return ui.Clean(p.Title + " in " + p.Cluster)
}

// difference shows the scheduler's dry run. All of a new job is new: its outline
// comes first, and the rest, without what is off or empty, when asked for.
func (a *asking) difference(th *theme.Theme, p *cluster.JobPlan) {
	if !p.New {
		a.lines = append(append(a.lines, "", th.Muted.Render("What changes in the job:")), diff(th, p.Diff)...)
		return
	}
	var outline, set []cluster.DiffLine
	for _, d := range p.Diff {
		if d.Outline() {
			outline = append(outline, d)
		}
		if !unset(d.Text) {
			set = append(set, d)
		}
	}
	a.lines = append(append(a.lines, "", th.Muted.Render("The job is new:")), diff(th, outline)...)
	a.more = diff(th, set)
}

// unset says that a line of a difference gives a field the value that it would
// have anyway, as far as one can tell. What has an index or a name was given by
// somebody, and no allocation is a choice, too.
func unset(text string) bool {
	field, value, ok := strings.Cut(text, ": ")
	if !ok || field == "Count" || strings.Contains(field, "[") {
		return false
	}
	return value == `""` || value == `"0"` || value == `"false"`
}

func touches(th *theme.Theme, list []action.Touch) []string {
	if len(list) == 0 {
		return []string{th.Muted.Render("It touches nothing that runs.")}
	}
	kind, name := 0, 0
	for _, t := range list {
		kind, name = max(kind, ui.Width(t.Kind)), max(name, min(ui.Width(ui.Clean(t.Name)), 40))
	}
	out := []string{th.Muted.Render("It touches " + ui.Count(len(list), "thing") + ":")}
	for _, t := range list {
		out = append(out, "  "+th.Muted.Render(ui.Fit(t.Kind, kind))+"  "+ui.Fit(ui.Clean(t.Name), name)+"  "+ui.Clean(t.Effect))
	}
	return out
}

// diff draws lines of a difference.
func diff(th *theme.Theme, lines []cluster.DiffLine) []string {
	out := make([]string, 0, len(lines))
	for _, d := range lines {
		st := th.Text
		switch d.Mark {
		case '+':
			st = th.OK
		case '-':
			st = th.Bad
		case '~':
			st = th.Warn
		}
		out = append(out, st.Render(ui.Clean(fmt.Sprintf("  %c %s%s", d.Mark, ui.Spaces(d.Indent*2), d.Text))))
	}
	return out
}

func questionText(e *screen.Env, q screen.QuestionMsg) asking {
	a := asking{title: ui.Clean(q.Title), name: q.Ask}
	for _, c := range q.Choices {
		a.ways = append(a.ways, ui.Clean(c.Text))
	}
	if len(a.ways) == 0 {
		a.ways = []string{verb(a.title)}
	}
	for _, l := range q.Lines {
		a.lines = append(a.lines, ui.Clean(l))
	}
	for _, w := range q.Warnings {
		a.lines = append(a.lines, e.Theme.Warn.Render(e.Theme.G.Warn+" "+ui.Clean(w)))
	}
	return a
}

// verb is what yes does: the first word of a title, unless that says nothing
// without the last.
func verb(title string) string {
	v, rest, _ := strings.Cut(title, " ")
	if v == "make" {
		return "make it " + rest[strings.LastIndexByte(rest, ' ')+1:]
	}
	return v
}

// quiet swallows keys that were meant for the screen below: a confirmation
// that took a while to come has opened by itself, and a stray Enter must not
// approve it.
type quiet struct {
	opened, last time.Time
	on           bool
}

// The confirmation waits for so long without a key, but not longer than the most.
const (
	byItself  = 400 * time.Millisecond // from the key to the box: slower than this
	quietFor  = 425 * time.Millisecond
	quietMost = 1500 * time.Millisecond
)

func (q *quiet) begin(now, asked time.Time) {
	*q = quiet{opened: now, last: now, on: now.Sub(asked) > byItself}
}

// swallow reports whether a key at this time is not for the box.
func (q *quiet) swallow(now time.Time) bool {
	if !q.on {
		return false
	}
	if now.Sub(q.last) >= quietFor || now.Sub(q.opened) >= quietMost {
		q.on = false
		return false
	}
	q.last = now
	return true
}

// confirm asks before a change. The answer is No until the user says Yes.
type confirm struct {
	env *screen.Env
	asking
	at    int  // the button that is chosen: 0 is No, the ways follow
	full  bool // more is shown, too
	line  ui.Line
	wrong bool // the typed name is not the one
	top   int
	room  int
	quiet quiet
	run   func(way int) tea.Cmd
}

func newConfirm(e *screen.Env, a asking) *confirm {
	if a.name != "" { // as it is shown, and can be typed
		a.name = cmp.Or(ui.Clean(a.name), "yes")
	}
	return &confirm{env: e, asking: a, room: 1}
}

func (c *confirm) paste(text string) {
	if c.name != "" {
		c.line.Insert(text)
	}
}

func (c *confirm) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	if c.quiet.swallow(c.env.Now()) {
		return nil, false
	}
	id, _ := c.env.Keys.Lookup(k.String(), keys.Confirm)
	if id != keys.ShowAll && c.name != "" && !c.nothing && c.line.Key(k) {
		c.wrong = false
		return nil, false
	}
	switch id {
	case keys.ShowAll:
		c.full = !c.full
	case keys.Cancel, keys.No:
		return nil, true
	case keys.ScrollUp:
		c.top--
	case keys.ScrollDn:
		c.top++
	case keys.Turn:
		if c.name == "" {
			step := 1
			if s := k.String(); s == "left" || s == "shift+tab" {
				step = len(c.ways)
			}
			c.at = (c.at + step) % (len(c.ways) + 1)
		}
	case keys.Yes:
		return c.begin(c.name == "")
	case keys.Accept:
		if c.nothing {
			return nil, true
		}
		if c.name != "" {
			c.wrong = c.line.Value() != c.name
			return c.begin(!c.wrong)
		}
		if c.at == 0 {
			return nil, true
		}
		return c.begin(true)
	}
	return nil, false
}

func (c *confirm) begin(sure bool) (tea.Cmd, bool) {
	if !sure || c.nothing {
		return nil, false
	}
	return c.run(max(c.at-1, 0)), true
}

func (c *confirm) view(w, h int) []string {
	th := c.env.Theme
	w = min(w, 92)
	var body []string
	lines := c.lines
	if len(c.more) > 0 {
		hint := "ctrl+d shows its " + ui.Count(len(c.more), "line")
		if c.full {
			hint = "All that it sets; ctrl+d hides it:"
		}
		lines = append(slices.Clone(lines), "", th.Muted.Render(hint))
		if c.full {
			lines = append(lines, c.more...)
		}
	}
	for _, l := range lines {
		if ui.Width(l) > w-4 {
			body = append(body, hang(l, w-4)...)
		} else {
			body = append(body, l)
		}
	}
	foot := append([]string{""}, c.foot(w-4)...)
	c.room = max(h-2-len(foot), 1)
	c.top = max(min(c.top, len(body)-c.room), 0)
	title := c.title
	if len(body) > c.room {
		title += fmt.Sprintf("  %d to %d of %d lines", c.top+1, c.top+c.room, len(body))
		body = body[c.top : c.top+c.room]
	}
	return ui.Box(th, title, append(body, foot...), w)
}

// hang wraps a line so that its rest stands deeper than its beginning, and is
// not taken for a line of its own.
func hang(l string, w int) []string {
	plain := ansi.Strip(l)
	deep := len(plain) - len(strings.TrimLeft(plain, " ")) + 2
	out := ui.Wrap(l, w-deep)
	for i := range out[1:] {
		out[i+1] = ui.Spaces(deep) + out[i+1]
	}
	return out
}

// foot is the way to say yes or no.
func (c *confirm) foot(w int) []string {
	th := c.env.Theme
	hint := func(s string) string { return th.Muted.Render(s) }
	switch {
	case c.nothing:
		return []string{hint("esc close")}
	case c.name != "":
		ask := "Type " + th.Title.Render(c.name) + " to do it: "
		line := ask + c.line.View(th, max(w-ui.Width(ask), 2))
		last := hint(th.G.Enter + " do it   esc leave it")
		if c.wrong {
			last = th.Bad.Render(th.G.Bad+" that is not the name") + "   " + hint("esc leave it")
		}
		return []string{line, last}
	}
	button := func(text string, on bool) string {
		if on {
			return th.Selected.Render("[" + text + "]")
		}
		return " " + text + " "
	}
	buttons := button(" No ", c.at == 0)
	for i, way := range c.ways {
		buttons += "  " + button(" Yes, "+way+" ", c.at == i+1)
	}
	help := hint("tab choose   " + th.G.Enter + " take it   y yes   n no")
	if ui.Width(buttons)+2+ui.Width(help) > w {
		return []string{buttons, help}
	}
	return []string{ui.Sides(buttons, help, w)}
}
