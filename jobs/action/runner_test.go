package action_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/jobs/action"
)

// TestDo does every action: what it asks of the scheduler, what it says, and
// its line in the audit file, byte by byte.
func TestDo(t *testing.T) {
	const eval = `"eval_id":"eval1234-5678","result":"done"}`
	const head = `{"time":"2026-03-01T12:00:00Z","context":"lab","who":"ann@bastion",`
	for name, c := range map[string]struct {
		req   action.Request
		asked []string
		want  action.Result
		audit string
	}{
		"submit": {
			action.Request{ID: action.Submit, File: file()},
			[]string{"submit default/chat 42"},
			action.Result{Text: "job default/chat submitted, evaluation eval1234", Eval: "eval1234-5678", Job: id("chat")},
			`"action":"submit","target":"default/chat","touched":["group chat.g: 3 start"],` + eval,
		},
		"scale": {
			action.Request{ID: action.Scale, Job: id("chat"), Count: 5},
			[]string{"scale default/chat g 5"},
			action.Result{Text: "job default/chat scaled g to 5, evaluation eval1234", Eval: "eval1234-5678", Job: id("chat")},
			`"action":"scale","target":"default/chat","touched":["group chat.g: starts 2 more, takes 4 GPUs"],` + eval,
		},
		"restart": {
			action.Request{ID: action.Restart, Job: id("chat")},
			[]string{"restart chat2", "restart chat1"},
			action.Result{Text: "restarted 2 allocations of default/chat", Job: id("chat")},
			`"action":"restart","target":"default/chat","touched":["alloc chat.g[2]: restarts on gpu-a","alloc chat.g[1]: restarts on gpu-a"],"result":"done"}`,
		},
		"stop": {
			action.Request{ID: action.Stop, Job: id("note"), Purge: true},
			[]string{"stop default/note true"},
			action.Result{Text: "job default/note stopped and forgotten, evaluation eval1234", Eval: "eval1234-5678", Job: id("note")},
			`"action":"stop","target":"default/note","touched":["alloc note.g[1]: stops on gpu-a"],` + eval,
		},
		"forget what is stopped": {
			action.Request{ID: action.Stop, Job: id("gone"), Purge: true},
			[]string{"stop default/gone true"},
			action.Result{Text: "job default/gone forgotten, evaluation eval1234", Eval: "eval1234-5678", Job: id("gone")},
			`"action":"stop","target":"default/gone","touched":["job default/gone: has nothing running"],` + eval,
		},
		"drain": {
			action.Request{ID: action.Drain, Node: "gpu-c-0000-0000", Deadline: 5 * time.Minute},
			[]string{"drain gpu-c-0000-0000 5m0s"},
			action.Result{Text: "draining gpu-c", Eval: "eval1234-5678"},
			`"action":"drain","target":"gpu-c","touched":["node gpu-c: takes no new work; stops the rest in 5m","alloc chat.g[3]: moves away, with 1 GPU"],` + eval,
		},
		"undrain": {
			action.Request{ID: action.Undrain, Node: "gpu-b-0000-0000"},
			[]string{"undrain gpu-b-0000-0000"},
			action.Result{Text: "gpu-b takes work again", Eval: "eval1234-5678"},
			`"action":"undrain","target":"gpu-b","touched":["node gpu-b: takes work again"],` + eval,
		},
		"ineligible": {
			action.Request{ID: action.Ineligible, Node: "gpu-a-0000-0000"},
			[]string{"ineligible gpu-a-0000-0000"},
			action.Result{Text: "gpu-a takes no new work", Eval: "eval1234-5678"},
			`"action":"ineligible","target":"gpu-a","touched":["node gpu-a: takes no new work","alloc chat.g[1]: stays, with 2 GPUs","alloc chat.g[2]: stays, with 1 GPU","alloc note.g[1]: stays"],` + eval,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := submitted()
			r := runner(s)
			var audit bytes.Buffer
			r.Audit = action.NewAudit(&audit, "lab", "ann@bastion")
			p := plan(t, r, c.req)
			if audit.Len() > 0 {
				t.Errorf("a plan changes nothing, but it left %s", audit.String())
			}
			s.asked = nil
			res, err := r.Do(context.Background(), p)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, res); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(c.asked, s.asked); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(head+c.audit+"\n", audit.String()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestReadOnly(t *testing.T) {
	for _, c := range each() {
		s := submitted()
		r := runner(s)
		var audit bytes.Buffer
		r.ReadOnly, r.Audit = true, action.NewAudit(&audit, "lab", "ann@bastion")
		if err := r.Allowed(c.req.ID); !errors.Is(err, action.ErrReadOnly) {
			t.Errorf("%s is allowed: %v", c.req.ID, err)
		}
		p := plan(t, r, c.req) // it still explains
		if len(p.Touches) == 0 {
			t.Errorf("%s: an empty plan", c.req.ID)
		}
		s.asked = nil
		res, err := r.Do(context.Background(), p)
		if !errors.Is(err, action.ErrReadOnly) || res != (action.Result{}) {
			t.Errorf("%s was done: %+v, %v", c.req.ID, res, err)
		}
		if len(s.asked) > 0 || audit.Len() > 0 {
			t.Errorf("%s: asked %v, noted %q", c.req.ID, s.asked, audit.String())
		}
	}
	if err := runner(nil).Allowed(action.Stop); err != nil {
		t.Errorf("otherwise it is allowed, not %v", err)
	}
}

// TestElsewhere: what was planned in one cluster is not done in another, which may
// have a job of the same name.
func TestElsewhere(t *testing.T) {
	for _, c := range each() {
		s := submitted()
		here, there := runner(s), runner(s)
		here.Place, there.Place = cluster.Place{Cluster: "lab"}, cluster.Place{Cluster: "prod"}
		var audit bytes.Buffer
		there.Audit = action.NewAudit(&audit, "prod", "ann@bastion")
		p := plan(t, here, c.req)
		s.asked = nil
		if _, err := there.Do(context.Background(), p); !errors.Is(err, action.ErrElsewhere) {
			t.Errorf("%s was done: %v", c.req.ID, err)
		}
		if len(s.asked) > 0 || audit.Len() > 0 {
			t.Errorf("%s: asked %v, noted %q", c.req.ID, s.asked, audit.String())
		}
		if _, err := here.Do(context.Background(), p); err != nil {
			t.Errorf("%s is not done where it was planned: %v", c.req.ID, err)
		}
	}
}

// TestFailed holds that a change that was refused says only why, in the audit
// file too, and that the kind of the refusal is not lost.
func TestFailed(t *testing.T) {
	for _, c := range each() {
		s := submitted()
		fault := &cluster.Fault{Kind: cluster.ErrConflict, Text: "the job changed since the plan", Advice: "plan again"}
		s.fail = map[string]error{string(c.req.ID): fault}
		r := runner(s)
		var audit bytes.Buffer
		r.Audit = action.NewAudit(&audit, "lab", "ann@bastion")
		p := plan(t, r, c.req)
		res, err := r.Do(context.Background(), p)
		if !errors.Is(err, cluster.ErrConflict) {
			t.Errorf("%s: %v", c.req.ID, err)
		}
		var hint interface{ Hint() string }
		if !errors.As(err, &hint) || hint.Hint() != "plan again" || !strings.HasPrefix(err.Error(), p.Title+": ") {
			t.Errorf("%s: %v", c.req.ID, err)
		}
		if c.req.ID == action.Restart {
			continue // TestRestartInPart
		}
		if res != (action.Result{}) {
			t.Errorf("%s failed, but says %+v", c.req.ID, res)
		}
		var e action.Entry
		if err := json.Unmarshal(audit.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if e.Result != "failed" || e.Error != err.Error() || e.EvalID != "" || len(e.Touched) != len(p.Touches) {
			t.Errorf("%s: noted %+v", c.req.ID, e)
		}
	}
}

// TestAuditIsRedacted holds that what a server repeats of a secret does not get
// into the file, from whichever side it comes.
func TestAuditIsRedacted(t *testing.T) {
	var audit bytes.Buffer
	a := action.NewAudit(&audit, "lab", "ann@bastion")
	a.Redact = strings.NewReplacer("correct-horse", "[redacted]").Replace
	touched := []string{"job correct-horse: stops"}
	if err := a.Note(now(), action.Entry{Action: "stop", Target: "default/correct-horse", Touched: touched}, errors.New("no job correct-horse")); err != nil {
		t.Fatal(err)
	}
	want := `{"time":"2026-03-01T12:00:00Z","context":"lab","who":"ann@bastion","action":"stop","target":"default/[redacted]",` +
		`"touched":["job [redacted]: stops"],"result":"failed","error":"no job [redacted]"}` + "\n"
	if d := cmp.Diff(want, audit.String()); d != "" {
		t.Error(d)
	}
	if touched[0] != "job correct-horse: stops" {
		t.Error("the caller's own list was changed")
	}
}

func TestRestartInPart(t *testing.T) {
	for alloc, done := range map[string]string{"restart chat2": "0 of 2", "restart chat1": "1 of 2"} {
		s := submitted()
		s.fail = map[string]error{alloc: cluster.ErrUnreachable}
		r := runner(s)
		var audit bytes.Buffer
		r.Audit = action.NewAudit(&audit, "lab", "ann@bastion")
		p := plan(t, r, action.Request{ID: action.Restart, Job: id("chat")})
		res, err := r.Do(context.Background(), p)
		if want := (action.Result{Text: "restarted " + done + " allocations of default/chat", Job: id("chat")}); res != want {
			t.Errorf("got %+v, want %+v", res, want)
		}
		says := "restart job default/chat: after " + done + " allocations: unreachable"
		if !errors.Is(err, cluster.ErrUnreachable) || err.Error() != says {
			t.Errorf("got %v, want %s", err, says)
		}
		if last := s.asked[len(s.asked)-1]; last != alloc {
			t.Errorf("it went on after the failure: %v", s.asked)
		}
		want := `{"time":"2026-03-01T12:00:00Z","context":"lab","who":"ann@bastion","action":"restart","target":"default/chat",` +
			`"touched":["alloc chat.g[2]: restarts on gpu-a","alloc chat.g[1]: restarts on gpu-a"],"result":"failed","error":"` + says + `"}` + "\n"
		if d := cmp.Diff(want, audit.String()); d != "" {
			t.Error(d)
		}
	}
}

// broken is a disk that is full.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, fs.ErrPermission }

// TestAuditFails holds that nobody is told that a change failed when only its
// note did, nor the other way round.
func TestAuditFails(t *testing.T) {
	s := submitted()
	r := runner(s)
	r.Audit = action.NewAudit(broken{}, "lab", "ann@bastion")
	p := plan(t, r, action.Request{ID: action.Stop, Job: id("note")})
	res, err := r.Do(context.Background(), p)
	if res.Text == "" || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "the change was made, but not noted") {
		t.Errorf("done: %+v, %v", res, err)
	}
	s.fail = map[string]error{"stop": cluster.ErrDenied}
	res, err = r.Do(context.Background(), p)
	if res.Text != "" || !errors.Is(err, fs.ErrPermission) || !errors.Is(err, cluster.ErrDenied) || strings.Contains(err.Error(), "was made") {
		t.Errorf("failed: %+v, %v", res, err)
	}
	r.Audit, s.fail = nil, nil
	if _, err := r.Do(context.Background(), p); err != nil {
		t.Errorf("without an audit file: %v", err)
	}
}

// TestAuditFile holds that it is private, grows, and keeps whole lines when
// several changes are made at once.
func TestAuditFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "stoker", "audit.jsonl")
	r := runner(&scheduler{})
	p := plan(t, r, action.Request{ID: action.Stop, Job: id("note")})
	const rounds, at = 2, 8
	for range rounds {
		audit := action.AuditFile(path, "lab", "ann@bastion")
		r.Audit = audit
		var g sync.WaitGroup
		for range at {
			g.Go(func() {
				if _, err := r.Do(context.Background(), p); err != nil {
					t.Error(err)
				}
			})
		}
		g.Wait()
		e := action.Entry{Action: "seal", Target: "urn:stoker:model:llm:v2", Touched: []string{}, VaultRequestID: "r1"}
		if err := audit.Note(now(), e, nil); err != nil {
			t.Error(err)
		}
		if err := audit.Close(); err != nil {
			t.Error(err)
		}
	}
	for name, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): fs.ModeDir | 0o700} {
		if st, err := os.Stat(name); err != nil || st.Mode() != want {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != rounds*(at+1) {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Errorf("not a whole line: %s", line)
		}
	}
	want := `{"time":"2026-03-01T12:00:00Z","context":"lab","who":"ann@bastion","action":"seal","target":"urn:stoker:model:llm:v2","touched":[],"vault_request_id":"r1","result":"done"}`
	if d := cmp.Diff(want, lines[len(lines)-1]); d != "" {
		t.Error(d)
	}
}

