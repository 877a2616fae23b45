package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The environment of every process that a lab starts, and so of what those start.
const (
	markVar = "STOKER_LAB_MARK"
	partVar = "STOKER_LAB_PART"
)

// proc names one process for good: an id alone is used again by the kernel.
type proc struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after boot
	Boot  string `json:"boot"`  // the kernel's id of this boot
}

// procStat reads the start time of a process and whether it has ended. One whose
// first thread has ended keeps its files and ports until the last one has.
func procStat(pid int) (ended bool, start uint64, err error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true, 0, err
	}
	// The command in brackets may hold spaces and brackets: count from its end.
	f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(f) < 20 {
		return true, 0, fmt.Errorf("process %d: unexpected stat line", pid)
	}
	start, err = strconv.ParseUint(f[19], 10, 64)
	threads, _ := strconv.Atoi(f[17])
	ended = f[0] == "X" || f[0] == "Z" && threads <= 1
	return ended, start, err
}

func bootID() string {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
}

func identify(pid int) (proc, error) {
	_, start, err := procStat(pid)
	if err != nil {
		return proc{}, fmt.Errorf("identify process %d: %w", pid, err)
	}
	return proc{PID: pid, Start: start, Boot: bootID()}, nil
}

// alive tells whether this very process runs.
func (p proc) alive() bool {
	if p.PID <= 0 {
		return false
	}
	// Reaps it when it is a dead child of ours: nothing else waits for it.
	var ws syscall.WaitStatus
	_, _ = syscall.Wait4(p.PID, &ws, syscall.WNOHANG, nil)
	ended, start, err := procStat(p.PID)
	return err == nil && !ended && start == p.Start && p.Boot == bootID()
}

// signal sends sig to this very process. The handle is taken before the start
// time is compared, so the id cannot change hands in between.
func (p proc) signal(sig syscall.Signal) error {
	h, err := os.FindProcess(p.PID)
	if err != nil {
		return err
	}
	defer func() { _ = h.Release() }()
	if !p.alive() {
		return os.ErrProcessDone
	}
	return h.Signal(sig)
}

// stop asks the process to end and, after grace, makes it.
func (p proc) stop(ctx context.Context, grace time.Duration) error {
	if !p.alive() {
		return nil
	}
	if err := p.signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop process %d: %w", p.PID, err)
	}
	if p.waitGone(ctx, grace) {
		return nil
	}
	return p.kill(ctx)
}

func (p proc) kill(ctx context.Context) error {
	if err := p.signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	if !p.waitGone(context.WithoutCancel(ctx), 5*time.Second) {
		return fmt.Errorf("process %d does not end", p.PID)
	}
	return nil
}

func (p proc) waitGone(ctx context.Context, limit time.Duration) bool {
	deadline := time.After(limit)
	for p.alive() {
		select {
		case <-ctx.Done():
			return false
		case <-deadline:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return true
}

// start runs a program in a session of its own, so that neither a closed
// terminal nor ctrl-C in it reaches the program, with its output appended to the
// part's log.
func start(p paths, mark, part, bin string, args ...string) (proc, error) {
	log, err := os.OpenFile(p.log(part), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return proc{}, fmt.Errorf("start %s: %w", part, err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(bin, args...)
	cmd.Dir = p.dir
	cmd.Env = environment(p, mark, part)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return proc{}, fmt.Errorf("start %s: %w", part, err)
	}
	id, err := identify(cmd.Process.Pid)
	if err != nil {
		_ = cmd.Process.Kill()
		return proc{}, fmt.Errorf("start %s: %w", part, err)
	}
	_ = cmd.Process.Release()
	return id, nil
}

// environment is built from nothing: raw_exec tasks inherit it, and a token of
// the person who runs the lab must not end there.
func environment(p paths, mark, part string) []string {
	env := []string{markVar + "=" + mark, partVar + "=" + part, "TMPDIR=" + p.tmp()}
	for _, name := range []string{"PATH", "HOME", "LANG", "DOCKER_HOST"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// owned lists the processes that carry the lab's mark, with the part that each
// belongs to. Those of another user cannot be read and are not listed.
func owned(mark string) map[proc]string {
	found := map[proc]string{}
	for _, pid := range allPIDs() {
		env, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
		if err != nil || !bytes.Contains(env, []byte(mark)) {
			continue
		}
		vars := strings.Split(string(env), "\x00")
		if !slices.Contains(vars, markVar+"="+mark) {
			continue
		}
		part := ""
		for _, v := range vars {
			if rest, ok := strings.CutPrefix(v, partVar+"="); ok {
				part = rest
			}
		}
		if id, err := identify(pid); err == nil {
			found[id] = part
		}
	}
	return found
}

func allPIDs() []int {
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid > 1 && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

func exeOf(pid int) string {
	exe, _ := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "exe"))
	return strings.TrimSuffix(exe, " (deleted)")
}

func cmdlineOf(pid int) string {
	text, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return strings.ReplaceAll(string(text), "\x00", " ")
}
