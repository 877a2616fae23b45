package scenarios

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"

	"stoker/cluster/facts"
)

// scope is the names that an expression at one place of the file may use.
// Each has two types: a strict one, in which the columns of rows are fields, so
// that a wrong column is found; and the loose one of the maps that are there when it runs.
type scope struct {
	strict, loose types.Map
	views         []string
	fixed         []string // names that a variable must not take
}

func newScope() *scope {
	s := &scope{strict: types.Map{}, loose: types.Map{}}
	rows := map[string]reflect.Type{}
	for _, v := range facts.Views() {
		var columns []string
		for _, c := range v.Columns {
			columns = append(columns, c.Name)
		}
		rows[v.Name] = reflect.SliceOf(record(columns...))
		s.views = append(s.views, v.Name)
		s.put(v.Name, zero(rows[v.Name]), []map[string]any{})
	}
	artifact := record("model", "version", "urn", "digest", "key", "key_version", "size_bytes", "created", "trained_by", "evaluation")
	str := reflect.TypeFor[string]()
	for name, f := range map[string]struct {
		in  []reflect.Type
		out reflect.Type
		run any
	}{
		"outcome":   {[]reflect.Type{str}, record("done", "good", "text"), (*sight)(nil).outcome},
		"running":   {[]reflect.Type{str}, reflect.TypeFor[bool](), (*sight)(nil).running},
		"held":      {[]reflect.Type{str}, rows["gpus"], (*sight)(nil).held},
		"free":      {nil, rows["gpus"], (*sight)(nil).free},
		"artifact":  {[]reflect.Type{str, str}, reflect.PointerTo(artifact), (*sight)(nil).artifact},
		"endpoints": {[]reflect.Type{str}, reflect.TypeFor[[]string](), (*sight)(nil).endpoints},
	} {
		s.put(name, zero(reflect.FuncOf(f.in, []reflect.Type{f.out}, false)), f.run)
	}
	s.fixed = slices.Collect(maps.Keys(s.strict))
	s.put("run_id", "", "")
	return s
}

func zero(t reflect.Type) any { return reflect.Zero(t).Interface() }

// record makes a type with a field of any kind for each name.
func record(names ...string) reflect.Type {
	var fields []reflect.StructField
	for i, n := range names {
		fields = append(fields, reflect.StructField{
			Name: fmt.Sprintf("F%d", i), Type: reflect.TypeFor[any](), Tag: reflect.StructTag(`expr:"` + n + `"`),
		})
	}
	return reflect.StructOf(fields)
}

func (s *scope) put(name string, strict, loose any) {
	s.strict[name], s.loose[name] = types.TypeOf(strict), types.TypeOf(loose)
}

// add makes a name known. kind is string, number, bool or, for what a step
// saves, empty.
func (s *scope) add(name, kind string) error {
	switch {
	case !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(name):
		return fmt.Errorf("%q is no name: use letters, digits and underscores", name)
	case slices.Contains(s.fixed, name) || slices.Contains(builtin.Names, name) || reserved(name):
		return fmt.Errorf("the name %q is taken by the language", name)
	case s.strict[name] != nil:
		return fmt.Errorf("the name %q is used already", name)
	}
	var t types.Type = types.Any
	switch kind {
	case "string":
		t = types.String
	case "number":
		t = types.Float64
	case "bool":
		t = types.Bool
	}
	s.strict[name], s.loose[name] = t, t
	return nil
}

func reserved(name string) bool {
	switch name {
	case "true", "false", "nil", "in", "not", "and", "or", "let", "if", "else", "matches", "contains", "startsWith", "endsWith":
		return true
	}
	return false
}

// program is a compiled expression.
type program struct {
	text  string
	code  *vm.Program
	views []string // the views that it names
	live  bool     // it looks at the cluster, so a later snapshot may change it
}

// compile checks strictly and compiles loosely.
func (s *scope) compile(text string, opts ...expr.Option) (*program, error) {
	if strings.TrimSpace(text) == "" {
		return nil, fmt.Errorf("the expression is empty")
	}
	if _, err := expr.Compile(text, append(opts, expr.Env(s.strict))...); err != nil {
		return nil, s.explain(text, err)
	}
	code, err := expr.Compile(text, append(opts, expr.Env(s.loose))...)
	if err != nil {
		return nil, s.explain(text, err)
	}
	p := &program{text: text, code: code}
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, err
	}
	for name := range names(tree.Node) {
		if slices.Contains(s.views, name) {
			p.views = append(p.views, name)
		}
		p.live = p.live || slices.Contains(s.fixed, name)
	}
	slices.Sort(p.views)
	return p, nil
}

// names collects the identifiers of an expression.
func names(n ast.Node) map[string]bool {
	v := visitor{}
	ast.Walk(&n, v)
	return v
}

type visitor map[string]bool

// Visit notes an identifier.
func (v visitor) Visit(n *ast.Node) {
	if id, ok := (*n).(*ast.IdentifierNode); ok {
		v[id.Value] = true
	}
}

// explain says an error of the expression language in one line of plain words.
func (s *scope) explain(text string, err error) error {
	ferr, ok := err.(*file.Error) //nolint:errorlint // expr returns it bare
	if !ok {
		return fmt.Errorf("%w in %q", err, text)
	}
	msg := ferr.Message
	if i := strings.LastIndex(msg, "has no field "); i >= 0 {
		name := msg[i+len("has no field "):]
		msg = fmt.Sprintf("there is no column %q here", name)
		if meant := facts.Nearest(name, s.columns()); meant != "" {
			msg += fmt.Sprintf("; did you mean %s?", meant)
		}
	}
	if name, ok := strings.CutPrefix(msg, "unknown name "); ok {
		msg = fmt.Sprintf("there is no name %q here", name)
		if meant := facts.Nearest(name, slices.Sorted(maps.Keys(s.strict))); meant != "" {
			msg += fmt.Sprintf("; did you mean %s?", meant)
		} else {
			msg += "; what a later step saves is not known yet"
		}
	}
	return fmt.Errorf("%s (at character %d of %q)", msg, ferr.Column+1, text)
}

func (s *scope) columns() []string {
	out := []string{"done", "good", "text", "evaluation", "digest", "version", "model"}
	for _, v := range facts.Views() {
		for _, c := range v.Columns {
			out = append(out, c.Name)
		}
	}
	return out
}
