package stream

import (
	"reflect"
	"slices"
	"time"

	"stoker/gpu"
)

// Protocol and Version open every stream. A new field or frame kind does not
// change the version; a change that an old reader would misunderstand does.
const (
	Protocol = "gpu-stream"
	Version  = 1
)

// DetailParam is the parameter of a request for a stream that says which details
// of samples are wanted: all unless it is DetailNone. They are nine tenths of
// what an agent has to say, and a thousand agents say it.
const (
	DetailParam = "detail"
	DetailNone  = "none"
)

// Header is the first line of a stream.
type Header struct {
	Protocol string `json:"stoker"`
	Version  int    `json:"version"`
	Node     string `json:"node"` // the Nomad node's ID
	NodeName string `json:"node_name"`
	// IntervalMS is how often the agent means to send something, in milliseconds.
	IntervalMS int64 `json:"interval_ms,omitempty"`
}

// Interval is IntervalMS as a duration, 0 when the agent did not say.
func (h Header) Interval() time.Duration {
	if h.IntervalMS <= 0 || h.IntervalMS > int64(time.Hour/time.Millisecond) {
		return 0
	}
	return time.Duration(h.IntervalMS) * time.Millisecond
}

// Kind says what a frame is.
type Kind string

// The kinds of frame. A reader skips any other.
const (
	KindKey   Kind = "key"
	KindDelta Kind = "delta"
	KindBeat  Kind = "beat"
)

// Frame is one line after the header.
type Frame struct {
	Kind Kind
	// Seq counts the readings of the agent. A delta follows the frame numbered
	// one less; a beat has none.
	Seq uint64
	// At is the time of the batch, for a beat the agent's clock.
	At time.Time
	// Batch is the whole reading, in a keyframe.
	Batch *gpu.Batch
	// Samples are those that changed, in a delta. A sample that is left out and
	// was as old as its batch is as old as the new batch too; one that lagged
	// behind its batch still has its own time. So a frozen device stays visible.
	Samples []gpu.Sample
	// SameDetail says that the samples of a delta come without their details,
	// which are as before: they are long, and few look at them.
	SameDetail bool
	// Events happened since the frame before, in a delta. A keyframe has them in its batch.
	Events []gpu.Event
	// Sampler says how the reading of the hardware goes, in a beat.
	Sampler *SamplerState
}

// SamplerState is what an agent says of its own reading of the hardware.
type SamplerState struct {
	State string    `json:"state"` // one of the Sampler… constants
	Since time.Time `json:"since,omitzero"`
	Err   string    `json:"err,omitempty"`
}

// The states of a sampler.
const (
	SamplerStarting = "starting" // nothing was read yet
	SamplerOK       = "ok"
	SamplerLate     = "late"     // a reading was begun and has not come back
	SamplerFailing  = "failing"  // the last reading returned an error
	SamplerReleased = "released" // somebody asked the agent to let the driver go
)

// Key makes a keyframe of a batch.
func Key(seq uint64, b gpu.Batch) Frame {
	return Frame{Kind: KindKey, Seq: seq, At: b.At, Batch: &b}
}

// Plain is a batch without the details of its samples, for a reader who has
// asked for none.
func Plain(b gpu.Batch) gpu.Batch {
	b.Samples = slices.Clone(b.Samples)
	for i := range b.Samples {
		b.Samples[i].Detail = nil
	}
	return b
}

// FullDelta makes the frame that turns prev into next, with all samples whole.
// It returns false when only a keyframe can do that: devices came, went or
// changed, or a device answered that had not answered before.
func FullDelta(seq uint64, prev, next gpu.Batch) (Frame, bool) {
	if !sameShape(prev, next) {
		return Frame{}, false
	}
	f := Frame{Kind: KindDelta, Seq: seq, At: next.At, Events: next.Events, Samples: next.Samples}
	return f, true
}

// Delta is FullDelta without the details of samples, and without samples that
// did not change otherwise: a reader goes on with what it has. It returns false
// also when a device gives details that gave none before, or the reverse.
func Delta(seq uint64, prev, next gpu.Batch) (Frame, bool) {
	f, ok := FullDelta(seq, prev, next)
	if !ok {
		return Frame{}, false
	}
	f.Samples, f.SameDetail = nil, true
	for i, is := range next.Samples {
		was := prev.Samples[i]
		if (was.Detail == nil) != (is.Detail == nil) {
			return Frame{}, false
		}
		was.Detail, is.Detail = nil, nil
		if !implied(prev, was, next, is) {
			f.Samples = append(f.Samples, is)
		}
	}
	return f, true
}

// sameShape tells whether two batches differ at most in times, events and the
// contents of samples.
func sameShape(a, b gpu.Batch) bool {
	if a.Node != b.Node || a.Source != b.Source || a.Driver != b.Driver || a.CUDA != b.CUDA || !slices.Equal(a.Lacks, b.Lacks) ||
		len(a.Samples) != len(b.Samples) || !reflect.DeepEqual(a.Devices, b.Devices) {
		return false
	}
	for i := range a.Samples {
		if a.Samples[i].UUID != b.Samples[i].UUID {
			return false
		}
	}
	return true
}

// implied tells whether a reader that is told nothing of a sample ends up with now.
func implied(prev gpu.Batch, was gpu.Sample, next gpu.Batch, now gpu.Sample) bool {
	if !now.At.Equal(timeLeftOut(prev.At, was.At, next.At)) {
		return false
	}
	was.At = now.At
	return reflect.DeepEqual(was, now)
}

// timeLeftOut is the time of a sample that a delta leaves out.
func timeLeftOut(batchWas, sampleWas, batchIs time.Time) time.Time {
	if sampleWas.Equal(batchWas) {
		return batchIs
	}
	return sampleWas
}
