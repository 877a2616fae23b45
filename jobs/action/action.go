package action

import (
	"errors"
	"time"

	"stoker/cluster"
)

// ID names an action, in keys, commands, scenarios and the audit file.
type ID string

// The actions.
const (
	Submit  ID = "submit"
	Scale   ID = "scale"
	Restart ID = "restart"
	Stop    ID = "stop"
	Drain   ID = "drain"
	Undrain ID = "undrain"

	Ineligible ID = "ineligible"
)

// On says what an action acts on.
type On string

// What actions act on.
const (
	OnFile On = "file"
	OnJob  On = "job"
	OnNode On = "node"
)

// Def describes one action.
type Def struct {
	ID     ID
	Verb   string // as in "stop job x"
	On     On
	Danger bool // takes something away that runs: defaults to No
	Help   string
	// Needs are the capabilities of Nomad of which it takes one, the usual one first.
	Needs []string
}

// Table lists the actions, in the order in which help shows them.
func Table() []Def {
	return []Def{
		{Submit, "submit", OnFile, false, "plan a job file or pack, then run it", []string{"submit-job", "register-job"}},
		{Scale, "scale", OnJob, false, "change how many allocations a task group has", []string{"scale-job", "submit-job"}},
		{Restart, "restart", OnJob, true, "restart the tasks of every allocation, one allocation at a time", []string{"alloc-lifecycle"}},
		{Stop, "stop", OnJob, true, "stop a job and free what it holds", []string{"submit-job", "deregister-job", "purge-job"}},
		{Drain, "drain", OnNode, true, "move all work off a node and keep new work away", []string{"node:write"}},
		{Ineligible, "make ineligible", OnNode, false, "keep new work away from a node; what runs there stays", []string{"node:write"}},
		{Undrain, "undrain", OnNode, false, "end a drain and let the node take work again", []string{"node:write"}},
	}
}

// Lookup finds an action's description.
func Lookup(id ID) (Def, bool) {
	for _, d := range Table() {
		if d.ID == id {
			return d, true
		}
	}
	return Def{}, false
}

// Request says which action on which thing. Only the fields of the action's
// kind are read.
type Request struct {
	ID    ID
	File  cluster.JobFile // Submit
	Job   cluster.JobID   // Scale, Restart, Stop
	Group string          // Scale; may be empty when the job has one group
	Count int             // Scale
	Purge bool            // Stop: forget the job as well
	Node  cluster.NodeID  // Drain, Undrain, Ineligible
	// Deadline bounds a drain; allocations still there are then stopped. Zero is DrainDeadline.
	Deadline time.Duration
}

// Plan is what an action would do, worked out before anything changes.
type Plan struct {
	Request
	Title string // "stop job default/digits"
	// Of is the cluster that it is about, and Cluster what that is called, which
	// is empty where there is one only.
	Of      cluster.Place
	Cluster string
	// NodeName is the name of Request.Node.
	NodeName string
	Touches  []Touch // one line each
	// Job is the scheduler's own dry run, for Submit.
	Job      *cluster.JobPlan
	Warnings []string
	// Nothing says why there is nothing to do; Do refuses such a plan.
	Nothing string
	// Refused says why it cannot be done, as far as that is known before; Do
	// returns it.
	Refused error
	// Danger means that the answer must default to No.
	Danger bool
	// Ask is the name that must be typed to confirm, when more than one thing
	// is hit or the context is marked production; empty when yes is enough.
	Ask string

	allocs []cluster.AllocID // Restart, in order
	taken  int               // running allocations that one Touch stands for
}

// Touch is one thing that an action touches.
type Touch struct {
	Kind   string // alloc, job, node, group
	Name   string
	Effect string // "stops on gpu-a, frees 1 GPU"
}

// Result is what became of an action that was done.
type Result struct {
	Text string // one line for the status bar
	Eval cluster.EvalID
	Job  cluster.JobID
}

// What Plan and Do refuse with; test with errors.Is.
var (
	ErrReadOnly = errors.New("read-only mode: nothing may be changed")
	ErrNothing  = errors.New("nothing to do")
	ErrUsage    = errors.New("bad request")

	ErrElsewhere = errors.New("this was planned in another cluster")
)
