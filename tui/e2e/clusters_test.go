package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestSeveralClusters brings a second lab up, goes over to both in the screen
// and back, changes a node of one, and lets one die: the other is not held up.
func TestSeveralClusters(t *testing.T) {
	const other = "second"
	need(t)
	both := labName + "," + other
	out := run(t, nil, "lab", "up", "--name", other)
	t.Cleanup(func() {
		if down := run(t, nil, "lab", "down", "--name", other); down.code != 0 {
			t.Errorf("lab down: %s%s", down.out, down.err)
		}
	})
	if out.code != 0 {
		t.Fatalf("lab up: %s%s", out.out, out.err)
	}
	ineligible := func() string {
		r := run(t, nil, "--context", both, "get", "nodes", "-o", "csv", "--filter", "eligible == false", "--columns", "cluster,node")
		return strings.TrimSpace(strings.TrimPrefix(r.out, "cluster,node"))
	}
	eventually(t, func() error {
		r := run(t, nil, "--context", both, "get", "gpus", "-o", "csv", "--filter", "util_percent >= 0", "--columns", "cluster,uuid")
		uuids := map[string]bool{}
		for line := range strings.Lines(r.out) {
			_, uuid, _ := strings.Cut(strings.TrimSpace(line), ",")
			uuids[uuid] = true
		}
		if len(uuids) != 41 || strings.Count(r.out, other+",") != 20 { // with the heading
			return fmt.Errorf("%d GPUs: %s%s", len(uuids)-1, r.out, r.err)
		}
		return nil
	})

	m := open(t, 120, 40, nil, "--context", labName)
	m.sees("GPUs 20", "nomad ● live")
	m.keys("2")
	m.sees("3 nodes")
	m.keys(":", "ctx "+both, "Enter")
	m.sees(labName+"+"+other, "CLUSTER", "6 nodes", "agents ● 6/6")
	m.keys("/", `cluster == "`+other+`" && node == "gpu-a"`, "Enter")
	m.sees("1 of 6")
	m.keys("i")
	m.sees("make node gpu-a ineligible in " + other)
	m.keys("y")
	eventually(t, func() error {
		if got := ineligible(); got != other+",gpu-a" {
			return fmt.Errorf("ineligible: %q", got)
		}
		return nil
	})
	gone := func(what string) {
		t.Helper()
		m.keys("Escape") // alone: with another key behind it, it is alt
		m.waits(func(s string) string {
			if strings.Contains(s, what) {
				return what + " is still"
			}
			return ""
		})
	}
	m.keys("Escape")
	m.sees("gpu-b") // the filter is gone
	m.keys(":", "ctx", "Enter")
	m.sees("contexts", "● answers", "in use")
	gone("pick several")

	if down := run(t, nil, "lab", "down", "--name", other); down.code != 0 {
		t.Fatalf("lab down: %s%s", down.out, down.err)
	}
	m.sees(other+" ✖", other+": nomad:", "6 nodes")
	m.keys(":", "ctx nowhere", "Enter")
	m.sees(`there is no context "nowhere"`, labName+"+"+other)
	gone("there is no context")
	m.keys(":", "ctx "+labName, "Enter")
	m.sees("3 nodes", "nomad ● live", "agents ● 3/3")
	if s := m.screen(); strings.Contains(s, "CLUSTER") {
		t.Errorf("one cluster is shown as several:\n%s", s)
	}
	m.keys("q")
	m.waits(func(s string) string {
		if s != "" {
			return "q did not end it"
		}
		return ""
	})
}
