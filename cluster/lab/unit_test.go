package lab

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/exp/golden"
	"github.com/google/go-cmp/cmp"
)

func TestConfigs(t *testing.T) {
	p := paths{"/var/lib/lab"}
	s := &state{
		Name: DefaultName, Servers: 3, Driver: DriverDocker, PluginBin: p.plugins() + "/" + pluginName,
		Nodes:  []Node{{Name: "gpu-a", GPUs: []GPUs{{"h100", 8}}}, {Name: "real", RealGPUs: true}, {Name: "cpu"}},
		Chroot: map[string]string{"/opt/stoker": "/usr/bin/stoker"},
	}
	base := []mapping{{"/usr/bin/dash", "/bin/sh"}}
	for name, f := range map[string]func() ([]byte, error){
		"vault":     func() ([]byte, error) { return renderVault(p, s.layout()) },
		"server":    func() ([]byte, error) { return renderServer(p, s.layout(), 1, Fleet{}) },
		"simulated": func() ([]byte, error) { return renderClient(p, s, 0, base, true) },
		"real":      func() ([]byte, error) { return renderClient(p, s, 1, base, true) },
		"plain": func() ([]byte, error) {
			bare := *s
			bare.Driver = DriverRawExec
			return renderClient(p, &bare, 2, base, false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := f()
			if err != nil {
				t.Fatal(err)
			}
			golden.RequireEqual(t, text)
		})
	}
}

// No two labs of different blocks, and no two parts of one lab, share a port.
func TestPortsAreDisjoint(t *testing.T) {
	owner := map[int]string{}
	take := func(port int, who string) {
		t.Helper()
		if before := owner[port]; before != "" {
			t.Errorf("port %d belongs to %s and %s", port, before, who)
		}
		if port < firstPort || port >= 32768 {
			t.Errorf("port %d of %s is outside the labs' range", port, who)
		}
		owner[port] = who
	}
	blocks := map[int]bool{}
	for _, name := range []string{DefaultName, "aa", "bb", "cc", "t1", "zz"} {
		if blocks[basePort(name)] {
			continue // same block: the port check reports it when both run
		}
		blocks[basePort(name)] = true
		l := newLayout(name, 3, maxNodes)
		take(basePort(name), name+" vault")
		take(basePort(name)+1, name+" vault cluster")
		for i, a := range slices.Concat(l.Servers, l.Clients) {
			who := name + " agent " + string(rune('a'+i))
			take(a.HTTP, who)
			take(a.RPC, who)
			take(a.Serf, who)
			for p := a.MinTask; p <= a.MaxTask && a.MaxTask > 0; p++ {
				take(p, who)
			}
		}
	}
	if len(blocks) < 3 {
		t.Errorf("six names fall on %d blocks", len(blocks))
	}
}

func TestTakenPortNamesItsOwner(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	addr := ln.Addr().String()
	err = checkFree("vault", addr)
	if err == nil {
		t.Fatal("a taken port is reported as free")
	}
	comm, _ := os.ReadFile("/proc/self/comm")
	for _, want := range []string{"vault", addr, strings.TrimSpace(string(comm)), "another --name"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not mention %q", err, want)
		}
	}
}

