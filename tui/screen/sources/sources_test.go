package sources

import (
	"testing"

	"stoker/cluster"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
)

func open(e *screen.Env) screen.Screen { return New(e) }

func TestGolden(t *testing.T) {
	fixture.Goldens(t, "lab", fixture.Lab(), open)
	fixture.Goldens(t, "lost", fixture.Lost(), open)
	fixture.Goldens(t, "starting", fixture.Starting(), open)
}

func TestEveryWidth(t *testing.T) { fixture.SweepAll(t, fixture.Lost(), open) }

// TestEnterGoesToWhatItTellsOf: the agent of a node leads to the node, Vault to
// its keys, and what is about the whole cluster nowhere.
func TestEnterGoesToWhatItTellsOf(t *testing.T) {
	s := fixture.Lost()
	m := New(fixture.Env(t))
	m.SetSize(120, 35)
	m.SetSnapshot(s)
	want := map[string]screen.Name{"agent gpu-b": screen.Nodes, "vault": screen.Keys, "nomad": "", "models": ""}
	for range s.Sources {
		src := *m.Selected()
		if to, told := want[src.Name]; told {
			delete(want, src.Name)
			got, _ := fixture.Reply(m.Update(fixture.Key(keys.Open))).(screen.OpenMsg)
			if got.Screen != to || to == screen.Nodes && s.Node(got.Target.Node).Name != "gpu-b" {
				t.Errorf("%s leads to %+v", src.Name, got)
			}
		}
		m.Update(fixture.Key(keys.Down))
	}
	if len(want) > 0 {
		t.Errorf("not on the screen: %v", want)
	}
	if first := firstOf(m); first.State != cluster.SourceRetrying {
		t.Errorf("%s comes first", first.Name)
	}
}

func firstOf(m *Model) *cluster.SourceStatus {
	m.Update(fixture.Key(keys.Top))
	return m.Selected()
}
