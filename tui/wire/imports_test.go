// Package wire_test holds the import directions of the whole module.
package wire_test

import (
	"errors"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the path of this module.
const module = "stoker"

// layers are the top-level folders from the highest to the lowest. A package
// may import its own folder and those below it; the last two are leaves.
func layers() [][]string {
	return [][]string{{"."}, {"tui"}, {"scenarios"}, {"jobs"}, {"cluster"}, {"gpu", "secrets"}}
}

// adapters may be imported only where the parts are put together, and by
// those named here.
func adapters() map[string][]string {
	return map[string][]string{
		"cluster/nomad": nil,
		"cluster/lab":   nil,
		"secrets/vault": nil,
		"gpu/agent":     nil,
		"gpu/nvml":      {"gpu/sim"}, // which stands behind its interface
		"gpu/sim":       {"cluster/lab"},
		"gpu/sim/load":  {"gpu/sim"},
	}
}

// clients may import a library that the rest must not know.
func clients() map[string][]string {
	return map[string][]string{
		"github.com/hashicorp/nomad/api":  {"cluster/nomad"},
		"github.com/hashicorp/vault/api":  {"secrets/vault"},
		"github.com/NVIDIA/go-nvml":       {"gpu/nvml", "gpu/sim"},
		"github.com/minio/sio":            {"secrets/seal"},
		"github.com/hashicorp/hcl":        {"jobs/pack"},
		"github.com/hashicorp/go-version": {"cluster/explain"},
		"github.com/zclconf/go-cty":       {"jobs/pack"},
		"github.com/prometheus":           {"gpu/agent", "gpu/source", "jobs/metrics", "tui/export"},
		"github.com/spf13/cobra":          {"tui"},
		"charm.land":                      {"tui"},
		"github.com/charmbracelet":        {"tui"},
		"github.com/expr-lang/expr":       {"cluster/facts", "scenarios"},
		"github.com/goccy/go-yaml":        {"cluster/contexts", "scenarios", "tui"},
		"golang.org/x/sync":               {"cluster/nomad", "secrets/seal", "tui"},
		"gonum.org/v1/gonum":              {"jobs/drift"},
	}
}

// helpers serve tests: no program may import them.
func helpers() []string {
	return []string{
		"testing", "github.com/google/go-cmp", "go.uber.org/goleak", "github.com/rogpeppe/go-internal",
		"github.com/charmbracelet/x/exp", "github.com/charmbracelet/x/vttest",
	}
}

// fixtures are packages that hold what tests share.
func fixtures() []string { return []string{"tui/screen/fixture", "tui/e2e", "gpu/certs/certtest"} }

// link is one import by one file.
type link struct {
	from string // folder below the module's root
	file string
	test bool
	to   string
}

func TestImportDirections(t *testing.T) {
	links := readLinks(t)
	if len(links) < 300 {
		t.Fatalf("only %d imports were found: the tree is not where it was", len(links))
	}
	for _, l := range links {
		for _, wrong := range faults(l) {
			t.Errorf("%s imports %s: %s", l.file, l.to, wrong)
		}
	}
}

// faults says what is wrong with an import.
func faults(l link) (out []string) {
	if inside, ok := own(l.to); ok {
		return ownFaults(l, inside)
	}
	for library, allowed := range clients() {
		if below(l.to, library) && !slices.ContainsFunc(allowed, func(a string) bool { return below(l.from, a) }) && !(l.test && slices.Contains(helpers(), "github.com/charmbracelet/x/exp") && below(l.to, "github.com/charmbracelet/x/exp")) {
			out = append(out, "only "+strings.Join(allowed, ", ")+" may")
		}
	}
	if !l.test && !slices.Contains(fixtures(), l.from) && slices.ContainsFunc(helpers(), func(h string) bool { return below(l.to, h) }) {
		out = append(out, "it is for tests")
	}
	first, _, _ := strings.Cut(l.to, "/")
	if strings.Contains(first, ".") && !l.test && slices.Contains([]string{"gpu", "secrets", "cluster", "jobs"}, l.from) {
		out = append(out, "the root of a layer knows no third party")
	}
	return out
}

func ownFaults(l link, inside string) (out []string) {
	from, to := layer(l.from), layer(inside)
	switch {
	case from > to:
		out = append(out, "it points up")
	case from == to && top(l.from) != top(inside):
		out = append(out, "these two do not know each other")
	}
	root := top(l.from) == l.from && l.from != "." && l.from != "tui"
	adapter := adapterOf(inside)
	if root && !l.test && below(inside, l.from) {
		out = append(out, "a root does not import what lies under it")
	}
	if adapter != "" && !l.test && !mayAdapt(l.from, adapter) {
		out = append(out, "it is an adapter: main and tui/wire put these in")
	}
	if slices.Contains(fixtures(), inside) && !l.test && !slices.Contains(fixtures(), l.from) {
		out = append(out, "it is for tests")
	}
	return out
}

// adapterOf is the adapter that a folder is or lies under, the innermost one.
func adapterOf(folder string) (found string) {
	for name := range adapters() {
		if below(folder, name) && len(name) > len(found) {
			found = name
		}
	}
	return found
}

func mayAdapt(from, adapter string) bool {
	if from == "." || from == "tui/wire" || below(from, adapter) || slices.Contains(fixtures(), from) {
		return true
	}
	return slices.Contains(adapters()[adapter], from)
}

func own(importPath string) (folder string, ok bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

func layer(folder string) int {
	return slices.IndexFunc(layers(), func(names []string) bool { return slices.Contains(names, top(folder)) })
}

func top(folder string) string {
	first, _, _ := strings.Cut(folder, "/")
	return first
}

// below tells whether a path is another or lies under it.
func below(p, of string) bool { return p == of || strings.HasPrefix(p, of+"/") }

// moduleRoot is the nearest folder above the test whose go.mod is the module's.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module "+module+"\n") {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatalf("no go.mod of module %s above the test", module)
		}
		dir = up
	}
}

