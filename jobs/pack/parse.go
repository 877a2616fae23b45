package pack

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	hcljson "github.com/hashicorp/hcl/v2/json"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// FromFile reads a job file: HCL2, the JSON form of HCL2, or the JSON that
// nomad job run -output prints. The path names the pack and is put into
// messages; content is used as it is, so a caller that reads standard input
// may give "-".
func FromFile(path string, content []byte) (Pack, error) {
	p := Pack{Name: baseName(path), Path: path, Source: string(content)}
	if err := p.parse(); err != nil {
		return Pack{}, err
	}
	return p, nil
}

// extensions that a pack's file may have, the longest first.
func extensions() []string {
	return []string{".nomad.hcl", ".nomad.json", ".nomad", ".hcl", ".json"}
}

func baseName(path string) string {
	base := filepath.Base(path)
	for _, ext := range extensions() {
		if name, ok := strings.CutSuffix(base, ext); ok && name != "" {
			return name
		}
	}
	return base
}

func (p *Pack) parse() error {
	name := p.Path
	if name == "" {
		name = p.Name + ".nomad.hcl"
	}
	var file *hcl.File
	var diags hcl.Diagnostics
	switch text := strings.TrimSpace(p.Source); {
	case text == "":
		return fmt.Errorf("%s is empty", name)
	case text[0] != '{':
		p.Title, p.Description = leading(p.Source)
		file, diags = hclsyntax.ParseConfig([]byte(p.Source), name, hcl.InitialPos)
	case p.isAPI():
		return nil
	default:
		file, diags = hcljson.Parse([]byte(p.Source), name)
	}
	if diags.HasErrors() {
		return plain(diags)
	}
	return p.read(name, file.Body)
}

// isAPI recognises the form of Nomad's API and takes the job's ID from it.
func (p *Pack) isAPI() bool {
	type job struct{ ID *string }
	var doc struct {
		Job *job
		job
		TaskGroups json.RawMessage
	}
	// encoding/json ignores case, and HCL's own JSON form has a "job" too, in
	// which the name of the job is the key: its ID stays nil.
	if err := json.Unmarshal([]byte(p.Source), &doc); err != nil {
		return false
	}
	switch {
	case doc.Job != nil && doc.Job.ID != nil:
		p.Job = *doc.Job.ID
	case doc.ID != nil && doc.TaskGroups != nil:
		p.Job = *doc.ID
	default:
		return false
	}
	p.api = true
	return true
}

func (p *Pack) read(name string, body hcl.Body) error {
	content, _, diags := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
		{Type: "variable", LabelNames: []string{"name"}},
		{Type: "variables"},
		{Type: "job", LabelNames: []string{"name"}},
	}})
	if diags.HasErrors() {
		return plain(diags)
	}
	jobs := 0
	for _, block := range content.Blocks {
		switch block.Type {
		case "job":
			jobs++
			p.Job = block.Labels[0]
		case "variable":
			v, err := variable(block, p.Source)
			if err != nil {
				return err
			}
			p.Variables = append(p.Variables, v)
		case "variables":
			vs, err := shortVariables(block)
			if err != nil {
				return err
			}
			p.Variables = append(p.Variables, vs...)
		}
	}
	if jobs != 1 {
		return fmt.Errorf("%s has %d job blocks, want one", name, jobs)
	}
	seen := map[string]bool{}
	for _, v := range p.Variables {
		if seen[v.Name] {
			return fmt.Errorf("%s declares variable %s twice", name, v.Name)
		}
		seen[v.Name] = true
	}
	return nil
}

// variable reads one variable block.
func variable(block *hcl.Block, source string) (Variable, error) {
	v := Variable{Name: block.Labels[0]}
	content, diags := block.Body.Content(&hcl.BodySchema{
		Attributes: []hcl.AttributeSchema{{Name: "description"}, {Name: "default"}, {Name: "type"}},
		Blocks:     []hcl.BlockHeaderSchema{{Type: "validation"}},
	})
	if !hclsyntax.ValidIdentifier(v.Name) {
		return v, fmt.Errorf("%s: %q is no name for a variable", block.DefRange, v.Name)
	}
	if a := content.Attributes["description"]; a != nil {
		diags = append(diags, gohcl.DecodeExpression(a.Expr, nil, &v.Description)...)
	}
	if a := content.Attributes["type"]; a != nil {
		t, more := typeexpr.Type(a.Expr)
		v.rule.typ, diags = t, append(diags, more...)
	}
	if diags.HasErrors() {
		return v, plain(diags)
	}
	if err := v.preset(content.Attributes["default"]); err != nil {
		return v, err
	}
	for _, b := range content.Blocks {
		if err := v.validation(b, source); err != nil {
			return v, err
		}
	}
	v.describe()
	return v, nil
}

