package jobs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"stoker/cluster"
	"stoker/jobs/action"
	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// group is a task group as specified, with what became of it.
type group struct {
	*cluster.Group
	running, starting, failed int
	once                      bool // on each node, so that Count says nothing
	progress                  *cluster.DeploymentGroup
}

func groupRows(s *cluster.Snapshot, r *row) []group {
	if r.Job == nil {
		return nil
	}
	out := make([]group, len(r.Groups))
	for i := range r.Groups {
		out[i] = group{Group: &r.Groups[i], once: r.Type == "system" || r.Type == "sysbatch"}
		if r.deployment == nil || r.deployment.JobVersion != r.Version {
			continue
		}
		for k := range r.deployment.Groups {
			if r.deployment.Groups[k].Name == r.Groups[i].Name {
				out[i].progress = &r.deployment.Groups[k]
			}
		}
	}
	for i := range s.Allocs {
		a := &s.Allocs[i]
		if a.Job != r.ID {
			continue
		}
		for k := range out {
			if out[k].Name == a.Group {
				out[k].add(a, r.Version)
			}
		}
	}
	return out
}

func (g *group) add(a *cluster.Alloc, version uint64) {
	switch {
	case a.Client == "running":
		g.running++
	case a.Client == "pending" && a.Desired == "run":
		g.starting++
	case (a.Client == "failed" || a.Client == "lost") && a.JobVersion == version:
		g.failed++
	}
}

func groupColumns(e *screen.Env) []ui.Column[group] {
	th := e.Theme
	return []ui.Column[group]{
		{Title: "GROUP", Min: 12, Max: 30, Cell: func(g *group) ui.Cell { return ui.Txt(g.Name) }},
		{Title: "WANT", Min: 4, Align: ui.Right, Cell: func(g *group) ui.Cell {
			if g.once {
				return ui.In(th.Muted, ui.None)
			}
			return ui.Txt(ui.Int(g.Count))
		}},
		{Title: "RUN", Min: 3, Align: ui.Right, Cell: func(g *group) ui.Cell { return count(th, g.running, th.Text) }},
		{Title: "START", Min: 5, Align: ui.Right, Drop: 2, Cell: func(g *group) ui.Cell { return count(th, g.starting, th.Accent) }},
		{Title: "FAILED", Min: 6, Align: ui.Right, Drop: 1, Cell: func(g *group) ui.Cell { return count(th, g.failed, th.Warn) }},
		{Title: "GPUS EACH", Min: 12, Max: 32, Cell: func(g *group) ui.Cell { return asksCell(th, g) }},
		{Title: "DEPLOYMENT", Min: 14, Max: 64, Cell: func(g *group) ui.Cell { return progressCell(th, g.progress) }},
	}
}

// asksCell is "4 H100 80GB": what one allocation of the group wants.
func asksCell(th *theme.Theme, g *group) ui.Cell {
	if len(g.GPUs) == 0 {
		return ui.In(th.Faint, "none")
	}
	parts := make([]string, len(g.GPUs))
	for i, ask := range g.GPUs {
		model := strings.TrimPrefix(strings.TrimPrefix(ask.Name, "nvidia/gpu"), "/")
		parts[i] = strings.TrimSpace(fmt.Sprintf("%d %s", ask.Count, cmp.Or(screen.ShortModel(model), "of any model")))
	}
	return ui.Txt(strings.Join(parts, ", "))
}

func progressCell(th *theme.Theme, p *cluster.DeploymentGroup) ui.Cell {
	if p == nil {
		return ui.In(th.Faint, ui.None)
	}
	text, st := fmt.Sprintf("%d of %d healthy", p.Healthy, p.Desired), th.Text
	if p.Healthy < p.Desired {
		st = th.Accent
	}
	if p.Unhealthy > 0 {
		st = th.Bad
		text += fmt.Sprintf(", %d unhealthy", p.Unhealthy)
	}
	if p.Canaries > 0 {
		word := "canaries"
		if p.Canaries == 1 {
			word = "canary"
		}
		text += fmt.Sprintf(", %d %s", p.Canaries, word)
		if !p.Promoted {
			text += " to promote"
		}
	}
	if p.Placed < p.Desired {
		text += fmt.Sprintf(", %d placed", p.Placed)
	}
	return ui.In(st, text)
}

// alloc is an allocation with the util of its GPUs.
type alloc struct {
	*cluster.Alloc
	util     *float64
	failed   int // of its GPUs
	restarts int
}

