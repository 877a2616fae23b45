package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
)

// truth is what a condition comes to. The zero value is unknown.
type truth int

const (
	unknown truth = iota
	no
	yes
)

// condition is an expression that is true, false or unknown. Its and, or and
// not are worked out here, by the rules of three values (Kleene's), so that one
// unknown part decides nothing that the others have decided; the parts between
// them are leaves.
type condition struct {
	*program
	root node
}

type node interface {
	judge(w *sight) (t truth, why []string)
	leaves() []*leaf
}

type both struct {
	left, right node
	or          bool
}

type negation struct{ of node }

// leaf is a part without and, or and not at its top.
type leaf struct {
	*program
	operands []operand
	compared int // so many of the first operands are compared with something that is not nil
}

// operand is a part of a leaf whose value explains the leaf.
type operand struct {
	*program
	columns []string // of its rows, those that matter
	around  bool     // the whole of which another operand is a part: shown when that is unknown
}

// condition compiles an expression that must be true or false.
func (s *scope) condition(text string) (*condition, error) {
	whole, err := s.compile(text, expr.AsBool())
	if err != nil {
		return nil, err
	}
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, err
	}
	root, err := s.split(tree.Node)
	if err != nil { // the printed form of a part did not parse: take it whole
		root = &leaf{program: whole}
	}
	return &condition{whole, root}, nil
}

func (s *scope) split(n ast.Node) (node, error) {
	switch n := n.(type) {
	case *ast.UnaryNode:
		if n.Operator != "not" && n.Operator != "!" {
			break
		}
		of, err := s.split(n.Node)
		return &negation{of}, err
	case *ast.BinaryNode:
		or := n.Operator == "or" || n.Operator == "||"
		if !or && n.Operator != "and" && n.Operator != "&&" {
			break
		}
		left, err := s.split(n.Left)
		if err != nil {
			return nil, err
		}
		right, err := s.split(n.Right)
		return &both{left, right, or}, err
	}
	return s.leaf(n)
}

func (s *scope) leaf(n ast.Node) (*leaf, error) {
	p, err := s.compile(n.String(), expr.AsBool())
	if err != nil {
		return nil, err
	}
	l := &leaf{program: p}
	for _, part := range s.explaining(n) {
		if op, err := s.compile(part.node.String()); err == nil {
			l.operands = append(l.operands, operand{op, part.columns, part.around})
		}
	}
	if b, ok := n.(*ast.BinaryNode); ok && isComparison(b.Operator) && !isNil(b.Left) && !isNil(b.Right) {
		for _, side := range []ast.Node{b.Left, b.Right} {
			if !isConstant(side) && l.compared < len(l.operands) && l.operands[l.compared].text == side.String() {
				l.compared++
			}
		}
	}
	return l, nil
}

func isComparison(op string) bool {
	return slices.Contains([]string{"==", "!=", "<", "<=", ">", ">=", "in", "contains", "startsWith", "endsWith", "matches"}, op)
}

func isNil(n ast.Node) bool { _, ok := n.(*ast.NilNode); return ok }

type part struct {
	node    ast.Node
	columns []string
	around  bool
}

// explaining gives the parts of a leaf that a person wants to see the value of:
// the sides of a comparison, the list that a function is about, the whole of
// which a member was taken, and the variables.
func (s *scope) explaining(n ast.Node) []part {
	var out []part
	add := func(p part) {
		if !slices.ContainsFunc(out, func(o part) bool { return o.node.String() == p.node.String() }) {
			out = append(out, p)
		}
	}
	_, compared := n.(*ast.BinaryNode)
	inside := func(n ast.Node) {
		switch n := n.(type) {
		case *ast.BuiltinNode:
			if len(n.Arguments) > 0 && !isConstant(n.Arguments[0]) {
				add(part{node: n.Arguments[0], columns: columnsOf(n)})
			}
		case *ast.MemberNode:
			if _, whole := n.Node.(*ast.IdentifierNode); !whole {
				add(part{node: n.Node, around: compared})
			}
		}
	}
	if compared {
		b, _ := n.(*ast.BinaryNode)
		for _, side := range []ast.Node{b.Left, b.Right} {
			if !isConstant(side) {
				add(part{node: side})
			}
		}
		inside(b.Left)
		inside(b.Right)
	} else {
		inside(n)
	}
	free := visitor{}
	ast.Walk(&n, free)
	for _, name := range sorted(free) {
		if !slices.Contains(s.fixed, name) {
			add(part{node: &ast.IdentifierNode{Value: name}, around: isPartShown(out, name)})
		}
	}
	return out
}

