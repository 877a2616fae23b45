package explain

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"stoker/cluster"
)

// Check compares what is found here with what Nomad counted.
type Check struct {
	Eval   cluster.EvalID // where Nomad tells; empty if it does not
	At     time.Time      // when it counted
	Known  bool           // there is something to compare
	Agrees bool
	Text   string   // one line: that both say the same, or that they do not
	Differ []string // what differs, and why that may be
}

// byClass is how Nomad words a node that it did not look at, since one of the
// same class was refused.
const byClass = "computed class ineligible"

// compare puts Nomad's account beside the verdicts.
func compare(s *cluster.Snapshot, j *cluster.Job, g *Group, account *account, f *cluster.PlacementFailure, known bool) Check {
	if f == nil {
		return Check{Text: "Nomad tells no counts: no evaluation of it that failed is kept."}
	}
	c := Check{Eval: account.ID, At: account.Created, Known: known}
	if !known {
		c.Text = "Nomad says: " + told(f) + "."
		return c
	}
	if j.Type == "system" || j.Type == "sysbatch" {
		c.Differ = onEach(g, f)
	} else {
		c.Differ = counted(g, f)
	}
	if c.Agrees = len(c.Differ) == 0; c.Agrees {
		c.Text = "Nomad says the same: " + told(f) + "."
		return c
	}
	c.Text = fmt.Sprintf("Nomad counted otherwise %s ago: %s.", since(account.Created, s.At), told(f))
	c.Differ = append(c.Differ, why(s, j, g, account, f)...)
	return c
}

// told is Nomad's account in one line.
func told(f *cluster.PlacementFailure) string {
	parts := []string{fmt.Sprintf("%d evaluated", f.Evaluated)}
	if f.Evaluated == 0 {
		parts[0] = "no nodes to look at"
	}
	add := func(n int, verb string, by map[string]int) {
		if n == 0 {
			return
		}
		var in []string
		for _, k := range slices.SortedFunc(maps.Keys(by), func(a, b string) int { return cmp.Or(cmp.Compare(by[b], by[a]), cmp.Compare(a, b)) }) {
			if by[k] == n {
				in = append(in, fmt.Sprintf("%q", k))
			} else {
				in = append(in, fmt.Sprintf("%d %q", by[k], k))
			}
		}
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%d %s %s", n, verb, strings.Join(in, ", "))))
	}
	add(f.Filtered, "filtered", f.Constraints)
	add(f.Exhausted, "exhausted", f.Dimensions)
	if len(f.Quota) > 0 {
		parts = append(parts, "quota "+strings.Join(f.Quota, ", "))
	}
	return strings.Join(parts, ", ")
}

// counted compares the counts of a job whose allocations go anywhere.
func counted(g *Group, f *cluster.PlacementFailure) []string {
	var looked, filtered, exhausted, fits, unread int
	ours, full := map[string]int{}, map[string]int{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		k := n.First()
		switch {
		case !k.Considered():
			continue
		case k == Fits:
			fits++
		case k == Unread:
			unread++
		case k.Exhausted():
			exhausted++
			full[dimension(&n.Reasons[0])]++
		case k != Quota:
			filtered++
			ours[wording(&n.Reasons[0])]++
		}
		looked++
	}
	var out []string
	say := func(what string, nomad, here int) {
		if nomad != here {
			out = append(out, fmt.Sprintf("%s: %d by Nomad, %d here", what, nomad, here))
		}
	}
	say("nodes looked at", f.Evaluated, looked)
	if fits > 0 {
		out = append(out, fmt.Sprintf("%s would take one now", count(fits, "node")))
	}
	if unread > 0 {
		out = append(out, fmt.Sprintf("of %s not all is known yet", count(unread, "node")))
	}
	say("filtered", f.Filtered, filtered)
	say("exhausted", f.Exhausted, exhausted)
	if f.Filtered == filtered {
		out = append(out, reasons(f.Constraints, ours, f.Constraints[byClass])...)
	}
	if f.Exhausted == exhausted {
		out = append(out, reasons(f.Dimensions, full, 0)...)
	}
	return out
}

