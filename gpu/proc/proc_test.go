package proc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"stoker/gpu"
)

const (
	allocA = "5f2b8c1e-7a44-4a9b-9f31-0c6d2e8ab001"
	allocB = "9d0c7e55-1b2a-4c3d-8e4f-a1b2c3d4e5f6"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eventually polls until f holds.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("not in time: %s", what)
}

func containerID() string { return strings.Repeat("c", 60) + "0123" }

func join(a *Attributor, pids ...int) []gpu.Process {
	var procs []gpu.Process
	for _, pid := range pids {
		procs = append(procs, gpu.Process{PID: pid, Name: "nvml-name", MemoryBytes: 7})
	}
	samples := []gpu.Sample{{UUID: "GPU-0"}, {UUID: "GPU-1", Processes: procs}}
	a.Fill(samples)
	return samples[1].Processes
}

func TestAttribution(t *testing.T) {
	for _, tc := range []struct {
		name, tree string
		pid        int
		want       gpu.Process
	}{
		{"v2 exec", "v2", 101, gpu.Process{Name: "python3", Command: "/usr/bin/python3 -m vllm.entrypoints.openai.api_server", User: "root", AllocID: allocA, Task: "serve"}},
		{"v2 raw_exec, reserved cores, group within, odd names", "v2", 102, gpu.Process{Name: "trainer (x) 7", Command: "/opt/trainer", User: "4242424", AllocID: allocA, Task: "rank.0"}},
		{"v2 docker without an engine", "v2", 103, gpu.Process{Name: "vllm", User: "root"}},
		{"environment of the parent", "v2", 104, gpu.Process{Name: "worker", User: "root", AllocID: allocB, Task: "train"}},
		{"own environment", "v2", 105, gpu.Process{Name: "launcher", User: "root", AllocID: allocB, Task: "train"}},
		{"not Nomad's, says nonsense", "v2", 106, gpu.Process{Name: "jupyter", User: "root"}},
		{"seen from another cgroup namespace", "v2", 107, gpu.Process{Name: "nested", User: "root", AllocID: allocA, Task: "side"}},
		{"gone", "v2", 999, gpu.Process{Name: "nvml-name"}},
		{"v1 exec", "v1", 201, gpu.Process{Name: "python3", User: "root", AllocID: allocA, Task: "serve"}},
		{"v1 raw_exec, reserved cores", "v1", 202, gpu.Process{Name: "train", User: "root", AllocID: allocA, Task: "train"}},
		{"v1, own environment", "v1", 204, gpu.Process{Name: "launcher", User: "root", AllocID: allocB, Task: "train"}},
		{"v1 docker without an engine", "v1", 203, gpu.Process{Name: "tritonserver", User: "root"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := New(Options{Root: filepath.Join("testdata", tc.tree)})
			tc.want.PID, tc.want.MemoryBytes = tc.pid, 7
			if tc.want.User != "" {
				resident := uint64(10 * os.Getpagesize())
				tc.want.Start, tc.want.HostMemoryBytes = 1000, &resident
			}
			for range 2 { // looked up, then remembered
				if d := cmp.Diff([]gpu.Process{tc.want}, join(a, tc.pid), cmpopts.IgnoreFields(gpu.Process{}, "CPUPercent")); d != "" {
					t.Errorf("(-want +got)\n%s", d)
				}
			}
		})
	}
}

// TestAttributionOfThisProcess runs against the real /proc.
func TestAttributionOfThisProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc here")
	}
	got := join(New(Options{}), os.Getpid())[0]
	if comm, _ := os.ReadFile("/proc/self/comm"); got.Name != strings.TrimSpace(string(comm)) || got.User == "" {
		t.Errorf("got %+v, want the name %s", got, comm)
	}
}

// fakeProc is a folder in the form of /proc.
type fakeProc struct {
	t    *testing.T
	root string
}

