package sim

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"stoker/gpu"
)

// Spec says which GPUs a simulated node has.
type Spec struct {
	Node string `json:"node"` // the seed of the UUIDs
	// GPUs is the profile of each, by index; "h100:3g.40gb,1g.10gb" is cut into
	// MIG instances.
	GPUs []string `json:"gpus"`
	// Allocs is the folder of the node's Nomad allocations, in which tasks
	// report their load; empty when only LoadDir is used.
	Allocs string `json:"allocs,omitempty"`
}

const (
	specFile   = "spec.json"
	stateFile  = "state.json"
	eventsFile = "events.json"
	lockFile   = "lock"
	loadFolder = "load"
)

// LoadDir is where the tasks of the node in dir report their load.
func LoadDir(dir string) string { return filepath.Join(dir, loadFolder) }

// Create makes the folder of a simulated node. UUIDs follow from node and
// index, so the same spec makes the same node again. Where the folder exists
// already, the GPUs keep their temperature and their faults.
func Create(dir string, spec Spec) error {
	if spec.Node == "" {
		return errors.New("create simulated GPUs: the node has no name")
	}
	if len(spec.GPUs) > 256 {
		return fmt.Errorf("create simulated GPUs: %d are more than the 256 of one node", len(spec.GPUs))
	}
	for _, name := range spec.GPUs {
		if _, err := profileOf(name); err != nil {
			return fmt.Errorf("create simulated GPUs: %w", err)
		}
	}
	if err := os.MkdirAll(LoadDir(dir), 0o755); err != nil {
		return fmt.Errorf("create simulated GPUs: %w", err)
	}
	// Tasks of any user report here; none removes another's report.
	if err := os.Chmod(LoadDir(dir), 0o777|os.ModeSticky); err != nil {
		return fmt.Errorf("create simulated GPUs: %w", err)
	}
	unlock, err := lock(dir)
	if err != nil {
		return fmt.Errorf("create simulated GPUs: %w", err)
	}
	defer unlock()
	if err := writeJSON(filepath.Join(dir, specFile), spec); err != nil {
		return fmt.Errorf("create simulated GPUs: %w", err)
	}
	return nil
}

// Devices lists what the GPUs of the node in dir are called, by index; what
// they can do only their driver tells.
func Devices(dir string) ([]gpu.Device, error) {
	spec, err := readSpec(dir)
	if err != nil {
		return nil, err
	}
	devices := make([]gpu.Device, len(spec.GPUs))
	for i, name := range spec.GPUs {
		p, err := profileOf(name)
		if err != nil {
			return nil, fmt.Errorf("read simulated GPUs: %w", err)
		}
		devices[i] = gpu.Device{
			UUID: spec.uuid(i), Index: i, Model: p.name, PCI: fmt.Sprintf("0000:%02x:00.0", busOf(i)), Serial: spec.serial(i),
			MemoryBytes: p.memoryMiB * mib,
		}
	}
	return devices, nil
}

func readSpec(dir string) (Spec, error) {
	var spec Spec
	if err := readJSON(filepath.Join(dir, specFile), &spec); err != nil {
		return Spec{}, fmt.Errorf("read simulated GPUs: %w", err)
	}
	return spec, nil
}

// seed is a number that belongs to one GPU of one node for ever.
func (s Spec) seed(index int) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "stoker simulated gpu\x00%s\x00%d", s.Node, index))
}

// uuid has the form of a real one, as a UUID of version 8 (made by hashing).
func (s Spec) uuid(index int) gpu.UUID {
	h := s.seed(index)
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return gpu.UUID(fmt.Sprintf("GPU-%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16]))
}

// instance is the UUID of a MIG instance of a GPU.
func (s Spec) instance(index, n int) gpu.UUID {
	h := sha256.Sum256(fmt.Appendf(nil, "stoker simulated mig\x00%s\x00%d\x00%d", s.Node, index, n))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return gpu.UUID(fmt.Sprintf("MIG-%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16]))
}

func (s Spec) serial(index int) string {
	h := s.seed(index)
	return fmt.Sprintf("16%011d", (uint64(h[16])<<32|uint64(h[17])<<24|uint64(h[18])<<16|uint64(h[19])<<8|uint64(h[20]))%1e11)
}

// busOf spreads GPUs over the buses as a server does, without a clash.
func busOf(index int) int { return (0x1b + index*0x0f) % 256 }

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeJSON replaces a file whole; the caller holds the folder's lock.
func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	next := path + ".next"
	if err := os.WriteFile(next, b, 0o644); err != nil {
		return err
	}
	return os.Rename(next, path)
}
