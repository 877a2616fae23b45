package encode

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster/facts"
)

func noon() time.Time { return time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC) }

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

func TestPick(t *testing.T) {
	columns := []facts.Column{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	some, rows := Pick(columns, []facts.Row{{1, 2, 3}, {nil, "x", true}}, []int{2, 0})
	var b bytes.Buffer
	if err := Line(&b, some, rows); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff("[{\"c\":3,\"a\":1},{\"c\":true,\"a\":null}]\n", b.String()); d != "" {
		t.Error(d)
	}
	if err := Write(&b, "table", some, rows); err == nil {
		t.Error("a table is no format for programs")
	}
}
