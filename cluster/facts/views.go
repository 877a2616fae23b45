package facts

import (
	"strings"
	"time"

	"stoker/cluster"
)

// Views lists every kind of row there is. The schema is documented in
// docs/line-mode.md: names stay, columns may be added.
func Views() []View {
	return []View{
		nodesView(), gpusView(), processesView(), jobsView(), allocsView(), deploymentsView(), evaluationsView(),
		servicesView(), modelsView(),
		trainingView(), keysView(), eventsView(), sourcesView(),
		usageView(), poolsView(), namespacesView(), variablesView(), idleView(), historyView(),
	}
}

// num unwraps a number that may be unknown.
func num[N any](p *N) any {
	if p == nil {
		return nil
	}
	return *p
}

// word is a text that is unknown when empty.
func word(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// words are the texts of which a column holds one.
func words[S ~string](all []S) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = string(s)
	}
	return out
}

// list joins words, unknown when there are none.
func list(words []string) any { return word(strings.Join(words, ",")) }

// place is how every row begins, and tail how it ends.
func placeColumns() []Column {
	return []Column{{Name: "cluster", Title: "CLUSTER", Wide: true}, {Name: "region", Title: "REGION", Wide: true}}
}

func sourceColumns() []Column {
	return []Column{{Name: "source", Title: "SOURCE", Wide: true}, {Name: "as_of", Title: "AGE", Wide: true, Type: Time}}
}

func columns(middle ...Column) []Column {
	return append(append(placeColumns(), middle...), sourceColumns()...)
}

// How many columns there are before and behind those of a view's own.
const headColumns, tailColumns = 2, 2

func headValue(p cluster.Place, column int) any {
	if column == 0 {
		return p.Cluster
	}
	return word(p.Region)
}

func tailValue(source string, asOf time.Time, column int) any {
	if column == 0 {
		return word(source)
	}
	return moment(asOf)
}

// moment is a time, unknown when it never was: a comparison must not take that
// for long ago.
func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

func line(p cluster.Place, source string, asOf time.Time, middle ...any) Row {
	row := append(append(Row{p.Cluster, word(p.Region)}, middle...), word(source), asOf)
	for i, v := range row {
		if t, ok := v.(time.Time); ok {
			row[i] = moment(t)
		}
	}
	return row
}

// nomadAsOf is when a class of Nomad's rows of a cluster was last known to be true.
func nomadAsOf(s *cluster.Snapshot, of cluster.Place, source string) time.Time {
	if st := s.Of(of).Source(source); st != nil {
		return st.AsOf
	}
	return time.Time{}
}

func nodesView() View {
	return View{
		Name: "nodes", Aliases: []string{"node"}, Help: "machines: state, GPUs, load", Needs: gpuSources(),
		Columns: columns(
			Column{Name: "node", Title: "NODE"}, Column{Name: "id", Title: "ID", Wide: true},
			Column{Name: "pool", Title: "POOL"}, Column{Name: "status", Title: "STATUS"}, Column{Name: "state", Words: cluster.NodeStates()},
			Column{Name: "eligible", Title: "ELIGIBLE", Type: Bool}, Column{Name: "draining", Title: "DRAINING", Wide: true, Type: Bool},
			Column{Name: "gpu_model", Title: "GPU MODEL"},
			Column{Name: "gpus", Title: "GPUS", Type: Int}, Column{Name: "gpus_held", Title: "HELD", Type: Int},
			Column{Name: "gpus_free", Title: "FREE", Type: Int}, Column{Name: "gpus_failed", Title: "FAILED", Type: Int},
			Column{Name: "util_percent", Title: "UTIL", Type: Float},
			Column{Name: "power_watts", Title: "POWER", Type: Float},
			Column{Name: "temperature_max_celsius", Title: "MAX TEMP", Wide: true, Type: Float},
			Column{Name: "allocs", Title: "ALLOCS", Type: Int},
			Column{Name: "cpu_mhz", Title: "CPU MHZ", Wide: true, Type: Int}, Column{Name: "memory_mib", Title: "MEM MIB", Wide: true, Type: Int},
			Column{Name: "address", Title: "ADDRESS", Wide: true}, Column{Name: "version", Title: "NOMAD", Wide: true},
			Column{Name: "clock_ahead_seconds", Type: Float},
		),
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for i := range s.Nodes {
				out = append(out, NodeRow(s, &s.Nodes[i]))
			}
			return out
		},
	}
}

// NodeRow is the row of one node in the view nodes.
func NodeRow(s *cluster.Snapshot, n *cluster.Node) Row {
	var held, free, failed, reporting int
	var util float64
	var power, temp *float64
	var models []string
	for _, g := range s.NodeGPUs(n.ID) {
		if len(models) == 0 || models[len(models)-1] != g.Model {
			models = append(models, g.Model)
		}
		if g.Holder != nil {
			held++
		} else if g.Free() {
			free++
		}
		if g.Failed() {
			failed++
		}
		now := g.Live(s.At)
		if now == nil {
			continue
		}
		if u := now.UtilPercent; u != nil {
			util += *u
			reporting++
		}
		if p := now.PowerWatts; p != nil {
			sum := *p
			if power != nil {
				sum += *power
			}
			power = &sum
		}
		if t := now.TempCelsius; t != nil && (temp == nil || *t > *temp) {
			temp = t
		}
	}
	var heldOf, freeOf, allocs any // unknown while allocations are not known
	if s.Of(n.Place).Claims() {
		heldOf, freeOf, allocs = held, free, len(s.NodeAllocs(n.ID))
	}
	var mean any
	if reporting > 0 {
		mean = util / float64(reporting)
	}
	var ahead any
	if off := s.ClockAhead(n.ID); off != 0 {
		ahead = off.Seconds()
	}
	return line(n.Place, "nomad", nomadAsOf(s, n.Place, "nomad/nodes"), n.Name, string(n.ID), n.Pool, string(n.Status), n.State(), n.Eligible, n.Draining,
		list(models), len(n.Devices), heldOf, freeOf, failed, mean, num(power), num(temp), allocs, n.CPUMHz, n.MemoryMB, word(n.Address), word(n.Version), ahead)
}
