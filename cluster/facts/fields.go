package facts

import (
	"cmp"
	"slices"
	"strings"
)

// units are the ends of column names that a filter may leave out, longest first.
func units() []string {
	return []string{
		"_bytes_per_second", "_gpu_seconds", "_per_second", "_percent", "_celsius", "_seconds", "_joules", "_watts", "_bytes", "_ratio", "_mhz", "_mib",
	}
}

// nicknames are shorter words for columns. Of those named the first that a view
// has is meant.
func nicknames() [][]string {
	return [][]string{
		{"util", "gpu_util_percent"},
		{"mem", "memory_used_bytes"},
		{"temp", "temperature_celsius", "temperature_max_celsius"},
		{"namespace", "held_by_namespace"},
		{"ns", "namespace", "held_by_namespace"},
		{"node_pool", "pool"},
		{"pool", "node_pool"},
	}
}

// fields are all names that filters, orders and choices of columns may use, each
// with its column: the column's own, the same without its unit where that means
// one column only, and nicknames.
func (v *View) fields() map[string]int {
	out := make(map[string]int, 2*len(v.Columns))
	for i, c := range v.Columns {
		out[c.Name] = i
	}
	short := map[string][]int{}
	for i, c := range v.Columns {
		for _, u := range units() {
			if name, ok := strings.CutSuffix(c.Name, u); ok && name != "" {
				short[name] = append(short[name], i)
				break
			}
		}
	}
	for name, of := range short {
		if _, taken := out[name]; !taken && len(of) == 1 {
			out[name] = of[0]
		}
	}
	for _, n := range nicknames() {
		for _, name := range n[1:] {
			if _, taken := out[n[0]]; taken {
				break
			}
			if i := v.column(name); i >= 0 {
				out[n[0]] = i
			}
		}
	}
	return out
}

func (v *View) column(name string) int {
	return slices.IndexFunc(v.Columns, func(c Column) bool { return c.Name == name })
}

// Field is the number of the column that a name stands for.
func (v *View) Field(name string) (column int, ok bool) {
	if i := v.column(name); i >= 0 {
		return i, true
	}
	column, ok = v.fields()[name]
	return column, ok
}

// Names lists all names that Field knows: columns in their order, then the
// shorter ones.
func (v *View) Names() []string {
	all := v.fields()
	out := make([]string, 0, len(all))
	for _, c := range v.Columns {
		out = append(out, c.Name)
		delete(all, c.Name)
	}
	short := make([]string, 0, len(all))
	for name := range all {
		short = append(short, name)
	}
	slices.Sort(short)
	return append(out, short...)
}

// Nearest is the name that was probably meant, empty when none is like it.
func (v *View) Nearest(name string) string {
	name = strings.ToLower(name)
	if best := Nearest(name, v.Names()); best != "" || len(name) < 3 {
		return best
	}
	holding := slices.DeleteFunc(v.Names(), func(n string) bool { return !strings.Contains(n, name) })
	if len(holding) == 0 {
		return ""
	}
	return slices.MinFunc(holding, func(a, b string) int { return cmp.Compare(len(a), len(b)) })
}

// Identity is what a row is called where it is to be named elsewhere: in a
// command, or in the official tools.
func (v *View) Identity(r Row) string {
	columns := []string{"id"}
	switch v.Name {
	case "nodes":
		columns = []string{"node"}
	case "gpus", "idle", "history":
		columns = []string{"uuid"}
	case "processes":
		columns = []string{"pid"}
	case "jobs", "models", "training", "usage":
		columns = []string{"namespace", "job"}
	case "services":
		columns = []string{"service"}
	case "variables":
		columns = []string{"path"}
	case "events":
		columns = []string{"text"}
	}
	if v.column(columns[0]) < 0 {
		columns = []string{v.Columns[headColumns].Name}
	}
	var parts []string
	for _, c := range columns {
		if value := r[v.column(c)]; value != nil {
			parts = append(parts, string(appendText(nil, value)))
		}
	}
	return strings.Join(parts, "/")
}

// Key are the columns that together make a row of the view itself, as those that
// people call it by come before its ID; nil where rows tell what happened, and so
// are never gone.
func (v *View) Key() []int {
	var names []string
	switch v.Name {
	case "events", "history":
		return nil
	case "nodes":
		names = []string{"node", "id"}
	case "gpus", "idle":
		names = []string{"node", "index", "uuid"}
	case "processes":
		names = []string{"node", "index", "uuid", "pid"}
	case "jobs", "usage":
		names = []string{"namespace", "job"}
	case "models", "training":
		names = []string{"namespace", "job", "model", "version"}
	case "allocs":
		names = []string{"namespace", "alloc", "id"}
	case "deployments", "evaluations":
		names = []string{"namespace", "job", "id"}
	case "services":
		names = []string{"namespace", "service", "address", "port", "node", "id"}
	case "variables":
		names = []string{"namespace", "path"}
	default: // keys, sources, pools, namespaces
		names = []string{v.Columns[headColumns].Name}
	}
	out := []int{v.column("cluster"), v.column("region")}
	for _, name := range names {
		out = append(out, v.column(name))
	}
	return out
}

// Text is what a row holds in a column, empty when that is unknown.
func (v *View) Text(r Row, column int) string {
	if r[column] == nil {
		return ""
	}
	return string(appendText(nil, r[column]))
}