// source is one Go file: its path below the module's root and its head.
type source struct {
	name string
	head *ast.File
}

// readSources parses the heads of every Go file of this module, whatever its
// build tags, leaving out modules nested in it.
func readSources(t *testing.T) (files []source) {
	t.Helper()
	root := moduleRoot(t)
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && file != root {
			return skip(file, d)
		}
		if d.IsDir() || !strings.HasSuffix(file, ".go") {
			return nil
		}
		head, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // an editor's passing file
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		files = append(files, source{filepath.ToSlash(rel), head})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func readLinks(t *testing.T) (links []link) {
	t.Helper()
	for _, f := range readSources(t) {
		for _, spec := range f.head.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			links = append(links, link{from: path.Dir(f.name), file: f.name, test: strings.HasSuffix(f.name, "_test.go"), to: to})
		}
	}
	return links
}

func skip(folder string, d fs.DirEntry) error {
	if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
		return fs.SkipDir
	}
	if name := d.Name(); name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return fs.SkipDir
	}
	return nil
}

// TestFaults makes sure that the rules can fail.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		from, to string
		test     bool
		want     string // part of what is wrong; empty when all is well
	}{
		{"tui/cli", "stoker/cluster", false, ""},
		{"cluster", "stoker/jobs", false, "points up"},
		{"jobs/action", "stoker/tui/keys", false, "points up"},
		{"cluster/nomad", "stoker/scenarios", true, "points up"},
		{"tui", "stoker", false, "points up"},
		{"gpu/source", "stoker/secrets", false, "do not know each other"},
		{"secrets/vault", "stoker/gpu", false, "do not know each other"},
		{"tui/cli", "stoker/cluster/nomad", false, "an adapter"},
		{"scenarios", "stoker/secrets/vault", false, "an adapter"},
		{"cluster/facts", "stoker/cluster/nomad", false, "an adapter"},
		{"tui/wire", "stoker/cluster/nomad", false, ""},
		{"tui/e2e", "stoker/cluster/lab", true, ""},
		{"cluster/lab", "stoker/gpu/sim", false, ""},
		{"gpu/sim", "stoker/gpu/nvml", false, ""},
		{"scenarios/fault", "stoker/gpu/sim/load", false, "an adapter"},
		{"jobs/metrics", "stoker/cluster/nomad/raw", false, "an adapter"},
		{"cluster/nomad", "stoker/cluster/nomad/raw", false, ""},
		{".", "stoker/gpu/agent", false, ""},
		{"cluster", "stoker/cluster/facts", false, "what lies under it"},
		{"tui", "stoker/tui/screen", false, ""},
		{"cluster/facts", "github.com/hashicorp/nomad/api", false, "only cluster/nomad may"},
		{"cluster/nomad", "github.com/hashicorp/nomad/api", false, ""},
		{"cluster/nomad", "github.com/hashicorp/nomad/api/contexts", false, ""},
		{"secrets/seal", "github.com/hashicorp/vault/api", true, "only secrets/vault may"},
		{"gpu/agent", "github.com/NVIDIA/go-nvml/pkg/nvml", false, "only gpu/nvml, gpu/sim may"},
		{"jobs", "github.com/google/uuid", false, "knows no third party"},
		{"scenarios", "charm.land/bubbletea/v2", false, "only tui may"},
		{"cluster", "github.com/google/go-cmp/cmp", false, "for tests"},
		{"cluster", "github.com/google/go-cmp/cmp", true, ""},
		{"cluster/nomad", "github.com/charmbracelet/x/exp/golden", true, ""},
		{"tui/cli", "stoker/tui/screen/fixture", false, "for tests"},
	} {
		got := strings.Join(faults(link{from: c.from, to: c.to, test: c.test}), "; ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s imports %s: %q, want %q", c.from, c.to, got, c.want)
		}
	}
}

// TestEveryPackageExplainsItself: each has a doc.go that says what it is for;
// for the program itself main.go does.
func TestEveryPackageExplainsItself(t *testing.T) {
	told := map[string]bool{}
	for _, f := range readSources(t) {
		dir, base := path.Split(f.name)
		explains := base == "doc.go" && strings.HasPrefix(f.head.Doc.Text(), "Package "+f.head.Name.Name+" ") ||
			f.name == "main.go" && strings.HasPrefix(f.head.Doc.Text(), "Command ")
		told[dir] = told[dir] || explains
	}
	for dir, ok := range told {
		if !ok {
			t.Errorf("%s has no doc.go that begins with what the package is for", path.Join(dir, "."))
		}
	}
}

// TestLayersCover: a new top-level folder must be given its place.
func TestLayersCover(t *testing.T) {
	for _, l := range readLinks(t) {
		if layer(l.from) < 0 {
			t.Errorf("%s lies in no layer", l.file)
		}
	}
	if _, err := build.ImportDir(moduleRoot(t), 0); err != nil {
		t.Errorf("the root is no package: %v", err)
	}
}
