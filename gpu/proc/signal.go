package proc

import (
	"errors"
	"fmt"
	"os"
)

// ErrOther says that a process has ended; another may have its number now.
var ErrOther = errors.New("that process has ended")

// Signal sends to a process if it is still the one that began at start, as
// gpu.Process has it. The handle is taken before the start is compared, so that
// the number cannot go to another in between.
func Signal(root string, pid int, start uint64, sig os.Signal) error {
	if pid <= 1 || start == 0 {
		return fmt.Errorf("signal process %d: it is not known which one that is", pid)
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return fmt.Errorf("signal process %d: %w", pid, err)
	}
	defer func() { _ = p.Release() }()
	st, err := readStat(root, pid)
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && st.start != start:
		return fmt.Errorf("signal process %d: %w", pid, ErrOther)
	case err != nil:
		return fmt.Errorf("signal process %d: %w", pid, err)
	}
	err = p.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		err = ErrOther
	}
	if err != nil {
		return fmt.Errorf("signal process %d: %w", pid, err)
	}
	return nil
}

// firstNamespace is how Linux names the pid namespace that a machine starts with.
const firstNamespace = "pid:[4026531836]"

// SeesHost says whether the processes here have the numbers that the driver
// gives: those of the host. In a container with numbers of its own a number of
// the driver's may be another process.
func SeesHost(root string) bool {
	ns, err := os.Readlink(root + "/self/ns/pid")
	return err == nil && ns == firstNamespace
}
