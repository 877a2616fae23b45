// Package agent serves what one node's GPUs do: a stream for stoker
// (/v1/stream), one reading as JSON (/v1/snapshot), and Prometheus text for
// everyone (/metrics, and /metrics/dcgm under dcgm-exporter's names).
//
// One goroutine reads the hardware at an interval and publishes; every handler
// only looks at what was published last. So a driver that hangs stops the
// readings and nothing else: /healthz, the beats of the stream and the agent's
// own metrics go on and say so. A client that reads slowly misses deltas and
// gets a keyframe instead; one that does not read at all is dropped.
//
// GPU metrics end when the readings are stale: an absent series is honest, a
// repeated one is not. Each process is joined to its Nomad task from its cgroup,
// its container's label or its environment, here because only the node can know.
// The agent listens on loopback unless a token guards it.
package agent
