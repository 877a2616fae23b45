package scenarios_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/scenarios"
)

func firstDeploy(t *testing.T) *scenarios.Scenario {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("library", "first-deploy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenarios.Parse("first-deploy.yaml", raw)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func printed(t *testing.T, rep *scenarios.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := rep.JSON(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFirstDeployPassesThreeTimesInARow(t *testing.T) {
	inTown(t, func(t *testing.T, ctx context.Context, tn *town) {
		s := firstDeploy(t)
		for _, id := range []string{"r1", "r2", "r3"} {
			rep := scenarios.Run(ctx, s, tn.env(id), nil)
			if err := rep.Err(); err != nil {
				t.Fatalf("%v\n%s", err, printed(t, &rep))
			}
			if b := tn.busy(); len(b) > 0 {
				t.Errorf("still in use: %v", b)
			}
		}
		once := []string{"submit train-digits", "submit digits", "stop digits purge=false", "stop digits purge=true", "stop train-digits purge=true"}
		want := append(append(append([]string(nil), once...), once...), once...)
		if diff := cmp.Diff(want, tn.done()); diff != "" {
			t.Error("what was changed (-want +got):\n" + diff)
		}
		if n := strings.Count(tn.audit.String(), `"action"`); n != len(want) {
			t.Errorf("%d audit lines for %d changes", n, len(want))
		}
	})
}

func TestFirstDeployFindsWhatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*town)
		kind error
		want string // in the report's text
	}{
		{"bad model", func(tn *town) { tn.accuracy = 0.5 }, scenarios.ErrFailed, `artifact("digits", version).evaluation.accuracy = 0.5`},
		{"nothing registered", func(tn *town) { tn.accuracy = 0 }, scenarios.ErrFailed, `artifact("digits", version) != nil`},
		{"a GPU works for nobody", func(tn *town) { tn.stray = true }, scenarios.ErrFailed, "work was not seen on exactly the GPUs"},
		{"registry does not answer", func(tn *town) {
			tn.feed.Source(cluster.SourceStatus{Name: "registry", State: cluster.SourceRetrying, Err: "no answer"})
		}, scenarios.ErrInconclusive, "registry: no answer"},
		{"agent does not answer", func(tn *town) {
			tn.mute = true
			tn.feed.Source(cluster.SourceStatus{Name: "agent gpu-a", State: cluster.SourceRetrying, Err: "connection refused"})
		}, scenarios.ErrInconclusive, "agent gpu-a: connection refused"},
		{"denied", func(tn *town) { tn.submitErr = &cluster.Fault{Kind: cluster.ErrDenied, Text: "no right"} }, cluster.ErrDenied, "no right"},
		{"changed meanwhile", func(tn *town) { tn.submitErr = &cluster.Fault{Kind: cluster.ErrConflict, Text: "changed"} }, scenarios.ErrFailed, "changed"},
		{"scheduler's answer is not seen", func(tn *town) { tn.evalsNever = true }, scenarios.ErrInconclusive, "what the scheduler made of it was not seen within 30s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inTown(t, func(t *testing.T, ctx context.Context, tn *town) {
				tn.mu.Lock()
				tt.do(tn)
				tn.mu.Unlock()
				rep := scenarios.Run(ctx, firstDeploy(t), tn.env("r1"), nil)
				if err := rep.Err(); !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q of kind %v\n%s", err, tt.want, tt.kind, printed(t, &rep))
				}
				if b := tn.busy(); len(b) > 0 {
					t.Errorf("still in use: %v, left %v", b, rep.Left)
				}
			})
		})
	}
}

