package cluster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/secrets"
)

// TestWhatEndsSoon: tokens are spoken of an hour before they end, and loudly
// when they have.
func TestWhatEndsSoon(t *testing.T) {
	for _, tc := range []struct {
		left time.Duration
		want string
	}{
		{2 * time.Hour, ""},
		{42*time.Minute + time.Second, "1 ends in 42 minutes: log in anew, or renew it"},
		{20 * time.Second, "1 ends within a minute: log in anew"},
		{-time.Minute, "2 has ended: log in anew"},
	} {
		for _, source := range []string{"nomad", "vault"} {
			w := readWorld(t)
			ends := w.clock().Add(time.Second + tc.left)
			s := w.do(func(f *Feed) {
				if source == "vault" {
					f.Vault(secrets.State{TokenKnown: true, TokenExpires: &ends})
				} else {
					f.Source(SourceStatus{Name: "nomad/token", State: SourceLive, Expires: ends})
				}
			})
			var got, want []string
			for _, p := range s.Problems {
				got = append(got, p.Subject+" "+[]string{"0", "1", "2"}[p.Level]+" "+p.Text+" "+p.Source)
			}
			if tc.want != "" {
				want = []string{"token of " + source + " " + tc.want + " " + source}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%v left: %s", tc.left, d)
			}
		}
	}
}

// TestALostNomadIsSaidOnce: all that asks it is late with it, and one line says why.
func TestALostNomadIsSaidOnce(t *testing.T) {
	w := readWorld(t)
	w.update(Update{Nodes: []Node{node("n1", "gpu-a", 2)}})
	for _, name := range []string{"nomad", "nomad/nodes", "pools", "namespaces", "variables", "registry", "devices gpu-a", "agent gpu-a", "vault"} {
		w.do(func(f *Feed) { f.Source(SourceStatus{Name: name, State: SourceRetrying, Err: "connection refused"}) })
	}
	said := func() (out []string) {
		for _, p := range w.feed.Latest().Problems {
			out = append(out, p.Source+" "+[]string{"info", "warn", "bad"}[p.Level])
		}
		return out
	}
	if d := cmp.Diff([]string{"nomad bad", "agent gpu-a warn", "vault warn"}, said()); d != "" {
		t.Error(d)
	}
	w.do(func(f *Feed) { f.Source(SourceStatus{Name: "nomad", State: SourceLive}) })
	if d := cmp.Diff([]string{"agent gpu-a warn", "devices gpu-a warn", "namespaces warn", "nomad/nodes warn", "pools warn", "registry warn", "variables warn", "vault warn"}, said()); d != "" {
		t.Error(d)
	}
}

// TestALostNodeIsSaidOnce: its agent's silence needs no line of its own.
func TestALostNodeIsSaidOnce(t *testing.T) {
	w := readWorld(t)
	gone := node("n1", "gpu-a", 2)
	gone.Status = NodeDown
	w.update(Update{Nodes: []Node{gone, node("n2", "gpu-b", 2)}})
	for _, n := range []string{"gpu-a", "gpu-b"} {
		w.do(func(f *Feed) {
			f.Source(SourceStatus{Name: "agent " + n, State: SourceRetrying, Err: "no route to host"})
		})
	}
	var got []string
	for _, p := range w.feed.Latest().Problems {
		got = append(got, p.Subject)
	}
	if d := cmp.Diff([]string{"gpu-a", "agent gpu-b"}, got); d != "" {
		t.Error(d)
	}
}

// TestABlipIsNoProblem: a source that comes back within a moment was never worth
// a line; one that stays away, or never answered, is.
func TestABlipIsNoProblem(t *testing.T) {
	w := readWorld(t)
	say := func(s SourceStatus) int {
		s.Name = "nomad"
		return len(w.do(func(f *Feed) { f.Source(s) }).Problems) // a second later
	}
	away := SourceStatus{State: SourceRetrying, Err: "EOF"}
	if n := say(away); n != 1 {
		t.Errorf("one that never answered: %d problems", n)
	}
	if n := say(SourceStatus{State: SourceLive, AsOf: w.clock()}); n != 0 {
		t.Errorf("one that answers: %d problems", n)
	}
	for round := range 3 { // away, back within three seconds, away again
		for range 3 {
			if n := say(away); n != 0 {
				t.Errorf("round %d: %d problems", round, n)
			}
		}
		if s := w.feed.Latest().Source("nomad"); s.State != SourceRetrying {
			t.Errorf("its state is %q", s.State)
		}
		say(SourceStatus{State: SourceLive, AsOf: w.clock()})
	}
	for i, want := range []int{0, 0, 0, 1, 1} {
		if n := say(away); n != want {
			t.Errorf("away for %d seconds: %d problems, want %d", i, n, want)
		}
	}
}
