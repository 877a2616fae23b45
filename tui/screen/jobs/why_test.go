package jobs

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"stoker/cluster"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
)

func because(job cluster.JobID) screen.OpenMsg {
	return screen.OpenMsg{Target: screen.Target{Job: job, Why: true}}
}

func TestWhyGolden(t *testing.T) {
	fixture.Goldens(t, "why", fixture.Lab(), opens, because(id("train", "finetune-7b")))
	fixture.Goldens(t, "crowd", crowd(), opens, because(id("train", "finetune-7b")), fixture.Key(keys.Bottom), fixture.Key(keys.Open), fixture.Key(keys.Down), fixture.Key(keys.Down))
	fixture.Themes(t, "why", fixture.Lab(), opens, because(id("train", "finetune-7b")))
}

func TestWhyAtEveryWidth(t *testing.T) {
	fixture.Sweep(t, fixture.Lab(), opens, because(id("train", "finetune-7b")))
	fixture.Sweep(t, crowd(), opens, because(id("train", "finetune-7b")), fixture.Key(keys.Bottom), fixture.Key(keys.Open), fixture.Key(keys.Down))
}

// crowd is the lab with many more nodes of two kinds, of which some are closed,
// and a job with two groups that both wait.
func crowd() *cluster.Snapshot {
	s := *fixture.Lab()
	job := id("train", "finetune-7b")
	s.Nodes, s.Jobs, s.Evaluations = slices.Clone(s.Nodes), slices.Clone(s.Jobs), slices.Clone(s.Evaluations)
	for i := range 400 {
		n := s.Nodes[1+i%2]
		n.ID, n.Name, n.Devices = cluster.NodeID(fmt.Sprintf("n%03d", i)), fmt.Sprintf("gpu-%03d", i), slices.Clone(n.Devices)
		for k := range n.Devices {
			n.Devices[k].UUID += "x"
		}
		n.Eligible = i%40 != 0
		s.Nodes = append(s.Nodes, n)
	}
	for i := range s.Jobs {
		if j := &s.Jobs[i]; j.ID == job {
			second := j.Groups[0]
			second.Name, second.Beyond = "reader", []string{"the csi volume data", "whole cores"}
			second.GPUs = []cluster.GPUAsk{{Name: "nvidia/gpu/NVIDIA L40S", Count: 8}}
			j.Groups = append(slices.Clone(j.Groups), second)
		}
	}
	for i := range s.Evaluations {
		if e := &s.Evaluations[i]; e.Job == job {
			f := e.Failures[0]
			f.Group = "reader"
			e.Failures = append(slices.Clone(e.Failures), f)
		}
	}
	return &s
}

// TestWhyListsTheNodes: enter lists the nodes of a verdict, and goes to one.
func TestWhyListsTheNodes(t *testing.T) {
	m := New(fixture.Env(t))
	m.SetSize(120, 35)
	m.SetSnapshot(crowd())
	job := id("train", "finetune-7b")
	m.Select(job)
	if cmd := m.Update(fixture.Key(keys.Why)); cmd != nil || m.reason == nil {
		t.Fatalf("%v", fixture.Reply(cmd))
	}
	if !m.Covered() || slices.Contains(m.Actions(), keys.Why) || !slices.Contains(m.Actions(), keys.Pane) {
		t.Errorf("covered %t, %v", m.Covered(), m.Actions())
	}
	got := fixture.Picture(m.View())
	for _, want := range []string{"0 of 403 nodes can take one", "group 1 of 2, tab", "2 of the 4 GPUs free, 1 failed; held by prod/llm-chat (2), research/eval-nightly (2, batch", "Nomad counted otherwise 4 min ago"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	msg := fixture.Reply(m.Update(fixture.Key(keys.Open))).(screen.OpenMsg) // the nearest is one node
	if msg.Screen != screen.Nodes || !msg.Target.Details || m.Snap.Node(msg.Target.Node).Name != "gpu-a" {
		t.Errorf("%+v", msg)
	}
	before := m.reason.table.All()
	m.Update(fixture.Key(keys.Down))
	row := *m.reason.table.Selected()
	if row.node != nil || row.count < 2 {
		t.Fatalf("%+v", row)
	}
	m.Update(fixture.Key(keys.Open))
	if n := m.reason.table.All(); n != before+row.count {
		t.Errorf("%d rows, want %d more than %d", n, row.count, before)
	}
	m.Update(fixture.Key(keys.Down))
	if one := m.reason.table.Selected(); one.node == nil || !one.under {
		t.Errorf("%+v", one)
	}
	if msg, ok := fixture.Reply(m.Update(fixture.Key(keys.Open))).(screen.OpenMsg); !ok || msg.Screen != screen.Nodes {
		t.Errorf("%+v", msg)
	}
	m.Update(fixture.Key(keys.Pane))
	if got := fixture.Picture(m.View()); !strings.Contains(got, "reader wants 8 GPUs NVIDIA L40S") || !strings.Contains(got, "the csi volume data, whole cores") {
		t.Error(got)
	}
	if !m.Back() || m.reason != nil || m.Back() {
		t.Error("back closes it, once")
	}
}

// TestWhyOverDetails: it lies over the details that it was opened from, and a jump
// into it leads back to where the jump came from.
func TestWhyOverDetails(t *testing.T) {
	m := New(fixture.Env(t))
	m.SetSize(80, 19)
	m.SetSnapshot(fixture.Lab())
	job := id("train", "finetune-7b")
	m.Select(job)
	m.Update(fixture.Key(keys.Open))
	m.Update(fixture.Key(keys.Why))
	if m.reason == nil || !m.Back() || m.detail == nil || !m.Back() {
		t.Error("back closes the account, then the details")
	}
	m.Open(screen.Target{Job: job, Why: true})
	if m.reason == nil || m.Back() {
		t.Error("an account that a jump opened closes and leads back")
	}
	if cmd := m.Open(screen.Target{Job: id("prod", "llm-chat"), Why: true}); m.reason != nil || m.detail == nil || fixture.Reply(cmd) == nil {
		t.Error("of a job that does not wait the details come")
	}
}

// TestWhyIsMadeSeldom: a snapshot that differs in readings only is not explained anew.
func TestWhyIsMadeSeldom(t *testing.T) {
	s := fixture.Lab()
	var r reasons
	first := r.about(s, id("train", "finetune-7b"))
	next := *s
	next.Rev++
	if r.about(&next, id("train", "finetune-7b")) != first {
		t.Error("it was made anew though nothing changed")
	}
	next.Allocs = slices.Clone(s.Allocs)
	if r.about(&next, id("train", "finetune-7b")) == first {
		t.Error("it was not made anew though allocations changed")
	}
	if r.about(&next, id("no", "job")) != nil {
		t.Error("there is no such job")
	}
}
