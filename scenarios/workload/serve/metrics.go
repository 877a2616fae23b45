package serve

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stoker/scenarios/workload/artifact"
	"stoker/scenarios/workload/digits"
)

// metrics of the one model served; all carry the labels model and version.
type metrics struct {
	requests  *prometheus.CounterVec
	durations prometheus.Histogram
	inFlight  prometheus.Gauge
	scores    prometheus.Histogram
	labels    [digits.Classes]prometheus.Counter
	refused   *prometheus.CounterVec
}

// reasons to refuse an input. They are known beforehand, so that each has a
// series at 0 from the start and its first increase is seen.
func reasons() []string {
	return []string{"malformed", "unknown_tensor", "bad_type", "bad_shape", "out_of_range", "too_large", "unknown_model"}
}

func newMetrics(registry prometheus.Registerer, model, version string) (*metrics, error) {
	constant := prometheus.Labels{"model": model, "version": version}
	counter := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: constant}, []string{label})
	}
	predictions := counter("stoker_model_predictions_total", "Images labelled, by the label given.", "label")
	m := &metrics{
		requests: counter("stoker_model_requests_total", "Inference requests answered, by HTTP status; 499 when the client went away first.", "code"),
		durations: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "stoker_model_request_duration_seconds", Help: "Time from an inference request's headers to its answer.", ConstLabels: constant,
			Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "stoker_model_requests_in_flight", Help: "Inference requests being worked on.", ConstLabels: constant,
		}),
		scores: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "stoker_model_score", Help: "Probability that the model gives to the label it chose.", ConstLabels: constant,
			Buckets: artifact.ScoreBounds(),
		}),
		refused: counter("stoker_model_rejected_inputs_total", "Inference requests refused, by reason.", "reason"),
	}
	for i := range m.labels {
		m.labels[i] = predictions.WithLabelValues(strconv.Itoa(i))
	}
	for _, reason := range reasons() {
		m.refused.WithLabelValues(reason)
	}
	m.requests.WithLabelValues("200")
	var errs []error
	for _, c := range []prometheus.Collector{m.requests, m.durations, m.inFlight, m.scores, predictions, m.refused} {
		errs = append(errs, registry.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) request(code int, took time.Duration) {
	m.requests.WithLabelValues(strconv.Itoa(code)).Inc()
	m.durations.Observe(took.Seconds())
}

func (m *metrics) predicted(label int, score float64) {
	m.labels[label].Inc()
	// A sum of rounded shares may pass 1 by a hair, into the bucket above it.
	m.scores.Observe(min(score, 1))
}

func (m *metrics) rejected(reason string) { m.refused.WithLabelValues(reason).Inc() }
