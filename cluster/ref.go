package cluster

// RefKind is a kind of thing that Nomad keeps.
type RefKind string

// The kinds, in the words that people use.
const (
	RefNode       RefKind = "node"
	RefJob        RefKind = "job"
	RefAlloc      RefKind = "allocation"
	RefDeployment RefKind = "deployment"
	RefEvaluation RefKind = "evaluation"
	RefService    RefKind = "service"
	RefPool       RefKind = "node pool"
	RefNamespace  RefKind = "namespace"
	RefVariable   RefKind = "variable"
)

// Ref names one thing that Nomad keeps.
type Ref struct {
	Place
	Kind      RefKind
	Namespace string // of a job, a service and a variable
	ID        string // ID, name or path
}
