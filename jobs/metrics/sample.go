package metrics

import (
	"cmp"
	"slices"
	"time"

	"stoker/cluster"
)

// modelSamples makes one row for each model version of each job, its replicas
// together. Replicas whose last answer is older than fresh do not count; a row
// without any keeps the time of the last answer and has no numbers, and goes
// when that is older than keep.
func modelSamples(place cluster.Place, now time.Time, targets []*target, fresh, keep time.Duration) []cluster.ModelSample {
	rows := map[cluster.ModelKey]*row{}
	for _, t := range targets {
		last := t.last()
		if last == nil || last.dialect == nil || now.Sub(last.at) > max(fresh, keep) {
			continue
		}
		for _, id := range identities(last.models) {
			key := t.key(id)
			r := rows[key]
			if r == nil {
				r = &row{}
				rows[key] = r
			}
			r.sample.Place, r.sample.Key = place, key
			if last.at.After(r.sample.At) {
				r.sample.At = last.at
			}
			if now.Sub(last.at) <= fresh {
				r.add(t, id)
			}
		}
	}
	out := make([]cluster.ModelSample, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.finish())
	}
	slices.SortFunc(out, func(a, b cluster.ModelSample) int {
		return cmp.Or(a.Key.Job.Compare(b.Key.Job), cmp.Compare(a.Key.Model, b.Key.Model), cmp.Compare(a.Key.Version, b.Key.Version))
	})
	return out
}

// key says whose row a reading belongs to. Labels that the operator chose win;
// others name a path or a repository, and there the job knows better.
func (t *target) key(id identity) cluster.ModelKey {
	e, d := t.endpoint, t.last().dialect
	key := cluster.ModelKey{Job: e.Job, Model: e.Model, Version: e.Version}
	if id.model != "" && (d.trusted || e.Model == "") {
		key.Model = id.model
	}
	if id.version != "" && (d.trusted || e.Version == "") {
		key.Version = id.version
	}
	return key
}

func identities(models map[identity]*reading) []identity {
	out := make([]identity, 0, len(models))
	for id := range models {
		out = append(out, id)
	}
	slices.SortFunc(out, func(a, b identity) int {
		return cmp.Or(cmp.Compare(a.model, b.model), cmp.Compare(a.version, b.version))
	})
	return out
}

// row gathers the replicas of one model version.
type row struct {
	sample     cluster.ModelSample
	endpoints  []Endpoint
	histograms [roles]merged
	outcomes   [places]shares
	requests   rate
	tokens     rate
	gauges     [roles]mean
	served     *float64
}

// merged is a sum of histograms, as long as all have the same buckets.
type merged struct {
	sum   *histogram
	mixed bool
}

// rate is a sum of rates; known once one was measured.
type rate struct {
	perSecond float64
	known     bool
}

func (r *rate) add(count float64, elapsed time.Duration) {
	r.perSecond += count / elapsed.Seconds()
	r.known = true
}

func (r rate) value() *float64 {
	if !r.known {
		return nil
	}
	v := r.perSecond
	return &v
}

// shares counts requests by how they ended.
type shares [classes]float64

// add takes one endpoint's part. An endpoint may have several readings for one
// row, such as a model and its adapters: it is one replica all the same.
func (r *row) add(t *target, id identity) {
	if !slices.Contains(r.endpoints, t.endpoint) {
		r.endpoints = append(r.endpoints, t.endpoint)
	}
	last := t.last().models[id]
	for g, m := range last.gauges {
		r.gauges[g] = mean{r.gauges[g].sum + m.sum, r.gauges[g].n + m.n}
	}
	for s, v := range last.counters {
		if s.role == served {
			r.served = plus(r.served, v)
		}
	}
	y := t.tally(id)
	if y.elapsed <= 0 {
		return
	}
	r.sample.Window = max(r.sample.Window, y.elapsed)
	for s, v := range y.counters {
		switch {
		case s.role == served:
			r.requests.add(v, y.elapsed)
		case s.role == tokens:
			r.tokens.add(v, y.elapsed)
		case s.role == outcomes:
			r.outcomes[s.place][s.ended] += v
		}
	}
	for of := range y.present {
		m := &r.histograms[of]
		sum, ok := m.sum.plus(y.histograms[of])
		if !ok || y.histograms[of] == nil {
			m.mixed = true
			continue
		}
		m.sum = sum
	}
}

func plus(sum *float64, v float64) *float64 {
	if sum != nil {
		v += *sum
	}
	return &v
}

func (r *row) finish() cluster.ModelSample {
	s := r.sample
	s.Replicas = len(r.endpoints)
	s.RequestsServed = r.served
	s.Requests = r.requests.value()
	s.TokensPerSec = r.tokens.value()
	s.ErrorRatio, s.RejectedRatio = r.ratio(failed), r.ratio(rejected)
	latency := r.merged(duration)
	s.P50, s.P95, s.P99 = quantile(0.50, latency), quantile(0.95, latency), quantile(0.99, latency)
	s.TTFT95 = quantile(0.95, r.merged(firstToken))
	s.InFlight, s.Queue = r.gauges[inFlight].total(), r.gauges[queue].total()
	if g := r.gauges[kvCache]; g.n > 0 {
		share := min(g.sum/float64(g.n), 1)
		s.KVCacheRatio = &share
	}
	return s
}

// merged is the histogram of all replicas; nil where their buckets differ, since
// then no quantile can be taken of all of them.
func (r *row) merged(of role) *histogram {
	if r.histograms[of].mixed {
		return nil
	}
	return r.histograms[of].sum
}

func (m mean) total() *float64 {
	if m.n == 0 {
		return nil
	}
	return &m.sum
}

// ratio is the share of requests that ended so; nil without requests. Where a
// server counts in two places, the larger share counts.
func (r *row) ratio(of class) *float64 {
	var out *float64
	for _, o := range r.outcomes {
		total := 0.0
		for _, n := range o {
			total += n
		}
		if total <= 0 {
			continue
		}
		share := o[of] / total
		if out == nil || share > *out {
			out = &share
		}
	}
	return out
}
