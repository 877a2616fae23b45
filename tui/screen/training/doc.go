// Package training shows every training job: how far it is, its loss over the
// steps, and how busy its GPUs are. Enter opens one with the whole curve. A run
// that ended stays, faint, with its last numbers, for as long as Nomad keeps
// the job.
//
// A curve is drawn between its own least and largest value, since losses have
// no common scale; the scale beside it says which. Progress is steps of planned
// steps, as the trainer reports them: no time left is guessed.
package training
