package metrics

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// identity is a model version as the labels name it; parts may be empty.
type identity struct{ model, version string }

// series is one counter or histogram of an endpoint. Roles are kept apart,
// since one counter may serve two.
type series struct {
	role   role // or outcomes
	ended  class
	place  int
	labels string
}

// outcomes stands in a series for the role of a dialect's outcomes.
const outcomes = roles

// reading is what one endpoint says of one model version at one time.
type reading struct {
	counters   map[series]float64
	histograms map[series]*histogram
	gauges     map[role]mean
}

// mean gathers gauges: a sum of requests, an average of shares.
type mean struct {
	sum float64
	n   int
}

// page is one scrape, normalised.
type page struct {
	dialect  *dialect
	models   map[identity]*reading
	training map[identity]*progress
}

// parsePage reads the Prometheus text format.
func parsePage(body io.Reader) (page, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(body)
	if err != nil {
		return page{}, fmt.Errorf("read metrics: %w", err)
	}
	p := page{models: map[identity]*reading{}, training: readTraining(families)}
	p.dialect = recognise(families)
	if d := p.dialect; d != nil {
		for r := range roles {
			p.readRole(families, r)
		}
		for i := range d.outcomes {
			p.readOutcome(families, i)
		}
	}
	return p, nil
}

// recognise tells the kind of server by the names of its metrics.
func recognise(families map[string]*dto.MetricFamily) *dialect {
	for _, d := range dialects() {
		for name := range families {
			if slices.ContainsFunc(d.marks, func(mark string) bool { return strings.HasPrefix(name, mark) }) {
				return &d
			}
		}
	}
	return nil
}

// part is what of a family a name means.
type part uint8

const (
	whole part = iota
	countOf
	sumOf
)

// lookup finds the first of the names that is there.
func lookup(families map[string]*dto.MetricFamily, names []string) (*dto.MetricFamily, part) {
	for _, name := range names {
		if f := families[name]; f != nil {
			return f, whole
		}
		if base, ok := strings.CutSuffix(name, "_count"); ok && families[base] != nil {
			return families[base], countOf
		}
		if base, ok := strings.CutSuffix(name, "_sum"); ok && families[base] != nil {
			return families[base], sumOf
		}
	}
	return nil, whole
}

func (p *page) readRole(families map[string]*dto.MetricFamily, r role) {
	family, of := lookup(families, p.dialect.names[r])
	scale := cmp.Or(p.dialect.scale[r], 1)
	for _, m := range family.GetMetric() {
		labels := labelMap(m)
		if repeats(labels) {
			continue
		}
		s := series{role: r, labels: signature(labels)}
		switch r {
		case inFlight, queue, kvCache:
			if v, ok := number(m, of); ok && v >= 0 {
				in := p.of(labels)
				g := in.gauges[r]
				in.gauges[r] = mean{g.sum + v*scale, g.n + 1}
			}
		case duration, firstToken:
			if h := readHistogram(m.GetHistogram(), scale); h != nil {
				p.of(labels).histograms[s] = h
			}
		default:
			if v, ok := number(m, of); ok && v >= 0 {
				p.of(labels).counters[s] = v
			}
		}
	}
}

func (p *page) readOutcome(families map[string]*dto.MetricFamily, i int) {
	o := p.dialect.outcomes[i]
	family, of := lookup(families, []string{o.name})
	for _, m := range family.GetMetric() {
		labels := labelMap(m)
		if repeats(labels) || o.skip != nil && o.skip(labels) {
			continue
		}
		v, ok := number(m, of)
		ended, told := o.class(labels)
		if !ok || v < 0 || !told {
			continue
		}
		p.of(labels).counters[series{role: outcomes, ended: ended, place: o.place, labels: signature(labels)}] = v
	}
}

// class says how the requests of one series ended.
func (o outcome) class(labels map[string]string) (ended class, told bool) {
	value := labels[o.label]
	if !o.codes {
		if c, ok := o.ended[value]; ok {
			return c, true
		}
		return o.otherwise, true
	}
	switch {
	case len(value) != len("200"):
		return fine, false
	case value[0] == '5':
		return failed, true
	case value[0] == '4':
		return rejected, true
	}
	return fine, true
}

// of is the reading of the version that the labels name.
func (p *page) of(labels map[string]string) *reading {
	id := identity{}
	if p.dialect.model != "" {
		id.model = labels[p.dialect.model]
	}
	if p.dialect.version != "" {
		id.version = labels[p.dialect.version]
	}
	r := p.models[id]
	if r == nil {
		r = &reading{counters: map[series]float64{}, histograms: map[series]*histogram{}, gauges: map[role]mean{}}
		p.models[id] = r
	}
	return r
}

// number takes one value of a metric; ok is false where it has none.
func number(m *dto.Metric, of part) (v float64, ok bool) {
	switch {
	case of == countOf && m.Histogram != nil:
		v = float64(m.Histogram.GetSampleCount())
	case of == countOf && m.Summary != nil:
		v = float64(m.Summary.GetSampleCount())
	case of == sumOf && m.Histogram != nil:
		v = m.Histogram.GetSampleSum()
	case of == sumOf && m.Summary != nil:
		v = m.Summary.GetSampleSum()
	case of != whole:
		return 0, false
	case m.Counter != nil:
		v = m.Counter.GetValue()
	case m.Gauge != nil:
		v = m.Gauge.GetValue()
	case m.Untyped != nil:
		v = m.Untyped.GetValue()
	default:
		return 0, false
	}
	return v, !math.IsNaN(v) && !math.IsInf(v, 0)
}

func labelMap(m *dto.Metric) map[string]string {
	out := make(map[string]string, len(m.GetLabel()))
	for _, l := range m.GetLabel() {
		out[l.GetName()] = l.GetValue()
	}
	return out
}

func repeats(labels map[string]string) bool {
	for _, name := range duplicated() {
		if v := labels[name]; v != "" && v != "0" {
			return true
		}
	}
	return false
}

// signature is the labels as one comparable text.
func signature(labels map[string]string) string {
	parts := make([]string, 0, len(labels))
	for name, value := range labels {
		parts = append(parts, fmt.Sprintf("%q=%q", name, value))
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}
