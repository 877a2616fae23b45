package lab

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"stoker/secrets/seal"
)

// TestMain runs this binary again as a Vault where a lab starts it as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "server" {
		config, _ := strings.CutPrefix(os.Args[2], "-config=")
		fmt.Fprintln(os.Stderr, fakeVault(config))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// fakeVault serves what bringing a Vault up needs. That it is initialised is on
// disk, with the key; that it is unsealed is not.
func fakeVault(config string) error {
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	setting := func(name string) string {
		return string(regexp.MustCompile(`(?m)^  ` + name + ` += "(.*)"`).FindSubmatch(text)[1])
	}
	data := filepath.Join(setting("path"), "key")
	sealed := true
	http.HandleFunc("GET /v1/sys/health", func(w http.ResponseWriter, _ *http.Request) {
		_, err := os.Stat(data)
		_ = json.NewEncoder(w).Encode(vaultHealth{Initialized: err == nil, Sealed: sealed})
	})
	http.HandleFunc("PUT /v1/sys/init", func(w http.ResponseWriter, _ *http.Request) {
		key := rand.Text()
		if err := os.WriteFile(data, []byte(key), 0o600); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []string{key}, "root_token": "root"})
	})
	http.HandleFunc("PUT /v1/sys/unseal", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Key string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		if key, err := os.ReadFile(data); err != nil || body.Key != string(key) {
			http.Error(w, "wrong key", http.StatusBadRequest)
			return
		}
		sealed = false
	})
	return http.ListenAndServe(setting("address"), nil) //nolint:gosec // a test
}

// vaultSession is a lab of which only Vault, a fake one, will run.
func vaultSession(t *testing.T) *session {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := newState(Spec{Servers: 1, Nodes: []Node{{Name: "cpu"}}}, time.Now())
	s.Driver, s.VaultBin = DriverRawExec, self
	for c := 'a'; s.Name == "" && c <= 'z'; c++ {
		lay := newLayout("vault-"+string(c), 1, 1)
		if checkFree("vault", lay.Vault, lay.VaultCluster) == nil {
			s.Name = "vault-" + string(c)
		}
	}
	se, err := newSession(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(se.unlock)
	se.state = s
	t.Cleanup(func() { _ = se.proc("vault").kill(context.Background()) })
	if err := se.files(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	return se
}

// A crash may come after Vault was initialised and before its key, or its token,
// was on disk.
func TestVaultWithoutKeysIsMadeAnew(t *testing.T) {
	se := vaultSession(t)
	p := se.paths
	up := func() (key string) {
		t.Helper()
		if err := se.vaultUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		v := se.vault()
		defer v.close()
		if h, err := v.health(t.Context()); err != nil || !h.Initialized || h.Sealed {
			t.Fatalf("%+v, %v", h, err)
		}
		text, err := os.ReadFile(p.unsealKey())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	crash := func(lost ...string) {
		t.Helper()
		if err := se.proc("vault").kill(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, path := range lost {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	first := up()
	if err := checkFree("vault", se.state.layout().Vault); err == nil || !strings.Contains(err.Error(), "of the lab in "+p.dir) {
		t.Errorf("the holder of a port is another lab: %v", err)
	}
	crash()
	if again := up(); again != first {
		t.Error("a Vault with its keys was made anew")
	}
	crash(p.unsealKey(), p.vaultToken())
	second := up()
	crash(p.vaultToken())
	if third := up(); second == first || third == second {
		t.Error("a key opens a Vault that was made later")
	}

	artifact := filepath.Join(p.models(), "digits", "1")
	if err := os.MkdirAll(artifact, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(artifact, seal.ManifestName), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(p.unsealKey())
	if err != nil {
		t.Fatal(err)
	}
	crash(p.unsealKey())
	err = se.vaultUp(t.Context())
	if !errors.Is(err, errKeysLost) {
		t.Fatalf("with an artifact: %v", err)
	}
	for _, want := range []string{p.unsealKey(), artifact, "take the lab down"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not mention %q", err, want)
		}
	}
	if err := writeFile(p.unsealKey(), key); err != nil {
		t.Fatal(err)
	}
	up()

	// It is open: somebody may work with it, whatever the lab's folder holds.
	if err := os.Remove(p.vaultToken()); err != nil {
		t.Fatal(err)
	}
	if err := se.vaultUp(t.Context()); err == nil || errors.Is(err, errKeysLost) || !strings.Contains(err.Error(), p.vaultToken()) {
		t.Errorf("open, without its token: %v", err)
	}
}
