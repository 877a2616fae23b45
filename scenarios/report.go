package scenarios

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Report is what a run came to.
type Report struct {
	Scenario string            `json:"scenario"`
	File     string            `json:"file"`
	RunID    string            `json:"run_id"`
	Cluster  string            `json:"cluster"`
	Vars     map[string]string `json:"vars"`
	Started  time.Time         `json:"started"`
	Seconds  float64           `json:"duration_seconds"`
	Verdict  Verdict           `json:"verdict"`
	Text     string            `json:"text,omitempty"` // why, unless it passed
	Steps    []StepResult      `json:"steps"`
	Cleanup  StepResult        `json:"cleanup"`
	Left     []string          `json:"left"` // what is still there and should not be

	cause error
}

// StepResult is how one step ended.
type StepResult struct {
	Name    string        `json:"name"`
	Kind    Kind          `json:"kind"`
	Line    int           `json:"line,omitempty"`
	Verdict Verdict       `json:"verdict"`
	Text    string        `json:"text,omitempty"`
	Started time.Time     `json:"started,omitzero"`
	Seconds float64       `json:"duration_seconds"`
	Checks  []CheckResult `json:"checks,omitempty"`
	Log     []string      `json:"log,omitempty"` // what it did, in order

	cause error
}

// CheckResult is what became of one assertion, with what it saw last.
type CheckResult struct {
	Expr    string   `json:"expr"`
	When    string   `json:"when"` // require, assert, always or eventually
	Verdict Verdict  `json:"verdict"`
	Text    string   `json:"text,omitempty"` // the scenario's own words for it
	Why     []string `json:"why,omitempty"`  // what is unknown
	Values  []Value  `json:"values,omitempty"`
}

// Err is nil when the scenario passed and left nothing. It wraps ErrFailed,
// ErrInconclusive, ErrLeft or context.Canceled, and the error that failed the
// step, so that "denied" and "unreachable" can be told from a check that did not hold.
func (r *Report) Err() error {
	var kind error
	switch r.Verdict {
	case Passed:
		if len(r.Left) > 0 {
			return fmt.Errorf("scenario %s passed, but %w", r.Scenario, ErrLeft)
		}
		return nil
	case Inconclusive:
		kind = ErrInconclusive
	case Interrupted:
		kind = context.Canceled
	default:
		kind = ErrFailed
	}
	return &reportError{text: fmt.Sprintf("scenario %s %s: %s", r.Scenario, r.Verdict, r.Text), kind: kind, cause: r.cause}
}

type reportError struct {
	text        string
	kind, cause error
}

func (e *reportError) Error() string { return e.text }

func (e *reportError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.cause}
}

// JSON writes the report for programs.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}
