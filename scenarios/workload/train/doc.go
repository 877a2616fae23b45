// Package train runs one training of the digit classifier: it prepares the
// data, steps, reports its progress as log lines and metrics, saves
// checkpoints, and returns the model folder with its evaluation and baseline.
//
// All randomness of a step is derived from the seed and the step's number, so
// the weights and the step number are the whole state of a training: one
// that was stopped and resumed ends with the same model, bit for bit, as one
// that was not.
//
// Run belongs to one goroutine; the metrics and the Progress that it updates
// may be read from any. Time comes from the caller's clock and decides only
// what is displayed.
package train
