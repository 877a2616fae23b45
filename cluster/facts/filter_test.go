package facts

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIsExpression(t *testing.T) {
	for input, want := range map[string]bool{
		"": false, "gpu-a": false, "!gpu-a": false, "gpu-a !idle held": false, "chat.g[0]": false, "10.0.0.1": false, "model:v2": false,
		"default/chat": false, "!default/chat": false, "v1+cu12": false, "50%": false, "12-3": false, "!": false,
		"inference": false, "notebook": false, "android order contains-x": false,
		"util_percent > 5": true, "util_percent<5": true, "a == b": true, "a=b": true, "node != nil": true, "a && b": true, "a || b": true,
		"(a)": true, "len(node) > 3": true, `"word"`: true, "'word'": true, "!!a": true, "a!=b": true, "!(waiting)": true,
		"not waiting": true, "a and b": true, "a or b": true, "node in []": true,
		"node contains x": true, "node matches x": true, "node startsWith x": true, "node endsWith x": true,
	} {
		if got := IsExpression(input); got != want {
			t.Errorf("IsExpression(%q) = %v", input, got)
		}
	}
}

// kept are the values of one column in the rows that a filter keeps.
func kept(t *testing.T, view, column, input string) []string {
	t.Helper()
	v, _ := Find(view)
	f, err := CompileFilter(input, v)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, r := range v.Rows(filled(t)) {
		if f.Keep(r) {
			out = append(out, v.Map(r)[column].(string))
		}
	}
	slices.Sort(out)
	return out
}

func TestFilter(t *testing.T) {
	for _, c := range []struct {
		view, column, input string
		want                []string
	}{
		// Words.
		{"nodes", "node", "", []string{"gpu-a", "gpu-b"}},
		{"nodes", "node", "  ", []string{"gpu-a", "gpu-b"}},
		{"nodes", "node", "gpu-a", []string{"gpu-a"}},
		{"nodes", "node", " GPU-A ", []string{"gpu-a"}},
		{"nodes", "node", "!gpu-a", []string{"gpu-b"}},
		{"nodes", "node", "gpu !gpu-b ready", []string{"gpu-a"}},
		{"nodes", "node", "gpu-a gpu-b", []string{}},
		{"gpus", "uuid", "default/chat", []string{"GPU-1"}},
		{"jobs", "job", "!service", []string{"agent"}},
		{"gpus", "uuid", "held !chat", []string{"GPU-2"}},
		{"gpus", "uuid", "nil", []string{}}, // an unknown value has no text
		{"gpus", "uuid", "!nil", []string{"GPU-1", "GPU-2", "GPU-3"}},
		// Expressions.
		{"gpus", "uuid", "util_percent < 5", []string{"GPU-2"}},
		{"gpus", "uuid", "util_percent/2 <= 20 and state == 'held'", []string{"GPU-1", "GPU-2"}},
		{"nodes", "node", `node == "gpu-b"`, []string{"gpu-b"}},
		{"nodes", "node", `node matches "^gpu-[a]$"`, []string{"gpu-a"}},
		{"nodes", "node", "gpus == 2", []string{"gpu-a"}},
		{"jobs", "job", "not waiting", []string{"agent", "chat", "train"}},
		{"jobs", "job", "!waiting && gpus_held > 0", []string{"chat", "train"}},
		{"jobs", "job", `job in ["chat", "wants"]`, []string{"chat", "wants"}},
		{"jobs", "job", `submitted < date("2026-03-01T11:30:00Z") && job startsWith "c"`, []string{"chat"}},
		// An unknown value compares with nothing, whichever way it is asked.
		{"gpus", "uuid", "util_percent < 1000", []string{"GPU-1", "GPU-2"}},
		{"gpus", "uuid", "util_percent != 40", []string{"GPU-2"}},
		{"gpus", "uuid", "40 != util_percent", []string{"GPU-2"}},
		{"gpus", "uuid", "not (util_percent == 40)", []string{"GPU-2"}},
		{"gpus", "uuid", "!(util_percent < 5)", []string{"GPU-1"}},
		{"gpus", "uuid", `held_by_job != "default/chat"`, []string{"GPU-2"}},
		{"gpus", "uuid", `held_by_job not in ["default/chat"]`, []string{"GPU-2"}},
		{"gpus", "uuid", `not (held_by contains "chat")`, []string{"GPU-2"}},
		{"gpus", "uuid", `as_of < date("2030-01-01T00:00:00Z")`, []string{"GPU-1", "GPU-2"}},
		{"jobs", "job", "model != kind", []string{"chat"}},
		// It can be asked for.
		{"gpus", "uuid", "util_percent == nil", []string{"GPU-3"}},
		{"gpus", "uuid", "nil != util_percent", []string{"GPU-1", "GPU-2"}},
		{"gpus", "uuid", "as_of == nil", []string{"GPU-3"}},
		{"gpus", "uuid", "(util_percent ?? 0) != 40", []string{"GPU-2", "GPU-3"}},
		{"gpus", "uuid", "held_by == nil || util_percent < 5", []string{"GPU-2", "GPU-3"}},
	} {
		if d := cmp.Diff(c.want, kept(t, c.view, c.column, c.input)); d != "" {
			t.Errorf("%s %q: %s", c.view, c.input, d)
		}
	}
}

func TestFilterErrors(t *testing.T) {
	v, _ := Find("nodes")
	for name, input := range map[string]string{
		"unknown field": "utilisation > 5", "half": "gpus >", "a single =": "gpus = 2",
		"a word among operators": "gpu-a && gpu-b", "what filters use themselves": "must know(gpus)",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := CompileFilter(input, v)
			var bad *FilterError
			if !errors.As(err, &bad) {
				t.Fatalf("want a FilterError, got %v", err)
			}
			if bad.Unwrap() == nil || !strings.Contains(err.Error(), input) {
				t.Errorf("the error does not tell the filter: %v", err)
			}
			var names []string
			for _, c := range v.Columns {
				names = append(names, c.Name)
			}
			if d := cmp.Diff("fields: "+strings.Join(names, ", "), bad.Hint()); d != "" {
				t.Error(d)
			}
		})
	}
}
