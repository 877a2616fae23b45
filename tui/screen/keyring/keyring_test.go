package keyring

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"stoker/cluster"
	"stoker/secrets"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
)

func open(e *screen.Env) screen.Screen { return New(e, rotator{}) }

type rotator struct{ err error }

func (r rotator) RotateKey(_ context.Context, key string) error {
	if key != "models-llm" {
		return errors.New("another key: " + key)
	}
	return r.err
}

// loose is the lab with a weak key, one that lost an artifact, and a token that
// ends soon and may not read all.
func loose() *cluster.Snapshot {
	s := *fixture.Lab()
	v := *s.Vault
	soon := fixture.Now().Add(11 * time.Minute)
	v.TokenExpires = &soon
	v.Denied = []secrets.Denied{
		{Path: "transit/keys/finance", Capability: "read", Reason: "no policy of the token grants it"},
		{Path: "sys/license/status", Capability: "read", Reason: ""},
	}
	s.Vault = &v
	day := 24 * time.Hour
	lost := s.Keys[0].Artifacts[0]
	s.Keys = append(slices.Clip(s.Keys),
		cluster.Key{Key: secrets.Key{Name: "models-old", Type: "aes256-gcm96", Derived: true, Latest: 3, MinDecryption: 2, Versions: []secrets.KeyVersion{
			{Version: 2, Created: fixture.Now().Add(-300 * day)}, {Version: 3, Created: fixture.Now().Add(-200 * day)},
		}}, Artifacts: []cluster.Artifact{lost}, Stale: 1},
		cluster.Key{Key: secrets.Key{Name: "notebooks", Type: "chacha20-poly1305", Latest: 1, MinDecryption: 1, Exportable: true, DeletionAllowed: true}})
	return &s
}

// sealedVault is Vault after somebody sealed it.
func sealedVault() *cluster.Snapshot {
	s := *fixture.Lab()
	v := *s.Vault
	v.Sealed, v.Keys, v.TokenKnown = true, nil, false
	s.Vault, s.Keys = &v, nil
	return &s
}

// sealedLater is the same, looked at by somebody who saw the keys before.
func sealedLater() *cluster.Snapshot {
	s := *fixture.Lab()
	v := *s.Vault
	v.Sealed, v.TokenKnown, v.KeysAt = true, false, fixture.Now().Add(-3*time.Minute)
	s.Vault = &v
	return &s
}

// silent is Vault that stopped answering.
func silent() *cluster.Snapshot {
	s := *fixture.Lab()
	v := *s.Vault
	v.Err, v.Hint, v.At, v.Retry = "dial tcp 10.0.4.10:8200: connection refused", "is Vault running, and is VAULT_ADDR right?", fixture.Now().Add(-4*time.Minute), fixture.Now().Add(7*time.Second)
	s.Vault = &v
	return &s
}

func TestGolden(t *testing.T) {
	fixture.Goldens(t, "table", fixture.Lab(), open)
	fixture.Goldens(t, "loose", loose(), open)
	fixture.Goldens(t, "sealed", sealedVault(), open)
	fixture.Goldens(t, "sealedlater", sealedLater(), open)
	fixture.Goldens(t, "silent", silent(), open)
	fixture.Goldens(t, "starting", fixture.Starting(), open)
	fixture.Goldens(t, "detail", fixture.Lab(), open, fixture.Key(keys.Open))
	fixture.Goldens(t, "lost", loose(), open, fixture.Key(keys.Down), fixture.Key(keys.Down), fixture.Key(keys.Open))
	fixture.Goldens(t, "weak", loose(), open, fixture.Key(keys.Bottom), fixture.Key(keys.Open))
	fixture.Themes(t, "loose", loose(), open)
	fixture.Themes(t, "detail", fixture.Lab(), open, fixture.Key(keys.Open))
}

func TestEveryWidth(t *testing.T) {
	for _, s := range []*cluster.Snapshot{loose(), sealedVault(), silent(), {}} {
		fixture.Sweep(t, s, open)
	}
	fixture.SweepAll(t, fixture.Lab(), open)
	fixture.SweepAll(t, fixture.Lab(), open, fixture.Key(keys.Open))
}

