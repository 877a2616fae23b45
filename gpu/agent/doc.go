// Package agent serves what one node's GPUs do: a stream for stoker
// (/v1/stream), one reading as JSON (/v1/snapshot), and Prometheus text for
// everyone (/metrics, and /metrics/dcgm under dcgm-exporter's names).
//
// One goroutine reads the hardware at an interval and publishes; every handler
// only looks at what was published last. So a driver that hangs stops the
// readings and nothing else: /healthz, the beats of the stream and the agent's
// own metrics go on and say so, and say which GPU hangs, where the sampler is a
// Hanger.
// A client that reads slowly misses deltas and gets a keyframe instead; one that
// does not read at all is dropped.
//
// GPU metrics end when the readings are stale: an absent series is honest, a
// repeated one is not. Each process is joined to its Nomad task (package proc),
// here because only the node can know; its arguments stay here unless asked for.
//
// The agent listens on loopback unless a token or client certificates guard it.
// Certificates are read again when their files change. Started as root it can
// go on as another user (Identity.Become), and POST /release lets the driver go
// for a while, where the sampler is a Releaser.
//
// What others do cannot make it grow. Bounded are connections (192), streams
// (64, with the newest reading alone in each mailbox), scrapes under way (4 a
// page), headers (16 KB; bodies are not read), events kept for new clients (64),
// counters of Xids (4096), container answers (1024, 64 questions waiting, 4 MB
// each), names of users (1024) and of tasks (256 bytes), and what is read of an
// environment (1 MB). Processes are remembered while the driver lists them, and
// GPUs that hang while a batch has them.
package agent
