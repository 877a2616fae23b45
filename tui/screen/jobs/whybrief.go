package jobs

import (
	"fmt"

	"stoker/tui/ui"
)

// maxWhy bounds the lines of the account of why a job waits.
const maxWhy = 8

// waiting is why the job waits in a few lines, among its details: the nearest
// nodes and the first thing that would help.
func (d *detail) waiting() []string {
	if d.row.Waiting == nil {
		return nil
	}
	e := d.why.about(d.snap, d.id)
	if e == nil || !e.Waits {
		return nil
	}
	th := d.env.Theme
	lines := []string{"  " + ui.Sides(th.Warn.Render(th.G.Warn+" "+ui.Clean(e.Summary)), th.Muted.Render("w: all of it"), max(d.w-4, 10)) + "  "}
	each := max((maxWhy-1)/max(len(e.Groups), 1), 2)
	for i := range e.Groups {
		g := &e.Groups[i]
		room := each
		if len(e.Groups) > 1 {
			lines = append(lines, "    "+ui.Clean(g.Name))
			room--
		}
		if len(g.Changes) > 0 {
			room--
		}
		for k := range g.Verdicts {
			if left := len(g.Verdicts) - k; room <= 1 && left > 1 {
				lines = append(lines, "      "+th.Muted.Render(fmt.Sprintf("and %d more verdicts", left)))
				break
			}
			v := &g.Verdicts[k]
			glyph, st := markOf(th, v.Kind)
			text := v.Text
			if by := g.By(v, e.AsOf, 2); by != "" {
				text += "; " + by
			}
			name := g.Names(v, 1)
			lines = append(lines, "    "+st.Render(glyph)+" "+ui.Fit(ui.Clean(name), 18)+"  "+ui.Fit(ui.Clean(text), max(d.w-30, 10)))
			room--
		}
		if len(g.Verdicts) == 0 {
			lines = append(lines, "    "+th.Muted.Render(ui.Clean(g.Check.Text)))
		}
		if len(g.Changes) > 0 {
			lines = append(lines, "    "+th.Muted.Render("would help: ")+ui.Clean(g.Changes[0].Text))
		}
	}
	return lines
}
