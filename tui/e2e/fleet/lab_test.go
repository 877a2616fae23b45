package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stoker/cluster/lab"
	"stoker/tui/e2e/measure"
)

// patience is more than a slow machine needs.
const patience = 2 * time.Minute

// world is a lab with a fleet, and how to use it.
type world struct {
	bin   string // folder of the built programs
	home  string // of the lab's state
	name  string
	lab   *lab.Lab
	nodes int // of the fleet
	env   map[string]string
}

// newWorld brings a lab with a fleet up, and takes it down at the end.
func newWorld(tb testing.TB, nodes int, upOptions ...string) *world {
	tb.Helper()
	w := &world{bin: os.Getenv("STOKER_BIN"), name: cmp.Or(os.Getenv("STOKER_FLEET_NAME"), "fleet"), nodes: nodes}
	if w.bin == "" {
		tb.Fatal("STOKER_BIN names no folder of built programs: run make bench-fleet or make soak")
	}
	home, err := os.MkdirTemp("/tmp", "fl")
	if err != nil {
		tb.Fatal(err)
	}
	w.home = home
	tb.Cleanup(func() {
		if err := w.must("lab", "down", "--name", w.name); err != nil {
			tb.Error(err)
			return // what is left lies there
		}
		if err := os.RemoveAll(home); err != nil {
			tb.Error(err)
		}
	})
	began := time.Now()
	args := append([]string{"lab", "up", "--name", w.name, "--driver", "raw_exec", "--fleet", fmt.Sprint(nodes)}, upOptions...)
	if err := w.must(args...); err != nil {
		tb.Fatal(err)
	}
	tb.Logf("lab up --fleet %d took %.1f s", nodes, time.Since(began).Seconds())
	if w.lab, err = lab.Open(filepath.Join(home, "stoker", w.name)); err != nil {
		tb.Fatal(err)
	}
	vars, err := w.lab.Env()
	if err != nil {
		tb.Fatal(err)
	}
	w.env = map[string]string{}
	for _, kv := range vars {
		k, v, _ := strings.Cut(kv, "=")
		w.env[k] = v
	}
	return w
}

// environment is a person's with a good terminal, without what stands in this one's.
func (w *world) environment() []string {
	env := []string{
		"TERM=xterm-256color", "COLORTERM=truecolor", "LANG=C.UTF-8",
		"XDG_STATE_HOME=" + w.home, "XDG_CONFIG_HOME=" + filepath.Join(w.home, "config"),
	}
	for _, name := range []string{"PATH", "HOME", "XDG_CACHE_HOME", "GOFLAGS"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func (w *world) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(w.bin, "stoker"), args...)
	cmd.Env = w.environment()
	return cmd
}

// must runs stoker and gives what it said when it fails.
func (w *world) must(args ...string) error {
	if out, err := w.command(args...).CombinedOutput(); err != nil {
		return fmt.Errorf("stoker %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// open starts stoker's screen in a terminal of 120x40.
func (w *world) open(env ...string) (*measure.Terminal, error) {
	cmd := w.command("--context", w.name)
	cmd.Env = append(cmd.Env, env...)
	return measure.Open(120, 40, cmd)
}

// nomad asks the first server.
func (w *world) nomad(method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(method, w.env["NOMAD_ADDR"]+path, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	req.Header.Set("X-Nomad-Token", w.env["NOMAD_TOKEN"])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// pids are the processes of the lab by the name of their part.
func (w *world) pids(ctx context.Context) (map[string]int, error) {
	st, err := w.lab.Status(ctx)
	out := map[string]int{}
	for _, p := range st.Parts {
		out[p.Name] = p.PID
	}
	return out, err
}

// wander finds the program that stoker is compared with, in a checkout's tools.
func (w *world) wander(ctx context.Context, tb testing.TB) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	tool := lab.Tool{Name: "wander", Module: "github.com/robinovitch61/wander", Expected: time.Minute}
	src := filepath.Join(w.bin, "..", "cluster", "lab", "tools")
	path, err := lab.Tools(ctx, tool, src, filepath.Join(cache, "stoker", "tools"), func(p lab.Progress) {
		if p.Done {
			tb.Log(p.Text)
		}
	})
	return path, err
}
