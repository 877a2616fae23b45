// Package gpus shows every GPU as a row, and one GPU in detail: its verdict
// with what to do about it, who holds it, its last minutes and its counters.
//
// The rows are the snapshot's own, so a fleet of thousands costs no copy. A row
// is faint when its numbers are history: its node is down, or nothing was heard
// of it for ten seconds. Where no scheduler is behind the GPUs (stoker top),
// processes take the place of holders, and the keys that need jobs are gone.
package gpus
