// Stoker-device-gpu is the Nomad device plugin for NVIDIA GPUs, real or
// simulated, with real device health.
//
// It offers each GPU, or each MIG instance where there are any, as
// nvidia/gpu/<product name>, and tells Nomad at once when one has failed and
// why, so that no more work is placed on it. It is healthy again only after
// a quiet period, since each change makes Nomad look at every job of the node
// again; for the same reason nothing is sent while nothing changes.
//
// Nomad never restarts a fingerprint stream that ended or reported an error:
// all GPUs of the node would be gone until its agent restarts. So the stream
// carries no errors and ends only with its context; a node whose driver is
// not there yet offers no GPUs and is looked at again.
//
// Fingerprint and Stats share one reading, at most half a period old.
package main
