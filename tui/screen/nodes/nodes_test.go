package nodes

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/jobs/action"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
)

func open(e *screen.Env) screen.Screen { return New(e) }

func TestGolden(t *testing.T) {
	fixture.Goldens(t, "table", fixture.Lab(), open)
	fixture.Goldens(t, "detail", fixture.Lab(), open, fixture.Key(keys.Open))
	fixture.Goldens(t, "lost", fixture.Lost(), open)
	fixture.Goldens(t, "starting", fixture.Starting(), open)
	fixture.Goldens(t, "narrow", fixture.Narrow(), open)
	fixture.Themes(t, "table", fixture.Lab(), open)
}

func TestEveryWidth(t *testing.T) {
	fixture.SweepAll(t, fixture.Lab(), open)
	fixture.SweepAll(t, fixture.Lab(), open, fixture.Key(keys.Open))
}

func TestSelectionFollowsTheNode(t *testing.T) {
	m := New(fixture.Env(t))
	m.SetSize(120, 30)
	s := fixture.Lab()
	m.SetSnapshot(s)
	m.Update(fixture.Key(keys.Down))
	id := s.Nodes[1].ID
	if m.Selected().ID != id {
		t.Fatalf("selected %s", m.Selected().Name)
	}
	less := *s
	less.Nodes = s.Nodes[1:]
	m.SetSnapshot(&less)
	if m.Selected().ID != id {
		t.Errorf("after a refresh: %s", m.Selected().Name)
	}
	if err := m.SetFilter("!gpu-b"); err != nil {
		t.Fatal(err)
	}
	if got := m.Selected().Name; got != "gpu-c" {
		t.Errorf("with the row filtered out: %s", got)
	}
}

func TestDrainAsksForTheSelectedNode(t *testing.T) {
	m := New(fixture.Env(t))
	m.SetSize(120, 30)
	s := fixture.Lab()
	m.SetSnapshot(s)
	m.Update(fixture.Key(keys.Down))
	got := fixture.Reply(m.Update(fixture.Key(keys.Drain)))
	want := screen.AskMsg{Request: action.Request{ID: action.Drain, Node: s.Nodes[1].ID}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	m.Update(fixture.Key(keys.Open))
	if d := cmp.Diff(want, fixture.Reply(m.Update(fixture.Key(keys.Drain)))); d != "" {
		t.Error("from the details:", d)
	}
	if !m.Back() || m.Back() {
		t.Error("back closes the details, once")
	}
}

func TestDetailOpensWhatIsUnderTheCursor(t *testing.T) {
	m := New(fixture.Env(t))
	m.SetSize(120, 30)
	s := fixture.Lab()
	m.SetSnapshot(s)
	m.Open(screen.Target{Node: s.Nodes[0].ID, Details: true})
	m.Update(fixture.Key(keys.Down))
	if got := fixture.Reply(m.Update(fixture.Key(keys.Open))).(screen.OpenMsg); got.Screen != screen.GPUs || got.Target.GPU != s.GPUs[1].UUID {
		t.Errorf("%+v", got)
	}
	m.Update(fixture.Key(keys.Pane))
	if got := fixture.Reply(m.Update(fixture.Key(keys.Open))).(screen.OpenMsg); got.Screen != screen.Jobs || got.Target.Alloc == "" {
		t.Errorf("%+v", got)
	}
}

func TestRowsAddUp(t *testing.T) {
	s := fixture.Lab()
	var held, free, failed, allocs int
	for _, r := range rows(s) {
		held, free, failed, allocs = held+r.held, free+r.free, failed+r.failed, allocs+r.allocs
	}
	got := []int{held, free, failed, allocs}
	if d := cmp.Diff([]int{s.Fleet.Held, s.Fleet.Free, s.Fleet.Failed, len(s.Allocs)}, got); d != "" {
		t.Error(d)
	}
	if n := len(rows(&cluster.Snapshot{})); n != 0 {
		t.Error(n)
	}
}

// TestClustersAreToldApart: two clusters never look the same for want of room.
func TestClustersAreToldApart(t *testing.T) {
	s := &cluster.Snapshot{Ready: true}
	for _, name := range []string{"prod-operations-1", "prod-operations-2"} {
		at := cluster.Place{Cluster: name, Region: "global"}
		s.Members = append(s.Members, &cluster.Snapshot{Place: at})
		s.Nodes = append(s.Nodes, cluster.Node{Place: at, ID: cluster.NodeID(name), Name: "gpu-a", Pool: "default", Address: "10.255.255.255", Version: "1.11.0", Status: cluster.NodeReady})
	}
	for _, w := range []int{80, 100, 120, 200} {
		m := New(fixture.Env(t))
		m.SetSize(w, 10)
		m.SetSnapshot(s)
		for _, one := range s.Members {
			if v := fixture.Picture(m.View()); !strings.Contains(v, one.Place.Cluster+" ") {
				t.Errorf("%d columns:\n%s", w, v)
			}
		}
	}
}

func TestNodeWithoutGPUs(t *testing.T) {
	m := New(fixture.Env(t))
	m.SetSize(120, 30)
	f := cluster.NewFeed(fixture.Place(), fixture.Now)
	ch, stop := f.Subscribe()
	defer stop()
	go func() { _ = f.Run(t.Context()) }()
	f.Scheduler(cluster.Update{Lists: cluster.SetAll, Nodes: []cluster.Node{{ID: "n1", Name: "cpu-a", Status: cluster.NodeReady, Eligible: true, ModifyIndex: 1}}})
	m.SetSnapshot(<-ch)
	m.Open(screen.Target{Node: "n1", Details: true})
	got := strings.Split(fixture.Picture(m.View()), "\n")
	if strings.TrimSpace(got[factLines]) != "no GPUs" || !strings.Contains(got[factLines+2], "ALLOCATION") {
		t.Error(strings.Join(got, "\n"))
	}
}
