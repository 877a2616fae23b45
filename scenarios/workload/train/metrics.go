package train

import (
	"math"
	"math/rand/v2"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are what Prometheus may scrape of a training, all with the labels
// model and version. Loss and accuracy are absent until they are known.
type Metrics struct {
	step, planned, epoch, rate prometheus.Gauge
	loss, accuracy             *prometheus.GaugeVec
	samples                    prometheus.Counter
}

// NewMetrics registers the metrics of one training.
func NewMetrics(registry prometheus.Registerer, model, version string) *Metrics {
	labels := prometheus.Labels{"model": model, "version": version}
	opts := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}
	}
	m := &Metrics{
		step:     prometheus.NewGauge(opts("stoker_training_step", "Steps taken, those before a resumed checkpoint included.")),
		planned:  prometheus.NewGauge(opts("stoker_training_planned_steps", "Steps that the training will take in all.")),
		epoch:    prometheus.NewGauge(opts("stoker_training_epoch", "Pass over the training images, counted from 1.")),
		rate:     prometheus.NewGauge(opts("stoker_training_learning_rate", "Learning rate of the last step.")),
		loss:     prometheus.NewGaugeVec(opts("stoker_training_loss", "Mean cross entropy of the last step's batch, in nats."), nil),
		accuracy: prometheus.NewGaugeVec(opts("stoker_training_accuracy", "Share of validation images labelled right, 0 to 1."), nil),
		samples: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "stoker_training_samples_total", Help: "Images learned from since this process started.", ConstLabels: labels,
		}),
	}
	registry.MustRegister(m.step, m.planned, m.epoch, m.rate, m.loss, m.accuracy, m.samples)
	return m
}

// Phase is what a training is doing.
type Phase int32

// The phases in their order.
const (
	Starting Phase = iota
	Stepping
	Finishing
)

// Progress is the phase, readable while Run works. The zero value is Starting.
type Progress struct{ phase atomic.Int32 }

func (p *Progress) set(to Phase) { p.phase.Store(int32(to)) }

// Phase is the present phase.
func (p *Progress) Phase() Phase { return Phase(p.phase.Load()) }

// What a training puts on a simulated GPU that it holds.
const (
	leastUtil, mostUtil = 85, 97
	memoryBytes         = 6 << 30
	startingBytes       = 512 << 20
)

// GPULoad is the load to report: busy while stepping, with the small variation
// of real training, and idle with the memory still held before and after.
func (p *Progress) GPULoad() (utilPercent float64, memory uint64) {
	switch p.Phase() {
	case Starting:
		return 0, startingBytes
	case Stepping:
		middle, swing := (mostUtil+leastUtil)/2.0, (mostUtil-leastUtil)/2.0
		v := middle + swing*rand.NormFloat64()/3
		return math.Min(math.Max(v, leastUtil), mostUtil), memoryBytes
	default:
		return 0, memoryBytes
	}
}
