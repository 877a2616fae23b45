// Package serve answers questions about digits over HTTP: the REST form of the
// Open Inference Protocol, version 2, with JSON tensors, and Prometheus
// metrics and an OpenAPI description on the same port.
//
// The model lies in memory before the server calls itself ready and does not
// change while it runs; requests share it without locks. Errors are problem
// details (RFC 9457) with the protocol's own "error" member added, so that
// clients of either kind find their text.
//
// Inputs whose values the model never saw are refused by the ranges of its
// baseline: an image scaled 0..255 would otherwise get a confident wrong answer.
package serve
