package sim_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
	"stoker/gpu/sim"
)

func spec() sim.Spec { return sim.Spec{Node: "n1", GPUs: []string{sim.H100, sim.A100, sim.L40S}} }

func TestCreateDescribesTheGPUs(t *testing.T) {
	dir := t.TempDir()
	if err := sim.Create(dir, sim.Spec{Node: "n1", GPUs: slices.Repeat([]string{sim.H100}, 16)}); err != nil {
		t.Fatal(err)
	}
	devices, err := sim.Devices(dir)
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^GPU-[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	uuids, buses := map[gpu.UUID]bool{}, map[string]bool{}
	for _, d := range devices {
		if !form.MatchString(string(d.UUID)) {
			t.Errorf("uuid %q has not the form of a real one", d.UUID)
		}
		uuids[d.UUID], buses[d.PCI] = true, true
	}
	if len(uuids) != 16 || len(buses) != 16 {
		t.Errorf("%d uuids and %d bus ids for 16 GPUs", len(uuids), len(buses))
	}
	if d := devices[0]; d.Model != "NVIDIA H100 80GB HBM3" || d.MemoryBytes != 81559<<20 {
		t.Errorf("the H100 is %+v", d)
	}
}

func TestTheSameSpecIsTheSameNode(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	for _, dir := range []string{one, one, two} {
		if err := sim.Create(dir, spec()); err != nil {
			t.Fatal(err)
		}
		if err := sim.Inject(dir, sim.Fault{GPU: 1, Kind: sim.FaultECC}); err != nil {
			t.Fatal(err)
		}
	}
	a, err := sim.Devices(one)
	if err != nil {
		t.Fatal(err)
	}
	b, err := sim.Devices(two)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(a, b); d != "" {
		t.Errorf("a rebuilt node differs:\n%s", d)
	}
	faults, err := sim.Faults(one)
	if err != nil {
		t.Fatal(err)
	}
	want := []sim.Fault{{GPU: 1, Kind: sim.FaultECC}, {GPU: 1, Kind: sim.FaultECC}}
	if d := cmp.Diff(want, faults); d != "" {
		t.Errorf("faults after a second Create (-want +got):\n%s", d)
	}
	if err := sim.Clear(one, 1); err != nil {
		t.Fatal(err)
	}
	if faults, err = sim.Faults(one); err != nil || len(faults) != 0 {
		t.Errorf("faults after Clear: %v, %v", faults, err)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	if err := sim.Create(dir, spec()); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"no such profile":      sim.Create(t.TempDir(), sim.Spec{Node: "n", GPUs: []string{"v100"}}),
		"no node name":         sim.Create(t.TempDir(), sim.Spec{GPUs: []string{sim.H100}}),
		"no such GPU":          sim.Inject(dir, sim.Fault{GPU: 3, Kind: sim.FaultLost}),
		"a negative GPU":       sim.Clear(dir, -1),
		"no such fault":        sim.Inject(dir, sim.Fault{Kind: "rust"}),
		"which Xid?":           sim.Inject(dir, sim.Fault{Kind: sim.FaultXid}),
		"an Xid of heat":       sim.Inject(dir, sim.Fault{Kind: sim.FaultThermal, Xid: 79}),
		"no such folder":       sim.Inject(t.TempDir(), sim.Fault{Kind: sim.FaultLost}),
		"a folder with no GPU": func() error { _, err := sim.Devices(t.TempDir()); return err }(),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if faults, err := sim.Faults(dir); err != nil || len(faults) != 0 {
		t.Errorf("refused faults are there: %v, %v", faults, err)
	}
}