func allocRows(s *cluster.Snapshot, id cluster.JobID) []alloc {
	all := s.JobAllocs(id)
	slices.SortStableFunc(all, func(a, b cluster.Alloc) int { // what lives stands above what was
		switch {
		case a.Terminal() == b.Terminal():
			return 0
		case a.Terminal():
			return 1
		}
		return -1
	})
	out := make([]alloc, len(all))
	for i := range all {
		out[i].Alloc = &all[i]
		var util screen.Adder
		for _, uuid := range all[i].GPUs {
			if g := s.GPU(uuid); g != nil && !all[i].Terminal() {
				if now := g.Live(s.At); now != nil {
					util.Add(now.UtilPercent)
				}
				if g.Failed() {
					out[i].failed++
				}
			}
		}
		out[i].util = util.Mean()
		for k := range all[i].Tasks {
			out[i].restarts += all[i].Tasks[k].Restarts
		}
	}
	return out
}

func allocColumns(e *screen.Env) []ui.Column[alloc] {
	th := e.Theme
	return []ui.Column[alloc]{
		{Title: "ALLOCATION", Min: 16, Max: 40, Cell: func(a *alloc) ui.Cell { return ui.Txt(a.Name) }, By: func(r *alloc) ui.Key { return screen.ByAlloc(r.Name) }},
		{Title: "ID", Min: 8, Drop: 5, Cell: func(a *alloc) ui.Cell { return ui.In(th.Muted, a.ID.Short()) }},
		{Title: "STATE", Min: 10, Cell: func(a *alloc) ui.Cell { return screen.AllocState(th, a.Alloc) }, By: func(r *alloc) ui.Key { return ui.ByText(r.Client) }},
		{Title: "NODE", Min: 8, Max: 24, Cell: func(a *alloc) ui.Cell { return ui.Txt(a.NodeName) }, By: func(r *alloc) ui.Key { return ui.ByText(r.NodeName) }},
		{Title: "GPUS", Min: 4, Align: ui.Right, Cell: func(a *alloc) ui.Cell { return count(th, len(a.GPUs), th.Text) }},
		{Title: "UTIL", Min: 8, Align: ui.Right, Cell: func(a *alloc) ui.Cell {
			if a.failed > 0 {
				return ui.In(th.Bad, th.G.Bad+" failed")
			}
			return ui.Txt(ui.Percent(a.util))
		}, By: func(r *alloc) ui.Key { return ui.ByKnown(r.util) }, Desc: true},
		{Title: "HEALTHY", Min: 7, Drop: 3, Cell: func(a *alloc) ui.Cell { return healthCell(th, a.Healthy) }},
		{Title: "RESTARTS", Min: 8, Align: ui.Right, Drop: 2, Cell: func(a *alloc) ui.Cell { return count(th, a.restarts, th.Warn) }, By: func(r *alloc) ui.Key { return ui.By(r.restarts) }, Desc: true},
		{Title: "VERSION", Min: 7, Align: ui.Right, Drop: 4, Cell: func(a *alloc) ui.Cell { return ui.In(th.Muted, fmt.Sprintf("v%d", a.JobVersion)) }},
		{Title: "AGE", Min: 4, Align: ui.Right, Drop: 1, Cell: func(a *alloc) ui.Cell { return ui.In(th.Muted, ui.Age(a.Created, e.Now())) }, By: func(r *alloc) ui.Key { return ui.ByAge(r.Created) }},
	}
}

func healthCell(th *theme.Theme, ok *bool) ui.Cell {
	switch {
	case ok == nil:
		return ui.In(th.Faint, ui.None)
	case *ok:
		return ui.In(th.Muted, "yes")
	}
	return ui.In(th.Bad, th.G.Bad+" no")
}

// entry is one line of an allocation's history: the state of a task, or what
// happened to it.
type entry struct {
	entryKey
	at   time.Time
	what string
	text string
	cell func(*theme.Theme) (glyph string, st theme.Style) // of a state
}

type entryKey struct {
	task string
	n    int // 0 is the state, from 1 on the events from the oldest
}

// history lists the tasks, each with its events from the newest on.
func history(a *cluster.Alloc) []entry {
	var out []entry
	for i := range a.Tasks {
		t := &a.Tasks[i]
		out = append(out, stateEntry(t))
		for n := len(t.Events); n > 0; n-- {
			ev := &t.Events[n-1]
			out = append(out, entry{entryKey: entryKey{t.Name, n}, at: ev.At, what: ev.Type, text: ev.Text})
		}
	}
	return out
}

func stateEntry(t *cluster.Task) entry {
	e := entry{entryKey: entryKey{task: t.Name}, at: t.Started, what: t.State}
	e.cell = func(th *theme.Theme) (string, theme.Style) { return th.G.Busy, th.Accent }
	switch {
	case t.Failed:
		e.what, e.at = "failed", t.Finished
		e.cell = func(th *theme.Theme) (string, theme.Style) { return th.G.Bad, th.Bad }
	case t.State == "running":
		e.cell = func(th *theme.Theme) (string, theme.Style) { return th.G.OK, th.OK }
	case t.State == "dead":
		e.what, e.at = "complete", t.Finished
		e.cell = func(th *theme.Theme) (string, theme.Style) { return th.G.Off, th.Muted }
	}
	if n := len(t.Events); n > 0 && t.State == "pending" {
		e.at = t.Events[n-1].At
	}
	var parts []string
	if t.Restarts > 0 {
		parts = append(parts, ui.Count(t.Restarts, "restart"))
	}
	if len(t.GPUs) > 0 {
		parts = append(parts, ui.Count(len(t.GPUs), "GPU"))
	}
	e.text = strings.Join(parts, ", ")
	return e
}

