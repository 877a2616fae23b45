package training

import (
	"fmt"

	"stoker/cluster"
	"stoker/tui/screen"
	"stoker/tui/screen/parts"
	"stoker/tui/ui"
)

// detail is one training job: progress, the curve of its loss, its GPUs.
type detail struct {
	parts.Detail
	id    cluster.JobID
	sheet *parts.Sheet
}

func newDetail(e *screen.Env, id cluster.JobID) *detail {
	d := &detail{id: id, sheet: parts.NewSheet(e)}
	d.Detail = parts.NewDetail(e, d.sheet.GPUs, d.draw)
	return d
}

func (d *detail) draw() {
	th := d.Env.Theme
	t := find(d.Snap, d.id)
	if t == nil {
		d.sheet.Set([]string{"", "  " + th.Muted.Render("job "+d.id.String()+" is not there any more; esc goes back")}, nil, d.W, d.H)
		return
	}
	gpus := d.Snap.JobGPUs(d.id)
	lines := d.head(t)
	if t.Reports {
		lines = append(lines, d.numbers(t)...)
	} else {
		lines = append(lines, parts.Text(th, "progress", d.silence(t), th.Unknown, d.W, 2)...)
	}
	if room := parts.Room(d.H, len(gpus)) - len(lines); len(t.Loss) > 1 && room >= 3 {
		lines = append(lines, d.loss(t, min(room, 16))...)
	}
	d.sheet.Set(lines, gpus, d.W, d.H)
}

// silence says why there are no numbers.
func (d *detail) silence(t *row) string {
	switch t.Status {
	case "waiting":
		text := "none yet: the job waits to be placed"
		if j := d.Snap.Job(d.id); j != nil && j.Waiting != nil {
			text += fmt.Sprintf(" for %s, wants %s", ui.Age(j.Waiting.Since, d.Env.Now()), ui.Count(j.Waiting.GPUs, "GPU"))
		}
		return text + "; w says why"
	case "starting", "pending":
		return "none yet: the job starts"
	}
	if over(t) {
		return "none was seen before the job ended"
	}
	return "none yet: no service of the job has the tag stoker.metrics=/path, or it has not answered so far"
}

func (d *detail) head(t *row) []string {
	th, now := d.Env.Theme, d.Env.Now()
	read := ""
	if t.Reports {
		read = "reported " + ui.Ago(t.At, now)
	}
	ended := ""
	if over(t) && !t.Ended.IsZero() {
		ended = "ended " + ui.Ago(t.Ended, now)
	}
	submitted := ""
	if j := d.Snap.Job(d.id); j != nil && !j.Submitted.IsZero() {
		submitted = ui.Ago(j.Submitted, now)
	}
	facts := []parts.Fact{{Value: model(t)}}
	if !over(t) {
		facts = append(facts, parts.Fact{Value: "on " + ui.Count(t.GPUs, "GPU")}, parts.F("GPU util", ui.Percent(t.GPUUtil)))
	}
	return append([]string{parts.Head(th, t.Job.String()+screen.In(d.Snap, t.Place), state(th, t), ended, read, d.W)},
		parts.Facts(th, "makes", append(facts, parts.F("submitted", submitted)), d.W)...)
}

func (d *detail) numbers(t *row) []string {
	th := d.Env.Theme
	bar := parts.Bar(th, progress(t), max(min(d.W-50, 60), 10), th.Accent)
	if over(t) {
		bar = parts.Faded(th, bar)
		bar.Styled = bar.Style.Render(bar.Text)
	}
	line := "  " + th.Muted.Render(ui.Fit("progress", parts.Label))
	if progress(t) != nil {
		line += bar.Styled + "   "
	}
	line += th.Muted.Render("step ") + steps(t)
	rate, lr := parts.Worth(ui.Num(t.SamplesPerSec, 0, "")), ""
	if t.LearningRate != nil {
		lr = fmt.Sprintf("%.1e", *t.LearningRate)
	}
	if rate != "" {
		rate += " samples/s"
	}
	return append([]string{line}, parts.Facts(th, "now", []parts.Fact{
		parts.F("loss", lossText(t.TrainingSample.Loss)), parts.F("accuracy", ui.Ratio(t.Accuracy, 1)), parts.F("epoch", ui.Num(t.Epoch, 0, "")),
		{Value: rate},
		parts.F("learning rate", lr),
	}, d.W)...)
}

// loss draws the curve in h lines.
func (d *detail) loss(t *row, h int) []string {
	th := d.Env.Theme
	w := d.W - 4
	points := curve(t.Loss, parts.PlotWidth(w))
	low, high, ok := parts.Span(points)
	if !ok {
		return nil
	}
	var out []string
	if h >= 8 {
		out, h = append(out, ""), h-1
	}
	c := parts.Chart{Name: "loss", Value: lossText(t.TrainingSample.Loss), Points: points, Low: low, High: high, LowText: lossText(&low), HighText: lossText(&high)}
	if high <= low {
		c.High, c.LowText = low+1, ""
	}
	if h < 5 {
		const value = 14
		c.Points = curve(t.Loss, max(d.W-parts.Label-value-6, 1))
		return append(out, c.Row(th, value, len(c.Points)))
	}
	for _, l := range c.Lines(th, w, h-1) {
		out = append(out, "  "+l)
	}
	first, last := t.Loss[0].Step, t.Loss[len(t.Loss)-1].Step
	axis := ui.Spaces(w-parts.PlotWidth(w)) + ui.Sides("step "+ui.Num(&first, 0, ""), "step "+ui.Num(&last, 0, ""), parts.PlotWidth(w))
	return append(out, "  "+th.Faint.Render(axis))
}
