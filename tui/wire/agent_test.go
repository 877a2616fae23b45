package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"stoker/cluster/contexts"
	"stoker/gpu"
	"stoker/gpu/sim"
	"stoker/gpu/sim/load"
	"stoker/secrets"
	"stoker/tui/cli"
)

// gpuTask holds the simulated GPUs that its environment names until it is killed.
func gpuTask() {
	reporters, err := load.FromEnv(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, r := range reporters {
		if err := r.Set(50, 1<<30); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	fmt.Println("running")
	select {}
}

// launch starts a program of this test, and waits for the line that begins so
// on one of its streams; it returns the rest of the line.
func launch(t *testing.T, begins string, cmd *exec.Cmd) string {
	t.Helper()
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait(); w.Close() }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	lines := bufio.NewScanner(r)
	var said []string
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), begins); ok {
			go func() { _, _ = io.Copy(io.Discard, r) }()
			return strings.TrimSpace(rest)
		}
		said = append(said, lines.Text())
	}
	t.Fatalf("%v ended and said\n%s", cmd.Args, strings.Join(said, "\n"))
	return ""
}

func simNode(t *testing.T, gpus ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := sim.Create(dir, sim.Spec{Node: "n1", GPUs: gpus}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func fetchJSON(t *testing.T, url string, into any) int {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("not in time: %s", what)
}

// snapshotNow is what an agent has read last; nothing before it has.
func snapshotNow(t *testing.T, url string) gpu.Batch {
	t.Helper()
	var b gpu.Batch
	eventually(t, "a reading", func() bool { b = gpu.Batch{}; return fetchJSON(t, url+"/v1/snapshot", &b) == http.StatusOK })
	return b
}

// rights reads who each thread of a process is and what it may.
func rights(t *testing.T, pid int) []map[string]string {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var out []map[string]string
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		m := map[string]string{}
		for line := range strings.Lines(string(raw)) {
			key, value, _ := strings.Cut(line, ":")
			m[key] = strings.Join(strings.Fields(value), " ")
		}
		out = append(out, m)
	}
	return out
}

func nobodyUser(t *testing.T) *user.User {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Skip(err)
	}
	return u
}

// nobodysSim is a simulated GPU that the user nobody may read.
func nobodysSim(t *testing.T, u *user.User) (dir string, uuid gpu.UUID) {
	t.Helper()
	dir = simNode(t, sim.H100)
	reader, err := openNVML(dir, "n1") // it makes all files there are
	if err != nil {
		t.Fatal(err)
	}
	first, err := reader.Read(time.Now())
	if err := errors.Join(err, reader.Close()); err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, uid, -1))
	}); err != nil {
		t.Fatal(err)
	}
	for at := dir; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir, first.Devices[0].UUID
}

// Started as root, the agent goes on as another user, on all threads, with no
// way back; the process that Nomad or systemd watches is the same.
func TestAgentGivesUpRoot(t *testing.T) {
	u := nobodyUser(t)
	const alloc = "5f2b8c1e-7a44-4a9b-9f31-0c6d2e8ab001"
	for name, tc := range map[string]struct {
		args  []string
		caps  string
		joins string // the allocation of a task that only its environment tells
	}{
		"everything":    {nil, "0000000000000000", ""},
		"but for /proc": {[]string{"--read-environ"}, "0000000000080004", alloc}, // CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH
	} {
		t.Run(name, func(t *testing.T) {
			dir, uuid := nobodysSim(t, u)
			task := exec.Command("gpu-task")
			task.Env = append(os.Environ(), load.EnvDir+"="+sim.LoadDir(dir), load.EnvVisible+"="+string(uuid), "NOMAD_ALLOC_ID="+alloc, "NOMAD_TASK_NAME=serve")
			launch(t, "running", task)

			cmd := exec.Command("stoker", append([]string{"agent", "--listen", "127.0.0.1:0", "--interval", "100ms", "--sim", dir, "--user", "nobody"}, tc.args...)...)
			url := launch(t, "serving GPUs on ", cmd)
			var found gpu.Process
			eventually(t, "the task", func() bool {
				b := snapshotNow(t, url)
				for _, p := range b.Samples[0].Processes {
					found = p
				}
				return found.PID == task.Process.Pid
			})
			if found.AllocID != tc.joins || found.User != "root" || found.Name != "gpu-task" {
				t.Errorf("the task is shown as %+v, want allocation %q", found, tc.joins)
			}
			for _, r := range rights(t, cmd.Process.Pid) {
				ids := strings.Join(slices.Repeat([]string{u.Uid}, 4), " ")
				groups := strings.Join(slices.Repeat([]string{u.Gid}, 4), " ")
				if r["Uid"] != ids || r["Gid"] != groups || r["Groups"] != u.Gid || r["NoNewPrivs"] != "1" {
					t.Errorf("thread %s is uid %s, gid %s, groups %s, no new privileges %s", r["Pid"], r["Uid"], r["Gid"], r["Groups"], r["NoNewPrivs"])
				}
				for _, set := range []string{"CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"} {
					if r[set] != tc.caps {
						t.Errorf("thread %s: %s is %s, want %s", r["Pid"], set, r[set], tc.caps)
					}
				}
			}
		})
	}
}

