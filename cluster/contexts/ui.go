package contexts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// UI is the section ui of the config file: how the screens look, and what the
// user added to them. What a name or a filter in it means, nobody checks here.
type UI struct {
	Theme string `yaml:"theme"` // a built-in one, or a file themes/NAME.yaml beside the config file
	ASCII bool   `yaml:"ascii"` // nothing but ASCII is drawn
	Mouse bool   `yaml:"mouse"`
	// Views are tables to come back to, by their names.
	Views map[string]SavedView `yaml:"views"`
	// Hotkeys are commands of the command bar by key, Aliases by another name.
	Hotkeys map[string]string `yaml:"hotkeys"`
	Aliases map[string]string `yaml:"aliases"`

	path  string
	lines map[string]int // where a field is, by its path: "hotkeys.ctrl+t"
}

// SavedView is one table as somebody wants to see it.
type SavedView struct {
	Screen  string   `yaml:"screen"`
	Filter  string   `yaml:"filter"`
	Columns []string `yaml:"columns"`
	Order   string   `yaml:"order"` // names of columns, after "-" the largest first, joined by commas
}

// Fault is what is wrong with a field, with the file and the line.
func (u UI) Fault(err error, field ...string) error {
	where := u.path
	for n := len(field); n > 0; n-- {
		if line, ok := u.lines[strings.Join(field[:n], ".")]; ok {
			where = fmt.Sprintf("%s: line %d", u.path, line)
			break
		}
	}
	return fmt.Errorf("%w %s: ui.%s: %w", ErrConfig, where, strings.Join(field, "."), err)
}

// ReadUI reads the section ui of the config file, and that file strictly.
func ReadUI(sys System) (UI, error) {
	f, err := readConfig(sys)
	if err != nil {
		return UI{}, err
	}
	f.UI.path = sys.ConfigPath()
	raw, err := os.ReadFile(f.UI.path) //nolint:gosec // the user's own file
	if errors.Is(err, fs.ErrNotExist) {
		return f.UI, nil
	}
	if err != nil {
		return UI{}, err
	}
	f.UI.lines = linesOf(raw)
	return f.UI, nil
}

// linesOf says on which line each field of the section ui is.
func linesOf(raw []byte) map[string]int {
	out := map[string]int{}
	parsed, err := parser.ParseBytes(raw, 0)
	if err != nil {
		return out
	}
	for _, doc := range parsed.Docs {
		eachField(doc.Body, "", func(path string, line int) {
			if field, ok := strings.CutPrefix(path, "ui."); ok {
				out[field] = line
			}
		})
	}
	return out
}

func eachField(n ast.Node, path string, tell func(path string, line int)) {
	var fields []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		fields = n.Values
	case *ast.MappingValueNode:
		fields = []*ast.MappingValueNode{n}
	}
	for _, f := range fields {
		name := path + f.Key.GetToken().Value
		tell(name, f.Key.GetToken().Position.Line)
		eachField(f.Value, name+".", tell)
	}
}
