// Package jobs is what stoker intends with jobs: its sub-packages change them
// (action), make them from packs (pack), measure the models they run (metrics)
// and remember what they produced (registry).
//
// Each declares the small interface of the scheduler that it needs in cluster's
// types; cluster/nomad satisfies them, and main hands it over, so that nothing
// here knows Nomad's client library.
package jobs
