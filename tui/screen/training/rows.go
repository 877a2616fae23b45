package training

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"stoker/cluster"
	"stoker/tui/screen"
	"stoker/tui/screen/parts"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

type row = cluster.Training

// over reports a run that ended.
func over(t *row) bool {
	switch t.Status {
	case "running", "starting", "waiting", "pending":
		return false
	}
	return true
}

// arrange puts what goes on before what ended, of which the latest comes first.
func arrange(in []row) []row {
	out := slices.Clone(in)
	slices.SortStableFunc(out, func(a, b row) int {
		ea, eb := over(&a), over(&b)
		switch {
		case ea != eb && ea:
			return 1
		case ea != eb:
			return -1
		case ea:
			return b.Ended.Compare(a.Ended)
		}
		return 0
	})
	return out
}

func find(s *cluster.Snapshot, id cluster.JobID) *row {
	for i := range s.Training {
		if s.Training[i].Job == id {
			return &s.Training[i]
		}
	}
	return nil
}

// curveCells is the width of the curve in the table.
const curveCells = 16

func columns(e *screen.Env) []ui.Column[row] {
	th := e.Theme
	by := func(of func(*row) *float64) func(*row) ui.Key {
		return func(r *row) ui.Key { return ui.ByKnown(of(r)) }
	}
	loss := func(t *row) *float64 { return t.TrainingSample.Loss }
	return parts.Fade(th, []ui.Column[row]{
		{Name: "job", Title: "JOB", Min: 16, Max: 36, Cell: func(t *row) ui.Cell { return ui.Txt(t.Job.String()) }, By: func(r *row) ui.Key { return screen.ByJob(r.Job) }},
		{Name: "model", Title: "MODEL", Min: 12, Max: 28, Drop: 4, Cell: func(t *row) ui.Cell { return ui.Txt(model(t)) }, By: func(r *row) ui.Key { return ui.ByText(model(r)) }},
		{Name: "status", Title: "STATE", Min: 10, Max: 13, Cell: func(t *row) ui.Cell { return state(th, t) }, By: func(r *row) ui.Key { return ui.ByText(string(r.Status)) }},
		{Name: "progress", Title: "PROGRESS", Min: 12, Cell: func(t *row) ui.Cell { return parts.Bar(th, progress(t), 6, th.Accent) }, By: by(progress), Desc: true},
		{Name: "step", Title: "STEP", Min: 16, Max: 22, Align: ui.Right, Drop: 5, Cell: func(t *row) ui.Cell { return ui.Txt(steps(t)) }, By: by(func(t *row) *float64 { return t.Step }), Desc: true},
		{Name: "epoch", Title: "EPOCH", Min: 5, Align: ui.Right, Drop: 7, Cell: func(t *row) ui.Cell { return ui.Txt(ui.Num(t.Epoch, 0, "")) }},
		{Name: "loss", Title: "LOSS", Min: 7, Align: ui.Right, Cell: func(t *row) ui.Cell { return ui.Txt(lossText(loss(t))) }, By: by(loss)},
		{Name: "loss_curve", Graph: true, Title: "LOSS SO FAR", Min: curveCells, Drop: 2, Cell: func(t *row) ui.Cell { return ui.Cell{Text: spark(&th.G, t.Loss, curveCells), Style: th.Accent} }},
		{Name: "accuracy", Title: "ACCURACY", Min: 8, Align: ui.Right, Drop: 3, Cell: func(t *row) ui.Cell { return ui.Txt(ui.Ratio(t.Accuracy, 1)) }, By: by(func(t *row) *float64 { return t.Accuracy }), Desc: true},
		{Name: "samples_per_second", Title: "SAMPLES/S", Min: 9, Align: ui.Right, Drop: 6, Cell: func(t *row) ui.Cell { return ui.Txt(ui.Num(t.SamplesPerSec, 0, "")) }, By: by(func(t *row) *float64 { return t.SamplesPerSec }), Desc: true},
		{Name: "gpus", Title: "GPUS", Min: 4, Align: ui.Right, Drop: 8, Cell: func(t *row) ui.Cell { return ui.Txt(ui.Int(t.GPUs)) }},
		{Name: "gpu_util_percent", Title: "GPU UTIL", Min: 11, Drop: 1, Cell: func(t *row) ui.Cell { return parts.Meter(th, t.GPUUtil, 5) }, By: by(func(t *row) *float64 { return t.GPUUtil }), Desc: true},
	}, over)
}

func model(t *row) string {
	if t.Version == "" {
		return cmp.Or(t.Model, ui.None)
	}
	return t.Model + ":" + t.Version
}

