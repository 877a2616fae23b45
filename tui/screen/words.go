package screen

import (
	"cmp"
	"fmt"
	"strings"

	"stoker/cluster"
	"stoker/tui/keys"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// NodeState is a node's state as glyph, word and style.
func NodeState(th *theme.Theme, n *cluster.Node) ui.Cell {
	word := n.State()
	switch word {
	case "down", "disconnected":
		return ui.In(th.Bad, th.G.Bad+" "+word)
	case "draining", "ineligible":
		return ui.In(th.Warn, th.G.Warn+" "+word)
	case "starting":
		return ui.In(th.Accent, th.G.Busy+" "+word)
	case "ready":
		return ui.In(th.OK, th.G.OK+" "+word)
	}
	return ui.In(th.Unknown, th.G.Unknown+" "+word)
}

// Drains offers those of drain, ineligible and undrain that would do something.
func Drains(n *cluster.Node) []keys.ID {
	switch {
	case n == nil:
		return nil
	case n.Draining:
		return []keys.ID{keys.Undrain}
	case !n.Eligible:
		return []keys.ID{keys.Undrain, keys.Drain}
	}
	return []keys.ID{keys.Drain, keys.Ineligible}
}

// GPUState is a GPU's state as glyph, word and style.
func GPUState(th *theme.Theme, g *cluster.GPU) ui.Cell {
	switch st := g.State(); st {
	case "failed", "down":
		return ui.In(th.Bad, th.G.Bad+" "+st)
	case "degraded", "watch", "rogue", "idle":
		return ui.In(th.Warn, th.G.Warn+" "+st)
	case "unknown":
		return ui.In(th.Unknown, th.G.Unknown+" "+st)
	case "free", "closed":
		return ui.In(th.Muted, th.G.Off+" "+st)
	default:
		return ui.In(th.OK, th.G.OK+" "+st)
	}
}

// Nobody says of a GPU without a holder that nobody holds it, where that is known.
func Nobody(th *theme.Theme, g *cluster.GPU) ui.Cell {
	if !g.Claims {
		return ui.In(th.Unknown, ui.None)
	}
	return ui.In(th.Faint, "nobody")
}

// AllocState is an allocation's state as glyph, word and style.
func AllocState(th *theme.Theme, a *cluster.Alloc) ui.Cell {
	switch a.Client {
	case "running":
		return ui.In(th.OK, th.G.OK+" running")
	case "pending":
		return ui.In(th.Accent, th.G.Busy+" pending")
	case "failed", "lost":
		return ui.In(th.Bad, th.G.Bad+" "+a.Client)
	case "complete":
		return ui.In(th.Muted, th.G.Off+" complete")
	}
	return ui.In(th.Unknown, th.G.Unknown+" "+cmp.Or(a.Client, "unknown"))
}

// DeploymentState is a deployment's state as glyph, word and style; nil is none.
func DeploymentState(th *theme.Theme, d *cluster.Deployment) ui.Cell {
	if d == nil {
		return ui.In(th.Faint, ui.None)
	}
	switch d.Status {
	case "successful":
		return ui.In(th.Muted, th.G.OK+" successful")
	case "failed":
		return ui.In(th.Bad, th.G.Bad+" failed")
	case "running", "pending", "initializing":
		sum, _ := d.Totals()
		return ui.In(th.Accent, th.G.Busy+" "+ui.Int(sum.Healthy)+" of "+ui.Int(sum.Desired)+" healthy")
	case "paused", "blocked":
		return ui.In(th.Warn, th.G.Warn+" "+d.Status)
	}
	return ui.In(th.Muted, th.G.Off+" "+d.Status)
}

// EvalState is an evaluation's state as glyph, word and style.
func EvalState(th *theme.Theme, e *cluster.Evaluation) ui.Cell {
	switch e.Status {
	case "complete":
		return ui.In(th.Muted, th.G.OK+" complete")
	case "blocked":
		return ui.In(th.Warn, th.G.Warn+" blocked")
	case "failed":
		return ui.In(th.Bad, th.G.Bad+" failed")
	case "pending":
		return ui.In(th.Accent, th.G.Busy+" pending")
	}
	return ui.In(th.Muted, th.G.Off+" "+e.Status)
}

// ShortModel is a GPU's model as people say it: "H100 80GB" for "NVIDIA H100
// 80GB HBM3", "A100 80GB" for "NVIDIA A100-SXM4-80GB".
func ShortModel(model string) string {
	model = strings.ReplaceAll(strings.TrimPrefix(ui.Clean(model), "NVIDIA "), "-", " ")
	var keep []string
	for _, w := range strings.Fields(model) {
		switch {
		case strings.HasPrefix(w, "HBM"), strings.HasPrefix(w, "SXM"), w == "PCIe", w == "Tesla", w == "GeForce":
		default:
			keep = append(keep, w)
		}
	}
	return strings.Join(keep, " ")
}

// In says of which cluster something is, behind its name: " in eu" where several
// are shown, and nothing where it is the only one.
func In(s *cluster.Snapshot, p cluster.Place) string {
	if s.Members == nil {
		return ""
	}
	return " in " + ui.Clean(s.Label(p))
}

// ByJob orders by a job's namespace, then by its name.
func ByJob(id cluster.JobID) ui.Key { return ui.ByText(id.Namespace + "\x00" + id.Name) }

// ByAlloc orders by the name of an allocation, and those of one group by their index.
func ByAlloc(name string) ui.Key {
	base, index := cluster.SplitName(name)
	return ui.ByText(fmt.Sprintf("%s%010d", base, index))
}

// Adder adds numbers that may be unknown.
type Adder struct {
	sum float64
	n   int
}

// Add adds what is known.
func (a *Adder) Add(v *float64) {
	if v != nil {
		a.sum += *v
		a.n++
	}
}

// Sum is nil when nothing was known.
func (a *Adder) Sum() *float64 {
	if a.n == 0 {
		return nil
	}
	return &a.sum
}

// Mean is the mean of what was known; nil when nothing was.
func (a *Adder) Mean() *float64 {
	if a.n == 0 {
		return nil
	}
	m := a.sum / float64(a.n)
	return &m
}
