package jobs

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/parts"
	"stoker/tui/ui"
)

// detail is one job: facts, why it waits, its groups, and four tables.
type detail struct {
	env    *screen.Env
	id     cluster.JobID
	snap   *cluster.Snapshot
	row    row // of the job; Job is nil when it is not there
	old    bool
	groups *ui.Table[group, string]
	allocs *ui.Table[alloc, cluster.AllocID]
	tasks  *ui.Table[entry, entryKey]
	events *ui.Table[cluster.Event, eventKey]
	evals  *ui.Table[cluster.Evaluation, cluster.EvalID]
	why    reasons
	focus  int // index into panes
	lower  int // the last pane below the allocations that had the cursor
	w, h   int
}

func newDetail(e *screen.Env, id cluster.JobID) *detail {
	return &detail{
		env: e, id: id, snap: &cluster.Snapshot{}, lower: 1,
		groups: ui.NewTable(e.Theme, func(g *group) string { return g.Name }, groupColumns(e)),
		allocs: ui.NewTable(e.Theme, func(a *alloc) cluster.AllocID { return a.ID }, allocColumns(e)),
		tasks:  ui.NewTable(e.Theme, func(t *entry) entryKey { return t.entryKey }, taskColumns(e)),
		events: ui.NewTable(e.Theme, keyOfEvent, eventColumns(e)),
		evals:  ui.NewTable(e.Theme, func(ev *cluster.Evaluation) cluster.EvalID { return ev.ID }, evalColumns(e)),
	}
}

func (d *detail) setSnapshot(s *cluster.Snapshot) {
	d.snap, d.row = s, row{}
	if j := s.Job(d.id); j != nil {
		d.row = row{Job: j, deployment: s.JobDeployment(d.id)}
		for _, g := range s.JobGPUs(d.id) {
			if now := g.Live(s.At); now != nil {
				d.row.util.Add(now.UtilPercent)
			}
			if g.Failed() || !g.NodeUp {
				d.row.failedGPUs++
			}
		}
		d.row.state = j.State(d.row.deployment, d.row.failedGPUs)
	}
	d.groups.SetRows(groupRows(s, &d.row))
	d.allocs.SetRows(allocRows(s, d.id))
	d.events.SetRows(s.JobEvents(d.id))
	d.evals.SetRows(evaluations(s, d.id))
	d.fillTasks()
	d.old = screen.IsOld(s, "jobs", d.id.Of)
	d.groups.SetDim(d.old)
	for _, p := range d.panes() {
		p.SetDim(d.old)
	}
	d.setSize(d.w, d.h)
}

func evaluations(s *cluster.Snapshot, id cluster.JobID) []cluster.Evaluation {
	var out []cluster.Evaluation
	for i := range s.Evaluations {
		if s.Evaluations[i].Job == id {
			out = append(out, s.Evaluations[i])
		}
	}
	return out
}

// fillTasks shows the history of the allocation under the cursor.
func (d *detail) fillTasks() {
	var rows []entry
	if a := d.selected(); a != nil {
		rows = history(a)
	}
	d.tasks.SetRows(rows)
}

func (d *detail) selected() *cluster.Alloc {
	if a := d.allocs.Selected(); a != nil {
		return a.Alloc
	}
	return nil
}

// pane is one of the tables that the cursor goes through.
type pane interface {
	Move(n int) bool
	Scroll(n int)
	Top() bool
	Bottom() bool
	Page() int
	NextSort()
	Reverse()
	SetSize(w, h int)
	ViewLines(focus bool) []string
	Part() string
	All() int
	Shown() int
	Cursor() int
	Redraw()
	SetDim(dim bool)
}

func (d *detail) panes() []pane { return []pane{d.allocs, d.tasks, d.events, d.evals} }

// inner are the rows of the table that has the cursor. Of what befell tasks there
// is no view.
func (d *detail) inner() (view *facts.View, rows []facts.Row) {
	switch d.focus {
	case 0:
		view, _ = facts.Find("allocs")
		d.allocs.Each(func(a *alloc) { rows = append(rows, facts.AllocRow(d.snap, a.Alloc)) })
	case 2:
		view, _ = facts.Find("events")
		d.events.Each(func(e *cluster.Event) { rows = append(rows, facts.EventRow(e)) })
	case 3:
		view, _ = facts.Find("evaluations")
		d.evals.Each(func(e *cluster.Evaluation) { rows = append(rows, facts.EvaluationRow(d.snap, e)) })
	}
	return view, rows
}

