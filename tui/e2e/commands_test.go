package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestGet reads every view as JSON; for GPUs the documented fields are there.
func TestGet(t *testing.T) {
	w := need(t)
	var gpus []map[string]any
	eventually(t, func() (err error) {
		gpus, err = w.gpus()
		return err
	})
	for _, field := range strings.Fields(`cluster node index uuid model util_percent memory_used_bytes memory_total_bytes
		power_watts power_limit_watts temperature_celsius health held_by source as_of`) {
		if _, has := gpus[0][field]; !has {
			t.Errorf("gpus: no field %s", field)
		}
	}
	for _, g := range gpus {
		if g["source"] != "agent" || g["cluster"] != labName {
			t.Errorf("GPU %v: source %v of cluster %v, want agent of %s", g["uuid"], g["source"], g["cluster"], labName)
		}
	}
	for _, view := range []string{"nodes", "jobs", "allocs", "models", "training", "keys", "events", "sources"} {
		rows(t, view)
	}
	if n := len(rows(t, "nodes")); n != 3 {
		t.Errorf("%d nodes, want 3", n)
	}
}

// TestLabCommands: what the lab says of itself is what an operator can use.
func TestLabCommands(t *testing.T) {
	w := need(t)
	in := func(args ...string) (string, error) {
		return w.ask(append([]string{"lab", "--name", labName}, args...)...)
	}
	eventually(t, func() error {
		out, err := in("status") // it fails when a part is not up
		if err != nil {
			return err
		}
		for _, part := range []string{"vault", "server-1", "gpu-a", "gpu-b", "gpu-c"} {
			if !regexp.MustCompile(`(?m)^` + part + ` +\S+ +up `).MatchString(out) {
				return fmt.Errorf("%s is not said to be up:\n%s", part, out)
			}
		}
		return nil
	})
	for _, part := range []string{"vault", "server-1", "gpu-a"} {
		if out, err := in("logs", part); err != nil || strings.TrimSpace(out) == "" {
			t.Errorf("the log of %s: %q, %v", part, out, err)
		}
	}
	if r := run(t, nil, "lab", "--name", labName, "logs", "gpu-z"); r.code != 2 || !strings.Contains(r.err, "no part") {
		t.Errorf("the log of no part: exit %d, %s", r.code, r.err)
	}
	out, err := in("env")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"NOMAD_ADDR", "VAULT_ADDR"} {
		if !regexp.MustCompile(`(?m)^export ` + name + `=http://127\.0\.0\.1:\d+$`).MatchString(out) {
			t.Errorf("env exports no %s:\n%s", name, regexp.MustCompile(`(_TOKEN=).*`).ReplaceAllString(out, "${1}…"))
		}
	}
}

func TestFormatsAndFilter(t *testing.T) {
	need(t)
	for format, want := range map[string]string{"table": "NODE", "wide": "UUID", "csv": "cluster,region,node", "yaml": "- cluster: " + labName} {
		if out := ok(t, "get", "gpus", "-o", format); !strings.Contains(out, want) {
			t.Errorf("-o %s prints no %q:\n%s", format, want, out)
		}
	}
	out := ok(t, "get", "gpus", "-o", "json", "--filter", `node == "gpu-c" && index < 2`)
	var got []map[string]any
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got) != 2 {
		t.Errorf("the filter keeps %d rows, want 2 (%v)", len(got), err)
	}
	if r := stoker(t, "get", "gpus", "--filter", "nonsense > 1"); r.code != 2 || !strings.Contains(r.err, "fields:") {
		t.Errorf("a wrong field: exit %d, %s", r.code, r.err)
	}
}