func taskColumns(e *screen.Env) []ui.Column[entry] {
	th := e.Theme
	return []ui.Column[entry]{
		{Title: "TASK", Min: 10, Max: 20, Cell: func(t *entry) ui.Cell {
			if t.n > 0 {
				return ui.Cell{}
			}
			return ui.Txt(t.task)
		}},
		{Title: "AGE", Min: 4, Align: ui.Right, Cell: func(t *entry) ui.Cell { return ui.In(th.Muted, ui.Age(t.at, e.Now())) }},
		{Title: "TIME", Min: 8, Drop: 1, Cell: func(t *entry) ui.Cell { return ui.In(th.Muted, clock(t.at, e)) }},
		{Title: "WHAT", Min: 12, Max: 24, Cell: func(t *entry) ui.Cell {
			if t.cell != nil {
				glyph, st := t.cell(th)
				return ui.In(st, glyph+" "+t.what)
			}
			return ui.Txt(t.what)
		}},
		{Title: "", Min: 30, Max: 160, Cell: func(t *entry) ui.Cell { return ui.In(th.Muted, t.text) }},
	}
}

// clock is the time of day, with the date when it is another day.
func clock(t time.Time, e *screen.Env) string {
	if t.IsZero() {
		return ui.None
	}
	now := e.Now()
	t = t.In(now.Location())
	if t.YearDay() != now.YearDay() || t.Year() != now.Year() {
		return t.Format("02 15:04")
	}
	return t.Format("15:04:05")
}

type eventKey struct {
	at            time.Time
	subject, text string
}

func keyOfEvent(e *cluster.Event) eventKey { return eventKey{e.At, e.Subject, e.Text} }

func eventColumns(e *screen.Env) []ui.Column[cluster.Event] {
	type E = cluster.Event
	th := e.Theme
	return []ui.Column[E]{
		{Title: "EVENT", Min: 10, Max: 20, Cell: func(ev *E) ui.Cell {
			glyph, st := screen.Mark(th, ev.Level)
			return ui.In(st, glyph+" "+ev.Kind)
		}},
		{Title: "AGE", Min: 4, Align: ui.Right, Cell: func(ev *E) ui.Cell { return ui.In(th.Muted, ui.Age(ev.At, e.Now())) }},
		{Title: "TIME", Min: 8, Drop: 1, Cell: func(ev *E) ui.Cell { return ui.In(th.Muted, clock(ev.At, e)) }},
		{Title: "WHAT", Min: 12, Max: 24, Cell: func(ev *E) ui.Cell { return ui.Txt(ev.Subject) }},
		{Title: "", Min: 30, Max: 160, Cell: func(ev *E) ui.Cell { return ui.In(th.Muted, ev.Text) }},
	}
}

func evalColumns(e *screen.Env) []ui.Column[cluster.Evaluation] {
	type E = cluster.Evaluation
	th := e.Theme
	return []ui.Column[E]{
		{Title: "EVALUATION", Min: 10, Max: 20, Cell: func(ev *E) ui.Cell { return ui.In(th.Muted, ev.ID.Short()) }},
		{Title: "CHANGED", Min: 7, Align: ui.Right, Cell: func(ev *E) ui.Cell { return ui.In(th.Muted, ui.Age(ev.Modified, e.Now())) }},
		{Title: "TIME", Min: 8, Drop: 1, Cell: func(ev *E) ui.Cell { return ui.In(th.Muted, clock(ev.Modified, e)) }},
		{Title: "STATUS", Min: 12, Max: 24, Cell: func(ev *E) ui.Cell { return screen.EvalState(th, ev) }},
		{Title: "WHY", Min: 30, Max: 160, Cell: func(ev *E) ui.Cell { return ui.In(th.Muted, evalText(ev)) }},
	}
}

func evalText(ev *cluster.Evaluation) string {
	parts := []string{ev.TriggeredBy}
	if ev.StatusText != "" {
		parts = append(parts, ev.StatusText)
	}
	for _, f := range ev.Failures {
		parts = append(parts, action.FailureText(f))
	}
	return strings.Join(parts, ": ")
}

// shortName is an allocation's name without its job: "server[0]".
func shortName(a *cluster.Alloc) string {
	return ui.Clean(strings.TrimPrefix(a.Name, a.Job.Name+"."))
}
