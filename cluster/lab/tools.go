package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Tool is an official program that a lab needs.
type Tool struct {
	Name     string        // "nomad" or "vault"
	Module   string        // the Go module that it is built from
	Minimum  [2]int        // the oldest version that a lab can use: major, minor
	Tags     string        // build tags
	Expected time.Duration // usual length of a build on two cores
}

// Nomad is the tool of servers and clients. Nodes with exec need it built with cgo.
func Nomad() Tool {
	return Tool{Name: "nomad", Module: "github.com/hashicorp/nomad", Minimum: [2]int{1, 10}, Expected: 6 * time.Minute}
}

// Vault is the tool that keeps the keys. The minimal build has all that a lab uses.
func Vault() Tool {
	return Tool{Name: "vault", Module: "github.com/hashicorp/vault", Minimum: [2]int{1, 16}, Tags: "minimal", Expected: 5 * time.Minute}
}

// Tools finds a tool: on PATH when recent enough, else in the cache, else it
// builds it there once. srcDir is the folder "cluster/lab/tools" of a checkout of
// stoker, which pins what is built; without it the newest one in the cache will
// do, and a missing tool is an error. progress may be nil; it is called about
// once a second during a build.
func Tools(ctx context.Context, tool Tool, srcDir, cacheDir string, progress func(Progress)) (string, error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	unfit := "not on PATH"
	if path, err := exec.LookPath(tool.Name); err == nil {
		v, err := toolVersion(ctx, path)
		if err == nil && tool.accepts(v) {
			return filepath.Abs(path)
		}
		unfit = fmt.Sprintf("%s is version %s, a lab needs %d.%d or later", path, v, tool.Minimum[0], tool.Minimum[1])
		if err != nil {
			unfit = err.Error()
		}
	}
	mod := filepath.Join(srcDir, tool.Name)
	pinned, err := "", errors.New("no checkout")
	if srcDir != "" {
		pinned, err = pinnedVersion(filepath.Join(mod, "go.mod"), tool.Module)
	}
	if err != nil {
		if path := tool.newest(cacheDir); path != "" {
			return path, nil
		}
		return "", fmt.Errorf("find %s: %s, none was built in %s, and there is no source to build it from (%w): install %s or run from a checkout of stoker",
			tool.Name, unfit, cacheDir, err, tool.Name)
	}
	return tool.cached(ctx, mod, filepath.Join(cacheDir, tool.Name+"-"+pinned), progress)
}

// cached gives the program at path, which it builds from the module unless it is
// there. Who comes second waits.
func (t Tool) cached(ctx context.Context, mod, path string, progress func(Progress)) (string, error) {
	if checkProgram(t.Name, path) == nil {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("build %s: %w", t.Name, err)
	}
	unlock, err := lockFile(ctx, path+".lock", func() {
		progress(Progress{Part: "build " + t.Name, Text: "another program builds it, waiting", Expected: t.Expected})
	})
	if err != nil {
		return "", fmt.Errorf("build %s: %w", t.Name, err)
	}
	defer unlock()
	if checkProgram(t.Name, path) == nil {
		return path, nil
	}
	if err := t.build(ctx, mod, path, progress); err != nil {
		return "", fmt.Errorf("build %s: %w", filepath.Base(path), err)
	}
	return path, nil
}

var versionPattern = regexp.MustCompile(`v(\d+)\.(\d+)\.\d+\S*`)

var releasePattern = regexp.MustCompile(`^v(\d+)\.(\d+)\.(\d+)$`)

func toolVersion(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "version").Output()
	if err != nil {
		return "", fmt.Errorf("%s version: %w", path, err)
	}
	v := versionPattern.FindString(string(out))
	if v == "" {
		return "", fmt.Errorf("%s does not tell its version", path)
	}
	return v, nil
}

