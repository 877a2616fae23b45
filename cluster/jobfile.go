package cluster

import (
	"strings"
	"time"
)

// JobFile is a Nomad job file as a person wrote it or a pack rendered it.
type JobFile struct {
	Name string // for messages: a path or a pack's name
	HCL  string // HCL2; empty when JSON is set
	JSON []byte // the JSON form, as nomad job run -output prints it
	// Vars holds the variables by name, each value an HCL expression as it would
	// stand in a variables file: strings are quoted.
	Vars map[string]string
}

// ParsedJob is a job that Nomad itself parsed. It is opaque: only cluster/nomad
// looks inside.
type ParsedJob struct {
	ID   JobID
	Type string
	Body any
}

// JobPlan is Nomad's answer to "what would happen".
type JobPlan struct {
	Job ParsedJob
	// CheckIndex pins the state that the plan was made against: submitting with
	// it fails when somebody changed the job in between.
	CheckIndex   uint64
	New          bool
	Diff         []DiffLine
	Changes      []GroupChange
	Failures     []PlacementFailure
	Preempts     []AllocID
	Warnings     string
	GPUs         int // GPUs that the whole job asks for
	NextPeriodic time.Time
}

// GroupChange counts what a plan does to the allocations of one group.
type GroupChange struct {
	Group                                                 string
	Place, Update, Replace, Stop, Migrate, Ignore, Canary int
}

// DiffLine is one line of a job's difference. Mark is '+', '-', '~' or ' '.
type DiffLine struct {
	Mark   byte
	Indent int
	Text   string
}

// Outline says that the line names a job, a group or a task: of a job that is
// new as a whole these say enough.
func (d DiffLine) Outline() bool {
	word, _, _ := strings.Cut(d.Text, " ")
	return word == "job" || word == "group" || word == "task"
}

// Submitted is what the scheduler says of a change that it took.
type Submitted struct {
	Eval     EvalID
	Warnings string
}