// Who is not root is told so, and who is that user already is not troubled.
func TestAgentUserWithoutRoot(t *testing.T) {
	u := nobodyUser(t)
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	as := func(args ...string) *exec.Cmd {
		// The program's own folder is root's alone; this way it is found all the same.
		cmd := &exec.Cmd{Path: "/proc/self/exe", Args: append([]string{"stoker", "agent", "--listen", "127.0.0.1:0"}, args...), Env: os.Environ()}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return cmd
	}
	dir, _ := nobodysSim(t, u)
	cmd := as("--sim", dir, "--user", "daemon")
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != ExitDenied || !bytes.Contains(out, []byte("--user daemon: only root can become another user\nhint: start it as root")) {
		t.Errorf("exit %d: %s", cmd.ProcessState.ExitCode(), out)
	}
	launch(t, "serving GPUs on ", as("--sim", dir, "--user", "nobody"))

	secret := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(secret, []byte("sesame"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command("stoker", "agent", "--listen", "127.0.0.1:0", "--sim", dir, "--user", "nobody", "--token-file", secret)
	out, err = cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != ExitDenied || !bytes.Contains(out, []byte("hint: files that are read again")) {
		t.Errorf("a token that the user cannot read: exit %d: %s", cmd.ProcessState.ExitCode(), out)
	}
}

// A call that hangs in the driver costs the readings of its GPU, and the agent
// says of which.
func TestAgentNamesTheGPUThatHangs(t *testing.T) {
	dir := simNode(t, sim.H100, sim.H100)
	url := launch(t, "serving GPUs on ", exec.Command("stoker", "agent", "--listen", "127.0.0.1:0", "--interval", "1s", "--sim", dir))
	b := snapshotNow(t, url)
	if err := sim.Inject(dir, sim.Fault{GPU: 1, Kind: sim.FaultHang}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the GPU is named", func() bool {
		var h struct {
			Hung []struct {
				UUID  gpu.UUID
				GPU   int
				Since time.Time
			}
		}
		fetchJSON(t, url+"/healthz", &h)
		return len(h.Hung) == 1 && h.Hung[0].UUID == b.Devices[1].UUID && h.Hung[0].GPU == 1 && !h.Hung[0].Since.IsZero()
	})
}

// Asked to, the agent lets the driver go and takes it up again.
func TestAgentReleasesTheDriver(t *testing.T) {
	dir := simNode(t, sim.H100)
	url := launch(t, "serving GPUs on ", exec.Command("stoker", "agent", "--listen", "127.0.0.1:0", "--interval", "100ms", "--sim", dir))
	snapshotNow(t, url)
	resp, err := http.Post(url+"/release?for=1s", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("HTTP %d", resp.StatusCode)
	}
	var h struct{ Status, Error string }
	if code := fetchJSON(t, url+"/healthz", &h); code != http.StatusServiceUnavailable || h.Status != "released" || !strings.Contains(h.Error, "released until ") {
		t.Errorf("%d %+v", code, h)
	}
	eventually(t, "readings", func() bool { return fetchJSON(t, url+"/healthz", &h) == http.StatusOK })
}

// TestAgentUnit holds the systemd unit in docs against the program, and lets
// systemd look at it where there is one.
func TestAgentUnit(t *testing.T) {
	unit := projectFile(t, "docs/stoker-agent.service")
	flags := agentCommand(contexts.System{Getenv: os.Getenv}, &cli.App{}, secrets.NewRedactor()).Flags()
	named := regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(regexp.MustCompile(`(?m)^.*STOKER_AGENT_OPTIONS=.*$`).FindString(unit), -1)
	named = append(named, regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(regexp.MustCompile(`(?m)^Environment=.*$`).FindString(unit), -1)...)
	if len(named) < 5 {
		t.Fatalf("only %d options are found in the unit", len(named))
	}
	for _, f := range named {
		if flags.Lookup(f[1]) == nil {
			t.Errorf("stoker agent has no flag --%s", f[1])
		}
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("no systemd here to verify it")
	}
	self, err := exec.LookPath("true")
	if err != nil {
		t.Skip(err)
	}
	// The program and its user are not installed here.
	here := strings.NewReplacer("/usr/local/bin/stoker", self, "User=stoker-agent", "User=daemon", "Group=stoker-agent", "Group=daemon").Replace(unit)
	path := filepath.Join(t.TempDir(), "stoker-agent.service")
	if err := os.WriteFile(path, []byte(here), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
