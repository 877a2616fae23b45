package fleet

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"stoker/cluster"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// grouping says what the cells of the map are put together by.
type grouping int

const (
	byNode grouping = iota
	byCluster
	byPool
	byRack
	byClass
	byModel
	byJob
	bySpace
	groupings
)

func (b grouping) String() string {
	return [...]string{"node", "cluster", "pool", "rack", "class", "model", "job", "namespace"}[b]
}

// perNode says that all GPUs of a node are in the same group.
func (b grouping) perNode() bool { return b <= byClass }

// rackMeta is the name of the meta value that says in which rack a node stands.
const rackMeta = "rack"

// known says whether anything tells the groups apart: a fleet of which nobody
// said where its nodes stand is not grouped by racks.
func (b grouping) known(s *cluster.Snapshot) bool {
	switch b {
	case byCluster:
		return s.Members != nil
	case byRack, byClass:
	default:
		return true
	}
	for i := range s.Nodes {
		if b.ofNode(&s.Nodes[i]) != "" {
			return true
		}
	}
	return false
}

func (b grouping) ofNode(n *cluster.Node) string {
	switch b {
	case byCluster:
		return n.Place.Cluster + "/" + n.Place.Region
	case byPool:
		return n.Pool
	case byRack:
		rack, _ := n.Meta(rackMeta)
		return rack
	}
	return n.Class
}

// group is some GPUs under a name.
type group struct {
	name string // as it is, to know it again
	text string // as it is drawn
	gpus []int32
	// starts are the positions in gpus at which another node begins.
	starts    []int32
	last      cluster.NodeID
	bad, warn int // failed and down; rogue, idle and degraded
	held      int
	util      float64 // sum over those that report
	reporting int
}

func (g *group) add(i int32, d *cluster.GPU, f *fact) {
	if len(g.gpus) == 0 || d.Node != g.last {
		g.starts, g.last = append(g.starts, int32(len(g.gpus))), d.Node
	}
	g.gpus = append(g.gpus, i)
	switch f.condition {
	case failed, down:
		g.bad++
	case rogue, idle, degraded:
		g.warn++
	}
	if d.Holder != nil {
		g.held++
	}
	if !math.IsNaN(f.util) && !f.old {
		g.util += f.util
		g.reporting++
	}
}

// mean is the utilisation in percent; nil when nobody reports any.
func (g *group) mean() *float64 {
	if g.reporting == 0 {
		return nil
	}
	m := g.util / float64(g.reporting)
	return &m
}

// node is the part of gpus that is on the n-th node.
func (g *group) node(n int) []int32 { return g.nodes(n, n+1) }

// nodes are the GPUs of nodes from to to.
func (g *group) nodes(from, to int) []int32 {
	end := int32(len(g.gpus))
	if to < len(g.starts) {
		end = g.starts[to]
	}
	return g.gpus[g.starts[from]:end]
}

// gather puts the GPUs into groups, in the order in which they are met: about as
// many as it is told.
func gather(s *cluster.Snapshot, facts []fact, by grouping, only *string, about int, keep func(group string, g *cluster.GPU) bool) []group {
	out, at := make([]group, 0, about), make(map[string]int, about)
	for i := 0; i < len(s.GPUs); {
		end := i + 1
		for end < len(s.GPUs) && s.GPUs[end].Node == s.GPUs[i].Node {
			end++
		}
		node := s.Node(s.GPUs[i].Node)
		name, n := "", -1
		for k := i; k < end; k++ {
			d := &s.GPUs[k]
			if d.Split {
				continue // its parts are what is held
			}
			if is := nameOf(by, node, d); n < 0 || is != name {
				name = is
				known := false
				if n, known = at[name]; !known {
					n = len(out)
					at[name] = n
					out = append(out, group{name: name, gpus: make([]int32, 0, end-i)})
				}
			}
			if only != nil && name != *only || !keep(name, d) {
				continue
			}
			out[n].add(int32(k), d, &facts[k])
		}
		i = end
	}
	out = slices.DeleteFunc(out, func(g group) bool { return len(g.gpus) == 0 })
	for i := range out {
		d := &s.GPUs[out[i].gpus[0]]
		out[i].text = textOf(by, out[i].name, d)
		switch {
		case by == byCluster:
			out[i].text = ui.Clean(s.Label(d.Place))
		case by == byJob && s.Members != nil && d.Holder != nil:
			out[i].text = ui.Clean(d.Holder.Job.String() + " in " + s.Label(d.Place))
		}
	}
	return out
}

// nameOf is the name of the group that a GPU is in: for a node its ID, since
// nodes of two clusters may have one name.
func nameOf(by grouping, n *cluster.Node, d *cluster.GPU) string {
	switch {
	case by == byNode:
		return string(d.Node)
	case by.perNode() && n != nil:
		return by.ofNode(n)
	case by == byModel:
		return d.Model
	case by == byJob && d.Holder != nil:
		id := d.Holder.Job
		return id.String() + strings.TrimSuffix(" "+id.Of.Cluster+"/"+id.Of.Region, " /")
	case by == bySpace && d.Holder != nil:
		return d.Holder.Job.Namespace
	}
	return ""
}

// textOf is a group's name as people read it; d is one of its GPUs.
func textOf(by grouping, name string, d *cluster.GPU) string {
	switch {
	case by == byNode:
		return ui.Clean(d.NodeName)
	case name != "" && by == byModel:
		return screen.ShortModel(name)
	case name != "":
		return ui.Clean(name)
	case by != byJob && by != bySpace:
		return "no " + by.String()
	case !d.Claims:
		return ui.None
	}
	return "nobody"
}

// order puts the worst group first. A map that moved with every small change
// could not be read, so groups that were there keep their places until one of
// them fails or is put right, or others come.
func order(groups []group, before map[string]place) []group {
	same := len(before) == len(groups)
	for i := range groups {
		p, ok := before[groups[i].name]
		same = same && ok && p.bad == groups[i].bad
	}
	slices.SortStableFunc(groups, func(a, b group) int {
		if same {
			return cmp.Compare(before[a.name].at, before[b.name].at)
		}
		return cmp.Or(cmp.Compare(b.bad, a.bad), cmp.Compare(b.warn, a.warn), cmp.Compare(a.text, b.text), cmp.Compare(a.name, b.name))
	})
	return groups
}

// place is where a group stood, and how many of its GPUs were bad then.
type place struct{ at, bad int }

func places(groups []group) map[string]place {
	out := make(map[string]place, len(groups))
	for i := range groups {
		out[groups[i].name] = place{i, groups[i].bad}
	}
	return out
}
