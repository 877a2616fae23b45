// Package gpuload tells the simulated GPUs that a task holds how busy this
// process keeps them, so that a screen shows a training job at work and a
// server that follows its traffic. On real GPUs there is nobody to tell and it
// does nothing.
//
// A Group reports at a steady pace from one goroutine of its own, so a reading
// is at most one pace old; the functions that it asks are called from there.
// A Meter measures the share of time spent on requests and may be used by any
// number of goroutines.
package gpuload
