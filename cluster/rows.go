package cluster

import (
	"cmp"
	"math"
	"strings"
	"time"

	"stoker/gpu"
)

// NodeStatus is Nomad's word for a client's state.
type NodeStatus string

// Nomad's node statuses.
const (
	NodeReady        NodeStatus = "ready"
	NodeDown         NodeStatus = "down"
	NodeInitialising NodeStatus = "initializing"
	NodeDisconnected NodeStatus = "disconnected"
)

// Node is one Nomad client.
type Node struct {
	Place
	ID         NodeID
	Name       string
	Pool       string
	Datacenter string
	Class      string
	Address    string // host name or IP, as the client advertises it
	Version    string
	Status     NodeStatus
	StatusText string
	Eligible   bool
	Draining   bool
	Alone      bool // no scheduler knows it: its GPUs are neither held nor offered
	// CPUMHz, MemoryMB and DiskMB are what the node has for allocations: its
	// resources less what is reserved.
	CPUMHz, MemoryMB, DiskMB int
	ReservedPorts            string       // that no allocation may have, such as "22,8000-8100"
	PortAddresses            []string     // on each of which an allocation may have a port of its own
	Drivers                  []string     // task drivers that are found and healthy, sorted
	Devices                  []NodeDevice // the GPUs that the node offers to the scheduler
	Models                   []NodeModel  // of these devices
	ModifyIndex              uint64

	// Detail is what a list of nodes does not tell; nil until it was read.
	Detail *NodeDetail
}

// NodeDetail is what only the whole of a node tells. It is shared between
// snapshots and never changed.
type NodeDetail struct {
	Meta, Attributes map[string]string // by the names that constraints use, such as "kernel.name"
	Volumes          []string          // names of host volumes, sorted
	ModifyIndex      uint64            // of the node, as it was read
}

// Meta is one value that the operator gave the node, such as its rack; known is
// false until the whole node was read.
func (n *Node) Meta(key string) (value string, known bool) {
	if n.Detail == nil {
		return "", false
	}
	return n.Detail.Meta[key], true
}

// NodeStates are the words of Node.State.
func NodeStates() []string {
	return []string{"down", "disconnected", "draining", "ineligible", "starting", "ready", "unknown"}
}

// State is the one word for a node: how it is or, where that is well, what keeps
// work away from it.
func (n *Node) State() string {
	switch {
	case n.Status == NodeDown || n.Status == NodeDisconnected:
		return string(n.Status)
	case n.Draining:
		return "draining"
	case n.Status == NodeInitialising:
		return "starting"
	case !n.Eligible:
		return "ineligible"
	}
	return cmp.Or(string(n.Status), "unknown")
}

// Open reports whether the scheduler may place new work on the node.
func (n *Node) Open() bool { return n.Status == NodeReady && n.Eligible && !n.Draining }

// NodeDevice is one GPU as the scheduler sees it.
type NodeDevice struct {
	UUID       gpu.UUID
	Vendor     string
	Model      string
	PCI        string
	Healthy    bool
	HealthText string
}

// NodeModel is what all devices of one model on a node have in common.
type NodeModel struct {
	Vendor, Name string
	Attributes   map[string]DeviceAttribute // what constraints on devices see, by name
}

// DeviceAttribute is one property of a device, such as "81559 MiB".
type DeviceAttribute struct {
	Value string
	Text  bool // it is a text, even if it looks like a number
}