// TestExitCodes: what a script can rely on when things are wrong.
func TestExitCodes(t *testing.T) {
	need(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + free.Addr().String()
	_ = free.Close()
	for _, c := range []struct {
		name string
		env  []string
		args []string
		code int
		says string
	}{
		{"configured and down", []string{"NOMAD_ADDR=" + nobody}, []string{"get", "nodes"}, 3, "connection refused"},
		{"unknown context", nil, []string{"--context", "nope", "get", "nodes"}, 2, "known: " + labName},
		{"unknown view", nil, []string{"--context", labName, "get", "pods"}, 2, "one of nodes"},
		{"no token", []string{"NOMAD_ADDR=" + labEnv(t, "NOMAD_ADDR")}, []string{"get", "nodes"}, 4, "permission denied"},
		{"no such job", nil, []string{"--context", labName, "stop", "nope", "--yes"}, 2, "no job"},
		{"no terminal for the screen", nil, []string{"--context", labName}, 2, "terminal"},
		{"no answer possible", nil, []string{"--context", labName, "drain", "gpu-a"}, 2, "--yes"},
		{"read-only", nil, []string{"--context", labName, "--read-only", "drain", "gpu-a", "--yes"}, 4, "read-only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, c.env, c.args...)
			if r.code != c.code || !strings.Contains(r.err, c.says) {
				t.Errorf("exit %d, want %d and %q in:\n%s", r.code, c.code, c.says, r.err)
			}
		})
	}
}

// TestUnconfigured: nothing at the official default address.
func TestUnconfigured(t *testing.T) {
	need(t)
	if c, err := net.DialTimeout("tcp", "127.0.0.1:4646", time.Second); err == nil {
		_ = c.Close()
		t.Skip("something listens on Nomad's default port")
	}
	r := run(t, nil, "get", "nodes")
	if r.code != 3 || !strings.Contains(r.err, "hint: no cluster is configured") {
		t.Errorf("exit %d:\n%s", r.code, r.err)
	}
}

