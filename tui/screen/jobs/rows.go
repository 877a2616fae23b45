package jobs

import (
	"cmp"
	"fmt"
	"strings"

	"stoker/cluster"
	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// row is one job with its GPUs added up.
type row struct {
	*cluster.Job
	deployment *cluster.Deployment
	state      state
	util       screen.Adder
	failedGPUs int
}

// rows makes a row for each job, in one pass over the GPUs.
func rows(s *cluster.Snapshot) []row {
	out := make([]row, len(s.Jobs))
	at := make(map[cluster.JobID]*row, len(out))
	for i := range s.Jobs {
		out[i].Job = &s.Jobs[i]
		at[s.Jobs[i].ID] = &out[i]
	}
	for i := range s.GPUs {
		g := &s.GPUs[i]
		if g.Holder == nil || at[g.Holder.Job] == nil {
			continue
		}
		r := at[g.Holder.Job]
		if now := g.Live(s.At); now != nil {
			r.util.Add(now.UtilPercent)
		}
		if g.Failed() || !g.NodeUp {
			r.failedGPUs++
		}
	}
	for i := range out {
		out[i].deployment = s.JobDeployment(out[i].ID)
		out[i].state = out[i].State(out[i].deployment, out[i].failedGPUs)
	}
	return out
}

func columns(e *screen.Env) []ui.Column[row] {
	th := e.Theme
	return []ui.Column[row]{
		{Name: "job", Title: "JOB", Min: 22, Max: 48, Cell: func(r *row) ui.Cell { return ui.Txt(r.ID.String()) }, By: func(r *row) ui.Key { return screen.ByJob(r.ID) }},
		{Name: "kind", Title: "KIND", Min: 9, Drop: 6, Cell: func(r *row) ui.Cell { return kindCell(th, r) }, By: func(r *row) ui.Key { return ui.ByText(kindOf(r.Job)) }},
		{Name: "model", Title: "MODEL", Min: 16, Max: 30, Drop: 3, Cell: func(r *row) ui.Cell { return modelCell(th, r.Job) }, By: func(r *row) ui.Key { return ui.ByText(modelOf(r.Job)) }},
		{Name: "state", Title: "STATE", Min: 10, Cell: func(r *row) ui.Cell { return stateCell(th, r.state) }, By: func(r *row) ui.Key { return ui.By(r.state) }},
		{Name: "running", Title: "RUN", Min: 7, Align: ui.Right, Cell: func(r *row) ui.Cell { return ui.Txt(runOf(r.Job)) }, By: func(r *row) ui.Key { return ui.By(r.Running) }, Desc: true},
		{Name: "gpus_held", Title: "GPUS", Min: 4, Align: ui.Right, Cell: func(r *row) ui.Cell { return count(th, r.GPUsHeld, th.Text) }, By: func(r *row) ui.Key { return ui.By(r.GPUsHeld) }, Desc: true},
		{Name: "util_percent", Title: "UTIL", Min: 5, Align: ui.Right, Drop: 2, Cell: func(r *row) ui.Cell { return ui.Txt(ui.Percent(r.util.Mean())) }, By: func(r *row) ui.Key { return ui.ByKnown(r.util.Mean()) }, Desc: true},
		{Name: "deployment", Title: "DEPLOYMENT", Min: 16, Drop: 5, Cell: func(r *row) ui.Cell { return screen.DeploymentState(th, r.deployment) }},
		{Name: "job_version", Title: "VERSION", Min: 7, Align: ui.Right, Drop: 7, Cell: func(r *row) ui.Cell { return ui.In(th.Muted, fmt.Sprintf("v%d", r.Version)) }},
		{Name: "priority", Title: "PRIO", Min: 4, Align: ui.Right, Drop: 8, Cell: func(r *row) ui.Cell { return ui.In(th.Muted, ui.Int(r.Priority)) }, By: func(r *row) ui.Key { return ui.By(r.Priority) }, Desc: true},
		{Name: "submitted", Title: "AGE", Min: 4, Align: ui.Right, Drop: 1, Cell: func(r *row) ui.Cell { return ui.In(th.Muted, ui.Age(r.Submitted, e.Now())) }, By: func(r *row) ui.Key { return ui.ByAge(r.Submitted) }},
	}
}

// count is a number that fades when it is 0.
func count(th *theme.Theme, n int, st theme.Style) ui.Cell {
	if n == 0 {
		return ui.In(th.Faint, "0")
	}
	return ui.In(st, ui.Int(n))
}

// kindOf is what the job says it does, or Nomad's type of it.
func kindOf(j *cluster.Job) string { return cmp.Or(string(j.Kind), j.Type) }

func kindCell(th *theme.Theme, r *row) ui.Cell {
	if r.Kind == "" {
		return ui.In(th.Faint, r.Type)
	}
	return ui.Txt(string(r.Kind))
}

func modelOf(j *cluster.Job) string {
	if j.Model == "" || j.ModelVer == "" {
		return j.Model
	}
	return j.Model + ":" + j.ModelVer
}

func modelCell(th *theme.Theme, j *cluster.Job) ui.Cell {
	if m := modelOf(j); m != "" {
		return ui.Txt(m)
	}
	return ui.In(th.Faint, ui.None)
}

// runOf is "2/3": how many run, of how many that are wanted.
func runOf(j *cluster.Job) string {
	if want, known := j.Wants(); known {
		return ui.Int(j.Running) + "/" + ui.Int(want)
	}
	return ui.Int(j.Running)
}

// summary is the answer in one line: how many jobs, and how they do.
func summary(th *theme.Theme, s *cluster.Snapshot, all []row, w int) string {
	var n [stopped + 1]int
	for i := range all {
		n[all[i].state]++
	}
	segs := []ui.Seg{{Text: th.Title.Render(ui.Count(len(s.Jobs), "job"))}}
	for _, st := range []state{running, failed, degraded, waiting, starting} {
		if n[st] > 0 {
			c := stateCell(th, st)
			glyph, word, _ := strings.Cut(c.Text, " ")
			segs = append(segs, ui.Seg{Text: c.Style.Render(fmt.Sprintf("%s %d %s", glyph, n[st], word))})
		}
	}
	if done := n[complete] + n[stopped]; done > 0 {
		segs = append(segs, ui.Seg{Text: th.Muted.Render(fmt.Sprintf("%s %d ended", th.G.Off, done)), Drop: 3})
	}
	if s.Fleet.Claims {
		segs = append(segs, ui.Seg{Text: th.Muted.Render(ui.Count(s.Fleet.Held, "GPU") + " held"), Drop: 1})
	}
	if s.Fleet.Pending > 0 {
		segs = append(segs, ui.Seg{Text: th.Muted.Render(ui.Int(s.Fleet.Pending) + " more wanted"), Drop: 2})
	}
	return ui.Segs(segs, 3, w-4)
}