func state(th *theme.Theme, t *row) ui.Cell {
	switch t.Status {
	case "running":
		if !t.Reports {
			return ui.In(th.Unknown, th.G.Unknown+" silent")
		}
		return ui.In(th.OK, th.G.OK+" running")
	case "starting", "pending":
		return ui.In(th.Accent, th.G.Busy+" starting")
	case "waiting":
		return ui.In(th.Warn, th.G.Warn+" waiting")
	case "failed", "lost":
		return ui.In(th.Bad, th.G.Bad+" "+t.Status)
	case "complete":
		return ui.In(th.Muted, th.G.Off+" complete")
	}
	return ui.In(th.Muted, th.G.Off+" ended")
}

// progress is percent of the planned steps; nil when one of the two is unknown.
func progress(t *row) *float64 {
	if t.Step == nil || t.PlannedSteps == nil || *t.PlannedSteps <= 0 {
		return nil
	}
	p := min(100**t.Step / *t.PlannedSteps, 100)
	return &p
}

func steps(t *row) string {
	if t.Step == nil || t.PlannedSteps == nil {
		return ui.Num(t.Step, 0, "")
	}
	return ui.Num(t.Step, 0, "") + " of " + ui.Num(t.PlannedSteps, 0, "")
}

// lossText is a loss with three digits that count.
func lossText(v *float64) string {
	switch {
	case v == nil:
		return ui.None
	case math.IsNaN(*v):
		return "not a number"
	case math.Abs(*v) >= 100:
		return ui.Num(v, 0, "")
	case math.Abs(*v) >= 1:
		return ui.Num(v, 2, "")
	case math.Abs(*v) >= 0.001 || *v == 0:
		return ui.Num(v, 4, "")
	}
	return fmt.Sprintf("%.1e", *v)
}

// curve lays a loss over w cells of equal numbers of steps: the mean of the
// points in a cell, and between cells with points a straight line.
func curve(points []cluster.Point, w int) []float64 {
	out := make([]float64, w)
	for i := range out {
		out[i] = math.NaN()
	}
	if len(points) == 0 || w < 1 {
		return nil
	}
	first, last := points[0].Step, points[len(points)-1].Step
	n := make([]int, w)
	for _, p := range points {
		if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
			continue
		}
		i := w - 1
		if last > first {
			i = min(int((p.Step-first)/(last-first)*float64(w)), w-1)
		}
		if n[i] == 0 {
			out[i] = 0
		}
		out[i] += (p.Value - out[i]) / float64(n[i]+1)
		n[i]++
	}
	fill(out)
	return out
}

// fill draws a straight line through gaps between two known points.
func fill(points []float64) {
	last := -1
	for i, p := range points {
		if math.IsNaN(p) {
			continue
		}
		for j := last + 1; last >= 0 && j < i; j++ {
			points[j] = points[last] + (p-points[last])*float64(j-last)/float64(i-last)
		}
		last = i
	}
}

// spark is a curve in one line between its own least and largest value.
func spark(g *theme.Glyphs, points []cluster.Point, w int) string {
	c := curve(points, w)
	low, high, ok := parts.Span(c)
	if !ok {
		return ""
	}
	if high <= low {
		high = low + 1
	}
	for i := range c {
		c[i] -= low
	}
	return ui.Spark(g, c, w, (high-low)*1.0001)
}

func (m *Model) summary(s *cluster.Snapshot) string {
	th := m.Env.Theme
	counts := map[string]int{}
	gpus := 0
	for i := range s.Training {
		t := &s.Training[i]
		gpus += t.GPUs
		switch {
		case t.Status == "failed" || t.Status == "lost":
			counts["failed"]++
		case over(t):
			counts["ended"]++
		default:
			counts[t.Status]++
		}
	}
	segs := []ui.Seg{{Text: th.Title.Render(ui.Count(len(s.Training), "training job"))}}
	add := func(word string, st theme.Style, glyph string) {
		if n := counts[word]; n > 0 {
			segs = append(segs, ui.Seg{Text: st.Render(fmt.Sprintf("%s %d %s", glyph, n, word))})
		}
	}
	add("failed", th.Bad, th.G.Bad)
	add("waiting", th.Warn, th.G.Warn)
	add("running", th.OK, th.G.OK)
	add("starting", th.Accent, th.G.Busy)
	add("ended", th.Muted, th.G.Off)
	segs = append(segs, ui.Seg{Text: th.Muted.Render("on ") + ui.Count(gpus, "GPU"), Drop: 1})
	return ui.Segs(segs, 3, m.w-3)
}