func (t Tool) accepts(version string) bool {
	m := versionPattern.FindStringSubmatch(version)
	if m == nil {
		return false
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return major > t.Minimum[0] || major == t.Minimum[0] && minor >= t.Minimum[1]
}

// newest finds the newest version that was built into the cache and will do, ""
// when there is none. A file name that goes on after the version is a lock, or a
// build that has not ended.
func (t Tool) newest(cacheDir string) string {
	entries, _ := os.ReadDir(cacheDir)
	best, bestPath := []int{}, ""
	for _, e := range entries {
		version, ok := strings.CutPrefix(e.Name(), t.Name+"-")
		m := releasePattern.FindStringSubmatch(version)
		path := filepath.Join(cacheDir, e.Name())
		if !ok || m == nil || !t.accepts(version) || checkProgram(t.Name, path) != nil {
			continue
		}
		var v []int
		for _, part := range m[1:] {
			n, _ := strconv.Atoi(part)
			v = append(v, n)
		}
		if slices.Compare(v, best) > 0 {
			best, bestPath = v, path
		}
	}
	return bestPath
}

// pinnedVersion reads which version of module a go.mod requires.
func pinnedVersion(gomod, module string) (string, error) {
	text, err := os.ReadFile(gomod)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(f) >= 2 && f[0] == module && strings.HasPrefix(f[1], "v") {
			return f[1], nil
		}
	}
	return "", fmt.Errorf("%s does not require %s", gomod, module)
}

func (t Tool) args(target string) []string {
	args := []string{"build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w", "-v"}
	if t.Tags != "" {
		args = append(args, "-tags", t.Tags)
	}
	return append(args, "-o", target, t.Module)
}

// build compiles into a file beside the target and moves it there when whole.
func (t Tool) build(ctx context.Context, mod, target string, progress func(Progress)) error {
	goBin, err := exec.LookPath("go")
	if err != nil {
		return fmt.Errorf("%w: install Go, or %s itself", err, t.Name)
	}
	tmp := fmt.Sprintf("%s.%d", target, os.Getpid())
	defer func() { _ = os.Remove(tmp) }()
	cmd := exec.CommandContext(ctx, goBin, t.args(tmp)...)
	cmd.Dir = mod
	// A workspace of the user's must not change what is pinned.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var out buildOutput
	cmd.Stderr, cmd.Stdout = &out, &out
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { t.watch(stop, began, &out, progress) })
	err = cmd.Wait()
	close(stop)
	wg.Wait()
	if err != nil {
		return errors.Join(ctx.Err(), fmt.Errorf("%w: %s", err, out.last()))
	}
	if err := os.Rename(tmp, target); err != nil {
		return err
	}
	progress(Progress{Part: "build " + t.Name, Text: "built " + target, Done: true, Elapsed: time.Since(began), Expected: t.Expected})
	return nil
}

func (t Tool) watch(stop <-chan struct{}, began time.Time, out *buildOutput, progress func(Progress)) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		progress(Progress{
			Part: "build " + t.Name, Elapsed: time.Since(began), Expected: t.Expected,
			Text: fmt.Sprintf("compiled %d packages; once for all labs", out.lines.Load()),
		})
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

// buildOutput counts the lines of a build, one for each package, and keeps the
// last ones, where an error would be.
type buildOutput struct {
	lines atomic.Int64
	mu    sync.Mutex
	tail  []byte
}

func (b *buildOutput) Write(p []byte) (int, error) {
	b.lines.Add(int64(strings.Count(string(p), "\n")))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tail = append(b.tail, p...)
	if len(b.tail) > 4096 {
		b.tail = b.tail[len(b.tail)-2048:]
	}
	return len(p), nil
}

func (b *buildOutput) last() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var lines []string
	sc := bufio.NewScanner(strings.NewReader(string(b.tail)))
	for sc.Scan() {
		lines = append(lines, sc.Text())
	}
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

// lockFile waits for the lock on a file, calling waiting once if it is held.
func lockFile(ctx context.Context, path string, waiting func()) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	told := false
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(err, f.Close())
		}
		if !told {
			told = true
			waiting()
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(time.Second):
		}
	}
}
