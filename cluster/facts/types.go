package facts

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/types"
)

// Type is what the known values of a column are.
type Type int

// The types, as documented for programs.
const (
	Text  Type = iota // a string
	Int               // an int or a uint64
	Float             // a float64
	Bool              // a bool
	Time              // a time.Time
)

// of is the type in the language of filters.
func (t Type) of() types.Type {
	return [...]types.Type{types.String, types.Int, types.Float64, types.Bool, types.TypeOf(time.Time{})}[t]
}

// String says what it is, for people.
func (t Type) String() string {
	return [...]string{"text", "a number", "a number", "yes or no", "a time"}[t]
}

// number says that values are compared by size.
func (t Type) number() bool { return t == Int || t == Float }

// misfit says what of an expression, whose names are right, compares a field with
// what it can never be. Left to the evaluator such a comparison would select
// nothing, as if no row were like that.
func (v *View) misfit(input string, tree ast.Node) *FilterError {
	env, fields := types.Map{}, v.fields()
	for name := range sizes() {
		env[name] = types.Int
	}
	for name, column := range fields {
		env[name] = v.Columns[column].Type.of()
	}
	_, err := expr.Compile(input, expr.Env(env), expr.AsBool())
	if err == nil {
		return v.never(input, tree, fields)
	}
	bad := v.filterError(input, err)
	var at *file.Error
	place := finder{from: -1}
	if errors.As(err, &at) {
		place.from = at.From
		ast.Walk(&tree, &place)
	}
	if place.found == nil {
		place.found = tree
	}
	bad.Fields = nil // what to write is said already
	named := v.namesIn(place.found, fields)
	if len(named) == 0 {
		return bad
	}
	first := named[0]
	bad.At, bad.Err = first.Location().From, errors.New(v.fit(first.Value, fields[first.Value], place.found))
	for _, other := range named[1:] {
		a, b := v.Columns[fields[first.Value]].Type, v.Columns[fields[other.Value]].Type
		if a != b && (!a.number() || !b.number()) {
			bad.Err = fmt.Errorf("%s is %s and %s is %s: they do not compare", first.Value, a, other.Value, b)
			break
		}
	}
	return bad
}

// fit says what a field is, and shows what may be written of it in place of a node.
func (v *View) fit(name string, column int, in ast.Node) string {
	example := name + ` == "text"`
	switch v.Columns[column].Type {
	case Int, Float:
		example = name + " < 5"
		if b, ok := in.(*ast.BinaryNode); ok && b.Operator == "%" {
			return name + " may have a fraction: % takes whole numbers"
		}
	case Bool:
		example = name + " or not " + name
	case Time:
		example = name + ` > now() - duration("10m")`
	case Text:
		if words := v.Columns[column].Words; len(words) > 0 {
			example = fmt.Sprintf("%s == %q", name, words[0])
		}
		if b, ok := in.(*ast.BinaryNode); ok && b.Operator == "in" {
			example = name + ` contains "text"`
			if _, left := b.Left.(*ast.IdentifierNode); left {
				example = name + ` in ["text", "other"]`
			}
		}
	}
	return fmt.Sprintf("%s is %s: write %s", name, v.Columns[column].Type, example)
}

// namesIn are the fields in a node that may be what is wrong with it, in order.
// Of "and", "or" and "not" that is what stands there by itself and is no yes or no.
func (v *View) namesIn(n ast.Node, fields map[string]int) []*ast.IdentifierNode {
	sides := []ast.Node{n}
	logic := conditions(n)
	switch node := n.(type) {
	case *ast.BinaryNode:
		sides = []ast.Node{node.Left, node.Right}
	case *ast.UnaryNode:
		sides = []ast.Node{node.Node}
	}
	var out []*ast.IdentifierNode
	for _, side := range sides {
		if !logic {
			c := collector{fields: fields}
			ast.Walk(&side, &c)
			out = append(out, c.found...)
		} else if name, ok := side.(*ast.IdentifierNode); ok {
			if column, is := fields[name.Value]; is && v.Columns[column].Type != Bool {
				out = append(out, name)
			}
		}
	}
	return out
}

