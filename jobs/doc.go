// Package jobs is what stoker intends with jobs: its sub-packages change them
// (action), make them from packs (pack), measure the models they run (metrics)
// and remember what they produced (registry).
//
// Each declares the small interface of the scheduler that it needs in cluster's
// types; cluster/nomad satisfies them, and main hands it over, so that nothing
// here knows Nomad's client library.
//
// All of it may be called from any goroutine. What a Run measures or reads comes
// from one goroutine and is at most one interval old. A plan is as old as the
// snapshot it was made from; a submit carries the index of the job that was
// planned against, and is refused when that has changed since.
package jobs
