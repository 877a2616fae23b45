//go:build !cgo

package sim

import (
	"time"

	"stoker/gpu/nvml"
)

// Open returns nvml.ErrUnsupported: the calls need cgo.
func Open(string) (nvml.Library, error) { return nil, nvml.ErrUnsupported }

// OpenAt returns nvml.ErrUnsupported.
func OpenAt(string, func() time.Time) (nvml.Library, error) { return nil, nvml.ErrUnsupported }
