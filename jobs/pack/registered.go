package pack

import "stoker/cluster"

// DigestVariable is the variable of a pack that serves a model in which the
// digest of the sealed artifact goes. It stands beside "model" and "version".
const DigestVariable = "digest"

// Registered is the digest that the registry holds for the model and version
// that these values ask for; false when there is none, or when the pack does
// not ask for one. It never comes from the folder of the artifact, which could
// have been exchanged together with it.
func (p Pack) Registered(vars map[string]string, models []cluster.Artifact) (digest string, ok bool) {
	if _, asks := p.Variable(DigestVariable); !asks {
		return "", false
	}
	model, version := p.Value("model", vars), p.Value("version", vars)
	for i := range models {
		if a := &models[i]; a.Model == model && a.Version == version {
			return a.Digest, a.Digest != ""
		}
	}
	return "", false
}

// Value is what counts for a variable: what is given, else its default.
func (p Pack) Value(name string, vars map[string]string) string {
	if v, given := vars[name]; given {
		return v
	}
	if v, ok := p.Variable(name); ok && v.Default != nil {
		return *v.Default
	}
	return ""
}
