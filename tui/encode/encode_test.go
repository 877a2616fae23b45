package encode

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
	"unicode"

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
		{"\n=1", "'\n=1"},
		{"\r=1", "'=1"},
		{"\x1b]52;c;AAAA\a\x1b[31mred\u009b2J", "]52;c;AAAA[31mred2J"},
		{"a\u202eb\u200d\nc\td\x7f", "ab\nc\td"},
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

// TestHarmless: the JSON holds nothing that a terminal acts on, and tells a
// program the same.
func TestHarmless(t *testing.T) {
	text := "\x1b[31m \u009b2J \x7f \u202eabc\u2066 \U000e0041 é 日本 \u2028"
	for _, format := range []string{"json", "yaml"} {
		var b bytes.Buffer
		if err := Write(&b, format, []facts.Column{{Name: "a"}}, []facts.Row{{text}}); err != nil {
			t.Fatal(err)
		}
		for _, r := range b.String() {
			if r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
				t.Errorf("%s: %U in %q", format, r, b.String())
			}
		}
		var rows []map[string]string
		if format == "json" {
			if err := json.Unmarshal(b.Bytes(), &rows); err != nil || rows[0]["a"] != text || !strings.Contains(b.String(), "日本") {
				t.Errorf("%v: %q", err, b.String())
			}
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
