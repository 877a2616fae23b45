package scenarios

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// The file's form. Every scalar is a scalar, which knows its place.
type fileYAML struct {
	Name        scalar    `yaml:"name"`
	Description scalar    `yaml:"description"`
	Timeout     scalar    `yaml:"timeout"`
	Vars        pairs     `yaml:"vars"`
	Steps       stepsYAML `yaml:"steps"`
	Cleanup     stepsYAML `yaml:"cleanup"`
}

type varYAML struct {
	Default scalar `yaml:"default"`
	Help    scalar `yaml:"help"`
}

type stepsYAML []*stepYAML

type stepYAML struct {
	Name       scalar         `yaml:"name"`
	Require    checksYAML     `yaml:"require"`
	Assert     checksYAML     `yaml:"assert"`
	Within     scalar         `yaml:"within"`
	Wait       *waitYAML      `yaml:"wait"`
	Remember   pairs          `yaml:"remember"`
	Run        *runYAML       `yaml:"run"`
	Submit     *submitYAML    `yaml:"submit"`
	Scale      *changeYAML    `yaml:"scale"`
	Restart    *changeYAML    `yaml:"restart"`
	Stop       *changeYAML    `yaml:"stop"`
	Drain      *changeYAML    `yaml:"drain"`
	Undrain    *changeYAML    `yaml:"undrain"`
	Show       scalar         `yaml:"show"`
	Ineligible *changeYAML    `yaml:"ineligible"`
	Meanwhile  *meanwhileYAML `yaml:"meanwhile"`

	pos Position
	err error // what cannot be read of it
}

type waitYAML struct {
	Until  scalar `yaml:"until"`
	Unless scalar `yaml:"unless"`
	For    scalar `yaml:"for"`
}

type runYAML struct {
	Command []scalar `yaml:"command"`
	Save    scalar   `yaml:"save"`
	For     scalar   `yaml:"for"`
}

type submitYAML struct {
	Pack scalar `yaml:"pack"`
	Vars pairs  `yaml:"vars"`
}

// changeYAML serves all changes but submit; parse refuses what a kind has no use for.
type changeYAML struct {
	Job      scalar `yaml:"job"`
	Group    scalar `yaml:"group"`
	Count    scalar `yaml:"count"`
	Purge    scalar `yaml:"purge"`
	Node     scalar `yaml:"node"`
	Deadline scalar `yaml:"deadline"`
}

type meanwhileYAML struct {
	Always     checksYAML `yaml:"always"`
	Eventually checksYAML `yaml:"eventually"`
}

type checksYAML []checkYAML

type checkYAML struct {
	That scalar
	Else scalar
}

// scalar is one text, number or truth value and where it stands.
type scalar struct {
	text string
	kind string // string, number or bool
	set  bool
	pos  Position
}

// UnmarshalYAML takes the value as written.
func (s *scalar) UnmarshalYAML(n ast.Node) error {
	s.pos, s.set = position(n), true
	switch n := n.(type) {
	case *ast.StringNode:
		s.text, s.kind = n.Value, "string"
	case *ast.LiteralNode:
		s.text, s.kind = n.Value.Value, "string"
	case *ast.IntegerNode, *ast.FloatNode:
		s.text, s.kind = n.GetToken().Value, "number"
	case *ast.BoolNode:
		s.text, s.kind = fmt.Sprint(n.Value), "bool"
	case *ast.AnchorNode:
		return s.UnmarshalYAML(n.Value)
	default:
		return &yaml.UnexpectedNodeTypeError{Actual: n.Type(), Expected: ast.StringType, Token: n.GetToken()}
	}
	return nil
}

// pairs is a mapping in the order of the file.
type pairs []pair

type pair struct {
	key  string
	pos  Position
	node ast.Node
}

// UnmarshalYAML keeps the order.
func (p *pairs) UnmarshalYAML(n ast.Node) error {
	m, ok := n.(ast.MapNode)
	if !ok {
		return &yaml.UnexpectedNodeTypeError{Actual: n.Type(), Expected: ast.MappingType, Token: n.GetToken()}
	}
	for it := m.MapRange(); it.Next(); {
		*p = append(*p, pair{key: it.Key().GetToken().Value, pos: position(it.Key()), node: it.Value()})
	}
	return nil
}

func (p pair) scalar() (s scalar, err error) {
	err = s.UnmarshalYAML(p.node)
	return s, err
}

// UnmarshalYAML notes where each step begins.
func (s *stepsYAML) UnmarshalYAML(n ast.Node) error {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		return &yaml.UnexpectedNodeTypeError{Actual: n.Type(), Expected: ast.SequenceType, Token: n.GetToken()}
	}
	for _, item := range seq.Values {
		m, ok := item.(ast.MapNode)
		if !ok {
			return &yaml.UnexpectedNodeTypeError{Actual: item.Type(), Expected: ast.MappingType, Token: item.GetToken()}
		}
		st := &stepYAML{pos: position(item)}
		if it := m.MapRange(); it.Next() {
			st.pos = position(it.Key())
		}
		st.err = yaml.NodeToValue(item, st, yaml.Strict())
		*s = append(*s, st)
	}
	return nil
}

// UnmarshalYAML takes a list of expressions, each alone or as that: with else:.
func (c *checksYAML) UnmarshalYAML(n ast.Node) error {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		return &yaml.UnexpectedNodeTypeError{Actual: n.Type(), Expected: ast.SequenceType, Token: n.GetToken()}
	}
	for _, item := range seq.Values {
		var one checkYAML
		if _, ok := item.(ast.MapNode); ok {
			var form struct {
				That scalar `yaml:"that"`
				Else scalar `yaml:"else"`
			}
			if err := yaml.NodeToValue(item, &form, yaml.Strict()); err != nil {
				return err
			}
			one = checkYAML(form)
			if !one.That.set {
				one.That.pos = position(item)
			}
		} else if err := one.That.UnmarshalYAML(item); err != nil {
			return err
		}
		*c = append(*c, one)
	}
	return nil
}

func position(n ast.Node) Position {
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		return Position{tk.Position.Line, tk.Position.Column}
	}
	return Position{1, 1}
}

// decode reads the form; its errors have places.
func decode(file string, content []byte) (*fileYAML, error) {
	var f fileYAML
	err := yaml.UnmarshalWithOptions(content, &f, yaml.Strict())
	if err == nil {
		return &f, nil
	}
	return nil, Problems{problem(file, err)}
}

// problem is an error of the YAML library with its place.
func problem(file string, err error) Problem {
	p := Problem{File: file, Position: Position{1, 1}, Text: err.Error()}
	var placed yaml.Error
	if errors.As(err, &placed) {
		p.Text = placed.GetMessage()
		if tk := placed.GetToken(); tk != nil && tk.Position != nil {
			p.Position = Position{tk.Position.Line, tk.Position.Column}
		}
	}
	return p
}

// decodeNode reads one mapping strictly.
func decodeNode(n ast.Node, into any) error {
	err := yaml.NodeToValue(n, into, yaml.Strict())
	var placed yaml.Error
	if errors.As(err, &placed) {
		return errors.New(placed.GetMessage())
	}
	return err
}
