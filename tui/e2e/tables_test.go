package e2e

import (
	"testing"
)

// TestTables goes along what belongs together, looks at each kind of thing as a
// real Nomad tells it, and changes two nodes with one answer.
func TestTables(t *testing.T) {
	need(t)
	m := open(t, 120, 40, nil, "--context", labName)
	m.sees("GPUs 20", "agents ● 3/3")
	m.keys("2")
	m.sees("3 nodes")
	m.keys("v")
	m.sees("only of node gpu-a", "8 of 20", "nodes ▸ gpu-a ▸ gpus")
	m.keys("q")
	m.sees("[2 nodes]")
	m.keys("A")
	m.sees("only of node gpu-a", "stoker-agent")
	m.keys("/")
	m.types("stoker-agent")
	m.keys("Enter", "J")
	m.sees("default/stoker-agent", "allocs ▸")
	m.keys("E")
	m.sees("only of job default/stoker-agent")

	for screen, field := range map[string]string{
		"nodes": `"Attributes": {`, "jobs": `"TaskGroups": [`, "allocs": `"AllocatedResources": {`, "deployments": `"DeploymentID"`, "evaluations": `"TriggeredBy"`,
		"services": `"ServiceName"`, "pools": `"SchedulerConfiguration"`, "namespaces": `"Capabilities"`,
	} {
		m.command(screen)
		m.sees(screen + "]")
		m.keys("y")
		m.sees("as Nomad tells it")
		m.keys("/")
		m.types(field)
		m.keys("Enter")
		m.sees("in ")
		m.keys("q")
		m.misses("as Nomad tells it")
	}

	m.keys("2")
	m.sees("3 nodes")
	m.keys("Space", "Space", "i")
	m.sees("make ineligible 2 nodes", "make node gpu-a ineligible", "make node gpu-b ineligible", "Type ineligible 2 to do it")
	m.types("ineligible 2")
	m.keys("Enter")
	m.sees("all 2 done", "▲ 2 ineligible")
	m.keys("*", "u")
	m.sees("undrain 2 nodes", "Left out:", "gpu-c")
	m.types("undrain 2")
	m.keys("Enter")
	m.sees("all 2 done", "● 3 ready")
}
