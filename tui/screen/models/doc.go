// Package models shows every model version that is served: its replicas, its
// traffic and latency, and beside them how busy its GPUs are. Enter opens one
// with its curves, its artifact and its GPUs.
//
// Latency is as honest as its buckets: what they cannot resolve says "≥ 30 s"
// or "< 10 ms". A column that no server fills is hidden, and once it was shown
// it stays. A version that does not report says so: it is not a row of zeroes.
package models
