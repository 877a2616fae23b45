package load_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stoker/gpu/sim/load"
)

const (
	one = "GPU-00000000-0000-5000-8000-000000000001"
	two = "GPU-00000000-0000-5000-8000-000000000002"
)

// TestMain lets the test binary be the writer: locks belong to a process, so
// what one process writes only another can read.
func TestMain(m *testing.M) {
	if os.Getenv("LOAD_TEST_WRITER") == "" {
		os.Exit(m.Run())
	}
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// write obeys one command a line and answers each with a line.
func write() error {
	reporters, err := load.FromEnv(os.Getenv)
	if err != nil {
		return err
	}
	fmt.Println("ready", len(reporters))
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var util float64
		var memory uint64
		switch _, err := fmt.Sscanf(in.Text(), "set %g %d", &util, &memory); {
		case in.Text() == "close":
			for _, r := range reporters {
				if err := r.Close(); err != nil {
					return err
				}
			}
		case in.Text() == "spin": // rewrites without pause until killed
			for i := uint64(0); ; i++ {
				if err := reporters[0].Set(float64(i%2)*100, (i%2)*^uint64(0)); err != nil {
					return err
				}
			}
		case err != nil:
			return err
		default:
			for _, r := range reporters {
				if err := r.Set(util, memory); err != nil {
					return err
				}
			}
		}
		fmt.Println("done")
	}
	return in.Err()
}

type writer struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   *os.File
	out  *bufio.Scanner
	done bool
}

func startWriter(t *testing.T, dir string, uuids ...string) *writer {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LOAD_TEST_WRITER=1", load.EnvDir+"="+dir, load.EnvVisible+"="+strings.Join(uuids, ","))
	cmd.Stdin, cmd.Stderr = r, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	wr := &writer{t: t, cmd: cmd, in: w, out: bufio.NewScanner(out)}
	t.Cleanup(wr.kill)
	wr.answer(fmt.Sprint("ready ", len(uuids)))
	return wr
}

func (w *writer) say(line string) {
	w.t.Helper()
	fmt.Fprintln(w.in, line)
	w.answer("done")
}

func (w *writer) answer(want string) {
	w.t.Helper()
	if !w.out.Scan() || w.out.Text() != want {
		w.t.Fatalf("writer said %q, want %q", w.out.Text(), want)
	}
}

func (w *writer) kill() {
	if w.done {
		return
	}
	w.done = true
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
	w.in.Close()
}

func wantReports(t *testing.T, dir string, want ...load.Report) {
	t.Helper()
	got, err := load.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	byPID := cmpopts.SortSlices(func(a, b load.Report) bool { return a.PID < b.PID })
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty(), byPID); d != "" {
		t.Errorf("reports (-want +got):\n%s", d)
	}
}

func TestLoadFollowsTheProcess(t *testing.T) {
	dir := t.TempDir()
	a := startWriter(t, dir, one, two)
	b := startWriter(t, dir, one)
	a.say("set 62.5 1000")
	b.say("set 250 18446744073709551615")
	pa, pb := a.cmd.Process.Pid, b.cmd.Process.Pid
	full := load.Report{UUID: one, PID: pb, UtilPercent: 100, MemoryBytes: ^uint64(0)}
	wantReports(
		t, dir,
		load.Report{UUID: one, PID: pa, UtilPercent: 62.5, MemoryBytes: 1000}, full,
		load.Report{UUID: two, PID: pa, UtilPercent: 62.5, MemoryBytes: 1000},
	)

	a.kill()
	wantReports(t, dir, full)
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("the dead process left files: %v", left)
	}
	b.say("close")
	wantReports(t, dir)
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("the closed reporter left files: %v", left)
	}
}

func TestReadersNeverSeeHalfARecord(t *testing.T) {
	dir := t.TempDir()
	w := startWriter(t, dir, one)
	fmt.Fprintln(w.in, "spin")
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
		got, err := load.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range got {
			if low, high := r.UtilPercent == 0 && r.MemoryBytes == 0, r.UtilPercent == 100 && r.MemoryBytes == ^uint64(0); !low && !high {
				t.Fatalf("half a record: %+v", r)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ dir, uuid string }{
		"no uuid":          {dir, ""},
		"a path as uuid":   {dir, "../x"},
		"no such folder":   {filepath.Join(dir, "absent"), one},
		"a dot in a uuid":  {dir, "GPU.1"},
		"a file as folder": {os.Args[0], one},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{load.EnvDir: c.dir, load.EnvVisible: c.uuid}
			if c.uuid != "" {
				if rs, err := load.FromEnv(func(k string) string { return env[k] }); err == nil {
					t.Errorf("no error, reporters %v", rs)
				}
				return
			}
			if r, err := load.Open(c.dir, ""); err == nil {
				t.Errorf("no error, reporter %v", r)
			}
		})
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left files: %v", left)
	}
}

func TestNoReportersOnRealGPUs(t *testing.T) {
	rs, err := load.FromEnv(func(k string) string { return map[string]string{load.EnvVisible: one}[k] })
	if rs != nil || err != nil {
		t.Errorf("FromEnv = %v, %v; want nothing", rs, err)
	}
	wantReports(t, filepath.Join(t.TempDir(), "absent"))
}