// Job is one job as observed. Groups is nil until its specification was read.
type Job struct {
	Place
	ID            JobID
	Type          string // service, batch, system, sysbatch
	Status        string // pending, running, dead
	Stopped       bool   // stopped by someone, as against finished
	Priority      int
	Version       uint64
	Parent        string // of a dispatched or periodic child
	Submitted     time.Time
	Pool          string       // the node pool that it is to run in
	Datacenters   []string     // patterns of those that it may run in
	Constraints   []Constraint // its own: each group has these as well
	Periodic      bool         // it starts a child at its times, and
	Parameterized bool         // it starts one when asked to: neither is placed itself
	Groups        []Group
	Kind          Kind   // meta stoker.kind
	Model         string // meta stoker.model
	ModelVer      string // meta stoker.version
	ModifyIndex   uint64

	// Joined by the Feed from allocations and evaluations.
	Running, Starting, Failed, Lost int
	GPUsHeld                        int
	// Waiting is set while the scheduler could not place all of the job.
	Waiting *Waiting
}

// Kind is what a job does for a model: the meta value stoker.kind.
type Kind string

// The kinds that stoker knows.
const (
	KindInference Kind = "inference"
	KindTraining  Kind = "training"
	KindGateway   Kind = "gateway" // in front of models; nothing here treats it otherwise yet
)

// Desired is the number of allocations that the job asks for.
func (j *Job) Desired() int {
	n := 0
	for _, g := range j.Groups {
		n += g.Count
	}
	return n
}

// Group is a task group as specified: what one allocation of it needs.
type Group struct {
	Name  string
	Count int
	GPUs  []GPUAsk
	// Constraints are those of the job, the group and its tasks.
	Constraints []Constraint
	// CPUMHz, Cores and MemoryMB are the most that its tasks have at one time:
	// one that prepares is gone when the next one starts.
	CPUMHz   int // shares; Cores are beside them
	Cores    int // whole cores of its own
	MemoryMB int
	DiskMB   int
	Ports    []int    // static ones
	Drivers  []string // of its tasks, sorted
	Volumes  []string // host volumes, by the name that a node has
	// Beyond are other things that it asks for and that this program does not
	// compare with what nodes have, in words.
	Beyond []string
}

// Constraint is one condition on the node, or on the device of a GPUAsk.
type Constraint struct {
	Left, Operator, Right string // for example "${attr.kernel.name}", "=", "linux"
}

// String is how Nomad writes a constraint that kept nodes away.
func (c Constraint) String() string { return c.Left + " " + c.Operator + " " + c.Right }

// GPUAsk is one device block: Name is Nomad's selector, for example
// "nvidia/gpu/NVIDIA H100 80GB HBM3".
type GPUAsk struct {
	Task        string
	Name        string
	Count       int
	Constraints []Constraint // on the device
}

// Takes reports whether the ask can be met by a GPU of this model. Nomad's
// selector names the type, the vendor and the type, or all with the model.
func (a *GPUAsk) Takes(model string) bool {
	parts := strings.SplitN(a.Name, "/", 3)
	return len(parts) < 3 || parts[2] == model
}

// Waiting says why the scheduler left allocations unplaced, in its own counts.
type Waiting struct {
	Eval    EvalID
	Since   time.Time
	Groups  []PlacementFailure
	GPUs    int // GPUs that the unplaced allocations ask for
	Missing int // allocations not placed, over all groups
}

// PlacementFailure is Nomad's account of one task group that did not fit.
type PlacementFailure struct {
	Group     string
	Unplaced  int
	Evaluated int
	Filtered  int
	Exhausted int
	// InPool is the number of nodes in the job's pool and datacenters that take
	// work; Available are the same by datacenter.
	InPool    int
	Available map[string]int
	// Constraints and Dimensions count nodes by Nomad's own wording.
	Constraints map[string]int
	Dimensions  map[string]int
	Quota       []string // limits of the namespace that were hit
}

// UnknownVersion is the version of a job, or the JobVersion of an allocation,
// whose source does not tell it. The Feed replaces it by what it knows;
// snapshots never hold it.
const UnknownVersion = math.MaxUint64

