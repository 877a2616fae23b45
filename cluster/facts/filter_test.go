package facts

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/gpu"
)

// TestWhatIsAnExpression: by its operators and whether it compiles; all else is words.
func TestWhatIsAnExpression(t *testing.T) {
	const (
		words = "words"
		expr  = "expression"
		wrong = "error"
	)
	gpus, _ := Find("gpus")
	for input, want := range map[string]string{
		"": words, "gpu-a": words, "!gpu-a": words, "held": words, "!held": words, "gpu-a !idle held": words, "chat.g[0]": words, "10.0.0.1": words,
		"model:v2": words, "default/chat": words, "!default/chat": words, "v1+cu12": words, "50%": words, "12-3": words, "!": words, "util-5": words,
		"notebook": words, "android order contains-x": words, "index/2": words, "index + 2": words, "util": words, "node index": words,
		"not found": words, "held and waiting": words, "out of memory (OOM)": words, "a | b": words, "it's": words, `"word"`: words, "len(node)": words,
		"x contains y": words, "(gpu-a)": words, "why?": words, "not": words, "in": words, "!!gpu": words, "(": words, ")": words,
		"held && idle": expr, "held and not idle": expr, "not held": expr, "!(held)": expr, "(held)": expr, "util_percent > 5": expr, "util<5": expr,
		"node != nil": expr, "len(node) > 3": expr, "node in []": expr, `node contains "x"`: expr, "true && held": expr, `ns == "prod"`: expr,
		`util < 5 && held && node_pool == "train"`: expr, "held ? idle : free": expr, "mem > 40 * GiB": expr,
		"node=gpu-a": "condition", "!node=gpu-a": "condition", "ns=prod chat": "condition",
		"utl < 5": wrong, "util <": wrong, "util < 5 &&": wrong, "util < 5 and": wrong, "util = 5": wrong, "a == b": wrong, "a && b": wrong, "a || b": wrong,
		"node contains": wrong, "node contains x": wrong, "node not in": wrong, "node==gpu-a": wrong, "util > 5 ? 1 : 2": wrong, "noode=gpu-a": wrong, "node=": wrong,
		"=": wrong, "held && 5": wrong, "util < '": wrong, "must know(util) > 1": wrong, "both of(held, idle) && held": wrong,
	} {
		got := wrong
		if f, err := CompileFilter(input, gpus); err == nil {
			got = "condition"
			if f.program != nil {
				got = expr
			} else if f.Words() {
				got = words
			}
		}
		if got != want {
			t.Errorf("%q is %s, want %s", input, got, want)
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
		{"gpus", "uuid", "util_percent/2 <= 20 and state == 'held'", []string{"GPU-2"}},
		{"gpus", "uuid", `state in ["watch", "degraded"]`, []string{"GPU-1"}},
		{"gpus", "uuid", "state=watch", []string{"GPU-1"}},
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
		{"nodes", "node", "util < temp", []string{"gpu-a"}},
		{"gpus", "uuid", "index in 1..3 and index % 2 == 1 and util in [0, 1.5]", []string{"GPU-2"}},
		// It can be asked for.
		{"gpus", "uuid", "util_percent == nil", []string{"GPU-3"}},
		{"gpus", "uuid", "nil != util_percent", []string{"GPU-1", "GPU-2"}},
		{"gpus", "uuid", "as_of == nil", []string{"GPU-3"}},
		{"gpus", "uuid", "(util_percent ?? 0) != 40", []string{"GPU-2", "GPU-3"}},
		{"gpus", "uuid", "held_by == nil || util_percent < 5", []string{"GPU-2", "GPU-3"}},
		// What is unknown on one side does not matter when the other decides.
		{"gpus", "uuid", "util_percent < 5 || held_by == nil", []string{"GPU-2", "GPU-3"}},
		{"gpus", "uuid", "not (util_percent < 5 and held)", []string{"GPU-1", "GPU-3"}},
		{"gpus", "uuid", "util_percent < 5 or util_percent >= 5", []string{"GPU-1", "GPU-2"}},
		{"gpus", "uuid", "(util_percent < 5) == false", []string{"GPU-1"}},
		{"gpus", "uuid", "(util_percent < 5) != true", []string{"GPU-1"}},
		{"gpus", "uuid", "len(held_by) > 1", []string{"GPU-1", "GPU-2"}},
		{"gpus", "uuid", "not (len(held_by) > 100)", []string{"GPU-1", "GPU-2"}},
		// Shorter names and what a GPU is.
		{"gpus", "uuid", `util < 5 && held && node_pool == "gpu"`, []string{"GPU-2"}},
		{"gpus", "uuid", `util < 5 && held && node_pool == "train"`, []string{}},
		{"gpus", "uuid", `ns == "default" && mem > 40 * GiB && temp >= 61`, []string{"GPU-2"}},
		{"gpus", "uuid", "free && !held", []string{"GPU-3"}},
		{"gpus", "uuid", "not failed and not idle and not rogue", []string{"GPU-1", "GPU-2", "GPU-3"}},
		{"nodes", "node", `node_pool == "gpu" and util >= 20`, []string{"gpu-a"}},
		{"models", "job", `util == 40 and ns == "default"`, []string{"chat"}},
		// A column by its name.
		{"gpus", "uuid", "ns=default", []string{"GPU-1", "GPU-2"}},
		{"gpus", "uuid", "!ns=default", []string{}}, // of GPU-3 it is unknown
		{"gpus", "uuid", "node=GPU-A index=1", []string{"GPU-2"}},
		{"gpus", "uuid", "held=true !util=0", []string{"GPU-1"}},
		{"jobs", "job", "ns=default chat", []string{"chat"}},
		{"jobs", "job", "job=cha", []string{}},
		{"jobs", "job", "chat ns=default llm", []string{"chat"}},
	} {
		if d := cmp.Diff(c.want, kept(t, c.view, c.column, c.input)); d != "" {
			t.Errorf("%s %q: %s", c.view, c.input, d)
		}
	}
}

// TestFilterErrors: an error says where it is and what was meant.
func TestFilterErrors(t *testing.T) {
	v, _ := Find("gpus")
	for _, c := range []struct {
		input, text string
		at          int
	}{
		{"utl < 5", "no field utl: did you mean util?", 0},
		{"held && utilisation > 5", "no field utilisation", 8},
		{"held && tensor_pct > 5", "no field tensor_pct: did you mean tensor_percent?", 8},
		{"util <", "something is missing at the end", 6},
		{"util < 5 && ", "something is missing at the end", 12},
		{"util = 5", "= is no condition: write name=word, or name == \"text\"", 5},
		{"util = 5 && held", "compare with ==", 5},
		{"held && node == gpu-a", `no field gpu: a text stands in quotes, "gpu-a"`, 16},
		{"gpu-a && gpu-b", "no field gpu", 0},
		{"gpu ns=", "ns= is no condition: write name=word, or name == \"text\"", 4},
		{"äöü nodee=gpu", "no field nodee: did you mean node?", 4},
		{`"ä" == nodee`, "no field nodee: did you mean node?", 7},
		{"known(util) > 5", "no field known", 0},
		{"util + 5 > 'x' + ", "something is missing at the end", 17},
		// A field and what it can never be.
		{`held == "yes"`, "held is yes or no: write held or not held", 0},
		{`idle && "yes" != held`, "held is yes or no: write held or not held", 17},
		{`util == "high"`, "util is a number: write util < 5", 0},
		{`index in ["0", "1"]`, "index is a number: write index < 5", 0},
		{`(mem + "1") > 5`, "mem is a number: write mem < 5", 1},
		{`ä == "x" || util == "high"`, "no field ä", 0},
		{`node == "ä" || util == "high"`, "util is a number: write util < 5", 15},
		{"node == 5", `node is text: write node == "text"`, 0},
		{"util < 1000 && node", `node is text: write node == "text"`, 15},
		{"not node", `node is text: write node == "text"`, 4},
		{"(node)", `node is text: write node == "text"`, 1},
		{"(util)", "util is a number: write util < 5", 1},
		{`throttle in "heat"`, `throttle is text: write throttle in ["text", "other"]`, 0},
		{`"heat" in throttle`, `throttle is text: write throttle contains "text"`, 10},
		{"util % 2 == 0", "util may have a fraction: % takes whole numbers", 0},
		{"len(util) > 1", "util is a number: write util < 5", 4},
		{`as_of > "2026-01-01"`, `as_of is a time: write as_of > now() - duration("10m")`, 0},
		{"node == util", "node is text and util is a number: they do not compare", 0},
		{`util < 5 && "x" > 5`, "> does not take text and a number", 16},
		{"held=yes", "held is yes or no: write held=true or held=false", 5},
		{"gpu-a !util=high", "util is a number: write util=5, or util < 5", 12},
		{"as_of=noon", `as_of is a time: write as_of > now() - duration("10m")`, 6},
		// A word that a field never holds.
		{`held && state == "degradd"`, `state is never "degradd": did you mean "degraded"?`, 17},
		{`"ä" == node || "Held" != state`, `state is never "Held": did you mean "held"?`, 15},
		{`health not in ["ok", "bad"]`, `health is never "bad": it is one of ok, watch, degraded, failed`, 21},
		{"gpu-a !state=degradd", `state is never "degradd": did you mean "degraded"?`, 13},
		{"state == 5", `state is text: write state == "failed"`, 0},
	} {
		_, err := CompileFilter(c.input, v)
		var bad *FilterError
		if !errors.As(err, &bad) {
			t.Errorf("%q: want a FilterError, got %v", c.input, err)
			continue
		}
		if bad.Err.Error() != c.text || bad.At != c.at {
			t.Errorf("%q: %q at %d, want %q at %d", c.input, bad.Err, bad.At, c.text, c.at)
		}
		if !strings.Contains(err.Error(), strconv.Quote(c.input)) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, hint %s", err, bad.Hint())
		}
	}
}

