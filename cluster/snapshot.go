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

// GPU is one device joined to its node, its latest sample and what holds it. A
// fleet has thousands, and a snapshot a row of each: what many of them have in
// common is in memory once. What the embedded pointers lead to is never changed,
// and in a Snapshot none of them is nil.
type GPU struct {
	*Host
	*gpu.Device
	*Reading
	Sample *gpu.Sample // nil until a source reported
	Holder *Holder     // nil when no live allocation holds it
	Claims bool        // it is known which allocations there are, so no Holder means that nobody holds it

	// Schedulable is what Nomad was told: whether it places work on the device.
	// Known is false where the node never offered it.
	Known, Schedulable bool
	// Split says that the device is cut into MIG instances, which have rows of
	// their own: they are what is held and free, and it is neither.
	Split   bool
	Health  gpu.Health
	History *History
	Events  []GPUEvent // oldest first

	behind time.Duration // by how much its node's clock is behind ours, as far as is known
}

// Host is what the GPUs of one node have in common.
type Host struct {
	Place
	Node     NodeID
	NodeName string
	Pool     string // the node's pool
	NodeUp   bool
	NodeOpen bool // the node takes new work
	Alone    bool // the node has no scheduler: nobody holds or offers its GPUs
}

// Reading is what the samples have in common that came together.
type Reading struct {
	Heard  time.Time // when they came, by our clock; zero before any did
	Source string    // which source they came from: "agent", "nomad"
	Driver string
	CUDA   string
	Lacks  []string // functions that the driver's library does not have: what they tell is unknown
}

// GPUStates are the words of GPU.State, what is wrong first.
func GPUStates() []string {
	return []string{"failed", "down", "degraded", "watch", "rogue", "idle", "closed", "held", "split", "in use", "free", "unknown"}
}

// State is the one word for a GPU: a verdict that is not good, degraded or watch,
// before its Standing, unless that is worse.
func (g *GPU) State() string {
	v := g.Health.Verdict
	if g.NodeUp && !g.Failed() && (v == gpu.VerdictDegraded || v == gpu.VerdictWatch) {
		return string(v)
	}
	return g.Standing()
}

// Standing is what the scheduler does with a GPU: down (its node is), failed,
// split (into MIG instances), rogue, idle, held, free, closed (nobody holds it,
// and nobody can be given it) or unknown, while it is not known who holds what.
// On a machine alone it is in use or free, by what runs on it.
func (g *GPU) Standing() string {
	switch {
	case !g.NodeUp:
		return "down"
	case g.Failed():
		return "failed"
	case g.Split:
		return "split"
	case g.Alone:
		return g.use()
	case g.Rogue():
		return "rogue"
	case g.Idle():
		return "idle"
	case g.Holder != nil:
		return "held"
	case !g.Claims:
		return "unknown"
	case g.Free():
		return "free"
	}
	return "closed"
}

// use is what runs on a device that no scheduler gives away.
func (g *GPU) use() string {
	switch u := g.Util(); {
	case g.Sample != nil && len(g.Sample.Processes) > 0:
		return "in use"
	case u == nil:
		return "unknown"
	case *u >= busyPercent:
		return "in use"
	}
	return "free"
}

// Free reports a device that the scheduler can place work on now: nobody holds
// it, it is well, and its node offers it and takes new work.
func (g *GPU) Free() bool {
	return g.Holder == nil && g.Claims && g.Known && g.NodeUp && g.NodeOpen && !g.Split && !g.Failed()
}

// Failed reports a device that must not be given work.
func (g *GPU) Failed() bool {
	return g.Health.Verdict == gpu.VerdictFailed || g.Known && !g.Schedulable
}

// Util is the utilisation in percent, nil when nobody reports it.
func (g *GPU) Util() *float64 {
	if g.Sample == nil {
		return nil
	}
	return g.Sample.UtilPercent
}

// Processes are those with a context on the device; known is false where the
// source of the sample does not tell of them.
func (g *GPU) Processes() (list []gpu.Process, known bool) {
	if g.Sample == nil || rank(g.Source) <= rank("nomad") {
		return nil, false
	}
	return g.Sample.Processes, true
}

// AsOf is when the sample was taken, by our clock; zero when there is none. A
// node whose clock is ahead dates it into the future: it is not younger than
// when it came, or what stands still would look live for as long as the clock
// is ahead.
func (g *GPU) AsOf() time.Time {
	if g.Sample == nil {
		return time.Time{}
	}
	at := g.Sample.At.Add(g.behind)
	if !g.Heard.IsZero() && g.Heard.Before(at) {
		return g.Heard
	}
	return at
}

// Live is the sample if it tells of the given time: nil where the node is down,
// nothing was read, or nothing new came for longer than its source takes. What
// is added up is added up from these; the others are history.
func (g *GPU) Live(at time.Time) *gpu.Sample {
	if !g.NodeUp || g.Sample == nil || at.Sub(g.AsOf()) > freshFor(g.Source) {
		return nil
	}
	return g.Sample
}

// Stale reports that its numbers are history. A GPU that was never read has
// none, and is stale only where its node is down.
func (g *GPU) Stale(at time.Time) bool {
	return !g.NodeUp || g.Sample != nil && g.Live(at) == nil
}

// Idle means held, but no work was seen for idleAfter.
func (g *GPU) Idle() bool {
	since := g.QuietSince()
	return !since.IsZero() && g.Sample.At.Sub(since) >= idleAfter
}

// QuietSince is since when the GPU is held and no work was seen on it, as far
// as was watched; zero when it works or nobody holds it.
func (g *GPU) QuietSince() time.Time {
	if g.Holder == nil || g.History == nil || g.Sample == nil || g.History.quietSince.IsZero() {
		return time.Time{}
	}
	if g.Holder.Since.After(g.History.quietSince) {
		return g.Holder.Since // before, it was free
	}
	return g.History.quietSince
}

// Rogue means that somebody uses a GPU that the scheduler gave to nobody.
func (g *GPU) Rogue() bool {
	since := g.TakenSince()
	return !since.IsZero() && g.Sample.At.Sub(since) >= rogueAfter
}

// TakenSince is since when somebody works on the GPU though nobody holds it, as
// far as was watched; zero otherwise.
func (g *GPU) TakenSince() time.Time {
	if g.Holder != nil || !g.Claims || !g.Known || g.Sample == nil || len(g.Sample.Processes) == 0 || g.History == nil {
		return time.Time{}
	}
	return g.History.busySince
}

// How long a reading must hold before it is called idle or rogue: a job that
// starts or a process that is just ending must not raise an alarm.
const (
	idleAfter  = 5 * time.Minute
	rogueAfter = 20 * time.Second
)

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
