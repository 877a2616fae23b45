package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"stoker/gpu/sim/load"
	"stoker/scenarios/workload/artifact"
	"stoker/scenarios/workload/digits"
)

// asProgram makes the test binary be the program, so that signals, exit codes
// and reported load are those of a real process.
const asProgram = "WORKLOAD_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// program is a started process whose output lines can be waited for.
type program struct {
	*exec.Cmd
	mu    sync.Mutex
	lines []string
	ended chan struct{}
	err   bytes.Buffer // stderr; read it after wait
}

func launch(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	p := &program{Cmd: exec.CommandContext(t.Context(), os.Args[0], args...), ended: make(chan struct{})}
	p.Env = append(append(os.Environ(), asProgram+"=1"), env...)
	p.Stderr = &p.err
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, s.Text())
			p.mu.Unlock()
		}
	}()
	return p
}

func (p *program) find(part string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.lines {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}

func (p *program) await(t *testing.T, part string) string {
	t.Helper()
	var line string
	eventually(t, "a line with "+part, func() bool {
		line = p.find(part)
		return line != ""
	})
	return line
}

// wait returns the exit code.
func (p *program) wait(t *testing.T) int {
	t.Helper()
	<-p.ended
	err := p.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s in time", what)
		}
	}
}

// do runs a command in this process.
func do(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, command{getenv: func(string) string { return "" }, stdout: &out, stderr: &err})
	return code, out.String(), err.String()
}

func quickModel(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if code, _, stderr := do(t, "train", "-steps", "60", "-step-delay", "0", "-version", "2", "-out", dir); code != 0 {
		t.Fatal(stderr)
	}
	return dir
}

// The whole way: a server as its own process on a simulated GPU, driven with
// real images, stopped by a signal.
func TestServeAndDrive(t *testing.T) {
	dir, loads := quickModel(t), t.TempDir()
	p := launch(t, []string{load.EnvDir + "=" + loads, load.EnvVisible + "=GPU-1,GPU-2"},
		"serve", "--model", dir, "--listen", "127.0.0.1:0")
	line := p.await(t, "serving digits version 2 on ")
	url := line[strings.Index(line, "http://"):]
	code, stdout, stderr := do(t, "drive", "--url", url, "--duration", "1s", "--rate", "40", "--version", "2")
	if code != 0 {
		t.Fatal(stderr)
	}
	var report struct {
		Requests, Errors int
		Accuracy         float64
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatal(err)
	}
	if report.Requests != 40 || report.Errors != 0 || report.Accuracy < 0.8 {
		t.Errorf("%s", stdout)
	}
	eventually(t, "two GPUs that are busy as long as there are requests", func() bool {
		if code, _, stderr := do(t, "drive", "--url", url, "--duration", "50ms", "--rate", "40", "--version", "2"); code != 0 {
			t.Fatal(stderr)
		}
		reports, err := load.Read(loads)
		if err != nil || len(reports) != 2 {
			t.Fatalf("%d GPUs loaded, want 2 (%v)", len(reports), err)
		}
		return !slices.ContainsFunc(reports, func(r load.Report) bool {
			return r.UtilPercent < 3 || r.MemoryBytes != 3<<30 || r.PID != p.Process.Pid
		})
	})
	eventually(t, "idle GPU", func() bool {
		reports, err := load.Read(loads)
		return err == nil && len(reports) == 2 && reports[0].UtilPercent == 0
	})
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != 0 || p.err.Len() > 0 {
		t.Errorf("after SIGTERM: exit %d %s", code, p.err.String())
	}
	if reports, err := load.Read(loads); err != nil || len(reports) != 0 {
		t.Errorf("load outlived the server: %v %v", reports, err)
	}
}

