package action_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/jobs/action"
)

// TestRouter: two clusters with the same jobs. Each change goes to that of its
// target, is noted there, and is as free as that one is.
func TestRouter(t *testing.T) {
	lab, eu := cluster.Place{Cluster: "lab", Region: "global"}, cluster.Place{Cluster: "eu", Region: "global"}
	schedulers := map[cluster.Place]*scheduler{lab: {}, eu: {}}
	var audit bytes.Buffer
	runners := map[cluster.Place]*action.Runner{
		lab: {Scheduler: schedulers[lab], Now: now},
		eu:  {Scheduler: schedulers[eu], Now: now, Production: true, Audit: action.NewAudit(&audit, "eu", "ann@bastion")},
	}
	r := &action.Router{
		Of:   func(p cluster.Place) *action.Runner { return runners[p] },
		Each: func() []*action.Runner { return []*action.Runner{runners[lab], runners[eu]} },
	}
	site := func(p cluster.Place) *cluster.Snapshot {
		return snapshotOf(t, cluster.NewFeed(p, now, cluster.Named()), func(u *cluster.Update) {
			for i := range u.Nodes {
				u.Nodes[i].Place, u.Nodes[i].ID = p, cluster.NodeID(p.Cluster+"-")+u.Nodes[i].ID
			}
			for i := range u.Allocs {
				u.Allocs[i].Node, u.Allocs[i].ID = cluster.NodeID(p.Cluster+"-")+u.Allocs[i].Node, cluster.AllocID(p.Cluster+"-")+u.Allocs[i].ID
			}
		})
	}
	s := cluster.Merge(site(lab), site(eu))
	chat := id("chat")
	chat.Of = eu
	for _, req := range []action.Request{
		{ID: action.Stop, Job: chat},
		{ID: action.Restart, Job: chat},
		{ID: action.Scale, Job: chat, Count: 5},
		{ID: action.Drain, Node: "eu-gpu-a-0000-0000"},
		{ID: action.Ineligible, Node: "lab-gpu-a-0000-0000"},
	} {
		p, err := r.Plan(context.Background(), req, s)
		if err != nil {
			t.Fatalf("%s: %v", req.ID, err)
		}
		want := eu
		if req.ID == action.Ineligible {
			want = lab
		}
		if p.Of != want || p.Cluster != want.Cluster || (p.Ask != "") != (want == eu) {
			t.Errorf("%s: of %v, called %q, asks for %q", req.ID, p.Of, p.Cluster, p.Ask)
		}
		res, err := r.Do(context.Background(), p)
		if err != nil || !strings.HasPrefix(res.Text, want.Cluster+": ") {
			t.Errorf("%s: %q, %v", req.ID, res.Text, err)
		}
	}
	want := []string{"stop default/chat false", "restart eu-chat2", "restart eu-chat1", "scale default/chat g 5", "drain eu-gpu-a-0000-0000 1h0m0s"}
	if got := schedulers[eu].asked; !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	if got := schedulers[lab].asked; !cmp.Equal(got, []string{"ineligible lab-gpu-a-0000-0000"}) {
		t.Errorf("lab was asked %q", got)
	}
	if n := strings.Count(audit.String(), `"context":"eu"`); n != 4 {
		t.Errorf("%d lines of 4:\n%s", n, audit.String())
	}

	for name, req := range map[string]action.Request{
		"submit":                   {ID: action.Submit, File: file()},
		"a job of no cluster":      {ID: action.Stop, Job: id("chat")},
		"a node that is not there": {ID: action.Drain, Node: "us-gpu-a-0000-0000"},
	} {
		if _, err := r.Plan(context.Background(), req, s); !errors.Is(err, action.ErrSeveral) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := r.Allowed(action.Submit); !errors.Is(err, action.ErrSeveral) {
		t.Errorf("submit: %v", err)
	}

	runners[eu].ReadOnly = true
	if _, err := r.Plan(context.Background(), action.Request{ID: action.Stop, Job: chat}, s); !errors.Is(err, action.ErrReadOnly) || !strings.HasPrefix(err.Error(), "eu: ") {
		t.Errorf("read-only: %v", err)
	}
	if err := r.Allowed(action.Stop); err != nil {
		t.Errorf("lab may still be changed: %v", err)
	}
	runners[lab].ReadOnly = true
	if err := r.Allowed(action.Stop); !errors.Is(err, action.ErrReadOnly) {
		t.Errorf("all are read-only: %v", err)
	}
}
