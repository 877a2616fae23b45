package cluster

import "time"

// NodePool is a set of nodes that jobs choose among.
type NodePool struct {
	Place
	Name        string
	Description string
	Meta        map[string]string
	// Scheduler is the algorithm that places work in it, empty for that of the cluster.
	Scheduler   string
	ModifyIndex uint64
}

// Namespace is a set of jobs with rights of its own.
type Namespace struct {
	Place
	Name        string
	Description string
	Meta        map[string]string
	Quota       string // name of its quota, empty where it has none
	Pool        string // the node pool of jobs that name none
	ModifyIndex uint64
}

// VariableID is a variable's identity within a Place.
type VariableID struct{ Namespace, Path string }

// Variable is a Nomad variable by name: what it holds may be secret, and is
// never read for a snapshot.
type Variable struct {
	Place
	ID          VariableID
	Created     time.Time
	Modified    time.Time
	Locked      *bool // somebody holds its lock; nil where the token is not told
	ModifyIndex uint64
}