// conditions says that what stands in a node has to be yes or no.
func conditions(n ast.Node) bool {
	switch node := n.(type) {
	case *ast.BinaryNode:
		return slices.Contains([]string{"&&", "||", "and", "or"}, node.Operator)
	case *ast.UnaryNode:
		return node.Operator == "!" || node.Operator == "not"
	case *ast.IdentifierNode:
		return true
	}
	return false
}

// finder finds the innermost node that an error is about.
type finder struct {
	from  int
	found ast.Node
}

// Visit is called for each node, the inner ones first.
func (f *finder) Visit(n *ast.Node) {
	if f.found == nil && (*n).Location().From == f.from {
		f.found = *n
	}
}

// collector finds the fields in a node.
type collector struct {
	fields map[string]int
	found  []*ast.IdentifierNode
}

// Visit is called for each node, in the order in which they were written.
func (c *collector) Visit(n *ast.Node) {
	if name, ok := (*n).(*ast.IdentifierNode); ok {
		if _, field := c.fields[name.Value]; field {
			c.found = append(c.found, name)
		}
	}
}

// admits says what is wrong with name=word, where no value of the column reads so.
func (v *View) admits(name string, column int, word string) error {
	switch t := v.Columns[column].Type; t {
	case Int, Float:
		if _, err := strconv.ParseFloat(word, 64); err != nil {
			return fmt.Errorf("%s is %s: write %s=5, or %s < 5", name, t, name, name)
		}
	case Bool:
		if word != "true" && word != "false" {
			return fmt.Errorf("%s is %s: write %s=true or %s=false", name, t, name, name)
		}
	case Time: // a word holds no space
		return errors.New(v.fit(name, column, nil))
	case Text:
		return v.isNever(name, column, word)
	}
	return nil
}

// isNever says that a column, of which all words are known, does not hold one.
func (v *View) isNever(name string, column int, word string) error {
	words := v.Columns[column].Words
	if len(words) == 0 || slices.Contains(words, word) {
		return nil
	}
	if near := Nearest(word, words); near != "" {
		return fmt.Errorf("%s is never %q: did you mean %q?", name, word, near)
	}
	return fmt.Errorf("%s is never %q: it is one of %s", name, word, strings.Join(words, ", "))
}

// never says what of an expression compares a field with a word that it never holds.
func (v *View) never(input string, tree ast.Node, fields map[string]int) *FilterError {
	e := equals{}
	ast.Walk(&tree, &e)
	for _, c := range e.found {
		if column, ok := fields[c.name]; ok {
			if err := v.isNever(c.name, column, c.word.Value); err != nil {
				return &FilterError{Input: input, Err: err, At: c.word.Location().From}
			}
		}
	}
	return nil
}

// equals finds the words that names are compared with.
type equals struct {
	found []equal
}

type equal struct {
	name string
	word *ast.StringNode
}

// Visit is called for each node.
func (e *equals) Visit(n *ast.Node) {
	b, ok := (*n).(*ast.BinaryNode)
	if !ok || !slices.Contains([]string{"==", "!=", "in"}, b.Operator) {
		return
	}
	left, right := b.Left, b.Right
	if _, ok := right.(*ast.IdentifierNode); ok {
		left, right = right, left
	}
	name, ok := left.(*ast.IdentifierNode)
	if !ok {
		return
	}
	values := []ast.Node{right}
	if list, ok := right.(*ast.ArrayNode); ok {
		values = list.Nodes
	}
	for _, value := range values {
		if word, ok := value.(*ast.StringNode); ok {
			e.found = append(e.found, equal{name.Value, word})
		}
	}
}

var mismatched = regexp.MustCompile(`^invalid operation: (\S+) \(mismatched types? (\S+)(?: and (\S+))?\)$`)

// inWords is what the checker of types says, in words for people.
func inWords(message string) string {
	m := mismatched.FindStringSubmatch(message)
	if m == nil {
		return message
	}
	word := func(goType string) string {
		for t := Text; t <= Time; t++ {
			if t.of().String() == goType {
				return t.String()
			}
		}
		return goType
	}
	if m[3] == "" {
		return fmt.Sprintf("%s does not take %s", m[1], word(m[2]))
	}
	return fmt.Sprintf("%s does not take %s and %s", m[1], word(m[2]), word(m[3]))
}