// TestHintOfFilter: the hint names fields where one is not there, and nothing where
// the error says what to write.
func TestHintOfFilter(t *testing.T) {
	v, _ := Find("gpus")
	names := v.columnNames()
	some := fmt.Sprintf("fields: %s and %d more, which -o json names", strings.Join(names[:mostListed], ", "), len(names)-mostListed)
	for input, want := range map[string]string{
		"utl < 5":             some,
		"nodee=gpu":           some,
		"util <":              some,
		`held == "yes"`:       "",
		"util=high":           "",
		"not node":            "",
		`state == "degradd"`:  "",
		"state=degradd":       "",
		`util < 5 && "x" > 5`: "",
	} {
		_, err := CompileFilter(input, v)
		var bad *FilterError
		if !errors.As(err, &bad) {
			t.Errorf("%q: %v", input, err)
			continue
		}
		if got := bad.Hint(); got != want {
			t.Errorf("%q: %q, want %q", input, got, want)
		}
	}
}

// TestMistake: what only rows can tell is told, and what is unknown is none.
func TestMistake(t *testing.T) {
	v, _ := Find("gpus")
	s := filled(t)
	for input, want := range map[string]string{
		"(util ?? node) > 5":      "invalid operation: string > int",
		"held ? node : idle":      "it is neither yes nor no",
		"not (util ?? node)":      "40 is neither yes nor no: it wants to be compared",
		`node matches "("`:        "error parsing regexp: missing closing ): `(`",
		"len(held_by) > 1":        "",
		"util < 5 && held":        "",
		"(util < 5) == true":      "",
		"util < 5 || node == nil": "",
		"gpu-a":                   "",
	} {
		f, err := CompileFilter(input, v)
		if err != nil {
			var bad *FilterError
			if !errors.As(err, &bad) || want == "" || !strings.HasPrefix(bad.Err.Error(), want) {
				t.Errorf("%q: %v", input, err)
			}
			continue
		}
		v.Select(s, f)
		text := ""
		var bad *FilterError
		if errors.As(f.Mistake(), &bad) {
			text = bad.Err.Error()
		}
		if text != want {
			t.Errorf("%q: %q, want %q", input, text, want)
		}
	}
}

