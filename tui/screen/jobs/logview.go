package jobs

import (
	"fmt"
	"slices"
	"strings"

	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// maxLabel is the widest label of a line, in cells.
const maxLabel = 32

func (v *logView) setSize(w, h int) {
	v.w, v.h = w, h
	v.relabel()
}

// page is the number of rows that fit under the summary and the empty line.
func (v *logView) page() int { return max(v.h-2, 1) }

// relabel works the width of the labels out again, since it decides how lines break.
func (v *logView) relabel() {
	v.label, v.labels = 0, v.labels[:0]
	for i := range v.sources {
		v.labels = append(v.labels, v.labelOf(i))
		v.label = max(v.label, ui.Width(v.labels[i]))
	}
	v.label = min(v.label, maxLabel, max(v.w/4, 8))
	v.rebuild()
}

// labelOf says where a log is from: the group and index, the task where there
// are several, and the allocation where one took the place of another.
func (v *logView) labelOf(i int) string {
	s := &v.sources[i]
	tasks, twins := false, false
	for k := range v.sources {
		o := &v.sources[k]
		tasks = tasks || o.req.Task != s.req.Task
		twins = twins || o.name == s.name && o.req.Alloc != s.req.Alloc
	}
	out := s.name
	if tasks {
		out += " " + ui.Clean(s.req.Task)
	}
	if twins {
		out += " " + s.req.Alloc.Short()[:4]
	}
	return out
}

// Before the text stand: a mark, the label, and out or err when both are shown.
func (v *logView) indent() int {
	n := 2 + v.label + 2
	if v.show == both {
		n += 5
	}
	return n
}

// appendRows breaks a line into rows.
func (v *logView) appendRows(rows []visual, seq int, text string) []visual {
	w := max(v.w-v.indent(), 1)
	if !v.wrap || len(text) <= w {
		return append(rows, visual{seq, text, 0})
	}
	if ui.Width(text) == len(text) { // one cell each: cut, as less does
		for part := 0; len(text) > 0; part++ {
			n := min(w, len(text))
			rows = append(rows, visual{seq, text[:n], part})
			text = text[n:]
		}
		return rows
	}
	for part, t := range ui.Wrap(text, w) {
		rows = append(rows, visual{seq, t, part})
	}
	return rows
}

func (v *logView) view() string {
	if v.h < 3 {
		return ui.Block(nil, v.w, v.h)
	}
	if v.drawn == nil {
		v.drawn = make([]string, 0, v.page())
		for i := v.top; i < len(v.rows) && len(v.drawn) < v.page(); i++ {
			v.drawn = append(v.drawn, v.row(&v.rows[i]))
		}
	}
	lines := append([]string{v.summary(), ""}, v.drawn...)
	if len(v.rows) == 0 {
		for _, l := range ui.Wrap(v.empty(), max(v.w-4, 1)) {
			lines = append(lines, "  "+v.env.Theme.Muted.Render(l))
		}
	}
	return ui.Block(lines, v.w, v.h)
}

func (v *logView) row(r *visual) string {
	th, l := v.env.Theme, v.ring.at(r.seq)
	if l.source < 0 {
		return "  " + th.Warn.Render(ui.Fit(th.G.Warn+" "+r.text, v.w-2))
	}
	mark := "  "
	if r.seq == v.mark {
		mark = th.Accent.Render(th.G.Select) + " "
	}
	label, out := "", ""
	if r.part == 0 {
		label = v.labels[l.source]
		if v.sources[l.source].req.Stderr {
			out = "err"
		} else {
			out = "out"
		}
	}
	var b strings.Builder
	b.WriteString(mark)
	b.WriteString(th.Accent.Render(ui.Fit(label, v.label)) + "  ")
	if v.show == both {
		st := th.Faint
		if out == "err" {
			st = th.Warn
		}
		b.WriteString(st.Render(ui.Fit(out, 3)) + "  ")
	}
	text := r.text
	if room := v.w - v.indent(); ui.Width(text) > room {
		text = ui.Fit(text, room)
	}
	if v.matches(l) {
		text = highlight(th, text, v.filter)
	}
	b.WriteString(text)
	return b.String()
}

// highlight marks the words of a filter in a text.
func highlight(th *theme.Theme, text string, f ui.Filter) string {
	low := strings.ToLower(text)
	if len(low) != len(text) {
		return text // lower case moved the places
	}
	hit := make([]bool, len(text))
	for _, w := range strings.Fields(strings.ToLower(f.String())) {
		if strings.HasPrefix(w, "!") {
			continue
		}
		for from := 0; ; {
			i := strings.Index(low[from:], w)
			if i < 0 {
				break
			}
			for k := from + i; k < from+i+len(w); k++ {
				hit[k] = true
			}
			from += i + len(w)
		}
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		end := i
		for end < len(text) && hit[end] == hit[i] {
			end++
		}
		if hit[i] {
			b.WriteString(th.Selected.Render(text[i:end]))
		} else {
			b.WriteString(text[i:end])
		}
		i = end
	}
	return b.String()
}

// summary says whose log it is, how it is shown and how much there is of it.
func (v *logView) summary() string {
	th := v.env.Theme
	title := v.job.String()
	if a := v.snap.Alloc(v.only); v.only != "" && a != nil {
		title = v.job.Namespace + "/" + a.Name
	}
	follow := th.OK.Render(th.G.OK + " following")
	if !v.follow {
		follow = th.Warn.Render(th.G.Busy + " paused")
		if below := len(v.rows) - v.top - v.page(); below > 0 {
			follow += th.Muted.Render(", " + ui.Count(below, "line") + " below")
		}
	} else if v.reading() == 0 && len(v.sources) > 0 {
		follow = v.silence()
	}
	logs := map[string]bool{}
	for i := range v.sources {
		logs[string(v.sources[i].req.Alloc)] = true
	}
	segs := []ui.Seg{
		{Text: th.Title.Render("log of " + ui.Clean(title) + screen.In(v.snap, v.job.Of))},
		{Text: follow},
		{Text: th.Muted.Render(v.show.String()), Drop: 3},
	}
	if v.only == "" {
		segs = append(segs, ui.Seg{Text: th.Muted.Render(ui.Count(len(logs), "allocation")), Drop: 4})
	}
	if v.wrap {
		segs = append(segs, ui.Seg{Text: th.Muted.Render("wrapped"), Drop: 2})
	}
	if v.all {
		segs = append(segs, ui.Seg{Text: th.Muted.Render("all lines, matches marked"), Drop: 1})
	}
	kept := ui.Count(len(v.ring.lines), "line")
	if v.ring.dropped > 0 {
		kept = "last " + kept + ", " + ui.Int(v.ring.dropped) + " let go"
	}
	if v.left > 0 {
		kept = fmt.Sprintf("%s not read   ", ui.Count(v.left, "log")) + kept
	}
	right := th.Muted.Render(kept) + "  "
	return ui.Sides("  "+ui.Segs(segs, 3, v.w-4-ui.Width(right)), right, v.w)
}

// silence says why nothing is read: a log has ended only when its task has.
func (v *logView) silence() string {
	th := v.env.Theme
	live := slices.ContainsFunc(v.sources, func(s source) bool { return s.live })
	switch {
	case screen.IsOld(v.snap, "jobs", v.job.Of):
		return th.Bad.Render(th.G.Bad + " nomad is not reachable")
	case live:
		return th.Warn.Render(th.G.Warn + " broke off, it is tried again")
	}
	return th.Muted.Render(th.G.Off + " ended")
}

// empty says why there is no line.
func (v *logView) empty() string {
	switch {
	case len(v.sources) == 0:
		return "no task of " + ui.Clean(v.job.String()) + " has started; its log begins here when one does"
	case len(v.ring.lines) > 0 && !v.filter.Empty():
		return "none of the " + ui.Count(len(v.ring.lines), "line") + " matches " + v.filter.String() + "; a shows all"
	case len(v.ring.lines) > 0:
		return "nothing on " + strings.TrimSuffix(v.show.String(), " only") + "; e shows the other output"
	}
	return "nothing written yet"
}
