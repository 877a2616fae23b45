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

func TestCellText(t *testing.T) {
	for _, tt := range []struct {
		column string
		value  any
		want   string
	}{
		{"node", nil, "–"},
		{"util_percent", nil, "–"},
		{"util_percent", 0.0, "0 %"},
		{"util_percent", 96.6, "97 %"},
		{"power_watts", 699.5, "700 W"},
		{"temperature_celsius", 64.2, "64 °C"},
		{"sm_clock_mhz", 1980.0, "1980"},
		{"error_ratio", 0.0125, "1.2 %"},
		{"latency_p95_seconds", 0.0042, "4.2 ms"},
		{"latency_p95_seconds", 1.5, "1.50 s"},
		{"requests_per_second", 19.96, "20.0"},
		{"memory_used_bytes", uint64(85_899_345_920), "80.0 GiB"},
		{"memory_used_bytes", uint64(0), "0.0 GiB"},
		{"host_memory_bytes", uint64(15 << 20), "15.0 MiB"},
		{"ecc_corrected", uint64(3), "3"},
		{"loss", 0.123456, "0.1235"},
		{"step", 1200.0, "1200"},
		{"loss", math.NaN(), "NaN"},
		{"gpus", 8, "8"},
		{"eligible", true, "yes"},
		{"eligible", false, "no"},
		{"submitted", noon().Add(-90 * time.Minute), "1h"},
		{"submitted", time.Time{}, "–"},
		{"state", "held", "held"},
	} {
		if got := cellText(tt.column, tt.value, noon()); got != tt.want {
			t.Errorf("%s of %v: got %q, want %q", tt.column, tt.value, got, tt.want)
		}
	}
}

func TestCSVText(t *testing.T) {
	for _, tt := range []struct {
		value any
		want  string
	}{
		{nil, ""},
		{"", ""},
		{"gpu-a", "gpu-a"},
		{"=HYPERLINK(\"http://evil\")", "'=HYPERLINK(\"http://evil\")"},
		{"+1", "'+1"},
		{"-1", "'-1"},
		{"@SUM(A1)", "'@SUM(A1)"},
		{"\t=1", "'\t=1"},
		{-1.5, "-1.5"}, // a number is no formula
		{1e21, "1000000000000000000000"},
		{math.Inf(1), ""},
		{12, "12"},
		{true, "true"},
		{time.Time{}, ""},
		{noon(), "2026-03-14T12:00:00Z"},
	} {
		if got := csvText(tt.value); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.value, got, tt.want)
		}
	}
}

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
		if err := writeTable(&b, columnsOf(), rowsOf()[:1], false, tt.with != "", noon()); err != nil {
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
