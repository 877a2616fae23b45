package wire

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/secrets"
	"stoker/tui"
	"stoker/tui/cli"
)

// TestRegionsThatComeLater: a Nomad that told its regions only after the session
// began is shown with all of them, and what stood for them has ended.
func TestRegionsThatComeLater(t *testing.T) {
	s, closeSite, err := newSite(recordedBodies(t))
	if err != nil {
		t.Fatal(err)
	}
	defer closeSite()
	before := goleak.IgnoreCurrent()
	w := &wiring{sys: stateAt(t.TempDir()), redactor: secrets.NewRedactor(), regionsEvery: time.Millisecond}
	fed := contexts.Context{Name: "fed", Nomad: contexts.Nomad{Address: s.URL, Region: contexts.EveryRegion}}
	session, err := w.several(t.Context(), []contexts.Context{fed}, true)
	if err != nil {
		t.Fatal(err)
	}
	snap, ok := session.Wait(t.Context(), 20*time.Second, func(s *cluster.Snapshot) bool {
		return len(s.Members) == 2 && s.Members[0].Ready && s.Members[1].Ready
	})
	if want := (cluster.Place{Cluster: "fed", Region: "east+west"}); !ok || snap.Place != want || len(snap.Nodes) != 2 || snap.Nodes[0].Place == snap.Nodes[1].Place {
		t.Errorf("%+v, nodes %+v", snap.Place, snap.Nodes)
	}
	session.Close()
	if err := goleak.Find(before, ofServer(), goleak.IgnoreAnyFunction("net/http.(*connReader).backgroundRead")); err != nil {
		t.Error(err)
	}
}

// TestRegionsAreAskedForTogether: each of these Nomads answers when all were asked.
func TestRegionsAreAskedForTogether(t *testing.T) {
	var asked sync.WaitGroup
	var list []contexts.Context
	for i := range 3 {
		asked.Add(1)
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Done()
			asked.Wait()
			_, _ = io.WriteString(w, `["east"]`)
		}))
		t.Cleanup(srv.Close)
		list = append(list, contexts.Context{Name: fmt.Sprint("c", i), Nomad: contexts.Nomad{Address: srv.URL, Region: contexts.EveryRegion}})
	}
	w := &wiring{sys: stateAt(t.TempDir()), redactor: secrets.NewRedactor()}
	var names []string
	out, unknown := w.regions(t.Context(), list)
	for _, c := range out {
		names = append(names, c.Name)
	}
	if got := strings.Join(names, " "); unknown || got != "c0/east c1/east c2/east" {
		t.Errorf("%s, unknown %v", got, unknown)
	}
}

// TestRegionsOfOneThatTells: who does not tell keeps nobody waiting.
func TestRegionsOfOneThatTells(t *testing.T) {
	s, closeSite, err := newSite(recordedBodies(t))
	if err != nil {
		t.Fatal(err)
	}
	defer closeSite()
	nowhere, err := nobody()
	if err != nil {
		t.Fatal(err)
	}
	w := &wiring{sys: stateAt(t.TempDir()), redactor: secrets.NewRedactor(), regionsEvery: time.Millisecond}
	session, err := w.several(t.Context(), []contexts.Context{
		{Name: "dead", Nomad: contexts.Nomad{Address: "http://127.0.0.1:" + nowhere, Region: contexts.EveryRegion}},
		{Name: "fed", Nomad: contexts.Nomad{Address: s.URL, Region: contexts.EveryRegion}},
	}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if snap, ok := session.Wait(t.Context(), 20*time.Second, func(s *cluster.Snapshot) bool { return len(s.Members) == 3 }); !ok {
		t.Errorf("%d members", len(snap.Members))
	}
}

// TestClosedSessionsAreLetGo: each holds the last snapshot of its cluster.
func TestClosedSessionsAreLetGo(t *testing.T) {
	nowhere, err := nobody()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, ".config", "stoker"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".config", "stoker", "config.yaml"), []byte("contexts:\n  a: { nomad: { address: http://127.0.0.1:"+nowhere+" } }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := &sites{sys: stateAt(dir), redactor: secrets.NewRedactor(), screens: func(*cli.Session) tui.Config { return tui.Config{} }}
	defer w.close()
	var open []tui.Config
	for range 3 {
		cfg, err := w.Open(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, cfg)
	}
	open[1].Close()
	open[1].Close()
	if len(w.opened) != 2 {
		t.Errorf("%d sessions are kept", len(w.opened))
	}
}

func ofServer() goleak.Option { return goleak.IgnoreAnyFunction("net/http.(*conn).serve") }

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
	if err := goleak.Find(before, ofServer(), goleak.IgnoreAnyFunction("net/http.(*connReader).backgroundRead")); err != nil {
		t.Error(err) // those are of the server
	}
}