func paneNames() []string {
	return []string{"allocations", "history", "events", "evaluations"}
}

func (d *detail) keys(msg tea.Msg) (keys.ID, bool) {
	switch msg := msg.(type) {
	case screen.TickMsg:
		d.groups.Redraw()
		for _, p := range d.panes() {
			p.Redraw()
		}
	case screen.KeyMsg:
		at := d.panes()[d.focus]
		switch {
		case msg.ID == keys.Pane:
			d.turn(1, true)
		case msg.ID == keys.Down && at.Cursor() >= at.Shown()-1:
			d.turn(1, false)
		case msg.ID == keys.Up && at.Cursor() == 0:
			d.turn(-1, false)
		case screen.Move(at, msg.ID):
			if d.focus == 0 {
				d.fillTasks()
				d.setSize(d.w, d.h)
			}
		default:
			return msg.ID, true
		}
	}
	return "", false
}

// turn moves the cursor to the next pane that has rows; around says whether
// the first follows the last.
func (d *detail) turn(by int, around bool) {
	all := d.panes()
	for i := d.focus + by; ; i += by {
		if i < 0 || i >= len(all) {
			if !around {
				return
			}
			i = 0
		}
		if i == d.focus {
			return
		}
		if all[i].All() > 0 {
			d.focus = i
			break
		}
	}
	if d.focus > 0 {
		d.lower = d.focus
	}
	d.setSize(d.w, d.h)
}

func (d *detail) setSize(w, h int) {
	d.w, d.h = w, h
	d.groups.SetSize(w, d.groups.All()+1)
	for i, n := range d.heights(h - len(d.top())) {
		d.panes()[i].SetSize(w, n)
	}
}

// least is the fewest lines that a pane is worth, its heading included.
const least = 4

// heights shares lines out among the panes. When not all of them get enough,
// the allocations and one other are shown; the cursor brings the rest.
func (d *detail) heights(room int) []int {
	all := d.panes()
	want := make([]int, len(all))
	need, gaps := 0, -1
	for i, p := range all {
		if p.All() > 0 {
			want[i] = p.All() + 1
			need += min(want[i], least)
			gaps++
		}
	}
	out := make([]int, len(all))
	if room-max(gaps, 0) < need {
		low := d.lower
		for i := 1; want[low] == 0 && i < len(all); i++ {
			low = i
		}
		for i := range want {
			if i != 0 && i != low {
				want[i] = 0
			}
		}
		gaps = 0
		if want[0] > 0 && want[low] > 0 {
			gaps = 1
		}
	}
	left := room - max(gaps, 0)
	for grew := true; grew && left > 0; {
		grew = false
		for i := range out {
			if out[i] < want[i] && left > 0 {
				out[i]++
				left--
				grew = true
			}
		}
	}
	return out
}

func (d *detail) view() string {
	th := d.env.Theme
	if d.row.Job == nil {
		return ui.Block([]string{"", "  " + th.Muted.Render("job "+ui.Clean(d.id.String())+" is not there any more; esc goes back")}, d.w, d.h)
	}
	lines := d.top()
	shown := d.heights(d.h - len(lines))
	first := true
	for i, p := range d.panes() {
		if shown[i] == 0 {
			continue
		}
		if !first {
			lines = append(lines, "")
		}
		first = false
		part := p.ViewLines(i == d.focus)
		note := d.noteOf(i, shown)
		if i == 0 && len(lines) > 0 { // its heading has titles to the right end; the line above is empty
			lines[len(lines)-1], note = ui.Sides("", th.Muted.Render(note)+"  ", d.w), ""
		}
		if note != "" && len(part) > 0 {
			note = ui.Fit(note, min(ui.Width(note), d.w/2))
			part[0] = ui.Over(part[:1], []string{th.Muted.Render(note)}, d.w-ui.Width(note)-2, 0)[0]
		}
		lines = append(lines, part...)
	}
	if first {
		lines = append(lines, "  "+th.Muted.Render("no allocations yet"))
	}
	return ui.Block(lines, d.w, d.h)
}

