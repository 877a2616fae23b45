// Package gpu says what a GPU is to stoker: a Device, the Samples read from it,
// the Events that happened to it, and the Health that follows from both.
//
// It is a leaf: it imports nothing of stoker and no client library, so that a
// reader of NVML, a simulation, an agent, a device plugin and a screen can all
// speak of the same thing. Every number that hardware may decline to give is a
// pointer, and nil means unknown.
//
// The values are plain data. Whoever hands a Batch on gives it away: it is
// not changed afterwards, so it may be shared between goroutines.
package gpu
