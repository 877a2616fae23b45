package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stoker/cluster/lab"
)

const labName = "tests"

// world is the lab that all tests share, and the environment of its users.
type world struct {
	bin  string // folder of the built programs
	home string // short: sockets of tasks lie below it
	repo string
	lab  *lab.Lab
}

var shared *world //nolint:gochecknoglobals // what TestMain gives to the tests

func TestMain(m *testing.M) {
	if os.Getenv("STOKER_E2E") == "" {
		os.Exit(m.Run()) // each test skips
	}
	w, err := newWorld()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	shared = w
	code := m.Run()
	if out, err := w.command(2*time.Minute, "lab", "down", "--name", labName).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: lab down: %v\n%s", err, out)
		code = 1
	}
	if left := w.leftovers(); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "e2e: left behind after lab down:\n%s\n", strings.Join(left, "\n"))
		code = 1
	}
	_ = os.RemoveAll(w.home)
	os.Exit(code)
}

func newWorld() (*world, error) {
	bin := os.Getenv("STOKER_BIN")
	if bin == "" {
		return nil, errors.New("STOKER_BIN names no folder of built programs: run make e2e")
	}
	home, err := os.MkdirTemp("/tmp", "st")
	if err != nil {
		return nil, err
	}
	w := &world{bin: bin, home: home, repo: filepath.Dir(bin)}
	start := time.Now()
	driver := os.Getenv("STOKER_E2E_DRIVER") // docker: the same tests in containers
	if driver == "" {
		driver = lab.DriverAuto
	}
	out, err := w.command(20*time.Minute, "lab", "up", "--name", labName, "--driver", driver).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("lab up: %w\n%s", err, out)
	}
	fmt.Printf("e2e: lab up took %.1fs\n", time.Since(start).Seconds())
	if w.lab, err = lab.Open(filepath.Join(home, "s", "stoker", labName)); err != nil {
		return nil, err
	}
	return w, w.agentsAnswer()
}

// agentsAnswer waits for the agents, which the lab submits as a job: its end
// does not wait for their first readings.
func (w *world) agentsAnswer() error {
	deadline := time.Now().Add(time.Minute)
	for {
		out, err := w.command(time.Minute, "--context", labName, "get", "gpus", "-o", "json", "--filter", "util_percent >= 0").Output()
		var rows []any
		if err == nil && json.Unmarshal(out, &rows) == nil && len(rows) == 20 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the agents do not answer: %d GPUs, %w", len(rows), err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// command is the built program in the environment of the tests.
func (w *world) command(timeout time.Duration, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, "stoker"), args...)
	cmd.Env = w.env()
	cmd.Dir = w.repo
	cmd.Cancel = func() error { cancel(); return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	return cmd
}

// env has its own state and config; the cache of built tools is the user's.
func (w *world) env() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "NOMAD_") && !strings.HasPrefix(kv, "VAULT_") && !strings.HasPrefix(kv, "STOKER_") {
			env = append(env, kv)
		}
	}
	return append(env, "XDG_STATE_HOME="+filepath.Join(w.home, "s"), "XDG_CONFIG_HOME="+filepath.Join(w.home, "c"))
}

// result is what a command printed and how it ended.
type result struct {
	out, err string
	code     int
}

// stoker runs a command against the lab, which must be there.
func stoker(t *testing.T, args ...string) result {
	t.Helper()
	return run(t, 3*time.Minute, nil, append([]string{"--context", labName}, args...)...)
}

func run(t *testing.T, timeout time.Duration, env []string, args ...string) result {
	t.Helper()
	cmd := need(t).command(timeout, args...)
	cmd.Env = append(cmd.Env, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("stoker %s: %v", strings.Join(args, " "), err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// ok is stoker for a command that must succeed.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	r := stoker(t, args...)
	if r.code != 0 {
		t.Fatalf("stoker %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

// rows is stoker get VIEW -o json.
func rows(t *testing.T, view string) []map[string]any {
	t.Helper()
	r := stoker(t, "get", view, "-o", "json")
	var out []map[string]any
	if err := json.Unmarshal([]byte(r.out), &out); err != nil {
		t.Fatalf("get %s: %v (exit %d)\n%s%s", view, err, r.code, r.out, r.err)
	}
	return out
}

func need(t *testing.T) *world {
	t.Helper()
	if shared == nil {
		t.Skip("needs a real cluster: make e2e")
	}
	return shared
}

// eventually polls until f returns "" and fails with what it said last.
func eventually(t *testing.T, limit time.Duration, f func() string) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		said := f()
		if said == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %s", limit, said)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// leftovers are processes and mounts that mention the lab's folder.
func (w *world) leftovers() []string {
	var left []string
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for _, line := range strings.Split(string(mounts), "\n") {
		if strings.Contains(line, w.home) {
			left = append(left, "mount "+line)
		}
	}
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		raw, _ := os.ReadFile(p)
		if bytes.Contains(raw, []byte(w.home)) {
			left = append(left, p+" "+string(bytes.ReplaceAll(raw, []byte{0}, []byte(" "))))
		}
	}
	return left
}
