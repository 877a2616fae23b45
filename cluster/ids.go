package cluster

import (
	"cmp"
	"strconv"
	"strings"
)

// Place says where a row lives: the context's name and Nomad's region. It is
// part of every row's identity, so that rows of several clusters can share a table.
type Place struct {
	Cluster string
	Region  string
}

// The IDs are Nomad's own, typed so that one cannot pass for another.
type (
	NodeID       string
	AllocID      string
	DeploymentID string
	EvalID       string
	ServiceID    string
)

// Compare orders by cluster, then region.
func (p Place) Compare(o Place) int {
	return cmp.Or(cmp.Compare(p.Cluster, o.Cluster), cmp.Compare(p.Region, o.Region))
}

// JobID is a job's identity: job names are unique per namespace only.
type JobID struct {
	Namespace string
	Name      string
	// Of is the cluster whose job it is, and zero in the snapshot of one
	// cluster: only where several share a table must their jobs be told apart.
	Of Place
}

// String is "namespace/name".
func (id JobID) String() string { return id.Namespace + "/" + id.Name }

// Compare orders by cluster, then namespace, then name.
func (id JobID) Compare(o JobID) int {
	if id.Of != o.Of {
		return id.Of.Compare(o.Of)
	}
	return cmp.Or(cmp.Compare(id.Namespace, o.Namespace), cmp.Compare(id.Name, o.Name))
}

// Short is the first eight characters, as Nomad's own tools print an ID.
func (id AllocID) Short() string { return short(string(id)) }

// Short is the first eight characters, as Nomad's own tools print an ID.
func (id NodeID) Short() string { return short(string(id)) }

// Short is the first eight characters, as Nomad's own tools print an ID.
func (id EvalID) Short() string { return short(string(id)) }

// Short is the first eight characters, as Nomad's own tools print an ID.
func (id DeploymentID) Short() string { return short(string(id)) }

func short(id string) string {
	if len(id) > 8 {
		return id[:8]
	}
	return id
}

// SplitName takes the index off the name of an allocation: "web.api[10]" is "web.api["
// and 10. What has none is all name, and its index is -1.
func SplitName(name string) (base string, index int) {
	if at := strings.LastIndexByte(name, '[') + 1; at > 0 && strings.HasSuffix(name, "]") {
		if n, err := strconv.Atoi(name[at : len(name)-1]); err == nil {
			return name[:at], n
		}
	}
	return name, -1
}

// CompareNames orders names of allocations: [2] stands before [10].
func CompareNames(a, b string) int {
	base, n := SplitName(a)
	other, m := SplitName(b)
	return cmp.Or(cmp.Compare(base, other), cmp.Compare(n, m), cmp.Compare(a, b))
}
