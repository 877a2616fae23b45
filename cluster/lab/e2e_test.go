package lab

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is more than a slow machine needs; a test that passes never waits for it.
const patience = 2 * time.Minute

const gpuJob = `
job "hold" {
  group "g" {
    task "t" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args    = ["-c", "echo gpu=$NVIDIA_VISIBLE_DEVICES; sleep 600"]
      }
      resources {
        cpu    = 20
        memory = 32
        device "nvidia/gpu" {
          count = 1
        }
      }
    }
  }
}
`

// The exec task is granted to open; the raw_exec one names the same role and must
// not get it, since it is another task.
const openJob = `
variable "wait" {
  type = number
}
job "model" {
  group "g" {
    network {
      port "http" {}
    }
    service {
      name     = "model"
      port     = "http"
      provider = "nomad"
    }
    task "open" {
      driver = "%s"
      vault {
        role = "open-k1"
      }
      config {
        command = "/bin/sh"
        args    = ["-c", "cat $NOMAD_SECRETS_DIR/vault_token > $NOMAD_ALLOC_DIR/token; sleep ${var.wait}"]
      }
      resources {
        cpu     = 20
        memory  = 32
        secrets = 8
      }
    }
  }
  group "other" {
    restart {
      attempts = 0
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
    task "thief" {
      driver = "raw_exec"
      vault {
        role = "open-k1"
      }
      config {
        command = "/bin/sleep"
        args    = ["${var.wait}"]
      }
      resources {
        cpu    = 20
        memory = 32
      }
    }
  }
}
`

// e2eSpec is a small lab below /tmp, so that sockets fit whatever TMPDIR is.
func e2eSpec(t *testing.T) Spec {
	t.Helper()
	nomad, vault := os.Getenv("STOKER_NOMAD"), os.Getenv("STOKER_VAULT")
	switch {
	case os.Getenv("STOKER_E2E") != "1":
		t.Skip("brings up a real cluster: set STOKER_E2E=1, and STOKER_NOMAD, STOKER_VAULT, STOKER_PLUGIN to the programs")
	case nomad == "" || vault == "":
		t.Skip("STOKER_NOMAD and STOKER_VAULT must name the programs")
	}
	parent, err := os.MkdirTemp("/tmp", "lt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(parent) }) // only when Down left nothing in it
	driver := DriverExec
	if os.Geteuid() != 0 {
		driver = DriverRawExec
	}
	return Spec{
		Name: "t1", Dir: filepath.Join(parent, "l"), Driver: driver,
		NomadBin: nomad, VaultBin: vault, PluginBin: os.Getenv("STOKER_PLUGIN"),
		Nodes:  []Node{{Name: "gpu-a", GPUs: []GPUs{{"h100", 2}}}, {Name: "gpu-b", GPUs: []GPUs{{"l40s", 1}}}},
		Grants: []Grant{{Key: "k1", Verb: VerbOpen, Job: "model", Task: "open"}},
	}
}

func TestLab(t *testing.T) {
	spec := e2eSpec(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	spec.Jobs = []Job{{Name: "model", HCL: fmt.Sprintf(openJob, spec.Driver), Vars: map[string]string{"wait": "600"}}}
	if spec.PluginBin != "" {
		spec.Jobs = append(spec.Jobs, Job{Name: "hold", HCL: gpuJob})
	}
	l := mustUp(ctx, t, spec)
	s, err := loadState(l.Dir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(context.WithoutCancel(ctx)); err != nil && !errors.Is(err, ErrNoLab) {
			t.Errorf("down: %v", err)
		}
	})
	se := &session{paths: paths{l.Dir()}, state: s}
	checkHealthy(ctx, t, l)
	waitRunning(ctx, t, se, "model", "g")
	if spec.PluginBin != "" {
		waitRunning(ctx, t, se, "hold", "g")
	}
	checkGrant(ctx, t, se)
	wrapped := dataKey(ctx, t, se)

	pids := parts(t, l)
	mustUp(ctx, t, spec)
	if again := parts(t, l); fmt.Sprint(again) != fmt.Sprint(pids) {
		t.Errorf("a second Up started something again: %v, then %v", pids, again)
	}
	checkNodeFault(ctx, t, l, se)
	checkSeal(ctx, t, l)
	checkRepair(ctx, t, l, spec, se, wrapped)
	checkLostKeys(ctx, t, l, spec, se)
	checkDown(ctx, t, l, se)
}

func mustUp(ctx context.Context, t *testing.T, spec Spec) *Lab {
	t.Helper()
	began := time.Now()
	l, err := Up(ctx, spec, func(p Progress) { t.Logf("%6.2fs %-9s %s", p.Elapsed.Seconds(), p.Part, p.Text) })
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up took %.1fs", time.Since(began).Seconds())
	return l
}

func parts(t *testing.T, l *Lab) map[string]int {
	t.Helper()
	s, err := loadState(l.Dir())
	if err != nil {
		t.Fatal(err)
	}
	pids := map[string]int{}
	for part, p := range s.Procs {
		pids[part] = p.PID
	}
	return pids
}

func checkHealthy(ctx context.Context, t *testing.T, l *Lab) {
	t.Helper()
	st, err := l.Status(ctx)
	if err != nil || !st.Healthy() || len(st.Parts) != 4 {
		t.Fatalf("status %+v: %v", st, err)
	}
	for file, want := range map[string]os.FileMode{
		l.Dir(): 0o700, l.paths.unsealKey(): 0o600, l.paths.vaultToken(): 0o600, l.paths.nomadToken(): 0o600, l.AuditLog(): 0o600,
	} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, want %v: %v", file, info.Mode().Perm(), want, err)
		}
	}
}

