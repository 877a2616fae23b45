// Package nn is a small neural network written out in full: one hidden layer
// of rectified linear units, softmax on top, trained by mini-batch gradient
// descent with momentum on the cross entropy.
//
// It exists because a reference model must be real, readable and free of heavy
// dependencies: it learns digits to about 97 % within a second of one core.
//
// A Net is read-only while it predicts, so any number of goroutines may call
// Predict at once; a Trainer changes its Net and belongs to one goroutine.
// All sums run in a fixed order: the same seed gives the same weights, bit for
// bit, on one processor architecture.
package nn
