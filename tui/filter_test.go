package tui

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"stoker/cluster"
	"stoker/tui/screen/fixture"
)

// silent is a source of logs that has nothing to say.
type silent struct{}

func (silent) Logs(ctx context.Context, _ cluster.LogRequest, _ func(cluster.LogLine)) error {
	<-ctx.Done()
	return nil
}

func TestAFilterBelongsToWhatItWasTypedIn(t *testing.T) {
	r := newRig(t, fixture.Lab(), func(c *Config) { c.Logs = silent{} })
	r.press("4", "/", `"llm"`, "enter")
	r.sees("/llm  2 of 8, esc clears")
	r.press("enter") // the details
	r.misses("esc clears")
	r.press("/")
	r.sees("there is nothing to filter here")
	r.press("esc")
	r.sees("/llm  2 of 8, esc clears")

	r.Update(key("l")) // its commands wait for lines: not run
	r.sees("log of prod/llm-chat")
	r.misses("esc clears")
	r.press("/", `"error"`, "enter")
	r.sees("/error  0 of 0, esc clears")
	r.press("esc")
	r.sees("log of prod/llm-chat")
	r.misses("esc clears")
	r.press("esc")
	r.sees("/llm  2 of 8, esc clears")
	r.press("esc")
	r.misses("esc clears")
	r.sees("train/finetune-7b")
}

func TestAJumpIsNotHiddenByAFilter(t *testing.T) {
	r := newRig(t, fixture.Lab())
	r.press("3", "/", `"gpu-c"`, "enter", "4", "down", "v")
	r.sees("[3 gpus]")
	r.misses("esc clears")
}

func TestTypingReplacesTheOldFilter(t *testing.T) {
	for name, c := range map[string]struct {
		keys []string
		want string
	}{
		"a letter replaces":   {[]string{`"gpu-c"`}, "gpu-c"},
		"backspace empties":   {[]string{"backspace"}, ""},
		"a caret key goes on": {[]string{"left", `"x"`}, "gpu-xb"},
		"enter leaves it":     {[]string{"enter"}, "gpu-b"},
		"esc clears":          {[]string{"esc"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, fixture.Lab())
			r.press("2", "/", `"gpu-b"`, "enter", "/")
			r.sees("typing replaces it")
			r.press(c.keys...)
			if got, _ := r.filter(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestExpressionsFilterLists(t *testing.T) {
	for _, c := range []struct{ screen, filter, want string }{
		{"1", `failed || rogue && held`, "1 of 3"}, // the nodes with such a GPU
		{"1", `model contains "L40S"`, "1 of 3"},
		{"1", `gpu-b`, "1 of 3"},
		{"1", `node=gpu-b`, "1 of 3"},
		{"2", `gpus_failed > 0`, "1 of 3"},
		{"3", `util_percent < 5 && held_by != nil`, "2 of 20"},
		{"3", `util < 5 && held && node_pool == "gpu"`, "2 of 20"},
		{"3", `node=gpu-c`, "4 of 20"},
		{"3", `node == "gpu-c"`, "4 of 20"},
		{"3", `gpu-c`, "4 of 20"}, // words
		{"4", `status == "running" and kind == "training"`, "2 of 8"},
		{"5", `requests_per_second > 100`, "1 of 2"},
		{"6", `loss != nil`, "2 of 3"},
		{"7", `latest_version > 1`, "1 of 2"},
		{"9", `level == "bad"`, "2 of 8"},
	} {
		r := newRig(t, fixture.Lab())
		r.press(c.screen, "/", `"`+c.filter+`"`, "enter")
		if got := fixture.Picture(r.draw()); !strings.Contains(got, c.want) {
			t.Errorf("%s on %s: not %s:\n%s", c.filter, c.screen, c.want, got)
		}
	}
}

func TestAnExpressionThatDoesNotCompileKeepsTheFilter(t *testing.T) {
	r := newRig(t, fixture.Lab())
	r.press("3", "/", `"gpu-c"`, "enter", "/", `"nonsense > 1"`)
	r.sees("no field nonsense")
	r.press("enter") // the field stays, with its error
	r.sees("/nonsense > 1")
	if got, _ := r.filter(); got != "gpu-c" { // the word "nonsense" was the beginning of this
		t.Errorf("%q", got)
	}
	for range "nonsense > 1" {
		r.press("backspace")
	}
	r.press(`"util < 5 &&"`)
	r.sees("something is missing at the end")
	if got, _ := r.filter(); got != "util < 5" { // the last that was right
		t.Errorf("%q", got)
	}
	for range "util < 5 &&" {
		r.press("backspace")
	}
	for typed, want := range map[string]string{
		"util < 5 && node":                    `node is text: write node == "text"`,
		"util < 5 && (pages_pending ?? node)": "gpu-a is neither yes nor no: it wants to be compared",
	} {
		r.press(strconv.Quote(typed), "enter")
		r.sees(want)
		if got, _ := r.filter(); got != "util < 5" {
			t.Errorf("%q", got)
		}
		for range typed {
			r.press("backspace")
		}
	}
	r.press("esc", ":", `"gpus util_percnt < 5"`, "enter")
	r.sees("no field util_percnt: did you mean util_percent?")
}
