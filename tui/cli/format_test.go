package cli

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"stoker/cluster/facts"
)

func noon() time.Time { return time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC) }

// columnsOf a small view: one for people and programs, one with a bound, one
// that only wide tables show, and one for programs alone.
func columnsOf() []facts.Column {
	return []facts.Column{
		{Name: "job", Title: "JOB"},
		{Name: "latency_p95_seconds", Title: "P95"},
		{Name: "latency_p95_bound"},
		{Name: "note", Title: "NOTE", Wide: true},
	}
}

func rowsOf() []facts.Row {
	return []facts.Row{
		{"chat", 0.25, "≥", "1.0"},
		{"übung", 2.0, nil, "\x1b[31mred\x1b[0m\u202eleft"},
		{"-new", nil, nil, nil},
	}
}

func TestWide(t *testing.T) {
	var b bytes.Buffer
	if err := write(&b, "wide", columnsOf(), rowsOf(), noon()); err != nil {
		t.Fatal(err)
	}
	want := "JOB           P95  NOTE\n" +
		"chat   ≥ 250.0 ms  1.0\n" +
		"übung      2.00 s  redleft\n" +
		"-new            –  –\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("wide table (-want +got):\n%s", diff)
	}
}

// TestHeadOnce: rows that come later stand under the head that was printed.
func TestHeadOnce(t *testing.T) {
	for _, tt := range []struct{ with, want string }{
		{"head", "JOB          P95\nchat  ≥ 250.0 ms\n"},
		{"", "chat  ≥ 250.0 ms\n"},
	} {
		var b bytes.Buffer
		if err := writeTable(&b, columnsOf(), rowsOf()[:1], shown(columnsOf(), false), tt.with != "", noon()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, b.String()); diff != "" {
			t.Errorf("with %q (-want +got):\n%s", tt.with, diff)
		}
	}
}

// TestPrograms: what a program reads back is what the rows hold, in the order
// of the columns, whatever characters a remote text has.
func TestPrograms(t *testing.T) {
	want := []map[string]any{
		{"job": "chat", "latency_p95_seconds": 0.25, "latency_p95_bound": "≥", "note": "1.0"},
		{"job": "übung", "latency_p95_seconds": 2.0, "latency_p95_bound": nil, "note": "\x1b[31mred\x1b[0m\u202eleft"},
		{"job": "-new", "latency_p95_seconds": nil, "latency_p95_bound": nil, "note": nil},
	}
	for format, read := range map[string]func([]byte, any) error{
		"json": json.Unmarshal,
		"yaml": func(raw []byte, into any) error { return yaml.Unmarshal(raw, into) },
	} {
		var b bytes.Buffer
		if err := write(&b, format, columnsOf(), rowsOf(), noon()); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "\x1b") {
			t.Errorf("%s passes an escape sequence on:\n%q", format, b.String())
		}
		var got []map[string]any
		if err := read(b.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v\n%s", format, err, b.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
		if i, j := strings.Index(b.String(), "job"), strings.Index(b.String(), "note"); i < 0 || i > j {
			t.Errorf("%s: the columns lost their order:\n%s", format, b.String())
		}
	}
}

// TestNotANumber: a training whose loss diverged must not cost the whole answer.
func TestNotANumber(t *testing.T) {
	columns := []facts.Column{{Name: "loss", Title: "LOSS"}}
	for format, want := range map[string]string{
		"json": "[\n  {\n    \"loss\": null\n  }\n]\n", "yaml": "- loss: null\n", "csv": "loss\n\n", "table": "LOSS\n NaN\n",
	} {
		var b bytes.Buffer
		if err := write(&b, format, columns, []facts.Row{{math.NaN()}}, noon()); err != nil {
			t.Errorf("%s: %v", format, err)
		} else if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
}

// TestEmptyAnswers: no rows are an answer that programs can read.
func TestEmptyAnswers(t *testing.T) {
	for format, want := range map[string]string{"json": "[]\n", "yaml": "[]\n", "csv": "loss\n", "table": "LOSS\n"} {
		var b bytes.Buffer
		if err := write(&b, format, []facts.Column{{Name: "loss", Title: "LOSS"}}, []facts.Row{}, noon()); err != nil {
			t.Fatal(err)
		}
		if b.String() != want {
			t.Errorf("%s: got %q, want %q", format, b.String(), want)
		}
	}
}
