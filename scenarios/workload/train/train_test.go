package train

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"stoker/scenarios/workload/artifact"
)

func deps(log io.Writer) (Deps, *prometheus.Registry) {
	registry := prometheus.NewRegistry()
	clock := time.Unix(1000, 0)
	now := func() time.Time {
		clock = clock.Add(time.Second)
		return clock
	}
	return Deps{Log: log, Metrics: NewMetrics(registry, "digits", "1"), Progress: &Progress{}, Now: now}, registry
}

func quick(steps int) Config {
	cfg := Default()
	cfg.StepDelay, cfg.Epochs, cfg.Steps = 0, 0, steps
	return cfg
}

func packed(t *testing.T, f artifact.Folder) []byte {
	t.Helper()
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := f.Tar(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// The promise of the whole module, with the flags' defaults.
func TestDefaultTrainingReachesItsAccuracy(t *testing.T) {
	cfg := Default()
	cfg.StepDelay = 0
	var log bytes.Buffer
	d, registry := deps(&log)
	f, err := Run(t.Context(), cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	e := f.Evaluation
	if e.Samples != 360 || e.Accuracy < 0.95 || e.MacroF1 < 0.95 {
		t.Errorf("on %d test images: accuracy %.4f, F1 %.4f", e.Samples, e.Accuracy, e.MacroF1)
	}
	t.Logf("test accuracy %.4f", e.Accuracy)
	b, counted := f.Baseline, 0
	for _, n := range b.Scores.Counts {
		counted += n
	}
	if b.Min != 0 || b.Max != 16 || len(b.Pixels) != 64 || counted != 359 {
		t.Errorf("baseline: values %v to %v, %d pixels, %d scores", b.Min, b.Max, len(b.Pixels), counted)
	}
	if p := b.Pixels[0]; p.Mean != 0 || p.Std != 0 {
		t.Errorf("the corner pixel is never inked, but %+v", p)
	}
	lines := strings.Split(log.String(), "\n")
	if want := "step: 20 loss: "; !strings.HasPrefix(lines[1], want) || !strings.HasSuffix(lines[1], "samples_per_second: 640") {
		t.Errorf("progress line %q, want %q... and 20 batches of 32 in the clock's second", lines[1], want)
	}
	checkMetrics(t, registry)
}

func checkMetrics(t *testing.T, registry *prometheus.Registry) {
	t.Helper()
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	want := `
# HELP stoker_training_planned_steps Steps that the training will take in all.
# TYPE stoker_training_planned_steps gauge
stoker_training_planned_steps{model="digits",version="1"} 990
# HELP stoker_training_step Steps taken, those before a resumed checkpoint included.
# TYPE stoker_training_step gauge
stoker_training_step{model="digits",version="1"} 990
# HELP stoker_training_samples_total Images learned from since this process started.
# TYPE stoker_training_samples_total counter
stoker_training_samples_total{model="digits",version="1"} 31680
# HELP stoker_training_epoch Pass over the training images, counted from 1.
# TYPE stoker_training_epoch gauge
stoker_training_epoch{model="digits",version="1"} 30
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "stoker_training_planned_steps",
		"stoker_training_step", "stoker_training_samples_total", "stoker_training_epoch"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"stoker_training_loss", "stoker_training_accuracy", "stoker_training_learning_rate"} {
		if n, err := testutil.GatherAndCount(registry, name); n != 1 {
			t.Errorf("%s: %d series (%v)", name, n, err)
		}
	}
}

func TestUnknownIsAbsent(t *testing.T) {
	_, registry := deps(io.Discard)
	for _, name := range []string{"stoker_training_loss", "stoker_training_accuracy"} {
		if n, err := testutil.GatherAndCount(registry, name); n != 0 {
			t.Errorf("%s: %d series before the first step (%v)", name, n, err)
		}
	}
}

// stopAfter ends a context when a number of progress lines were printed.
type stopAfter struct {
	lines  int
	cancel context.CancelCauseFunc
}

func (s *stopAfter) Write(p []byte) (int, error) {
	if s.lines -= bytes.Count(p, []byte("step: ")); s.lines <= 0 {
		s.cancel(errStop)
	}
	return len(p), nil
}

var errStop = errors.New("stop")

func TestResumedTrainingEndsTheSame(t *testing.T) {
	d, _ := deps(io.Discard)
	whole, err := Run(t.Context(), quick(150), d)
	if err != nil {
		t.Fatal(err)
	}
	cfg := quick(150)
	cfg.LogEvery, cfg.SaveEvery = 35, 1000 // stops in the middle of an epoch, saved by the stop alone
	cfg.Checkpoints = filepath.Join(t.TempDir(), "checkpoints")
	for _, lines := range []int{1, 2} {
		ctx, cancel := context.WithCancelCause(t.Context())
		d, _ := deps(&stopAfter{lines, cancel})
		if _, err := Run(ctx, cfg, d); !errors.Is(err, errStop) || !strings.Contains(err.Error(), "checkpoint saved") {
			t.Fatalf("stopped: %v", err)
		}
	}
	var log bytes.Buffer
	d, registry := deps(&log)
	resumed, err := Run(t.Context(), cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(log.String(), "resuming from step 105 of digits version 1") {
		t.Errorf("log begins %q", log.String())
	}
	if n, err := testutil.GatherAndCount(registry, "stoker_training_step"); n != 1 {
		t.Error(n, err)
	}
	if !bytes.Equal(packed(t, whole), packed(t, resumed)) {
		t.Error("the resumed training ended with another model")
	}
	again, err := Run(t.Context(), cfg, d) // a restart after the last step: nothing left but to hand over
	if err != nil || !bytes.Equal(packed(t, whole), packed(t, again)) {
		t.Errorf("restart after the end: another model or %v", err)
	}
	cfg.Seed++
	if _, err := Run(t.Context(), cfg, d); err == nil || !strings.Contains(err.Error(), "another training") {
		t.Errorf("another seed's checkpoint: %v", err)
	}
}

func TestSeedDecides(t *testing.T) {
	var folders [3][]byte
	for i, seed := range []uint64{5, 5, 6} {
		cfg := quick(40)
		cfg.Seed = seed
		d, _ := deps(io.Discard)
		f, err := Run(t.Context(), cfg, d)
		if err != nil {
			t.Fatal(err)
		}
		f.Model.Training.Seed = 0
		folders[i] = packed(t, f)
	}
	if !bytes.Equal(folders[0], folders[1]) || bytes.Equal(folders[1], folders[2]) {
		t.Error("the same seed must give the same model, another seed another")
	}
}

func TestDamagedCheckpoint(t *testing.T) {
	cfg := quick(30)
	cfg.Checkpoints = t.TempDir()
	d, _ := deps(io.Discard)
	if _, err := Run(t.Context(), cfg, d); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cfg.Checkpoints, checkpointFile)
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"truncated": string(body[:len(body)/2]),
		"beyond":    strings.Replace(string(body), `"step":30`, `"step":31`, 1),
		"weights":   strings.Replace(string(body), `"hidden":64,"out"`, `"hidden":63,"out"`, 1),
		"gone":      `{"format":"stoker-checkpoint/1"}`,
	} {
		if text == string(body) {
			t.Fatalf("%s: the checkpoint was not spoiled", name)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d, _ := deps(io.Discard)
		if _, err := Run(t.Context(), cfg, d); err == nil || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfigCheck(t *testing.T) {
	if err := Default().Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"no name":  func(c *Config) { c.Model = "" },
		"no steps": func(c *Config) { c.Epochs = 0 },
		"minus":    func(c *Config) { c.Steps = -1 },
		"batch":    func(c *Config) { c.Batch = 0 },
		"rate":     func(c *Config) { c.Rate = 0 },
		"hidden":   func(c *Config) { c.Hidden = 1 << 20 },
		"delay":    func(c *Config) { c.StepDelay = -1 },
		"log":      func(c *Config) { c.LogEvery = 0 },
	} {
		c := Default()
		spoil(&c)
		if c.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestGPULoadFollowsThePhase(t *testing.T) {
	p := &Progress{}
	if util, memory := p.GPULoad(); util != 0 || memory != startingBytes {
		t.Errorf("starting: %v %%, %d bytes", util, memory)
	}
	p.set(Stepping)
	seen := map[float64]bool{}
	for range 100 {
		util, memory := p.GPULoad()
		if util < 85 || util > 97 || memory != 6<<30 {
			t.Fatalf("stepping: %v %%, %d bytes", util, memory)
		}
		seen[util] = true
	}
	if len(seen) < 10 {
		t.Error("the load does not vary")
	}
	p.set(Finishing)
	if util, _ := p.GPULoad(); util != 0 {
		t.Errorf("finishing: %v %%", util)
	}
	if diff := cmp.Diff(Finishing, p.Phase()); diff != "" {
		t.Error(diff)
	}
}
