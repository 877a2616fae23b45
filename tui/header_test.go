package tui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/tui/screen/fixture"
)

// withAgents is the fleet of a thousand nodes with an agent on each, of which
// some are silent.
func withAgents(silent int) *cluster.Snapshot {
	s := *thousand()
	s.Sources = append([]cluster.SourceStatus(nil), s.Sources...)
	for i := range s.Nodes {
		src := cluster.SourceStatus{Place: s.Place, Name: "agent " + s.Nodes[i].Name, State: cluster.SourceLive, AsOf: s.At}
		if i < silent {
			src.State = cluster.SourceRetrying
		}
		s.Sources = append(s.Sources, src)
	}
	slices.SortFunc(s.Sources, func(a, b cluster.SourceStatus) int { return cmp.Compare(a.Name, b.Name) })
	return &s
}

func TestAThousandAgents(t *testing.T) {
	newRig(t, withAgents(3)).sees("agents ▲ 997/1,000")
	newRig(t, withAgents(0)).sees("agents ● 1,000/1,000")
}

// TestBlipsAreNotInTheHeader: what is away for a moment does not change its words.
func TestBlipsAreNotInTheHeader(t *testing.T) {
	s := *fixture.Lab()
	s.Sources = append([]cluster.SourceStatus(nil), s.Sources...)
	away := func(ago time.Duration) {
		for i := range s.Sources {
			if src := &s.Sources[i]; src.State != cluster.SourceOff {
				src.State, src.AsOf, src.Since = cluster.SourceRetrying, s.At.Add(-time.Minute), s.At.Add(-ago)
			}
		}
		v := *s.Vault
		v.Err = "EOF"
		s.Vault = &v
	}
	was := fixture.Picture(newRig(t, fixture.Lab()).header()[0])
	away(2 * time.Second)
	if now := fixture.Picture(newRig(t, &s).header()[0]); now != was {
		t.Errorf("%s\n%s", was, now)
	}
	away(4 * time.Second)
	r := newRig(t, &s)
	r.sees("nomad ✖ retrying")
	r.sees("vault ▲ retrying")
}

// TestProductionStays where there is little room.
func TestProductionStays(t *testing.T) {
	r := newRig(t, fixture.Lost(), func(c *Config) {
		c.Production, c.ReadOnly, c.Context, c.Namespace = true, true, "the-large-cluster-in-the-north", "research-and-development"
	})
	for w := minWidth; w < 200; w += 10 {
		r.send(tea.WindowSizeMsg{Width: w, Height: minHeight})
		if head := fixture.Picture(r.header()[0]); !strings.Contains(head, "PRODUCTION") {
			t.Errorf("%d columns: %s", w, head)
		}
	}
}

func BenchmarkHeader(b *testing.B) {
	for _, n := range []int{0, 3} {
		b.Run(fmt.Sprint(n, " silent"), func(b *testing.B) {
			r := newRig(b, withAgents(n))
			for b.Loop() {
				_ = r.header()
			}
		})
	}
}