// preset reads the default.
func (v *Variable) preset(a *hcl.Attribute) error {
	if a == nil {
		v.Required = true
		return nil
	}
	value, diags := a.Expr.Value(nil)
	if diags.HasErrors() {
		return plain(diags)
	}
	if v.rule.typ == cty.NilType {
		v.rule.typ = value.Type()
	}
	value, err := convert.Convert(value, v.rule.typ)
	if err != nil {
		return fmt.Errorf("%s: the default of variable %s does not fit its type: %w", a.Range, v.Name, err)
	}
	v.rule.preset = value
	if !value.IsNull() {
		text := typed(value)
		v.Default = &text
	}
	return nil
}

func (v *Variable) validation(b *hcl.Block, source string) error {
	content, diags := b.Body.Content(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{
		{Name: "condition", Required: true}, {Name: "error_message", Required: true},
	}})
	if diags.HasErrors() {
		return plain(diags)
	}
	var out Validation
	if diags := gohcl.DecodeExpression(content.Attributes["error_message"].Expr, nil, &out.Message); diags.HasErrors() {
		return plain(diags)
	}
	condition := content.Attributes["condition"].Expr
	out.Condition = string(condition.Range().SliceBytes([]byte(source)))
	v.Validations = append(v.Validations, out)
	v.rule.conditions = append(v.rule.conditions, condition)
	return nil
}

// shortVariables reads the older form: one block of names and defaults.
func shortVariables(block *hcl.Block) ([]Variable, error) {
	attrs, diags := block.Body.JustAttributes()
	if diags.HasErrors() {
		return nil, plain(diags)
	}
	var out []Variable
	sorted := make([]*hcl.Attribute, 0, len(attrs))
	for _, a := range attrs {
		sorted = append(sorted, a)
	}
	slices.SortFunc(sorted, func(a, b *hcl.Attribute) int { return cmp.Compare(a.Range.Start.Byte, b.Range.Start.Byte) })
	for _, a := range sorted {
		v := Variable{Name: a.Name}
		if err := v.preset(a); err != nil {
			return nil, err
		}
		v.describe()
		out = append(out, v)
	}
	return out, nil
}

// describe fills what follows from the rest.
func (v *Variable) describe() {
	v.Type = typeName(v.rule.typ)
	v.Sensitive = strings.Contains(strings.ToLower(v.Description), "(sensitive)")
	for part := range strings.SplitSeq(strings.ToLower(v.Name), "_") {
		if part == "token" || part == "password" || part == "secret" {
			v.Sensitive = true
		}
	}
}

// leading takes title and description from the comment that begins a file.
func leading(source string) (title, description string) {
	var lines []string
	for line := range strings.Lines(source) {
		line = strings.TrimSpace(line)
		text, isComment := strings.CutPrefix(line, "#")
		if !isComment {
			text, isComment = strings.CutPrefix(line, "//")
		}
		if !isComment {
			break
		}
		lines = append(lines, strings.TrimSpace(text))
	}
	if len(lines) == 0 {
		return "", ""
	}
	var paragraphs []string
	for _, text := range strings.Split(strings.Join(lines[1:], "\n"), "\n\n") {
		if text = strings.Join(strings.Fields(text), " "); text != "" {
			paragraphs = append(paragraphs, text)
		}
	}
	return lines[0], strings.Join(paragraphs, "\n\n")
}

// plain makes an error of HCL's diagnostics, all of them, each with its place.
func plain(diags hcl.Diagnostics) error {
	var errs []error
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		text := strings.TrimSuffix(d.Summary, ".")
		if d.Detail != "" {
			text += ": " + d.Detail
		}
		if d.Subject != nil {
			text = d.Subject.String() + ": " + text
		}
		errs = append(errs, errors.New(text))
	}
	return errors.Join(errs...)
}
