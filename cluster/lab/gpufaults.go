package lab

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"stoker/gpu/sim"
)

// gpuKinds are the faults of simulated GPUs, by package gpu/sim's names.
func gpuKinds() []FaultKind {
	text := map[sim.Kind]string{
		sim.FaultXid:        "the driver reports this Xid; give its number: xid 79",
		sim.FaultECC:        "an uncorrectable memory error, each time one more",
		sim.FaultRemap:      "a damaged row of its memory could not be replaced",
		sim.FaultThermal:    "the cooling fails: it heats up and slows down",
		sim.FaultPowerBrake: "the power supply makes it slow down",
		sim.FaultNVLink:     "one of its NVLinks counts errors",
		sim.FaultLost:       "it is gone from the bus",
		sim.FaultHang:       "the driver does not answer for it any more",
		sim.FaultDriver:     fmt.Sprintf("the driver is away for %.0f s and loaded again; this ends by itself", sim.DriverAway.Seconds()),
	}
	var kinds []FaultKind
	for _, k := range sim.Kinds() {
		on := OnGPU
		if k == sim.FaultDriver {
			on = OnNode // all its GPUs at once
		}
		kinds = append(kinds, FaultKind{string(k), on, text[k]})
	}
	return kinds
}

// gpuOf is the index of a GPU of the node, which target names: "gpu-a/3".
func (n Node) gpuOf(target string) (int, error) {
	_, number, _ := strings.Cut(target, "/")
	i, err := strconv.Atoi(number)
	if err != nil {
		return 0, noFault("%q is no number of a GPU: write %s/0", number, n.Name)
	}
	count := 0
	for _, g := range n.GPUs {
		count += g.Count
	}
	switch {
	case n.RealGPUs:
		return 0, noFault("the GPUs of %s are real: only simulated ones can be made to fail", n.Name)
	case i < 0 || i >= count:
		return 0, noFault("no GPU %d on %s: it has %d", i, n.Name, count)
	}
	return i, nil
}

// injectGPU needs no lock of the lab: the simulated GPUs have their own.
func (l *Lab) injectGPU(s *state, f Fault) error {
	name, _, isGPU := strings.Cut(f.Target, "/")
	i, err := s.nodeIndex(name)
	if err != nil {
		return err
	}
	target := f.Target
	if !isGPU {
		target += "/0" // a fault of the whole node
	}
	index, err := s.Nodes[i].gpuOf(target)
	if err != nil {
		return err
	}
	if err := sim.Inject(l.SimDir(name), sim.Fault{GPU: index, Kind: sim.Kind(f.Kind), Xid: f.Xid}); err != nil {
		return fmt.Errorf("%s: %w", f.Target, err)
	}
	return nil
}

// gpuFaults lists what is wrong with a node's GPUs, the same thing once.
func (p paths) gpuFaults(n Node) ([]Fault, error) {
	if len(n.GPUs) == 0 {
		return nil, nil
	}
	found, err := sim.Faults(p.sim(n.Name))
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", n.Name, err)
	}
	var list []Fault
	for _, f := range found {
		f := Fault{Target: fmt.Sprintf("%s/%d", n.Name, f.GPU), Kind: string(f.Kind), Xid: f.Xid}
		f.Text = f.meaning()
		if !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	return list, nil
}

// clearGPU resets a GPU.
func (se *session) clearGPU(target string) error {
	name, _, _ := strings.Cut(target, "/")
	i, err := se.state.nodeIndex(name)
	if err != nil {
		return err
	}
	index, err := se.state.Nodes[i].gpuOf(target)
	if err != nil {
		return err
	}
	if err := sim.Clear(se.paths.sim(name), index); err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	return nil
}
