// Package scenarios runs rehearsals: YAML files of operations, waits and
// assertions that are played against a real cluster and end in a verdict.
//
// Parse reads a file strictly and compiles every expression, so that a typing
// error shows its line before anything is changed; Check adds what needs packs;
// Run plays it. Expressions are those of the filters, over the same facts as the
// screens and line mode, and every change goes through jobs/action, so that a
// scenario can do and can see exactly what a person can, and is audited alike.
//
// A wait follows snapshots, never a fixed time, and a step that changed something
// ends only when the scheduler's answer was seen: what follows cannot be fooled
// by the state before it. What cannot be known (a value nobody reported, a
// source that does not answer) makes a verdict inconclusive, neither good nor bad.
//
// Run is one goroutine, and one more while a step with "meanwhile" runs. The
// observer is never called twice at once. Whatever was started is stopped before
// Run returns, also after a failure and after ctx ended; what could not be
// stopped is named in the Report.
package scenarios
