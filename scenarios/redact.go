package scenarios

import "slices"

// What is redacted is what others said: errors, outputs and values. The words
// of the scenario's author stay.

// redacted is the event for an observer, who may keep it: it shares nothing
// with the report.
func (e Event) redacted(redact func(string) string) Event {
	e.Text, e.Left = redact(e.Text), each(e.Left, redact)
	if e.Check != nil {
		c := e.Check.redacted(redact)
		e.Check = &c
	}
	return e
}

func (r *Report) redact(redact func(string) string) {
	r.Text, r.Left = redact(r.Text), each(r.Left, redact)
	for name, v := range r.Vars {
		r.Vars[name] = redact(v)
	}
	for i := range r.Steps {
		r.Steps[i].redact(redact)
	}
	r.Cleanup.redact(redact)
}

func (s *StepResult) redact(redact func(string) string) {
	s.Text, s.Log = redact(s.Text), each(s.Log, redact)
	for i := range s.Checks {
		s.Checks[i] = s.Checks[i].redacted(redact)
	}
}

func (c CheckResult) redacted(redact func(string) string) CheckResult {
	c.Text, c.Why, c.Values = redact(c.Text), each(c.Why, redact), slices.Clone(c.Values)
	for i := range c.Values {
		c.Values[i].Value = redact(c.Values[i].Value)
	}
	return c
}

func each(list []string, f func(string) string) []string {
	list = slices.Clone(list)
	for i := range list {
		list[i] = f(list[i])
	}
	return list
}
