package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stoker/cluster/lab"
)

// TestJourneyTwoClusters goes over to a second cluster by its name, sees both as
// one, and is not held up by one that does not answer.
func TestJourneyTwoClusters(t *testing.T) {
	w := need(t)
	const second = labName + "2"
	t.Cleanup(func() {
		if err := w.must("lab", "down", "--name", second); err != nil {
			t.Error(err)
		}
	})
	if err := w.must("lab", "up", "--name", second, "--driver", lab.DriverRawExec); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "stoker"), 0o700); err != nil {
		t.Fatal(err)
	}
	const dead = "contexts:\n  dead: { nomad: { address: \"http://127.0.0.1:9\" } }\n" // the port of nobody
	if err := os.WriteFile(filepath.Join(dir, "stoker", "config.yaml"), []byte(dead), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"XDG_CONFIG_HOME=" + dir}
	m := open(t, 120, 40, env, "--context", labName)
	m.sees("GPUs 20", labName+" ▸ global", "nomad ● live")
	m.command("ctx " + second)
	m.sees("GPUs 20", second+" ▸ global", "nomad ● live")
	m.command("ctx " + labName + "," + second + ",dead")
	m.sees("GPUs 40", "dead", "connection refused")
	m.command("nodes")
	m.sees("6 nodes", "CLUSTER")
	m.waits(func(s string) string {
		if n := strings.Count(s, " gpu-a "); n != 2 {
			return "not both of them are there"
		}
		return ""
	})
	m.command("ctx " + labName)
	m.sees("3 nodes", labName+" ▸ global")
	r := run(t, env, "--context", labName+","+second, "get", "nodes")
	if r.code != 0 || strings.Count(r.out, "gpu-b") != 2 {
		t.Errorf("line mode: exit %d\n%s%s", r.code, r.out, r.err)
	}
	if r := run(t, env, "--context", labName+",dead", "get", "nodes"); r.code != 5 || !strings.Contains(r.out, "gpu-b") || !strings.Contains(r.err, "dead") {
		t.Errorf("with a dead one: exit %d, want 5\n%s%s", r.code, r.out, r.err)
	}
}
