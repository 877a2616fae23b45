package screen

import (
	"testing"
	"time"

	"stoker/cluster"
)

func TestShortModel(t *testing.T) {
	for in, want := range map[string]string{
		"NVIDIA H100 80GB HBM3": "H100 80GB", "NVIDIA A100-SXM4-80GB": "A100 80GB", "NVIDIA L40S": "L40S", "": "",
	} {
		if got := ShortModel(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestSourceGroups(t *testing.T) {
	s := &cluster.Snapshot{Sources: []cluster.SourceStatus{
		{Name: "agent gpu-a", State: cluster.SourceLive},
		{Name: "agent gpu-b", State: cluster.SourceRetrying, Err: "no route"},
		{Name: "agent gpu-c", State: cluster.SourceOff},
		{Name: "nomad/nodes", State: cluster.SourceLive},
	}}
	if h := Source(s, "agent"); h.All != 2 || h.Live != 1 || h.OK() || !h.Lost() || h.Worst.Name != "agent gpu-b" {
		t.Errorf("agents: %+v", h)
	}
	if h := Source(s, "nomad"); !h.OK() || h.Lost() {
		t.Errorf("nomad: %+v", h)
	}
	if h := Source(s, "vault"); h.OK() || h.Lost() {
		t.Errorf("a group without sources is neither well nor lost: %+v", h)
	}
}

// TestBlips: what is away for a moment only is shown as if it were there, and what
// it tells of is not faint.
func TestBlips(t *testing.T) {
	then := time.Date(2026, 3, 14, 14, 0, 0, 0, time.UTC)
	s := &cluster.Snapshot{Sources: []cluster.SourceStatus{{Name: "nomad", State: cluster.SourceRetrying, AsOf: then, Since: then}}}
	for _, c := range []struct {
		after time.Duration
		lost  bool
	}{{0, false}, {2 * time.Second, false}, {3 * time.Second, true}, {time.Hour, true}} {
		s.At = then.Add(c.after)
		if h := Source(s, "nomad"); h.Lost() != c.lost || h.OK() == c.lost || IsOld(s, "jobs", s.Place) != c.lost {
			t.Errorf("%s later: %+v, jobs are old: %v", c.after, h, IsOld(s, "jobs", s.Place))
		}
	}
}

// TestOld: what is shown of things is old when the source that tells of them has
// no answer any more, and not when another has none, or never had a right.
func TestOld(t *testing.T) {
	then := time.Date(2026, 3, 14, 14, 0, 0, 0, time.UTC)
	lab, eu := cluster.Place{Cluster: "lab", Region: "global"}, cluster.Place{Cluster: "eu", Region: "global"}
	site := func(p cluster.Place, list ...cluster.SourceStatus) *cluster.Snapshot {
		return &cluster.Snapshot{At: then, Place: p, Sources: list}
	}
	denied := site(lab, cluster.SourceStatus{Name: "nomad", State: cluster.SourceLive, AsOf: then}, cluster.SourceStatus{Name: "nomad/nodes", State: cluster.SourceDenied})
	lost := site(lab, cluster.SourceStatus{Name: "nomad", State: cluster.SourceRetrying, AsOf: then}, cluster.SourceStatus{Name: "nomad/nodes", State: cluster.SourceLive, AsOf: then})
	ended := site(lab, cluster.SourceStatus{Name: "nomad", State: cluster.SourceDenied, AsOf: then})
	other := site(eu, cluster.SourceStatus{Name: "nomad", State: cluster.SourceLive, AsOf: then})
	both := &cluster.Snapshot{Members: []*cluster.Snapshot{lost, other}}
	for _, c := range []struct {
		what, things string
		s            *cluster.Snapshot
		of           cluster.Place
		old          bool
	}{
		{"no right to nodes", "jobs", denied, lab, false},
		{"no right to nodes", "nodes", denied, lab, false},
		{"jobs not read any more", "jobs", lost, lab, true},
		{"jobs not read any more", "nodes", lost, lab, false},
		{"jobs not read any more", "GPUs", lost, lab, false},
		{"jobs not read any more", "sources", lost, lab, false},
		{"the token has ended", "jobs", ended, lab, true},
		{"one of two", "jobs", both, lab, true},
		{"one of two", "jobs", both, eu, false},
	} {
		if got := IsOld(c.s, c.things, c.of); got != c.old {
			t.Errorf("%s: %s of %s are old: %v", c.what, c.things, c.of.Cluster, got)
		}
	}
}

func TestTrouble(t *testing.T) {
	now := time.Date(2026, 3, 14, 14, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		src  cluster.SourceStatus
		want string
	}{
		{cluster.SourceStatus{Name: "nomad", State: cluster.SourceRetrying, Err: "refused", Retry: now.Add(4 * time.Second)}, "nomad: refused; never answered, next try in 4s"},
		{cluster.SourceStatus{Name: "nomad", State: cluster.SourceRetrying, Err: "refused", AsOf: now.Add(-time.Minute)}, "nomad: refused; last answer 1m ago, trying again"},
		{cluster.SourceStatus{Name: "nomad", State: cluster.SourceDenied, Err: "needs node:read"}, "nomad: needs node:read"},
		{cluster.SourceStatus{Name: "vault", State: cluster.SourceStarting}, "vault: no answer yet; never answered"},
	} {
		if got := Trouble(&tc.src, now); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}
