package models

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"stoker/cluster"
	"stoker/tui/screen"
	"stoker/tui/screen/parts"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// detail is one model version: numbers, curves, artifact, GPUs.
type detail struct {
	parts.Detail
	key   cluster.ModelKey
	sheet *parts.Sheet
}

func newDetail(e *screen.Env, key cluster.ModelKey) *detail {
	d := &detail{key: key, sheet: parts.NewSheet(e)}
	d.Detail = parts.NewDetail(e, d.sheet.GPUs, d.draw)
	return d
}

func (d *detail) find() *row {
	for i := range d.Snap.Models {
		if m := &d.Snap.Models[i]; m.Key == d.key {
			return &row{m, d.Snap.Job(m.Key.Job)}
		}
	}
	return nil
}

func (d *detail) draw() {
	th := d.Env.Theme
	r := d.find()
	if r == nil {
		d.sheet.Set([]string{"", "  " + th.Muted.Render(name(d.key)+" "+d.key.Version+" is not served any more; esc goes back")}, nil, d.W, d.H)
		return
	}
	gpus := d.Snap.JobGPUs(d.key.Job)
	above := d.head(r)
	if r.Reports {
		above = append(above, d.numbers(r)...)
	} else {
		above = append(above, parts.Text(th, "metrics", noMetrics(r), th.Unknown, d.W, 2)...)
	}
	below := d.artifact(r)
	room := parts.Room(d.H, len(gpus)) - len(above) - len(below)
	if r.Reports && len(r.Rate) > 1 {
		above = append(above, d.charts(r, room)...)
	}
	d.sheet.Set(append(above, below...), gpus, d.W, d.H)
}

// noMetrics says what would make the version report.
func noMetrics(r *row) string {
	if r.Running == 0 {
		return "no metrics yet: no replica runs"
	}
	return "no metrics yet: no service of the job has the tag stoker.metrics=/path, or none answered so far"
}

func (d *detail) head(r *row) []string {
	th := d.Env.Theme
	measured := ""
	if r.Reports {
		measured = "over " + ui.Dur(r.Window) + ", " + ui.Ago(r.At, d.Env.Now())
	}
	more := fmt.Sprintf("%d/%d replicas run", r.Running, r.Desired)
	title := name(r.Key)
	if r.Key.Version != "" {
		title += " " + r.Key.Version
	}
	return append([]string{parts.Head(th, title+screen.In(d.Snap, r.Place), state(th, r), more, measured, d.W)},
		parts.Facts(th, "served by", []parts.Fact{{Value: r.Key.Job.String()}, {Value: ui.Count(r.GPUs, "GPU")}, parts.F("GPU util", ui.Percent(r.GPUUtil))}, d.W)...)
}

func (d *detail) numbers(r *row) []string {
	th := d.Env.Theme
	errs := errorCell(th, r.ErrorRatio)
	out := parts.Facts(th, "latency", []parts.Fact{
		parts.F("p50", parts.Latency(r.P50)), parts.F("p95", parts.Latency(r.P95)), parts.F("p99", parts.Latency(r.P99)),
		parts.F("first token p95", parts.Worth(parts.Latency(r.TTFT95))),
	}, d.W)
	out = append(out, parts.Facts(th, "traffic", []parts.Fact{
		{Value: perSecond(parts.Rate(r.Requests), "req/s")},
		{Name: "errors", Value: ui.Ratio(r.ErrorRatio, 1), Style: errs.Style},
		parts.F("4xx", ui.Ratio(r.RejectedRatio, 1)), parts.F("in flight", parts.Worth(ui.Num(r.InFlight, 0, ""))),
		parts.F("served", parts.Worth(ui.Num(r.RequestsServed, 0, ""))),
	}, d.W)...)
	return append(out, parts.Facts(th, "load", []parts.Fact{
		{Name: "queue", Value: parts.Worth(queueCell(th, r).Text), Style: queueCell(th, r).Style},
		parts.F("KV cache", parts.Worth(ui.Ratio(r.KVCacheRatio, 0))),
		{Value: perSecond(parts.Worth(ui.Num(r.TokensPerSec, 0, "")), "tokens/s")},
		{Value: limit(r), Style: th.Warn},
	}, d.W)...)
}

func perSecond(number, unit string) string {
	if number == "" {
		return ""
	}
	return number + " " + unit
}

