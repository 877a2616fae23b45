package rows

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
	"stoker/tui/ui"
)

func kinds() map[string]func(*screen.Env) screen.Screen {
	return map[string]func(*screen.Env) screen.Screen{
		"allocs": NewAllocs, "deployments": NewDeployments, "evaluations": NewEvaluations, "services": NewServices,
		"pools": NewPools, "namespaces": NewNamespaces, "variables": NewVariables,
	}
}

func TestGolden(t *testing.T) {
	for name, open := range kinds() {
		fixture.Goldens(t, name, fixture.Lab(), open)
		fixture.Goldens(t, name+"-sheet", fixture.Lab(), open, fixture.Key(keys.Open))
	}
	fixture.Goldens(t, "starting", fixture.Starting(), NewDeployments)
	fixture.Goldens(t, "narrow", fixture.Narrow(), NewAllocs)
	fixture.Themes(t, "allocs", fixture.Lab(), NewAllocs)
}

// TestEveryWidth draws one kind at every size: the others are the same code.
func TestEveryWidth(t *testing.T) {
	fixture.SweepAll(t, fixture.Lab(), NewAllocs)
	for _, open := range kinds() {
		fixture.Sweep(t, fixture.Lab(), open)
		fixture.Sweep(t, fixture.Lab(), open, fixture.Key(keys.Open))
	}
}

// TestHostileNames: what people set may hold anything.
func TestHostileNames(t *testing.T) {
	s := *fixture.Lab()
	s.Variables = append([]cluster.Variable(nil), s.Variables...)
	s.Variables[0].ID.Path = "a\x1b[2J\u202eb\n" + strings.Repeat("日本", 2000)
	m := NewVariables(fixture.Env(t))
	m.SetSnapshot(&s)
	for _, w := range []int{60, 97, 220} {
		for range 2 { // the table, then the sheet
			m.SetSize(w, 20)
			lines := strings.Split(m.View(), "\n")
			for _, l := range lines {
				if strings.Contains(l, "\x1b[2J") || strings.Contains(l, "\u202e") || ui.Width(l) != w {
					t.Fatalf("at %d: %d cells: %q", w, ui.Width(l), l)
				}
			}
			if len(lines) != 20 {
				t.Fatalf("%d lines", len(lines))
			}
			m.Update(fixture.Key(keys.Open))
		}
		m.(screen.Backer).Back()
	}
}

func TestOpensWhatAJumpMeans(t *testing.T) {
	s := fixture.Lab()
	m := NewAllocs(fixture.Env(t)).(*Model[cluster.Alloc, cluster.AllocID])
	m.SetSize(120, 30)
	m.SetSnapshot(s)
	want := s.Allocs[3]
	m.Open(screen.Target{Alloc: want.ID, Details: true})
	if !strings.Contains(m.View(), want.Name) {
		t.Error(m.View())
	}
	if _, ok := m.Filter(); ok {
		t.Error("a filter over a sheet")
	}
	got := fixture.Reply(m.Update(fixture.Key(keys.Logs)))
	if d := cmp.Diff(screen.OpenMsg{Screen: screen.Jobs, Target: screen.Target{Job: want.Job, Alloc: want.ID, Logs: true}}, got); d != "" {
		t.Error(d)
	}
	if m.Back() {
		t.Error("a sheet that a jump opened leads back to where the jump came from")
	}
	if m.Selected().ID != want.ID {
		t.Error("the row is not selected")
	}
	gone := *s
	gone.Allocs = nil
	m.Open(screen.Target{Alloc: want.ID, Details: true})
	m.SetSnapshot(&gone)
	if !strings.Contains(m.View(), "not there any more") {
		t.Error(m.View())
	}
}

// TestAllocsByName: the eleventh stands behind the third.
func TestAllocsByName(t *testing.T) {
	s := &cluster.Snapshot{Ready: true}
	for _, name := range []string{"web.g[10]", "web.g[2]"} {
		s.Allocs = append(s.Allocs, cluster.Alloc{ID: cluster.AllocID(name), Name: name, Job: cluster.JobID{Namespace: "default", Name: "web"}})
	}
	m := NewAllocs(fixture.Env(t)).(*Model[cluster.Alloc, cluster.AllocID])
	m.SetSize(120, 30)
	m.SetSnapshot(s)
	if err := m.OrderBy("alloc", false); err != nil {
		t.Fatal(err)
	}
	m.Move(-1)
	if got := m.Selected().Name; got != "web.g[2]" {
		t.Errorf("%s is the first", got)
	}
}
