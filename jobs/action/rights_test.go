package action_test

import (
	"errors"
	"slices"
	"testing"

	"stoker/cluster"
	"stoker/jobs/action"
)

// rights are what a token has, by namespace; "" is for what has none.
type rights map[string][]string

func (r rights) Lacks(namespace string, capabilities []string) bool {
	for ns, has := range r {
		if (ns == namespace || namespace == "") && slices.ContainsFunc(has, func(c string) bool { return slices.Contains(capabilities, c) }) {
			return false
		}
	}
	return true
}

// TestRightsAreSaidBefore: what the token is known to lack is refused before
// anything is asked of the scheduler, with the capability; a dry run is not.
func TestRightsAreSaidBefore(t *testing.T) {
	sched := &scheduler{}
	r := &action.Runner{Scheduler: sched, Now: now, Rights: rights{"default": {"read-job"}, "prod": {"submit-job"}}}
	drain := action.Request{ID: action.Drain, Node: "gpu-c-0000-0000"}
	stop := action.Request{ID: action.Stop, Job: id("note")}
	const noNodes, noJobs = "the token lacks node:write", "the token lacks submit-job in the namespace default"
	if err := r.Allowed(action.Drain); err == nil || err.Error() != noNodes || !errors.Is(err, cluster.ErrDenied) {
		t.Errorf("drain: %v", err)
	}
	if err := r.Allowed(action.Stop); err != nil {
		t.Errorf("stop, which is allowed somewhere: %v", err)
	}
	for want, req := range map[string]action.Request{noNodes: drain, noJobs: stop} {
		p, err := r.Plan(t.Context(), req, snapshot(t))
		if err != nil || len(p.Touches) == 0 || p.Refused == nil || p.Refused.Error() != want {
			t.Errorf("plan: %+v, %v", p, err)
		}
		if _, err := r.Do(t.Context(), p); !errors.Is(err, cluster.ErrDenied) {
			t.Errorf("do: %v", err)
		}
	}
	if len(sched.asked) > 0 {
		t.Errorf("asked %q", sched.asked)
	}
}

// TestRefusalNamesWhatItTakes: where Nomad decides, its refusal says what was missing.
func TestRefusalNamesWhatItTakes(t *testing.T) {
	denied := &cluster.Fault{Kind: cluster.ErrDenied, Text: "nomad: permission denied"}
	r := &action.Runner{Scheduler: &scheduler{fail: map[string]error{"drain": denied}}, Now: now}
	p, err := r.Plan(t.Context(), action.Request{ID: action.Drain, Node: "gpu-c-0000-0000"}, snapshot(t))
	if err != nil || p.Refused != nil {
		t.Fatal(err, p.Refused)
	}
	if _, err = r.Do(t.Context(), p); !errors.Is(err, cluster.ErrDenied) || err.Error() != "drain node gpu-c: nomad: permission denied: it takes node:write" {
		t.Errorf("%v", err)
	}
}
