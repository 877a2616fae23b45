package wire

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/gpu/proc"
	"stoker/gpu/sim"
	"stoker/gpu/sim/load"
	"stoker/jobs/action"
	"stoker/secrets"
)

// burn is a task on simulated GPUs, for as long as its standard input is open.
func burn() {
	reporters, err := load.FromEnv(os.Getenv)
	for _, r := range reporters {
		err = errors.Join(err, r.Set(70, 8<<30))
	}
	if err != nil || len(reporters) == 0 {
		fmt.Println("no load:", err)
		os.Exit(1)
	}
	fmt.Println("burning")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

const burnAlloc = "8f3e21ab-1111-4222-8333-444455556666"

// startBurning begins a process on GPUs; ended brings how it ended.
func startBurning(t *testing.T, dir string, on ...gpu.UUID) (pid int, ended <-chan error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, len(on))
	for i, id := range on {
		ids[i] = string(id)
	}
	cmd := exec.Command(self, "--token", "t0p")
	cmd.Args[0] = "burn"
	cmd.Env = append(os.Environ(), load.EnvDir+"="+sim.LoadDir(dir), load.EnvVisible+"="+strings.Join(ids, ","), "NOMAD_ALLOC_ID="+burnAlloc, "NOMAD_TASK_NAME=vllm")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "burning\n" {
		t.Fatalf("it says %q, %v", line, err)
	}
	done, gone := make(chan error, 1), make(chan struct{})
	go func() { done <- cmd.Wait(); close(gone) }()
	t.Cleanup(func() { _ = in.Close(); <-gone })
	return cmd.Process.Pid, done
}

// simulated is a node of two GPUs, with a reader that says whose processes are.
func simulated(t *testing.T) (dir string, ids []gpu.UUID, read func() []gpu.Process) {
	t.Helper()
	dir = t.TempDir()
	if err := sim.Create(dir, sim.Spec{Node: "rig", GPUs: []string{sim.H100, sim.L40S}}); err != nil {
		t.Fatal(err)
	}
	devices, err := sim.Devices(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		ids = append(ids, d.UUID)
	}
	reader, err := openNVML(dir, "local")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	sampler := &attributed{reader, proc.New(proc.Options{Arguments: true})}
	return dir, ids, func() (out []gpu.Process) {
		b, err := sampler.Read(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range b.Samples {
			out = append(out, s.Processes...)
		}
		return out
	}
}

func TestKill(t *testing.T) {
	for _, force := range []bool{false, true} {
		want := syscall.SIGTERM
		if force {
			want = syscall.SIGKILL
		}
		t.Run(want.String(), func(t *testing.T) {
			dir, ids, read := simulated(t)
			pid, ended := startBurning(t, dir, ids...)
			seen := read()
			if len(seen) != 2 || seen[0].PID != pid || seen[0].Start == 0 || seen[0].AllocID != burnAlloc || seen[0].Task != "vllm" || !strings.HasSuffix(seen[0].Command, "burn --token t0p") {
				t.Fatalf("it is not seen on both: %+v", seen)
			}
			state := t.TempDir()
			audit := auditFile(stateAt(state), "local", secrets.NewRedactor())
			t.Cleanup(func() { _ = audit.Close() })
			end := kill(audit, true)

			other := seen[0]
			other.Start++ // another that had the number before
			if err := end(t.Context(), other, ids, force); !errors.Is(err, proc.ErrOther) {
				t.Errorf("the wrong one: %v", err)
			}
			if err := kill(audit, false)(t.Context(), seen[0], ids, force); err == nil {
				t.Error("the numbers here are not the driver's")
			}
			select {
			case err := <-ended:
				t.Fatalf("it has ended: %v", err)
			default:
			}
			victim := seen[0]
			victim.MemoryBytes = 16 << 30
			if err := end(t.Context(), victim, ids, force); err != nil {
				t.Fatal(err)
			}
			var exit *exec.ExitError
			if err := <-ended; !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != want {
				t.Errorf("it ended with %v, want %v", err, want)
			}
			left := read() // the simulation looks for loads a few times a second only
			for late := time.Now().Add(time.Minute); len(left) > 0 && time.Now().Before(late); left = read() {
				time.Sleep(20 * time.Millisecond)
			}
			if len(left) != 0 {
				t.Errorf("it is still on a GPU: %+v", left)
			}
			auditSays(t, state, ids, victim)
		})
	}
}

func auditSays(t *testing.T, state string, ids []gpu.UUID, p gpu.Process) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(state, "stoker", "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []action.Entry
	for line := range strings.Lines(string(raw)) {
		var e action.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, e)
	}
	if len(lines) != 2 || lines[0].Result != "failed" || lines[1].Result != "done" {
		t.Fatalf("one that failed and one that was done: %+v", lines)
	}
	done := lines[1]
	if want := fmt.Sprintf("process %d %s", p.PID, p.Name); done.Action != "kill" || done.Context != "local" || done.Target != want {
		t.Errorf("%+v", done)
	}
	touched := strings.Join(done.Touched, "\n")
	for _, want := range []string{"holds 16.0 GiB", "is of user " + p.User, "gpu " + string(ids[0]), "gpu " + string(ids[1]), "alloc " + burnAlloc + ": loses a process of task vllm"} {
		if !strings.Contains(touched, want) {
			t.Errorf("%q is not in\n%s", want, touched)
		}
	}
	if strings.Contains(string(raw), "t0p") {
		t.Error("the record has the arguments, which may hold tokens")
	}
}

