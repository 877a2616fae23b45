package stream

import (
	"encoding/json"
	"fmt"
	"time"

	"stoker/gpu"
)

// frameWire is a Frame as JSON.
type frameWire struct {
	Kind    Kind          `json:"kind"`
	Seq     uint64        `json:"seq,omitempty"`
	At      time.Time     `json:"at"`
	Batch   *batchWire    `json:"batch,omitempty"`
	Samples []sampleWire  `json:"samples,omitempty"`
	Same    bool          `json:"same_detail,omitempty"`
	Events  []gpu.Event   `json:"events,omitempty"`
	Sampler *SamplerState `json:"sampler,omitempty"`
}

// batchWire and sampleWire are gpu's types, except that an empty list of
// throttle reasons stays distinct from an unknown one: omitempty would drop
// both, and a GPU that runs freely would look like one that does not say.
type batchWire struct {
	gpu.Batch
	Samples []sampleWire `json:"samples"`
}

type sampleWire struct {
	gpu.Sample
	Throttle []string `json:"throttle,omitzero"`
}

// MarshalHeader returns the first line of a stream, newline included.
func MarshalHeader(h Header) ([]byte, error) {
	h.Protocol, h.Version = Protocol, Version
	return line(h, "header")
}

// MarshalFrame returns one frame as a line, newline included.
func MarshalFrame(f Frame) ([]byte, error) {
	w := frameWire{
		Kind: f.Kind, Seq: f.Seq, At: f.At, Samples: toWire(f.Samples), Same: f.SameDetail, Events: f.Events, Sampler: f.Sampler,
	}
	if f.Batch != nil {
		w.Batch = &batchWire{Batch: *f.Batch, Samples: toWire(f.Batch.Samples)}
	}
	return line(w, "frame")
}

// MarshalBatch returns a whole batch as the same JSON that a keyframe holds,
// with a newline.
func MarshalBatch(b gpu.Batch) ([]byte, error) {
	return line(batchWire{Batch: b, Samples: toWire(b.Samples)}, "batch")
}

func line(v any, what string) ([]byte, error) {
	out, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode gpu stream %s: %w", what, err)
	}
	return append(out, '\n'), nil
}

func toWire(in []gpu.Sample) []sampleWire {
	if len(in) == 0 {
		return []sampleWire{}
	}
	out := make([]sampleWire, len(in))
	for i, s := range in {
		out[i] = sampleWire{Sample: s, Throttle: s.Throttle}
	}
	return out
}

func fromWire(in []sampleWire) []gpu.Sample {
	if in == nil {
		return nil
	}
	out := make([]gpu.Sample, len(in))
	for i := range in {
		out[i] = in[i].Sample
		out[i].Throttle = in[i].Throttle
	}
	return out
}
