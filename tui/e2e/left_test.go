package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// trace is what tells that something on this machine is the lab's. It is read
// while the lab is there and used when it should be gone.
type trace struct {
	home, dir     string
	mark          string          // in the environment of all its processes
	driver, image string          // of its tasks
	allocs        map[string]bool // ids: of folders, cgroups and containers
}

const allocIDLength = 36

func (w *world) trace() trace {
	t := trace{home: w.home, dir: w.labDir(), allocs: map[string]bool{}}
	var state struct{ Mark, Driver, Image string }
	raw, err := os.ReadFile(filepath.Join(t.dir, "state.json"))
	if err == nil && json.Unmarshal(raw, &state) == nil {
		t.mark, t.driver, t.image = state.Mark, state.Driver, state.Image
	}
	dirs, _ := filepath.Glob(filepath.Join(t.dir, "[0-9]*", "*"))
	for _, d := range dirs {
		if id := filepath.Base(d); len(id) == allocIDLength {
			t.allocs[id] = true
		}
	}
	return t
}

// left lists processes, mounts, cgroups, containers and files of the lab.
func (t trace) left() []string {
	left := mountsOf(t.home)
	for _, p := range processes() {
		if p.of(t) {
			left = append(left, fmt.Sprintf("process %d: %s", p.pid, bytes.ReplaceAll(p.cmdline, []byte{0}, []byte(" "))))
		}
	}
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && len(d.Name()) > allocIDLength && t.allocs[d.Name()[:allocIDLength]] {
			left = append(left, "cgroup "+path)
		}
		return nil
	})
	if _, err := os.Lstat(t.dir); err == nil {
		left = append(left, "folder "+t.dir)
	}
	if t.driver == "docker" {
		left = append(left, t.leftInEngine(context.Background(), engineSocket())...)
	}
	return left
}

func mountsOf(home string) (left []string) {
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, home+"/") {
			left = append(left, "mount "+strings.TrimSpace(line))
		}
	}
	return left
}

type process struct {
	pid                   int
	cmdline, environ, cwd []byte
}

// processes are all but this one and those that the kernel shows only to others.
func processes() (all []process) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		p := process{pid: pid}
		at := filepath.Join("/proc", e.Name())
		p.cmdline, _ = os.ReadFile(filepath.Join(at, "cmdline"))
		p.environ, _ = os.ReadFile(filepath.Join(at, "environ"))
		cwd, _ := os.Readlink(filepath.Join(at, "cwd"))
		p.cwd = []byte(cwd)
		all = append(all, p)
	}
	return all
}

// of tells a process of the lab: by its mark, by its folder, or as one of a task.
func (p process) of(t trace) bool {
	in := func(text []byte) bool { return bytes.Contains(text, []byte(t.home+"/")) }
	return in(p.cmdline) || in(p.cwd) || p.task(t) ||
		t.mark != "" && slices.Contains(p.vars(), "STOKER_LAB_MARK="+t.mark)
}

// task tells a process of one of the lab's tasks, whatever its driver.
func (p process) task(t trace) bool {
	return slices.ContainsFunc(p.vars(), func(kv string) bool {
		id, found := strings.CutPrefix(kv, "NOMAD_ALLOC_ID=")
		return found && t.allocs[id]
	})
}

func (p process) vars() []string { return strings.Split(string(p.environ), "\x00") }

func engineSocket() string {
	if path, found := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://"); found {
		return path
	}
	return "/var/run/docker.sock"
}

// leftInEngine lists containers of the lab's allocations or with a folder of the
// lab in them, and the lab's image unless somebody else uses it.
func (t trace) leftInEngine(ctx context.Context, socket string) (left []string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	get := func(path string, out any) int {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker"+path, nil)
		if err != nil {
			left = append(left, err.Error())
			return 0
		}
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			left = append(left, fmt.Sprintf("the engine cannot be asked: %v", err))
			return 0
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
			left = append(left, fmt.Sprintf("the engine's answer to %s: %v", path, err))
		}
		return resp.StatusCode
	}
	var containers []struct {
		ID, Image string
		Names     []string
		Labels    map[string]string
		Mounts    []struct{ Source string }
	}
	get("/containers/json?all=1", &containers)
	shared := false
	for _, c := range containers {
		switch {
		case t.allocs[c.Labels["com.hashicorp.nomad.alloc_id"]],
			slices.ContainsFunc(c.Mounts, func(m struct{ Source string }) bool { return strings.HasPrefix(m.Source, t.home+"/") }):
			left = append(left, fmt.Sprintf("container %s %v", c.ID, c.Names))
		case c.Image == t.image:
			shared = true
		}
	}
	if t.image == "" || shared {
		return left
	}
	if code := get("/images/"+(&url.URL{Path: t.image}).EscapedPath()+"/json", new(any)); code != http.StatusNotFound && code != 0 {
		left = append(left, fmt.Sprintf("image %s (status %d)", t.image, code))
	}
	return left
}

