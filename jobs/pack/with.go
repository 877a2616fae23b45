package pack

// With merges values for Render: given ones as they are, so that a wrong name
// is still an error, and of preset those that the pack has a variable for and
// that it accepts: what is right for most jobs of a cluster need not suit all.
func (p Pack) With(preset, given map[string]string) map[string]string {
	out := map[string]string{}
	for name, v := range preset {
		if variable, ok := p.Variable(name); ok && variable.Check(v) == nil {
			out[name] = v
		}
	}
	for name, v := range given {
		out[name] = v
	}
	return out
}
