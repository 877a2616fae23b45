package pack

import (
	"strings"

	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// literal writes a value as HCL on one line.
func literal(v cty.Value) string {
	t := v.Type()
	switch {
	case v.IsNull() || t.IsPrimitiveType():
		return string(hclwrite.TokensForValue(v).Bytes())
	case t.IsMapType() || t.IsObjectType():
		var parts []string
		for it := v.ElementIterator(); it.Next(); {
			key, value := it.Element()
			name := key.AsString()
			if !hclsyntax.ValidIdentifier(name) {
				name = literal(key)
			}
			parts = append(parts, name+" = "+literal(value))
		}
		if len(parts) == 0 {
			return "{}"
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	var parts []string
	for it := v.ElementIterator(); it.Next(); {
		_, value := it.Element()
		parts = append(parts, literal(value))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// typed writes a value as a person types it.
func typed(v cty.Value) string {
	if v.Type() == cty.String && !v.IsNull() {
		return v.AsString()
	}
	return literal(v)
}

func typeName(t cty.Type) string {
	if t == cty.NilType {
		return "string"
	}
	return typeexpr.TypeString(t)
}