type foundAlloc struct{ ID, TaskGroup, ClientStatus, NodeID string }

func allocsOf(ctx context.Context, se *session, job string) ([]foundAlloc, error) {
	n := se.nomad()
	defer n.close()
	var all []foundAlloc
	err := n.get(ctx, "/v1/job/"+job+"/allocations", &all)
	return all, err
}

func waitRunning(ctx context.Context, t *testing.T, se *session, job, group string) foundAlloc {
	t.Helper()
	var found foundAlloc
	err := until(ctx, "job "+job, patience, nil, func(ctx context.Context) error {
		all, err := allocsOf(ctx, se, job)
		for _, a := range all {
			if a.TaskGroup == group && a.ClientStatus == "running" {
				found = a
				return nil
			}
		}
		return fmt.Errorf("allocations %+v: %w", all, err)
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// checkGrant uses the token of the task that may open, and sees that the task
// that may not has got none.
func checkGrant(ctx context.Context, t *testing.T, se *session) {
	t.Helper()
	a := waitRunning(ctx, t, se, "model", "g")
	var token []byte
	err := until(ctx, "the task's token", patience, nil, func(context.Context) error {
		files, _ := filepath.Glob(filepath.Join(se.paths.dir, "?", a.ID, "alloc", "token"))
		if len(files) != 1 {
			return errors.New("not written yet")
		}
		text, err := os.ReadFile(files[0])
		if err == nil && len(text) == 0 {
			err = errors.New("empty")
		}
		token = text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	wrapped := dataKey(ctx, t, se)
	task := newVault(se.state.layout().vaultURL(), string(token))
	defer task.close()
	if err := decrypt(ctx, task, "k1", wrapped); err != nil {
		t.Errorf("the granted task cannot open: %v", err)
	}
	for path, body := range map[string]any{
		"/v1/transit/datakey/plaintext/k1": map[string]string{"context": "eA=="},
		"/v1/transit/rewrap/k1":            map[string]string{"context": "eA==", "ciphertext": wrapped},
		"/v1/transit/keys/k2":              map[string]bool{"derived": true},
	} {
		if err := task.put(ctx, path, body, nil); statusOf(err) != 403 {
			t.Errorf("the granted task may %s: %v", path, err)
		}
	}
	err = until(ctx, "the other task to fail", patience, nil, func(ctx context.Context) error {
		all, err := allocsOf(ctx, se, "model")
		for _, a := range all {
			if a.TaskGroup == "other" && a.ClientStatus == "running" {
				t.Fatal("a task that is not granted got the role")
			}
			if a.TaskGroup == "other" && a.ClientStatus == "failed" {
				return nil
			}
		}
		return errors.Join(err, errors.New("not failed yet"))
	})
	if err != nil {
		t.Error(err)
	}
}

// dataKey asks as root for a data key and gives its wrapped form.
func dataKey(ctx context.Context, t *testing.T, se *session) string {
	t.Helper()
	v := se.vault()
	defer v.close()
	var answer struct {
		Data struct{ Ciphertext string }
	}
	body := map[string]string{"context": base64.StdEncoding.EncodeToString([]byte("a model"))}
	if err := v.put(ctx, "/v1/transit/datakey/plaintext/k1", body, &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Data.Ciphertext
}

func decrypt(ctx context.Context, v vaultAPI, key, wrapped string) error {
	return v.put(ctx, "/v1/transit/decrypt/"+key, map[string]string{
		"context": base64.StdEncoding.EncodeToString([]byte("a model")), "ciphertext": wrapped,
	}, nil)
}

func checkNodeFault(ctx context.Context, t *testing.T, l *Lab, se *session) {
	t.Helper()
	if err := l.KillNode(ctx, "gpu-b"); err != nil {
		t.Fatal(err)
	}
	n := se.nomad()
	defer n.close()
	began := time.Now()
	err := until(ctx, "gpu-b to be down", patience, nil, func(ctx context.Context) error {
		nodes, err := n.nodes(ctx)
		if err == nil && nodes["gpu-b"].Status != "down" {
			err = errors.New("still " + nodes["gpu-b"].Status)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("seen down after %.1fs", time.Since(began).Seconds())
	st, _ := l.Status(ctx)
	if st.Healthy() {
		t.Error("healthy with a dead node")
	}
	if err := l.StartNode(ctx, "gpu-b"); err != nil {
		t.Fatal(err)
	}
	checkHealthy(ctx, t, l)
	for name, fault := range map[string]func(context.Context, string) error{"stop": l.StopNode, "crash": l.CrashNode} {
		if err := fault(ctx, "gpu-b"); err != nil {
			t.Fatal(err)
		}
		for p, part := range owned(se.state.Mark) {
			if part == "gpu-b" && (name == "crash" || strings.Contains(cmdlineOf(p.PID), "-config=")) {
				t.Errorf("%s gpu-b: %s still runs", name, cmdlineOf(p.PID))
			}
		}
		if err := l.StartNode(ctx, "gpu-b"); err != nil {
			t.Fatal(err)
		}
	}
	checkHealthy(ctx, t, l)
}

func checkSeal(ctx context.Context, t *testing.T, l *Lab) {
	t.Helper()
	if err := l.SealVault(ctx); err != nil {
		t.Fatal(err)
	}
	if st, err := l.Status(ctx); err != nil || st.Parts[0].State != StateSealed {
		t.Errorf("status after sealing: %+v, %v", st, err)
	}
	if err := l.UnsealVault(ctx); err != nil {
		t.Fatal(err)
	}
	if i, err := l.Leader(ctx); err != nil || i != 0 {
		t.Errorf("the only server: leader %d, %v", i, err)
	}
	if err := l.StopServer(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if i, err := l.Leader(ctx); err == nil {
		t.Errorf("no server: leader %d", i)
	}
	if err := l.StartServer(ctx, 0); err != nil {
		t.Fatal(err)
	}
}

// checkRepair kills everything at once, as a crash of the machine would.
func checkRepair(ctx context.Context, t *testing.T, l *Lab, spec Spec, se *session, wrapped string) {
	t.Helper()
	for p := range owned(se.state.Mark) {
		if err := p.signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
	}
	mustUp(ctx, t, spec)
	checkHealthy(ctx, t, l)
	v := se.vault()
	defer v.close()
	if err := decrypt(ctx, v, "k1", wrapped); err != nil {
		t.Errorf("a key from before the crash does not open: %v", err)
	}
	waitRunning(ctx, t, se, "model", "g")
}

// checkLostKeys takes the keys of a Vault with which nothing was sealed, as a
// crash right after it was initialised would.
func checkLostKeys(ctx context.Context, t *testing.T, l *Lab, spec Spec, se *session) {
	t.Helper()
	s, err := loadState(l.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Procs["vault"].kill(ctx), os.Remove(l.paths.unsealKey()), os.Remove(l.paths.vaultToken())); err != nil {
		t.Fatal(err)
	}
	mustUp(ctx, t, spec)
	checkHealthy(ctx, t, l)
	dataKey(ctx, t, se)
}

// checkDown sees that nothing is left: no process, mount, cgroup or file.
func checkDown(ctx context.Context, t *testing.T, l *Lab, se *session) {
	t.Helper()
	allocs := se.allAllocs()
	if len(allocs) == 0 || os.Geteuid() == 0 && len(cgroupDirs(allocs)) == 0 {
		t.Errorf("nothing to clean up: %d allocations", len(allocs))
	}
	if err := l.Down(ctx); err != nil {
		t.Fatal(err)
	}
	if left := owned(se.state.Mark); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	if bytes.Contains(mounts, []byte(l.Dir())) {
		t.Error("mounts left")
	}
	if dirs := cgroupDirs(allocs); len(dirs) > 0 {
		t.Errorf("cgroups left: %s", strings.Join(dirs, ", "))
	}
	if _, err := os.Stat(l.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder left: %v", err)
	}
	if err := l.Down(ctx); !errors.Is(err, ErrNoLab) {
		t.Errorf("down twice: %v", err)
	}
}
