//go:build !cgo

package nvml

import (
	"time"

	"stoker/gpu"
)

// Library is what Open reads from; without cgo there is none.
type Library interface{ withoutCgo() }

// Option changes how a Reader works; without cgo it has no effect.
type Option func(*Reader)

// Reader reads the GPUs of one node; without cgo there is none.
type Reader struct{}

// Load returns ErrUnsupported.
func Load() (Library, error) { return nil, ErrUnsupported }

// Open returns ErrUnsupported.
func Open(Library, string, ...Option) (*Reader, error) { return nil, ErrUnsupported }

// Clock has no effect.
func Clock(func() time.Time) Option { return func(*Reader) {} }

// Expect has no effect.
func Expect([]gpu.Device) Option { return func(*Reader) {} }

// Rules has no effect.
func Rules(gpu.Rules) Option { return func(*Reader) {} }

// Read returns ErrUnsupported.
func (*Reader) Read(time.Time) (gpu.Batch, error) { return gpu.Batch{}, ErrUnsupported }

// Hung is empty.
func (*Reader) Hung() map[gpu.UUID]time.Time { return nil }

// Release returns ErrUnsupported.
func (*Reader) Release(time.Duration) error { return ErrUnsupported }

// Close does nothing.
func (*Reader) Close() error { return nil }
