package nvml

import "errors"

var (
	// ErrUnsupported is returned by every function of a binary built without cgo.
	ErrUnsupported = errors.New("this stoker was built without NVML: read GPUs through an agent, or use a build with cgo")
	// ErrNoDriver says that this machine has no NVIDIA driver.
	ErrNoDriver = errors.New("no NVIDIA driver on this machine (libnvidia-ml.so.1)")
	// ErrReleased says that the library is closed because Release asked for it.
	ErrReleased = errors.New("the driver was released")
)
