package explain

import (
	"fmt"
	"testing"

	"stoker/cluster"
	"stoker/gpu"
)

// choice takes decisions out of the bytes of a fuzzer; when they end it is 0.
type choice struct{ data []byte }

func (c *choice) of(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	v := int(c.data[0])
	c.data = c.data[1:]
	return v % n
}

func (c *choice) text() string {
	all := []string{"", "x", "${attr.a}", "${meta.b}", "${node.class}", "${device.model}", "${device.attr.memory}", "${device.ids}", "${", "1", "-1", "40 GiB", "NaN", ">= 1, < 2", "[", "a,b", "\x1b[31m\u202e", "0-70000"}
	return all[c.of(len(all))]
}

func (c *choice) constraint() cluster.Constraint {
	operators := []string{"=", "!=", "<", ">=", "version", "semver", "regexp", "set_contains", "set_contains_any", "is_set", "is_not_set", distinctHosts, distinctProperty, "", "no"}
	return cluster.Constraint{Left: c.text(), Operator: operators[c.of(len(operators))], Right: c.text()}
}

func (c *choice) group(name string) cluster.Group {
	g := cluster.Group{Name: name, Count: c.of(4) - 1, CPUMHz: c.of(200) - 20, MemoryMB: c.of(200) - 20, DiskMB: c.of(200) - 20}
	for range c.of(3) {
		ask := cluster.GPUAsk{Name: []string{"", "gpu", "nvidia/gpu", "nvidia/gpu/m0", "amd/gpu/m1/x"}[c.of(5)], Count: c.of(5) - 1}
		for range c.of(2) {
			ask.Constraints = append(ask.Constraints, c.constraint())
		}
		g.GPUs = append(g.GPUs, ask)
	}
	for range c.of(3) {
		g.Constraints = append(g.Constraints, c.constraint())
	}
	for range c.of(2) {
		g.Ports, g.Drivers, g.Volumes = append(g.Ports, c.of(3)), append(g.Drivers, c.text()), append(g.Volumes, c.text())
	}
	return g
}

// world is a cluster of all sorts of things, and a job that may wait.
func (c *choice) update() (u cluster.Update) {
	for i := range 1 + c.of(4) {
		n := cluster.Node{
			Place: here(), ID: cluster.NodeID(fmt.Sprint(i)), Name: c.text(), Pool: c.text(), Datacenter: c.text(), Status: cluster.NodeStatus([]string{"ready", "down"}[c.of(2)]),
			Eligible: c.of(3) > 0, Draining: c.of(4) == 3, CPUMHz: c.of(256), MemoryMB: c.of(256), DiskMB: c.of(256), ReservedPorts: c.text(),
		}
		if c.of(2) == 0 {
			n.Detail = &cluster.NodeDetail{Attributes: map[string]string{"a": c.text()}, Meta: map[string]string{"b": c.text()}, Volumes: []string{c.text()}}
		}
		for k := range c.of(6) {
			d := cluster.NodeDevice{UUID: gpu.UUID(fmt.Sprint(i, k)), Model: fmt.Sprint("m", c.of(2)), Healthy: c.of(4) > 0}
			n.Devices = append(n.Devices, d)
			n.Models = append(n.Models, cluster.NodeModel{Name: d.Model, Attributes: map[string]cluster.DeviceAttribute{"memory": {Value: c.text(), Text: c.of(2) == 0}}})
		}
		u.Nodes = append(u.Nodes, n)
	}
	for i := range 3 {
		j := cluster.Job{
			Place: here(), ID: id(string(rune('i' + i))), Type: []string{"service", "batch", "system", "sysbatch", "new"}[c.of(5)], Status: []string{"pending", "running", "dead"}[c.of(3)],
			Version: uint64(c.of(2)), Pool: c.text(), Datacenters: []string{c.text()}, Stopped: c.of(5) == 4, Priority: c.of(100), Periodic: c.of(5) == 4,
		}
		for k := range c.of(3) {
			j.Groups = append(j.Groups, c.group(fmt.Sprint("g", k)))
		}
		u.Jobs = append(u.Jobs, j)
		for k := range c.of(4) {
			a := cluster.Alloc{
				Place: here(), ID: cluster.AllocID(fmt.Sprint(i, k)), Job: j.ID, Group: fmt.Sprint("g", c.of(2)), Node: cluster.NodeID(fmt.Sprint(c.of(5))),
				Desired: []string{"run", "stop"}[c.of(2)], Client: []string{"running", "pending", "failed", "complete"}[c.of(4)], CPUMHz: c.of(100), MemoryMB: c.of(100),
				GPUs: []gpu.UUID{gpu.UUID(fmt.Sprint(c.of(4), c.of(6)))}, Ports: []cluster.Port{{Port: c.of(3), Host: c.text()}},
			}
			u.Allocs = append(u.Allocs, a)
		}
	}
	for i := range c.of(3) {
		e := cluster.Evaluation{Place: here(), ID: cluster.EvalID(fmt.Sprint(i)), Job: id("j"), Status: []string{"blocked", "complete", "pending"}[c.of(3)], TriggeredBy: "max-plan-attempts"}
		for k := range c.of(3) {
			e.Failures = append(e.Failures, cluster.PlacementFailure{
				Group: fmt.Sprint("g", k), Unplaced: c.of(4), Evaluated: c.of(4), Filtered: c.of(4), Exhausted: c.of(4),
				Constraints: map[string]int{c.text(): c.of(4), byClass: c.of(4)}, Dimensions: map[string]int{portWord + c.text() + "=1": c.of(4)},
			})
		}
		u.Evaluations = append(u.Evaluations, e)
	}
	return u
}

// FuzzJob: whatever the cluster is like, there is an explanation; each node has
// one verdict, and each change some words.
func FuzzJob(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("some bytes that decide what the cluster is like, more or less at random, for a start"))
	for i := range 40 {
		seed := make([]byte, 400)
		for k := range seed {
			seed[k] = byte(k*k*(i+3) + 7*k + i*31)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &choice{data}
		s := snapshot(t, c.update())
		for i := range s.Jobs {
			e := explained(t, s, s.Jobs[i].ID)
			if e.Summary == "" {
				t.Error("nothing is said")
			}
			for k := range e.Groups {
				g := &e.Groups[k]
				seen := 0
				for v := range g.Verdicts {
					seen += len(g.Verdicts[v].Nodes)
					if g.Verdicts[v].Text == "" {
						t.Error("a verdict without words")
					}
				}
				if seen != len(g.Nodes) || len(g.Changes) > mostChanges {
					t.Errorf("%d of %d nodes have a verdict, %d changes", seen, len(g.Nodes), len(g.Changes))
				}
				for _, c := range g.Changes {
					if c.Text == "" || c.Room == 0 {
						t.Errorf("a change to nothing: %+v", c)
					}
				}
			}
			_ = toldOf(e)
		}
	})
}
