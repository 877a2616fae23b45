// Package scenarios shows the scenario that runs in this program: its steps
// live, the log of one step, and at the end the verdict. When nothing runs it
// says how to start one, and which there are.
//
// A Recorder keeps what the engine emits: give its Observe to scenarios.Run.
// It may be called from any goroutine, holds the latest run only and at most so
// many lines of log, of which the oldest go first. The screen asks it for a
// copy at every snapshot and tick, so it is at most a second late, and a run
// that says a lot draws no more often than a quiet one.
package scenarios
