package wire

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stoker/cluster"
	"stoker/secrets"
	"stoker/tui/cli"
)

// TestSessionsCloseWhole: what a session of several clusters started has ended
// when it was closed, and none of its connections is left.
func TestSessionsCloseWhole(t *testing.T) {
	s, closeSite, err := newSite(recordedBodies(t))
	if err != nil {
		t.Fatal(err)
	}
	defer closeSite()
	nowhere, err := nobody()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := "contexts:\n  a: { nomad: { address: " + s.URL + " }, vault: { address: http://127.0.0.1:" + nowhere + " } }\n" +
		"  b: { nomad: { address: " + s.URL + " } }\n  c: { nomad: { address: http://127.0.0.1:" + nowhere + " } }\n"
	if err := os.MkdirAll(filepath.Join(dir, ".config", "stoker"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".config", "stoker", "config.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	before := goleak.IgnoreCurrent()
	for _, names := range []string{"a,b,c", "b"} {
		session, err := Connect(t.Context(), stateAt(dir), secrets.NewRedactor(), cli.ConnectOptions{Context: names, Several: true})
		if err != nil {
			t.Fatal(err)
		}
		if snap, ok := session.Wait(t.Context(), 20*time.Second, func(s *cluster.Snapshot) bool {
			return s.Ready && len(s.GPUs) == 2*max(len(s.Members)-1, 1)
		}); !ok {
			t.Errorf("%s: %d GPUs", names, len(snap.GPUs))
		}
		session.Close()
		session.Close() // once is enough
	}
	if err := goleak.Find(before, goleak.IgnoreAnyFunction("net/http.(*conn).serve"), goleak.IgnoreAnyFunction("net/http.(*connReader).backgroundRead")); err != nil {
		t.Error(err) // those are of the server
	}
}
