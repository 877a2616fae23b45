package explain

import (
	"time"

	"stoker/cluster"
	"stoker/gpu"
)

// Explanation says why a job waits, or what it does instead of waiting.
type Explanation struct {
	cluster.Place
	Job  cluster.JobID
	AsOf time.Time
	// Waits says that allocations of the job have no node. Then Groups holds the
	// task groups that they are of.
	Waits   bool
	Since   time.Time // zero where it is not known
	Summary string    // one sentence
	Notes   []string  // what else one has to know of it, a sentence each
	Groups  []Group
}

// Group is a task group that has allocations without a node.
type Group struct {
	Name    string
	Asks    string // what one allocation wants, in words
	Count   int    // allocations that the job asks for; 0 for one on each node
	Live    int    // of these, those that a node has
	Missing int    // allocations without a node

	Nodes    []Node    // nearest to fitting first
	Verdicts []Verdict // the same, equal ones together
	Fitting  int       // nodes that would take one now
	Changes  []Change  // that would let it run, the smallest first
	Check    Check
	// Unchecked names what the group asks for and nobody compared here.
	Unchecked []string
}

// Node is one node with all that keeps an allocation of the group away from it.
type Node struct {
	ID   cluster.NodeID
	Name string
	// Reasons are in the order in which Nomad looks; the first is the one that
	// Nomad tells. Empty means that an allocation fits.
	Reasons []Reason
	Room    int // allocations of the group that it could take now, at most Missing
}

// First is what keeps an allocation away first.
func (n *Node) First() Kind {
	if len(n.Reasons) == 0 {
		return Fits
	}
	return n.Reasons[0].Kind
}

// Verdict is what several nodes have in common.
type Verdict struct {
	Key   string // stays the same while amounts change
	Kind  Kind
	Text  string
	Nodes []int // rows of Group.Nodes
}

// Kind is one way in which a node can be in the way.
type Kind string

// The kinds, in the order in which Nomad looks.
const (
	Fits Kind = "fits"
	Has  Kind = "has it" // a job that runs once on each node has this one already

	Pool       Kind = "pool"
	Datacenter Kind = "datacenter"
	Down       Kind = "down"
	Draining   Kind = "draining"
	Ineligible Kind = "ineligible"

	Constraint       Kind = "constraint"
	Driver           Kind = "driver"
	Devices          Kind = "devices" // what it has, held or not, is not what is asked for
	Volume           Kind = "volume"
	DistinctHosts    Kind = "distinct hosts"
	DistinctProperty Kind = "distinct property"
	Unread           Kind = "unread" // it depends on what was not read of the node yet
	Quota            Kind = "quota"

	Port   Kind = "port"
	GPUs   Kind = "gpus" // not enough of them are free
	CPU    Kind = "cpu"
	Memory Kind = "memory"
	Disk   Kind = "disk"
)

// Considered reports whether Nomad looks at a node that is kept away by this.
func (k Kind) Considered() bool {
	switch k {
	case Pool, Datacenter, Down, Draining, Ineligible, Has:
		return false
	}
	return true
}

// Exhausted reports what passes with time: the node has what is asked for, and
// others hold it.
func (k Kind) Exhausted() bool {
	switch k {
	case Port, GPUs, CPU, Memory, Disk:
		return true
	}
	return false
}

// Reason is one thing that keeps an allocation away from a node.
type Reason struct {
	Kind Kind
	// What it is about: the constraint, the drivers, the model of the GPUs, the
	// volumes, the property, the port.
	What string
	// Value is what the node has instead: the value of the attribute, its models.
	Value string
	Unmet string // the constraint that its devices do not meet
	// Want, Free and Total count GPUs or ports, MHz for CPU, MB for memory and
	// disk. Failed counts GPUs that Nomad was told not to use.
	Want, Free, Total, Failed int
	Sick                      []gpu.UUID // the failed ones
	Holders                   []Holder   // who has the rest, the most first
}

// Holder is a job with allocations on a node that hold what is wanted.
type Holder struct {
	Job    cluster.JobID
	Allocs []cluster.AllocID
	Amount int // GPUs, MHz or MB
	Batch  bool
	Since  time.Time // when the first of them was placed
}
