package facts

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/types"
)

// operators says whether a filter is surely meant as an expression, by an
// operator that no word holds, or may be one. "-", "/" and "+" are in the names
// of jobs and versions, "!" begins a word that must not be there, and "not" may
// be a word of a text: these alone make none.
func (v *View) operators(input string) (sure, maybe bool) {
	before := ""
	for _, w := range strings.Fields(input) {
		text, _ := trimNot(w)
		for _, op := range []string{"<", ">", "==", "!=", "&&", "||", "??"} {
			sure = sure || strings.Contains(text, op)
		}
		maybe = maybe || strings.ContainsAny(text, "!&|()\"'?")
		switch w {
		case "in", "contains", "matches", "startsWith", "endsWith":
			_, column := v.Field(before)
			sure, maybe = sure || column, true
		case "not", "and", "or":
			maybe = true
		}
		if w != "not" { // node not in […]
			before = w
		}
	}
	return sure, maybe
}

// sizes are the names of numbers that filters may use beside columns.
func sizes() map[string]int {
	return map[string]int{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
}

// compile makes the program of an expression.
func (f *Filter) compile(input string, v *View) *FilterError {
	env, sizes := types.Map{}, sizes()
	for name := range sizes {
		env[name] = types.Int
	}
	fields := v.fields()
	for name := range fields {
		env[name] = types.Any // it may be unknown
	}
	plain, err := expr.Compile(input, expr.Env(env), expr.AsBool(), expr.Optimize(false))
	if err != nil {
		return v.filterError(input, err)
	}
	if bad := v.misfit(input, plain.Node()); bad != nil {
		bad.meant = true
		return bad
	}
	logic := &threeValued{fields: fields}
	program, err := expr.Compile(input, expr.Env(env), expr.AsBool(), expr.Patch(logic),
		expr.Function(bothName, both), expr.Function(eitherName, either), expr.Function(notName, not), expr.Function(knownName, known))
	if err != nil {
		return v.filterError(input, err)
	}
	f.program, f.named, f.passing, f.env = program, logic.named, logic.now, make(map[string]any, len(env))
	for name, n := range sizes {
		f.env[name] = n
	}
	return nil
}

// Functions that no expression can name.
const (
	bothName   = "both of"
	eitherName = "either of"
	notName    = "not of"
	knownName  = "known"
)

var errUnknown = errors.New("unknown value")

// truth is a yes, a no or unknown.
func truth(v any) (is, unknown bool, err error) {
	if v == nil {
		return false, true, nil
	}
	is, ok := v.(bool)
	if !ok {
		return false, false, fmt.Errorf("%v is neither yes nor no: it wants to be compared", v)
	}
	return is, false, nil
}

// both is "and": a no on either side is a no, whatever is unknown on the other.
func both(args ...any) (any, error) {
	a, noA, err := truth(args[0])
	b, noB, err2 := truth(args[1])
	switch {
	case err != nil || err2 != nil:
		return nil, errors.Join(err, err2)
	case !noA && !a || !noB && !b:
		return false, nil
	case noA || noB:
		return nil, nil
	}
	return true, nil
}

// either is "or": a yes on either side is a yes.
func either(args ...any) (any, error) {
	a, noA, err := truth(args[0])
	b, noB, err2 := truth(args[1])
	switch {
	case err != nil || err2 != nil:
		return nil, errors.Join(err, err2)
	case a || b:
		return true, nil
	case noA || noB:
		return nil, nil
	}
	return false, nil
}

func not(args ...any) (any, error) {
	a, unknown, err := truth(args[0])
	if err != nil || unknown {
		return nil, err
	}
	return !a, nil
}

func known(args ...any) (any, error) {
	if args[0] == nil {
		return nil, errUnknown
	}
	return args[0], nil
}

// threeValued lets a comparison with an unknown value be unknown, and "and",
// "or" and "not" of that as well, where they hang on it. The language by itself
// fails for "<" and the like, which costs a thousand times more, and has unknown
// differ from everything, so that != would select what nobody knows.
type threeValued struct {
	fields map[string]int
	named  []named
	now    bool // the time is asked for
}

// Visit is called for each node of an expression, the inner ones first.
func (t *threeValued) Visit(n *ast.Node) {
	switch node := (*n).(type) {
	case *ast.IdentifierNode:
		if column, ok := t.fields[node.Value]; ok && !slices.Contains(t.named, named{node.Value, column}) {
			t.named = append(t.named, named{node.Value, column})
		}
	case *ast.BuiltinNode:
		t.now = t.now || node.Name == "now"
	case *ast.CallNode:
		if callee, ok := node.Callee.(*ast.IdentifierNode); ok && callee.Value == "now" {
			t.now = true
		}
	case *ast.UnaryNode:
		if node.Operator == "!" || node.Operator == "not" {
			call(n, notName, node.Node)
		}
	case *ast.BinaryNode:
		switch node.Operator {
		case "&&", "and":
			call(n, bothName, node.Left, node.Right)
		case "||", "or":
			call(n, eitherName, node.Left, node.Right)
		case "==", "!=":
			if !isNil(node.Left) && !isNil(node.Right) {
				t.guard(n, node)
			}
		case "<", ">", "<=", ">=", "in", "contains", "matches", "startsWith", "endsWith":
			t.guard(n, node)
		}
	}
}

func call(n *ast.Node, name string, args ...ast.Node) {
	ast.Patch(n, &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: args})
}

