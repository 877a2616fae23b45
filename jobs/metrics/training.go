package metrics

import (
	"time"

	dto "github.com/prometheus/client_model/go"

	"stoker/cluster"
)

// progress is what a training job says of itself at one time.
type progress struct {
	step, planned, epoch, loss, accuracy, rate *float64
	samples                                    *float64 // counter
}

// readTraining takes the metrics of stoker's training contract, which any
// trainer may export; the labels model and version are optional.
func readTraining(families map[string]*dto.MetricFamily) map[identity]*progress {
	out := map[identity]*progress{}
	for name, field := range map[string]func(*progress) **float64{
		"stoker_training_step":          func(p *progress) **float64 { return &p.step },
		"stoker_training_planned_steps": func(p *progress) **float64 { return &p.planned },
		"stoker_training_epoch":         func(p *progress) **float64 { return &p.epoch },
		"stoker_training_loss":          func(p *progress) **float64 { return &p.loss },
		"stoker_training_accuracy":      func(p *progress) **float64 { return &p.accuracy },
		"stoker_training_learning_rate": func(p *progress) **float64 { return &p.rate },
		"stoker_training_samples_total": func(p *progress) **float64 { return &p.samples },
	} {
		for _, m := range families[name].GetMetric() {
			v, ok := number(m, whole)
			if !ok {
				continue // a loss that is NaN is not known
			}
			labels := labelMap(m)
			id := identity{labels["model"], labels["version"]}
			if out[id] == nil {
				out[id] = &progress{}
			}
			*field(out[id]) = &v
		}
	}
	return out
}

// trainingSamples gives one row for each job: that of the allocation which came
// furthest, since the ranks of a gang report the same and a replaced allocation
// may still be registered.
func trainingSamples(place cluster.Place, now time.Time, targets []*target, fresh time.Duration) []cluster.TrainingSample {
	var out []cluster.TrainingSample
	at := map[cluster.JobID]int{}
	for _, t := range targets {
		last := t.last()
		if last == nil || now.Sub(last.at) > fresh {
			continue
		}
		for id, p := range last.training {
			row := p.sample(place, t, id)
			i, known := at[row.Job]
			switch {
			case !known:
				at[row.Job] = len(out)
				out = append(out, row)
			case further(row.Step, out[i].Step):
				out[i] = row
			}
		}
	}
	return out
}

func further(a, b *float64) bool { return a != nil && (b == nil || *a > *b) }

func (p *progress) sample(place cluster.Place, t *target, id identity) cluster.TrainingSample {
	name, version := t.endpoint.Model, t.endpoint.Version
	if id.model != "" {
		name = id.model
	}
	if id.version != "" {
		version = id.version
	}
	return cluster.TrainingSample{
		Place: place, Job: t.endpoint.Job, Alloc: t.endpoint.Alloc, Model: name, Version: version, At: t.last().at,
		Step: p.step, PlannedSteps: p.planned, Epoch: p.epoch, Loss: p.loss, Accuracy: p.accuracy,
		LearningRate: p.rate, SamplesPerSec: t.samplesRate(id),
	}
}

// samplesRate is the speed over the window; nil until two scrapes counted.
func (t *target) samplesRate(id identity) *float64 {
	var total float64
	var first, prev *point
	for i := range t.points {
		cur := &t.points[i]
		p := cur.training[id]
		if p == nil || p.samples == nil || *p.samples < 0 {
			continue
		}
		switch {
		case first == nil:
			first = cur
		default:
			total += increase(*prev.training[id].samples, *p.samples)
		}
		prev = cur
	}
	if first == nil || !prev.at.After(first.at) {
		return nil
	}
	rate := total / prev.at.Sub(first.at).Seconds()
	return &rate
}