func (f fakeProc) write(pid, comm, start, ticks, cgroup, cmdline string) {
	f.t.Helper()
	dir := filepath.Join(f.root, pid)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		f.t.Fatal(err)
	}
	stat := pid + " (" + comm + ") S 1" + strings.Repeat(" 0", 9) + " " + ticks + " 5" + strings.Repeat(" 0", 6) + " " + start + " 0 3 0\n"
	for file, text := range map[string]string{"comm": comm, "stat": stat, "cgroup": cgroup, "cmdline": cmdline, "status": "Uid:\t0\t0\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			f.t.Fatal(err)
		}
	}
}

// TestReusedPID holds that a new process with an old number is not mistaken
// for it, and that processes that ended are forgotten.
func TestReusedPID(t *testing.T) {
	f := fakeProc{t, t.TempDir()}
	now := time.Unix(1000, 0)
	a := New(Options{Root: f.root, Now: func() time.Time { return now }})
	group := "0::/nomad.slice/share.slice/" + allocA + ".serve.scope\n"
	f.write("50", "old", "100", "0", "0::/\n", "")
	if got := join(a, 50)[0]; got.Name != "old" || got.AllocID != "" || got.Start != 100 {
		t.Fatalf("first: %+v", got)
	}
	f.write("50", "new", "200", "0", group, "")
	if got := join(a, 50)[0]; got.Name != "new" || got.AllocID != allocA || got.Start != 200 || got.CPUPercent != nil {
		t.Errorf("reused: %+v", got)
	}
	f.write("60", "late", "300", "0", "0::/\n", "")
	join(a, 50, 60)
	f.write("60", "late", "300", "0", group, "") // moved into its group after it began
	if got := join(a, 50, 60)[1]; got.AllocID != "" {
		t.Errorf("looked again at once: %+v", got)
	}
	now = now.Add(retryOwner)
	if got := join(a, 50, 60)[1]; got.AllocID != allocA {
		t.Errorf("never looked again: %+v", got)
	}
	join(a)
	if len(a.known) != 0 {
		t.Errorf("%d ended processes are remembered", len(a.known))
	}
}

func TestProcessorAndMemory(t *testing.T) {
	f := fakeProc{t, t.TempDir()}
	now := time.Unix(1000, 0)
	a := New(Options{Root: f.root, Now: func() time.Time { return now }})
	f.write("50", "busy", "100", "1000", "0::/\n", "")
	first := join(a, 50)[0]
	if first.CPUPercent != nil {
		t.Errorf("a share of nothing: %v", *first.CPUPercent)
	}
	if want := uint64(3 * os.Getpagesize()); first.HostMemoryBytes == nil || *first.HostMemoryBytes != want {
		t.Errorf("memory %v, want %d", first.HostMemoryBytes, want)
	}
	now = now.Add(2 * time.Second)
	f.write("50", "busy", "100", "1500", "0::/\n", "") // 5 s of processor time in 2 s: two cores and a half
	samples := []gpu.Sample{{Processes: []gpu.Process{{PID: 50}}}, {Processes: []gpu.Process{{PID: 50}}}}
	a.Fill(samples)
	for i, s := range samples { // on two devices: the same process twice, measured once
		if got := s.Processes[0].CPUPercent; got == nil || *got != 250 {
			t.Errorf("device %d: %v, want 250 %%", i, got)
		}
	}
}

// TestWhatItCallsItself: exec and workers that name themselves change it.
func TestWhatItCallsItself(t *testing.T) {
	f := fakeProc{t, t.TempDir()}
	now := time.Unix(1000, 0)
	a := New(Options{Root: f.root, Arguments: true, Now: func() time.Time { return now }})
	f.write("50", "sh", "100", "0", "0::/\n", "sh\x00start.sh\x00")
	if got := join(a, 50)[0]; got.Command != "sh start.sh" {
		t.Errorf("%q", got.Command)
	}
	f.write("50", "python3", "100", "0", "0::/\n", "python3\x00train.py\x00--lr\x000.1\x00")
	now = now.Add(retell)
	if got := join(a, 50)[0]; got.Name != "python3" || got.Command != "python3 train.py --lr 0.1" {
		t.Errorf("%q, %q", got.Name, got.Command)
	}
}

