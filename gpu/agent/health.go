package agent

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"stoker/gpu"
	"stoker/gpu/source"
	"stoker/gpu/stream"
)

// health is the body of /healthz.
type health struct {
	Status     string     `json:"status"` // one of the stream's sampler states
	Since      time.Time  `json:"since,omitzero"`
	LastSample *time.Time `json:"last_sample"`
	AgeSeconds *float64   `json:"age_seconds"`
	Error      string     `json:"error,omitempty"`
	GPUs       int        `json:"gpus"` // MIG instances included
	// Hung are those of which a reading was begun and has not come back.
	Hung    []hungGPU `json:"hung"`
	Streams int       `json:"streams"`
	Version string    `json:"version"`
}

type hungGPU struct {
	UUID  gpu.UUID  `json:"uuid"`
	GPU   int       `json:"gpu"`
	Since time.Time `json:"since"`
}

// serveHealth answers 200 while readings arrive of at least one GPU. One that
// hangs among others that answer is no fault of the agent, and whoever acts on
// a bad answer would start an agent again that cannot end: a call that hangs in
// the driver outlives even SIGKILL. So it is named, and counted in /metrics.
func (a *Agent) serveHealth(w http.ResponseWriter, _ *http.Request) {
	s := a.samplerState()
	h := health{Status: s.State, Since: s.Since, Error: s.Err, Hung: []hungGPU{}, Streams: a.hub.clients(), Version: a.cfg.Version}
	if b, ok := a.hub.latest(); ok {
		age := a.cfg.Now().Sub(b.At).Seconds()
		h.LastSample, h.AgeSeconds, h.GPUs = &b.At, &age, len(b.Devices)
		h.Hung = hungOf(b, a.meter.hungSince())
	}
	w.Header().Set("Content-Type", "application/json")
	if s.State != stream.SamplerOK {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(h)
}

func hungOf(b gpu.Batch, since map[gpu.UUID]time.Time) []hungGPU {
	out := []hungGPU{}
	for i := range b.Devices {
		if at, ok := since[b.Devices[i].UUID]; ok {
			out = append(out, hungGPU{b.Devices[i].UUID, b.Devices[i].Index, at})
		}
	}
	slices.SortFunc(out, func(x, y hungGPU) int {
		return cmp.Or(cmp.Compare(x.GPU, y.GPU), cmp.Compare(x.UUID, y.UUID))
	})
	return out
}

// samplerState says how the sampling goes, in the stream's words.
func (a *Agent) samplerState() stream.SamplerState {
	a.mu.Lock()
	s, rel := a.status, a.released
	a.mu.Unlock()
	out := stream.SamplerState{Since: s.Since, Err: s.Err}
	switch s.State {
	case source.StateLive:
		out.State = stream.SamplerOK
		if d := a.meter.darkNow(); !d.since.IsZero() {
			out = stream.SamplerState{State: stream.SamplerFailing, Since: d.since, Err: "no GPU can be read: " + d.reason}
			if d.hangs {
				out.State = stream.SamplerLate
			}
		}
	case source.StateFrozen:
		out.State = stream.SamplerLate
	case source.StateDown:
		out.State = stream.SamplerFailing
	default:
		out.State = stream.SamplerStarting
	}
	if !rel.at.IsZero() {
		out = stream.SamplerState{State: stream.SamplerReleased, Since: rel.at, Err: rel.words(a.cfg.Now())}
	}
	return out
}
