package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// How long things may take where the file does not say.
const (
	defaultTimeout = 30 * time.Minute
	defaultWait    = 5 * time.Minute
	defaultRun     = 10 * time.Minute
)

// Parse reads a scenario and compiles its expressions. file is for messages.
// The error is a Problems: every mistake with its line. The scenario that could
// be read all the same comes with it, so that Check may find more.
func Parse(file string, content []byte) (*Scenario, error) {
	f, err := decode(file, content)
	if err != nil {
		return nil, err
	}
	p := &reader{file: file, scope: newScope()}
	return p.scenario(f), p.problems.err()
}

// reader turns the file's form into a Scenario and collects what is wrong.
type reader struct {
	file     string
	scope    *scope
	problems Problems
}

func (p *reader) wrong(at Position, format string, args ...any) {
	p.problems = append(p.problems, Problem{p.file, at, fmt.Sprintf(format, args...)})
}

func (p *reader) scenario(f *fileYAML) *Scenario {
	s := &Scenario{
		File: p.file, Name: f.Name.text, Description: strings.TrimSpace(f.Description.text),
		Timeout: p.duration(f.Timeout, defaultTimeout),
	}
	if s.Name == "" {
		p.wrong(Position{1, 1}, "the scenario has no name")
	}
	for _, v := range f.Vars {
		s.Vars = append(s.Vars, p.variable(v))
	}
	if len(f.Steps) == 0 {
		p.wrong(Position{1, 1}, "the scenario has no steps")
	}
	for _, st := range f.Steps {
		s.Steps = append(s.Steps, p.step(st))
	}
	for _, st := range f.Cleanup {
		s.Cleanup = append(s.Cleanup, p.step(st))
	}
	return s
}

// variable reads "name: value" and "name: {default: value, help: text}".
func (p *reader) variable(v pair) Var {
	out := Var{Name: v.key, Type: "string", pos: v.pos}
	preset, err := v.scalar()
	if err != nil {
		var form varYAML
		if err := decodeNode(v.node, &form); err != nil {
			p.wrong(v.pos, "variable %s: %v", v.key, err)
			return out
		}
		preset, out.Help = form.Default, form.Help.text
	}
	out.Required = !preset.set
	if preset.set {
		out.Type, out.Default = preset.kind, preset.text
		out.preset = p.template(preset)
	}
	if err := p.scope.add(out.Name, out.Type); err != nil {
		p.wrong(v.pos, "variable: %v", err)
	}
	return out
}

func (p *reader) step(y *stepYAML) Step {
	st := Step{Name: y.Name.text, Position: y.pos}
	if y.err != nil {
		p.problems = append(p.problems, problem(p.file, y.err))
		return st
	}
	kinds := kindsOf(y)
	switch len(kinds) {
	case 1:
		st.Kind = kinds[0]
	case 0:
		p.wrong(y.pos, "the step does nothing: it needs one of %s", strings.Join(words(allKinds()), ", "))
		return st
	default:
		p.wrong(y.pos, "the step does %s: make a step of each", strings.Join(words(kinds), " and "))
		return st
	}
	if st.Name == "" {
		st.Name = string(st.Kind)
	}
	p.body(&st, y)
	p.extras(&st, y)
	return st
}

func allKinds() []Kind {
	return []Kind{KindRequire, KindAssert, KindWait, KindRemember, KindRun, KindSubmit, KindScale, KindRestart, KindStop, KindDrain, KindIneligible, KindUndrain}
}

func words(kinds []Kind) []string {
	out := make([]string, len(kinds))
	for i, k := range kinds {
		out[i] = string(k)
	}
	return out
}

func kindsOf(y *stepYAML) []Kind {
	has := map[Kind]bool{
		KindRequire: y.Require != nil, KindAssert: y.Assert != nil, KindWait: y.Wait != nil, KindRemember: y.Remember != nil,
		KindRun: y.Run != nil, KindSubmit: y.Submit != nil, KindScale: y.Scale != nil, KindRestart: y.Restart != nil,
		KindStop: y.Stop != nil, KindDrain: y.Drain != nil, KindUndrain: y.Undrain != nil,
		KindIneligible: y.Ineligible != nil,
	}
	return slices.DeleteFunc(allKinds(), func(k Kind) bool { return !has[k] })
}

func (p *reader) body(st *Step, y *stepYAML) {
	switch st.Kind {
	case KindRequire:
		st.checks = p.checks(y.Require)
	case KindAssert:
		st.checks = p.checks(y.Assert)
	case KindWait:
		st.until, st.limit = p.condition(y.Wait.Until, y.pos, "until"), p.duration(y.Wait.For, defaultWait)
		if y.Wait.Unless.set {
			st.unless = p.condition(y.Wait.Unless, y.pos, "unless")
		}
	case KindRemember:
		p.remember(st, y)
	case KindRun:
		p.run(st, y)
	case KindSubmit:
		p.submit(st, y)
	case KindScale:
		p.change(st, y.Scale, "job", "group", "count")
	case KindRestart:
		p.change(st, y.Restart, "job")
	case KindStop:
		p.change(st, y.Stop, "job", "purge")
	case KindDrain:
		p.change(st, y.Drain, "node", "deadline")
	case KindIneligible:
		p.change(st, y.Ineligible, "node")
	case KindUndrain:
		p.change(st, y.Undrain, "node")
	}
}

