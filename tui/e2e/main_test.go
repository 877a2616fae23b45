package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"stoker/cluster/lab"
)

const (
	labName = "tests"
	// patience is more than a slow machine needs: a test that passes never waits
	// for it.
	patience = 2 * time.Minute
	// commandLimit ends a command that hangs; building nomad and vault takes longest.
	commandLimit = 20 * time.Minute
)

// world is the lab that all tests share, and the environment of its users.
type world struct {
	bin  string // folder of the built programs
	home string // short: sockets of tasks lie below it
	repo string
	lab  *lab.Lab

	nomad func() (string, error) // the official program
	down  func() error
}

var shared *world //nolint:gochecknoglobals // what TestMain gives to the tests

func TestMain(m *testing.M) {
	if os.Getenv("STOKER_E2E") == "" {
		os.Exit(m.Run()) // each test skips
	}
	os.Exit(inWorld(m.Run))
}

// inWorld runs the tests in a lab and takes it down, however far it came up and
// whatever ends them; but for a timeout of the whole test binary, which kills it.
func inWorld(tests func() int) (code int) {
	w, err := newWorld()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		s := <-stop
		fmt.Fprintf(os.Stderr, "e2e: %s: taking the lab down\n", s)
		if err := w.down(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
		}
		os.Exit(1)
	}()
	defer func() {
		if err := w.down(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			code = 1
		}
	}()
	if err := w.up(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	shared = w
	return tests()
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
	w.nomad = sync.OnceValues(func() (string, error) { return w.tool("nomad") })
	w.down = sync.OnceValue(w.takeDown)
	return w, nil
}

func (w *world) labDir() string { return filepath.Join(w.home, "s", "stoker", labName) }

func (w *world) up() error {
	start := time.Now()
	driver := os.Getenv("STOKER_E2E_DRIVER") // docker: the same tests in containers
	if driver == "" {
		driver = lab.DriverAuto
	}
	if err := w.must("lab", "up", "--name", labName, "--driver", driver); err != nil {
		return err
	}
	fmt.Printf("e2e: lab up took %.1fs\n", time.Since(start).Seconds())
	var err error
	if w.lab, err = lab.Open(w.labDir()); err != nil {
		return err
	}
	// The agents are submitted as a job: its end does not wait for their first readings.
	return await(patience, w.whole)
}

// takeDown takes the lab down and says what is left of it.
func (w *world) takeDown() error {
	seen := w.trace()
	err := w.must("lab", "down", "--name", labName)
	left := seen.left()
	if len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("left behind after lab down:\n%s", strings.Join(left, "\n")))
	}
	if len(mountsOf(w.home)) > 0 {
		return err // removing the folder would reach what is mounted in it
	}
	return errors.Join(err, os.RemoveAll(w.home))
}

// whole says what is not as it is after lab up: each node is ready, its agent
// answers, and each GPU has a reading.
func (w *world) whole() error {
	nodes, err := w.list("nodes")
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n["status"] != "ready" {
			return fmt.Errorf("node %v is %v", n["node"], n["status"])
		}
	}
	sources, err := w.list("sources")
	if err != nil {
		return err
	}
	live := 0
	for _, s := range sources {
		name, _ := s["name"].(string)
		if !strings.HasPrefix(name, "agent ") {
			continue
		}
		if s["state"] != "live" {
			return fmt.Errorf("%s is %v: %v", name, s["state"], s["error"])
		}
		live++
	}
	if len(nodes) != 3 || live != 3 {
		return fmt.Errorf("%d nodes and %d agents that answer, want 3 and 3", len(nodes), live)
	}
	_, err = w.gpus()
	return err
}

// gpus lists all GPUs once each has a reading of its agent.
func (w *world) gpus() ([]map[string]any, error) {
	gpus, err := w.list("gpus")
	if err != nil {
		return nil, err
	}
	for _, g := range gpus {
		if g["util_percent"] == nil {
			return nil, fmt.Errorf("no reading of GPU %v of %v yet", g["index"], g["node"])
		}
	}
	if len(gpus) != 20 {
		return nil, fmt.Errorf("%d GPUs, want 20", len(gpus))
	}
	return gpus, nil
}