func shown(t *testing.T, s *cluster.Snapshot, r Rotator) *Model {
	t.Helper()
	m := New(fixture.Env(t), r)
	m.SetSize(120, 35)
	m.SetSnapshot(s)
	return m
}

func TestRotateAsksFirst(t *testing.T) {
	for _, detail := range []bool{false, true} {
		m := shown(t, fixture.Lab(), rotator{})
		if detail {
			m.Update(fixture.Key(keys.Open))
		}
		q, ok := fixture.Reply(m.Update(fixture.Key(keys.Rotate))).(screen.QuestionMsg)
		if !ok || !strings.Contains(strings.Join(q.Lines, " "), "version 3") {
			t.Fatalf("%+v", q)
		}
		if text, err := q.Do(t.Context()); err != nil || text == "" {
			t.Errorf("%q, %v", text, err)
		}
	}
	denied := errors.New("permission denied")
	q := fixture.Reply(shown(t, fixture.Lab(), rotator{denied}).Update(fixture.Key(keys.Rotate))).(screen.QuestionMsg)
	if _, err := q.Do(t.Context()); !errors.Is(err, denied) {
		t.Error(err)
	}
}

func TestWithoutVaultNothingRotates(t *testing.T) {
	m := shown(t, fixture.Lab(), nil)
	if slices.Contains(m.Actions(), keys.Rotate) {
		t.Error("offered")
	}
	if got, ok := fixture.Reply(m.Update(fixture.Key(keys.Rotate))).(screen.NoteMsg); !ok || got.Level != cluster.Warn {
		t.Errorf("%+v", got)
	}
}

func TestOpenSelectsTheKey(t *testing.T) {
	m := shown(t, fixture.Lab(), nil)
	m.Open(screen.Target{Key: "models-vision", Details: true})
	if m.Selected().Name != "models-vision" || m.detail == nil {
		t.Errorf("selected %s", m.Selected().Name)
	}
	if !m.Back() || m.Back() {
		t.Error("back closes the detail, once")
	}
}

func TestStates(t *testing.T) {
	th := fixture.Env(t).Theme
	key := func(latest, least int, versions ...int) *cluster.Key {
		k := &cluster.Key{Key: secrets.Key{Latest: latest, MinDecryption: least}}
		for _, v := range versions {
			k.Artifacts = append(k.Artifacts, cluster.Artifact{KeyVersion: v})
			if v > 0 && v < latest {
				k.Stale++
			}
		}
		return k
	}
	for _, tc := range []struct {
		k    *cluster.Key
		want string
	}{
		{key(1, 1, 1, 1), "● current"},
		{key(2, 1, 1, 2), "▲ 1 stale"},
		{key(3, 2, 1, 2, 3), "✖ 1 lost"},
		{key(1, 1), "○ unused"},
		{key(2, 2, 0), "● current"}, // a version that nobody told is no alarm
	} {
		if got := state(th, tc.k).Text; got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

func TestTheWholeDigestIsShown(t *testing.T) {
	s := *fixture.Lab()
	s.Keys = slices.Clone(s.Keys)
	s.Keys[0].Artifacts = slices.Clone(s.Keys[0].Artifacts)
	digest := "sha256:" + strings.Repeat("0123456789abcdef", 4)
	for i := range s.Keys[0].Artifacts {
		s.Keys[0].Artifacts[i].Digest = digest
	}
	for _, w := range []int{80, 120, 200} {
		m := New(fixture.Env(t), nil)
		m.SetSize(w, 19)
		m.SetSnapshot(&s)
		m.Update(fixture.Key(keys.Open))
		_, below, _ := strings.Cut(fixture.Picture(m.View()), "  digest ")
		if got := strings.Join(strings.Fields(below), ""); !strings.HasPrefix(got, digest) {
			t.Errorf("%d columns: %q", w, got)
		}
	}
}
