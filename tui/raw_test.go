package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/exp/golden"

	"stoker/cluster"
	"stoker/tui/screen/fixture"
)

// told is what Nomad tells of a thing in these tests.
func told(asked *[]cluster.Ref) func(*Config) {
	return func(c *Config) {
		c.Raw = func(_ context.Context, ref cluster.Ref) (string, error) {
			*asked = append(*asked, ref)
			if ref.Kind == cluster.RefNode {
				return "", errors.New("nomad: permission denied")
			}
			var b strings.Builder
			fmt.Fprintf(&b, "{\n  \"ID\": %q,\n  \"Kind\": %q,\n", ref.ID, ref.Kind)
			for i := range 60 {
				fmt.Fprintf(&b, "  \"Field%02d\": \"value %d\x1b[2J\",\n", i, i*i)
			}
			fmt.Fprintf(&b, "  \"Long\": %q\n}", strings.Repeat("a word and ", 30))
			return b.String(), nil
		}
		c.Redact = func(text string) string { return strings.ReplaceAll(text, "value 2500", "[redacted]") }
	}
}

func TestRawGolden(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 50}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			var asked []cluster.Ref
			r := newRig(t, fixture.Lab(), told(&asked))
			r.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
			r.press("4", "down", "y", "/", `"value 9"`, "enter", "n")
			golden.RequireEqual(t, fixture.Picture(r.draw()))
		})
	}
}

func TestRaw(t *testing.T) {
	var asked []cluster.Ref
	r := newRig(t, fixture.Lab(), told(&asked))
	r.press("4", "down", "y")
	want := cluster.Ref{Place: fixture.Place(), Kind: cluster.RefJob, Namespace: "prod", ID: "llm-chat"}
	if len(asked) != 1 || asked[0] != want {
		t.Fatalf("asked for %+v", asked)
	}
	r.sees("job prod/llm-chat, as Nomad tells it")
	r.press("G")
	r.sees("a word and a word and")
	r.press("g", "/", `"redacted"`, "enter")
	r.sees("[redacted]")
	r.press("esc")
	r.sees("/ find   c copy")
	r.press("esc")
	r.misses("as Nomad tells it")
	if strings.Contains(r.draw(), "\x1b[2J") {
		t.Error("an escape sequence of Nomad's reaches the terminal")
	}

	r.press("2", "y") // a node, which may not be read
	r.sees("node gpu-a: nomad: permission denied")
	r.press("3", "y") // of a GPU Nomad tells nothing
	r.sees("a row of gpus as line mode prints it")
	r.sees(`"util_percent"`)
	r.press("q", "9", "y")
	r.sees("a row of events")
}

func TestRawIsOfTheLatestQuestion(t *testing.T) {
	var asked []cluster.Ref
	r := newRig(t, fixture.Lab(), told(&asked))
	r.press("4")
	_, late := r.Update(key("y"))
	r.press("down", "y", "esc")
	r.run(late) // the answer to what was asked first
	r.misses("as Nomad tells it")
}

// TestRawWaitsForTheLine: the answer does not open over what is being typed.
func TestRawWaitsForTheLine(t *testing.T) {
	var asked []cluster.Ref
	r := newRig(t, fixture.Lab(), told(&asked))
	r.press("4")
	_, late := r.Update(key("y"))
	r.press(":")
	r.run(late)
	if r.over != nil {
		t.Error("it opened over the line")
	}
}

func TestPastedSearch(t *testing.T) {
	p := newPager(newRig(t, fixture.Lab()).env, "text", "one\ntwo\nthree\n")
	p.view(80, 20)
	p.key(key("/"))
	p.paste("three")
	if p.words != "three" || p.folds[p.hit].text != "three" {
		t.Errorf("looks for %q, and is at %q", p.words, p.folds[p.hit].text)
	}
}

// TestSearchGoesRound: from the last line with the words on to the first, also
// where the last ones are all in sight.
func TestSearchGoesRound(t *testing.T) {
	var lines []string
	for i := range 40 {
		lines = append(lines, fmt.Sprint("line ", i))
	}
	r := newRig(t, fixture.Lab())
	p := newPager(r.env, "text", strings.Join(lines, "\n"))
	p.view(80, 20)
	p.words = "line 3" // 3, and 30 to 39
	var hits []string
	for range 12 {
		p.key(key("n"))
		hits = append(hits, strings.TrimPrefix(p.folds[p.hit].text, "line "))
	}
	if got := strings.Join(hits, " "); got != "3 30 31 32 33 34 35 36 37 38 39 3" {
		t.Error(got)
	}
	p.key(key("N"))
	if got := p.folds[p.hit].text; got != "line 39" {
		t.Error(got)
	}
}

func TestCopyingRaw(t *testing.T) {
	var asked []cluster.Ref
	r := newRig(t, fixture.Lab(), told(&asked))
	r.press("4", "down", "y")
	_, cmd := r.Update(key("c"))
	var copied string
	for _, c := range cmd().(tea.BatchMsg) {
		if text := fmt.Sprint(c()); strings.Contains(text, "Field01") {
			copied = text
		}
	}
	if !strings.Contains(copied, `"ID": "llm-chat"`) || strings.Contains(copied, "value 2500") {
		t.Errorf("copied %q", copied)
	}
}
