package lab

import (
	"fmt"

	"stoker/gpu/sim"
)

// makeSim makes a node's simulated GPUs, or keeps them with their temperatures
// and faults. The lab's name is part of the seed: two labs share no GPU.
func makeSim(dir, lab, allocs string, node Node) error {
	if len(node.GPUs) == 0 {
		return nil
	}
	var profiles []string
	for _, g := range node.GPUs {
		for range g.Count {
			profiles = append(profiles, g.Profile)
		}
	}
	if err := sim.Create(dir, sim.Spec{Node: lab + "/" + node.Name, GPUs: profiles, Allocs: allocs}); err != nil {
		return fmt.Errorf("node %s: %w", node.Name, err)
	}
	return nil
}
