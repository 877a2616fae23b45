package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// terminal is stoker in a real terminal: tmux on a socket of its own.
type terminal struct {
	t      *testing.T
	socket string
}

// open starts a command in a terminal of w by h cells.
func open(t *testing.T, w, h int, env []string, args ...string) *terminal {
	t.Helper()
	world := need(t)
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Fatal("tmux is missing: make setup installs it")
	}
	term := &terminal{t, fmt.Sprintf("stoker-e2e-%d-%d", os.Getpid(), time.Now().UnixNano())}
	cmd := append([]string{filepath.Join(world.bin, "stoker")}, args...)
	new := exec.Command("tmux", append([]string{
		"-L", term.socket, "-f", "/dev/null", "new-session", "-d",
		"-x", fmt.Sprint(w), "-y", fmt.Sprint(h), "env",
	}, append(append(world.env(), env...), cmd...)...)...)
	new.Dir = world.repo
	if out, err := new.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v\n%s", err, out)
	}
	t.Cleanup(func() { _ = term.tmux("kill-server").Run() })
	return term
}

func (m *terminal) tmux(args ...string) *exec.Cmd {
	return exec.Command("tmux", append([]string{"-L", m.socket}, args...)...)
}

func (m *terminal) screen() string {
	out, err := m.tmux("capture-pane", "-p").Output()
	if err != nil {
		return "" // the program has ended
	}
	return string(out)
}

func (m *terminal) keys(keys ...string) {
	m.t.Helper()
	if out, err := m.tmux(append([]string{"send-keys"}, keys...)...).CombinedOutput(); err != nil {
		m.t.Fatalf("send-keys %v: %v\n%s", keys, err, out)
	}
}

// sees waits until all texts are on the screen at once.
func (m *terminal) sees(texts ...string) {
	m.t.Helper()
	m.waits(func(s string) string { return missing(s, texts...) })
}

func (m *terminal) waits(f func(screen string) string) {
	m.t.Helper()
	eventually(m.t, func() error {
		s := m.screen()
		if said := f(s); said != "" {
			return fmt.Errorf("%s on the screen:\n%s", said, s)
		}
		return nil
	})
}

func sizes() [][2]int { return [][2]int{{80, 24}, {120, 40}, {200, 50}} }

// TestScreens walks through every screen at each size.
func TestScreens(t *testing.T) {
	need(t)
	for _, size := range sizes() {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			m := open(t, size[0], size[1], nil, "--context", labName)
			m.sees("GPUs 20", "gpu-a", "gpu-b", "gpu-c", "nomad ●", "vault ● open", "agents ● 3/3")
			m.keys("2")
			m.sees("3 nodes", "gpu-b", "ready")
			m.keys("Enter")
			m.sees("pool default")
			m.keys("Escape") // alone: with another key behind it, it is alt
			m.sees("3 nodes")
			m.keys("3")
			m.sees("20 GPUs", "gpu-a/7")
			m.keys("Enter")
			m.sees("verdict", "H100 80GB", "util", "ECC")
			m.keys("Escape")
			m.sees("20 GPUs")
			m.keys("4")
			m.sees("stoker-agent")
			m.keys("5")
			m.sees("[5 models]")
			m.keys("6")
			m.sees("[6 training]")
			m.keys("7")
			m.sees("[7 keys]", "models")
			m.keys("8")
			m.sees("first-deploy")
			m.keys("9")
			m.sees("[9 events]")
			m.keys(":", "n", "o", "d", "e", "s", "Enter")
			m.sees("3 nodes")
			m.keys("/", "g", "p", "u", "-", "c", "Enter")
			m.waits(func(s string) string {
				if strings.Contains(s, "gpu-a") {
					return "the filter still shows gpu-a"
				}
				return ""
			})
			m.keys("?")
			m.sees("help", "drain")
			m.keys("C-c")
			m.waits(func(s string) string {
				if s != "" {
					return "ctrl+c did not end it"
				}
				return ""
			})
		})
	}
}

// TestDrainOnScreen drains a node with a key, sees what it will touch and says
// no first; in read-only mode the key says why not.
func TestDrainOnScreen(t *testing.T) {
	need(t)
	m := open(t, 120, 40, nil, "--context", labName)
	m.sees("gpu-c")
	m.keys("2")
	m.sees("3 nodes")
	m.keys("G", "d") // the last node
	m.sees("drain node gpu-c", "takes no new work")
	m.keys("Escape")
	m.waits(func(s string) string {
		if strings.Contains(s, "takes no new work") {
			return "the question is still open"
		}
		return ""
	})
	if n := rowsWhere(t, "nodes", "node", "gpu-c"); len(n) != 1 || n[0]["draining"] != false || n[0]["eligible"] != true {
		t.Errorf("after No the node is %v", n)
	}
	ro := open(t, 120, 40, nil, "--context", labName, "--read-only")
	ro.sees("gpu-c", "read-only")
	ro.keys("2")
	ro.sees("3 nodes")
	ro.keys("d")
	ro.sees("read-only mode")
}