// Alloc is one allocation.
type Alloc struct {
	Place
	ID         AllocID
	Name       string // job.group[index]
	Job        JobID
	JobVersion uint64
	Group      string
	Node       NodeID
	NodeName   string
	Eval       EvalID
	Deployment DeploymentID
	Desired    string // run, stop, evict
	Client     string // pending, running, complete, failed, lost, unknown
	ClientText string
	Healthy    *bool // by its deployment; nil is not yet known
	Created    time.Time
	Modified   time.Time
	Tasks      []Task
	GPUs       []gpu.UUID
	Ports      []Port
	// CPUMHz, MemoryMB and DiskMB are what it was given of its node: the most
	// that its tasks have at one time.
	CPUMHz, MemoryMB, DiskMB int
	ModifyIndex              uint64
}

// Terminal reports whether the allocation holds nothing any more.
func (a *Alloc) Terminal() bool {
	switch a.Client {
	case "complete", "failed", "lost":
		return true
	}
	return false
}

// Said is the latest that a task said, as "task: text". For an allocation that
// failed it is why: what a task said before it was given up, and not what the
// tasks that clean up after it say.
func (a *Alloc) Said() string {
	var last TaskEvent
	var task string
	for _, t := range a.Tasks {
		if a.Client == "failed" && !t.Failed {
			continue
		}
		for _, e := range t.Events {
			if e.Text != "" && !e.At.Before(last.At) && !(t.Failed && afterword(e.Type)) {
				last, task = e, t.Name
			}
		}
	}
	if task == "" {
		return ""
	}
	return task + ": " + last.Text
}

// afterword tells the events that only say that a failed task stays so.
func afterword(kind string) bool {
	switch kind {
	case "Not Restarting", "Alloc Unhealthy", "Killed", "Sibling Task Failed":
		return true
	}
	return false
}

// Stays reports an allocation that nobody wants to stop.
func (a *Alloc) Stays() bool { return a.Desired == "" || a.Desired == "run" }

// Port is one port that the allocation was given.
type Port struct {
	Label string
	Host  string
	Port  int
}

// Task is one task of an allocation as its node reports it.
type Task struct {
	Name     string
	State    string // pending, running, dead; empty until it is known, and then so is all below but GPUs
	Failed   bool
	Restarts int
	Started  time.Time
	Finished time.Time
	GPUs     []gpu.UUID
	Events   []TaskEvent
}

// TaskEvent is one line of a task's history.
type TaskEvent struct {
	At   time.Time
	Type string
	Text string
}

// Deployment is one rollout of a service job.
type Deployment struct {
	Place
	ID          DeploymentID
	Job         JobID
	JobVersion  uint64
	Created     time.Time // zero where the source does not tell
	Status      string    // running, successful, failed, cancelled, paused…
	StatusText  string
	Groups      []DeploymentGroup
	ModifyIndex uint64
}

// DeploymentGroup is the progress of one task group.
type DeploymentGroup struct {
	Name                                string
	Desired, Placed, Healthy, Unhealthy int
	Canaries                            int
	Promoted                            bool
}

// Evaluation is one decision of the scheduler.
type Evaluation struct {
	Place
	ID          EvalID
	Job         JobID
	Type        string // of the job: service, batch, system, sysbatch
	Priority    int
	Status      string // pending, blocked, complete, failed, canceled
	StatusText  string
	TriggeredBy string
	Node        NodeID       // that it is about, where one is
	Deployment  DeploymentID // that it belongs to, where one is
	Next, Prev  EvalID       // evaluations that follow it and that it follows
	Blocked     EvalID       // the one that waits for what this one could not place
	Created     time.Time
	Modified    time.Time
	WaitUntil   time.Time // before, nobody takes it up; zero for at once
	Failures    []PlacementFailure
	ModifyIndex uint64
}

// Service is one instance registered with Nomad's native service discovery.
type Service struct {
	Place
	ID          ServiceID
	Name        string
	Namespace   string
	Job         string
	Alloc       AllocID
	Node        NodeID
	Address     string
	Port        int
	Tags        []string
	ModifyIndex uint64
}
