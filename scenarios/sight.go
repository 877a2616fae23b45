package scenarios

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"

	"stoker/cluster"
	"stoker/cluster/facts"
)

// sight is what one evaluation sees: a snapshot, the variables, and which
// sources of what it looked at did not answer. One goroutine uses it.
type sight struct {
	snap  *cluster.Snapshot
	vars  map[string]any
	views map[string][]map[string]any
	late  []string
}

func newSight(s *cluster.Snapshot, vars map[string]any) *sight {
	return &sight{snap: s, vars: vars, views: map[string][]map[string]any{}}
}

// run evaluates a program. What was late is in late afterwards.
func (w *sight) run(p *program) (any, error) {
	env := map[string]any{}
	for name, v := range w.vars {
		env[name] = v
	}
	for name, f := range w.functions() {
		env[name] = f
	}
	for _, v := range p.views {
		env[v] = w.rows(v)
	}
	return expr.Run(p.code, env)
}

// rows of a view, made only when an expression names it: a large fleet has many.
func (w *sight) rows(name string) []map[string]any {
	v, _ := facts.Find(name)
	if err := v.Missing(w.snap); err != nil {
		w.wait(err.Error())
	}
	w.ready()
	return w.table(v)
}

func (w *sight) table(v *facts.View) []map[string]any {
	if rows, ok := w.views[v.Name]; ok {
		return rows
	}
	rows := []map[string]any{}
	for _, r := range v.Rows(w.snap) {
		rows = append(rows, v.Map(r))
	}
	w.views[v.Name] = rows
	return rows
}

func (w *sight) wait(why string) {
	if !slices.Contains(w.late, why) {
		w.late = append(w.late, why)
	}
}

// ready notes that the lists of Nomad were not all read yet.
func (w *sight) ready() {
	if !w.snap.Ready {
		w.wait("nomad: no answer yet")
	}
}

// need notes sources that are not live. One that never reported is late too
// when it must: the agents of a cluster without any are none.
func (w *sight) need(must bool, names ...string) {
	for _, name := range names {
		st := w.snap.Source(name)
		switch {
		case st == nil && must:
			w.wait(name + ": no answer yet")
		case st == nil, st.State == cluster.SourceLive, st.State == cluster.SourceOff && !must:
		case st.Err != "":
			w.wait(name + ": " + st.Err)
		default:
			w.wait(name + ": " + string(st.State))
		}
	}
}

func (w *sight) nomad() {
	w.ready()
	w.need(false, "nomad", "nomad/nodes")
}

// functions are those of the language beside those that expr has.
func (w *sight) functions() map[string]any {
	return map[string]any{
		"outcome": w.outcome, "running": w.running, "held": w.held, "free": w.free,
		"artifact": w.artifact, "endpoints": w.endpoints,
	}
}

// jobID reads "name" or "namespace/name".
func jobID(name string) cluster.JobID {
	if ns, rest, ok := strings.Cut(name, "/"); ok {
		return cluster.JobID{Namespace: ns, Name: rest}
	}
	return cluster.JobID{Namespace: "default", Name: name}
}

func (w *sight) outcome(job string) map[string]any {
	w.nomad()
	o := w.snap.Outcome(jobID(job))
	return map[string]any{"done": o.Done, "good": o.Good, "text": o.Text}
}

func (w *sight) running(job string) bool {
	w.nomad()
	return alive(w.snap, jobID(job))
}

// alive reports whether a job runs, or is about to, or still holds something.
func alive(s *cluster.Snapshot, id cluster.JobID) bool {
	if j := s.Job(id); j != nil && !j.Stopped && j.Status != "dead" {
		return true
	}
	return slices.ContainsFunc(s.Allocs, func(a cluster.Alloc) bool { return a.Job == id && !a.Terminal() })
}

// held lists the GPUs of a job. Their readings are known only while the agents
// of their own nodes answer; those of other nodes do not matter.
func (w *sight) held(job string) []map[string]any {
	id := jobID(job)
	return w.gpus(func(g *cluster.GPU) bool { return g.Holder != nil && g.Holder.Job == id })
}

// free lists the GPUs that new work could be placed on.
func (w *sight) free() []map[string]any {
	return w.gpus((*cluster.GPU).Free)
}

func (w *sight) gpus(keep func(*cluster.GPU) bool) []map[string]any {
	w.nomad()
	v, _ := facts.Find("gpus")
	rows := []map[string]any{}
	for i, row := range w.table(v) {
		g := &w.snap.GPUs[i] // the view has one row for each GPU, in order
		if keep(g) {
			w.need(false, "agent "+g.NodeName)
			rows = append(rows, row)
		}
	}
	return rows
}

// artifact is a registered version, nil when there is none.
func (w *sight) artifact(model, version string) any {
	w.need(true, "registry")
	i := slices.IndexFunc(w.snap.Artifacts, func(a cluster.Artifact) bool { return a.Model == model && a.Version == version })
	if i < 0 {
		return nil
	}
	a := &w.snap.Artifacts[i]
	evaluation := map[string]any{}
	for k, v := range a.Evaluation {
		evaluation[k] = v
	}
	return map[string]any{
		"model": a.Model, "version": a.Version, "urn": a.URN.String(), "digest": text(a.Digest), "key": text(a.Key), "key_version": a.KeyVersion,
		"size_bytes": a.Bytes, "created": a.Created, "trained_by": text(a.TrainedBy.Name), "evaluation": evaluation,
	}
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// endpoints lists the base addresses of a job's registered services.
func (w *sight) endpoints(job string) []string {
	w.nomad()
	id := jobID(job)
	out := []string{}
	for i := range w.snap.Services {
		s := &w.snap.Services[i]
		if s.Job != id.Name || s.Namespace != id.Namespace || s.Port == 0 {
			continue
		}
		if a := w.snap.Alloc(s.Alloc); a != nil && a.Terminal() {
			continue
		}
		if u := "http://" + net.JoinHostPort(s.Address, strconv.Itoa(s.Port)); !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	slices.Sort(out)
	return out
}
