package scenarios_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/jobs/pack"
	"stoker/scenarios"
)

// Every mistake is found before anything runs, with its line.
func TestMistakesHaveLines(t *testing.T) {
	const ok = "- assert: ['1 == 1']\n"
	for _, tt := range []struct{ name, text, want string }{
		{"no YAML", "name: [x", `test.yaml:1:7: sequence end token`},
		{"empty", "", `test.yaml:1:1: the scenario has no name`},
		{"no steps", "name: x\n", `test.yaml:1:1: the scenario has no steps`},
		{"unknown key", "name: x\nstep:\n" + ok, `test.yaml:2:1: unknown field "step"`},
		{"unknown key in a step", "name: x\nsteps:\n- assert: ['1 == 1']\n  wihtin: 3s\n", `test.yaml:4:3: unknown field "wihtin"`},
		{"unknown key deeper", "name: x\nsteps:\n- wait:\n    untill: 1 == 1\n", `test.yaml:4:5: unknown field "untill"`},
		{"unknown key of a check", "name: x\nsteps:\n- assert:\n  - that: 1 == 1\n    or: x\n", `test.yaml:5:5: unknown field "or"`},
		{"name twice", "name: x\nname: y\nsteps:\n" + ok, `test.yaml:2:1: mapping key "name" already defined`},
		{"list where a text belongs", "name: [a]\nsteps:\n" + ok, `test.yaml:1:7: sequence was used where string is expected`},
		{"text where a list belongs", "name: x\nsteps:\n- assert: 1 == 1\n", `test.yaml:3:11: string was used where sequence is expected`},
		{"steps are no list", "name: x\nsteps: 3\n", `test.yaml:2:8: int was used where sequence is expected`},
		{"step without a verb", "name: x\nsteps:\n" + ok + "- name: y\n", `test.yaml:4:3: the step does nothing: it needs one of require, assert,`},
		{"step with two verbs", "name: x\nsteps:\n- stop: {job: a}\n  drain: {node: b}\n", `test.yaml:3:3: the step does stop and drain`},
		{"bad time", "name: x\ntimeout: 5\nsteps:\n" + ok, `test.yaml:2:10: "5" is no time`},
		{"no condition", "name: x\nsteps:\n- wait: {for: 3s}\n", `test.yaml:3:3: until is missing`},
		{"expression", "name: x\nsteps:\n- assert:\n  - 1 == 1\n  - len(gpus) >\n", `test.yaml:5:5: unexpected token EOF`},
		{"block of text", "name: x\nsteps:\n- assert:\n  - >-\n    1 == 1\n    and gpsu == 3\n", `test.yaml:4:5: there is no name "gpsu" here; did you mean gpus?`},
		{"unknown column", "name: x\nsteps:\n- assert: ['all(gpus, .utl_percent > 1)']\n", `test.yaml:3:12: there is no column "utl_percent" here; did you mean util_percent?`},
		{"unknown column of a function", "name: x\nsteps:\n- assert: ['held(\"a\")[0].utill_percent > 1']\n", `did you mean util_percent?`},
		{"unknown member", "name: x\nsteps:\n- assert: ['outcome(\"a\").goood']\n", `there is no column "goood" here; did you mean good?`},
		{"wrong argument", "name: x\nsteps:\n- assert: ['running(3)']\n", `test.yaml:3:12: cannot use int as argument (type string) to call running`},
		{"not a truth value", "name: x\nsteps:\n- assert: ['len(gpus)']\n", `test.yaml:3:12: expected bool, but got int`},
		{"types of variables", "name: x\nvars: {n: 3}\nsteps:\n- assert: ['n == \"a\"']\n", `test.yaml:4:12: invalid operation: ==`},
		{"saved later", "name: x\nsteps:\n- assert: ['out.x == 1']\n- run: {command: [a], save: out}\n", `test.yaml:3:12: there is no name "out" here`},
		{"saved twice", "name: x\nsteps:\n- run: {command: [a], save: out}\n- run: {command: [a], save: out}\n", `test.yaml:4:29: save: the name "out" is used already`},
		{"name of a function", "name: x\nvars: {len: 3}\nsteps:\n" + ok, `test.yaml:2:8: variable: the name "len" is taken`},
		{"no name at all", "name: x\nvars: {a-b: 3}\nsteps:\n" + ok, `test.yaml:2:8: variable: "a-b" is no name`},
		{"variable's form", "name: x\nvars: {a: {defualt: 3}}\nsteps:\n" + ok, `test.yaml:2:8: variable a: unknown field "defualt"`},
		{"template", "name: x\nsteps:\n- stop: {job: '${nope}'}\n", `test.yaml:3:15: there is no name "nope" here`},
		{"open template", "name: x\nsteps:\n- stop: {job: '${run_id'}\n", `test.yaml:3:15: ${ without its }`},
		{"operand missing", "name: x\nsteps:\n- scale: {job: a}\n", `test.yaml:3:3: count is missing`},
		{"operand of another verb", "name: x\nsteps:\n- drain: {node: a, job: b}\n", `test.yaml:3:25: drain has no job`},
		{"purge", "name: x\nsteps:\n- stop: {job: a, purge: maybe}\n", `test.yaml:3:25: purge is true or false`},
		{"no command", "name: x\nsteps:\n- run: {save: a}\n", `test.yaml:3:3: command is missing`},
		{"within of a wait", "name: x\nsteps:\n- wait: {until: '1 == 1'}\n  within: 3s\n", `test.yaml:4:11: within goes with assert, not with wait`},
		{"meanwhile of a stop", "name: x\nsteps:\n- stop: {job: a}\n  meanwhile: {always: ['1 == 1']}\n", `test.yaml:3:3: meanwhile goes with wait and run`},
		{"show of a stop", "name: x\nsteps:\n- stop: {job: a}\n  show: x\n", `test.yaml:4:9: show goes with wait`},
		{"pack", "name: x\nsteps:\n- submit: {pack: digit}\n", `test.yaml:3:18: no such pack: digit; did you mean digits?`},
		{"variable of a pack", "name: x\nsteps:\n- submit: {pack: digits, vars: {replcas: 2}}\n", `test.yaml:3:33: pack digits has no variable replcas; did you mean replicas?`},
		{"value of a pack", "name: x\nsteps:\n- submit: {pack: digits, vars: {replicas: -2}}\n", `test.yaml:3:33: variable replicas: Use a whole number from 0 on.`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := scenarios.Parse("test.yaml", []byte(tt.text))
			if err == nil {
				err = s.Check(pack.Library{})
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
			if err != nil && !regexp.MustCompile(`^test\.yaml:\d+:\d+: `).MatchString(err.Error()) {
				t.Errorf("no line in %v", err)
			}
		})
	}
}

