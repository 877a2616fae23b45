package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"stoker/cluster"
)

// Job explains why a job waits. The error is a cluster.Fault: the snapshot has
// no such job.
func Job(s *cluster.Snapshot, id cluster.JobID) (*Explanation, error) {
	j := s.Job(id)
	if j == nil {
		return nil, &cluster.Fault{Kind: cluster.ErrNotFound, Text: "there is no job " + id.String(), Advice: "stoker get jobs lists them"}
	}
	s = s.Of(j.Place) // what other clusters have is nothing to it
	e := &Explanation{Place: j.Place, Job: id, AsOf: s.At}
	if !e.situation(s, j) {
		return e, nil
	}
	e.Waits = true
	known := s.Known&cluster.SetNodes != 0 && s.Claims()
	if !known {
		e.Notes = append(e.Notes, "which nodes there are or what runs on them may not be read: only Nomad's own counts are known")
	} else if len(s.Nodes) == 0 {
		e.Notes = append(e.Notes, "the cluster has no nodes")
	}
	account := accountOf(s, id)
	var w *world
	for i := range j.Groups {
		spec := &j.Groups[i]
		g := Group{Name: spec.Name, Asks: asks(spec), Unchecked: spec.Beyond}
		g.tally(s, j, spec, account)
		if g.Missing == 0 {
			continue
		}
		failure := account.of(spec.Name)
		if known {
			if w == nil {
				w = newWorld(s, j.Place)
			}
			g.explain(w, j, spec, failure)
		}
		g.Check = compare(s, j, &g, account, failure, known)
		e.Groups = append(e.Groups, g)
	}
	if len(j.Groups) == 0 {
		e.Notes = append(e.Notes, "what it asks for has not been read yet")
	}
	return e, nil
}

// tally says how many allocations of the group there are and how many have no node.
func (g *Group) tally(s *cluster.Snapshot, j *cluster.Job, spec *cluster.Group, account *account) {
	done := 0
	for _, a := range s.JobAllocs(j.ID) {
		switch {
		case a.Group != spec.Name || !a.Stays():
		case !a.Terminal():
			g.Live++
		case j.Type == "batch" && a.Client == "complete" && a.JobVersion == j.Version:
			done++
		}
	}
	if j.Type == "system" || j.Type == "sysbatch" {
		if f := account.of(spec.Name); f != nil {
			g.Missing = f.Unplaced
		}
		return
	}
	g.Count = spec.Count
	g.Missing = max(spec.Count-g.Live-done, 0)
	if f := account.of(spec.Name); f != nil { // a new version has no place, too, while the old one lives
		g.Missing = max(f.Unplaced, 1)
	} else if account != nil {
		g.Missing = 0 // Nomad could place these
	}
}

// explain judges all nodes.
func (g *Group) explain(w *world, j *cluster.Job, spec *cluster.Group, failure *cluster.PlacementFailure) {
	var quota []string
	if failure != nil {
		quota = failure.Quota
	}
	a := w.ask(j, spec, quota)
	g.Nodes = make([]Node, len(w.hosts))
	order := make([]int, len(w.hosts))
	far := make([]int, len(w.hosts))
	room := 0
	for i := range w.hosts {
		h := &w.hosts[i]
		reasons, where := w.judge(h, a)
		n := Node{ID: h.ID, Name: h.Name, Reasons: reasons}
		if len(reasons) == 0 {
			g.Fitting++
			n.Room = w.room(h, a, where, g.Missing-room)
			room += n.Room
		}
		g.Nodes[i], order[i], far[i] = n, i, distance(reasons)
	}
	slices.SortStableFunc(order, func(x, y int) int {
		return cmp.Or(cmp.Compare(far[x], far[y]), cmp.Compare(g.Nodes[x].Name, g.Nodes[y].Name))
	})
	sorted := make([]Node, len(order))
	for to, from := range order {
		sorted[to] = g.Nodes[from]
	}
	g.Nodes = sorted
	g.Verdicts = verdicts(g.Nodes)
	g.Changes = w.changes(g, a, order)
}

// room is how many allocations fit on a node on which one does.
func (w *world) room(h *host, a *ask, where placed, most int) int {
	n := 0
	next := *h
	for n < most {
		n++
		if a.once || a.hosts != together || len(a.property) > 0 || n == most {
			return n
		}
		next = next.with(a.alloc(&next, where))
		var reasons []Reason
		if reasons, where = w.judge(&next, a); len(reasons) > 0 {
			return n
		}
	}
	return n
}

