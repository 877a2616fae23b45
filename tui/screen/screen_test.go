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
