package cluster

import (
	"cmp"
	"slices"
	"time"

	"stoker/gpu"
	"stoker/secrets"
)

// Snapshot is everything known about one cluster, or several, at one time. It is
// never changed after it was published; share it freely.
type Snapshot struct {
	Rev   uint64
	At    time.Time
	Place Place
	// Members are the snapshots of single clusters that this one was made of, see
	// Merge; nil where it is of one cluster. Of finds the one of a row.
	Members []*Snapshot

	// Rows, each sorted: nodes and GPUs by node name and index, jobs by ID,
	// allocations by job and name, the rest newest first.
	Nodes       []Node
	GPUs        []GPU
	Jobs        []Job
	Allocs      []Alloc
	Deployments []Deployment
	Evaluations []Evaluation
	Services    []Service
	Pools       []NodePool
	Namespaces  []Namespace
	Variables   []Variable // their names: what they hold is not read
	Models      []Model
	Training    []Training
	Keys        []Key
	Artifacts   []Artifact
	Events      []Event
	Sources     []SourceStatus // by name, of several clusters one after the other

	Vault         *secrets.State // nil until Vault answered, and of several clusters: each member has its own
	Fleet         Fleet
	Problems      []Problem // what needs attention, worst first
	EventsDropped int       // events that the ring let go

	// Ready says that each list of Nomad was read at least once, or was refused:
	// before it, an empty table means "not yet" and not "none". Of several clusters
	// one is enough: each member says so for itself.
	Ready bool
	// Known are the kinds that were read and still may be. Of the others rows
	// are missing, or as they were when they were read last.
	Known Set
	// Partial are the kinds that were read of some namespaces only: the token may
	// not read the others, or the context names one.
	Partial Set

	of Place // what its jobs say of which cluster they are
	// clocks is by how much those of nodes are ahead of ours, where they differ.
	clocks map[NodeID]time.Duration

	nodes  map[NodeID]int
	jobs   map[JobID]int
	allocs map[AllocID]int
	gpus   map[gpu.UUID]int
	evals  map[EvalID]int

	nodeGPUs   map[NodeID]span // GPUs of one node lie together, and
	jobAllocs  map[JobID]span  // so do the allocations of one job
	nodeAllocs map[NodeID][]int
	rollouts   map[JobID]int // the newest deployment of each job

	jobAccounts   map[JobID]Account
	spaceAccounts map[string]Account // by namespace
}

// span is a range of rows: from is in it, to is not.
type span struct{ from, to int }

func within[V any](rows []V, s span) []V { return rows[s.from:s.to:s.to] }

// Same tells that two lists are one and the same: rows of snapshots are never
// changed, and snapshots share those that stay as they are.
func Same[V any](a, b []V) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

// Holder is the allocation that holds a GPU.
type Holder struct {
	Alloc AllocID
	Name  string // job.group[index]
	Job   JobID
	Task  string
	Kind  Kind
	Model string
	Since time.Time
}

// Model is a ModelSample joined to its job and its GPUs.
type Model struct {
	ModelSample
	Desired  int // replicas asked for
	Running  int
	GPUs     int
	GPUUtil  *float64 // mean over its GPUs that report, percent
	Artifact *Artifact
	// Reports is false for an inference job from which no metrics came yet.
	Reports bool
	Latency []float64 // p95 in seconds over time, oldest first
	Rate    []float64 // requests a second over time, oldest first
}

// Training is a training job with its latest sample and its loss over time.
type Training struct {
	TrainingSample
	Status  string // pending, running, complete, failed
	GPUs    int
	GPUUtil *float64
	Loss    []Point // oldest first, thinned to the width of a screen
	Reports bool
	Ended   time.Time
}

// Point is one value of a curve.
type Point struct {
	Step  float64
	Value float64
}

// Key is a Transit key with what it still opens.
type Key struct {
	Place
	secrets.Key
	Artifacts []Artifact // sealed under any version of it
	Stale     int        // of these, sealed under an older version than the latest
}

// Fleet is the sum over all GPUs. Held and Failed may overlap: a failed GPU can
// still be held. Readings are added up where they are live.
type Fleet struct {
	Nodes, NodesReady               int
	Claims                          bool // it is known what is held: otherwise Held, Free, Closed, Idle and Rogue say nothing
	GPUs, Held, Free, Failed, Idle  int
	Closed                          int // held by nobody, on nodes that take no new work or do not offer them
	Rogue, Down, Reporting, Pending int // Pending: GPUs that waiting jobs ask for
	PendingJobs                     int
	UtilPercent                     *float64 // mean over reporting GPUs, free ones included
	MemoryUsed                      *uint64  // bytes; nil while nobody reports it
	MemoryTotal                     uint64
	PowerWatts, PowerLimitWatts     *float64
	HottestCelsius                  *float64
	Hottest                         gpu.UUID
	Util                            []float64 // the mean over time, oldest first
}

// Problem is one thing that somebody should look at.
type Problem struct {
	Place
	Kind    ProblemKind
	Level   Level
	Subject string
	Text    string
	Since   time.Time
	// Where to go to act on it: at most one is set.
	GPU  gpu.UUID
	Node NodeID
	Job  JobID
	Key  string
	// Source names a source that is late, or whose right to read ends.
	Source string
	// Deployment is that of Job which failed.
	Deployment DeploymentID
	// Holder is the job that holds a GPU without using it; GPU is set, too.
	Holder JobID
	// Later says that there is nothing to do about it yet.
	Later bool
	// Cause is what it has in common with others of its kind.
	Cause string
	// GPUs is how many it is about: those held on a lost node, or that a job waits for.
	GPUs int
}

