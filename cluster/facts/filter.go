package facts

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
)

// Filter keeps the rows of one view that an expression or plain words select.
type Filter struct {
	view    *View
	program *vm.Program
	words   []string
}

// CompileFilter reads input as an expression over the view's column names when
// IsExpression says so: it holds an operator other than those of arithmetic,
// which alone never make a yes or no; else as words that must all occur in the row; "!word" must not.
func CompileFilter(input string, v *View) (*Filter, error) {
	input = strings.TrimSpace(input)
	f := &Filter{view: v}
	if !IsExpression(input) {
		f.words = strings.Fields(strings.ToLower(input))
		return f, nil
	}
	env := types.Map{} // any type, since each value may be unknown
	for _, c := range v.Columns {
		env[c.Name] = types.Any
	}
	program, err := expr.Compile(input, expr.Env(env), expr.AsBool(), expr.Function(mustKnow, known), expr.Patch(comparisons{}))
	if err != nil {
		var names []string
		for _, c := range v.Columns {
			names = append(names, c.Name)
		}
		return nil, &FilterError{Input: input, Err: err, Fields: names}
	}
	f.program = program
	return f, nil
}

// IsExpression says whether a filter is an expression or words. Words may begin
// with "!" and hold "-" or, as jobs and versions
// do, "/" and "+", so none of these alone makes one.
func IsExpression(input string) bool {
	for _, w := range strings.Fields(input) {
		if strings.ContainsAny(strings.TrimPrefix(w, "!"), "<>=!&|()\"'") {
			return true
		}
		switch w {
		case "in", "not", "and", "or", "contains", "matches", "startsWith", "endsWith":
			return true
		}
	}
	return false
}

// mustKnow is a function that no expression can name.
const mustKnow = "must know"

var errUnknown = errors.New("unknown value")

func known(params ...any) (any, error) {
	if params[0] == nil {
		return nil, errUnknown
	}
	return params[0], nil
}

// comparisons makes comparing an unknown column an error. The language fails
// by itself for "<" and the like, but has unknown differ from everything, so
// that != and "not in" would select what nobody knows.
type comparisons struct{}

// Visit is called for each node of an expression.
func (comparisons) Visit(n *ast.Node) {
	comparing := []string{"==", "!=", "in", "contains", "matches", "startsWith", "endsWith"}
	b, ok := (*n).(*ast.BinaryNode)
	if !ok || !slices.Contains(comparing, b.Operator) || isNil(b.Left) || isNil(b.Right) {
		return
	}
	for _, side := range []*ast.Node{&b.Left, &b.Right} {
		if column, ok := (*side).(*ast.IdentifierNode); ok {
			ast.Patch(side, &ast.CallNode{Callee: &ast.IdentifierNode{Value: mustKnow}, Arguments: []ast.Node{column}})
		}
	}
}

func isNil(n ast.Node) bool { _, ok := n.(*ast.NilNode); return ok }

// FilterError is an expression that does not compile.
type FilterError struct {
	Input  string
	Err    error
	Fields []string // what could have been named
}

func (e *FilterError) Error() string { return fmt.Sprintf("filter %q: %v", e.Input, e.Err) }
func (e *FilterError) Unwrap() error { return e.Err }

// Hint lists the fields.
func (e *FilterError) Hint() string { return "fields: " + strings.Join(e.Fields, ", ") }

// Keep reports whether the row is selected. An unknown value compares with
// nothing, so an expression about it does not select the row.
func (f *Filter) Keep(r Row) bool {
	if f.program != nil {
		out, err := expr.Run(f.program, f.view.Map(r))
		selected, ok := out.(bool)
		return err == nil && ok && selected
	}
	if len(f.words) == 0 {
		return true
	}
	text := strings.ToLower(words(r))
	for _, w := range f.words {
		want := true
		if strings.HasPrefix(w, "!") && len(w) > 1 {
			w, want = w[1:], false
		}
		if strings.Contains(text, w) != want {
			return false
		}
	}
	return true
}

// words is the text of what is known of a row.
func words(r Row) string {
	var b strings.Builder
	for _, v := range r {
		if v != nil {
			fmt.Fprintln(&b, v)
		}
	}
	return b.String()
}