// TestNoAuditNoChange holds that the file is opened by the first change and not
// before, and that a change which could not be noted is not made.
func TestNoAuditNoChange(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "stoker")
	s := &scheduler{}
	r := runner(s)
	r.Audit = action.AuditFile(filepath.Join(dir, "audit.jsonl"), "lab", "ann@bastion")
	p := plan(t, r, action.Request{ID: action.Stop, Job: id("note")})
	if err := r.Audit.Close(); err != nil {
		t.Errorf("closing what was never opened: %v", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made for a plan: %v", err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	res, err := r.Do(context.Background(), p)
	if !errors.Is(err, action.ErrAudit) || res != (action.Result{}) || len(s.asked) > 0 {
		t.Errorf("it was done: %+v, %v, asked %v", res, err, s.asked)
	}
	var hint interface{ Hint() string }
	if !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "XDG_STATE_HOME") || !strings.HasPrefix(err.Error(), p.Title+": ") || !strings.Contains(err.Error(), dir) {
		t.Errorf("it does not say why and what to do: %v", err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Do(context.Background(), p); err != nil || len(s.asked) != 1 {
		t.Errorf("the folder can be made now: %v, asked %v", err, s.asked)
	}
	if err := r.Audit.Close(); err != nil {
		t.Error(err)
	}
}