func TestCommand(t *testing.T) {
	long := strings.Repeat("é", commandMax)
	for _, c := range []struct {
		args      []string
		full, own string // with arguments, and without
	}{
		{nil, "", ""},
		{[]string{"/usr/bin/python3", "train.py", "--token", "t0p"}, "/usr/bin/python3 train.py --token t0p", "/usr/bin/python3 train.py"},
		{[]string{"python3.12", "-u", "-m", "vllm.server", "--api-key=t0p"}, "python3.12 -u -m vllm.server --api-key=t0p", "python3.12 -m vllm.server"},
		{[]string{"python3", "-c", "login('t0p')"}, "python3 -c login('t0p')", "python3"},
		{[]string{"python3", "-X", "t0p"}, "python3 -X t0p", "python3"},
		{[]string{"python3", "-m"}, "python3 -m", "python3"},
		{[]string{"bash", "run.sh", "t0p"}, "bash run.sh t0p", "bash run.sh"},
		{[]string{"sh", "-c", "serve --key t0p"}, "sh -c serve --key t0p", "sh"},
		{[]string{"curl", "-H", "Authorization: t0p", "u"}, "curl -H Authorization: t0p u", "curl"},
		{[]string{"tritonserver", "t0p"}, "tritonserver t0p", "tritonserver"},
		{[]string{"VLLM::EngineCore"}, "VLLM::EngineCore", "VLLM::EngineCore"},
		{[]string{"server: listen with t0p"}, "server: listen with t0p", "server:"},
		{[]string{"a\x1b[31mb", "c\nd"}, "a [31mb c d", "a [31mb"},
		{[]string{long}, long[:commandMax-4] + "…", long[:commandMax-4] + "…"},
	} {
		if got := command(c.args, true); got != c.full || len(got) > commandMax {
			t.Errorf("%q: %q, want %q", c.args, got, c.full)
		}
		if got := command(c.args, false); got != c.own || strings.Contains(got, "t0p") {
			t.Errorf("%q without arguments: %q, want %q", c.args, got, c.own)
		}
	}
}

// TestSignal ends a real process, and none that only has its number.
func TestSignal(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	st, err := readStat("/proc", pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := Signal("/proc", pid, st.start+1, syscall.SIGKILL); !errors.Is(err, ErrOther) {
		t.Errorf("another process: %v", err)
	}
	if err := Signal("/proc", pid, 0, syscall.SIGKILL); err == nil {
		t.Error("nobody knows which process that is")
	}
	if err := Signal("/proc", 1, 1, syscall.SIGKILL); err == nil {
		t.Error("the first process of a machine is never signalled")
	}
	select {
	case <-ended:
		t.Fatal("the wrong one was signalled")
	default:
	}
	if err := Signal("/proc", pid, st.start, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := <-ended; !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v", err)
	}
	if err := Signal("/proc", pid, st.start, syscall.SIGTERM); !errors.Is(err, ErrOther) {
		t.Errorf("it has ended: %v", err)
	}
}

// dockerd answers like the engine, and counts.
type dockerd struct {
	mu    sync.Mutex
	asked []string
	body  map[string]any
	code  int
}

func (d *dockerd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, r.URL.Path)
	w.WriteHeader(d.code)
	_ = json.NewEncoder(w).Encode(d.body)
}

func (d *dockerd) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.asked)
}

func startDockerd(t *testing.T, d *dockerd) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "eng") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: d}
	done := make(chan struct{})
	go func() { _ = srv.Serve(ln); close(done) }()
	t.Cleanup(func() { srv.Close(); <-done; os.RemoveAll(dir) })
	return socket
}

