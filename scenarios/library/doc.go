// Package library holds the scenarios that are shipped with stoker, as files
// that can be copied and changed.
//
// Each stands for itself: it says what it needs, refuses when that is not
// there, and leaves the cluster as it found it. They use only the shipped packs
// and the reference workload. The files are read-only; any goroutine may read them.
package library
