// Package submit is the way from a pack to a running job: a list of packs, then
// a form made from the variables of one. Defaults are filled in, each value is
// checked as it is typed, and enter hands the rendered job file to the root as
// an action, which shows the scheduler's plan and asks before it submits.
//
// Packs are read in a command, anew each time the screen is opened, so that an
// edited file counts at once; the form keeps the pack that it was made from.
// Only what differs from the pack's and the context's values is passed on, and
// so the line at the bottom is the shortest command that does the same.
package submit