// extras reads what goes with several kinds.
func (p *reader) extras(st *Step, y *stepYAML) {
	if y.Within.set {
		if st.Kind != KindAssert {
			p.wrong(y.Within.pos, "within goes with assert, not with %s", st.Kind)
		}
		st.within = p.duration(y.Within, 0)
	}
	long := st.Kind == KindWait || st.Kind == KindRun
	if y.Show.set {
		if !long && st.Kind != KindAssert {
			p.wrong(y.Show.pos, "show goes with wait, run and assert, not with %s", st.Kind)
		}
		st.show = p.template(y.Show)
	}
	if y.Meanwhile != nil {
		if !long {
			p.wrong(y.pos, "meanwhile goes with wait and run, not with %s", st.Kind)
		}
		st.always, st.eventual = p.checks(y.Meanwhile.Always), p.checks(y.Meanwhile.Eventually)
	}
}

func (p *reader) checks(list checksYAML) []check {
	out := []check{}
	for _, y := range list {
		c := check{cond: p.condition(y.That, y.That.pos, "that")}
		if y.Else.set {
			c.text = p.template(y.Else)
		}
		out = append(out, c)
	}
	return out
}

func (p *reader) condition(s scalar, at Position, what string) *condition {
	if !s.set {
		p.wrong(at, "%s is missing", what)
		return nil
	}
	c, err := p.scope.condition(s.text)
	if err != nil {
		p.wrong(s.pos, "%v", err)
	}
	return c
}

func (p *reader) template(s scalar) *template {
	t, err := p.scope.template(s.text)
	if err != nil {
		p.wrong(s.pos, "%v", err)
		return nil
	}
	t.pos = s.pos
	return t
}

// need is a template that must be there.
func (p *reader) need(s scalar, at Position, what string) *template {
	if !s.set {
		p.wrong(at, "%s is missing", what)
		return nil
	}
	return p.template(s)
}

func (p *reader) duration(s scalar, preset time.Duration) time.Duration {
	if !s.set {
		return preset
	}
	d, err := time.ParseDuration(s.text)
	if err != nil || d <= 0 {
		p.wrong(s.pos, "%q is no time: write it as 30s, 5m or 1h", s.text)
	}
	return d
}

func (p *reader) remember(st *Step, y *stepYAML) {
	for _, v := range y.Remember {
		s, err := v.scalar()
		if err != nil {
			p.wrong(v.pos, "%s needs an expression", v.key)
			continue
		}
		value, err := p.scope.compile(s.text)
		if err != nil {
			p.wrong(s.pos, "%v", err)
		}
		if err := p.scope.add(v.key, ""); err != nil {
			p.wrong(v.pos, "remember: %v", err)
		}
		st.remember = append(st.remember, binding{v.key, value})
	}
}

func (p *reader) run(st *Step, y *stepYAML) {
	st.limit = p.duration(y.Run.For, defaultRun)
	if len(y.Run.Command) == 0 {
		p.wrong(y.pos, "command is missing")
	}
	for _, word := range y.Run.Command {
		st.command = append(st.command, p.template(word))
	}
	if st.save = y.Run.Save.text; st.save != "" {
		if err := p.scope.add(st.save, ""); err != nil {
			p.wrong(y.Run.Save.pos, "save: %v", err)
		}
	}
}

func (p *reader) submit(st *Step, y *stepYAML) {
	c := &change{pack: y.Submit.Pack.text, packPos: y.Submit.Pack.pos}
	if c.pack == "" {
		p.wrong(y.pos, "pack is missing")
	}
	for _, v := range y.Submit.Vars {
		s, err := v.scalar()
		if err != nil {
			p.wrong(v.pos, "variable %s needs a text, a number or a truth value", v.key)
			continue
		}
		c.vars = append(c.vars, packVar{v.key, v.pos, p.template(s)})
	}
	st.change = c
}

// change reads the operand of a change; it has only the named fields.
func (p *reader) change(st *Step, y *changeYAML, fields ...string) {
	c := &change{}
	given := map[string]scalar{"job": y.Job, "group": y.Group, "count": y.Count, "purge": y.Purge, "node": y.Node, "deadline": y.Deadline}
	for _, name := range []string{"job", "group", "count", "purge", "node", "deadline"} {
		if given[name].set && !slices.Contains(fields, name) {
			p.wrong(given[name].pos, "%s has no %s", st.Kind, name)
		}
	}
	for _, name := range fields {
		switch s := given[name]; name {
		case "job":
			c.job = p.need(s, st.Position, "job")
		case "node":
			c.node = p.need(s, st.Position, "node")
		case "count":
			c.count = p.need(s, st.Position, "count")
		case "group":
			if s.set {
				c.group = p.template(s)
			}
		case "deadline":
			c.deadline = p.duration(s, 0)
		case "purge":
			if c.purge = s.text == "true"; s.set && s.kind != "bool" {
				p.wrong(s.pos, "purge is true or false")
			}
		}
	}
	st.change = c
}
