// Package jobs shows every job: what runs, what waits and what it holds. Enter
// opens one job with its groups, allocations, the history of their tasks, its
// events and evaluations; l follows the logs of all its allocations at once.
//
// Rows are worked out once per snapshot, in one pass over the GPUs, and keyed
// by the job's ID. Util is the mean over the job's GPUs that report.
//
// Each log is read by a command of its own into one channel of the view, from
// which one command at a time takes a batch: a task that floods its log waits
// there instead of in front of the keys. Replies name the view that asked, and
// those for a view that was closed are dropped. The view keeps the last lines
// only and says how many it let go. Lines of several allocations stand in the
// order in which they came, since logs carry no time.
package jobs
