package cluster

import (
	"time"

	"stoker/secrets"
)

// Quantile is a latency read from a histogram. Buckets bound what can be said:
// Bound is "" where the value is interpolated between two edges, "<" where all
// that is known is that it lies below, "≥" where it lies above the last edge.
type Quantile struct {
	Seconds float64
	Bound   string
}

// ModelKey names what a row of model metrics is about: one version served by one job.
type ModelKey struct {
	Job     JobID
	Model   string
	Version string
}

// ModelSample is what one model version did over the last Window, all of its
// replicas together: buckets are summed before quantiles are taken.
type ModelSample struct {
	Place
	Key            ModelKey
	At             time.Time
	Window         time.Duration
	Replicas       int      // that answered the scrape
	Requests       *float64 // a second
	ErrorRatio     *float64 // 0 to 1, answers of class 5xx, and 4xx counted apart
	RejectedRatio  *float64 // 0 to 1, answers of class 4xx
	P50, P95, P99  *Quantile
	InFlight       *float64
	Queue          *float64
	TTFT95         *Quantile
	TokensPerSec   *float64
	KVCacheRatio   *float64 // 0 to 1
	RequestsServed *float64 // counter since the replicas started
}

// TrainingSample is the latest progress of one training job.
type TrainingSample struct {
	Place
	Job           JobID
	Alloc         AllocID
	Model         string
	Version       string
	At            time.Time
	Step          *float64
	PlannedSteps  *float64
	Epoch         *float64
	Loss          *float64
	Accuracy      *float64 // on the validation part, 0 to 1
	LearningRate  *float64
	SamplesPerSec *float64
}

// Artifact is one registered model version: where it is and which key opens it.
type Artifact struct {
	Place
	URN        secrets.URN
	Model      string
	Version    string
	Digest     string // of the sealed manifest, without the wrapped key
	Key        string // Transit key that wraps its data key
	KeyVersion int
	Bytes      int64
	Created    time.Time
	Evaluation map[string]float64 // accuracy, precision, recall, f1, …
	TrainedBy  JobID
}
