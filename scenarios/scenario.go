package scenarios

import (
	"time"

	"stoker/jobs/action"
)

// Scenario is one parsed file. It is not changed by running it.
type Scenario struct {
	File        string
	Name        string
	Description string
	Timeout     time.Duration // of all steps together
	Vars        []Var
	Steps       []Step
	Cleanup     []Step // run before the automatic cleanup, whatever happened
}

// Var is a variable that a run may set.
type Var struct {
	Name     string
	Help     string
	Type     string // string, number or bool, taken from the default
	Default  string // as written, with ${…}; meaningless when Required
	Required bool

	preset *template
	pos    Position
}

// Kind says what a step does.
type Kind string

// The kinds of steps.
const (
	KindRequire  Kind = "require"
	KindAssert   Kind = "assert"
	KindWait     Kind = "wait"
	KindRemember Kind = "remember"
	KindRun      Kind = "run"
	KindSubmit   Kind = Kind(action.Submit)
	KindScale    Kind = Kind(action.Scale)
	KindRestart  Kind = Kind(action.Restart)
	KindStop     Kind = Kind(action.Stop)
	KindDrain    Kind = Kind(action.Drain)
	KindUndrain  Kind = Kind(action.Undrain)

	KindIneligible Kind = Kind(action.Ineligible)
)

// Step is one step of a scenario.
type Step struct {
	Name string
	Kind Kind
	Position

	checks   []check       // require, assert
	within   time.Duration // assert: how long they may take to become true
	limit    time.Duration // wait, run: how long the step may take
	until    *condition    // wait
	unless   *condition    // wait: ends it at once, failed
	remember []binding     // remember
	command  []*template   // run
	save     string        // run
	change   *change       // the kinds that change the cluster
	show     *template     // progress while the step runs
	always   []check       // meanwhile
	eventual []check       // meanwhile
}

// check is a condition with what to say when it does not hold.
type check struct {
	cond *condition
	text *template // nil: the expression says enough
}

type binding struct {
	name  string
	value *program
}

// change is the operand of a step that changes the cluster.
type change struct {
	pack     string
	packPos  Position
	vars     []packVar
	job      *template
	group    *template
	count    *template
	node     *template
	purge    bool
	deadline time.Duration
}

type packVar struct {
	name  string
	pos   Position
	value *template
}
