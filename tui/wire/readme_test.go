package wire

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"stoker/cluster/contexts"
	"stoker/cluster/facts"
	"stoker/jobs/pack"
	"stoker/scenarios"
)

const projectRoot = "../.."

// The screen that README.md shows.
const readmeScreen = "tui/testdata/TestGolden/fleet-80x24.golden"

func projectFile(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(projectRoot, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestReadme holds README.md and the other documents against the program: what
// they tell people to type must exist.
func TestReadme(t *testing.T) {
	docs, err := filepath.Glob(filepath.Join(projectRoot, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages := []string{"README.md"}
	for _, d := range docs {
		pages = append(pages, "docs/"+filepath.Base(d))
	}
	var said strings.Builder
	commands, targets, links := 0, 0, 0
	for _, page := range pages {
		t.Run(page, func(t *testing.T) {
			text := projectFile(t, page)
			said.WriteString(text)
			for _, code := range codeIn(text) {
				commands += checkCommands(t, code)
				targets += checkTargets(t, code)
			}
			links += checkLinks(t, page, text)
		})
	}
	if commands < 60 || targets < 5 || links < 8 {
		t.Errorf("found %d commands, %d make targets and %d links: this test reads them wrongly", commands, targets, links)
	}
	for _, cmd := range commandsBelow(lonely(t, io.Discard).Root()) {
		if name := cmd.Name(); !cmd.Hidden && !strings.Contains(said.String(), name) {
			t.Errorf("no document mentions %s", cmd.CommandPath())
		}
	}
}

func TestReadmeScreen(t *testing.T) {
	readme := projectFile(t, "README.md")
	var lines []string
	for _, line := range strings.Split(ansi.Strip(projectFile(t, readmeScreen)), "\n") {
		lines = append(lines, strings.TrimRight(line, " "))
	}
	if want := "```\n" + strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n```\n"; !strings.Contains(readme, want) {
		t.Errorf("README.md does not show %s as it is; put this into it:\n%s", readmeScreen, want)
	}
	if n := strings.Count(readme, "\n"); n >= 300 {
		t.Errorf("README.md has %d lines, want less than 300", n)
	}
}

// TestExitCodesDocumented: the tables of exit codes are the program's.
func TestExitCodesDocumented(t *testing.T) {
	for _, page := range []string{"README.md", "docs/line-mode.md"} {
		text := projectFile(t, page)
		for code, word := range map[int]string{
			ExitDone: "done", ExitFailed: "failed", ExitUsage: "usage", ExitUnreachable: "unreachable",
			ExitDenied: "denied", ExitPartly: "partly done", ExitInterrupted: "interrupted",
		} {
			if !regexp.MustCompile(fmt.Sprintf(`(?m)^\| %d \| .*%s`, code, word)).MatchString(text) {
				t.Errorf("%s has no line for exit code %d, %s", page, code, word)
			}
		}
	}
}

// codeIn gives the lines of fenced blocks and the code in running text.
func codeIn(markdown string) []string {
	var out []string
	fenced := false
	for line := range strings.Lines(markdown) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			fenced = !fenced
		case fenced:
			out = append(out, line)
		default:
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1) {
				out = append(out, strings.ReplaceAll(m[1], `\|`, "|"))
			}
		}
	}
	return out
}

// A command line begins a code, or follows a prompt, a pipe or an opening parenthesis.
var commandLine = regexp.MustCompile(`(?:^|\$ |\| |\(|&& )(?:bin/)?stoker( [^#"'$)` + "`" + `;]*|$)`)

var columnsApart = regexp.MustCompile(`\s{3,}`)

// checkCommands finds command lines in a piece of code and checks their
// commands and flags against the program's.
func checkCommands(t *testing.T, code string) int {
	t.Helper()
	n := 0
	var matches [][]string
	for _, column := range columnsApart.Split(code, -1) {
		matches = append(matches, commandLine.FindAllStringSubmatch(column, -1)...)
	}
	for _, m := range matches {
		line, _, _ := strings.Cut(strings.TrimSpace(m[1]), " -- ")
		root := lonely(t, io.Discard).Root()
		cmd := root
		for i, part := range strings.Split(line, " | ") {
			words := strings.Fields(part)
			if i > 0 && len(words) > 0 && words[0] == "jq" {
				break // a pipe into another program
			}
			at := root
			if i > 0 && cmd.HasParent() { // "list | show PACK" names sisters
				at = cmd.Parent()
			}
			found, err := checkLine(at, words)
			if err != nil {
				t.Errorf("stoker %s: %v", line, err)
				break
			}
			cmd = found
			n++
			t.Logf("%s: stoker %s", cmd.CommandPath(), part)
		}
	}
	return n
}

// checkLine follows the words down the commands and looks each flag up.
func checkLine(cmd *cobra.Command, words []string) (*cobra.Command, error) {
	operands := 0
	for i := 0; i < len(words); i++ {
		word := strings.Trim(words[i], "[]")
		switch {
		case word == "--":
			return cmd, nil
		case len(word) > 1 && word[0] == '-':
			name, _, valued := strings.Cut(word, "=")
			f := flagOf(cmd, name)
			if f == nil {
				return nil, fmt.Errorf("%s has no flag %s", cmd.CommandPath(), name)
			}
			if !valued && f.NoOptDefVal == "" {
				i++
			}
		case operands == 0 && sub(cmd, word) != nil:
			cmd = sub(cmd, word)
		case cmd.HasSubCommands() && regexp.MustCompile(`^[a-z-]+$`).MatchString(word) && operands == 0 && cmd.HasParent():
			return nil, fmt.Errorf("%s has no command %s", cmd.CommandPath(), word)
		case cmd.HasSubCommands() && !cmd.HasParent() && regexp.MustCompile(`^[a-z-]+$`).MatchString(word):
			return nil, fmt.Errorf("there is no command %s", word)
		case operands == 0 && cmd.Name() == "get" && word != "VIEW":
			operands++
			for _, view := range strings.Split(word, "|") {
				if _, ok := facts.Find(view); !ok {
					return nil, fmt.Errorf("there is no view %s", view)
				}
			}
		default:
			operands++
		}
	}
	return cmd, nil
}

func sub(cmd *cobra.Command, name string) *cobra.Command {
	i := slices.IndexFunc(cmd.Commands(), func(c *cobra.Command) bool { return c.Name() == name })
	if i < 0 {
		return nil
	}
	return cmd.Commands()[i]
}

func flagOf(cmd *cobra.Command, name string) *pflag.Flag {
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	for _, set := range []*pflag.FlagSet{cmd.Flags(), cmd.InheritedFlags()} {
		if long, ok := strings.CutPrefix(name, "--"); ok {
			if f := set.Lookup(long); f != nil {
				return f
			}
		} else if f := set.ShorthandLookup(name[1:2]); f != nil {
			return f
		}
	}
	return nil
}

func checkTargets(t *testing.T, code string) int {
	t.Helper()
	n := 0
	for _, m := range regexp.MustCompile(`(?:^|\s)make ([a-z0-9-]+)`).FindAllStringSubmatch(code, -1) {
		n++
		if !regexp.MustCompile(`(?m)^` + m[1] + `:`).MatchString(projectFile(t, "Makefile")) {
			t.Errorf("the Makefile has no target %s", m[1])
		}
	}
	return n
}

// checkLinks looks for the files that are linked, and for those that are named
// by a path from the project's root.
func checkLinks(t *testing.T, page, text string) int {
	t.Helper()
	n := 0
	exists := func(what, path string) {
		n++
		if _, err := os.Stat(filepath.Join(projectRoot, path)); err != nil {
			t.Errorf("%s %s is not there", what, path)
		}
	}
	for _, m := range regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(m[1], "://") {
			exists("the linked", filepath.Join(filepath.Dir(page), m[1]))
		}
	}
	for _, m := range regexp.MustCompile("`((?:tui|scenarios|jobs|cluster|gpu|secrets|docs)/[A-Za-z0-9_./-]*)`").FindAllStringSubmatch(text, -1) {
		exists("the file", m[1])
	}
	return n
}

// TestExamples: what the documents give as files is accepted.
func TestExamples(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	n := 0
	for _, m := range blocks.FindAllStringSubmatch(projectFile(t, "docs/scenarios.md"), -1) {
		n++
		sc, err := scenarios.Parse(fmt.Sprintf("example %d", n), []byte(m[1]))
		if err == nil {
			err = sc.Check(&pack.Library{})
		}
		if err != nil {
			t.Errorf("docs/scenarios.md:\n%v", err)
		}
	}
	for _, page := range []string{"README.md", "docs/operations.md"} {
		for _, m := range blocks.FindAllStringSubmatch(projectFile(t, page), -1) {
			if !strings.Contains(m[1], "contexts:") {
				continue
			}
			n++
			path := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(path, []byte(m[1]), 0o600); err != nil {
				t.Fatal(err)
			}
			env := map[string]string{"STOKER_CONFIG": path}
			all, current, err := contexts.All(contexts.System{Getenv: func(name string) string { return env[name] }, Home: t.TempDir()})
			if err != nil || len(all) == 0 || current == "" {
				t.Errorf("%s: %d contexts, current %q: %v", page, len(all), current, err)
			}
		}
	}
	if n < 4 {
		t.Errorf("found %d examples: this test reads them wrongly", n)
	}
}

// TestColumnsDocumented: the schema that scripts rely on is written down.
func TestColumnsDocumented(t *testing.T) {
	text := projectFile(t, "docs/line-mode.md")
	for _, v := range facts.Views() {
		if !regexp.MustCompile("(?m)^### .*" + v.Name).MatchString(text) {
			t.Errorf("there is no section on %s", v.Name)
		}
		for _, c := range v.Columns {
			name := strings.NewReplacer("latency_p95_", "latency_p50_", "latency_p99_", "latency_p50_").Replace(c.Name) // written as _p95_
			if !strings.Contains(text, "`"+name+"`") {
				t.Errorf("column %s of %s is not described", c.Name, v.Name)
			}
		}
	}
}
