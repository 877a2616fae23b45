package pack

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// rule is what checks the values of a variable.
type rule struct {
	typ        cty.Type  // cty.NilType: neither type nor default was given
	preset     cty.Value // the default; cty.NilVal without one
	conditions []hcl.Expression
}

// Check says what is wrong with a value that a person typed; nil when nothing is.
func (v Variable) Check(text string) error {
	_, err := v.Literal(text)
	return err
}

// Literal checks a value that a person typed and gives it as an HCL literal.
// The error is a ValueError.
func (v Variable) Literal(text string) (string, error) {
	value, err := v.rule.read(text)
	if err == nil {
		err = v.obeys(value)
	}
	if err != nil {
		return "", &ValueError{v.Name, err.Error()}
	}
	return literal(value), nil
}

// checkDefault refuses a variable that has no default, or one that its own
// rules refuse: some packs ask for a value in that way.
func (v Variable) checkDefault() error {
	if v.Required {
		return &ValueError{v.Name, "must be set" + because(v.Description)}
	}
	if err := v.obeys(v.rule.preset); err != nil {
		return &ValueError{v.Name, err.Error()}
	}
	return nil
}

func because(description string) string {
	if description == "" {
		return ""
	}
	return " (" + description + ")"
}

// read understands a value as nomad job run -var does: a string or a number is
// taken as it stands, anything else is an HCL expression.
func (r rule) read(text string) (cty.Value, error) {
	switch r.typ {
	case cty.NilType, cty.String:
		return cty.StringVal(text), nil
	case cty.Number:
		n, err := cty.ParseNumberVal(strings.TrimSpace(text))
		if err != nil {
			return cty.NilVal, fmt.Errorf("%q is not a number", text)
		}
		return n, nil
	case cty.Bool:
		switch strings.TrimSpace(text) {
		case "true":
			return cty.True, nil
		case "false":
			return cty.False, nil
		}
		return cty.NilVal, fmt.Errorf("%q is neither true nor false", text)
	}
	expr, diags := hclsyntax.ParseExpression([]byte(text), "value", hcl.InitialPos)
	if diags.HasErrors() {
		return cty.NilVal, fmt.Errorf("%q is not a %s, write it as %s", text, typeName(r.typ), sample(r.typ))
	}
	value, diags := expr.Value(nil)
	if diags.HasErrors() {
		return cty.NilVal, fmt.Errorf("%q is not a %s, write it as %s (texts in quotes)", text, typeName(r.typ), sample(r.typ))
	}
	value, err := convert.Convert(value, r.typ)
	if err != nil {
		return cty.NilVal, fmt.Errorf("%q is not a %s: %w", text, typeName(r.typ), err)
	}
	return value, nil
}

func sample(t cty.Type) string {
	switch {
	case t.IsListType() || t.IsSetType() || t.IsTupleType():
		if t.IsListType() && t.ElementType() == cty.Number {
			return "[1, 2]"
		}
		return `["a", "b"]`
	case t.IsMapType() || t.IsObjectType():
		return `{ name = "value" }`
	}
	return "an HCL value"
}

// obeys tries the validation blocks. A condition that cannot be evaluated here
// because it calls a function that only Nomad has is Nomad's to judge.
func (v Variable) obeys(value cty.Value) error {
	ctx := &hcl.EvalContext{
		Variables: map[string]cty.Value{"var": cty.ObjectVal(map[string]cty.Value{v.Name: value})},
		Functions: functions(),
	}
	var errs []error
	for i, condition := range v.rule.conditions {
		result, diags := condition.Value(ctx)
		if unknownFunction(diags) {
			continue
		}
		if diags.HasErrors() {
			errs = append(errs, fmt.Errorf("cannot check %s: %w", v.Validations[i].Condition, plain(diags)))
			continue
		}
		verdict, err := convert.Convert(result, cty.Bool)
		switch {
		case err != nil || verdict.IsNull() || !verdict.IsKnown():
			errs = append(errs, fmt.Errorf("cannot check %s: it is neither true nor false", v.Validations[i].Condition))
		case verdict.False():
			errs = append(errs, errors.New(v.Validations[i].Message))
		}
	}
	return errors.Join(errs...)
}

func unknownFunction(diags hcl.Diagnostics) bool {
	for _, d := range diags {
		if d.Severity == hcl.DiagError && strings.HasPrefix(d.Summary, "Call to unknown function") {
			return true
		}
	}
	return false
}