// reasons compares the counts by reason; class is the number of nodes for which
// Nomad tells none.
func reasons(nomad, here map[string]int, class int) []string {
	var out []string
	all := map[string]bool{}
	for k := range nomad {
		all[k] = k != byClass
	}
	for k := range here {
		all[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(all)) {
		n := here[k]
		if full, ok := portless(k, here); ok {
			n = full
		}
		if !all[k] || nomad[k] == n || named(k, nomad) {
			continue
		}
		if short := n - nomad[k]; short > 0 && short <= class {
			class -= short
			continue
		}
		out = append(out, fmt.Sprintf("%q: %d by Nomad, %d here", k, nomad[k], n))
	}
	return out
}

// onEach compares those of a job that runs once on each node: Nomad describes
// the first node that was full and counts the others, or else adds up those that
// do not suit.
func onEach(g *Group, f *cluster.PlacementFailure) []string {
	full, unfit, unread := 0, 0, 0
	for i := range g.Nodes {
		switch k := g.Nodes[i].First(); {
		case k == Fits || k.Exhausted():
			full++
		case k == Unread:
			unread++
		case k.Considered():
			unfit++
		}
	}
	var out []string
	if f.Exhausted > 0 && f.Unplaced != full {
		out = append(out, fmt.Sprintf("nodes without room: %d by Nomad, %d here", f.Unplaced, full))
	}
	if f.Exhausted == 0 && f.Filtered != unfit {
		out = append(out, fmt.Sprintf("filtered: %d by Nomad, %d here", f.Filtered, unfit))
	}
	if unread > 0 {
		out = append(out, fmt.Sprintf("of %s not all is known yet", count(unread, "node")))
	}
	return out
}

// wording is how Nomad words a node that it filtered.
func wording(r *Reason) string {
	switch r.Kind {
	case Driver:
		return "missing drivers"
	case Devices:
		return "missing devices"
	case Volume:
		return "missing compatible host volumes"
	case DistinctHosts:
		return distinctHosts
	case DistinctProperty:
		if r.Value == "" {
			return fmt.Sprintf("missing property %q", r.What)
		}
		return fmt.Sprintf("distinct_property: %s=%s used by %d allocs", r.What, r.Value, r.Total)
	}
	return r.What
}

// dimension is how Nomad words a node that is full.
func dimension(r *Reason) string {
	switch r.Kind {
	case GPUs:
		return "devices: no devices match request"
	case Port:
		return portWord + "=" + r.What
	}
	return string(r.Kind)
}

const portWord = "network: reserved port collision "

// portless finds the count of a port that Nomad tells with its label, which is
// not known here.
func portless(k string, here map[string]int) (int, bool) {
	rest, ok := strings.CutPrefix(k, portWord)
	if !ok {
		return 0, false
	}
	_, port, _ := strings.Cut(rest, "=")
	n, ok := here[portWord+"="+port]
	return n, ok
}

// named reports a port without its label that Nomad tells with it.
func named(k string, nomad map[string]int) bool {
	port, ok := strings.CutPrefix(k, portWord+"=")
	if !ok {
		return false
	}
	for other := range nomad {
		if strings.HasPrefix(other, portWord) && strings.HasSuffix(other, "="+port) {
			return true
		}
	}
	return false
}

// why says what can be behind a difference.
func why(s *cluster.Snapshot, j *cluster.Job, g *Group, account *account, f *cluster.PlacementFailure) []string {
	var out []string
	nodes, allocs := 0, 0
	for i := range s.Nodes {
		nodes += btoi(s.Nodes[i].Place == j.Place && s.Nodes[i].ModifyIndex > account.ModifyIndex)
	}
	for i := range s.Allocs {
		allocs += btoi(s.Allocs[i].Place == j.Place && s.Allocs[i].ModifyIndex > account.ModifyIndex)
	}
	if nodes+allocs > 0 {
		out = append(out, fmt.Sprintf("since Nomad counted, %s and %s changed; it does not tell of later tries", count(nodes, "node"), count(allocs, "allocation")))
	}
	if n := f.Constraints[byClass]; n > 0 {
		out = append(out, fmt.Sprintf("Nomad did not look at %s: where one node of a class does not suit, it takes the others of the class for the same, though their GPUs may differ in number and health", count(n, "node")))
	}
	if g.Fitting > 0 && nodes+allocs > 0 {
		out = append(out, "and it tries again only for nodes whose class it did not refuse: let it look again")
	}
	if len(g.Unchecked) > 0 {
		out = append(out, "not compared here: "+strings.Join(g.Unchecked, ", "))
	}
	for _, a := range s.JobAllocs(j.ID) {
		if a.Group == g.Name && !a.Terminal() && a.JobVersion < j.Version {
			out = append(out, "Nomad may count as free what an allocation of the older version holds, which the new one replaces")
			break
		}
	}
	return out
}