func TestTrainSealsAndCanBeInterrupted(t *testing.T) {
	memory, err := os.MkdirTemp("/dev/shm", "wl")
	if err != nil {
		t.Skipf("no memory filesystem at /dev/shm: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(memory) })
	if err := inMemory(memory); err != nil {
		t.Skip(err)
	}
	loads, socket := t.TempDir(), filepath.Join(memory, "seal.sock")
	env := []string{load.EnvDir + "=" + loads, load.EnvVisible + "=GPU-1", "STOKER_MODEL=letters", "STOKER_VERSION=5"}
	args := []string{
		"train", "--steps", "300", "--send", "unix:" + socket, "--log-every", "10",
		"--checkpoints", filepath.Join(memory, "checkpoints"), "--listen", "127.0.0.1:0", "--linger", "10m",
	}
	first := launch(t, env, append(args, "--step-delay", "50ms")...) // long enough to be interrupted in the middle
	first.await(t, "step: 20 ")
	eventually(t, "busy GPU while training", func() bool {
		r, err := load.Read(loads)
		return err == nil && len(r) == 1 && r[0].UtilPercent >= 85 && r[0].MemoryBytes == 6<<30
	})
	if err := first.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := first.wait(t); code != 143 || !strings.Contains(first.err.String(), "checkpoint saved") {
		t.Fatalf("interrupted: exit %d, %s", code, first.err.String())
	}

	args = append(args, "--step-delay", "1ms")
	second := launch(t, env, args...)
	second.await(t, "resuming from step ")
	names := receive(t, socket, `{"ok":true,"digest":"sha256:1"}`)
	if len(names) != 3 {
		t.Errorf("the sealer received %v", names)
	}
	second.await(t, "model sealed, digest sha256:1")
	line := second.await(t, "metrics on ")
	if text := get(t, line[strings.Index(line, "http://"):]); !strings.Contains(text, `stoker_training_step{model="letters",version="5"} 300`) {
		t.Errorf("the last scrape misses the last step:\n%s", text)
	}
	if err := second.Process.Signal(syscall.SIGINT); err != nil { // ends the lingering
		t.Fatal(err)
	}
	if code := second.wait(t); code != 0 {
		t.Errorf("finished: exit %d %s", code, second.err.String())
	}

	third := launch(t, env, args...)
	receive(t, socket, `{"ok":false,"error":"permission denied"}`)
	if code := third.wait(t); code != 1 || !strings.Contains(third.err.String(), "the sealer refused the model: permission denied") {
		t.Errorf("refused: exit %d %s", code, third.err.String())
	}
}

// receive plays the sealer once and returns the names in the archive.
func receive(t *testing.T, socket, answer string) (names []string) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := tar.NewReader(conn)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
	if _, err := io.WriteString(conn, answer+"\n"); err != nil {
		t.Fatal(err)
	}
	return names
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "usage: workload"},
		{[]string{"dance"}, 2, `no command "dance"`},
		{[]string{"train"}, 2, "--send unix:PATH"},
		{[]string{"train", "--out", dir, "--send", "unix:/x"}, 2, "one place"},
		{[]string{"train", "--send", "/x"}, 2, "want unix:PATH"},
		{[]string{"train", "--out", dir, "--steps", "5", "--epochs", "5"}, 2, "not both"},
		{[]string{"train", "--out", dir, "--steps", "0"}, 2, "nothing to train"},
		{[]string{"train", "--out", dir, "--batch", "0"}, 2, "batch 0"},
		{[]string{"train", "--out", dir, "more"}, 2, `unexpected argument "more"`},
		{[]string{"train", "--fast"}, 2, "-fast"},
		{[]string{"serve"}, 2, "--model DIR"},
		{[]string{"serve", "--model", dir, "--listen", "127.0.0.1:0"}, 1, "load model"},
		{[]string{"serve", "--model", dir, "--listen", "nowhere"}, 1, "listen on nowhere"},
		{[]string{"drive"}, 2, "no URL"},
		{[]string{"drive", "--url", "http://127.0.0.1:1", "--report", "xml"}, 2, "neither json nor text"},
		{[]string{"drive", "--url", "http://127.0.0.1:1", "--duration", "50ms"}, 1, "nothing answered"},
		{[]string{"images", "--count", "1000"}, 2, "from 0 to 360"},
	} {
		code, _, stderr := do(t, tt.args...)
		if code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("%v: exit %d %q, want %d and %q", tt.args, code, stderr, tt.code, tt.want)
		}
	}
	for _, name := range []string{"train", "serve", "drive", "images"} {
		if code, stdout, stderr := do(t, name, "-h"); code != 0 || !strings.Contains(stdout, "usage: workload "+name) || stderr != "" {
			t.Errorf("%s -h: exit %d %q %q", name, code, stdout, stderr)
		}
	}
}

func TestPlaintextForTheSealerStaysOffDisks(t *testing.T) {
	disk := t.TempDir()
	if inMemory(disk) == nil {
		t.Skip("the folder for temporary files is in memory here")
	}
	code, _, stderr := do(t, "train", "--send", "unix:/nowhere", "--checkpoints", disk)
	if code != 1 || !strings.Contains(stderr, "is on a disk") {
		t.Errorf("exit %d %s", code, stderr)
	}
}

func TestInterruptedWithoutCheckpoints(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStopped{syscall.SIGINT})
	dir := t.TempDir()
	var out, stderr bytes.Buffer
	code := run(ctx, []string{"train", "--out", dir}, command{getenv: func(string) string { return "" }, stdout: &out, stderr: &stderr})
	if code != 130 || !strings.Contains(stderr.String(), "nothing saved") {
		t.Errorf("exit %d %s", code, stderr.String())
	}
	if _, err := artifact.ReadDir(dir); err == nil {
		t.Error("an unfinished model was written")
	}
}

func TestImages(t *testing.T) {
	code, stdout, stderr := do(t, "images", "--count", "3")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != 0 || len(lines) != 3 {
		t.Fatalf("exit %d, %d lines, %s", code, len(lines), stderr)
	}
	var got struct {
		Index int
		Label int
		Image []float64
	}
	if err := json.Unmarshal([]byte(lines[2]), &got); err != nil {
		t.Fatal(err)
	}
	set, err := digits.Load()
	if err != nil {
		t.Fatal(err)
	}
	if want := set.Test[2]; got.Index != 2 || got.Label != want.Label || [64]float64(got.Image) != want.Pixels {
		t.Errorf("%+v, want %+v", got, want)
	}
}
