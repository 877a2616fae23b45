package scenarios_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/exp/golden"

	"stoker/scenarios"
)

// mixed passes, fails and skips steps and cleans up.
func mixed(t *testing.T) *scenarios.Scenario {
	t.Helper()
	return parse(t, `
name: mixed
vars:
  api_token: abc
  replicas: 2
steps:
- name: serve
  submit: {pack: digits, vars: {digest: d, replicas: "${replicas}"}}
- name: healthy
  wait: {until: 'outcome("digits").good'}
  show: '${outcome("digits").text}'
  meanwhile:
    eventually: ['len(held("digits")) == replicas']
- name: power is known
  assert: ['all(held("digits"), .power_watts > 0)']
- name: three replicas <hold>
  assert:
  - that: len(held("digits")) == 3
    else: want three, there are ${len(held("digits"))}
- name: never reached
  stop: {job: digits}
`)
}

func runMixed(t *testing.T, observers ...func(scenarios.Event)) (rep scenarios.Report) {
	t.Helper()
	inTown(t, func(t *testing.T, ctx context.Context, tn *town) {
		time.Sleep(2 * time.Second)
		rep = scenarios.Run(ctx, mixed(t), tn.env("r1"), func(e scenarios.Event) {
			for _, o := range observers {
				o(e)
			}
		})
		time.Sleep(time.Minute)
	})
	return rep
}

func TestJUnit(t *testing.T) {
	rep := runMixed(t)
	var b bytes.Buffer
	if err := rep.JUnit(&b); err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(b.Bytes(), new(struct{ XMLName xml.Name })); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "abc") {
		t.Error("the report shows a secret")
	}
	golden.RequireEqual(t, b.Bytes())
}

func TestReportJSON(t *testing.T) {
	rep := runMixed(t)
	var b bytes.Buffer
	if err := rep.JSON(&b); err != nil {
		t.Fatal(err)
	}
	var back map[string]any
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	golden.RequireEqual(t, b.Bytes())
}

func TestPlainLines(t *testing.T) {
	var b bytes.Buffer
	runMixed(t, scenarios.NewPrinter(&b, nil).Observe)
	if strings.ContainsAny(b.String(), "\x1b\r") {
		t.Error("plain lines hold terminal codes")
	}
	golden.RequireEqual(t, b.Bytes())
}

func TestTerminalLines(t *testing.T) {
	var b bytes.Buffer
	runMixed(t, scenarios.NewPrinter(&b, func() int { return 60 }).Observe)
	shown := strings.NewReplacer("\r\x1b[K", "<redraw>").Replace(b.String())
	if strings.ContainsAny(shown, "\x1b\r") {
		t.Error("there are other codes than those that draw the bottom line anew")
	}
	golden.RequireEqual(t, []byte(shown))
}

// What a server or a program says of a secret gets into no event and no report.
func TestSecretsAreRedacted(t *testing.T) {
	inTown(t, func(t *testing.T, ctx context.Context, tn *town) {
		s := parse(t, `
name: leaky
vars: {note: none}
steps:
- name: a program that talks
  run: {command: [other]}
- name: a value that tells
  assert: [note != "none"]
- name: a server that repeats
  submit: {pack: digits, vars: {digest: d}}
`)
		env := tn.env("r1")
		env.Vars = map[string]string{"note": "correct-horse"}
		env.Redact = strings.NewReplacer("correct-horse", "[redacted]").Replace
		env.Exec = func(_ context.Context, c scenarios.Command) error {
			_, err := io.WriteString(c.Stdout, "logged in with correct-horse\n")
			return err
		}
		tn.submitErr = errors.New("no right to submit for correct-horse")
		var out bytes.Buffer
		rep := scenarios.Run(ctx, s, env, func(e scenarios.Event) {
			fmt.Fprintf(&out, "%+v %+v\n", e, e.Check)
		})
		if err := errors.Join(rep.JSON(&out), rep.JUnit(&out)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&out, rep.Err())
		if strings.Contains(out.String(), "horse") {
			t.Errorf("it shows a secret:\n%s", out.String())
		}
		for _, want := range []string{"logged in with [redacted]", "no right to submit for [redacted]", `Values:[note = "[redacted]"]`, `"note": "[redacted]"`} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s is missing in\n%s", want, out.String())
			}
		}
	})
}

// The events of a run are in order, and each step that started ended.
func TestEvents(t *testing.T) {
	var got []string
	runMixed(t, func(e scenarios.Event) {
		if e.Kind != scenarios.Progress && e.Kind != scenarios.Noted && e.Kind != scenarios.Checked {
			got = append(got, strings.TrimSpace(string(e.Kind)+" "+e.Name+" "+string(e.Verdict)))
		}
	})
	want := `run_started mixed
step_started serve
step_ended serve passed
step_started healthy
step_ended healthy passed
step_started power is known
step_ended power is known inconclusive
step_started three replicas <hold>
step_ended three replicas <hold> failed
cleanup_started cleanup
cleanup_ended cleanup passed
run_ended mixed failed`
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestBeforeTheFirstStep(t *testing.T) {
	inTown(t, func(t *testing.T, ctx context.Context, tn *town) {
		env := tn.env("r1")
		env.Vars = map[string]string{"replcas": "2"}
		rep := scenarios.Run(ctx, mixed(t), env, nil)
		if err := rep.Err(); !errors.Is(err, scenarios.ErrVars) || !strings.Contains(err.Error(), "did you mean replicas?") {
			t.Errorf("got %v", err)
		}
		var b bytes.Buffer
		if err := rep.JUnit(&b); err != nil || !strings.Contains(b.String(), `failures="1"`) {
			t.Errorf("%v\n%s", err, b.String())
		}
	})
}

func TestExecProcess(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh to run")
	}
	var out, said bytes.Buffer
	err = scenarios.ExecProcess(t.Context(), scenarios.Command{Path: sh, Args: []string{"-c", "echo $0; echo why >&2; exit 3", "a b"}, Stdout: &out, Stderr: &said})
	if err == nil || err.Error() != "exit status 3" || out.String() != "a b\n" || said.String() != "why\n" {
		t.Errorf("got %v %q %q", err, out.String(), said.String())
	}
	// A program that is told to end takes what it started with it: all of them
	// hold the fifo open, and its end is seen when the last one is gone.
	fifo := filepath.Join(t.TempDir(), "held")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	held, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	script := "exec 9>" + fifo + "; sleep 600 & echo started; wait"
	if err := scenarios.ExecProcess(ctx, scenarios.Command{Path: sh, Args: []string{"-c", script}, Stdout: onWrite(cancel), Stderr: &said}); err == nil {
		t.Error("it ended well although it was stopped")
	}
	if err := held.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n, err := held.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("what it started still runs: %v", err)
	}
}

// onWrite is called at each write.
type onWrite func()

func (f onWrite) Write(p []byte) (int, error) { f(); return len(p), nil }
