package submit

import (
	"fmt"
	"slices"
	"strings"

	"stoker/jobs/action"
	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// widths of the columns: name, value, and the description with what is left.
func (f *form) widths() (name, value, about int) {
	name = 8
	for i := range f.fields {
		name = max(name, ui.Width(f.fields[i].Name))
	}
	name = min(name, 24)
	rest := max(f.w-name-8, 24)
	value = min(max(rest*2/5, 20), 48)
	return name, value, max(rest-value, 0)
}

func (f *form) setSize(w, h int) { f.w, f.h = w, h }

func (f *form) view() string {
	if f.h < 3 {
		return ui.Block(nil, f.w, f.h)
	}
	head, foot := f.head(), f.foot()
	room := max(f.h-len(head)-len(foot), 1)
	if room < 4 && len(foot) > 1 { // the fields come first
		foot = foot[len(foot)-1:]
		room = max(f.h-len(head)-len(foot), 1)
	}
	body, starts := f.body()
	end := len(body)
	if f.at+1 < len(starts) {
		end = starts[f.at+1]
	}
	f.scroll(starts[f.at], end, len(body), room)
	f.signs(head, foot, starts, room)
	body = body[f.top:min(f.top+room, len(body))]
	lines := slices.Concat(head, ui.Lines(body, f.w, room), foot)
	return ui.Block(lines, f.w, f.h)
}

// signs says how many fields do not fit, in the empty lines around them.
func (f *form) signs(head, foot []string, starts []int, room int) {
	th := f.env.Theme
	above, below := 0, 0
	for _, at := range starts {
		switch {
		case at < f.top:
			above++
		case at >= f.top+room:
			below++
		}
	}
	if i := len(head) - 2; above > 0 {
		head[i] = "  " + th.Accent.Render(fmt.Sprintf("%s %d more above", th.G.Up, above))
	}
	if below > 0 && len(foot) > 1 {
		foot[0] = "  " + th.Accent.Render(fmt.Sprintf("%s %d more below", th.G.Down, below))
	}
}

// scroll keeps the lines of the field with the cursor on screen.
func (f *form) scroll(from, to, all, room int) {
	f.top = min(f.top, from)
	f.top = max(f.top, to-room)
	f.top = max(min(f.top, all-room), 0)
}

func (f *form) head() []string {
	th := f.env.Theme
	left := "  " + th.Title.Render(ui.Clean(f.pack.Name)) + "   " + ui.Clean(f.pack.Title)
	lines := []string{ui.Sides(left, th.Muted.Render(ui.Clean(from(&f.pack)))+"  ", f.w)}
	if free := f.free(); free != "" {
		lines = append(lines, "  "+th.Muted.Render("free now: "+free))
	}
	name, value, about := f.widths()
	titles := "  " + ui.Fit("VARIABLE", name) + "  " + ui.Fit("VALUE", value) + "    " + ui.Fit("WHAT IT IS", about)
	return append(lines, "", th.Muted.Render(ui.Fit(titles, f.w)))
}

// free is which GPUs nobody holds: "2 H100 80GB, 1 L40S".
func (f *form) free() string {
	n := map[string]int{}
	var models []string
	for i := range f.snap.GPUs {
		g := &f.snap.GPUs[i]
		if g.Standing() != "free" {
			continue
		}
		m := screen.ShortModel(g.Model)
		if n[m] == 0 {
			models = append(models, m)
		}
		n[m]++
	}
	if len(models) == 0 {
		if len(f.snap.GPUs) == 0 {
			return ""
		}
		return "no GPU"
	}
	for i, m := range models {
		models[i] = fmt.Sprintf("%d %s", n[m], m)
	}
	return strings.Join(models, ", ")
}

// body is all fields, and at which line each begins.
func (f *form) body() (lines []string, starts []int) {
	if len(f.fields) == 0 {
		return []string{"  " + f.env.Theme.Muted.Render("this pack has no variables: enter shows the plan")}, []int{0}
	}
	for i := range f.fields {
		starts = append(starts, len(lines))
		lines = append(lines, f.row(i))
		if d := &f.fields[i]; d.shows() {
			lines = append(lines, f.wrongLines(d)...)
		}
	}
	return lines, starts
}

func (f *form) row(i int) string {
	th, d := f.env.Theme, &f.fields[i]
	name, value, about := f.widths()
	mark, style := "  ", th.Text
	if i == f.at {
		mark, style = th.Accent.Render(th.G.Select)+" ", th.Title
	}
	return mark + style.Render(ui.Fit(d.Name, name)) + "  " + f.value(d, i == f.at, value) + " " + f.verdict(d) + "  " +
		th.Muted.Render(ui.Fit(ui.Clean(d.Description), about))
}

func (f *form) value(d *field, cursor bool, w int) string {
	th := f.env.Theme
	text := d.line.Value()
	if d.Sensitive {
		var dots ui.Line
		dots.Set(strings.Repeat("*", min(len([]rune(text)), 12))) // not even how long it is
		if cursor {
			return dots.View(th, w)
		}
		text = dots.Value()
	}
	switch {
	case cursor:
		return d.line.View(th, w)
	case text == "" && d.missing():
		return th.Warn.Render(ui.Fit("must be set", w))
	case text == "":
		return th.Faint.Render(ui.Fit("empty", w))
	case d.given():
		return th.Accent.Render(ui.Fit(text, w))
	}
	return ui.Fit(text, w)
}

// verdict is one cell: wrong, to be filled in, changed, or nothing to say.
func (f *form) verdict(d *field) string {
	th := f.env.Theme
	switch {
	case d.shows():
		return th.Bad.Render(th.G.Bad)
	case d.err != "":
		return th.Warn.Render(th.G.Warn)
	case d.given():
		return th.OK.Render(th.G.OK)
	}
	return " "
}

// wrongLines stand under the field that they are about.
func (f *form) wrongLines(d *field) []string {
	th := f.env.Theme
	name, _, _ := f.widths()
	var out []string
	for i, l := range ui.Wrap(ui.Clean(d.err), max(f.w-name-8, 20)) {
		sign := "  "
		if i == 0 {
			sign = th.G.Bad + " "
		}
		out = append(out, ui.Spaces(name+4)+th.Bad.Render(sign+l))
	}
	return out
}

// aboutLines is the room for the description of the field with the cursor.
const aboutLines = 2

// maxCommand is the most lines that the command takes.
const maxCommand = 3

// foot is about the field with the cursor, then the state of the whole form
// and the command that does the same.
func (f *form) foot() []string {
	th := f.env.Theme
	lines := []string{""}
	if d := f.field(); d != nil {
		lines = append(lines, "  "+th.Title.Render(d.Name)+"  "+th.Muted.Render(ui.Clean(d.about())))
		about := ui.Wrap(ui.Clean(d.Description), max(f.w-4, 1))
		for i := range aboutLines { // always as many: the lines below must not jump
			l := ""
			if i < len(about) {
				l = "  " + about[i]
			}
			lines = append(lines, l)
		}
	}
	lines = append(lines, ui.Rule(th, f.w), "  "+f.verdictLine(th))
	command := ui.Wrap(f.command(), max(f.w-4, 1))
	if len(command) > maxCommand {
		command = command[:maxCommand]
		command[maxCommand-1] += screen.Ellipsis
	}
	for i, l := range command {
		sign := "  "
		if i == 0 {
			sign = "$ "
		}
		lines = append(lines, "  "+th.Faint.Render(sign)+th.Accent.Render(l))
	}
	return lines
}

func (f *form) verdictLine(th *theme.Theme) string {
	if f.env.Allowed != nil {
		if err := f.env.Allowed(action.Submit); err != nil {
			return th.Warn.Render(th.G.Warn + " cannot be submitted here: " + ui.Clean(err.Error()))
		}
	}
	switch n := f.wrong(); {
	case f.err != nil:
		return th.Bad.Render(th.G.Bad + " " + ui.Clean(f.err.Error()))
	case n > 0:
		return th.Warn.Render(fmt.Sprintf("%s %s to look at", th.G.Warn, ui.Count(n, "field")))
	}
	return th.OK.Render(th.G.OK + " enter shows the plan; nothing is submitted before you confirm it")
}
