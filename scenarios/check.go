package scenarios

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/jobs/pack"
)

// Packs finds a pack by name; pack.Library does.
type Packs interface {
	Find(name string) (pack.Pack, error)
}

// Check says what is wrong with the scenario's use of packs: one that there is
// not, a variable that it does not have, a value that it refuses. Values that
// are known only when the scenario runs are checked then. The error is a Problems.
func (s *Scenario) Check(packs Packs) error {
	var out Problems
	for _, st := range slices.Concat(s.Steps, s.Cleanup) {
		if st.Kind != KindSubmit || st.change == nil {
			continue
		}
		p, err := packs.Find(st.change.pack)
		if err != nil {
			out = append(out, Problem{s.File, st.change.packPos, err.Error()})
			continue
		}
		for _, v := range st.change.vars {
			if err := checkVar(p, v); err != nil {
				out = append(out, Problem{s.File, v.pos, err.Error()})
			}
		}
	}
	return out.err()
}

func checkVar(p pack.Pack, v packVar) error {
	variable, ok := p.Variable(v.name)
	if !ok {
		var names []string
		for _, o := range p.Variables {
			names = append(names, o.Name)
		}
		if meant := facts.Nearest(v.name, names); meant != "" {
			return fmt.Errorf("pack %s has no variable %s; did you mean %s?", p.Name, v.name, meant)
		}
		return fmt.Errorf("pack %s has no variable %s; it has %s", p.Name, v.name, strings.Join(names, ", "))
	}
	if text, ok := v.value.static(); ok {
		return variable.Check(text)
	}
	return nil
}

// Resolve gives the value of every variable: the given ones, then the
// defaults. A wrong or missing one is an ErrVars.
func (s *Scenario) Resolve(runID string, given map[string]string) (map[string]any, error) {
	out := map[string]any{"run_id": runID}
	for name := range given {
		if !slices.ContainsFunc(s.Vars, func(v Var) bool { return v.Name == name }) {
			return nil, fmt.Errorf("%w: scenario %s has no variable %q%s", ErrVars, s.Name, name, s.meant(name))
		}
	}
	for _, v := range s.Vars {
		text, ok := given[v.Name]
		if !ok {
			if v.Required {
				return nil, fmt.Errorf("%w: %s must be given: -v %s=…", ErrVars, v.Name, v.Name)
			}
			var err error
			if text, err = v.preset.render(newSight(&cluster.Snapshot{}, out)); err != nil {
				return nil, fmt.Errorf("%w: default of %s: %w", ErrVars, v.Name, err)
			}
		}
		value, err := v.read(text)
		if err != nil {
			return nil, err
		}
		out[v.Name] = value
	}
	return out, nil
}

func (s *Scenario) meant(name string) string {
	var names []string
	for _, v := range s.Vars {
		names = append(names, v.Name)
	}
	if n := facts.Nearest(name, names); n != "" {
		return "; did you mean " + n + "?"
	}
	if len(names) == 0 {
		return "; it has none"
	}
	return "; it has " + strings.Join(names, ", ")
}

func (v *Var) read(text string) (any, error) {
	switch v.Type {
	case "number":
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: %s is %q, want a number", ErrVars, v.Name, text)
		}
		return f, nil
	case "bool":
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %s is %q, want true or false", ErrVars, v.Name, text)
		}
		return b, nil
	}
	return text, nil
}

// secret says that a variable's value must not be shown, by the rule of packs.
func secret(name string) bool {
	return slices.ContainsFunc(strings.Split(strings.ToLower(name), "_"), func(part string) bool {
		return part == "token" || part == "password" || part == "secret"
	})
}

// NewRunID makes a short name for one run, usable in model versions: it sorts
// by time and differs between two runs of one second.
func NewRunID(now time.Time) string {
	return fmt.Sprintf("r%s%s", strconv.FormatInt(now.Unix(), 36), strconv.FormatInt(36*36+rand.Int64N(35*36*36), 36)) //nolint:gosec // a name, not a secret
}
