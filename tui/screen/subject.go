package screen

import (
	"fmt"

	"stoker/cluster"
)

// Subject is one thing: what it is, and in Target what it belongs to.
type Subject struct {
	Kind  string // in a word: "node", "GPU", "job"
	Label string // what it is called where only its kind is beside it
	Ref   cluster.Ref
	Target
}

// Focused is a screen with a cursor on things: the keys that lead from a thing
// to what is related to it ask where the cursor is.
type Focused interface {
	// Focus is what the cursor is on; false: nothing.
	Focus() (Subject, bool)
}

// Keeper is a screen that one may come back to: Keep returns what puts it back
// to where it is now.
type Keeper interface{ Keep() (restore func()) }

// NodeSubject is a node.
func NodeSubject(n *cluster.Node) Subject {
	return Subject{
		Kind: "node", Label: n.Name, Ref: cluster.Ref{Place: n.Place, Kind: cluster.RefNode, ID: string(n.ID)},
		Target: Target{Node: n.ID, Pool: n.Pool, Of: n.Place},
	}
}

// GPUSubject is a GPU, with what holds it. Nomad keeps none: it has no Ref.
func GPUSubject(g *cluster.GPU) Subject {
	s := Subject{Kind: "GPU", Label: fmt.Sprintf("%s/%d", g.NodeName, g.Index), Target: Target{GPU: g.UUID, Node: g.Node, Pool: g.Pool, Of: g.Place}}
	if h := g.Holder; h != nil {
		s.Job, s.Alloc, s.Namespace = h.Job, h.Alloc, h.Job.Namespace
	}
	return s
}

// JobSubject is a job.
func JobSubject(j *cluster.Job) Subject {
	return Subject{
		Kind: "job", Label: j.ID.String(), Ref: cluster.Ref{Place: j.Place, Kind: cluster.RefJob, Namespace: j.ID.Namespace, ID: j.ID.Name},
		Target: Target{Job: j.ID, Pool: j.Pool, Namespace: j.ID.Namespace, Of: j.Place},
	}
}

// AllocSubject is an allocation.
func AllocSubject(a *cluster.Alloc) Subject {
	return Subject{
		Kind: "allocation", Label: a.Name, Ref: cluster.Ref{Place: a.Place, Kind: cluster.RefAlloc, ID: string(a.ID)},
		Target: Target{Alloc: a.ID, Job: a.Job, Node: a.Node, Deployment: a.Deployment, Eval: a.Eval, Namespace: a.Job.Namespace, Of: a.Place},
	}
}

// DeploymentSubject is a deployment.
func DeploymentSubject(d *cluster.Deployment) Subject {
	return Subject{
		Kind: "deployment", Label: d.ID.Short(), Ref: cluster.Ref{Place: d.Place, Kind: cluster.RefDeployment, ID: string(d.ID)},
		Target: Target{Deployment: d.ID, Job: d.Job, Namespace: d.Job.Namespace, Of: d.Place},
	}
}

// EvalsOf are the evaluations of a deployment that are still known: those that say
// so themselves, and those that placed its allocations.
func EvalsOf(s *cluster.Snapshot, id cluster.DeploymentID) map[cluster.EvalID]bool {
	out := map[cluster.EvalID]bool{}
	if id == "" {
		return out
	}
	for i := range s.Evaluations {
		if ev := &s.Evaluations[i]; ev.Deployment == id {
			out[ev.ID] = true
		}
	}
	for i := range s.Allocs {
		if a := &s.Allocs[i]; a.Deployment == id && s.Evaluation(a.Eval) != nil {
			out[a.Eval] = true
		}
	}
	return out
}

// EvalSubject is an evaluation.
func EvalSubject(e *cluster.Evaluation) Subject {
	return Subject{
		Kind: "evaluation", Label: e.ID.Short(), Ref: cluster.Ref{Place: e.Place, Kind: cluster.RefEvaluation, ID: string(e.ID)},
		Target: Target{Eval: e.ID, Job: e.Job, Deployment: e.Deployment, Node: e.Node, Namespace: e.Job.Namespace, Of: e.Place},
	}
}

