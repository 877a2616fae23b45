package scenarios

import "time"

// Verdict is how a check, a step or a scenario ended.
type Verdict string

// The verdicts.
const (
	Passed       Verdict = "passed"
	Failed       Verdict = "failed"
	Inconclusive Verdict = "inconclusive" // data that it needs never came
	Interrupted  Verdict = "interrupted"
	Skipped      Verdict = "skipped" // not reached
)

// EventKind says what an Event is about.
type EventKind string

// The kinds of events, in the order in which a run makes them.
const (
	RunStarted     EventKind = "run_started"
	StepStarted    EventKind = "step_started"
	Progress       EventKind = "progress" // Text: how the step stands; the next one replaces it
	Noted          EventKind = "noted"    // Text: what was done, or a warning; kept in the report
	Checked        EventKind = "checked"  // Check
	StepEnded      EventKind = "step_ended"
	CleanupStarted EventKind = "cleanup_started"
	CleanupEnded   EventKind = "cleanup_ended"
	RunEnded       EventKind = "run_ended"
)

// Event is something that happened in a run. Screens, lines and tests read the same ones.
type Event struct {
	At      time.Time
	Kind    EventKind
	RunID   string
	Step    int    // from 1; 0 outside the steps
	Steps   int    // how many there are
	Name    string // of the step, else of the scenario
	Text    string
	Verdict Verdict       // StepEnded, CleanupEnded, RunEnded
	Took    time.Duration // StepEnded, CleanupEnded, RunEnded
	Check   *CheckResult  // Checked
	Left    []string      // CleanupEnded: what could not be cleaned up
}
