package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const firstDeploy = "scenarios/library/first-deploy.yaml"

// TestFirstDeploy runs the main job three times in a row; what stoker shows
// agrees with Nomad's and Vault's own records, and nothing is left.
func TestFirstDeploy(t *testing.T) {
	w := need(t)
	for i := range 3 {
		junit := filepath.Join(t.TempDir(), "report.xml")
		agreed := make(chan []string, 1)
		go func() { agreed <- watchRun(t, w) }()
		r := stoker(t, "run", firstDeploy, "--report", "junit="+junit)
		if r.code != 0 {
			t.Fatalf("run %d: exit %d\n%s%s", i+1, r.code, r.out, r.err)
		}
		if wrong := <-agreed; len(wrong) > 0 {
			t.Errorf("while it ran:\n%s", strings.Join(wrong, "\n"))
		}
		raw, err := os.ReadFile(junit)
		var suite struct {
			XMLName xml.Name
		}
		if err != nil || xml.Unmarshal(raw, &suite) != nil {
			t.Errorf("the JUnit report is no XML: %v\n%s", err, raw)
		}
		nothingLeft(t)
	}
	audit, err := os.ReadFile(w.lab.AuditLog())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"transit/datakey/plaintext/models", "transit/decrypt/models"} {
		if !bytes.Contains(audit, []byte(path)) {
			t.Errorf("Vault's audit log has no %s", path)
		}
	}
}

// watchRun waits until the job serves and compares stoker with nomad.
func watchRun(t *testing.T, w *world) (wrong []string) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for time.Now().Before(deadline) {
		if len(heldBy(t, "default/digits")) == 2 {
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	held := heldBy(t, "default/digits")
	if len(held) != 2 {
		return []string{"stoker never showed two GPUs held by digits"}
	}
	seen := official(t, "operator", "api", "/v1/allocations?resources=true")
	for _, uuid := range held {
		if !strings.Contains(seen, uuid) {
			wrong = append(wrong, "nomad's allocations know nothing of "+uuid)
		}
	}
	if out := official(t, "job", "status", "-short", "digits"); !strings.Contains(out, "running") {
		wrong = append(wrong, "nomad job status digits: "+out)
	}
	if out := official(t, "node", "status"); strings.Count(out, "ready") != 3 {
		wrong = append(wrong, "nomad node status: "+out)
	}
	return wrong
}

func nothingLeft(t *testing.T) {
	t.Helper()
	eventually(t, 20*time.Second, func() string {
		for _, g := range rows(t, "gpus") {
			if g["held_by"] != nil {
				return "a GPU is held by " + g["held_by"].(string)
			}
		}
		for _, j := range rows(t, "jobs") {
			if j["job"] != "stoker-agent" {
				return "job left: " + j["job"].(string)
			}
		}
		return ""
	})
}

// TestInterrupted: ctrl+c in the middle of a scenario cleans up.
func TestInterrupted(t *testing.T) {
	w := need(t)
	cmd := w.command(3*time.Minute, "--context", labName, "run", firstDeploy)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "[3/") { // training runs
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit %d, want 130\n%s", code, said.String())
	}
	nothingLeft(t)
}

