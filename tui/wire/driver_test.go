//go:build cgo && linux

package wire

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// driver makes NVIDIA's library for tests from its C source, which says how it
// is told to answer. stoker runs against it as a process of its own, since
// go-nvml ends the process where it calls a function that is missing.
type driver struct {
	object    string
	functions []string
}

func newDriver(t *testing.T) driver {
	t.Helper()
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("needs a C compiler")
	}
	source := filepath.Join(projectRoot, "gpu", "nvml", "testdata", "nvml.c")
	d := driver{object: filepath.Join(t.TempDir(), "nvml.o")}
	cc(t, "-Wall", "-Wextra", "-fPIC", "-c", "-o", d.object, source)
	for _, m := range regexp.MustCompile(`(?m)^API (nvml\w+)\(`).FindAllStringSubmatch(projectFile(t, "gpu/nvml/testdata/nvml.c"), -1) {
		d.functions = append(d.functions, m[1])
	}
	d.functions = append(d.functions, "nvmlErrorString")
	if len(d.functions) < 100 {
		t.Fatalf("found %d functions in %s: this test reads it wrongly", len(d.functions), source)
	}
	return d
}

func cc(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "cc", args...).CombinedOutput(); err != nil {
		t.Fatalf("cc %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// without links a library that lacks functions and returns its folder.
func (d driver) without(t *testing.T, functions ...string) string {
	t.Helper()
	dir := t.TempDir()
	args := []string{"-shared", "-o", filepath.Join(dir, "libnvidia-ml.so.1"), d.object}
	if len(functions) > 0 {
		hide := filepath.Join(dir, "hide")
		if err := os.WriteFile(hide, []byte("{ global: *; local: "+strings.Join(functions, "; ")+"; };"), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-Wl,--version-script="+hide)
	}
	cc(t, args...)
	return dir
}

// only links a library that has these functions and no others.
func (d driver) only(t *testing.T, functions ...string) string {
	t.Helper()
	return d.without(t, slices.DeleteFunc(slices.Clone(d.functions), func(f string) bool { return slices.Contains(functions, f) })...)
}

// stoker is the program with the library of a folder.
func stoker(t *testing.T, folder string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "stoker", args...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+folder, "HOME="+t.TempDir(), "GORACE=atexit_sleep_ms=0")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}