// ServiceSubject is an instance of a service.
func ServiceSubject(s *cluster.Snapshot, v *cluster.Service) Subject {
	return Subject{
		Kind: "service", Label: v.Name, Ref: cluster.Ref{Place: v.Place, Kind: cluster.RefService, Namespace: v.Namespace, ID: v.Name},
		Target: Target{Service: v.ID, Alloc: v.Alloc, Job: s.ServiceJob(v), Node: v.Node, Namespace: v.Namespace, Of: v.Place},
	}
}

// PoolSubject is a node pool.
func PoolSubject(p *cluster.NodePool) Subject {
	return Subject{
		Kind: "node pool", Label: p.Name, Ref: cluster.Ref{Place: p.Place, Kind: cluster.RefPool, ID: p.Name},
		Target: Target{Pool: p.Name, Of: p.Place},
	}
}

// NamespaceSubject is a namespace.
func NamespaceSubject(of cluster.Place, name string) Subject {
	return Subject{
		Kind: "namespace", Label: name, Ref: cluster.Ref{Place: of, Kind: cluster.RefNamespace, ID: name},
		Target: Target{Namespace: name, Of: of},
	}
}

// VariableSubject is a variable.
func VariableSubject(v *cluster.Variable) Subject {
	return Subject{
		Kind: "variable", Label: v.ID.Path, Ref: cluster.Ref{Place: v.Place, Kind: cluster.RefVariable, Namespace: v.ID.Namespace, ID: v.ID.Path},
		Target: Target{Variable: v.ID, Namespace: v.ID.Namespace, Of: v.Place},
	}
}

// JobOf is the job of an ID; false when it is not known.
func JobOf(s *cluster.Snapshot, id cluster.JobID) (Subject, bool) {
	if j := s.Job(id); j != nil {
		return JobSubject(j), true
	}
	return Subject{}, false
}

// Is says whether something is, or belongs to, what another target names first:
// a GPU, an allocation, a deployment, an evaluation, a job, a node, a pool or a namespace.
func (t *Target) Is(other *Target) bool {
	switch {
	case other.GPU != "":
		return t.GPU == other.GPU
	case other.Alloc != "":
		return t.Alloc == other.Alloc
	case other.Deployment != "":
		return t.Deployment == other.Deployment
	case other.Eval != "":
		return t.Eval == other.Eval
	case other.Job != cluster.JobID{}:
		return t.Job == other.Job
	case other.Node != "":
		return t.Node == other.Node
	}
	if other.Of != (cluster.Place{}) && t.Of != other.Of {
		return false
	}
	return (other.Pool == "" || t.Pool == other.Pool) && (other.Namespace == "" || t.Namespace == other.Namespace)
}

// Words names what a target names first: "job prod/chat".
func (t *Target) Words(s *cluster.Snapshot) string {
	switch {
	case t.GPU != "":
		if g := s.GPU(t.GPU); g != nil {
			return "GPU " + GPUSubject(g).Label
		}
		return "GPU " + string(t.GPU)
	case t.Alloc != "":
		if a := s.Alloc(t.Alloc); a != nil {
			return "allocation " + a.Name
		}
		return "allocation " + t.Alloc.Short()
	case t.Deployment != "":
		return "deployment " + t.Deployment.Short()
	case t.Eval != "":
		return "evaluation " + t.Eval.Short()
	case t.Job != cluster.JobID{}:
		return "job " + t.Job.String()
	case t.Node != "":
		if n := s.Node(t.Node); n != nil {
			return "node " + n.Name
		}
		return "node " + t.Node.Short()
	case t.Pool != "":
		return "node pool " + t.Pool
	case t.Namespace != "":
		return "namespace " + t.Namespace
	}
	return ""
}
