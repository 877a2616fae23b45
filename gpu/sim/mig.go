package sim

import (
	"fmt"
	"slices"
)

// cut is one MIG instance of a simulated GPU.
type cut struct {
	profile  string // for example "3g.40gb"
	computes int    // of the seven compute slices
	memories int    // of the eight memory slices
}

const (
	computeSlices = 7
	memorySlices  = 8
)

// cuts are the ways of cutting an 80 GB GPU, in the order of NVML's profiles.
func cuts() []cut {
	return []cut{{"1g.10gb", 1, 1}, {"2g.20gb", 2, 2}, {"3g.40gb", 3, 4}, {"4g.40gb", 4, 4}, {"7g.80gb", 7, 8}}
}

// slice checks that the instances fit into the GPU.
func (p profile) slice(names []string) ([]cut, error) {
	if !p.mig {
		return nil, fmt.Errorf("%s cannot be cut into MIG instances", p.name)
	}
	var out []cut
	computes, memories := computeSlices, memorySlices
	for _, name := range names {
		i := slices.IndexFunc(cuts(), func(c cut) bool { return c.profile == name })
		if i < 0 {
			return nil, fmt.Errorf("no MIG profile is called %q: use 1g.10gb, 2g.20gb, 3g.40gb, 4g.40gb or 7g.80gb", name)
		}
		c := cuts()[i]
		if computes, memories = computes-c.computes, memories-c.memories; computes < 0 || memories < 0 {
			return nil, fmt.Errorf("the MIG instances do not fit into one %s", p.name)
		}
		out = append(out, c)
	}
	return out, nil
}

// room is how many more instances of a way of cutting fit in.
func (p profile) room(c cut) int {
	computes, memories := computeSlices, memorySlices
	for _, is := range p.cut {
		computes, memories = computes-is.computes, memories-is.memories
	}
	return min(computes/c.computes, memories/c.memories)
}

// memory of an instance, in bytes.
func (p profile) memoryOf(c cut) uint64 { return p.memoryMiB * mib / memorySlices * uint64(c.memories) }