// isPartShown says that a member of the variable stands among the parts.
func isPartShown(parts []part, name string) bool {
	return slices.ContainsFunc(parts, func(p part) bool { return strings.HasPrefix(p.node.String(), name+".") })
}

func sorted(set visitor) []string {
	var out []string
	for name := range set {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func isConstant(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.NilNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode, *ast.ConstantNode:
		return true
	case *ast.ArrayNode:
		return !slices.ContainsFunc(n.Nodes, func(n ast.Node) bool { return !isConstant(n) })
	case *ast.UnaryNode:
		return isConstant(n.Node)
	}
	return false
}

// columnsOf is what the predicate of a function looks at in each row.
func columnsOf(n *ast.BuiltinNode) []string {
	var v members
	for _, a := range n.Arguments[1:] {
		ast.Walk(&a, &v)
	}
	return v
}

type members []string

// Visit notes a column taken from the row at hand.
func (v *members) Visit(n *ast.Node) {
	m, ok := (*n).(*ast.MemberNode)
	if !ok {
		return
	}
	if _, row := m.Node.(*ast.PointerNode); !row {
		return
	}
	if name, ok := m.Property.(*ast.StringNode); ok && !slices.Contains(*v, name.Value) {
		*v = append(*v, name.Value)
	}
}

func (b *both) judge(w *sight) (truth, []string) {
	left, why := b.left.judge(w)
	right, more := b.right.judge(w)
	decides := no // one such side is enough
	if b.or {
		decides = yes
	}
	switch {
	case left == decides || right == decides:
		return decides, nil
	case left == unknown || right == unknown:
		return unknown, append(why, more...)
	}
	return left, nil
}

func (b *both) leaves() []*leaf { return append(b.left.leaves(), b.right.leaves()...) }

func (n *negation) judge(w *sight) (truth, []string) {
	t, why := n.of.judge(w)
	switch t {
	case yes:
		return no, why
	case no:
		return yes, why
	}
	return unknown, why
}

func (n *negation) leaves() []*leaf { return n.of.leaves() }

func (l *leaf) leaves() []*leaf { return []*leaf{l} }

// judge evaluates the leaf. Unknown is what stands on a source that does not
// answer, what fails on a nil, and a comparison with a nil: that a value nobody
// reported differs from another is not a fact.
func (l *leaf) judge(w *sight) (truth, []string) {
	w.late = nil
	out, err := w.run(l.program)
	if len(w.late) > 0 {
		return unknown, w.late
	}
	if err != nil {
		if what := plain(err); !strings.Contains(what, "nil>") && !strings.Contains(what, "is nil") {
			return no, []string{what}
		}
		return unknown, []string{l.missing(w)}
	}
	for _, o := range l.operands[:l.compared] {
		if v, err := w.run(o.program); err == nil && isNothing(v) {
			return unknown, []string{o.text + " is unknown"}
		}
	}
	switch out {
	case true:
		return yes, nil
	case false:
		return no, nil
	}
	return unknown, []string{l.text + " is unknown"}
}

// vague says that an operand has no value, so that one asks what it is a part of.
func (l *leaf) vague(w *sight) bool {
	return slices.ContainsFunc(l.operands, func(o operand) bool {
		v, err := w.run(o.program)
		return !o.around && (err != nil || isNothing(v))
	})
}

// missing names the operand that is not known.
func (l *leaf) missing(w *sight) string {
	for i := len(l.operands) - 1; i >= 0; i-- { // the innermost come last
		if v, err := w.run(l.operands[i].program); err == nil && isNothing(v) {
			return l.operands[i].text + " is unknown"
		}
	}
	return "a value in " + l.text + " is unknown"
}

// plain is the first line of an error of the expression language.
func plain(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// Value is a named part of an expression with what it came to.
type Value struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// values explains a condition by its parts. Names marked secret are not shown.
func (c *condition) values(w *sight, secret func(name string) bool) []Value {
	var out []Value
	for _, l := range c.root.leaves() {
		vague := l.vague(w)
		for _, o := range l.operands {
			if o.around && !vague {
				continue
			}
			if slices.ContainsFunc(out, func(v Value) bool { return v.Name == o.text }) {
				continue
			}
			v, err := w.run(o.program)
			shown := show(v, o.columns)
			if err != nil {
				shown = None
			}
			if slices.ContainsFunc(sorted(identifiers(o.text)), secret) {
				shown = "[redacted]"
			}
			out = append(out, Value{o.text, shown})
		}
	}
	return out
}

func identifiers(text string) visitor {
	tree, err := parser.Parse(text)
	if err != nil {
		return visitor{}
	}
	return names(tree.Node)
}

// String is for messages.
func (v Value) String() string { return fmt.Sprintf("%s = %s", v.Name, v.Value) }