// TestKillWithoutARecord: what cannot be noted is not done.
func TestKillWithoutARecord(t *testing.T) {
	dir, ids, read := simulated(t)
	pid, ended := startBurning(t, dir, ids[0])
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	audit := auditFile(stateAt(blocked), "local", secrets.NewRedactor())
	if err := kill(audit, true)(t.Context(), read()[0], ids, true); !errors.Is(err, action.ErrAudit) {
		t.Errorf("%v", err)
	}
	select {
	case err := <-ended:
		t.Errorf("it has ended: %v", err)
	default:
	}
	if !slices.ContainsFunc(read(), func(p gpu.Process) bool { return p.PID == pid }) {
		t.Error("it is not on its GPU any more")
	}
}

// TestDelay: a number is seconds, as other tools take it.
func TestDelay(t *testing.T) {
	got := map[string]time.Duration{}
	for _, text := range []string{"0.1", "2", "250ms", "1m"} {
		var s seconds
		if err := s.Set(text); err != nil {
			t.Fatal(err)
		}
		got[text] = time.Duration(s)
	}
	want := map[string]time.Duration{"0.1": 100 * time.Millisecond, "2": 2 * time.Second, "250ms": 250 * time.Millisecond, "1m": time.Minute}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if err := new(seconds).Set("soon"); err == nil {
		t.Error("soon is no time")
	}
}

// TestWarnLacks: an old driver is a warning, and not a failure.
func TestWarnLacks(t *testing.T) {
	var b strings.Builder
	warnLacks(&b, &cluster.Snapshot{GPUs: []cluster.GPU{{Reading: &cluster.Reading{}}}})
	if b.Len() > 0 {
		t.Errorf("it lacks nothing: %q", b.String())
	}
	lacks := cluster.GPU{Reading: &cluster.Reading{Lacks: []string{"nvmlDeviceGetFanSpeed"}}}
	warnLacks(&b, &cluster.Snapshot{GPUs: []cluster.GPU{lacks, lacks}})
	if want := "stoker: this driver's library lacks nvmlDeviceGetFanSpeed: what it tells is unknown\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

// TestSecondReading: rates are between two readings, so the first is not enough.
func TestSecondReading(t *testing.T) {
	at := time.Unix(1000, 0)
	read := func(sec int, state cluster.SourceState) *cluster.Snapshot {
		return &cluster.Snapshot{
			GPUs:    []cluster.GPU{{}, {Reading: &cluster.Reading{}, Sample: &gpu.Sample{At: at.Add(time.Duration(sec) * time.Second)}}}, // the other hangs
			Sources: []cluster.SourceStatus{{Name: "nvml", State: state}},
		}
	}
	ready := secondReading()
	for i, c := range []struct {
		s    *cluster.Snapshot
		want bool
	}{
		{&cluster.Snapshot{}, false},
		{read(0, cluster.SourceStarting), false},
		{read(0, cluster.SourceLive), false},
		{read(0, cluster.SourceLive), false},
		{read(1, cluster.SourceLive), true},
		{&cluster.Snapshot{Sources: []cluster.SourceStatus{{Name: "nvml", State: cluster.SourceLive}}}, true}, // no GPU in there
	} {
		if got := ready(c.s); got != c.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}
