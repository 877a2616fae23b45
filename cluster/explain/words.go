package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"stoker/cluster"
)

// Text is the reason in words, without who is to blame for it.
func (r *Reason) Text() string {
	switch r.Kind {
	case Has:
		return "has one"
	case Pool:
		return fmt.Sprintf("in the pool %s, and not in %s", r.Value, r.What)
	case Datacenter:
		return fmt.Sprintf("in the datacenter %s, and not in %s", r.Value, r.What)
	case Down:
		return "the node is " + r.Value
	case Draining, Ineligible:
		return string(r.Kind)
	case Constraint:
		if r.Value == "" {
			return "constraint " + r.What
		}
		return fmt.Sprintf("constraint %s: it is %s", r.What, r.Value)
	case Driver:
		return "no driver " + r.What
	case Volume:
		return "no host volume " + r.What
	case Devices:
		return r.Value
	case DistinctHosts:
		return "has one already, and the job wants distinct hosts"
	case DistinctProperty:
		if r.Value == "" {
			return "has no " + r.What + ", by which the job wants to be apart"
		}
		return fmt.Sprintf("%s is %s, as that of %s", r.What, r.Value, count(r.Total, "allocation"))
	case Unread:
		return "not known yet: " + r.What
	case Quota:
		return "quota: " + r.What
	case Port:
		return "port " + r.What + " is taken"
	case GPUs:
		if r.What == "together" {
			return "its GPUs do not do for all blocks at once"
		}
		if r.Want < 1 {
			return "it asks for no GPU at all, which Nomad does not place"
		}
		text := fmt.Sprintf("%d of the %s free", r.Free, count(r.Want, "GPU"))
		if r.Failed > 0 {
			text += fmt.Sprintf(", %d failed", r.Failed)
		}
		return text
	case CPU, Memory, Disk:
		if r.Total < r.Want {
			return fmt.Sprintf("%s: it has %s, %s wanted", r.Kind, r.amount(r.Total), r.amount(r.Want))
		}
		return fmt.Sprintf("%s short by %s", r.Kind, r.amount(r.Want-r.Free))
	}
	return string(r.Kind)
}

func (r *Reason) amount(n int) string {
	if r.Kind == CPU {
		return mhz(n)
	}
	return megabytes(n)
}

// By says who holds what is wanted: at most so many of them.
func (r *Reason) By(now time.Time, most int) string {
	if len(r.Holders) == 0 {
		if r.Kind == Port {
			return "the node keeps it for itself"
		}
		return ""
	}
	parts := make([]string, 0, most)
	for i := range r.Holders {
		if i == most {
			parts = append(parts, fmt.Sprintf("%d more", len(r.Holders)-most))
			break
		}
		parts = append(parts, r.holder(&r.Holders[i], now))
	}
	return "held by " + strings.Join(parts, ", ")
}

func (r *Reason) holder(h *Holder, now time.Time) string {
	var in []string
	switch r.Kind {
	case GPUs:
		in = append(in, fmt.Sprint(h.Amount))
	case CPU, Memory, Disk:
		in = append(in, r.amount(h.Amount))
	}
	if h.Batch && !h.Since.IsZero() {
		in = append(in, "batch, for "+Long(now.Sub(h.Since)))
	}
	if len(in) == 0 {
		return h.Job.String()
	}
	return fmt.Sprintf("%s (%s)", h.Job, strings.Join(in, ", "))
}

// Asks is what one allocation of a group wants, in words.
func asks(g *cluster.Group) string {
	var parts []string
	for i := range g.GPUs {
		model := askedModel(&g.GPUs[i])
		if model == "" {
			model = "of any model"
		}
		parts = append(parts, count(g.GPUs[i].Count, "GPU")+" "+model)
	}
	if g.Cores > 0 {
		parts = append(parts, count(g.Cores, "core"))
	}
	if g.CPUMHz > 0 {
		parts = append(parts, mhz(g.CPUMHz))
	}
	if g.MemoryMB > 0 {
		parts = append(parts, megabytes(g.MemoryMB))
	}
	for _, p := range g.Ports {
		parts = append(parts, fmt.Sprintf("port %d", p))
	}
	if len(parts) == 0 {
		return "nothing but a node"
	}
	return strings.Join(parts, ", ")
}

func mhz(n int) string { return fmt.Sprintf("%d MHz", n) }

// megabytes is an amount as Nomad counts it: MB are MiB there.
func megabytes(n int) string {
	if n >= 10<<10 || n >= 1<<10 && n%(1<<10) == 0 {
		return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/(1<<10)), ".0") + " GiB"
	}
	return fmt.Sprintf("%d MiB", n)
}

// count is "1 GPU", "2 GPUs".
func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// Long is a time that passed: "40 s", "4 min", "2 h 10 min", "3 d".
func Long(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		h, m := int(d.Hours()), int(d.Minutes())%60
		if m == 0 {
			return fmt.Sprintf("%d h", h)
		}
		return fmt.Sprintf("%d h %d min", h, m)
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

// names lists some names and counts the rest.
func names(all []string, most int) string {
	if len(all) <= most+1 {
		most = len(all)
	}
	out := strings.Join(all[:most], ", ")
	if more := len(all) - most; more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}

func distinct(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// Names says which nodes have a verdict: the first few by name.
func (g *Group) Names(v *Verdict, most int) string {
	all := make([]string, len(v.Nodes))
	for i, n := range v.Nodes {
		all[i] = g.Nodes[n].Name
	}
	return names(all, most)
}

// By says who holds what the nodes of a verdict lack first: at most so many jobs.
func (g *Group) By(v *Verdict, now time.Time, most int) string {
	if len(v.Nodes) == 0 {
		return ""
	}
	var sum Reason
	for _, n := range v.Nodes {
		shown := g.Nodes[n].shown()
		i := slices.IndexFunc(shown, func(r Reason) bool { return len(r.Holders) > 0 || r.Kind == Port })
		if i < 0 {
			continue
		}
		sum.Kind = shown[i].Kind
		sum.Holders = added(sum.Holders, shown[i].Holders)
	}
	if sum.Kind == "" {
		return ""
	}
	return sum.By(now, most)
}

// added adds what jobs hold on one node to what they hold on others.
func added(sum, more []Holder) []Holder {
	for _, h := range more {
		i := slices.IndexFunc(sum, func(o Holder) bool { return o.Job == h.Job })
		if i < 0 {
			sum = append(sum, h)
			continue
		}
		sum[i].Amount += h.Amount
		sum[i].Allocs = slices.Concat(sum[i].Allocs, h.Allocs)
		if h.Since.Before(sum[i].Since) {
			sum[i].Since = h.Since
		}
	}
	slices.SortStableFunc(sum, func(a, b Holder) int { return cmp.Or(cmp.Compare(b.Amount, a.Amount), a.Job.Compare(b.Job)) })
	return sum
}