// A job of that name which somebody else runs is not touched.
func TestRefusesBeforeChangingAnything(t *testing.T) {
	inTown(t, func(t *testing.T, ctx context.Context, tn *town) {
		p, _ := tn.Parse(ctx, cluster.JobFile{Name: "digits"})
		if _, err := tn.Submit(ctx, p, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		before := tn.done()
		rep := scenarios.Run(ctx, firstDeploy(t), tn.env("r1"), nil)
		if err := rep.Err(); !errors.Is(err, scenarios.ErrFailed) || !strings.Contains(err.Error(), "job default/digits runs already (healthy, 2 allocations running)") {
			t.Errorf("got %v", err)
		}
		blunt := parse(t, "name: x\nsteps:\n- submit: {pack: digits, vars: {digest: d}}\n")
		rep = scenarios.Run(ctx, blunt, tn.env("r1"), nil)
		if err := rep.Err(); err == nil || !strings.Contains(err.Error(), "this run did not start it") {
			t.Errorf("got %v", err)
		}
		if diff := cmp.Diff(before, tn.done()); diff != "" {
			t.Error("something was changed:\n" + diff)
		}
	})
}

func TestInterrupt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		after  time.Duration // of the first interrupt
		second time.Duration // after the first; 0 is none
		left   []string
	}{
		{name: "before anything", after: 0},
		{name: "while the submit is answered", after: 100 * time.Millisecond},
		{name: "while training", after: 5 * time.Second},
		{name: "while images are sent", after: 30 * time.Second},
		{name: "twice", after: 5 * time.Second, second: 500 * time.Millisecond, left: []string{
			"job default/train-digits: the cleanup was abandoned; by hand: stoker stop --purge default/train-digits",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inTown(t, func(t *testing.T, ctx context.Context, tn *town) {
				run, interrupt := context.WithCancel(ctx)
				abandon := make(chan struct{})
				go func() {
					time.Sleep(tt.after)
					interrupt()
					if tt.second > 0 {
						time.Sleep(tt.second)
						close(abandon)
					}
				}()
				env := tn.env("r1")
				env.Abandon = abandon
				rep := scenarios.Run(run, firstDeploy(t), env, nil)
				if rep.Verdict != scenarios.Interrupted || !errors.Is(rep.Err(), context.Canceled) {
					t.Errorf("got %s: %v", rep.Verdict, rep.Err())
				}
				want := append([]string{}, tt.left...)
				if diff := cmp.Diff(want, rep.Left); diff != "" {
					t.Error("left (-want +got):\n" + diff)
				}
				if b := tn.busy(); len(b) > 0 && tt.left == nil {
					t.Errorf("still in use: %v", b)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

func TestCleanupNamesWhatIsLeft(t *testing.T) {
	inTown(t, func(t *testing.T, ctx context.Context, tn *town) {
		tn.mu.Lock()
		tn.stopHangs = true
		tn.mu.Unlock()
		s := parse(t, "name: x\nsteps:\n- submit: {pack: digits, vars: {digest: d}}\n")
		rep := scenarios.Run(ctx, s, tn.env("r1"), nil)
		if rep.Verdict != scenarios.Passed || !errors.Is(rep.Err(), scenarios.ErrLeft) {
			t.Errorf("got %s: %v", rep.Verdict, rep.Err())
		}
		want := []string{"job default/digits: stopped, but 2 allocations did not end within 1m0s; by hand: stoker stop --purge default/digits"}
		if diff := cmp.Diff(want, rep.Left); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSteps(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		kind       error  // nil: it passes
		want       string // in the error
		calls      []string
		took       time.Duration // at least; at most a second more
	}{
		{name: "an assertion without within is judged at once", text: "- assert: ['len(gpus) == 4']", kind: scenarios.ErrFailed, want: "len(gpus) = 3"},
		{name: "with within it is given time", text: "- {assert: ['len(gpus) == 4'], within: 7s}", kind: scenarios.ErrFailed, want: "len(gpus) == 4", took: 7 * time.Second},
		{name: "what is unknown is waited for", text: "- assert: ['gpus[0].power_watts > 1']", kind: scenarios.ErrInconclusive, want: "gpus[0].power_watts is unknown", took: 10 * time.Second},
		{name: "an inconclusive assertion stops nothing", text: "- {assert: ['gpus[0].power_watts > 1'], within: 1s}\n- assert: ['1 == 2']", kind: scenarios.ErrFailed, want: "1 == 2", took: time.Second},
		{name: "an inconclusive wait does", text: "- wait: {until: 'gpus[0].power_watts > 1', for: 1s}\n- assert: ['1 == 2']", kind: scenarios.ErrInconclusive, want: "not within 1s", took: time.Second},
		{name: "wait in vain", text: "- wait: {until: 'running(\"x\")', for: 3s}", kind: scenarios.ErrFailed, want: "not within 3s", took: 3 * time.Second},
		{name: "wait given up", text: "- wait: {until: 'running(\"x\")', unless: 'len(gpus) == 3'}\n  show: 'GPUs ${len(gpus)}'", kind: scenarios.ErrFailed, want: "given up: len(gpus) == 3 [GPUs 3]"},
		{name: "the whole scenario's time", text: "- wait: {until: 'running(\"x\")', for: 1h}\ntimeout: 2m", kind: scenarios.ErrFailed, want: "the scenario's time of 2m0s is over", took: 2 * time.Minute},
		{name: "remember", text: "- remember: {a: 'len(gpus)', b: 'map(gpus, .uuid)'}\n- assert: ['a == 3', '\"GPU-0\" in b']"},
		{name: "always is violated once", text: "- run: {command: [other]}\n  meanwhile: {always: ['all(gpus, .util_percent < 10)']}", kind: scenarios.ErrFailed, want: "not always true", took: 5 * time.Second},
		{name: "eventually is seen once", text: "- run: {command: [other]}\n  meanwhile: {eventually: ['any(gpus, .util_percent > 10)']}", took: 5 * time.Second},
		{name: "result", text: "- run: {command: [other], save: out}\n- assert: ['out.x == 1']\n- assert: ['out.y > 1']", kind: scenarios.ErrInconclusive, want: "out.y is unknown", took: 5 * time.Second},
		{name: "program fails", text: "- run: {command: [other, fail]}", kind: scenarios.ErrFailed, want: "exit status 3: it says why", took: 5 * time.Second},
		{name: "program takes too long", text: "- run: {command: [other], for: 2s}", kind: scenarios.ErrFailed, want: "other did not end within 2s", took: 2 * time.Second},
		{name: "no such program", text: "- run: {command: [no-such-program-here]}", kind: scenarios.ErrFailed, want: "needs the program no-such-program-here"},
		{name: "drain is taken back", text: "- drain: {node: gpu-a}\n- assert: ['len(free()) == 0']", calls: []string{"drain", "undrain"}},
		{name: "no such node", text: "- drain: {node: gpu-z}", kind: scenarios.ErrFailed, want: `0 nodes are called "gpu-z"`},
		{
			name: "own jobs are scaled and stopped", text: "- submit: {pack: digits, vars: {digest: d}}\n- wait: {until: 'outcome(\"digits\").good'}\n- scale: {job: digits, count: 1}\n- restart: {job: digits}\n- stop: {job: digits, purge: true}\n- wait: {until: 'len(held(\"digits\")) == 0'}",
			calls: []string{"submit digits", "scale digits.server 1", "restart eval-0001-digits-0", "restart eval-0001-digits-1", "stop digits purge=false", "stop digits purge=true"},
		},
		{name: "cleanup steps run after a failure", text: "- assert: ['1 == 2']\ncleanup:\n- drain: {node: gpu-a}\n- undrain: {node: gpu-a}", kind: scenarios.ErrFailed, want: "1 == 2", calls: []string{"drain", "undrain"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inTown(t, func(t *testing.T, ctx context.Context, tn *town) {
				s := parse(t, "name: x\nsteps:\n"+tt.text+"\n")
				env := tn.env("r1")
				env.Exec = func(ctx context.Context, c scenarios.Command) error {
					tn.mu.Lock()
					tn.stray = true
					tn.mu.Unlock()
					select {
					case <-ctx.Done():
						return ctx.Err()
					case <-time.After(5 * time.Second):
					}
					_, _ = c.Stdout.Write([]byte(`{"x": 1, "y": null}`))
					if len(c.Args) > 0 {
						_, _ = c.Stderr.Write([]byte("it says why\n"))
						return errors.New("exit status 3")
					}
					return nil
				}
				time.Sleep(2 * time.Second) // the first samples are there
				began := time.Now()
				rep := scenarios.Run(ctx, s, env, nil)
				took := time.Since(began)
				err := rep.Err()
				if tt.kind == nil && err != nil || !errors.Is(err, tt.kind) || err != nil && !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q of kind %v\n%s", err, tt.want, tt.kind, printed(t, &rep))
				}
				if tt.took > 0 && (took < tt.took || took > tt.took+time.Second) {
					t.Errorf("took %s, want %s", took, tt.took)
				}
				if diff := cmp.Diff(tt.calls, tn.done()); diff != "" {
					t.Error("calls (-want +got):\n" + diff)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

// A source that is late for a moment must not end a run: values are waited for
// as checks are.
func TestValuesWaitForTheirSources(t *testing.T) {
	for name, text := range map[string]string{
		"remember": "- remember: {a: 'len(free())'}\n- assert: ['a == 3']",
		"command":  "- run: {command: [other, '${len(free())}']}",
		"operand":  "- drain: {node: '${free()[0].node}'}",
	} {
		for _, comesBack := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " ", comesBack), func(t *testing.T) {
				inTown(t, func(t *testing.T, ctx context.Context, tn *town) {
					env := tn.env("r1")
					env.Exec = func(_ context.Context, c scenarios.Command) error {
						if diff := cmp.Diff([]string{"3"}, c.Args); diff != "" {
							t.Error(diff)
						}
						return nil
					}
					time.Sleep(2 * time.Second) // the first samples are there
					tn.feed.Source(cluster.SourceStatus{Name: "agent gpu-a", State: cluster.SourceRetrying, Err: "frozen"})
					time.Sleep(time.Second) // it was published
					var wg sync.WaitGroup
					wg.Go(func() {
						time.Sleep(4 * time.Second)
						if comesBack {
							tn.feed.Source(cluster.SourceStatus{Name: "agent gpu-a", State: cluster.SourceLive, AsOf: time.Now()})
						}
					})
					rep := scenarios.Run(ctx, parse(t, "name: x\nsteps:\n"+text+"\n"), env, nil)
					wg.Wait()
					if err := rep.Err(); comesBack && err != nil || !comesBack && !errors.Is(err, scenarios.ErrInconclusive) {
						t.Errorf("%v\n%s", err, printed(t, &rep))
					}
					time.Sleep(time.Minute)
				})
			})
		}
	}
}
