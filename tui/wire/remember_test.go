package wire

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stoker/gpu"
	"stoker/gpu/nvml"
	"stoker/gpu/sim"
)

// A node that comes back from a restart with a GPU less tells which.
func TestRemember(t *testing.T) {
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "gpus.json")
	read := func(gpus ...string) gpu.Batch {
		t.Helper()
		if err := sim.Create(dir, sim.Spec{Node: "n1", GPUs: gpus}); err != nil {
			t.Fatal(err)
		}
		known, err := remembered(path)
		if err != nil {
			t.Fatal(err)
		}
		lib, err := sim.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		reader, err := nvml.Open(lib, "n1", nvml.Expect(known))
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		r := &remembering{Reader: reader, path: path, error: func(err error) { t.Error(err) }}
		b, err := r.Read(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	two := read(sim.H100, sim.H100)
	one := read(sim.H100)
	if len(one.Devices) != 2 || one.Devices[1].UUID != two.Devices[1].UUID || one.Samples[1].Health.Verdict != gpu.VerdictFailed {
		t.Errorf("with a GPU less: %+v", one)
	}
	if one.Samples[0].Health.Verdict != gpu.VerdictOK {
		t.Errorf("the one that is there: %+v", one.Samples[0].Health)
	}
	if again := read(sim.H100); len(again.Devices) != 2 {
		t.Error("a GPU that is missing is forgotten at the next restart")
	}
}

func TestRememberTellsOnceWhatItCannotWrite(t *testing.T) {
	dir := t.TempDir()
	if err := sim.Create(dir, sim.Spec{Node: "n1", GPUs: []string{sim.H100}}); err != nil {
		t.Fatal(err)
	}
	lib, err := sim.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := nvml.Open(lib, "n1")
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var told []string
	r := &remembering{Reader: reader, path: filepath.Join(dir, "no", "such", "folder"), error: func(err error) { told = append(told, err.Error()) }}
	for range 3 {
		if _, err := r.Read(time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], "no such file") {
		t.Errorf("told %q, want it once", told)
	}
	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := remembered(bad); err == nil {
		t.Error("a file of something else is taken")
	}
}
