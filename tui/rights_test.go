package tui

import (
	"slices"
	"testing"

	"stoker/cluster"
	"stoker/jobs/action"
	"stoker/tui/screen/fixture"
)

// reader may look at everything and change jobs in one namespace.
type reader struct{ namespace string }

func (r reader) Lacks(namespace string, capabilities []string) bool {
	return !slices.Contains(capabilities, "submit-job") || namespace != "" && namespace != r.namespace
}

// TestDeniedIsSaidBeforeTheKey: what the token lacks is in the footer and in
// the help, and the key says it without a question.
func TestDeniedIsSaidBeforeTheKey(t *testing.T) {
	r := newRig(t, fixture.Lab(), func(c *Config) { c.Runner.(*action.Runner).Rights = reader{"research"} })
	r.press("2")
	r.sees("the token lacks node:write")
	r.misses("d drain")
	r.press("d")
	if r.over != nil {
		t.Fatal("a question was asked")
	}
	r.sees("drain: the token lacks node:write")
	r.press("?")
	r.sees("the token lacks node:write to move all work off")
	r.press("esc")
	job := r.snap.Jobs[slices.IndexFunc(r.snap.Jobs, func(j cluster.Job) bool { return j.ID.Namespace != "research" })]
	r.send(r.ask(action.Request{ID: action.Stop, Job: job.ID})())
	if r.over != nil || len(r.sched.stopped) > 0 {
		t.Fatal("a stop that is known to be refused was asked about")
	}
	r.sees("the token lacks submit-job in the namespace " + job.ID.Namespace)
}
