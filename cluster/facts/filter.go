package facts

import (
	"fmt"
	"strings"

	"github.com/expr-lang/expr"
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
// it holds an operator other than "-", else as words that must all occur in
// the row; "!word" must not.
func CompileFilter(input string, v *View) (*Filter, error) {
	input = strings.TrimSpace(input)
	f := &Filter{view: v}
	if !isExpression(input) {
		f.words = strings.Fields(strings.ToLower(input))
		return f, nil
	}
	env := types.Map{} // any type, since each value may be unknown
	for _, c := range v.Columns {
		env[c.Name] = types.Any
	}
	program, err := expr.Compile(input, expr.Env(env), expr.AsBool())
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

// isExpression: words may begin with "!" and hold "-", so neither alone makes one.
func isExpression(input string) bool {
	for _, w := range strings.Fields(input) {
		if strings.ContainsAny(strings.TrimPrefix(w, "!"), "<>=!&|()+*/%\"'") {
			return true
		}
		switch w {
		case "in", "not", "and", "or", "contains", "matches", "startsWith", "endsWith":
			return true
		}
	}
	return false
}

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
	text := strings.ToLower(fmt.Sprintln(r...))
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
