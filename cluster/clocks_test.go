package cluster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
)

// TestClocksThatDisagree: a node whose agent dates its readings far from when
// they come is spoken of, one that is only slow is not, and what a clock ahead
// dates into the future grows old all the same.
func TestClocksThatDisagree(t *testing.T) {
	w := readWorld(t)
	names := []string{"right", "ahead", "behind", "slow"}
	var nodes []Node
	for _, n := range names {
		nodes = append(nodes, node(n, n, 1, gpu.UUID("G-"+n)))
	}
	w.update(Update{Nodes: nodes})
	say := func(name string, off time.Duration) *Snapshot {
		at := w.clock().Add(time.Second + off) // do lets a second go by
		return w.batch(reading(name, at, sample(gpu.UUID("G-"+name), at, 0)))
	}
	told := func(s *Snapshot) (out []string) {
		for _, p := range s.Problems {
			out = append(out, p.Subject+" "+p.Text)
		}
		return out
	}
	var s *Snapshot
	for i := range 8 {
		if s = say("ahead", 42*time.Second); i == 2 && len(told(s)) > 0 {
			t.Errorf("too soon: %q", told(s))
		}
		say("behind", -20*time.Second)
		say("right", -time.Second)
		s = say("slow", -time.Duration(i%2)*30*time.Second)
	}
	want := []string{
		"clock of ahead 42 s ahead of this machine's: what it dates is not as young as it says",
		"clock of behind 20 s behind this machine's, or its readings come that late",
	}
	if d := cmp.Diff(want, told(s)); d != "" {
		t.Error(d)
	}
	if off := s.ClockAhead("ahead"); off != 42*time.Second {
		t.Errorf("ahead by %v", off)
	}
	if s.GPU("G-behind").Live(s.At) == nil {
		t.Error("a clock that is behind makes readings old")
	}
	heard := s.GPU("G-ahead").AsOf()
	w.sleep(time.Minute)
	s = w.update(Update{})
	if age := w.clock().Sub(s.GPU("G-ahead").AsOf()); age < time.Minute || !s.GPU("G-ahead").AsOf().Equal(heard) {
		t.Errorf("what was heard a minute ago is %v old", age)
	}
	for range clockReadings { // it was put right
		s = say("ahead", 0)
	}
	if got := told(s); len(got) != 1 {
		t.Errorf("%q", got)
	}
	for range clockReadings {
		s = say("behind", -time.Second)
	}
	if g := s.GPU("G-behind"); !g.AsOf().Equal(g.Sample.At) {
		t.Errorf("a clock that was put right still makes readings %v younger", g.AsOf().Sub(g.Sample.At))
	}
}
