package agent

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
)

const (
	allocA = "5f2b8c1e-7a44-4a9b-9f31-0c6d2e8ab001"
	allocB = "9d0c7e55-1b2a-4c3d-8e4f-a1b2c3d4e5f6"
)

func containerID() string { return strings.Repeat("c", 60) + "0123" }

func join(a *attributor, pids ...int) []gpu.Process {
	var procs []gpu.Process
	for _, pid := range pids {
		procs = append(procs, gpu.Process{PID: pid, Name: "nvml-name", MemoryBytes: 7})
	}
	samples := []gpu.Sample{{UUID: "GPU-0"}, {UUID: "GPU-1", Processes: procs}}
	a.fill(samples)
	return samples[1].Processes
}

func TestAttribution(t *testing.T) {
	for _, tc := range []struct {
		name, tree string
		pid        int
		want       gpu.Process
	}{
		{"v2 exec", "v2", 101, gpu.Process{Name: "python3", User: "root", AllocID: allocA, Task: "serve"}},
		{"v2 raw_exec, reserved cores, group within, odd names", "v2", 102, gpu.Process{Name: "trainer (x) 7", User: "4242424", AllocID: allocA, Task: "rank.0"}},
		{"v2 docker without an engine", "v2", 103, gpu.Process{Name: "vllm", User: "root"}},
		{"environment of the parent", "v2", 104, gpu.Process{Name: "worker", User: "root", AllocID: allocB, Task: "train"}},
		{"own environment", "v2", 105, gpu.Process{Name: "launcher", User: "root", AllocID: allocB, Task: "train"}},
		{"not Nomad's, says nonsense", "v2", 106, gpu.Process{Name: "jupyter", User: "root"}},
		{"seen from another cgroup namespace", "v2", 107, gpu.Process{Name: "nested", User: "root", AllocID: allocA, Task: "side"}},
		{"gone", "v2", 999, gpu.Process{Name: "nvml-name"}},
		{"v1 exec", "v1", 201, gpu.Process{Name: "python3", User: "root", AllocID: allocA, Task: "serve"}},
		{"v1 raw_exec, reserved cores", "v1", 202, gpu.Process{Name: "train", User: "root", AllocID: allocA, Task: "train"}},
		{"v1 docker without an engine", "v1", 203, gpu.Process{Name: "tritonserver", User: "root"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAttributor(filepath.Join("testdata", tc.tree), nil, time.Now)
			tc.want.PID, tc.want.MemoryBytes = tc.pid, 7
			for range 2 { // looked up, then remembered
				if d := cmp.Diff([]gpu.Process{tc.want}, join(a, tc.pid)); d != "" {
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
	got := join(newAttributor("/proc", nil, time.Now), os.Getpid())[0]
	if comm, _ := os.ReadFile("/proc/self/comm"); got.Name != strings.TrimSpace(string(comm)) || got.User == "" {
		t.Errorf("got %+v, want the name %s", got, comm)
	}
}

// TestReusedPID holds that a new process with an old number is not mistaken
// for it, and that processes that ended are forgotten.
func TestReusedPID(t *testing.T) {
	root := t.TempDir()
	write := func(name, comm, start, cgroup string) {
		t.Helper()
		dir := filepath.Join(root, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		stat := name + " (" + comm + ") S 1" + strings.Repeat(" 0", 17) + " " + start + " 0\n"
		for file, text := range map[string]string{"comm": comm, "stat": stat, "cgroup": cgroup, "status": "Uid:\t0\t0\n"} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	now := time.Unix(1000, 0)
	a := newAttributor(root, nil, func() time.Time { return now })
	group := "0::/nomad.slice/share.slice/" + allocA + ".serve.scope\n"
	write("50", "old", "100", "0::/\n")
	if got := join(a, 50)[0]; got.Name != "old" || got.AllocID != "" {
		t.Fatalf("first: %+v", got)
	}
	write("50", "new", "200", group)
	if got := join(a, 50)[0]; got.Name != "new" || got.AllocID != allocA {
		t.Errorf("reused: %+v", got)
	}
	write("60", "late", "300", "0::/\n")
	join(a, 50, 60)
	write("60", "late", "300", group) // moved into its group after it began
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
			e := newEngine(startDockerd(t, d), time.Now, slog.New(slog.DiscardHandler))
			var wg sync.WaitGroup
			ctx, cancel := context.WithCancel(t.Context())
			defer wg.Wait()
			defer cancel()
			wg.Go(func() { e.run(ctx) })
			for _, at := range []struct {
				tree string
				pid  int
			}{{"v2", 103}, {"v1", 203}} {
				a := newAttributor(filepath.Join("testdata", at.tree), e, time.Now)
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
			if tc.code == 500 && e.failures() != 1 {
				t.Errorf("failures: %d", e.failures())
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
