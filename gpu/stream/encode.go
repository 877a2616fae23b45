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
	Batch   *gpu.Batch    `json:"batch,omitempty"`
	Samples []gpu.Sample  `json:"samples,omitempty"`
	Same    bool          `json:"same_detail,omitempty"`
	Events  []gpu.Event   `json:"events,omitempty"`
	Sampler *SamplerState `json:"sampler,omitempty"`
}

// MarshalHeader returns the first line of a stream, newline included.
func MarshalHeader(h Header) ([]byte, error) {
	h.Protocol, h.Version = Protocol, Version
	return line(h, "header")
}

// MarshalFrame returns one frame as a line, newline included.
func MarshalFrame(f Frame) ([]byte, error) {
	w := frameWire{
		Kind: f.Kind, Seq: f.Seq, At: f.At, Samples: f.Samples, Same: f.SameDetail, Events: f.Events, Sampler: f.Sampler,
	}
	if f.Batch != nil {
		b := listed(*f.Batch)
		w.Batch = &b
	}
	return line(w, "frame")
}

// MarshalBatch returns a whole batch as the same JSON that a keyframe holds,
// with a newline.
func MarshalBatch(b gpu.Batch) ([]byte, error) {
	return line(listed(b), "batch")
}

func line(v any, what string) ([]byte, error) {
	out, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode gpu stream %s: %w", what, err)
	}
	return append(out, '\n'), nil
}

// listed lets a batch without samples have an empty list of them, not null.
func listed(b gpu.Batch) gpu.Batch {
	if b.Samples == nil {
		b.Samples = []gpu.Sample{}
	}
	return b
}