// distance orders nodes by how much has to happen before one of them takes an
// allocation. It only orders: it has no unit.
func distance(reasons []Reason) int {
	sum := 0
	for i := range reasons {
		r := &reasons[i]
		switch r.Kind {
		case Ineligible:
			sum += 10
		case Draining:
			sum += 30
		case GPUs:
			sum += 50 + 5*(r.Want-r.Free)
		case CPU, Memory, Disk:
			sum += 60
			if r.Total < r.Want {
				sum += 200
			}
		case Port:
			sum += 70
		case Unread:
			sum += 80
		case DistinctHosts, DistinctProperty:
			sum += 150
		case Devices:
			sum += 200
			if r.Failed > 0 && r.Free+r.Failed >= r.Want {
				sum -= 130
			}
		case Down:
			sum += 250
		case Driver, Volume:
			sum += 300
		case Constraint:
			sum += 310
		case Datacenter:
			sum += 500
		case Pool:
			sum += 600
		case Quota:
			sum += 20
		case Has:
			sum += 1000
		}
	}
	return sum
}

// verdicts puts nodes with equal verdicts together, in their order.
func verdicts(nodes []Node) []Verdict {
	var out []Verdict
	at := map[string]int{}
	for i := range nodes {
		key := nodes[i].key()
		k, seen := at[key]
		if !seen {
			k = len(out)
			at[key] = k
			out = append(out, Verdict{Key: key, Kind: nodes[i].First()})
		}
		out[k].Nodes = append(out[k].Nodes, i)
	}
	for i := range out {
		out[i].Text = out[i].text(nodes)
	}
	return out
}

// shown are the reasons that a verdict tells: the first where the node is none
// for the job, and all where it is full. That one is closed matters less if it
// is full as well.
func (n *Node) shown() []Reason {
	switch k := n.First(); {
	case k == Fits:
		return nil
	case k.Exhausted():
		return n.Reasons
	case len(n.Reasons) > 1 && (k == Ineligible || k == Draining):
		return n.Reasons[:2]
	}
	return n.Reasons[:1]
}

func (n *Node) key() string {
	key := ""
	for _, r := range n.shown() {
		switch r.Kind {
		case CPU, Memory, Disk:
			key += fmt.Sprintf("%s %t;", r.Kind, r.Total < r.Want)
		case Constraint:
			key += fmt.Sprintf("%s %s %t;", r.Kind, r.What, r.Value == "")
		default:
			key += r.Text() + ";"
		}
	}
	if n.First() == Ineligible || n.First() == Draining {
		key += fmt.Sprint(len(n.Reasons) == 1)
	}
	return key
}

// text is what the nodes of a verdict have in common.
func (v *Verdict) text(nodes []Node) string {
	first := &nodes[v.Nodes[0]]
	shown := first.shown()
	if len(shown) == 0 {
		return "it fits here"
	}
	out := ""
	for i := range shown {
		if i > 0 {
			out += "; "
		}
		out += v.part(nodes, i)
	}
	if k := first.First(); (k == Ineligible || k == Draining) && len(first.Reasons) == 1 {
		out += ", would fit otherwise"
	}
	return out
}

// part is one reason of all the nodes: of amounts, from the least to the most, and
// of what a constraint is about, what it is on some of them.
func (v *Verdict) part(nodes []Node, i int) string {
	least, most := &nodes[v.Nodes[0]].shown()[i], &nodes[v.Nodes[0]].shown()[i]
	switch least.Kind {
	case CPU, Memory, Disk:
	case Constraint:
		return v.constraint(nodes, i)
	default:
		return least.Text()
	}
	for _, n := range v.Nodes {
		r := &nodes[n].shown()[i]
		if r.lacks() < least.lacks() {
			least = r
		}
		if r.lacks() > most.lacks() {
			most = r
		}
	}
	if least.lacks() == most.lacks() {
		return least.Text()
	}
	if least.Total < least.Want {
		return fmt.Sprintf("%s: they have %s to %s, %s wanted", least.Kind, least.amount(most.Total), least.amount(least.Total), least.amount(least.Want))
	}
	return fmt.Sprintf("%s short by %s to %s", least.Kind, least.amount(least.lacks()), least.amount(most.lacks()))
}

// mostValues is how many values of a constraint's attribute are named.
const mostValues = 3

func (v *Verdict) constraint(nodes []Node, i int) string {
	r := nodes[v.Nodes[0]].shown()[i]
	var values []string
	for _, n := range v.Nodes {
		values = append(values, nodes[n].shown()[i].Value)
	}
	slices.Sort(values)
	if values = slices.Compact(values); len(values) > 1 {
		shown := values[:min(len(values), mostValues)]
		r.Value = strings.Join(shown, ", ")
		if more := len(values) - len(shown); more > 0 {
			r.Value += fmt.Sprintf(" and %d others", more)
		}
	}
	return r.Text()
}

func (r *Reason) lacks() int {
	if r.Total < r.Want {
		return r.Want - r.Total
	}
	return r.Want - r.Free
}