// TestLeftInEngine holds that what is left is found, and that what somebody else
// has is not; it needs no lab.
func TestLeftInEngine(t *testing.T) {
	const mine, other = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
	container := func(id, alloc, mount string) string {
		return fmt.Sprintf(`{"Id":%q,"Names":["/t-%s"],"Image":"stoker-lab:1","Labels":{"com.hashicorp.nomad.alloc_id":%q},"Mounts":[{"Source":%q}]}`, id, alloc, alloc, mount)
	}
	for name, tt := range map[string]struct {
		containers string
		image      int
		want       []string
	}{
		"nothing":                {``, 404, nil},
		"a container":            {container("c1", mine, "/x"), 404, []string{"container c1 [/t-" + mine + "]"}},
		"one of a lost folder":   {container("c2", other, "/tmp/st1/s/stoker/tests/0/x"), 404, []string{"container c2 [/t-" + other + "]"}},
		"the image":              {``, 200, []string{"image stoker-lab:1 (status 200)"}},
		"another lab's, in use":  {container("c3", other, "/tmp/st12/s"), 200, nil},
		"an engine out of order": {`{`, 404, []string{"the engine's answer to /containers/json?all=1: invalid character ']' looking for beginning of object key string"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "eng") // t.TempDir is too long for a socket on some systems
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			socket := filepath.Join(dir, "s")
			l, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/containers/json" {
					fmt.Fprintf(w, "[%s]", tt.containers)
					return
				}
				w.WriteHeader(tt.image)
				fmt.Fprint(w, `{}`)
			}))
			_ = srv.Listener.Close()
			srv.Listener = l
			srv.Start()
			defer srv.Close()
			seen := trace{home: "/tmp/st1", image: "stoker-lab:1", driver: "docker", allocs: map[string]bool{mine: true}}
			if got := seen.leftInEngine(t.Context(), socket); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestLeftProcess holds that a process is found by what it got from the lab.
func TestLeftProcess(t *testing.T) {
	seen := trace{home: "/tmp/st1", mark: "m", allocs: map[string]bool{"a": true}}
	for name, tt := range map[string]struct {
		p    process
		want bool
	}{
		"nobody's":      {process{cmdline: []byte("sleep\x00/tmp/st12/x"), environ: []byte("STOKER_LAB_MARK=mm\x00NOMAD_ALLOC_ID=b\x00")}, false},
		"its arguments": {process{cmdline: []byte("nomad\x00-config=/tmp/st1/x")}, true},
		"its folder":    {process{cwd: []byte("/tmp/st1/s")}, true},
		"the mark":      {process{environ: []byte("A=b\x00STOKER_LAB_MARK=m\x00")}, true},
		"a task":        {process{environ: []byte("NOMAD_ALLOC_ID=a\x00X=")}, true},
	} {
		if got := tt.p.of(seen); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestMarksIn holds that a mark is found wherever it lies in a file, across the
// pieces in which it is read too.
func TestMarksIn(t *testing.T) {
	marks := map[string][]byte{"word": []byte("secret"), "key": bytes.Repeat([]byte{0, '\n', 0xff}, 11)}
	path := filepath.Join(t.TempDir(), "f")
	for _, at := range []int{0, 1<<20 - 40, 1<<20 - 3, 1 << 20, 1<<20 + 30, 1<<21 + 20, 5 << 20} {
		for name, mark := range marks {
			text := append(make([]byte, at), mark...)
			if err := os.WriteFile(path, append(text, make([]byte, at%7)...), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := marksIn(path, marks); !slices.Equal(got, []string{name}) {
				t.Errorf("%s at %d: found %v", name, at, got)
			}
		}
	}
	if err := os.WriteFile(path, []byte("secre"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := marksIn(path, marks); len(got) != 0 {
		t.Errorf("found %v in half a word", got)
	}
}
