//go:build cgo

package nvml_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
	"stoker/gpu/nvml"
	"stoker/gpu/sim"
	"stoker/gpu/sim/load"
)

// eventually reads until there are so many events.
func (n *node) eventually(r *nvml.Reader, events int) []gpu.Event {
	n.t.Helper()
	var all []gpu.Event
	for deadline := time.Now().Add(time.Minute); len(all) < events; {
		if time.Now().After(deadline) {
			n.t.Fatalf("only these events: %v", all)
		}
		all = append(all, n.read(r, time.Second).Events...)
	}
	return all
}

func TestEventsOfEveryKind(t *testing.T) {
	n := newNode(t, sim.H100)
	r := n.open()
	n.read(r, 0)
	n.inject(sim.Fault{Kind: sim.FaultECC})
	for _, kind := range []uint64{gonvml.EventTypePowerSourceChange, gonvml.EventMigConfigChange, gonvml.EventTypeSingleBitEccErrorStorm} {
		if err := sim.Signal(n.dir, 0, kind); err != nil {
			t.Fatal(err)
		}
	}
	type told struct {
		kind    gpu.EventKind
		verdict gpu.Verdict
	}
	var got []told
	for _, e := range n.eventually(r, 4) {
		got = append(got, told{e.Kind, e.Verdict})
	}
	want := []told{
		{gpu.EventECC, gpu.VerdictFailed}, {gpu.EventPower, gpu.VerdictWatch}, {gpu.EventMIG, gpu.VerdictOK}, {gpu.EventECC, gpu.VerdictWatch},
	}
	if !slices.Equal(want, got) {
		t.Errorf("events %v, want %v", got, want)
	}
}

func TestHeldBackClocksAreEvents(t *testing.T) {
	n := newNode(t, sim.H100)
	r := n.open()
	n.read(r, 0)
	n.inject(sim.Fault{Kind: sim.FaultPowerBrake})
	var texts []string
	read := func() {
		for _, e := range n.read(r, time.Second).Events {
			texts = append(texts, e.Text)
		}
	}
	read()
	n.clear(0)
	if err := sim.Signal(n.dir, 0, gonvml.EventTypeClock); err != nil { // the boost clock moves: no news
		t.Fatal(err)
	}
	read()
	read()
	want := []string{"clocks held back: hw_slowdown, hw_power_brake_slowdown", "clocks are free again"}
	if d := cmp.Diff(want, texts); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
}

func TestProcessesSayHowBusyTheyAre(t *testing.T) {
	n := newNode(t, sim.H100)
	r := n.open()
	uuid := n.read(r, 0).Devices[0].UUID
	// Another process reports: the locks of a process's own reports do not count.
	cmd := exec.Command(os.Args[0], "-test.run=^TestReporter$")
	cmd.Env = append(os.Environ(), "NVML_TEST_REPORT="+sim.LoadDir(n.dir), "NVML_TEST_UUID="+string(uuid))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); _ = cmd.Wait() }()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	p := n.read(r, time.Second).Samples[0].Processes
	want := []gpu.Process{{PID: cmd.Process.Pid, Type: "C", MemoryBytes: 1 << 30, UtilPercent: ptr(37.0)}}
	if d := cmp.Diff(want, p); d != "" {
		t.Errorf("processes (-want +got):\n%s", d)
	}
}

func ptr[T any](v T) *T { return &v }

// TestReporter is the other process of the test above.
func TestReporter(t *testing.T) {
	dir := os.Getenv("NVML_TEST_REPORT")
	if dir == "" {
		t.Skip("only as another test's process")
	}
	rep, err := load.Open(dir, gpu.UUID(os.Getenv("NVML_TEST_UUID")))
	if err != nil {
		t.Fatal(err)
	}
	defer rep.Close()
	if err := rep.Set(37, 1<<30); err != nil {
		t.Fatal(err)
	}
	fmt.Println("reported")
	_, _ = io.Copy(io.Discard, os.Stdin)
}
