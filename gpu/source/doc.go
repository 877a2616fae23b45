// Package source reads GPU samples from where they are and hands them on as
// gpu.Batch: from agents over their streams (Agents), from what answers
// questions and does not stream, as Nomad's device statistics do (Poll), from
// dcgm-exporters (DCGM), from a Prometheus-compatible server that knows the
// whole fleet and its past (Prometheus), and from this host's own hardware
// (Local).
//
// Each reader is a Run that returns only when its context ends. It calls emit
// and status from one goroutine at a time, so callers need no lock, but a
// caller that blocks holds up every stream of that reader. A batch given to
// emit is whole (deltas are folded) and is never changed afterwards.
//
// Nothing is repeated: when readings stop, no batch comes, and status says
// since when and why, so that the last numbers can be shown with their age.
// Endpoints come in as a callback because who is an agent, and which one to
// trust, is for the scheduler's side to say. Where there is an agent, one long
// stream per node instead of polling: a change is seen at once, and an idle GPU
// costs a few bytes. Poll bounds how many readings are under way.
//
// The names under which dcgm-exporter and stoker's own agent tell numbers are
// one table (metrics), with the unit of each, for pages and queries alike. What
// these two sources tell is judged here by gpu.Rules, since nobody else did.
package source