// limit says what holds a server back whose requests wait.
func limit(r *row) string {
	switch {
	case r.Queue == nil || *r.Queue < 1 || r.KVCacheRatio == nil:
		return ""
	case *r.KVCacheRatio >= 0.95:
		return "bound by memory: the KV cache is full"
	}
	return "bound by compute or by its limit of sequences: the KV cache is not full"
}

// readings is how many points a curve has when it is full.
const readings = 120

// charts draws rate and p95 in h lines, or in a line each when h is small.
func (d *detail) charts(r *row, h int) []string {
	th := d.Env.Theme
	list := []parts.Chart{
		{Name: "requests", Value: perSecond(parts.Rate(r.Requests), "req/s"), Points: r.Rate},
		{Name: "p95", Value: parts.Latency(r.P95), Points: r.Latency},
	}
	for i, unit := range []func(float64) string{func(v float64) string { return parts.Rate(&v) + " /s" }, parts.Seconds} {
		c := &list[i]
		_, top, _ := parts.Span(c.Points)
		c.High = parts.Ceiling(top)
		c.HighText, c.LowText = unit(c.High), "0"
	}
	span := fmt.Sprintf("last %s", ui.Count(max(len(r.Rate), len(r.Latency)), "reading"))
	if d.W < 100 || h < 6 {
		const value = 14
		w := min(d.W-parts.Label-value-6, readings)
		var out []string
		for _, c := range list {
			c.Points = parts.Window(c.Points, readings, w)
			out = append(out, c.Row(th, value, w))
		}
		return append(out, th.Faint.Render(ui.Spaces(2+parts.Label+value+1)+ui.FitRight(span, w)))
	}
	w, high := min((d.W-6)/2, parts.ChartWidth(readings)), min(h-3, 9)
	for i := range list {
		list[i].Points = parts.Window(list[i].Points, readings, min(parts.PlotWidth(w), readings))
	}
	lines := parts.Beside(2, list[0].Lines(th, w, high), list[1].Lines(th, w, high))
	out := []string{""}
	for _, l := range lines {
		out = append(out, "  "+l)
	}
	axis := ui.FitRight(span, w)
	return append(out, "  "+th.Faint.Render(axis+"  "+axis), "")
}

// artifact is what the registry knows of the version.
func (d *detail) artifact(r *row) []string {
	th, a := d.Env.Theme, r.Artifact
	if a == nil {
		return parts.Facts(th, "artifact", []parts.Fact{{Value: "not in the registry", Style: th.Muted}}, d.W)
	}
	key := parts.Fact{Value: "not sealed", Style: th.Warn}
	if a.Key != "" {
		key = keyFact(th, d.Snap, a)
	}
	trained := ""
	if a.TrainedBy != (cluster.JobID{}) {
		trained = a.TrainedBy.String()
	}
	created := ""
	if !a.Created.IsZero() {
		created = ui.Ago(a.Created, d.Env.Now())
	}
	out := parts.Facts(th, "artifact", []parts.Fact{
		{Value: a.URN.String()}, {Value: ui.Bytes(uint64(max(a.Bytes, 0)))}, parts.F("created", created), parts.F("by", trained),
	}, d.W)
	out = append(out, parts.Facts(th, "sealed", []parts.Fact{key, parts.F("digest", short(a.Digest))}, d.W)...)
	var evals []parts.Fact
	for _, k := range slices.Sorted(maps.Keys(a.Evaluation)) {
		v := a.Evaluation[k]
		text := ui.Num(&v, 3, "")
		switch k {
		case "accuracy", "precision", "recall", "f1":
			text = ui.Ratio(&v, 1)
		}
		evals = append(evals, parts.F(k, text))
	}
	return append(out, parts.Facts(th, "evaluated", evals, d.W)...)
}

func keyFact(th *theme.Theme, s *cluster.Snapshot, a *cluster.Artifact) parts.Fact {
	f := parts.F("key", fmt.Sprintf("%s v%d", a.Key, a.KeyVersion))
	for i := range s.Keys {
		if k := &s.Keys[i]; k.Name == a.Key && a.KeyVersion < k.Latest {
			f.Value += fmt.Sprintf(" (latest is v%d)", k.Latest)
			f.Style = th.Warn
		}
	}
	return f
}

// short cuts a digest to what people compare.
func short(digest string) string {
	alg, hex, ok := strings.Cut(digest, ":")
	if !ok || len(hex) <= 16 {
		return cmp.Or(digest, ui.None)
	}
	return alg + ":" + hex[:16] + screen.Ellipsis
}