func isNil(n ast.Node) bool { _, ok := n.(*ast.NilNode); return ok }

// guard makes a comparison unknown when a column in it is.
func (t *threeValued) guard(n *ast.Node, node *ast.BinaryNode) {
	var columns []string
	for _, side := range []*ast.Node{&node.Left, &node.Right} {
		if !t.columns(*side, &columns) { // what is computed is known, or the row is out
			call(side, knownName, *side)
		}
	}
	var unknown ast.Node
	for _, name := range columns {
		var is ast.Node = &ast.BinaryNode{Operator: "==", Left: &ast.IdentifierNode{Value: name}, Right: &ast.NilNode{}}
		if unknown != nil {
			is = &ast.BinaryNode{Operator: "||", Left: unknown, Right: is}
		}
		unknown = is
	}
	if unknown != nil {
		ast.Patch(n, &ast.ConditionalNode{Cond: unknown, Exp1: &ast.NilNode{}, Exp2: node})
	}
}

// columns gathers those of which a value is made by arithmetic. It is false
// where more is in it, so that what is unknown is seen in the result alone.
func (t *threeValued) columns(n ast.Node, into *[]string) bool {
	switch node := n.(type) {
	case *ast.IdentifierNode:
		if _, column := t.fields[node.Value]; column && !slices.Contains(*into, node.Value) {
			*into = append(*into, node.Value)
		}
	case *ast.UnaryNode:
		return t.columns(node.Node, into)
	case *ast.BinaryNode:
		if !slices.Contains([]string{"+", "-", "*", "/", "%", "^", "**"}, node.Operator) {
			return false
		}
		return t.columns(node.Left, into) && t.columns(node.Right, into)
	case *ast.IntegerNode, *ast.FloatNode, *ast.StringNode, *ast.BoolNode, *ast.ArrayNode:
	default:
		return false
	}
	return true
}

// FilterError is a filter that cannot be understood.
type FilterError struct {
	Input  string
	Err    error
	At     int      // where in the input, in characters; -1 when nobody knows
	Fields []string // what could have been named; nil where it is not about a name

	meant bool // it is an expression, whatever is in it
}

func (e *FilterError) Error() string { return fmt.Sprintf("filter %q: %v", e.Input, e.Err) }
func (e *FilterError) Unwrap() error { return e.Err }

// Hint lists the fields; it is empty where none would help.
func (e *FilterError) Hint() string { return listed(e.Fields) }

// mostListed bounds how many fields a hint names: those that tables show come first.
const mostListed = 24

func listed(fields []string) string {
	switch more := len(fields) - mostListed; {
	case len(fields) == 0:
		return ""
	case more > 0:
		return fmt.Sprintf("fields: %s and %d more, which -o json names", strings.Join(fields[:mostListed], ", "), more)
	}
	return "fields: " + strings.Join(fields, ", ")
}

// filterError says in one line, and in our words, what does not compile.
func (v *View) filterError(input string, err error) *FilterError {
	out := &FilterError{Input: input, Err: err, Fields: v.columnNames()}
	var at *file.Error
	if !errors.As(err, &at) {
		text, _, _ := strings.Cut(err.Error(), "\n")
		out.Err = errors.New(text)
		return out
	}
	out.At = at.From
	text := inWords(at.Message)
	if out.Err = errors.New(text); text != at.Message { // it is about types, and of no field
		out.Fields = nil
	}
	runes := []rune(input)
	rest := string(runes[min(max(at.From, 0), len(runes)):])
	before := strings.TrimRight(string(runes[:min(max(at.From, 0), len(runes))]), " ")
	name, unknown := strings.CutPrefix(at.Message, "unknown name ")
	operand := strings.HasSuffix(before, "=") || strings.HasSuffix(before, "contains") || strings.HasSuffix(before, "With") || strings.HasSuffix(before, "matches")
	switch {
	case unknown && operand && v.Nearest(name) == "":
		word := rest
		if i := strings.IndexFunc(rest, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("()&|", r) }); i > 0 {
			word = rest[:i]
		}
		out.Err = fmt.Errorf("no field %s: a text stands in quotes, %q", name, word)
	case unknown:
		out.Err = fmt.Errorf("no field %s%s", name, v.meant(name))
	case strings.HasPrefix(at.Message, "unexpected token EOF"):
		out.At, out.Err = len(runes), errors.New("something is missing at the end")
	case strings.HasPrefix(at.Message, `unexpected token Operator("=")`):
		out.Err = errors.New("compare with ==")
	}
	return out
}

// meant is what to say of a name that is none.
func (v *View) meant(name string) string {
	if near := v.Nearest(name); near != "" {
		return ": did you mean " + near + "?"
	}
	return ""
}

func (v *View) columnNames() []string {
	out := make([]string, len(v.Columns))
	for i, c := range v.Columns {
		out[i] = c.Name
	}
	return out
}