func TestAllMistakesAreToldInOrder(t *testing.T) {
	_, err := scenarios.Parse("x.yaml", []byte("name: x\nsteps:\n- stop: {job: '${b}'}\n- wait: {until: 'c', for: 1y}\n"))
	var ps scenarios.Problems
	if !errors.As(err, &ps) || len(ps) != 3 {
		t.Fatalf("got %v", err)
	}
	for i, want := range []int{3, 4, 4} {
		if ps[i].Line != want {
			t.Errorf("mistake %d is said to be in line %d, want %d", i, ps[i].Line, want)
		}
	}
}

func TestParse(t *testing.T) {
	s := parse(t, `
name: x
description: |
  What it does.
timeout: 90s
vars:
  b: 3
  a: {default: "${run_id}-${b + 1}", help: what it is}
  c: {help: must be given}
  d: true
steps:
- name: one
  assert: [a != "", b > 2, d]
- undrain: {node: "${a}"}
`)
	if s.Name != "x" || s.Description != "What it does." || s.Timeout != 90*time.Second || len(s.Steps) != 2 {
		t.Errorf("got %+v", s)
	}
	if st := s.Steps[1]; st.Name != "undrain" || st.Kind != scenarios.KindUndrain || st.Line != 14 {
		t.Errorf("got %+v", st)
	}
	var names []string
	for _, v := range s.Vars {
		names = append(names, v.Name+" "+v.Type)
	}
	if diff := cmp.Diff([]string{"b number", "a string", "c string", "d bool"}, names); diff != "" {
		t.Error(diff)
	}
	for _, tt := range []struct {
		name  string
		given map[string]string
		want  any // an error's part, or the values
	}{
		{"defaults", map[string]string{"c": "C"}, map[string]any{"run_id": "r1", "a": "r1-4", "b": 3.0, "c": "C", "d": true}},
		{"given", map[string]string{"c": "C", "b": "0.5", "a": "${x", "d": "false"}, map[string]any{"run_id": "r1", "a": "${x", "b": 0.5, "c": "C", "d": false}},
		{"missing", nil, "bad variable: c must be given: -v c=…"},
		{"not a number", map[string]string{"c": "C", "b": "few"}, `bad variable: b is "few", want a number`},
		{"not true or false", map[string]string{"c": "C", "d": "few"}, `bad variable: d is "few", want true or false`},
		{"unknown", map[string]string{"c": "C", "e": "few"}, `bad variable: scenario x has no variable "e"`},
	} {
		got, err := s.Resolve("r1", tt.given)
		if want, bad := tt.want.(string); bad {
			if !errors.Is(err, scenarios.ErrVars) || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s: got %v, want %s", tt.name, err, want)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, any(got)); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", tt.name, err, diff)
		}
	}
}

func TestRunIDsDiffer(t *testing.T) {
	now := time.Date(2026, 3, 14, 14, 2, 11, 0, time.UTC)
	seen := map[string]bool{}
	for range 20 {
		seen[scenarios.NewRunID(now)] = true
	}
	if len(seen) < 15 {
		t.Errorf("only %d of 20 run IDs differ", len(seen))
	}
	for id := range seen {
		if !regexp.MustCompile(`^r[a-z0-9]{9}$`).MatchString(id) {
			t.Errorf("%q cannot be part of a version", id)
		}
	}
}
