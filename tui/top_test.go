package tui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/exp/golden"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/screen/fixture"
)

// killer notes how it was asked to end which process.
type killer struct {
	got []string
	err error
}

func (k *killer) Kill(_ context.Context, p gpu.Process, _ []gpu.UUID, force bool) error {
	k.got = append(k.got, fmt.Sprintf("%d force %v", p.PID, force))
	return k.err
}

func topRig(t testing.TB, k *killer, change ...func(*Config)) *rig {
	t.Helper()
	return newRig(t, fixture.Top(), append(change, func(c *Config) { c.Local, c.Runner, c.Killer = true, nil, k })...)
}

// TestTopGolden is the whole program over one machine: no cluster in its header.
func TestTopGolden(t *testing.T) {
	for name, keys := range map[string][]string{"top": nil, "end": {"tab", "x"}, "help": {"?"}} {
		for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 50}} {
			t.Run(fmt.Sprintf("%s-%dx%d", name, size[0], size[1]), func(t *testing.T) {
				r := topRig(t, &killer{})
				r.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
				r.press(keys...)
				golden.RequireEqual(t, fixture.Picture(r.draw()))
			})
		}
	}
}

// TestEndingAProcess: the answer is No, and there are two ways of Yes.
func TestEndingAProcess(t *testing.T) {
	for _, c := range []struct {
		name string
		keys []string
		want []string
	}{
		{"enter alone is no", []string{"enter"}, nil},
		{"esc", []string{"tab", "esc"}, nil},
		{"n", []string{"tab", "n"}, nil},
		{"yes is the gentle way", []string{"y"}, []string{"48211 force false"}},
		{"the first after No", []string{"tab", "enter"}, []string{"48211 force false"}},
		{"the second", []string{"tab", "tab", "enter"}, []string{"48211 force true"}},
		{"backwards", []string{"left", "enter"}, []string{"48211 force true"}},
		{"around", []string{"tab", "tab", "tab", "enter"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := &killer{}
			r := topRig(t, k)
			r.press(append([]string{"tab", "x"}, c.keys...)...)
			if !slices.Equal(k.got, c.want) {
				t.Errorf("%v, want %v", k.got, c.want)
			}
			if r.over != nil {
				t.Error("the question is still there")
			}
		})
	}
	k := &killer{err: errors.New("process 48211 has ended")}
	r := topRig(t, k)
	r.press("tab", "x", "y")
	if view := fixture.Picture(r.draw()); !strings.Contains(view, "✖ process 48211 has ended") {
		t.Errorf("the error is not shown:\n%s", view)
	}
}

func TestTopReadOnly(t *testing.T) {
	k := &killer{}
	r := topRig(t, k, func(c *Config) { c.ReadOnly = true })
	r.press("tab")
	if view := fixture.Picture(r.draw()); strings.Contains(view, "end process") || !strings.Contains(view, "read-only") {
		t.Errorf("the key is offered:\n%s", view)
	}
	r.press("x")
	if r.over != nil {
		t.Error("asked")
	}
	r.press("y") // which shows a row, where nothing is asked
	if len(k.got) > 0 {
		t.Errorf("ended %v", k.got)
	}
}

// TestTopHeader says how the reading goes, since the numbers depend on it alone.
func TestTopHeader(t *testing.T) {
	for want, s := range map[string]*cluster.Snapshot{"nvml ○ starting": {}, "nvml ● live": fixture.Top(), "nvml ✖ retrying": failing()} {
		r := newRig(t, s, func(c *Config) { c.Local = true })
		if head := fixture.Picture(r.header()[0]); !strings.Contains(head, want) || strings.Contains(head, "nomad") || strings.Contains(head, "vault") {
			t.Errorf("%q is not in %q", want, head)
		}
	}
}

// failing is a machine whose driver does not answer any more.
func failing() *cluster.Snapshot {
	s := *fixture.Top()
	s.Sources = slices.Clone(s.Sources)
	for i := range s.Sources {
		s.Sources[i].State, s.Sources[i].Err = cluster.SourceRetrying, "the driver has not answered since 14:01:07"
	}
	return &s
}