// TestSubmitOnScreen runs a training job from its pack's form, by keys alone,
// watches it, and stops it by typing its name.
func TestSubmitOnScreen(t *testing.T) {
	need(t)
	m := open(t, 120, 40, nil, "--context", labName)
	t.Cleanup(func() { stoker(t, "stop", "train-digits", "--purge", "--yes") })
	m.sees("GPUs 20")
	m.keys("S")
	m.sees("train-digits", "Train the digit classifier")
	m.keys("G", "Enter")
	m.sees("VARIABLE", "vault_addr")
	m.keys("C-s")
	m.sees("submit job default/train-digits", "1 start")
	m.keys("y")
	m.sees("default/train-digits submitted, evaluation", "[4 jobs]")
	m.keys("6")
	m.sees("default/train-digits", "running", "GPU UTIL")
	m.keys("x")
	m.sees("stop job default/train-digits")
	m.keys("y")
	m.sees("default/train-digits stopped")
}

// TestDemoOnScreen: the fleet is on the screen while the scenario runs, and
// leaving the screen ends it and cleans up.
func TestDemoOnScreen(t *testing.T) {
	need(t)
	m := open(t, 120, 40, nil, "demo", "--name", labName)
	m.sees("GPUs 20", "[1 fleet]")
	m.keys("8")
	m.sees("first-deploy", "training ends")
	// Where the scenario is not open yet, the first ends the program, and with it
	// the terminal: both are sent at once.
	m.keys("q", "q")
	m.waits(func(s string) string {
		if s != "" {
			return "the program still runs"
		}
		return ""
	})
	nothingLeft(t)
}

// TestLogsOnScreen follows the log of a job.
func TestLogsOnScreen(t *testing.T) {
	need(t)
	m := open(t, 120, 40, nil, "--context", labName)
	m.sees("GPUs 20")
	m.keys("4")
	m.sees("stoker-agent")
	m.keys("l")
	m.sees("log of default/stoker-agent", "serving GPUs")
}

// TestNomadStops: a running screen keeps its last data and says so, a new one
// opens and recovers, and line mode exits 3.
func TestNomadStops(t *testing.T) {
	w := need(t)
	m := open(t, 120, 40, nil, "--context", labName)
	m.sees("GPUs 20", "nomad ● live")
	ctx := context.WithoutCancel(t.Context()) // that of the test is over when it cleans up
	t.Cleanup(func() {
		if err := w.lab.StartServer(ctx, 0); err != nil {
			t.Errorf("start the server again: %v", err)
		}
	})
	if err := w.lab.StopServer(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	m.waits(func(s string) string {
		if strings.Contains(s, "nomad ● live") {
			return "nomad is still called live"
		}
		if !strings.Contains(s, "gpu-a") {
			return "the last data is gone"
		}
		return ""
	})
	fresh := open(t, 120, 40, nil, "--context", labName)
	fresh.sees("connection refused")
	if r := stoker(t, "get", "nodes"); r.code != 3 {
		t.Errorf("line mode exits %d, want 3: %s", r.code, r.err)
	}
	if err := w.lab.StartServer(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	m.sees("nomad ● live")
	fresh.sees("nomad ● live", "gpu-a")
	eventually(t, w.whole)
}

// TestNodeDiesOnScreen: a client is killed; a running screen shows it as down
// within its heartbeat, the rest live, and sees it come back.
func TestNodeDiesOnScreen(t *testing.T) {
	w := need(t)
	m := open(t, 120, 40, nil, "--context", labName)
	m.sees("GPUs 20", "gpu-b", "agents ● 3/3")
	startsNode(t, "gpu-b")
	if err := w.lab.KillNode(t.Context(), "gpu-b"); err != nil {
		t.Fatal(err)
	}
	m.sees("node is down", "nomad ● live")
	m.keys("2")
	m.sees("2 ready", "1 down")
	if err := w.lab.StartNode(t.Context(), "gpu-b"); err != nil {
		t.Fatal(err)
	}
	m.sees("3 ready", "agents ● 3/3")
	eventually(t, w.whole)
}

func missing(s string, texts ...string) string {
	for _, want := range texts {
		if !strings.Contains(s, want) {
			return fmt.Sprintf("no %q", want)
		}
	}
	return ""
}

// TestScenarioOnScreen watches the main job while a script runs it, which sends
// images until all has been seen and is interrupted then.
func TestScenarioOnScreen(t *testing.T) {
	need(t)
	m := open(t, 120, 40, nil, "--context", labName)
	m.sees("GPUs 20")
	r := begin(t, "run", firstDeploy, "-v", "seconds=170") // its step has three minutes
	m.keys("6")
	m.sees("train-digits", "running")
	m.keys("5")
	m.sees("digits", "2/2", "ms")
	m.keys("3")
	m.sees("2 held", "default/digits.server")
	if code := r.interrupt(); code != 130 {
		t.Errorf("run: exit %d, want 130\n%s%s", code, r.out.String(), r.err.String())
	}
	nothingLeft(t)
}
