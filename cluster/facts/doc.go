// Package facts names what a Snapshot holds: each kind of row with its columns
// in snake_case with their units, unknown values as nil.
//
// One set of names serves the JSON of line mode, the filter expressions of
// screens and commands, and the assertions of scenarios, so that what a person
// reads, a script can say. The functions are pure; a View may be used from any
// goroutine.
package facts
