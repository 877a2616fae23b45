package load

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"stoker/gpu"
)

// Report is the load that one living process puts on one device.
type Report struct {
	UUID gpu.UUID
	// PID is in the reader's pid namespace; 0 when the process is not in it.
	PID         int
	UtilPercent float64 // 0 to 100, of the whole device
	MemoryBytes uint64
}

// Read gives the reports of all living processes, ordered by device and PID.
// Files of processes that have ended are removed on the way. A folder that
// does not exist holds no reports.
func Read(dir string) ([]Report, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read load: %w", err)
	}
	var reports []Report
	for _, e := range entries {
		uuid, ok := deviceOf(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		r, alive, err := readOne(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read load: %w", err)
		}
		if alive {
			r.UUID = uuid
			reports = append(reports, r)
		}
	}
	slices.SortFunc(reports, func(a, b Report) int {
		if a.UUID != b.UUID {
			return strings.Compare(string(a.UUID), string(b.UUID))
		}
		return a.PID - b.PID
	})
	return reports, nil
}

// deviceOf takes the device from a report's file name: uuid.random.json.
func deviceOf(name string) (gpu.UUID, bool) {
	base, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return "", false
	}
	uuid, random, ok := strings.Cut(base, ".")
	return gpu.UUID(uuid), ok && uuid != "" && random != ""
}

// readOne reads one file; it is not alive when nobody holds its lock.
func readOne(path string) (r Report, alive bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return Report{}, false, nil // closed while we listed
	}
	if err != nil {
		return Report{}, false, err
	}
	defer f.Close()
	lock := syscall.Flock_t{Type: syscall.F_WRLCK}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &lock); err != nil {
		return Report{}, false, fmt.Errorf("ask for the lock of %s: %w", path, err)
	}
	if lock.Type == syscall.F_UNLCK {
		// A failure to remove it (another user's folder) harms nobody: it
		// stays ignored.
		_ = os.Remove(path)
		return Report{}, false, nil
	}
	// A read can meet a write half-way; the record's checksum tells, and the
	// next attempt sees it whole.
	for range 3 {
		buf := make([]byte, recordLen+1)
		n, err := f.ReadAt(buf, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return Report{}, false, err
		}
		if util, memory, ok := decode(buf[:n]); ok {
			return Report{PID: max(int(lock.Pid), 0), UtilPercent: util, MemoryBytes: memory}, true, nil
		}
	}
	return Report{}, false, nil
}
