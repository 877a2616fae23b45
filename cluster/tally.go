package cluster

import (
	"cmp"
	"slices"
)

// PoolTally is a node pool with what its nodes and jobs add up to.
type PoolTally struct {
	NodePool
	Nodes, Open              int // nodes; those that take new work
	GPUs, Held, Free, Failed int // held and failed may overlap
	Jobs, Waiting            int
}

// everyNode is Nomad's pool that all nodes are in, beside their own.
const everyNode = "all"

// TallyPools adds nodes, GPUs and jobs up by pool, in the order of Pools. Pools
// that may not be read are known by the nodes that say that they are in them.
func (s *Snapshot) TallyPools() []PoolTally { return rowsOfAll(s, tallyPools) }

func tallyPools(s *Snapshot) []PoolTally {
	out := make([]PoolTally, len(s.Pools), len(s.Pools)+4)
	at := map[string]int{}
	for i := range s.Pools {
		out[i].NodePool, at[s.Pools[i].Name] = s.Pools[i], i
	}
	find := func(name string) *PoolTally {
		i, ok := at[name]
		if !ok {
			i, at[name] = len(out), len(out)
			out = append(out, PoolTally{NodePool: NodePool{Place: s.Place, Name: name}})
		}
		return &out[i]
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		find(n.Pool).addNode(s, n)
		if _, ok := at[everyNode]; ok {
			find(everyNode).addNode(s, n)
		}
	}
	for i := range s.Jobs {
		if j := &s.Jobs[i]; j.Pool != "" && !j.Stopped && j.Status != "dead" {
			p := find(j.Pool)
			p.Jobs++
			if j.Waiting != nil {
				p.Waiting++
			}
		}
	}
	return out
}

func (p *PoolTally) addNode(s *Snapshot, n *Node) {
	p.Nodes++
	if n.Open() {
		p.Open++
	}
	gpus := s.NodeGPUs(n.ID)
	for i := range gpus {
		g := &gpus[i]
		if g.Split {
			continue // its instances are what is held and free
		}
		p.GPUs++
		switch {
		case g.Holder != nil:
			p.Held++
		case g.Free():
			p.Free++
		}
		if g.Failed() {
			p.Failed++
		}
	}
}

// NamespaceTally is a namespace with what its jobs are and use.
type NamespaceTally struct {
	Usage
	*Namespace                 // nil where it may not be read
	Jobs, Running, Waiting int // jobs that are not over; allocations that run; jobs that wait
}

// TallyNamespaces are the namespaces that can be read, and those of which a job
// is known or was, in order of their names.
func (s *Snapshot) TallyNamespaces() []NamespaceTally { return rowsOfAll(s, tallyNamespaces) }

func tallyNamespaces(s *Snapshot) []NamespaceTally {
	rows := map[string]*NamespaceTally{}
	row := func(name string) *NamespaceTally {
		if rows[name] == nil {
			rows[name] = &NamespaceTally{Usage: Usage{Place: s.Place, Job: JobID{Namespace: name, Of: s.of}}}
		}
		return rows[name]
	}
	for i := range s.Namespaces {
		row(s.Namespaces[i].Name).Namespace = &s.Namespaces[i]
	}
	for _, u := range namespaceUsage(s) {
		row(u.Job.Namespace).Usage = u
	}
	for i := range s.Jobs {
		j := &s.Jobs[i]
		if j.Stopped || j.Status == "dead" {
			continue
		}
		r := row(j.ID.Namespace)
		r.Jobs++
		r.Running += j.Running
		if j.Waiting != nil {
			r.Waiting++
		}
	}
	out := make([]NamespaceTally, 0, len(rows))
	for _, r := range rows {
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b NamespaceTally) int { return cmp.Compare(a.Job.Namespace, b.Job.Namespace) })
	return out
}

// ServiceJob is the job whose allocation registered a service.
func (s *Snapshot) ServiceJob(v *Service) JobID {
	return JobID{Namespace: v.Namespace, Name: v.Job, Of: s.Of(v.Place).of}
}

// Totals adds the groups of a deployment up; promoted is nil where there is no canary.
func (d *Deployment) Totals() (sum DeploymentGroup, promoted *bool) {
	for _, g := range d.Groups {
		sum.Desired += g.Desired
		sum.Placed += g.Placed
		sum.Healthy += g.Healthy
		sum.Unhealthy += g.Unhealthy
		sum.Canaries += g.Canaries
		if g.Canaries > 0 {
			all := (promoted == nil || *promoted) && g.Promoted
			promoted = &all
		}
	}
	return sum, promoted
}
