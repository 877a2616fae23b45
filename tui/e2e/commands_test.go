package e2e

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestGet reads every view as JSON; for GPUs the documented fields are there.
func TestGet(t *testing.T) {
	need(t)
	eventually(t, 30*time.Second, func() string {
		for _, g := range rows(t, "gpus") {
			if g["util_percent"] == nil {
				return "no reading of some GPU yet"
			}
		}
		return ""
	})
	gpus := rows(t, "gpus")
	if len(gpus) != 20 {
		t.Fatalf("%d GPUs, want 20", len(gpus))
	}
	for _, field := range strings.Fields(`cluster node index uuid model util_percent memory_used_bytes memory_total_bytes
		power_watts power_limit_watts temperature_celsius health held_by source as_of`) {
		if _, has := gpus[0][field]; !has {
			t.Errorf("gpus: no field %s", field)
		}
	}
	if gpus[0]["source"] != "agent" || gpus[0]["cluster"] != labName {
		t.Errorf("source %v of cluster %v, want agent of %s", gpus[0]["source"], gpus[0]["cluster"], labName)
	}
	for _, view := range []string{"nodes", "jobs", "allocs", "models", "training", "keys", "events", "sources"} {
		rows(t, view)
	}
	if n := len(rows(t, "nodes")); n != 3 {
		t.Errorf("%d nodes, want 3", n)
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
		{"no token", []string{"NOMAD_ADDR=" + nomadAddr(t)}, []string{"get", "nodes"}, 4, "permission denied"},
		{"no such job", nil, []string{"--context", labName, "stop", "nope", "--yes"}, 2, "no job"},
		{"no terminal for the screen", nil, []string{"--context", labName}, 2, "terminal"},
		{"no answer possible", nil, []string{"--context", labName, "drain", "gpu-a"}, 2, "--yes"},
		{"read-only", nil, []string{"--context", labName, "--read-only", "drain", "gpu-a", "--yes"}, 4, "read-only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, time.Minute, c.env, c.args...)
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
	r := run(t, time.Minute, nil, "get", "nodes")
	if r.code != 3 || !strings.Contains(r.err, "hint: no cluster is configured") {
		t.Errorf("exit %d:\n%s", r.code, r.err)
	}
}

func nomadAddr(t *testing.T) string {
	t.Helper()
	env, err := need(t).lab.Env()
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range env {
		if v, found := strings.CutPrefix(kv, "NOMAD_ADDR="); found {
			return strings.Trim(v, `"'`)
		}
	}
	t.Fatal("lab env has no NOMAD_ADDR")
	return ""
}

// official runs Nomad's own command line on the lab.
func official(t *testing.T, args ...string) string {
	t.Helper()
	w := need(t)
	env, err := w.lab.Env()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tool(t, "nomad"), args...)
	cmd.Env = append(w.env(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil && !bytes.Contains(out, []byte("No jobs")) && !bytes.Contains(out, []byte("not found")) {
		t.Logf("nomad %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

func tool(t *testing.T, name string) string {
	t.Helper()
	out := run(t, time.Minute, nil, "lab", "tools").out
	for _, line := range strings.Split(out, "\n") {
		if path, found := strings.CutPrefix(line, name+" "); found {
			return strings.TrimSpace(path)
		}
	}
	t.Fatalf("lab tools names no %s:\n%s", name, out)
	return ""
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
	ok(t, "submit", file, "--yes", "--wait", "--timeout", "1m")
	t.Cleanup(func() { stoker(t, "stop", "sleeper", "--purge", "--yes") })
	if held := heldBy(t, "default/sleeper"); len(held) != 1 {
		t.Fatalf("sleeper holds %v, want one GPU", held)
	}
	ok(t, "scale", "sleeper", "2", "--yes")
	eventually(t, 30*time.Second, func() string {
		if n := len(heldBy(t, "default/sleeper")); n != 2 {
			return "scaled to 2, but it does not hold 2 GPUs"
		}
		return ""
	})
	if !strings.Contains(official(t, "job", "status", "-short", "sleeper"), "running") {
		t.Error("nomad job status does not say running")
	}
	ok(t, "restart", "sleeper", "--yes")
	node := rowsWhere(t, "allocs", "job", "sleeper")[0]["node"].(string)
	ok(t, "drain", node, "--yes")
	eventually(t, time.Minute, func() string {
		for _, a := range rowsWhere(t, "allocs", "job", "sleeper") {
			if a["node"] == node && a["status"] == "running" {
				return "the drained node still runs " + a["alloc"].(string)
			}
		}
		return ""
	})
	ok(t, "drain", node, "--off", "--yes")
	ok(t, "stop", "sleeper", "--yes")
	eventually(t, 30*time.Second, func() string {
		if n := len(heldBy(t, "default/sleeper")); n != 0 {
			return "stopped, but it still holds GPUs"
		}
		return ""
	})
	raw, err := os.ReadFile(filepath.Join(w.home, "s", "stoker", "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range []string{"submit", "scale", "restart", "drain", "undrain", "stop"} {
		if !strings.Contains(string(raw), `"action":"`+action+`"`) {
			t.Errorf("the audit file has no %s:\n%s", action, raw)
		}
	}
}

func heldBy(t *testing.T, job string) []string {
	t.Helper()
	var out []string
	for _, g := range rows(t, "gpus") {
		if g["held_by_job"] == job {
			out = append(out, g["uuid"].(string))
		}
	}
	return out
}

func rowsWhere(t *testing.T, view, field, value string) []map[string]any {
	t.Helper()
	return slices.DeleteFunc(rows(t, view), func(r map[string]any) bool { return r[field] != value })
}

// TestNodeDies: a client is killed; within its heartbeat the node is down, the
// rest lives on, and it recovers.
func TestNodeDies(t *testing.T) {
	w := need(t)
	if err := w.lab.KillNode(t.Context(), "gpu-c"); err != nil {
		t.Fatal(err)
	}
	status := func(want string) func() string {
		return func() string {
			n := rowsWhere(t, "nodes", "node", "gpu-c")
			if len(n) != 1 || n[0]["status"] != want {
				return "gpu-c is not " + want
			}
			return ""
		}
	}
	eventually(t, 40*time.Second, status("down"))
	for _, n := range rows(t, "nodes") {
		if n["node"] != "gpu-c" && n["status"] != "ready" {
			t.Errorf("%v is %v", n["node"], n["status"])
		}
	}
	if err := w.lab.StartNode(t.Context(), "gpu-c"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 40*time.Second, status("ready"))
}

func TestDoctorAndTop(t *testing.T) {
	w := need(t)
	if out := ok(t, "doctor"); !strings.Contains(out, "source agent gpu-a") {
		t.Errorf("doctor:\n%s", out)
	}
	r := run(t, time.Minute, nil, "top", "--sim", w.lab.SimDir("gpu-b"), "--once", "-o", "json")
	var got []map[string]any
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || len(got) != 8 {
		t.Errorf("top: exit %d, %d GPUs, %v\n%s", r.code, len(got), err, r.err)
	}
}
