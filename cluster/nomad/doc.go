// Package nomad adapts HashiCorp Nomad to package cluster. It is the only
// importer of Nomad's client library, and no type of that library leaves it.
//
// Run subscribes to the event stream, lists each kind of row once, and follows
// the stream; on a break it does so again, with backoff and jitter. Lists
// and events are decoded straight into slim structs, because on a large fleet
// decoding costs more than the server. Nomad refuses a whole subscription when
// one topic is denied, so there is one for each class of rights.
//
// Device statistics of a node (DeviceStats) have no stream and are asked for.
// Nomad repeats those of a plugin that has ended, so each has its own time.
//
// A Client may be used from several goroutines. Its token comes from a source
// that is read again when Nomad answers 403, and each minute, without a restart.
package nomad
