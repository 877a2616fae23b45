package lab

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fakeEngine is what the lab asks of a Docker engine, on a unix socket.
type fakeEngine struct {
	containers map[string]string // id -> the allocation that its label names
	images     []string
}

func (f *fakeEngine) serve(t *testing.T, socket string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"Version":"0"}`))
	})
	mux.HandleFunc("GET /containers/json", func(w http.ResponseWriter, _ *http.Request) {
		list := []map[string]any{}
		for id, alloc := range f.containers {
			list = append(list, map[string]any{"Id": id, "Labels": map[string]string{allocLabel: alloc}})
		}
		_ = json.NewEncoder(w).Encode(list)
	})
	mux.HandleFunc("DELETE /containers/{id}", func(_ http.ResponseWriter, r *http.Request) {
		delete(f.containers, r.PathValue("id"))
	})
	mux.HandleFunc("DELETE /images/{name}", func(_ http.ResponseWriter, r *http.Request) {
		f.images = slices.DeleteFunc(f.images, func(name string) bool { return name == r.PathValue("name") })
	})
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(mux)
	_ = srv.Listener.Close()
	srv.Listener = ln
	srv.Start()
	t.Cleanup(srv.Close)
}

// dockerLab is the folder of a lab whose processes have ended and that may have
// a container of one allocation.
func dockerLab(t *testing.T, alloc string, change func(*state)) *Lab {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "l")
	if err := os.MkdirAll(filepath.Join(paths{dir}.allocs(0), alloc), 0o700); err != nil {
		t.Fatal(err)
	}
	s := newState(Spec{Name: "down-test", Servers: 1, Nodes: DefaultNodes()}, time.Now())
	change(s)
	if err := s.save(dir); err != nil {
		t.Fatal(err)
	}
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// shortDir is a folder below /tmp, so that sockets fit whatever TMPDIR is.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "lt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// What is in the engine is known from the lab's folder only, so the folder stays
// until the engine has answered.
func TestDownKeepsTheFolderUntilDockerAnswers(t *testing.T) {
	const ours, other = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
	socket := filepath.Join(shortDir(t), "docker.sock")
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	l := dockerLab(t, ours, func(s *state) { s.Driver, s.Images = DriverDocker, []string{"stoker-lab:1"} })
	mustStay := func(err error, is error, say ...string) {
		t.Helper()
		if err == nil || is != nil && !errors.Is(err, is) {
			t.Errorf("down: %v, want %v", err, is)
		}
		for _, want := range say {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not mention %q", err, want)
			}
		}
		if _, err := loadState(l.Dir()); err != nil {
			t.Fatalf("the state is gone: %v", err)
		}
	}
	mustStay(l.Down(t.Context()), fs.ErrNotExist, "docker engine", l.Dir())

	engine := &fakeEngine{containers: map[string]string{"c1": ours, "c2": other}, images: []string{"stoker-lab:1", "theirs:1"}}
	engine.serve(t, socket)
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	mustStay(l.Down(interrupted), context.Canceled)
	t.Setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
	mustStay(l.Down(t.Context()), nil, "DOCKER_HOST")
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	if len(engine.containers) != 2 || len(engine.images) != 2 {
		t.Errorf("removed before the folder was: %+v", engine)
	}

	if err := l.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := engine.containers["c2"]; !ok || len(engine.containers) != 1 || !slices.Equal(engine.images, []string{"theirs:1"}) {
		t.Errorf("left in the engine: %+v", engine)
	}
	if _, err := os.Stat(l.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("folder left: %v", err)
	}
}

// A lab that had nothing to do with docker needs no engine to end, and one that
// has another driver by now still does.
func TestDownAsksDockerWhereItWasUsed(t *testing.T) {
	const alloc = "11111111-2222-3333-4444-555555555555"
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(t.TempDir(), "nobody.sock"))
	for name, c := range map[string]struct {
		change func(*state)
		fails  bool
	}{
		"never":   {func(s *state) { s.Driver = DriverExec }, false},
		"earlier": {func(s *state) { s.Driver, s.Images = DriverExec, []string{"stoker-lab:1"} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := dockerLab(t, alloc, c.change)
			interrupted, cancel := context.WithCancel(t.Context())
			cancel()
			if err := l.Down(interrupted); (err != nil) != c.fails {
				t.Errorf("down: %v", err)
			}
		})
	}
}

// Each build of the programs is a new image: down removes all that were made.
func TestEveryImageIsRemembered(t *testing.T) {
	tmp := shortDir(t)
	socket, dir := filepath.Join(tmp, "docker.sock"), filepath.Join(tmp, "l")
	engine := &fakeEngine{images: []string{"stoker-lab:0", "stoker-lab:1", "stoker-lab:2", "theirs:1"}}
	engine.serve(t, socket)
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	// As an earlier program wrote it.
	old := `{"version":1,"name":"down-test","mark":"m-down-test","servers":1,"nodes":[{"name":"cpu"}],"driver":"docker","image":"stoker-lab:0"}`
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(paths{dir}.state(), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"stoker-lab:1", "stoker-lab:2", "stoker-lab:2"} {
		spec, err := Spec{Name: "down-test", Dir: dir, NomadBin: self, VaultBin: self, Image: Image{Name: name}}.filled()
		if err != nil {
			t.Fatal(err)
		}
		se, err := newSession(t.Context(), dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := se.adopt(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		se.unlock()
	}
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(engine.images, []string{"theirs:1"}) {
		t.Errorf("images left: %q", engine.images)
	}
}