func TestStateSurvives(t *testing.T) {
	dir := t.TempDir()
	if _, err := loadState(dir); !errors.Is(err, ErrNoLab) {
		t.Errorf("empty folder: %v", err)
	}
	s := newState(Spec{Name: "x1", Servers: 1, Nodes: DefaultNodes()}, time.Unix(1, 0))
	s.Procs["vault"] = proc{PID: 4, Start: 5, Boot: "b"}
	s.Grants = []Grant{{Key: "k", Verb: VerbOpen, Namespace: "default", Job: "j", Task: "t"}}
	if err := s.save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := loadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got); diff != "" {
		t.Error(diff)
	}
	if info, _ := os.Stat(paths{dir}.state()); info.Mode().Perm() != 0o600 {
		t.Errorf("state.json has mode %v", info.Mode())
	}
	if err := os.WriteFile(paths{dir}.state(), []byte(`{"version":99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadState(dir); err == nil || errors.Is(err, ErrNoLab) {
		t.Errorf("a state of another version: %v", err)
	}
}

func TestRecycledProcessIsLeftAlone(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	real, err := identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if !real.alive() {
		t.Fatal("a process that runs is not alive")
	}
	for name, other := range map[string]proc{
		"earlier process": {real.PID, real.Start - 1, real.Boot},
		"earlier boot":    {real.PID, real.Start, "another"},
		"nothing":         {},
	} {
		if other.alive() {
			t.Errorf("%s counts as alive", name)
		}
		if err := other.stop(t.Context(), time.Second); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := other.signal(syscall.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("%s: signalled: %v", name, err)
		}
	}
	if !real.alive() {
		t.Fatal("the process was hit in place of one that had its id before")
	}
	if err := real.stop(t.Context(), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	if real.alive() {
		t.Error("alive after stop")
	}
}

func TestMarkFindsDescendants(t *testing.T) {
	p := paths{t.TempDir()}
	if err := os.MkdirAll(p.logs(), 0o700); err != nil {
		t.Fatal(err)
	}
	mark := newState(Spec{}, time.Now()).Mark
	shell, err := start(p, mark, "gpu-a", "/bin/sh", "-c", "sleep 60 & sleep 60")
	if err != nil {
		t.Fatal(err)
	}
	err = until(t.Context(), "both", patience, nil, func(context.Context) error {
		if len(owned(mark)) < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if got := owned(mark)[shell]; got != "gpu-a" {
		t.Errorf("part %q", got)
	}
	if len(owned("another"+mark)) != 0 {
		t.Error("another mark finds processes")
	}
	err = killAll(t.Context(), func() []proc {
		var all []proc
		for q := range owned(mark) {
			all = append(all, q)
		}
		return all
	})
	if err != nil || shell.alive() {
		t.Errorf("left alive: %v", err)
	}
}

func TestParseMounts(t *testing.T) {
	const info = `22 1 254:0 / / rw - ext4 /dev/vda rw
40 22 0:39 / /s/lab/0/id/task/secrets rw - tmpfs tmpfs rw
41 22 0:40 / /s/lab2/0/x rw - tmpfs tmpfs rw
42 22 0:41 / /s/lab/0/id/with\040space rw - tmpfs tmpfs rw
43 22 0:42 / /s/lab/0/id/task rw - tmpfs tmpfs rw
44 22 0:43 / /s/lab/0/id/task/secrets rw - tmpfs tmpfs rw
`
	want := []string{"/s/lab/0/id/task/secrets", "/s/lab/0/id/task/secrets", "/s/lab/0/id/task", "/s/lab/0/id/with space"}
	if diff := cmp.Diff(want, parseMounts(info, "/s/lab")); diff != "" {
		t.Error(diff)
	}
}

func TestSpecChecks(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	good := Spec{Name: "lab", Dir: "/s", Servers: 1, Nodes: DefaultNodes(), NomadBin: self, VaultBin: self, Driver: DriverAuto}
	for name, c := range map[string]struct {
		change func(*Spec)
		want   string // in the error; no error when empty
	}{
		"as it is":       {func(*Spec) {}, ""},
		"long folder":    {func(s *Spec) { s.Dir = "/" + strings.Repeat("d", 38) }, "39 bytes and may have 38"},
		"longest folder": {func(s *Spec) { s.Dir = "/" + strings.Repeat("d", 37) }, ""},
		"two servers":    {func(s *Spec) { s.Servers = 2 }, "1 or 3"},
		"own folder":     {func(s *Spec) { s.Nodes = []Node{{Name: "models"}} }, "taken by the lab"},
		"twins":          {func(s *Spec) { s.Nodes = []Node{{Name: "nn"}, {Name: "nn"}} }, "two nodes"},
		"path as name":   {func(s *Spec) { s.Nodes = []Node{{Name: "../x"}} }, "node name"},
		"no program":     {func(s *Spec) { s.VaultBin = "/nowhere/vault" }, "vault program"},
		"bad verb":       {func(s *Spec) { s.Grants = []Grant{{Key: "k", Verb: "read", Job: "j", Task: "t"}} }, "seal or open"},
		"key with slash": {func(s *Spec) { s.Grants = []Grant{{Key: "k/*", Verb: VerbOpen, Job: "j", Task: "t"}} }, "key name"},
		"whole job":      {func(s *Spec) { s.Grants = []Grant{{Key: "k", Verb: VerbOpen, Job: "j"}} }, "must be named"},
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			c.change(&s)
			err := s.check()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestForeignFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := makeDir(dir); err == nil {
		t.Error("a folder with other files in it is taken")
	}
}

func TestReconcileKeepsTheFleet(t *testing.T) {
	have := &state{Name: "x1", Servers: 1, Nodes: DefaultNodes(), NomadBin: "n", VaultBin: "v"}
	more := append(DefaultNodes(), Node{Name: "gpu-d"})
	got, err := reconcile(Spec{Name: "x1", Nodes: more}, have)
	if err != nil || len(got.Nodes) != 4 || got.NomadBin != "n" || got.Servers != 1 {
		t.Errorf("adding a node: %+v, %v", got, err)
	}
	for name, bad := range map[string]Spec{
		"fewer nodes":  {Name: "x1", Nodes: DefaultNodes()[:2]},
		"other GPUs":   {Name: "x1", Nodes: []Node{{Name: "gpu-a"}}},
		"more servers": {Name: "x1", Servers: 3},
		"other lab":    {Name: "x2"},
	} {
		if _, err := reconcile(bad, have); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Grants for one verb and key make one role with lists; seal and open never mix.
func TestGrantsBecomeRoles(t *testing.T) {
	var mu sync.Mutex
	bodies := map[string]map[string]any{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		mu.Lock()
		defer mu.Unlock()
		bodies[r.URL.Path] = body
	}))
	defer srv.Close()
	v := newVault(srv.URL, "root")
	defer v.close()
	err := v.grants(t.Context(), []Grant{
		{Key: "k", Verb: VerbOpen, Namespace: "default", Job: "a", Task: "open"},
		{Key: "k", Verb: VerbOpen, Namespace: "default", Job: "b", Task: "open"},
		{Key: "k", Verb: VerbSeal, Namespace: "ml", Job: "train", Task: "seal"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"nomad_namespace": []any{"default"}, "nomad_job_id": []any{"a", "b"}, "nomad_task": []any{"open"},
	}
	if diff := cmp.Diff(want, bodies["/v1/auth/jwt-nomad/role/open-k"]["bound_claims"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{"type": "aes256-gcm96", "derived": true}, bodies["/v1/transit/keys/k"]); diff != "" {
		t.Error(diff)
	}
	open, _ := bodies["/v1/sys/policies/acl/stoker-open-k"]["policy"].(string)
	seal, _ := bodies["/v1/sys/policies/acl/stoker-seal-k"]["policy"].(string)
	if !strings.Contains(open, `"transit/decrypt/k"`) || strings.Contains(open, "datakey") {
		t.Errorf("open policy:\n%s", open)
	}
	if !strings.Contains(seal, `"transit/datakey/plaintext/k"`) || strings.Contains(seal, "decrypt") {
		t.Errorf("seal policy:\n%s", seal)
	}
}

func TestHCLVars(t *testing.T) {
	got := hclVars(map[string]string{"b": `say "${x}" \n`, "a": "3", "list": `["u", "v"]`})
	want := "a = \"3\"\nb = \"say \\\"$${x}\\\" \\\\n\"\nlist = [\"u\", \"v\"]\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestToolVersions(t *testing.T) {
	for _, c := range []struct {
		tool    Tool
		version string
		want    bool
	}{
		{Nomad(), "v1.11.3", true},
		{Nomad(), "v1.10.0-beta.1", true},
		{Nomad(), "v1.9.7", false},
		{Nomad(), "v2.0.5", true},
		{Vault(), "v1.16.0", true},
		{Vault(), "v1.15.6+ent", false},
		{Vault(), "unknown", false},
	} {
		if got := c.tool.accepts(c.version); got != c.want {
			t.Errorf("%s %s: %v", c.tool.Name, c.version, got)
		}
	}
	for _, tool := range []Tool{Nomad(), Vault()} {
		v, err := pinnedVersion(filepath.Join("tools", tool.Name, "go.mod"), tool.Module)
		if err != nil || !tool.accepts(v) {
			t.Errorf("%s is pinned to %q: %v", tool.Name, v, err)
		}
	}
}

func TestToolsPrefersPathThenCache(t *testing.T) {
	bin, cache, src := t.TempDir(), t.TempDir(), t.TempDir()
	script := func(path, version string) {
		t.Helper()
		if err := os.WriteFile(path, []byte("#!/bin/sh\necho Nomad "+version+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	if _, err := Tools(t.Context(), Nomad(), src, cache, nil); err == nil || !strings.Contains(err.Error(), "not on PATH") {
		t.Errorf("neither on PATH nor a source: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(src, "nomad"), 0o755); err != nil {
		t.Fatal(err)
	}
	gomod := "module m\n\nrequire github.com/hashicorp/nomad v1.11.3\n"
	if err := os.WriteFile(filepath.Join(src, "nomad", "go.mod"), []byte(gomod), 0o644); err != nil {
		t.Fatal(err)
	}
	cached := filepath.Join(cache, "nomad-v1.11.3")
	script(cached, "v1.11.3")
	script(filepath.Join(bin, "nomad"), "v1.9.0")
	if got, err := Tools(t.Context(), Nomad(), src, cache, nil); err != nil || got != cached {
		t.Errorf("old one on PATH: %q, %v", got, err)
	}
	// Without a checkout nothing is pinned.
	newest := filepath.Join(cache, "nomad-v1.12.0")
	for _, name := range []string{"nomad-v1.9.12", "nomad-v1.12.0", "nomad-v1.13.0.lock", "nomad-v1.13.0.4711", "vault-v1.21.0"} {
		script(filepath.Join(cache, name), "v0.0.0")
	}
	for _, none := range []string{"", t.TempDir()} {
		if got, err := Tools(t.Context(), Nomad(), none, cache, nil); err != nil || got != newest {
			t.Errorf("no checkout: %q, %v", got, err)
		}
	}
	if got, err := Tools(t.Context(), Nomad(), "", t.TempDir(), nil); err == nil {
		t.Errorf("neither a checkout nor a cache: %q", got)
	}
	script(filepath.Join(bin, "nomad"), "v1.10.2")
	if got, err := Tools(t.Context(), Nomad(), src, cache, nil); err != nil || got != filepath.Join(bin, "nomad") {
		t.Errorf("good one on PATH: %q, %v", got, err)
	}
}
