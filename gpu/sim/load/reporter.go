package load

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"stoker/gpu"
)

// The environment that the device plugin gives to a task on simulated GPUs.
const (
	EnvDir     = "STOKER_SIM_LOAD"        // the folder of the reports
	EnvVisible = "NVIDIA_VISIBLE_DEVICES" // the task's devices, by UUID, with commas
)

// InAlloc as the value of EnvDir means the allocation's shared folder, which
// every driver shows to its tasks. A folder of the node's own would have to be
// mounted by the plugin, and Nomad (1.11) lets the mounts of a device replace
// those of the task's volumes.
const InAlloc = "alloc"

// AllocDir is where the tasks of an allocation report, below its shared folder.
func AllocDir(shared string) string { return filepath.Join(shared, "tmp", "stoker-sim") }

// allocFolder makes AllocDir for the first task that reports; tasks may run as
// different users, and none removes another's report.
func allocFolder(shared string) (string, error) {
	if shared == "" {
		return "", fmt.Errorf("report load: %s says %q, but NOMAD_ALLOC_DIR is not set", EnvDir, InAlloc)
	}
	dir := AllocDir(shared)
	if err := os.Mkdir(dir, 0o777); err != nil {
		if errors.Is(err, os.ErrExist) {
			return dir, nil
		}
		return "", fmt.Errorf("report load: %w", err)
	}
	return dir, os.Chmod(dir, 0o777|os.ModeSticky)
}

// Reporter reports the load that this process puts on one simulated GPU,
// from Open to Close or to the end of the process.
type Reporter struct {
	mu   sync.Mutex
	file *os.File // holds the lock: never reopened, closed only by Close
	path string
	uuid gpu.UUID
}

// Open starts reporting into dir, an existing folder, for the device uuid.
// The report says 0 until the first Set.
func Open(dir string, uuid gpu.UUID) (*Reporter, error) {
	if uuid == "" || strings.ContainsAny(string(uuid), "./\x00") {
		return nil, fmt.Errorf("report load: %q is not a device uuid", uuid)
	}
	name := fmt.Sprintf("%s.%016x%s", uuid, rand.Uint64(), suffix)
	// Readers take a file without a lock for a dead writer's, so the file
	// gets the name that they look for only when it is locked and filled.
	hidden := filepath.Join(dir, "."+name)
	f, err := os.OpenFile(hidden, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, fmt.Errorf("report load of %s: %w", uuid, err)
	}
	r := &Reporter{file: f, path: filepath.Join(dir, name), uuid: uuid}
	if err := r.publish(hidden); err != nil {
		return nil, errors.Join(fmt.Errorf("report load of %s: %w", uuid, err), f.Close(), os.Remove(hidden))
	}
	return r, nil
}

// publish locks and fills the file, then gives it its public name.
func (r *Reporter) publish(hidden string) error {
	// The umask of a task may be tight, and the reader another user.
	if err := r.file.Chmod(0o666); err != nil {
		return err
	}
	lock := syscall.Flock_t{Type: syscall.F_WRLCK}
	if err := syscall.FcntlFlock(r.file.Fd(), syscall.F_SETLK, &lock); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if err := r.Set(0, 0); err != nil {
		return err
	}
	return os.Rename(hidden, r.path)
}

// UUID is the device that this reporter burdens.
func (r *Reporter) UUID() gpu.UUID { return r.uuid }

// Set says how busy the device is with this process alone, in percent of the
// whole device (values outside 0 to 100 are clamped), and how much of its
// memory this process holds.
func (r *Reporter) Set(utilPercent float64, memoryBytes uint64) error {
	line := encode(utilPercent, memoryBytes)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return fmt.Errorf("report load of %s: %w", r.uuid, os.ErrClosed)
	}
	if _, err := r.file.WriteAt(line, 0); err != nil {
		return fmt.Errorf("report load of %s: %w", r.uuid, err)
	}
	return nil
}

// Close ends the report. A second Close does nothing.
func (r *Reporter) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return nil
	}
	err := os.Remove(r.path)
	if errors.Is(err, os.ErrNotExist) {
		err = nil // the lab may have been taken down before its task
	}
	err = errors.Join(err, r.file.Close())
	r.file = nil
	return err
}

// FromEnv opens a reporter for each device that the environment of a task
// names. There are none, and no error, where EnvDir is unset: on real GPUs.
func FromEnv(getenv func(string) string) ([]*Reporter, error) {
	dir := getenv(EnvDir)
	if dir == "" {
		return nil, nil
	}
	if dir == InAlloc {
		var err error
		if dir, err = allocFolder(getenv("NOMAD_ALLOC_DIR")); err != nil {
			return nil, err
		}
	}
	var reporters []*Reporter
	for _, id := range strings.Split(getenv(EnvVisible), ",") {
		id = strings.TrimSpace(id)
		if id == "" || id == "none" || id == "void" {
			continue
		}
		r, err := Open(dir, gpu.UUID(id))
		if err != nil {
			for _, opened := range reporters {
				err = errors.Join(err, opened.Close())
			}
			return nil, err
		}
		reporters = append(reporters, r)
	}
	return reporters, nil
}
