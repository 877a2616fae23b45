package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"stoker/scenarios"
)

// State is how a line or a run stands: pending or running, else its verdict.
type State string

// The states besides the verdicts.
const (
	Pending State = "pending"
	Running State = "running"
)

// Line is one step as it stands.
type Line struct {
	Step           int // from 1; Cleanup for the cleanup
	Name           string
	Kind           string
	State          State
	Text           string // how it stands, or why it did not pass
	Started, Ended time.Time
}

// Cleanup is the Step of the line that takes back what was done.
const Cleanup = -1

// Entry is one line of the log.
type Entry struct {
	At    time.Time
	Step  int   // of the Line that it belongs to; 0 is the run itself
	State State // of a check; empty for what was done
	Text  string
}

// Run is the latest run; the zero value is none.
type Run struct {
	Name    string
	ID      string
	Cluster string
	State   State // empty: nothing ran
	Text    string
	Started time.Time
	Ended   time.Time
	Steps   int
	Lines   []Line
	Log     []Entry
	Dropped int      // entries of the log that were let go
	Left    []string // what could not be cleaned up
}

// File is a scenario that can be run.
type File struct {
	Name string // as stoker run takes it
	Text string // what it does
}

// maxLog bounds the log of a run.
const maxLog = 1000

// Recorder keeps the latest run. The zero value is ready; all its methods may
// be called from any goroutine.
type Recorder struct {
	mu    sync.Mutex
	run   Run
	names []string // of the steps, when the scenario is known
	kinds []string
	files []File
}

// NewRecorder makes a Recorder that lists these files.
func NewRecorder(files []File) *Recorder { return &Recorder{files: files} }

// Expect tells the names of the steps of the run that comes, so that those
// which have not begun can be listed, too. It may be left out.
func (r *Recorder) Expect(s *scenarios.Scenario) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names, r.kinds = nil, nil
	for i := range s.Steps {
		r.names, r.kinds = append(r.names, s.Steps[i].Name), append(r.kinds, string(s.Steps[i].Kind))
	}
}

// Observe takes one event of a run.
func (r *Recorder) Observe(e scenarios.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e.Kind {
	case scenarios.RunStarted:
		r.begin(&e)
	case scenarios.StepStarted:
		r.open(e.Step, e.Name, e.Text, e.At)
	case scenarios.CleanupStarted:
		r.open(Cleanup, "cleanup", "", e.At)
		r.line(Cleanup).Text = e.Text
	case scenarios.Progress:
		if l := r.line(r.at(&e)); l != nil {
			l.Text = e.Text
		}
	case scenarios.Noted:
		r.log(Entry{At: e.At, Step: r.at(&e), Text: e.Text})
	case scenarios.Checked:
		if e.Check != nil {
			r.log(Entry{At: e.At, Step: r.at(&e), State: State(e.Check.Verdict), Text: checkText(e.Check)})
		}
	case scenarios.StepEnded:
		r.close(e.Step, &e)
	case scenarios.CleanupEnded:
		r.run.Left = slices.Clone(e.Left)
		for _, left := range e.Left {
			r.log(Entry{At: e.At, Step: Cleanup, State: State(scenarios.Failed), Text: "still there: " + left})
		}
		r.close(Cleanup, &e)
	case scenarios.RunEnded:
		r.end(&e)
	}
}

func (r *Recorder) begin(e *scenarios.Event) {
	r.run = Run{Name: e.Name, ID: e.RunID, Cluster: e.Text, State: Running, Started: e.At, Steps: e.Steps}
	for i := range e.Steps {
		l := Line{Step: i + 1, State: Pending}
		if len(r.names) == e.Steps {
			l.Name, l.Kind = r.names[i], r.kinds[i]
		}
		r.run.Lines = append(r.run.Lines, l)
	}
}

// at is the Line that an event belongs to: outside the steps only the cleanup
// has something to say.
func (r *Recorder) at(e *scenarios.Event) int {
	if e.Step == 0 && r.line(Cleanup) != nil {
		return Cleanup
	}
	return e.Step
}

// line finds a line; nil when there is none.
func (r *Recorder) line(step int) *Line {
	for i := range r.run.Lines {
		if r.run.Lines[i].Step == step {
			return &r.run.Lines[i]
		}
	}
	return nil
}

func (r *Recorder) open(step int, name, kind string, at time.Time) {
	l := r.line(step)
	if l == nil {
		r.run.Lines = append(r.run.Lines, Line{Step: step})
		l = &r.run.Lines[len(r.run.Lines)-1]
	}
	l.Name, l.State, l.Started = name, Running, at
	if kind != "" {
		l.Kind = kind
	}
}

func (r *Recorder) close(step int, e *scenarios.Event) {
	l := r.line(step)
	if l == nil {
		return
	}
	l.State, l.Ended = State(e.Verdict), e.At
	if l.Started.IsZero() {
		l.Started = e.At.Add(-e.Took)
	}
	if e.Text != "" {
		l.Text = e.Text
	}
}

func (r *Recorder) end(e *scenarios.Event) {
	r.run.State, r.run.Text, r.run.Ended = State(e.Verdict), e.Text, e.At
	if len(e.Left) > 0 {
		r.run.Left = slices.Clone(e.Left)
	}
	for i := range r.run.Lines {
		if l := &r.run.Lines[i]; l.State == Pending {
			l.State = State(scenarios.Skipped)
		}
	}
}

func (r *Recorder) log(e Entry) {
	r.run.Log = append(r.run.Log, e)
	if over := len(r.run.Log) - maxLog; over > 0 {
		r.run.Dropped += over
		r.run.Log = slices.Clone(r.run.Log[over:])
	}
}

// checkText is a check with what it saw.
func checkText(c *scenarios.CheckResult) string {
	text := c.Expr
	if c.When != "" {
		text = c.When + " " + text
	}
	var saw []string
	for _, v := range c.Values {
		saw = append(saw, v.String())
	}
	if c.Verdict != scenarios.Passed {
		saw = append(saw, c.Why...)
	}
	if c.Text != "" && c.Verdict != scenarios.Passed {
		text += ": " + c.Text
	}
	if len(saw) > 0 {
		text += fmt.Sprintf("   (%s)", strings.Join(saw, "; "))
	}
	return text
}

// Run returns a copy of the latest run.
func (r *Recorder) Run() Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.run
	out.Lines, out.Log, out.Left = slices.Clone(out.Lines), slices.Clone(out.Log), slices.Clone(out.Left)
	return out
}

// Lines returns a copy of the steps of the latest run.
func (r *Recorder) Lines() []Line { return r.Run().Lines }

// Files lists the scenarios that can be run.
func (r *Recorder) Files() []File { return r.files }
