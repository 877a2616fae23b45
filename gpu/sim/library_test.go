//go:build cgo

package sim_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"stoker/gpu"
	"stoker/gpu/nvml"
	"stoker/gpu/sim"
	"stoker/gpu/sim/load"
)

// TestMain lets the test binary be a task: load is another process's.
func TestMain(m *testing.M) {
	if os.Getenv(load.EnvDir) == "" {
		os.Exit(m.Run())
	}
	reporters, err := load.FromEnv(os.Getenv)
	for _, r := range reporters {
		if err == nil {
			err = r.Set(60, 10<<30)
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("running")
	time.Sleep(time.Minute) // the test kills it long before
}

// startTask runs a task on a device that asks for 60 % and 10 GiB.
func startTask(t *testing.T, dir string, uuid gpu.UUID) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), load.EnvDir+"="+sim.LoadDir(dir), load.EnvVisible+"="+string(uuid))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "running\n" {
		t.Fatalf("the task said %q, %v", line, err)
	}
	return cmd
}

func TestReadingsFollowTheLoad(t *testing.T) {
	dir := t.TempDir()
	if err := sim.Create(dir, spec()); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	lib, err := sim.OpenAt(dir, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	// A machine that stands still for a while is not a GPU that hangs.
	r, err := nvml.Open(lib, "n1", nvml.Clock(func() time.Time { return now }), nvml.Patience(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	read := func(after time.Duration) gpu.Batch {
		now = now.Add(after)
		b, err := r.Read(now)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	idle := read(0)
	first, second := startTask(t, dir, idle.Devices[0].UUID), startTask(t, dir, idle.Devices[0].UUID)
	loaded := read(time.Minute)
	s := loaded.Samples[0]
	if *s.UtilPercent != 100 || *s.MemoryUsedBytes != 20<<30 || *s.PowerWatts < 600 || *s.TempCelsius < 60 {
		t.Errorf("two tasks at 60 %%: util %v memory %v power %v temperature %v", *s.UtilPercent, *s.MemoryUsedBytes, *s.PowerWatts, *s.TempCelsius)
	}
	pids := []int{first.Process.Pid, second.Process.Pid}
	slices.Sort(pids)
	if len(s.Processes) != 2 || s.Processes[0].PID != pids[0] || s.Processes[1].PID != pids[1] || s.Processes[0].MemoryBytes != 10<<30 {
		t.Errorf("processes %+v, want the pids %v", s.Processes, pids)
	}
	if other := loaded.Samples[1]; *other.UtilPercent != 0 || len(other.Processes) != 0 {
		t.Errorf("the GPU beside it is busy too: %v", *other.UtilPercent)
	}
	if rise := *s.EnergyJoules - *idle.Samples[0].EnergyJoules; rise < 60*600 || rise > 60*700 {
		t.Errorf("a minute took %.0f J", rise)
	}
	if s.FanPercent != nil || loaded.Samples[2].FanPercent != nil {
		t.Error("a GPU without a fan has a fan speed")
	}
	_ = first.Process.Kill()
	_ = first.Wait()
	if s := read(time.Second).Samples[0]; *s.UtilPercent != 60 || len(s.Processes) != 1 {
		t.Errorf("after kill -9 of one: util %v, %d processes", *s.UtilPercent, len(s.Processes))
	}
}