func TestShortNames(t *testing.T) {
	gpus, _ := Find("gpus")
	for name, want := range map[string]string{
		"util": "util_percent", "util_percent": "util_percent", "mem": "memory_used_bytes", "memory_used": "memory_used_bytes", "temp": "temperature_celsius",
		"power": "power_watts", "ns": "held_by_namespace", "namespace": "held_by_namespace", "pool": "node_pool", "pcie_tx": "pcie_tx_bytes_per_second",
		"held": "held", "energy": "energy_joules", "utl": "", "": "",
	} {
		i, ok := gpus.Field(name)
		if ok != (want != "") || ok && gpus.Columns[i].Name != want {
			t.Errorf("%q: %v %d", name, ok, i)
		}
	}
	names := gpus.Names()
	if names[0] != "cluster" || !slices.Contains(names, "util") || slices.Contains(names[len(gpus.Columns):], "util_percent") {
		t.Errorf("%v", names)
	}
	for _, v := range Views() { // a short name never hides a column
		for i, c := range v.Columns {
			if at, _ := v.Field(c.Name); at != i {
				t.Errorf("%s of %s is column %d and not %d", c.Name, v.Name, at, i)
			}
		}
	}
}

func TestIdentity(t *testing.T) {
	s := filled(t)
	for view, want := range map[string]string{
		"nodes": "gpu-a", "gpus": "GPU-1", "jobs": "default/agent", "allocs": "a1-1111", "keys": "models", "processes": "7", "usage": "default/chat",
		"sources": "nomad", "models": "default/chat", "deployments": "d1", "evaluations": "e1",
	} {
		v, _ := Find(view)
		rows := v.Rows(s)
		found := false
		for _, r := range rows {
			found = found || v.Identity(r) == want
		}
		if !found {
			t.Errorf("no row of %s is called %s", view, want)
		}
	}
}

