package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestArtifactsByAPerson seals a folder, verifies it, wraps it anew and opens it
// into memory; a disk is refused, and so is read-only mode.
func TestArtifactsByAPerson(t *testing.T) {
	w := need(t)
	memory, err := os.MkdirTemp("/dev/shm", "st")
	if err != nil {
		t.Skip("no memory filesystem at /dev/shm:", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(memory) })
	src, dst := filepath.Join(memory, "src"), filepath.Join(memory, "dst")
	if err := os.Mkdir(src, 0o700); err != nil {
		t.Fatal(err)
	}
	const plain = "weights that nobody may see"
	if err := os.WriteFile(filepath.Join(src, "w.bin"), []byte(plain), 0o600); err != nil {
		t.Fatal(err)
	}
	const urn = "urn:stoker:model:mine:1"
	models := w.lab.ModelsDir()
	if r := stoker(t, "--read-only", "seal", urn, "--from", src, "--models", models); r.code != 4 {
		t.Errorf("read-only: exit %d, want 4\n%s", r.code, r.err)
	}
	ok(t, "seal", urn, "--from", src, "--models", models, "--register")
	for _, args := range [][]string{
		{"verify", urn, "--models", models, "--deep"},
		{"rewrap", urn, "--models", models},
		{"verify", urn, "--models", models},
	} {
		ok(t, args...)
	}
	if out := ok(t, "open", urn, "--models", models, "--into", dst, "--", "cat", filepath.Join(dst, "w.bin")); out != plain {
		t.Errorf("opened %q", out)
	}
	if left, _ := os.ReadDir(dst); len(left) != 0 {
		t.Errorf("left after the command: %v", left)
	}
	if r := stoker(t, "open", urn, "--models", models, "--into", t.TempDir()); r.code == 0 || !strings.Contains(r.err, "memory filesystem") {
		t.Errorf("opening to a disk: exit %d\n%s", r.code, r.err)
	}
	if out := ok(t, "get", "keys"); !strings.Contains(out, "mine:1") {
		t.Errorf("keys do not name the artifact:\n%s", out)
	}
}

// TestDigestFromRegistry: a pack that serves a model takes the digest from the
// registry; a version that is not there is an error.
func TestDigestFromRegistry(t *testing.T) {
	need(t)
	train(t, "reg")
	t.Cleanup(func() { stoker(t, "stop", "digits", "--purge", "--yes") })
	if r := stoker(t, "submit", "digits", "-v", "version=none", "--yes"); r.code != 2 || !strings.Contains(r.err, "is registered") {
		t.Errorf("exit %d\n%s", r.code, r.err)
	}
	ok(t, "submit", "digits", "-v", "version=reg", "--yes", "--wait", "--timeout", "5m")
}
