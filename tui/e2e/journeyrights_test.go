package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// visitor is somebody with less than all rights: contexts of a config of their
// own, each with a token in a file.
type visitor struct {
	t   *testing.T
	w   *world
	dir string
	env []string
}

// visit makes a context of the lab for each name.
func visit(t *testing.T, names ...string) *visitor {
	t.Helper()
	v := &visitor{t: t, w: need(t), dir: t.TempDir()}
	v.env = []string{"XDG_CONFIG_HOME=" + v.dir}
	config := "contexts:\n"
	for _, name := range names {
		config += fmt.Sprintf("  %s: { nomad: { address: %q, token_file: %q } }\n", name, labEnv(t, "NOMAD_ADDR"), v.file(name))
	}
	if err := os.Mkdir(filepath.Join(v.dir, "stoker"), 0o700); err != nil {
		t.Fatal(err)
	}
	v.write(filepath.Join("stoker", "config.yaml"), config)
	return v
}

func (v *visitor) file(name string) string { return filepath.Join(v.dir, name) }

func (v *visitor) write(name, text string) string {
	v.t.Helper()
	if err := os.WriteFile(v.file(name), []byte(text), 0o600); err != nil {
		v.t.Fatal(err)
	}
	return v.file(name)
}

// must runs the official program for what has to work.
func (v *visitor) must(args ...string) string {
	v.t.Helper()
	out, err := v.w.official(args...)
	if err != nil {
		v.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// policy makes a policy until the test ends.
func (v *visitor) policy(name, rules string) {
	v.t.Helper()
	v.must("acl", "policy", "apply", name, v.write(name+".hcl", rules))
	v.t.Cleanup(func() { _, _ = v.w.official("acl", "policy", "delete", name) })
}

// token puts a new token with a policy into the file of a context.
func (v *visitor) token(context, policy string, more ...string) {
	v.t.Helper()
	args := append([]string{"acl", "token", "create", "-name", "e2e " + context, "-policy", policy, "-t", "{{.SecretID}} {{.AccessorID}}"}, more...)
	secret, accessor, _ := strings.Cut(v.must(args...), " ")
	v.write(context, secret)
	v.t.Cleanup(func() { _, _ = v.w.official("acl", "token", "delete", accessor) })
}

// space makes a namespace until the test ends.
func (v *visitor) space(name string) {
	v.t.Helper()
	v.must("namespace", "apply", name)
	v.t.Cleanup(func() { // it goes when its jobs are gone
		eventually(v.t, func() error { _, err := v.w.official("namespace", "delete", name); return err })
	})
}

// job runs a small job until the test ends.
func (v *visitor) job(name, namespace string) {
	v.t.Helper()
	v.must("job", "run", "-detach", v.write(name+".hcl", fmt.Sprintf(`job %q {
  namespace = %q
  group "g" {
    task "t" {
      driver = "raw_exec"
      config {
        command = "/bin/sleep"
        args    = ["3600"]
      }
      resources {
        cpu    = 10
        memory = 10
      }
    }
  }
}
`, name, namespace)))
	v.t.Cleanup(func() { v.must("job", "stop", "-purge", "-namespace", namespace, name) })
}

func (v *visitor) stoker(context string, args ...string) result {
	v.t.Helper()
	return run(v.t, v.env, append([]string{"--context", context}, args...)...)
}

// refused wants exit code 4 and the capability in what is said.
func (v *visitor) refused(context, capability string, args ...string) {
	v.t.Helper()
	r := v.stoker(context, args...)
	if r.code != 4 || !strings.Contains(r.err, capability) || !strings.Contains(r.err, "hint: ") {
		v.t.Errorf("%s: exit %d, want 4 and %s\n%s%s", strings.Join(args, " "), r.code, capability, r.out, r.err)
	}
}

// spaces are the namespaces of the jobs that a context shows.
func (v *visitor) spaces(context string) (r result, names []string) {
	v.t.Helper()
	r = v.stoker(context, "get", "jobs", "-o", "json")
	var jobs []struct{ Namespace string }
	if err := json.Unmarshal([]byte(r.out), &jobs); err != nil {
		v.t.Fatalf("get jobs: %v\n%s%s", err, r.out, r.err)
	}
	for _, j := range jobs {
		names = append(names, j.Namespace)
	}
	slices.Sort(names)
	return r, slices.Compact(names)
}

// TestJourneyReadOnlyToken looks at all that a token with few rights may see,
// and is told what it may not do before the key is pressed, and why.
func TestJourneyReadOnlyToken(t *testing.T) {
	v := visit(t, "reader", "jobs", "short")
	t.Cleanup(func() { eventually(t, v.w.unharmed) }) // after the journeys with faults, which end before this
	for _, name := range []string{"jo-one", "jo-two", "jo-three"} {
		v.space(name)
		v.job(name+"-a", name)
	}
	const two = `namespace "jo-one" { capabilities = ["list-jobs", "read-job", "read-logs"] }
namespace "jo-two" { policy = "read" }
`
	v.policy("e2e-jobs", two)
	v.policy("e2e-reader", two+`node { policy = "read" }`)
	v.token("reader", "e2e-reader")
	v.token("jobs", "e2e-jobs")
	v.token("short", "e2e-reader", "-ttl", "61s") // a minute is the least that Nomad gives
	short := open(t, 120, 40, v.env, "--context", "short")
	short.sees("GPUs 20", "token of nomad", "ends within a minute")

	m := open(t, 120, 40, v.env, "--context", "reader")
	m.sees("GPUs 20", "gpu-a", "nomad ● live")
	m.keys("2")
	m.sees("3 nodes", "the token lacks node:write")
	m.misses("d drain")
	m.keys("d")
	m.sees("drain: the token lacks node:write")
	m.keys("?")
	m.sees("the token lacks node:write to move all work off")
	m.keys("Escape")
	m.misses("to move all work off")
	m.keys("S")
	m.sees("train-digits")
	m.keys("Enter")
	m.sees("cannot be submitted here: the token lacks submit-job")
	m.keys("Escape") // a form types
	m.misses("cannot be submitted")
	m.command("jobs")
	m.sees("jo-one-a", "jo-two-a", "the token lacks scale-job")
	for _, name := range []string{"jo-three", "jo-one", "jo-two"} { // each has a stream of its own
		v.job(name+"-b", name)
	}
	m.sees("jo-one-b", "jo-two-b")
	if s := m.screen(); strings.Contains(s, "jo-three") {
		t.Errorf("a namespace that it may not read:\n%s", s)
	}
	m.keys("x")
	m.sees("stop: the token lacks submit-job")
	v.looks(m)
	// Who may not read nodes is told so, and what it may read is live.
	jobs := open(t, 120, 40, v.env, "--context", "jobs", "--screen", "jobs")
	jobs.sees("jo-one-b", "jo-two-b", "denied")
	v.job("jo-two-c", "jo-two")
	jobs.sees("jo-two-c")

	v.lines()
	v.renewed(short)
}

// looks goes the ways that only look, with a token that may do no more.
func (v *visitor) looks(m *terminal) {
	v.t.Helper()
	inject(v.t, "gpu-b/2 thermal")
	v.t.Cleanup(func() { _, _ = v.w.fault("clear") })
	m.command("gpus")
	m.sees("20 GPUs")
	m.command("sort temp desc")
	m.sees("TEMP▾", "1 degraded") // it is the first by now
	m.keys("g")
	m.cursorOn("gpu-b/2")
	m.keys("Enter")
	m.sees("because of heat")
	m.keys("Escape")
	m.sees("20 GPUs", "TEMP▾")
	v.must("job", "run", "-detach", v.write("jo-two-w.hcl", gpuJob("jo-two-w", "jo-two", a100, 9))) // a node has eight
	v.t.Cleanup(func() { v.must("job", "stop", "-purge", "-namespace", "jo-two", "jo-two-w") })
	m.command("jobs jo-two-w")
	m.sees("jo-two-w", "waiting")
	m.keys("g", "w")
	// What others hold is out of its sight, so only what Nomad counted is sure.
	m.sees("It waits", "what runs on them may not be read", `Nomad says: 3 evaluated, 3 filtered "missing devices"`)
	m.keys("Escape") // with another key behind it, escape is alt
	m.misses("It waits")
	file := filepath.Join(v.t.TempDir(), "few.csv")
	m.command("gpus")
	m.sees("20 GPUs")
	m.keys("/")
	m.types(`node == "gpu-a"`)
	m.keys("Enter")
	m.sees("of 20, esc clears")
	m.command("export " + file)
	m.sees("few.csv")
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), "gpu-a") {
		v.t.Errorf("%v: %s", err, text)
	}
	m.command("ctx reader,jobs")
	m.sees("CLUSTER", "reader", "jobs")
	m.command("ctx reader")
	m.sees("nomad ● live")
}