// command is the built program in the environment of the tests.
func (w *world) command(args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, "stoker"), args...)
	cmd.Env = w.env()
	cmd.Dir = w.repo
	cmd.Cancel = func() error { cancel(); return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = patience
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

// The functions of world give errors, for goroutines and for what is tried
// again; those below them fail the test.

// run gives an error only when the command could not be run to its end.
func (w *world) run(env []string, args ...string) (result, error) {
	cmd := w.command(args...)
	cmd.Env = append(cmd.Env, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return result{}, fmt.Errorf("stoker %s: %w", strings.Join(args, " "), err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}, nil
}

func (w *world) must(args ...string) error {
	_, err := w.ask(args...)
	return err
}

// ask is run for a command that must succeed.
func (w *world) ask(args ...string) (string, error) {
	r, err := w.run(nil, args...)
	if err == nil && r.code != 0 {
		err = fmt.Errorf("stoker %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out, err
}

// list is stoker get VIEW -o json.
func (w *world) list(view string) ([]map[string]any, error) {
	r, err := w.run(nil, "--context", labName, "get", view, "-o", "json")
	if err != nil {
		return nil, err
	}
	var out []map[string]any
	if err := json.Unmarshal([]byte(r.out), &out); err != nil {
		return nil, fmt.Errorf("get %s: %w (exit %d)\n%s%s", view, err, r.code, r.out, r.err)
	}
	return out, nil
}

// listWhere keeps the rows whose field has the value.
func (w *world) listWhere(view, field, value string) ([]map[string]any, error) {
	all, err := w.list(view)
	var out []map[string]any
	for _, r := range all {
		if r[field] == value {
			out = append(out, r)
		}
	}
	return out, err
}

// heldBy lists the GPUs that a job holds.
func (w *world) heldBy(job string) ([]string, error) {
	gpus, err := w.listWhere("gpus", "held_by_job", job)
	var out []string
	for _, g := range gpus {
		out = append(out, g["uuid"].(string))
	}
	return out, err
}

// official runs Nomad's own command line on the lab.
func (w *world) official(args ...string) (string, error) {
	nomad, err := w.nomad()
	if err != nil {
		return "", err
	}
	env, err := w.lab.Env()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(nomad, args...)
	cmd.Env = append(w.env(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("nomad %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

func (w *world) tool(name string) (string, error) {
	out, err := w.ask("lab", "tools")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if path, found := strings.CutPrefix(line, name+" "); found {
			return strings.TrimSpace(path), nil
		}
	}
	return "", fmt.Errorf("lab tools names no %s:\n%s", name, out)
}

// running is a command that goes on beside the test, which ends it.
type running struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err printed
	ended    chan struct{}
}

// printed is the output of a program that still runs.
type printed struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// begin starts stoker on the lab.
func begin(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{t: t, cmd: need(t).command(append([]string{"--context", labName}, args...)...), ended: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.err
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.ended)
		_ = r.cmd.Wait() // how it ended is in its ProcessState
	}()
	t.Cleanup(func() { r.interrupt() })
	return r
}

// says waits until the command has printed a text.
func (r *running) says(text string) {
	r.t.Helper()
	eventually(r.t, func() error {
		over := false
		select {
		case <-r.ended:
			over = true
		default:
		}
		if strings.Contains(r.out.String(), text) {
			return nil
		}
		if over {
			r.t.Fatalf("it ended and never said %q:\n%s%s", text, r.out.String(), r.err.String())
		}
		return fmt.Errorf("it does not say %q", text)
	})
}

// interrupt is ctrl+c; it waits for the end and gives the exit code.
func (r *running) interrupt() int {
	_ = r.cmd.Process.Signal(os.Interrupt) // unless it has ended
	<-r.ended
	return r.cmd.ProcessState.ExitCode()
}

func need(t *testing.T) *world {
	t.Helper()
	if shared == nil {
		t.Skip("needs a real cluster: make e2e")
	}
	return shared
}

// stoker runs a command against the lab.
func stoker(t *testing.T, args ...string) result {
	t.Helper()
	return run(t, nil, append([]string{"--context", labName}, args...)...)
}

func run(t *testing.T, env []string, args ...string) result {
	t.Helper()
	r, err := need(t).run(env, args...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ok is stoker for a command that must succeed.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	out, err := need(t).ask(append([]string{"--context", labName}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func rows(t *testing.T, view string) []map[string]any {
	t.Helper()
	out, err := need(t).list(view)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// official logs what Nomad's own command line refuses: what it prints then is
// compared all the same.
func official(t *testing.T, args ...string) string {
	t.Helper()
	out, err := need(t).official(args...)
	if err != nil {
		t.Log(err)
	}
	return out
}

// eventually tries until f gives no error, and fails with its last one.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	if err := await(patience, f); err != nil {
		t.Fatal(err)
	}
}

// await tries until f gives no error. f is tried once more after the limit: a
// try that took long is not the last word.
func await(limit time.Duration, f func() error) error {
	deadline := time.Now().Add(limit)
	for {
		late := time.Now().After(deadline)
		err := f()
		if err == nil {
			return nil
		}
		if late {
			return fmt.Errorf("after %s: %w", limit, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
