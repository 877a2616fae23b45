package explain

import (
	"slices"
	"strconv"

	"stoker/cluster"
)

// ask is one allocation that looks for a node.
type ask struct {
	job   *cluster.Job
	group *cluster.Group
	once  bool // on each node
	// own are the job's constraints, rest those of the group and its tasks:
	// Nomad looks at the drivers between them.
	own, rest []cluster.Constraint
	hosts     reach
	property  []property
	quota     []string // limits that Nomad says were hit
}

// reach is how far apart allocations have to be.
type reach int

const (
	together  reach = iota
	groupwise       // not two of the group on one node
	jobwise         // not two of the job
)

// property is one value that only so many allocations may share.
type property struct {
	target  string
	most    int
	bad     bool // its number is none: no node will do
	unknown bool // of a node where an allocation is
	used    map[string]int
}

func (w *world) ask(j *cluster.Job, g *cluster.Group, quota []string) *ask {
	a := &ask{job: j, group: g, quota: quota, once: j.Type == "system" || j.Type == "sysbatch"}
	for _, c := range g.Constraints {
		own := slices.Contains(j.Constraints, c)
		switch {
		case c.Operator == distinctHosts && own && wanted(c):
			a.hosts = jobwise
		case c.Operator == distinctHosts && wanted(c):
			a.hosts = max(a.hosts, groupwise)
		case c.Operator == distinctHosts:
		case c.Operator == distinctProperty:
			a.property = append(a.property, w.property(j, g, c, own))
		case own:
			a.own = append(a.own, c)
		default:
			a.rest = append(a.rest, c)
		}
	}
	return a
}

// wanted: distinct_hosts can be said to be false.
func wanted(c cluster.Constraint) bool {
	on, err := strconv.ParseBool(c.Right)
	return c.Right == "" || err != nil || on
}

// property counts which values the allocations of the job, or of the group, have.
func (w *world) property(j *cluster.Job, g *cluster.Group, c cluster.Constraint, own bool) property {
	p := property{target: c.Left, most: 1, used: map[string]int{}}
	if c.Right != "" {
		n, err := strconv.ParseUint(c.Right, 10, 32)
		p.most, p.bad = int(n), err != nil
	}
	for i := range w.hosts {
		h := &w.hosts[i]
		for _, a := range h.allocs {
			if a.Job != j.ID || !own && a.Group != g.Name || !a.Stays() {
				continue
			}
			v, known := target(p.target, h.Node)
			p.unknown = p.unknown || !known
			if v.found {
				p.used[v.text]++
			}
		}
	}
	return p
}

// alloc is what the ask becomes on a node.
func (a *ask) alloc(on *host, where placed) *cluster.Alloc {
	out := &cluster.Alloc{
		Job: a.job.ID, Group: a.group.Name, Node: on.ID, Desired: "run", Client: "pending", GPUs: where,
		CPUMHz: a.group.CPUMHz, MemoryMB: a.group.MemoryMB, DiskMB: a.group.DiskMB,
	}
	for _, p := range a.group.Ports {
		out.Ports = append(out.Ports, cluster.Port{Port: p, Host: on.freeAddress(p)})
	}
	return out
}