// lines is what line mode says to tokens with few rights.
func (v *visitor) lines() {
	t := v.t
	t.Helper()
	v.refused("reader", "node:write", "drain", "gpu-a", "--yes")
	v.refused("reader", "node:write", "ineligible", "gpu-a", "--yes")
	v.refused("reader", "submit-job", "stop", "jo-one/jo-one-a", "--yes")
	v.refused("reader", "alloc-lifecycle", "restart", "jo-two/jo-two-a", "--yes")
	if r := v.stoker("reader", "drain", "gpu-a", "--dry-run"); r.code != 0 || !strings.Contains(r.err, "takes no new work") {
		t.Errorf("what a drain would touch: exit %d\n%s%s", r.code, r.out, r.err)
	}
	if r := v.stoker("reader", "explain", "jo-two/jo-two-a"); r.code != 0 {
		t.Errorf("explain: exit %d\n%s%s", r.code, r.out, r.err)
	}
	if r, got := v.spaces("reader"); r.code != 0 || !slices.Equal(got, []string{"jo-one", "jo-two"}) {
		t.Errorf("reader sees the jobs of %q, exit %d\n%s", got, r.code, r.err)
	}
	// Who may not read nodes has the jobs all the same, and hears what is missing.
	if r, got := v.spaces("jobs"); r.code != 0 || !slices.Equal(got, []string{"jo-one", "jo-two"}) || !strings.Contains(r.err, "nomad/nodes: permission denied") {
		t.Errorf("jobs sees the jobs of %q, exit %d, want 0\n%s", got, r.code, r.err)
	}
	v.refused("jobs", "node:read", "drain", "gpu-a", "--yes")
	n, err := v.w.listWhere("nodes", "node", "gpu-a")
	if err != nil || len(n) != 1 || n[0]["eligible"] != true || n[0]["draining"] != false {
		t.Errorf("gpu-a is not as it was: %v, %v", n, err)
	}
}

// renewed sees a token end, and a new one in its file used without a restart.
func (v *visitor) renewed(m *terminal) {
	v.t.Helper()
	m.sees("denied")
	v.token("short", "e2e-reader")
	m.sees("nomad ● live")
	m.keys("4")
	m.sees("jo-one-a", "jo-two-b")
	v.job("jo-one-c", "jo-one") // it is live, and no picture of what was
	m.sees("jo-one-c")
}
