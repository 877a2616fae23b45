package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"stoker/gpu"
	"stoker/gpu/nvml"
)

// remembered are the GPUs that a file says this node has had; none without a
// file. A file that cannot be understood is an error: it may be another's.
func remembered(path string) ([]gpu.Device, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path) //nolint:gosec // the operator's own choice
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var devices []gpu.Device
	if err := json.Unmarshal(raw, &devices); err != nil {
		return nil, fmt.Errorf("%s is no list of GPUs: %w", path, err)
	}
	return devices, nil
}

// remembering is a reader that writes down which GPUs the node has, so that one
// that is missing after a restart of the node is told, and not just not there.
type remembering struct {
	*nvml.Reader
	path  string
	last  []gpu.UUID
	said  string // the error that was told last
	error func(error)
}

// Read reads, and writes the file when the GPUs are others than before. A file
// that cannot be written is told once; the readings go on.
func (r *remembering) Read(now time.Time) (gpu.Batch, error) {
	b, err := r.Reader.Read(now)
	if err != nil {
		return b, err
	}
	var whole []gpu.Device
	var ids []gpu.UUID
	for _, d := range b.Devices {
		if d.Parent == "" && d.UUID.Named() {
			whole = append(whole, gpu.Device{UUID: d.UUID, Index: d.Index, Model: d.Model, PCI: d.PCI, Serial: d.Serial, MemoryBytes: d.MemoryBytes})
			ids = append(ids, d.UUID)
		}
	}
	if slices.Equal(ids, r.last) || len(ids) == 0 {
		return b, nil
	}
	if err := r.write(whole); err != nil {
		if err.Error() != r.said {
			r.said = err.Error()
			r.error(err)
		}
		return b, nil
	}
	r.last = ids
	return b, nil
}

// write replaces the file whole: half a list would be half a node.
func (r *remembering) write(devices []gpu.Device) error {
	raw, err := json.MarshalIndent(devices, "", "  ")
	if err != nil {
		return err
	}
	next := r.path + ".next"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644) //nolint:gosec // nothing secret in it
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n'))
	// On the disk before it takes the name: after a power cut an empty file would
	// keep the agent from starting.
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(next, r.path)
}
