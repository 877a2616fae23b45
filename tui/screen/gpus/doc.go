// Package gpus shows every GPU as a row, and one GPU in detail: its verdict
// with what to do about it, who holds it, its last minutes and its counters, a
// group a line. What a device does not tell is – beside what it does; a group of
// which nothing is known is left out.
//
// The rows are the snapshot's own, so a fleet of thousands costs no copy. A row
// is faint when its numbers are history: its node is down, or nothing was heard
// of it for ten seconds. An instance of a cut GPU is a row under it.
//
// Model is the screen of a cluster. Top is that of one machine without a
// scheduler (stoker top): the same table without holders, charts of the selected
// GPU or of all, and the processes, which can be ended. It knows how to ask, and
// its Killer how to do it.
package gpus