// TestCellsAreTheRow: read by column or as a whole, it is the same.
func TestCellsAreTheRow(t *testing.T) {
	s := filled(t)
	for _, v := range Views() {
		all, _ := CompileFilter("", &v)
		want := v.Rows(s)
		if want == nil {
			want = []Row{}
		}
		if d := cmp.Diff(want, v.Select(s, all)); d != "" {
			t.Errorf("%s: %s", v.Name, d)
		}
	}
}

// FuzzFilter: whatever is typed, it is read or refused, and words stay words.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"gpu-a", "!gpu-a", "util < 5 && held", `node == "x"`, "ns=prod", "(", "a in [1, 2]", "{", "#", "let x = 1; x > 0", "util?.x > 1", "any([1], # > index)", "\x00", "ä=ö", "!=", "\xff == 1"} {
		f.Add(seed)
	}
	gpus, _ := Find("gpus")
	row := make(Row, len(gpus.Columns))
	for i := range row {
		row[i] = []any{"a", 1, 0.5, true, nil, uint64(7)}[i%6]
	}
	f.Fuzz(func(t *testing.T, input string) {
		filter, err := CompileFilter(input, gpus)
		if err != nil {
			var bad *FilterError
			if !errors.As(err, &bad) || bad.At < 0 || bad.At > len([]rune(input)) || strings.Contains(bad.Err.Error(), "\n") {
				t.Fatalf("%q: %v", input, err)
			}
			return
		}
		_ = filter.Keep(row)
		if !strings.ContainsAny(input, "<>=!&|()\"'?") && !strings.Contains(input, " ") && !filter.Words() {
			t.Fatalf("%q is a word", input)
		}
	})
}

// BenchmarkFilter keeps some of 8,000 GPUs.
func BenchmarkFilter(b *testing.B) {
	s := &cluster.Snapshot{}
	for i := range 8000 {
		g := cluster.GPU{Claims: true, Known: true, Schedulable: true, Reading: &cluster.Reading{}}
		g.Host = &cluster.Host{NodeName: fmt.Sprintf("gpu-%d", i/8), Pool: "train", NodeUp: true, NodeOpen: true}
		g.Device = &gpu.Device{UUID: gpu.UUID(fmt.Sprintf("GPU-%032d", i)), Index: i % 8, Model: "NVIDIA H100 80GB HBM3"}
		if i%5 > 0 { // of the others nobody knows
			g.Sample = &gpu.Sample{UUID: g.UUID, UtilPercent: p(float64(i % 100))}
		}
		if i%3 > 0 {
			g.Holder = &cluster.Holder{Job: id("chat"), Name: "chat.g[0]"}
		}
		s.GPUs = append(s.GPUs, g)
	}
	v, _ := Find("gpus")
	for name, input := range map[string]string{"expression": `util < 5 && held && node_pool == "train"`, "unknown": "util < 0", "condition": "pool=none", "words": "h100 !chat gpu-12"} {
		b.Run(name, func(b *testing.B) {
			f, err := CompileFilter(input, v)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				v.Each(s, func(c Cells) bool { f.KeepCells(c); return true })
			}
		})
	}
	b.Run("whole rows", func(b *testing.B) {
		for b.Loop() {
			v.Rows(s)
		}
	})
}

// TestPassing: what asks for the time says something else of the same row later.
func TestPassing(t *testing.T) {
	v, _ := Find("events")
	for text, want := range map[string]bool{
		`time > now() - duration("10m")`:                        true,
		`level == "bad" and (now() - time).Minutes() < 5`:       true,
		`kind == "gpu" and time > date("2026-01-01T00:00:00Z")`: false,
		"now":                false,
		`subject == "now()"`: false,
	} {
		f, err := CompileFilter(text, v)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if f.Passing() != want {
			t.Errorf("%s: passing is %v", text, f.Passing())
		}
	}
}
