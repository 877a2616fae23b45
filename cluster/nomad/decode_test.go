package nomad

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/gpu"
)

func decoded[J any](t *testing.T, name string) (rows []J) {
	t.Helper()
	if err := json.Unmarshal(file(t, name), &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestNodeRow(t *testing.T) {
	got := decoded[nodeJSON](t, "nodes.json")[0].row(place())
	want := cluster.Node{
		Place: place(), ID: "63a3e7e4-3e7b-c52e-efb8-54f0a5b0161c", Name: "gpu-a", Pool: "default", Datacenter: "dc1",
		Address: "127.0.0.1", Version: "1.11.3", Status: cluster.NodeReady, Eligible: true, CPUMHz: 5198, MemoryMB: 24105, DiskMB: 258019, Drivers: []string{"raw_exec"},
		Devices: []cluster.NodeDevice{
			{UUID: "GPU-11f96f11-7e2c-8fad-b6a0-747e8e8d5e35", Vendor: "nvidia", Model: "NVIDIA H100 80GB HBM3", PCI: "0000:1b:00.0", Healthy: true},
			{UUID: "GPU-951cb555-550a-87fc-846f-76e39e2d817b", Vendor: "nvidia", Model: "NVIDIA H100 80GB HBM3", PCI: "0000:2a:00.0", Healthy: true},
		},
		Models:      []cluster.NodeModel{{Vendor: "nvidia", Name: "NVIDIA H100 80GB HBM3"}},
		ModifyIndex: got.ModifyIndex,
	}
	if d := cmp.Diff(want, got); d != "" || got.ModifyIndex == 0 {
		t.Error(d)
	}
}

// The node of an event is the whole node, which spells some things differently.
func TestNodeOfAnEvent(t *testing.T) {
	var n nodeJSON
	body := `{"ID":"n","HTTPAddr":"10.0.0.7:4646","Attributes":{"nomad.version":"1.11.3"},"Status":"ready","SchedulingEligibility":"ineligible",
		"Meta":{"rack":"r1"},"HostVolumes":{"models":{"Path":"/m"}},
		"Drivers":{"exec":{"Detected":true,"Healthy":true},"docker":{"Detected":true,"Healthy":true},"qemu":{"Detected":false,"Healthy":false},"java":null},
		"ReservedResources":{"Cpu":{"CpuShares":1000},"Memory":{"MemoryMB":100},"Networks":{"ReservedHostPorts":"22,8000-8100"}},
		"DrainStrategy":{"Deadline":3600000000000},"NodeResources":{"Cpu":{"CpuShares":4000},"Memory":{"MemoryMB":1000},"Networks":[{"Device":"lo"}],"NodeNetworks":[{},{"Addresses":[{"Alias":"default","Address":"10.0.0.7"},{"Alias":"private","Address":"192.168.0.7"}]}],"Devices":[
			{"Vendor":"x","Type":"fpga","Name":"y","Instances":[{"ID":"F-1"}]},
			{"Vendor":"nvidia","Type":"gpu","Name":"m","Attributes":{"memory":{"Int":81559,"Unit":"MiB"},"driver_version":{"String":"580.95"},"power":{"Float":99.5,"Unit":"W"},"display":{"Bool":false}},"Instances":[{"ID":"GPU-2","Healthy":false,"HealthDescription":"Xid 79"}]}]}}`
	if err := json.Unmarshal([]byte(body), &n); err != nil {
		t.Fatal(err)
	}
	got := n.row(place())
	want := cluster.Node{
		Place: place(), ID: "n", Address: "10.0.0.7", Version: "1.11.3", Status: "ready", Draining: true,
		Devices: []cluster.NodeDevice{{UUID: "GPU-2", Vendor: "nvidia", Model: "m", HealthText: "Xid 79"}}, Models: []cluster.NodeModel{{Vendor: "nvidia", Name: "m", Attributes: map[string]cluster.DeviceAttribute{
			"memory": {Value: "81559 MiB"}, "driver_version": {Value: "580.95", Text: true}, "power": {Value: "99.5 W"}, "display": {Value: "false"},
		}}}, CPUMHz: 3000, MemoryMB: 900, ReservedPorts: "22,8000-8100", PortAddresses: []string{"10.0.0.7"}, Drivers: []string{"docker", "exec"},
		Detail: &cluster.NodeDetail{Attributes: map[string]string{"nomad.version": "1.11.3"}, Meta: map[string]string{"rack": "r1"}, Volumes: []string{"models"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestAllocRow(t *testing.T) {
	rows := decoded[allocJSON](t, "allocations.json")
	got := rows[0].row(place())
	yes := true
	card := []gpu.UUID{"GPU-11f96f11-7e2c-8fad-b6a0-747e8e8d5e35"}
	want := cluster.Alloc{
		Place: place(), ID: got.ID, Name: "digits.serve[0]", Job: digits(), Group: "serve",
		Node: "63a3e7e4-3e7b-c52e-efb8-54f0a5b0161c", NodeName: "gpu-a", Desired: "run", Client: "running", ClientText: "Tasks are running",
		Healthy: &yes, GPUs: card, Ports: []cluster.Port{{Label: "http", Host: "127.0.0.1", Port: 38700}},
		CPUMHz: 50, MemoryMB: 20, DiskMB: 300,
	}
	if len(got.Tasks) != 1 || got.Tasks[0].Name != "server" || got.Tasks[0].State != "running" || got.Tasks[0].Started.IsZero() || !got.Tasks[0].Finished.IsZero() {
		t.Fatalf("tasks %+v", got.Tasks)
	}
	if d := cmp.Diff(card, got.Tasks[0].GPUs); d != "" {
		t.Error(d)
	}
	if e := got.Tasks[0].Events; len(e) == 0 || e[0].Type != "Received" || e[0].Text != "Task received by client" || e[0].At.Year() != 2026 {
		t.Errorf("events %+v", e)
	}
	if got.Created.IsZero() || got.Modified.Before(got.Created) || got.Eval == "" || got.ModifyIndex == 0 {
		t.Errorf("%+v", got)
	}
	got.Tasks, got.Created, got.Modified, got.Eval, got.ModifyIndex = nil, time.Time{}, time.Time{}, "", 0
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// An allocation of an event has no word on its job's version.
func TestAllocOfAnEvent(t *testing.T) {
	for body, want := range map[string]uint64{
		`{"ID":"a"}`:                                  cluster.UnknownVersion,
		`{"ID":"a","JobVersion":0}`:                   0,
		`{"ID":"a","JobVersion":3}`:                   3,
		`{"ID":"a","Job":{"Version":4}}`:              4,
		`{"ID":"a","JobVersion":0,"TaskStates":null}`: 0,
	} {
		var a allocJSON
		if err := json.Unmarshal([]byte(body), &a); err != nil {
			t.Fatal(err)
		}
		if got := a.row(place()).JobVersion; got != want {
			t.Errorf("%s: version %d, want %d", body, got, want)
		}
	}
}

func TestTaskThatDidNotStartYet(t *testing.T) {
	var a allocJSON
	body := `{"ID":"a","TaskStates":{"b":null},"AllocatedResources":{"Tasks":{"t":{"Devices":[{"Type":"gpu","DeviceIDs":["GPU-2","GPU-1"]},{"Type":"fpga","DeviceIDs":["F"]}]}}}}`
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatal(err)
	}
	got := a.row(place())
	want := []cluster.Task{{Name: "b", State: "pending"}, {Name: "t", State: "pending", GPUs: []gpu.UUID{"GPU-2", "GPU-1"}}}
	if d := cmp.Diff(want, got.Tasks); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]gpu.UUID{"GPU-1", "GPU-2"}, got.GPUs); d != "" {
		t.Error(d)
	}
}

func TestJobRow(t *testing.T) {
	var j jobJSON
	if err := json.Unmarshal(file(t, "job-digits.json"), &j); err != nil {
		t.Fatal(err)
	}
	got := j.row(place())
	if got.Submitted.Year() != 2026 || got.ModifyIndex == 0 {
		t.Errorf("%+v", got)
	}
	got.Submitted, got.ModifyIndex = time.Time{}, 0
	want := cluster.Job{
		Place: place(), ID: digits(), Type: "service", Status: "running", Priority: 50, Kind: cluster.KindInference, Model: "digits", ModelVer: "1.0",
		Groups: []cluster.Group{{Name: "serve", Count: 1, GPUs: []cluster.GPUAsk{{Task: "server", Name: "nvidia/gpu", Count: 1}}, CPUMHz: 50, MemoryMB: 20, Drivers: []string{"raw_exec"}}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestWhatAGroupNeeds: what keeps a node from taking an allocation is asked for
// by the job, by the group and by its tasks.
func TestWhatAGroupNeeds(t *testing.T) {
	var j jobJSON
	body := `{"ID":"j","NodePool":"train","Datacenters":["dc*"],"Constraints":[{"LTarget":"${attr.kernel.name}","RTarget":"linux","Operand":"="}],
		"TaskGroups":[{"Name":"g","Count":2,"Constraints":[{"LTarget":"","RTarget":"true","Operand":"distinct_hosts"}],"EphemeralDisk":{"SizeMB":500},
			"Networks":[{"ReservedPorts":[{"Label":"http","Value":8080}],"DynamicPorts":[{"Label":"x"}]}],
			"Volumes":{"a":{"Type":"host","Source":"models"},"b":{"Type":"csi","Source":"other"}},
			"Tasks":[
				{"Name":"a","Driver":"exec","Constraints":[{"LTarget":"${attr.kernel.name}","RTarget":"linux","Operand":"="}],"Resources":{"CPU":100,"MemoryMB":10,"Networks":[{"ReservedPorts":[{"Value":9}]}],
					"Devices":[{"Name":"nvidia/gpu","Count":2,"Constraints":[{"LTarget":"${device.attr.memory}","RTarget":"40 GiB","Operand":">="}]},{"Name":"intel/fpga"}]}},
				{"Name":"open","Driver":"exec","Lifecycle":{"Hook":"prestart"},"Resources":{"CPU":90,"MemoryMB":5,"SecretsMB":30}},
				{"Name":"b","Driver":"exec","Lifecycle":{"Hook":"poststart","Sidecar":true},"Resources":{"CPU":100,"Cores":2,"MemoryMB":10,"SecretsMB":20}}]}]}`
	if err := json.Unmarshal([]byte(body), &j); err != nil {
		t.Fatal(err)
	}
	got := j.row(place())
	want := []cluster.Group{{
		Name: "g", Count: 2, CPUMHz: 100, Cores: 2, MemoryMB: 40, DiskMB: 500, Ports: []int{8080, 9}, Drivers: []string{"exec"}, Volumes: []string{"models"},
		Constraints: []cluster.Constraint{{Left: "${attr.kernel.name}", Operator: "=", Right: "linux"}, {Operator: "distinct_hosts", Right: "true"}},
		GPUs:        []cluster.GPUAsk{{Task: "a", Name: "nvidia/gpu", Count: 2, Constraints: []cluster.Constraint{{Left: "${device.attr.memory}", Operator: ">=", Right: "40 GiB"}}}},
		Beyond:      []string{"the csi volume other", "the device intel/fpga", "whole cores"},
	}}
	if d := cmp.Diff(want, got.Groups); d != "" || got.Pool != "train" || len(got.Datacenters) != 1 || len(got.Constraints) != 1 {
		t.Error(d, got.Pool, got.Datacenters, got.Constraints)
	}
}

func TestBlockedEvaluation(t *testing.T) {
	for _, row := range decoded[evalJSON](t, "evaluations.json") {
		got := row.row(place())
		if got.Status != "blocked" {
			continue
		}
		want := []cluster.PlacementFailure{{Group: "work", Unplaced: 1, Evaluated: 1, Filtered: 1, InPool: 1, Available: map[string]int{"dc1": 1}, Constraints: map[string]int{"missing devices": 1}}}
		if d := cmp.Diff(want, got.Failures); d != "" || got.TriggeredBy != "queued-allocs" || got.Created.IsZero() || got.Modified.Before(got.Created) {
			t.Error(d, got)
		}
		return
	}
	t.Error("none was recorded")
}

func TestIsGPU(t *testing.T) {
	for name, want := range map[string]bool{
		"gpu": true, "nvidia/gpu": true, "nvidia/gpu/NVIDIA H100 80GB HBM3": true, "": false, "fpga": false, "intel/fpga": false, "gpu/x": false, "x/y/gpu": false,
	} {
		if isGPU(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

// TestStages: what prepares an allocation is gone when its main tasks run, so the
// most of the stages counts, in what a group asks for and in what one was given.
func TestStages(t *testing.T) {
	var a allocJSON
	body := `{"ID":"a","AllocatedResources":{"Tasks":{
		"open":{"Cpu":{"CpuShares":900},"Memory":{"MemoryMB":700}},
		"side":{"Cpu":{"CpuShares":10},"Memory":{"MemoryMB":20}},
		"main":{"Cpu":{"CpuShares":100},"Memory":{"MemoryMB":1000}},
		"pinned":{"Cpu":{"CpuShares":4000,"ReservedCores":[0,1]},"Memory":{"MemoryMB":1}},
		"wipe":{"Cpu":{"CpuShares":950},"Memory":{"MemoryMB":5}}},
		"TaskLifecycles":{"open":{"Hook":"prestart"},"side":{"Hook":"prestart","Sidecar":true},"main":null,"wipe":{"Hook":"poststop"}},
		"Shared":{"DiskMB":300}}}`
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatal(err)
	}
	got := a.row(place())
	if got.CPUMHz != 4000+950 || got.MemoryMB != 1021 || got.DiskMB != 300 {
		t.Errorf("%d MHz, %d MB, %d MB of disk", got.CPUMHz, got.MemoryMB, got.DiskMB)
	}
}

// TestParents: a list says with a truth what a whole job says with an object.
func TestParents(t *testing.T) {
	for body, want := range map[string][2]bool{
		`{"ID":"j","Periodic":true,"ParameterizedJob":false}`:            {true, false},
		`{"ID":"j","Periodic":{"Enabled":true},"ParameterizedJob":null}`: {true, false},
		`{"ID":"j","Periodic":null,"ParameterizedJob":{"Payload":""}}`:   {false, true},
		`{"ID":"j"}`: {},
	} {
		var j jobJSON
		if err := json.Unmarshal([]byte(body), &j); err != nil {
			t.Fatal(err)
		}
		if got := j.row(place()); got.Periodic != want[0] || got.Parameterized != want[1] {
			t.Errorf("%s is periodic %t, parameterised %t", body, got.Periodic, got.Parameterized)
		}
	}
}
