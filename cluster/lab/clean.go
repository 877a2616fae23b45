package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Tasks outlive their Nomad client by design, and all clients of a machine share
// one parent cgroup, which a system's own Nomad may use too. So what belongs to
// the lab is told by the ids of its allocations, which are folder names below it.

// allocIDs lists the allocations whose folders the i-th client has.
func (p paths) allocIDs(i int) []string {
	entries, _ := os.ReadDir(p.allocs(i))
	var ids []string
	for _, e := range entries {
		if e.IsDir() && len(e.Name()) == allocIDLength {
			ids = append(ids, e.Name())
		}
	}
	return ids
}

func (se *session) allAllocs() map[string]bool {
	ids := map[string]bool{}
	for i := range se.state.Nodes {
		for _, id := range se.paths.allocIDs(i) {
			ids[id] = true
		}
	}
	return ids
}

// cgroupDirs finds the cgroups of tasks of these allocations, for both versions.
func cgroupDirs(allocs map[string]bool) []string {
	var dirs []string
	for _, pattern := range []string{
		"/sys/fs/cgroup/*/nomad/*.*", "/sys/fs/cgroup/cpuset/nomad/reserve/*.*",
		"/sys/fs/cgroup/nomad.slice/*/*.scope",
	} {
		found, _ := filepath.Glob(pattern)
		for _, dir := range found {
			base := filepath.Base(dir)
			if len(base) > allocIDLength && allocs[base[:allocIDLength]] {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

// taskProcs are the processes in those cgroups.
func taskProcs(dirs []string) []proc {
	var found []proc
	for _, dir := range dirs {
		text, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for _, f := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(f)
			if err != nil || pid <= 1 {
				continue
			}
			if p, err := identify(pid); err == nil && !slices.Contains(found, p) {
				found = append(found, p)
			}
		}
	}
	return found
}

// killAll kills what list finds until it finds nothing: a process may start
// another while it is being killed.
func killAll(ctx context.Context, list func() []proc) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		procs := list()
		if len(procs) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes do not end, the first is %d", len(procs), procs[0].PID)
		}
		for _, p := range procs {
			if err := p.signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return fmt.Errorf("kill process %d: %w", p.PID, err)
			}
		}
		for _, p := range procs {
			p.waitGone(ctx, time.Second)
		}
	}
}

// sweepNode removes what a client that died left and would not find again:
// device plugins, of which a new client starts its own, and tasks whose executor
// is gone, which it would start a second time beside the first.
func (se *session) sweepNode(ctx context.Context, i int) {
	marked := owned(se.state.Mark)
	executors := ""
	for p, part := range marked {
		if part != se.state.Nodes[i].Name {
			continue
		}
		if exeOf(p.PID) == se.state.PluginBin {
			_ = p.kill(ctx)
			continue
		}
		executors += cmdlineOf(p.PID) + "\n"
	}
	orphans := map[string]bool{}
	for _, id := range se.paths.allocIDs(i) {
		orphans[id] = true
	}
	var dirs []string
	for _, dir := range cgroupDirs(orphans) {
		base := strings.TrimSuffix(filepath.Base(dir), ".scope")
		id, task := base[:allocIDLength], base[allocIDLength+1:]
		home := filepath.Join(se.paths.allocs(i), id, task)
		if !strings.Contains(executors, home+"/executor.out") && !isContainer(home) {
			dirs = append(dirs, dir)
		}
	}
	_ = killAll(ctx, func() []proc { return taskProcs(dirs) })
}

// isContainer tells a task of the docker driver, which has no executor: the
// client finds it again through the engine.
func isContainer(taskDir string) bool {
	_, err := os.Stat(filepath.Join(taskDir, "executor.out"))
	return err != nil
}

// mountsBelow lists the mount points below dir, the deepest first.
func mountsBelow(dir string) []string {
	text, _ := os.ReadFile("/proc/self/mountinfo")
	return parseMounts(string(text), dir)
}

func parseMounts(mountinfo, dir string) []string {
	var points []string
	for line := range strings.Lines(mountinfo) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		point := unescapeMount(f[4])
		if strings.HasPrefix(point, dir+"/") {
			points = append(points, point)
		}
	}
	// Later mounts lie on earlier ones and inside them.
	slices.Reverse(points)
	slices.SortStableFunc(points, func(a, b string) int {
		return strings.Count(b, "/") - strings.Count(a, "/")
	})
	return points
}

// unescapeMount undoes the octal escapes of mountinfo.
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

func unmountBelow(dir string) error {
	var errs []error
	for _, point := range mountsBelow(dir) {
		err := syscall.Unmount(point, 0)
		if errors.Is(err, syscall.EBUSY) {
			const detach = 2 // MNT_DETACH: somebody's shell stands in it
			err = syscall.Unmount(point, detach)
		}
		if err != nil && !errors.Is(err, syscall.EINVAL) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", point, err))
		}
	}
	return errors.Join(errs...)
}

// removeCgroups removes the cgroups of the lab's tasks and, when no Nomad runs
// on the machine any more, Nomad's empty parents too: any Nomad makes them anew.
func removeCgroups(allocs map[string]bool) error {
	var errs []error
	for _, dir := range cgroupDirs(allocs) {
		if err := removeCgroup(dir); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 && !nomadRuns() {
		for _, pattern := range []string{"/sys/fs/cgroup/cpuset/nomad/*", "/sys/fs/cgroup/*/nomad", "/sys/fs/cgroup/nomad.slice/*.slice", "/sys/fs/cgroup/nomad.slice"} {
			found, _ := filepath.Glob(pattern)
			for _, dir := range found {
				_ = syscall.Rmdir(dir) // refused while in use: then it stays
			}
		}
	}
	return errors.Join(errs...)
}

// removeCgroup waits a moment for the kernel to take the last process out.
func removeCgroup(dir string) error {
	deadline := time.Now().Add(2 * time.Second)
	for {
		err := syscall.Rmdir(dir)
		if err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline) {
			return fmt.Errorf("remove cgroup %s: %w", dir, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func nomadRuns() bool {
	for _, pid := range allPIDs() {
		// A dead process that nobody has waited for has no program any more.
		if strings.HasPrefix(filepath.Base(exeOf(pid)), "nomad") {
			return true
		}
	}
	return false
}
