package wire

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/charmbracelet/x/exp/golden" // for its -update flag, which make golden gives every package
	"github.com/rogpeppe/go-internal/testscript"

	"stoker/gpu/nvml"
)

// TestMain runs this binary again as stoker where a script says so: the whole
// program, with its own process, streams and exit code.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stoker":   func() { os.Exit(Main("v0.0.0-test", os.Args[1:])) },
		"gpu-task": gpuTask,
		"burn":     burn,
	})
}

// TestScript plays testdata/script against a recorded Nomad. Beside testscript's
// own commands there are
//
//	exits CODE COMMAND...   run a command, which must end with the exit code
//	steady FILE             write the standard output to FILE, its times of just now as NOW
//	asked TEXT...           the Nomad was asked for something that holds all texts
//	deny PATH               from now on it refuses what begins with PATH
//	late                    from now on an agent that does not answer is registered
func TestScript(t *testing.T) {
	bodies := recordedBodies(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       flag.Lookup("update").Value.String() == "true",
		Setup:               func(env *testscript.Env) error { return prepare(env, bodies) },
		Condition: func(name string) (bool, error) {
			if name != "driver" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			_, err := nvml.Load()
			return !errors.Is(err, nvml.ErrNoDriver), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "steady": steady, "asked": asked,
			"deny": func(ts *testscript.TestScript, _ bool, args []string) {
				s := theSite(ts)
				s.mu.Lock()
				defer s.mu.Unlock()
				s.deny = args[0]
			},
			"late": func(ts *testscript.TestScript, _ bool, _ []string) {
				s := theSite(ts)
				s.mu.Lock()
				defer s.mu.Unlock()
				s.late = port(ts.Getenv("NOWHERE"))
			},
		},
	})
}

type siteKey struct{}

func theSite(ts *testscript.TestScript) *site { return ts.Value(siteKey{}).(*site) }

// prepare gives a script a Nomad, a home and named contexts.
func prepare(env *testscript.Env, bodies string) error {
	s, closeSite, err := newSite(bodies)
	if err != nil {
		return err
	}
	env.Defer(closeSite)
	env.Values[siteKey{}] = s
	closed, err := nobody()
	if err != nil {
		return err
	}
	nowhere := "http://127.0.0.1:" + closed
	home := filepath.Join(env.WorkDir, "home")
	env.Setenv("HOME", home)
	env.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector's default is a second for each process
	env.Setenv("NOMAD_ADDR", s.URL)
	env.Setenv("NOWHERE", nowhere)
	env.Setenv("AUDIT", filepath.Join(home, ".local", "state", "stoker", "audit.jsonl"))
	env.Setenv("SHIPPED", filepath.Join(bodies, "..", "..", "..", "scenarios", "library"))
	config := fmt.Sprintf(`current: prod
contexts:
  prod: { production: true, nomad: { address: %q } }
  safe: { read_only: true, nomad: { address: %q } }
  gone: { nomad: { address: %q }, vault: { address: "https://127.0.0.1:8200" } }
`, s.URL, s.URL, nowhere)
	dir := filepath.Join(home, ".config", "stoker")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(config), 0o600)
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("%s ended with exit code %d, want %d\n%s%s", strings.Join(args[1:], " "), code, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// steady takes the clock out of an answer: times of the last minutes differ in
// each run, while those that Nomad recorded stay.
func steady(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: steady FILE")
	}
	text := regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`).ReplaceAllStringFunc(ts.ReadFile("stdout"), func(s string) string {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err == nil && time.Since(at).Abs() < 5*time.Minute {
			return "NOW"
		}
		return s
	})
	text = regexp.MustCompile(`("window_seconds": )[0-9.]+`).ReplaceAllString(text, "${1}WINDOW")
	text = strings.NewReplacer(theSite(ts).URL, "NOMAD", ts.Getenv("NOWHERE"), "NOWHERE").Replace(text)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

func asked(ts *testscript.TestScript, neg bool, args []string) {
	if found := theSite(ts).requests(args...); (len(found) == 0) != neg {
		ts.Fatalf("asked for %q: %q", args, found)
	}
}
