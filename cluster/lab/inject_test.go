package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu/sim"
)

func TestParseFault(t *testing.T) {
	for _, tt := range []struct{ typed, want string }{
		{"gpu-a/3 xid 79", ""},
		{"gpu-a/3 hang", ""},
		{"gpu-a kill", ""},
		{"gpu-a driver-reload", ""},
		{"vault seal", ""},
		{"server-1 down", ""},
		{"leader down", ""},
		{"", "say what suffers and what it suffers"},
		{"gpu-a/3", "say what suffers and what it suffers"},
		{"gpu-a/3 xid", "say which Xid, such as gpu-a/3 xid 79"},
		{"gpu-a/3 xid 0", `"0" is no number of an Xid`},
		{"gpu-a/3 xid lost", `"lost" is no number of an Xid`},
		{"gpu-a/3 xid 79 80", `gpu-a/3 xid 79 takes nothing more, and not "80"`},
		{"gpu-a/3 lost 79", `gpu-a/3 lost takes nothing more, and not "79"`},
		{"gpu-a lost", "lost is a fault of one GPU, such as gpu-a/0"},
		{"gpu-b/1 driver-reload", "driver-reload is a fault of a whole node, such as gpu-b"},
		{"server-1 kill", "kill is a fault of a whole node, such as gpu-a"},
		{"gpu-a seal", "seal is a fault of vault"},
		{"vault down", "down is a fault of a Nomad server: server-1, or leader"},
		{"vault burn", `there is no fault "burn" for vault: it may suffer seal`},
	} {
		f, err := ParseFault(strings.Fields(tt.typed)...)
		var typed *FaultError
		switch {
		case tt.want == "" && (err != nil || f.String() != tt.typed):
			t.Errorf("%q: %q, %v", tt.typed, f, err)
		case tt.want != "" && (!errors.As(err, &typed) || !strings.HasPrefix(err.Error(), tt.want)):
			t.Errorf("%q: %v, want %s", tt.typed, err, tt.want)
		}
	}
}

// TestEverySimulatedFaultCanBeTyped holds that each kind of package gpu/sim is
// offered, with words.
func TestEverySimulatedFaultCanBeTyped(t *testing.T) {
	for _, kind := range sim.Kinds() {
		i := slices.IndexFunc(FaultKinds(), func(k FaultKind) bool { return k.Name == string(kind) })
		if i < 0 || FaultKinds()[i].Text == "" {
			t.Errorf("%s is not offered, or without words", kind)
		}
	}
}

// faultyLab is a lab of which one process runs, with simulated GPUs.
func faultyLab(t *testing.T) *Lab {
	t.Helper()
	dir := t.TempDir()
	s := &state{
		Version: stateVersion, Name: "t1", Mark: rand.Text(), Servers: 1, Procs: map[string]proc{},
		Nodes: []Node{{Name: "gpu-a", GPUs: []GPUs{{sim.H100, 2}}}, {Name: "gpu-c", GPUs: []GPUs{{sim.L40S, 1}}}, {Name: "metal", RealGPUs: true}},
	}
	for i, n := range s.Nodes {
		if err := makeSim(paths{dir}.sim(n.Name), s.Name, paths{dir}.allocs(i), n); err != nil {
			t.Fatal(err)
		}
	}
	p := sleeper(t)
	for _, part := range []string{"server-1", "gpu-a", "gpu-c", "metal"} {
		s.Procs[part] = p
	}
	if err := s.save(dir); err != nil {
		t.Fatal(err)
	}
	return &Lab{paths{dir}, s.Name}
}