// noteOf stands at the right of a pane's heading: how much of it there is room
// for, whose history it is, and which panes have no room.
func (d *detail) noteOf(i int, shown []int) string {
	var notes []string
	if part := d.panes()[i].Part(); part != "" {
		notes = append(notes, part)
	}
	if a := d.selected(); i == 1 && a != nil && d.allocs.All() > 1 {
		notes = append(notes, "of "+shortName(a))
	}
	if i > 0 {
		var more []string
		for j, p := range d.panes() {
			if shown[j] == 0 && p.All() > 0 {
				more = append(more, fmt.Sprintf("%s %s", paneNames()[j], ui.Int(p.All())))
			}
		}
		if len(more) > 0 {
			notes = append(notes, "tab: "+strings.Join(more, ", "))
		}
	}
	return strings.Join(notes, "   ")
}

// top is what stands above the tables.
func (d *detail) top() []string {
	if d.row.Job == nil {
		return nil
	}
	lines := append(d.facts(), "")
	if d.old {
		lines = parts.FadeLines(d.env.Theme, lines)
	}
	if why := d.waiting(); len(why) > 0 {
		lines = append(append(lines, why...), "")
	}
	if len(d.row.Groups) > 0 {
		g := d.groups.ViewLines(false)
		if most := max(d.h/4, 3); len(g) > most {
			g = append(g[:most:most], "  "+d.env.Theme.Muted.Render(fmt.Sprintf("and %s more", ui.Count(len(d.row.Groups)-most+1, "group"))))
		}
		lines = append(append(lines, g...), "")
	}
	return lines
}

func (d *detail) facts() []string {
	th, r := d.env.Theme, &d.row
	fact := func(name, value string) string { return th.Muted.Render(name) + " " + ui.Clean(value) }
	st := stateCell(th, r.state)
	one := []ui.Seg{
		{Text: th.Title.Render(ui.Clean(r.ID.String()) + screen.In(d.snap, r.Place))},
		{Text: st.Style.Render(st.Text) + d.because()},
		{Text: fact("kind", kindOf(r.Job)), Drop: 1},
	}
	if m := modelOf(r.Job); m != "" {
		one = append(one, ui.Seg{Text: fact("model", m), Drop: 2})
	}
	two := []ui.Seg{{Text: fact("running", runOf(r.Job))}}
	if r.Starting > 0 {
		two = append(two, ui.Seg{Text: fact("starting", ui.Int(r.Starting))})
	}
	if n := r.Failed + r.Lost; n > 0 {
		two = append(two, ui.Seg{Text: th.Warn.Render(fmt.Sprintf("%s %d failed or lost", th.G.Warn, n))})
	}
	gpus := fact("GPUs", ui.Int(r.GPUsHeld))
	if u := r.util.Mean(); u != nil {
		gpus += th.Muted.Render(", util ") + ui.Percent(u)
	}
	two = append(two, ui.Seg{Text: gpus})
	if r.deployment != nil {
		c := screen.DeploymentState(th, r.deployment)
		two = append(two, ui.Seg{Text: th.Muted.Render("deployment ") + c.Style.Render(c.Text), Drop: 1})
	}
	two = append(two, ui.Seg{Text: fact("type", r.Type), Drop: 3}, ui.Seg{Text: fact("version", fmt.Sprintf("v%d", r.Version)), Drop: 4},
		ui.Seg{Text: fact("priority", ui.Int(r.Priority)), Drop: 5}, ui.Seg{Text: fact("submitted", ui.Ago(r.Submitted, d.env.Now())), Drop: 2})
	lines := []string{"  " + ui.Segs(one, 3, d.w-2), "  " + ui.Segs(two, 3, d.w-2)}
	if dep := r.deployment; dep != nil && dep.Status == "failed" && dep.StatusText != "" {
		lines = append(lines, "  "+th.Bad.Render(ui.Fit(th.G.Bad+" "+ui.Clean(dep.StatusText), d.w-4)))
	}
	return lines
}

// because says why a job is degraded, when one can see it here.
func (d *detail) because() string {
	if d.row.state != degraded || d.row.failedGPUs == 0 {
		return ""
	}
	return d.env.Theme.Warn.Render(": " + ui.Count(d.row.failedGPUs, "GPU") + " failed under it")
}