// TestScenarioCheck needs no cluster and says every mistake with its line.
func TestScenarioCheck(t *testing.T) {
	need(t)
	if r := run(t, time.Minute, nil, "run", "--check", firstDeploy); r.code != 0 {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("name: x\nsteps:\n  - name: a\n    assert: [ 'len(gpu' ]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := run(t, time.Minute, nil, "run", "--check", bad); r.code != 2 || !strings.Contains(r.err, "bad.yaml:4") {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
}

// train seals a version of the reference model and returns its digest.
func train(t *testing.T, version string) (digest string) {
	t.Helper()
	ok(t, "submit", "train-digits", "-v", "version="+version, "-v", "step_delay=0s", "--yes", "--wait", "--timeout", "2m")
	t.Cleanup(func() { stoker(t, "stop", "train-digits", "--purge", "--yes") })
	var v struct{ Items map[string]string }
	raw := official(t, "var", "get", "-out", "json", "stoker/models/digits/"+version)
	// The official tool prints a link after the JSON.
	if err := json.NewDecoder(strings.NewReader(raw)).Decode(&v); err != nil {
		t.Fatalf("registry: %v\n%s", err, raw)
	}
	return v.Items["digest"]
}

func serve(t *testing.T, version, digest string) {
	t.Helper()
	ok(t, "submit", "digits", "-v", "version="+version, "-v", "digest="+digest, "--yes", "--wait", "--timeout", "2m")
	t.Cleanup(func() { stoker(t, "stop", "digits", "--purge", "--yes") })
}

// TestNoPlaintext looks for the model in everything that a node keeps: after
// training, while it is served, after a stop and after a kill.
func TestNoPlaintext(t *testing.T) {
	w := need(t)
	digest := train(t, "plain")
	look(t, w, "after training")
	serve(t, "plain", digest)
	if len(plaintext(w, false)) == 0 {
		t.Fatal("the search does not find the model where it must be: in the server's secrets folder")
	}
	onDisk(t, w, "while it is served")
	ok(t, "stop", "digits", "--yes")
	eventually(t, 30*time.Second, func() string { return strings.Join(plaintext(w, false), "\n") })
	look(t, w, "after a stop")

	serve(t, "plain", digest)
	killServer(t)
	ok(t, "stop", "digits", "--yes")
	eventually(t, 30*time.Second, func() string { return strings.Join(plaintext(w, false), "\n") })
}

// look fails when the model lies anywhere in plain.
func look(t *testing.T, w *world, when string) {
	t.Helper()
	if found := plaintext(w, false); len(found) > 0 {
		t.Errorf("%s the model lies in plain in:\n%s", when, strings.Join(found, "\n"))
	}
}

// onDisk leaves out memory filesystems: a server must have the model somewhere.
func onDisk(t *testing.T, w *world, when string) {
	t.Helper()
	if found := plaintext(w, true); len(found) > 0 {
		t.Errorf("%s the model lies in plain on disk in:\n%s", when, strings.Join(found, "\n"))
	}
}

// marks are what only an opened model, a checkpoint or an unwrapped key holds.
func marks() []string { return []string{`"stoker-classifier/1"`, `"stoker-checkpoint/1"`} }

func plaintext(w *world, diskOnly bool) []string {
	args := []string{"-r", "-l", "-a", "--binary-files=text"}
	for _, m := range marks() {
		args = append(args, "-e", m)
	}
	// The programs themselves hold the words, and so does no other file.
	args = append(args, "--exclude=workload", "--exclude=stoker", "--exclude=stoker-static", w.lab.Dir())
	out, _ := exec.Command("grep", args...).Output()
	var found []string
	for _, path := range strings.Fields(string(out)) {
		if diskOnly && strings.Contains(path, "/secrets/") {
			continue
		}
		found = append(found, path)
	}
	return found
}

// killServer kills the process that opened the model, as the kernel would.
func killServer(t *testing.T) {
	t.Helper()
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	killed := 0
	for _, p := range procs {
		raw, _ := os.ReadFile(p)
		// The opener and its server, or in containers the server alone.
		if strings.Contains(string(raw), "open\x00urn:stoker:model:digits:plain") || strings.Contains(string(raw), "serve\x00--name\x00digits\x00--version\x00plain") {
			pid := strings.Split(p, "/")[2]
			if exec.Command("kill", "-9", pid).Run() == nil {
				killed++
			}
		}
	}
	if killed == 0 {
		t.Fatal("found no server to kill")
	}
}

// TestNoPlaintextAfterFailure: a training whose model cannot be sealed fails,
// says why, and leaves neither model nor checkpoint.
func TestNoPlaintextAfterFailure(t *testing.T) {
	w := need(t)
	t.Cleanup(func() { stoker(t, "stop", "train-digits", "--purge", "--yes") })
	ok(t, "submit", "train-digits", "-v", "version=fails", "-v", "seal_key=absent", "-v", "step_delay=0s", "--yes")
	eventually(t, time.Minute, func() string {
		if strings.Contains(ok(t, "logs", "train-digits", "--stderr"), "denied") {
			return ""
		}
		return "no log says that the key is denied"
	})
	ok(t, "stop", "train-digits", "--yes")
	eventually(t, time.Minute, func() string { return strings.Join(plaintext(w, false), "\n") })
}

// TestNoSecretShown: no key or token in a log, a job definition or an environment.
func TestNoSecretShown(t *testing.T) {
	w := need(t)
	digest := train(t, "secret")
	serve(t, "secret", digest)
	env, err := w.lab.Env()
	if err != nil {
		t.Fatal(err)
	}
	var tokens []string
	for _, kv := range env {
		if name, v, _ := strings.Cut(kv, "="); strings.HasSuffix(name, "_TOKEN") {
			tokens = append(tokens, strings.Trim(v, `"'`))
		}
	}
	if len(tokens) != 2 {
		t.Fatalf("%d tokens in the lab's environment, want 2", len(tokens))
	}
	shown := map[string]string{
		"logs of train-digits": ok(t, "logs", "train-digits"), "logs of digits": ok(t, "logs", "digits"),
		"job train-digits": official(t, "job", "inspect", "train-digits"), "job digits": official(t, "job", "inspect", "digits"),
		"keys": ok(t, "get", "keys", "-o", "json"), "doctor": ok(t, "doctor"), "contexts": ok(t, "contexts"),
	}
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, p := range environs {
		raw, _ := os.ReadFile(p)
		if bytes.Contains(raw, []byte("NOMAD_ALLOC_ID=")) {
			shown["environment "+p] = string(raw)
		}
	}
	for where, text := range shown {
		for _, token := range tokens {
			if strings.Contains(text, token) {
				t.Errorf("%s shows an operator's token", where)
			}
		}
		for _, mark := range []string{"hvs.", "vault:v1:", "hvb."} {
			if strings.Contains(text, mark) {
				t.Errorf("%s shows %s…", where, mark)
			}
		}
	}
}

// TestNoRight: a job without the right to the key fails and says so.
func TestNoRight(t *testing.T) {
	need(t)
	digest := train(t, "noright")
	r := stoker(t, "submit", "digits", "-v", "job_id=intruder", "-v", "version=noright", "-v", "digest="+digest, "--yes")
	if r.code != 0 {
		t.Fatalf("submit: exit %d\n%s", r.code, r.err)
	}
	t.Cleanup(func() { stoker(t, "stop", "intruder", "--purge", "--yes") })
	eventually(t, time.Minute, func() string {
		for _, a := range rowsWhere(t, "allocs", "job", "intruder") {
			if a["status"] == "running" {
				t.Fatal("a job without the right opened the model")
			}
			if a["status"] == "failed" {
				if said, _ := a["last_event"].(string); !strings.Contains(said, "claim \"nomad_job_id\" does not match") {
					t.Errorf("the failed job says %q", said)
				}
				return ""
			}
		}
		return "the job without the right has not failed yet"
	})
}

// TestUpAfterCrash: everything is killed; up repairs it, and a model that was
// sealed before still opens.
func TestUpAfterCrash(t *testing.T) {
	w := need(t)
	digest := train(t, "crash")
	for _, p := range parts(t, w) {
		if p > 0 {
			_ = exec.Command("kill", "-9", itoa(p)).Run()
		}
	}
	if r := run(t, 3*time.Minute, nil, "lab", "up", "--name", labName); r.code != 0 {
		t.Fatalf("lab up after a crash: exit %d\n%s", r.code, r.err)
	}
	if r := run(t, 3*time.Minute, nil, "lab", "up", "--name", labName); r.code != 0 {
		t.Fatalf("lab up twice: exit %d\n%s", r.code, r.err)
	}
	eventually(t, time.Minute, func() string {
		for _, n := range rows(t, "nodes") {
			if n["status"] != "ready" {
				return n["node"].(string) + " is not ready"
			}
		}
		return ""
	})
	serve(t, "crash", digest)
}

func parts(t *testing.T, w *world) []int {
	t.Helper()
	st, err := w.lab.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, p := range st.Parts {
		pids = append(pids, p.PID)
	}
	return pids
}

func itoa(n int) string { raw, _ := json.Marshal(n); return string(raw) }
