package sources

import (
	"slices"
	"strings"
	"testing"
	"time"

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
	m := newModel(fixture.Env(t))
	m.SetSize(120, 35)
	m.SetSnapshot(s)
	want := map[string]screen.Name{"agent gpu-b": screen.Nodes, "vault": screen.Keys, "nomad": "", "models": ""}
	for range s.Sources {
		src := *m.Selected()
		if to, told := want[src.Name]; told {
			delete(want, src.Name)
			got, _ := fixture.Reply(m.Update(fixture.Key(keys.Open))).(screen.OpenMsg)
			if sheet := m.Back(); sheet != (to == "") {
				t.Errorf("%s: a sheet is %v", src.Name, sheet)
			}
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

func firstOf(m *model) *cluster.SourceStatus {
	m.Update(fixture.Key(keys.Top))
	return m.Selected()
}

// ending is the lab with tokens that end soon.
func ending(from cluster.TokenOrigin) *cluster.Snapshot {
	s := *fixture.Lab()
	ends := s.At.Add(40 * time.Minute)
	s.Sources = append(slices.Clone(s.Sources), cluster.SourceStatus{Place: fixture.Place(), Name: "nomad/token", State: cluster.SourceLive, Expires: ends, Token: from})
	for i := range s.Sources {
		if src := &s.Sources[i]; src.Name == "vault" {
			src.Token = cluster.TokenOrigin{File: "/home/ann/.vault-token"}
		}
	}
	v := *s.Vault
	v.TokenExpires = &ends
	s.Vault = &v
	return &s
}

// TestATokenThatEnds: the line that needs attention leads to what is to be done.
func TestATokenThatEnds(t *testing.T) {
	for name, c := range map[string]struct {
		source string
		from   cluster.TokenOrigin
		want   []string
	}{
		"of Nomad in a file":     {"nomad", cluster.TokenOrigin{File: "/run/nomad"}, []string{"nomad/token", "It ends in 40m, at 20", "in the file /run/nomad", "read again each minute", "nomad login", ":ctx NAME"}},
		"of Nomad in a variable": {"nomad", cluster.TokenOrigin{Variable: "NOMAD_TOKEN"}, []string{"in the variable NOMAD_TOKEN", "start it again", "token_file"}},
		"of Vault":               {"vault", cluster.TokenOrigin{}, []string{"It ends in 40m", "/home/ann/.vault-token", "vault token renew"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newModel(fixture.Env(t))
			m.SetSize(120, 35)
			m.SetSnapshot(ending(c.from))
			m.Open(screen.Target{Source: c.source, Of: fixture.Place(), Details: true})
			got := fixture.Picture(m.View())
			for _, w := range c.want {
				if !strings.Contains(got, w) {
					t.Errorf("%q is not on it:\n%s", w, got)
				}
			}
			s := ending(c.from)
			s.At = s.At.Add(time.Hour)
			m.SetSnapshot(s)
			if got := fixture.Picture(m.View()); !strings.Contains(got, "It has ended, at 20") {
				t.Errorf("an hour later:\n%s", got)
			}
		})
	}
	fixture.SweepAll(t, ending(cluster.TokenOrigin{File: strings.Repeat("/run", 40)}), open, fixture.Key(keys.Open))
}