// sleeper is a process that does nothing until the test ends.
func sleeper(t *testing.T, env ...string) proc {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	p, err := identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func typed(list []Fault) []string {
	var out []string
	for _, f := range list {
		out = append(out, f.String()+": "+f.Text)
	}
	return out
}

func TestFaultsOfGPUs(t *testing.T) {
	l := faultyLab(t)
	ctx := t.Context()
	for _, fault := range []string{"gpu-a/1 xid 79", "gpu-a/1 ecc", "gpu-a/1 ecc", "gpu-c/0 thermal", "gpu-c driver-reload"} {
		f, err := ParseFault(strings.Fields(fault)...)
		if err != nil {
			t.Fatal(err)
		}
		if f, err = l.Inject(ctx, f); err != nil || f.Text == "" {
			t.Errorf("%s: %q, %v", fault, f.Text, err)
		}
	}
	want := []string{
		"vault down: it does not run",
		"gpu-a/1 xid 79: GPU has fallen off the bus",
		"gpu-a/1 ecc: an uncorrectable memory error, each time one more",
		"gpu-c/0 thermal: the cooling fails: it heats up and slows down",
	}
	got, err := l.Faults(ctx)
	if d := cmp.Diff(want, typed(got)); d != "" || err != nil {
		t.Errorf("faults: %v\n%s", err, d)
	}
	cleared, err := l.Clear(ctx, "gpu-a")
	if d := cmp.Diff(want[1:3], typed(cleared)); d != "" || err != nil {
		t.Errorf("clear gpu-a: %v\n%s", err, d)
	}
	if cleared, err = l.Clear(ctx, "gpu-a/1"); len(cleared) != 0 || err != nil {
		t.Errorf("again: %v, %v", cleared, err)
	}
	got, err = l.Faults(ctx)
	if d := cmp.Diff([]string{want[0], want[3]}, typed(got)); d != "" || err != nil {
		t.Errorf("afterwards: %v\n%s", err, d)
	}
}

// TestAnAgentHangs: the agent of the node stands still, no other process does.
func TestAnAgentHangs(t *testing.T) {
	l := faultyLab(t)
	s, err := loadState(l.Dir())
	if err != nil {
		t.Fatal(err)
	}
	mark, agent := markVar+"="+s.Mark, "NOMAD_JOB_NAME="+AgentJob
	hangs := sleeper(t, mark, partVar+"=gpu-a", agent)
	others := []proc{sleeper(t, mark, partVar+"=gpu-a", "NOMAD_JOB_NAME=other"), sleeper(t, mark, partVar+"=gpu-c", agent), sleeper(t, partVar+"=gpu-a", agent)}
	wait := func(p proc, want bool) {
		t.Helper()
		err := until(t.Context(), "the signal", patience, nil, func(context.Context) error {
			if stopped(p) != want {
				return errors.New("not yet")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if err := l.HangAgent(t.Context(), "gpu-a"); err != nil {
		t.Fatal(err)
	}
	wait(hangs, true)
	for _, p := range others {
		wait(p, false)
	}
	cleared, err := l.Clear(t.Context(), "gpu-a")
	if d := cmp.Diff([]string{"gpu-a agent-hang: its stoker agent stands still"}, typed(cleared)); d != "" || err != nil {
		t.Errorf("clear: %v\n%s", err, d)
	}
	wait(hangs, false)
}

func TestWhatCannotSuffer(t *testing.T) {
	l := faultyLab(t)
	const parts = "it has vault, server-1, gpu-a, gpu-c, metal"
	for fault, want := range map[string]string{
		"gpu-a/9 lost":        "no GPU 9 on gpu-a: it has 2",
		"gpu-a/-1 lost":       "no GPU -1 on gpu-a: it has 2",
		"gpu-a/x lost":        `"x" is no number of a GPU: write gpu-a/0`,
		"gpu-c/0 nvlink":      "gpu-c/0: inject fault: NVIDIA L40S has no NVLink",
		"gpu-z/0 lost":        "lab t1 has no gpu-z: " + parts,
		"gpu-z kill":          "lab t1 has no gpu-z: " + parts,
		"server-2 down":       "lab t1 has no server-2: " + parts,
		"metal/0 lost":        "the GPUs of metal are real: only simulated ones can be made to fail",
		"metal driver-reload": "the GPUs of metal are real: only simulated ones can be made to fail",
		"gpu-c agent-hang":    "no agent runs on gpu-c",
	} {
		f, err := ParseFault(strings.Fields(fault)...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Inject(t.Context(), f); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", fault, err, want)
		}
	}
	if _, err := l.Clear(t.Context(), "gpu-z"); err == nil || err.Error() != "lab t1 has no gpu-z: "+parts {
		t.Errorf("clear gpu-z: %v", err)
	}
}

func TestALabThatDoesNotRunSuffersNothing(t *testing.T) {
	l := faultyLab(t)
	s, err := loadState(l.Dir())
	if err != nil {
		t.Fatal(err)
	}
	clear(s.Procs)
	if err := s.save(l.Dir()); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	_, err1 := l.Inject(ctx, Fault{Target: "gpu-a/0", Kind: "lost"})
	_, err2 := l.Faults(ctx)
	_, err3 := l.Clear(ctx, "")
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, ErrNotRunning) {
			t.Errorf("%v, want %v", err, ErrNotRunning)
		}
	}
}
