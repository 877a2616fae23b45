package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"stoker/secrets"
	"stoker/secrets/seal"
	"stoker/secrets/vault"
)

const firstDeploy = "scenarios/library/first-deploy.yaml"

// TestFirstDeploy runs the main job three times in a row; what stoker shows
// agrees with Nomad's and Vault's own records, and nothing is left.
func TestFirstDeploy(t *testing.T) {
	w := need(t)
	for i := range 3 {
		junit := filepath.Join(t.TempDir(), "report.xml")
		running, over := context.WithCancel(t.Context())
		agreed := make(chan error, 1)
		go func() { agreed <- watchRun(running, w) }()
		// How quick the answers are is this machine's affair.
		r, err := w.run(nil, "--context", labName, "run", firstDeploy, "-v", "seconds=30", "-v", "max_p95_seconds=10", "--report", "junit="+junit)
		over()
		watched := <-agreed
		if err != nil {
			t.Fatal(err)
		}
		if r.code != 0 {
			t.Fatalf("run %d: exit %d\n%s%s", i+1, r.code, r.out, r.err)
		}
		if watched != nil {
			t.Errorf("while it ran: %v", watched)
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

// watchRun waits until the job serves and compares stoker with nomad. It ends
// with ctx, which is when the scenario is over.
func watchRun(ctx context.Context, w *world) error {
	var held []string
	for len(held) != 2 {
		if ctx.Err() != nil {
			return fmt.Errorf("stoker never showed two GPUs held by digits, but %v", held)
		}
		var err error
		if held, err = w.heldBy("default/digits"); err != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
	seen, err := w.official("operator", "api", "/v1/allocations?resources=true")
	for _, uuid := range held {
		if !strings.Contains(seen, uuid) {
			err = errors.Join(err, fmt.Errorf("nomad's allocations know nothing of %s", uuid))
		}
	}
	job, err1 := w.official("job", "status", "-short", "digits")
	if !strings.Contains(job, "running") {
		err1 = errors.Join(err1, fmt.Errorf("nomad job status digits: %s", job))
	}
	nodes, err2 := w.official("node", "status")
	if strings.Count(nodes, "ready") != 3 {
		err2 = errors.Join(err2, fmt.Errorf("nomad node status: %s", nodes))
	}
	return errors.Join(err, err1, err2)
}

func nothingLeft(t *testing.T) {
	t.Helper()
	w := need(t)
	eventually(t, func() error {
		gpus, err := w.list("gpus")
		if err != nil {
			return err
		}
		for _, g := range gpus {
			if g["held_by"] != nil {
				return fmt.Errorf("a GPU is held by %v", g["held_by"])
			}
		}
		jobs, err := w.list("jobs")
		for _, j := range jobs {
			if j["job"] != "stoker-agent" {
				return fmt.Errorf("job left: %v", j["job"])
			}
		}
		return err
	})
}

// TestInterrupted: ctrl+c in the middle of a scenario cleans up.
func TestInterrupted(t *testing.T) {
	r := begin(t, "run", firstDeploy)
	r.says("[3/") // training runs
	if code := r.interrupt(); code != 130 {
		t.Errorf("exit %d, want 130\n%s%s", code, r.out.String(), r.err.String())
	}
	nothingLeft(t)
}

// TestScenarioCheck needs no cluster and says every mistake with its line.
func TestScenarioCheck(t *testing.T) {
	need(t)
	if r := run(t, nil, "run", "--check", firstDeploy); r.code != 0 {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("name: x\nsteps:\n  - name: a\n    assert: [ 'len(gpu' ]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := run(t, nil, "run", "--check", bad); r.code != 2 || !strings.Contains(r.err, "bad.yaml:4") {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
}

// train seals a version of the reference model and returns its digest.
func train(t *testing.T, version string) (digest string) {
	t.Helper()
	t.Cleanup(func() { stoker(t, "stop", "train-digits", "--purge", "--yes") })
	ok(t, "submit", "train-digits", "-v", "version="+version, "-v", "step_delay=0s", "--yes", "--wait", "--timeout", "5m")
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
	t.Cleanup(func() { stoker(t, "stop", "digits", "--purge", "--yes") })
	ok(t, "submit", "digits", "-v", "version="+version, "-v", "digest="+digest, "--yes", "--wait", "--timeout", "5m")
}

// TestNoPlaintext looks for the model in everything that a node keeps: after
// training, while it is served, after a stop and after a kill.
func TestNoPlaintext(t *testing.T) {
	w := need(t)
	digest := train(t, "plain")
	marks := secretMarks(t, w)
	nowhere := func() error { return found(w, marks, false) }
	if err := nowhere(); err != nil {
		t.Errorf("after training: %v", err)
	}
	serve(t, "plain", digest)
	if nowhere() == nil {
		t.Fatal("the search does not find the model where it must be: in the server's secrets folder")
	}
	if err := found(w, marks, true); err != nil {
		t.Errorf("while it is served, on disk: %v", err)
	}
	ok(t, "stop", "digits", "--yes")
	eventually(t, nowhere)

	serve(t, "plain", digest)
	killServer(t, w)
	ok(t, "stop", "digits", "--yes")
	eventually(t, nowhere)
}

// secretMarks are what only an opened model, a checkpoint or an unwrapped key
// holds: words of their formats, and the data key of each model in the lab.
func secretMarks(t *testing.T, w *world) map[string][]byte {
	t.Helper()
	marks := map[string][]byte{
		"a model": []byte(`"stoker-classifier/1"`), "a checkpoint": []byte(`"stoker-checkpoint/1"`),
	}
	client, err := vault.Open(vault.Config{
		Address: labEnv(t, "VAULT_ADDR"),
		Token:   func(context.Context) (secrets.Secret, error) { return secrets.New(labEnv(t, "VAULT_TOKEN")), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	sealed := 0
	err = filepath.WalkDir(w.lab.ModelsDir(), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "manifest.json" {
			return err
		}
		m, err := seal.ReadManifest(filepath.Dir(path))
		if err != nil {
			return err
		}
		key, err := client.Unwrap(t.Context(), m.Key, m.Wrapped, []byte(m.URN.String()))
		if err != nil {
			return err
		}
		sealed++
		marks["the key of "+m.URN.String()] = key.Bytes()
		marks["the key of "+m.URN.String()+", as Vault sends it"] = []byte(base64.StdEncoding.EncodeToString(key.Bytes()))
		return nil
	})
	if err != nil || sealed == 0 {
		t.Fatalf("%d sealed models to look for, %v", sealed, err)
	}
	return marks
}

// found says where a mark lies below the lab's folder. onDisk leaves out memory
// filesystems: a server must have the model somewhere.
func found(w *world, marks map[string][]byte, onDisk bool) error {
	var places []error
	err := filepath.WalkDir(w.lab.Dir(), func(path string, d fs.DirEntry, err error) error {
		// The programs themselves hold the words, and so does no other file.
		if err != nil || !d.Type().IsRegular() || slices.Contains([]string{"workload", "stoker", "stoker-static"}, d.Name()) ||
			onDisk && strings.Contains(path, "/secrets/") {
			return nil // what is gone holds nothing
		}
		for _, mark := range marksIn(path, marks) {
			places = append(places, fmt.Errorf("%s lies in plain in %s", mark, path))
		}
		return nil
	})
	return errors.Join(append(places, err)...)
}

// marksIn reads a file in pieces that overlap, so that no mark is cut.
func marksIn(path string, marks map[string][]byte) (in []string) {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	overlap := 0
	for _, m := range marks {
		overlap = max(overlap, len(m)-1)
	}
	piece := make([]byte, overlap+1<<20)
	kept := 0
	for {
		n, err := io.ReadFull(f, piece[kept:])
		text := piece[:kept+n]
		for name, m := range marks {
			if bytes.Contains(text, m) && !slices.Contains(in, name) {
				in = append(in, name)
			}
		}
		if err != nil {
			return in
		}
		kept = copy(piece, text[len(text)-overlap:])
	}
}

// killServer kills the processes of this lab that have opened the model, as the
// kernel would: the opener and its server, or in containers the server alone.
func killServer(t *testing.T, w *world) {
	t.Helper()
	seen, killed := w.trace(), 0
	for _, p := range processes() {
		opened := bytes.Contains(p.cmdline, []byte("open\x00urn:stoker:model:digits:plain")) ||
			bytes.Contains(p.cmdline, []byte("serve\x00--name\x00digits\x00--version\x00plain"))
		if opened && p.task(seen) && syscall.Kill(p.pid, syscall.SIGKILL) == nil {
			killed++
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
	train(t, "works") // so that there is a key to look for
	marks := secretMarks(t, w)
	ok(t, "submit", "train-digits", "-v", "version=fails", "-v", "seal_key=absent", "-v", "step_delay=0s", "--yes")
	eventually(t, func() error {
		out, err := w.ask("--context", labName, "logs", "train-digits", "--stderr")
		if err == nil && !strings.Contains(out, "denied") {
			err = errors.New("no log says that the key is denied")
		}
		return err
	})
	ok(t, "stop", "train-digits", "--yes")
	eventually(t, func() error { return found(w, marks, false) })
}

// labEnv is a variable that the lab gives to the official programs.
func labEnv(t *testing.T, name string) string {
	t.Helper()
	env, err := need(t).lab.Env()
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range env {
		if v, found := strings.CutPrefix(kv, name+"="); found {
			return v
		}
	}
	t.Fatalf("lab env has no %s", name)
	return ""
}

// TestNoSecretShown: no key or token in a log, a job definition or the
// environment of a task.
func TestNoSecretShown(t *testing.T) {
	w := need(t)
	digest := train(t, "secret")
	serve(t, "secret", digest)
	shown := map[string]string{
		"logs of train-digits": ok(t, "logs", "train-digits"), "logs of digits": ok(t, "logs", "digits"),
		"job train-digits": official(t, "job", "inspect", "train-digits"), "job digits": official(t, "job", "inspect", "digits"),
		"keys": ok(t, "get", "keys", "-o", "json"), "doctor": stoker(t, "doctor").out, "contexts": ok(t, "contexts"),
	}
	seen, environments := w.trace(), 0
	for _, p := range processes() {
		if p.task(seen) {
			environments++
			shown[fmt.Sprintf("environment of process %d", p.pid)] = string(p.environ)
		}
	}
	if environments == 0 {
		t.Error("found no environment of a task")
	}
	for where, text := range shown {
		for _, name := range []string{"NOMAD_TOKEN", "VAULT_TOKEN"} {
			if token := labEnv(t, name); token == "" || strings.Contains(text, token) {
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
	w := need(t)
	digest := train(t, "noright")
	t.Cleanup(func() { stoker(t, "stop", "intruder", "--purge", "--yes") })
	r := stoker(t, "submit", "digits", "-v", "job_id=intruder", "-v", "version=noright", "-v", "digest="+digest, "--yes")
	if r.code != 0 {
		t.Fatalf("submit: exit %d\n%s", r.code, r.err)
	}
	eventually(t, func() error {
		allocs, err := w.listWhere("allocs", "job", "intruder")
		for _, a := range allocs {
			if a["status"] == "running" {
				t.Fatal("a job without the right opened the model")
			}
			if a["status"] == "failed" {
				if said, _ := a["last_event"].(string); !strings.Contains(said, "claim \"nomad_job_id\" does not match") {
					t.Errorf("the failed job says %q", said)
				}
				return nil
			}
		}
		return errors.Join(err, errors.New("the job without the right has not failed yet"))
	})
}

// TestUpAfterCrash: everything is killed; up repairs it, and a model that was
// sealed before still opens.
func TestUpAfterCrash(t *testing.T) {
	w := need(t)
	digest := train(t, "crash")
	st, err := w.lab.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range st.Parts {
		if p.PID > 0 {
			_ = syscall.Kill(p.PID, syscall.SIGKILL)
		}
	}
	for _, when := range []string{"after a crash", "twice"} {
		if r := run(t, nil, "lab", "up", "--name", labName); r.code != 0 {
			t.Fatalf("lab up %s: exit %d\n%s", when, r.code, r.err)
		}
	}
	eventually(t, w.whole)
	serve(t, "crash", digest)
}