// ProblemKind tells alike problems from others.
type ProblemKind string

// The kinds.
const (
	GPUFailed     ProblemKind = "gpu failed"
	GPUWorn       ProblemKind = "gpu worn" // degraded, or to be watched
	GPURogue      ProblemKind = "gpu rogue"
	GPUIdle       ProblemKind = "gpu idle"
	NodeLost      ProblemKind = "node lost"
	ClockApart    ProblemKind = "clock apart"
	JobWaits      ProblemKind = "job waits"
	RolloutFailed ProblemKind = "rollout failed"
	AllocsFailed  ProblemKind = "allocations failed"
	KeyStale      ProblemKind = "key stale"
	VaultSealed   ProblemKind = "vault sealed"
	TokenEnds     ProblemKind = "token ends"
	SourceLost    ProblemKind = "source lost"
)

// Claims says that it is known which allocations there are, in all namespaces:
// a GPU that none of them has is held by nobody.
func (s *Snapshot) Claims() bool { return s.Known&^s.Partial&SetAllocs != 0 }

// Node looks a node up; nil when unknown.
func (s *Snapshot) Node(id NodeID) *Node {
	return among(s, func(s *Snapshot) *Node { return at(s.Nodes, s.nodes, id) })
}

// Job looks a job up; nil when unknown.
func (s *Snapshot) Job(id JobID) *Job {
	return among(s, func(s *Snapshot) *Job { return at(s.Jobs, s.jobs, id) })
}

// Alloc looks an allocation up; nil when unknown.
func (s *Snapshot) Alloc(id AllocID) *Alloc {
	return among(s, func(s *Snapshot) *Alloc { return at(s.Allocs, s.allocs, id) })
}

// GPU looks a device up; nil when unknown.
func (s *Snapshot) GPU(id gpu.UUID) *GPU {
	return among(s, func(s *Snapshot) *GPU { return at(s.GPUs, s.gpus, id) })
}

// Evaluation looks an evaluation up; nil when unknown.
func (s *Snapshot) Evaluation(id EvalID) *Evaluation {
	return among(s, func(s *Snapshot) *Evaluation { return at(s.Evaluations, s.evals, id) })
}

func at[K comparable, V any](rows []V, index map[K]int, key K) *V {
	if i, ok := index[key]; ok {
		return &rows[i]
	}
	return nil
}

// NodeGPUs returns the devices of one node, in index order. The slice is part
// of the snapshot.
func (s *Snapshot) NodeGPUs(id NodeID) []GPU {
	return rowsAmong(s, func(s *Snapshot) []GPU { return within(s.GPUs, s.nodeGPUs[id]) })
}

// NodeAllocs returns the live allocations on one node.
func (s *Snapshot) NodeAllocs(id NodeID) []Alloc {
	return rowsAmong(s, func(s *Snapshot) (out []Alloc) {
		for _, i := range s.nodeAllocs[id] {
			if a := &s.Allocs[i]; !a.Terminal() {
				out = append(out, *a)
			}
		}
		return out
	})
}

// JobAllocs returns a job's allocations, the newest first.
func (s *Snapshot) JobAllocs(id JobID) []Alloc {
	rows := slices.Clone(s.allocsOf(id))
	slices.SortStableFunc(rows, func(a, b Alloc) int { return b.Created.Compare(a.Created) })
	return rows
}

// allocsOf is a job's allocations in the order of Allocs, as part of the snapshot.
func (s *Snapshot) allocsOf(id JobID) []Alloc {
	return rowsAmong(s, func(s *Snapshot) []Alloc { return within(s.Allocs, s.jobAllocs[id]) })
}

// JobDeployment returns the newest deployment of a job; nil when it has none.
func (s *Snapshot) JobDeployment(id JobID) *Deployment {
	return among(s, func(s *Snapshot) *Deployment { return at(s.Deployments, s.rollouts, id) })
}

// JobEvents returns the events about a job and about GPUs that it was on when
// they happened, in the order of Events.
func (s *Snapshot) JobEvents(id JobID) []Event {
	return filter(s.Events, func(e *Event) bool { return e.Concerns(id) })
}

// JobGPUs returns the devices that a job's live allocations hold.
func (s *Snapshot) JobGPUs(id JobID) []GPU {
	return filter(s.GPUs, func(g *GPU) bool { return g.Holder != nil && g.Holder.Job == id })
}

// Source returns the status of a source by name; nil when it never reported. Of
// several clusters it is the first one's: ask the member that is meant.
func (s *Snapshot) Source(name string) *SourceStatus {
	return among(s, func(s *Snapshot) *SourceStatus {
		i, found := slices.BinarySearchFunc(s.Sources, name, func(src SourceStatus, name string) int { return cmp.Compare(src.Name, name) })
		if !found {
			return nil
		}
		return &s.Sources[i]
	})
}

func filter[V any](rows []V, keep func(*V) bool) []V {
	var out []V
	for i := range rows {
		if keep(&rows[i]) {
			out = append(out, rows[i])
		}
	}
	return out
}
