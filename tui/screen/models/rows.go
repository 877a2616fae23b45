package models

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"stoker/cluster"
	"stoker/tui/screen"
	"stoker/tui/screen/parts"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// row is one model version with the job that serves it, which may be nil.
type row struct {
	*cluster.Model
	job *cluster.Job
}

func rows(s *cluster.Snapshot) []row {
	out := make([]row, len(s.Models))
	for i := range s.Models {
		out[i] = row{&s.Models[i], s.Job(s.Models[i].Key.Job)}
	}
	return out
}

// reported says which of the optional numbers some server reports.
type reported struct {
	queue, ttft, tokens, kv, rejected, flight, accuracy bool
}

// with adds what the rows report: a column that was shown stays.
func (h reported) with(rows []row) reported {
	for _, r := range rows {
		h.queue = h.queue || r.Queue != nil
		h.ttft = h.ttft || r.TTFT95 != nil
		h.tokens = h.tokens || r.TokensPerSec != nil
		h.kv = h.kv || r.KVCacheRatio != nil
		h.rejected = h.rejected || r.RejectedRatio != nil
		h.flight = h.flight || r.InFlight != nil
		h.accuracy = h.accuracy || accuracy(&r) != nil
	}
	return h
}

// accuracy is what the registry says of the version.
func accuracy(r *row) *float64 {
	if r.Artifact == nil {
		return nil
	}
	if v, ok := r.Artifact.Evaluation["accuracy"]; ok {
		return &v
	}
	return nil
}

// staleAfter is the age from which metrics are drawn faint: windows are half a minute.
const staleAfter = 30 * time.Second

// columns hides those of which no model reports anything.
func columns(e *screen.Env, has *reported) []ui.Column[row] {
	th := e.Theme
	type col = ui.Column[row]
	number := func(name, title string, width, drop int, of func(*row) *float64, cell func(*row) ui.Cell) col {
		return col{Name: name, Title: title, Min: width, Align: ui.Right, Drop: drop, Cell: cell, By: func(r *row) ui.Key { return ui.ByKnown(of(r)) }, Desc: true}
	}
	when := func(shown *bool, c col) col {
		c.When = func() bool { return *shown }
		return c
	}
	quantile := func(name, title string, width, drop int, of func(*row) *cluster.Quantile) col {
		c := number(name, title, width, drop, func(r *row) *float64 {
			if q := of(r); q != nil {
				return &q.Seconds
			}
			return nil
		}, func(r *row) ui.Cell { return ui.Txt(parts.Latency(of(r))) })
		c.Max = 9
		return c
	}
	cols := []col{
		{Name: "model", Title: "MODEL", Min: 16, Max: 34, Cell: func(r *row) ui.Cell { return ui.Txt(name(r.Key)) }, By: func(r *row) ui.Key { return ui.ByText(name(r.Key)) }},
		{Name: "version", Title: "VERSION", Min: 7, Max: 14, Cell: func(r *row) ui.Cell { return ui.Txt(cmp.Or(r.Key.Version, ui.None)) }},
		{Name: "state", Title: "STATE", Min: 12, Max: 16, Cell: func(r *row) ui.Cell { return state(th, r) }, By: func(r *row) ui.Key { return ui.ByText(state(th, r).Text) }},
		{Name: "replicas_ready", Title: "REPLICAS", Min: 8, Align: ui.Right, Drop: 2, Cell: func(r *row) ui.Cell { return replicas(th, r) }},
		number("requests_per_second", "REQ/S", 7, 0, func(r *row) *float64 { return r.Requests }, func(r *row) ui.Cell { return ui.Txt(parts.Rate(r.Requests)) }),
		number("error_ratio", "ERR %", 5, 0, func(r *row) *float64 { return r.ErrorRatio }, func(r *row) ui.Cell { return errorCell(th, r.ErrorRatio) }),
		when(&has.rejected, number("rejected_ratio", "4XX %", 5, 9, func(r *row) *float64 { return r.RejectedRatio }, func(r *row) ui.Cell { return ui.In(th.Muted, percentOf(r.RejectedRatio, 1)) })),
		quantile("latency_p50_seconds", "p50", 7, 6, func(r *row) *cluster.Quantile { return r.P50 }),
		quantile("latency_p95_seconds", "p95", 7, 0, func(r *row) *cluster.Quantile { return r.P95 }),
		quantile("latency_p99_seconds", "p99", 7, 3, func(r *row) *cluster.Quantile { return r.P99 }),
		when(&has.ttft, quantile("ttft_p95_seconds", "TTFT p95", 8, 4, func(r *row) *cluster.Quantile { return r.TTFT95 })),
		when(&has.tokens, number("tokens_per_second", "TOK/S", 7, 8, func(r *row) *float64 { return r.TokensPerSec }, func(r *row) ui.Cell { return ui.Txt(ui.Num(r.TokensPerSec, 0, "")) })),
		when(&has.queue, number("queue", "QUEUE", 5, 5, func(r *row) *float64 { return r.Queue }, func(r *row) ui.Cell { return queueCell(th, r) })),
		when(&has.flight, number("in_flight", "IN FLIGHT", 9, 10, func(r *row) *float64 { return r.InFlight }, func(r *row) ui.Cell { return ui.Txt(ui.Num(r.InFlight, 0, "")) })),
		when(&has.kv, number("kv_cache_ratio", "KV %", 4, 7, func(r *row) *float64 { return r.KVCacheRatio }, func(r *row) ui.Cell { return ui.Txt(percentOf(r.KVCacheRatio, 0)) })),
		when(&has.accuracy, number("accuracy", "ACCURACY", 8, 11, accuracy, func(r *row) ui.Cell { return ui.In(th.Muted, ui.Ratio(accuracy(r), 1)) })),
		{Name: "gpu_util_percent", Title: "GPU UTIL", Min: 11, Drop: 1, Cell: func(r *row) ui.Cell { return parts.Meter(th, r.GPUUtil, 5) }, By: func(r *row) ui.Key { return ui.ByKnown(r.GPUUtil) }, Desc: true},
	}
	return parts.Fade(th, cols, func(r *row) bool { return r.Reports && e.Now().Sub(r.At) > staleAfter })
}