func TestContainerLabels(t *testing.T) {
	inspect := func(name string, labels map[string]string) map[string]any {
		return map[string]any{
			"Id": containerID(), "Name": name,
			"Config": map[string]any{"Labels": labels, "Env": []string{"HF_TOKEN=secret"}},
		}
	}
	for _, tc := range []struct {
		name string
		code int
		body map[string]any
		want owner
	}{
		{"task from the name", 200, inspect("/serve-"+allocA, map[string]string{"com.hashicorp.nomad.alloc_id": allocA}), owner{allocA, "serve"}},
		{"task from a label", 200, inspect("/x", map[string]string{"com.hashicorp.nomad.alloc_id": allocA, "com.hashicorp.nomad.task_name": "llm"}), owner{allocA, "llm"}},
		{"not Nomad's", 200, inspect("/db", nil), owner{}},
		{"unknown container", 404, map[string]any{"message": "no such container"}, owner{}},
		{"engine in trouble", 500, map[string]any{"message": "oops"}, owner{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := &dockerd{code: tc.code, body: tc.body}
			e := NewEngine(startDockerd(t, d), time.Now, slog.New(slog.DiscardHandler))
			var wg sync.WaitGroup
			ctx, cancel := context.WithCancel(t.Context())
			defer wg.Wait()
			defer cancel()
			wg.Go(func() { e.Run(ctx) })
			for _, at := range []struct {
				tree string
				pid  int
			}{{"v2", 103}, {"v1", 203}} {
				a := New(Options{Root: filepath.Join("testdata", at.tree), Engine: e})
				if got := join(a, at.pid)[0]; got.AllocID != "" && d.count() == 0 {
					t.Errorf("an answer before the question: %+v", got)
				}
				eventually(t, "answer", func() bool { return join(a, at.pid)[0].PID == at.pid && a.known[at.pid].box == "" })
				if got := a.known[at.pid].owner; got != tc.want {
					t.Errorf("%s %d: got %+v, want %+v", at.tree, at.pid, got, tc.want)
				}
			}
			if d.count() != 1 {
				t.Errorf("engine asked %d times, want once: %v", d.count(), d.asked)
			}
			if tc.code == 500 && e.Failures() != 1 {
				t.Errorf("failures: %d", e.Failures())
			}
		})
	}
}

// TestParseCgroupNames tries forms of path elements.
func TestParseCgroupNames(t *testing.T) {
	id := containerID()
	for in, want := range map[string]struct {
		owner     owner
		container string
	}{
		"0::/docker/" + id:                              {container: id},
		"0::/machine.slice/libpod-" + id + ".scope":     {container: id},
		"0::/nomad.slice/" + id:                         {container: id},
		"0::/custom/" + allocA + ".a-b.scope":           {owner: owner{allocA, "a-b"}},
		"0::/" + allocA:                                 {},
		"0::/" + allocA + ".":                           {},
		"0::/docker/" + strings.ToUpper(id):             {},
		"garbage":                                       {},
		"3:cpuset:/nomad/share\n0::/" + allocA + ".t:x": {owner: owner{allocA, "t:x"}},
	} {
		t.Run(strconv.Quote(in), func(t *testing.T) {
			own, box := parseCgroup([]byte(in))
			if own != want.owner || box != want.container {
				t.Errorf("got %+v %q, want %+v", own, box, want)
			}
		})
	}
}

// TestMemoryIsBounded: what other programs make up does not make it grow.
func TestMemoryIsBounded(t *testing.T) {
	procs := New(Options{Root: t.TempDir()})
	for i := range 3 * mostUsers {
		id := strconv.Itoa(3_000_000_000 + i)
		if got := procs.userName(id); got != id {
			t.Fatalf("user %s is called %s", id, got)
		}
		if n := len(procs.users); n > mostUsers {
			t.Fatalf("%d users are remembered", n)
		}
	}

	long := strings.Repeat("t", longestTask+1)
	if own := parseEnviron(fmt.Appendf(nil, "NOMAD_ALLOC_ID=%s\x00NOMAD_TASK_NAME=%s\x00", allocA, long)); own != (owner{}) {
		t.Errorf("from an environment: a task name of %d bytes", len(own.task))
	}
	labels := map[string]string{"com.hashicorp.nomad.alloc_id": allocA, "com.hashicorp.nomad.task_name": long}
	if own := taskOf("/x", labels); own != (owner{}) {
		t.Errorf("from a label: a task name of %d bytes", len(own.task))
	}
}