// TestVerbs scales, restarts, stops and drains a small job through the action
// path, and finds each in the audit file.
func TestVerbs(t *testing.T) {
	w := need(t)
	file := filepath.Join(t.TempDir(), "sleeper.nomad.hcl")
	job := `job "sleeper" {
  type = "service"
  update { min_healthy_time = "1s" }
  group "g" {
    count = 1
    task "t" {
      driver = "raw_exec"
      config { 
        command = "/bin/sleep"
        args = ["600"] 
      }
      resources { 
        cpu = 50
        memory = 32 
        device "nvidia/gpu" { count = 1 }
      }
    }
  }
}`
	if err := os.WriteFile(file, []byte(job), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := ok(t, "plan", file); !strings.Contains(out, "1 start") || !strings.Contains(out, "1 GPU") {
		t.Errorf("plan:\n%s", out)
	}
	t.Cleanup(func() { stoker(t, "stop", "sleeper", "--purge", "--yes") })
	ok(t, "submit", file, "--yes", "--wait", "--timeout", "5m")
	holds := func(n int) func() error {
		return func() error {
			held, err := w.heldBy("default/sleeper")
			if err == nil && len(held) != n {
				err = fmt.Errorf("sleeper holds %v, want %d GPUs", held, n)
			}
			return err
		}
	}
	if err := holds(1)(); err != nil {
		t.Fatal(err)
	}
	ok(t, "scale", "sleeper", "2", "--yes")
	eventually(t, holds(2))
	if !strings.Contains(official(t, "job", "status", "-short", "sleeper"), "running") {
		t.Error("nomad job status does not say running")
	}
	ok(t, "restart", "sleeper", "--yes")
	allocs := rowsWhere(t, "allocs", "job", "sleeper")
	if len(allocs) == 0 {
		t.Fatal("sleeper has no allocations")
	}
	node, _ := allocs[0]["node"].(string)
	t.Cleanup(func() { stoker(t, "drain", node, "--off", "--yes") })
	ok(t, "drain", node, "--yes")
	eventually(t, func() error {
		allocs, err := w.listWhere("allocs", "job", "sleeper")
		for _, a := range allocs {
			if a["node"] == node && a["status"] == "running" {
				return fmt.Errorf("the drained node still runs %v", a["alloc"])
			}
		}
		return err
	})
	ok(t, "drain", node, "--off", "--yes")
	ok(t, "ineligible", node, "--yes")
	if !strings.Contains(official(t, "node", "status", "-filter", fmt.Sprintf("Name == %q", node)), "ineligible") {
		t.Errorf("nomad node status does not say that %s is ineligible", node)
	}
	ok(t, "ineligible", node, "--off", "--yes")
	ok(t, "stop", "sleeper", "--yes")
	eventually(t, holds(0))
	raw, err := os.ReadFile(filepath.Join(w.home, "s", "stoker", "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range []string{"submit", "scale", "restart", "drain", "undrain", "ineligible", "stop"} {
		if !strings.Contains(string(raw), `"action":"`+action+`"`) {
			t.Errorf("the audit file has no %s:\n%s", action, raw)
		}
	}
}

func rowsWhere(t *testing.T, view, field, value string) []map[string]any {
	t.Helper()
	out, err := need(t).listWhere(view, field, value)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// startsNode starts a node again at the end, whatever the test did to it: the
// context of the test is over by then.
func startsNode(t *testing.T, name string) {
	t.Helper()
	w, ctx := need(t), context.WithoutCancel(t.Context())
	t.Cleanup(func() {
		if err := w.lab.StartNode(ctx, name); err != nil {
			t.Errorf("start %s again: %v", name, err)
		}
	})
}

// TestNodeDies: a client is killed; within its heartbeat the node is down, the
// rest lives on, and it recovers.
func TestNodeDies(t *testing.T) {
	w := need(t)
	// Its death in the middle of a rollout would leave a failed deployment.
	eventually(t, w.rolledOut)
	startsNode(t, "gpu-c")
	if err := w.lab.KillNode(t.Context(), "gpu-c"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		nodes, err := w.list("nodes")
		for _, n := range nodes {
			want := "ready"
			if n["node"] == "gpu-c" {
				want = "down"
			}
			if n["status"] != want {
				return fmt.Errorf("%v is %v, want %s", n["node"], n["status"], want)
			}
		}
		if err == nil && len(nodes) != 3 {
			err = fmt.Errorf("%d nodes", len(nodes))
		}
		return err
	})
	if err := w.lab.StartNode(t.Context(), "gpu-c"); err != nil {
		t.Fatal(err)
	}
	eventually(t, w.whole) // its agent and its devices take longer than the node
}

// rolledOut says which deployment still goes on.
func (w *world) rolledOut() error {
	list, err := w.listWhere("deployments", "status", "running")
	if err == nil && len(list) > 0 {
		err = fmt.Errorf("%v is being deployed", list[0]["job"])
	}
	return err
}

func TestDoctorAndTop(t *testing.T) {
	w := need(t)
	eventually(t, w.whole)
	eventually(t, func() error { // it gives the sources some seconds, which a slow machine may take
		out, err := w.ask("--context", labName, "doctor")
		if err == nil && !strings.Contains(out, "source agent gpu-a") {
			err = fmt.Errorf("doctor knows no agent gpu-a:\n%s", out)
		}
		return err
	})
	r := run(t, nil, "top", "--sim", w.lab.SimDir("gpu-b"), "--once", "-o", "json")
	var got []map[string]any
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || len(got) != 8 {
		t.Errorf("top: exit %d, %d GPUs, %v\n%s", r.code, len(got), err, r.err)
	}
}

// Where nothing of stoker runs, Nomad's own statistics are the first look: each
// GPU has its util, memory, temperature and power.
func TestWithoutAgents(t *testing.T) {
	w := need(t)
	t.Cleanup(func() {
		if err := w.up(); err != nil {
			t.Error(err)
		}
	})
	ok(t, "stop", "stoker-agent", "--yes")
	eventually(t, func() error {
		gpus, err := w.gpus()
		for _, g := range gpus {
			for _, fact := range []string{"memory_used_bytes", "memory_total_bytes", "power_watts", "temperature_celsius"} {
				if g[fact] == nil {
					return fmt.Errorf("no %s of GPU %v of %v", fact, g["index"], g["node"])
				}
			}
			if g["source"] != "nomad" || g["processes"] != nil {
				return fmt.Errorf("GPU %v of %v is read by %v, processes %v", g["index"], g["node"], g["source"], g["processes"])
			}
		}
		return err
	})
}