func name(k cluster.ModelKey) string { return k.Job.Namespace + "/" + cmp.Or(k.Model, k.Job.Name) }

// state is the answer in a word or two.
func state(th *theme.Theme, r *row) ui.Cell {
	switch j := r.job; {
	case r.Running == 0 && j != nil && j.Starting > 0:
		return ui.In(th.Accent, th.G.Busy+" starting")
	case r.Running == 0 && j != nil && j.Waiting != nil:
		return ui.In(th.Warn, th.G.Warn+" waiting")
	case r.Running == 0 && r.Desired > 0:
		return ui.In(th.Bad, th.G.Bad+" down")
	case !r.Reports:
		return ui.In(th.Unknown, th.G.Unknown+" no metrics")
	case r.Replicas == 0:
		return ui.In(th.Bad, th.G.Bad+" no answer")
	case r.Replicas < r.Running:
		return ui.In(th.Warn, fmt.Sprintf("%s %d/%d answer", th.G.Warn, r.Replicas, r.Running))
	case r.Running < r.Desired:
		return ui.In(th.Warn, fmt.Sprintf("%s %d/%d run", th.G.Warn, r.Running, r.Desired))
	case r.Requests == nil:
		return ui.In(th.Accent, th.G.Busy+" measuring")
	case *r.Requests == 0:
		return ui.In(th.Muted, th.G.Off+" no traffic")
	case r.ErrorRatio != nil && *r.ErrorRatio >= errorsBad:
		return ui.In(th.Bad, th.G.Bad+" errors")
	case r.ErrorRatio != nil && *r.ErrorRatio >= errorsWarn:
		return ui.In(th.Warn, th.G.Warn+" errors")
	case limit(r) != "":
		return ui.In(th.Warn, th.G.Warn+" overloaded")
	}
	return ui.In(th.OK, th.G.OK+" serving")
}

func replicas(th *theme.Theme, r *row) ui.Cell {
	text := fmt.Sprintf("%d/%d", r.Running, r.Desired)
	if r.Running < r.Desired {
		return ui.In(th.Warn, text)
	}
	return ui.Txt(text)
}

// percentOf is a share of 1 as percent, for a column that has the unit in its title.
func percentOf(v *float64, decimals int) string {
	if v == nil {
		return ui.None
	}
	p := 100 * *v
	return ui.Num(&p, decimals, "")
}

// How many errors are worth a colour.
const (
	errorsWarn = 0.01
	errorsBad  = 0.05
)

func errorCell(th *theme.Theme, v *float64) ui.Cell {
	text := percentOf(v, 1)
	switch {
	case v != nil && *v >= errorsBad:
		return ui.In(th.Bad, text)
	case v != nil && *v >= errorsWarn:
		return ui.In(th.Warn, text)
	}
	return ui.Txt(text)
}

func queueCell(th *theme.Theme, r *row) ui.Cell {
	if r.Queue != nil && *r.Queue >= 1 {
		return ui.In(th.Warn, ui.Num(r.Queue, 0, ""))
	}
	return ui.Txt(ui.Num(r.Queue, 0, ""))
}

func (m *Model) summary(s *cluster.Snapshot) string {
	th := m.Env.Theme
	var bad, warn, silent int
	var rate screen.Adder
	for _, r := range rows(s) {
		rate.Add(r.Requests)
		switch c := state(th, &r); {
		case strings.HasPrefix(c.Text, th.G.Bad):
			bad++
		case strings.HasPrefix(c.Text, th.G.Warn):
			warn++
		case !r.Reports:
			silent++
		}
	}
	n := len(s.Models)
	segs := []ui.Seg{{Text: th.Title.Render(ui.Count(n, "model version"))}}
	add := func(n int, st theme.Style, text string) {
		if n > 0 {
			segs = append(segs, ui.Seg{Text: st.Render(fmt.Sprintf(text, n))})
		}
	}
	add(bad, th.Bad, th.G.Bad+" %d bad")
	add(warn, th.Warn, th.G.Warn+" %d not well")
	add(n-bad-warn-silent, th.OK, th.G.OK+" %d up")
	add(silent, th.Unknown, th.G.Unknown+" %d without metrics")
	if sum := rate.Sum(); sum != nil {
		segs = append(segs, ui.Seg{Text: parts.Rate(sum) + th.Muted.Render(" req/s in all"), Drop: 1})
	}
	return ui.Segs(segs, 3, m.w-3)
}
