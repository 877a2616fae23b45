package cluster

// Set names the kinds of rows that an Update lists whole.
type Set uint16

// The kinds.
const (
	SetNodes Set = 1 << iota
	SetJobs
	SetAllocs
	SetDeployments
	SetEvaluations
	SetServices
	SetPools
	SetNamespaces
	SetVariables

	// SetAll is what must have been listed once before a snapshot is Ready.
	SetAll = SetNodes | SetJobs | SetAllocs | SetDeployments | SetEvaluations | SetServices
)

// Update is what the scheduler's adapter emits: rows that are new or changed,
// and the IDs of rows that are gone. For a kind in Lists the rows are all
// there are as of Index, and a known row that is neither listed nor newer is gone.
type Update struct {
	Lists   Set
	Refused Set // kinds that may not be read: nothing more is to be waited for
	// Partial are those of Lists of which only some namespaces were read: there
	// may be more.
	Partial Set
	Index   uint64

	Nodes       []Node
	Jobs        []Job
	Allocs      []Alloc
	Deployments []Deployment
	Evaluations []Evaluation
	Services    []Service
	Pools       []NodePool
	Namespaces  []Namespace
	Variables   []Variable

	// Details complete nodes that were told of before, by ID.
	Details map[NodeID]*NodeDetail

	GoneNodes       []NodeID
	GoneJobs        []JobID
	GoneAllocs      []AllocID
	GoneDeployments []DeploymentID
	GoneEvaluations []EvalID
	GoneServices    []ServiceID
}
