// Package metrics scrapes model servers and training jobs, and makes cluster's
// samples of what they say: one view over servers that name things differently.
//
// Every endpoint that a job declares (service tag stoker.metrics=/path) is read
// once an interval, each by itself: one that does not answer is asked less
// often and delays no other. Counters become rates over a sliding window by the
// time that really passed, per series and with resets; histograms of replicas
// are summed bucket by bucket before a quantile is taken, and a quantile that
// the buckets cannot resolve says so. What nobody reported stays nil.
//
// No Prometheus server is needed: a window of half a minute in memory is what
// an operator watches, and the raw counters say exactly what happened in it.
//
// Run calls its functions from one goroutine. A row is at most one interval
// old; one whose replicas all stopped answering keeps its time and loses its
// numbers.
package metrics
