package pack

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"stoker/cluster"
	"stoker/cluster/facts"
)

// Pack is one job file with its variables.
type Pack struct {
	Name        string
	Title       string // first line of the leading comment
	Description string // the rest of it, paragraphs parted by an empty line
	Job         string // the label of the job block; a variable may set another ID
	Source      string // the text, HCL or JSON
	Path        string // the file; empty when built in
	Variables   []Variable

	// Err says why a listed file cannot be used; it has no variables then.
	Err error

	api bool // Source is the JSON that nomad job run -output prints
}

// Variable is one variable block.
type Variable struct {
	Name        string
	Type        string // as HCL writes it: "string", "number", "list(string)", "any"
	Description string
	// Default is written as a person types it: a string without quotes, a list
	// as [1, 2]. nil when the variable must be set, and for a default of null.
	Default  *string
	Required bool
	// Sensitive hides the value on screen. HCL job files have no word for it:
	// it is a variable whose name has the part "token", "password" or "secret",
	// or whose description contains "(sensitive)".
	Sensitive   bool
	Validations []Validation

	rule rule
}

// Validation is one validation block of a variable.
type Validation struct {
	Condition string // HCL text
	Message   string
}

// Variable looks a variable up by name.
func (p Pack) Variable(name string) (Variable, bool) {
	i := slices.IndexFunc(p.Variables, func(v Variable) bool { return v.Name == name })
	if i < 0 {
		return Variable{}, false
	}
	return p.Variables[i], true
}

// Render checks the values and gives the job file for the scheduler: the text
// unchanged, with the values as HCL literals in Vars. Values are written as a
// person types them, see Variable.Default; what is not given keeps its default.
// The error joins one ValueError for each wrong value.
func (p Pack) Render(vars map[string]string) (cluster.JobFile, error) {
	if p.Err != nil {
		return cluster.JobFile{}, fmt.Errorf("pack %s cannot be used: %w", p.Name, p.Err)
	}
	file := cluster.JobFile{Name: p.Name}
	if p.Path != "" {
		file.Name = p.Path
	}
	literals, err := p.literals(vars)
	if err != nil {
		return cluster.JobFile{}, err
	}
	if p.api {
		file.JSON = []byte(p.Source)
		return file, nil
	}
	file.HCL, file.Vars = p.Source, literals
	return file, nil
}

func (p Pack) literals(vars map[string]string) (map[string]string, error) {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if _, ok := p.Variable(name); !ok {
			errs = append(errs, &ValueError{Variable: name, Message: p.unknown(name)})
		}
	}
	out := make(map[string]string, len(vars))
	for _, v := range p.Variables {
		text, given := vars[v.Name]
		if !given {
			if err := v.checkDefault(); err != nil {
				errs = append(errs, err)
			}
			continue
		}
		literal, err := v.Literal(text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out[v.Name] = literal
	}
	return out, errors.Join(errs...)
}

func (p Pack) unknown(name string) string {
	names := make([]string, len(p.Variables))
	for i, v := range p.Variables {
		names[i] = v.Name
	}
	switch {
	case len(names) == 0:
		return p.Name + " has no variables"
	case facts.Nearest(name, names) != "":
		return fmt.Sprintf("%s has no such variable; did you mean %s?", p.Name, facts.Nearest(name, names))
	}
	slices.Sort(names)
	return fmt.Sprintf("%s has no such variable; it has %s", p.Name, strings.Join(names, ", "))
}

// ValueError says what is wrong with the value of one variable.
type ValueError struct {
	Variable string
	Message  string
}

func (e *ValueError) Error() string { return "variable " + e.Variable + ": " + e.Message }
