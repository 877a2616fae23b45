package facts

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"stoker/cluster"
)

// View is one kind of row.
type View struct {
	Name    string
	Aliases []string
	Help    string
	// Needs names the sources that must have answered for the rows to be
	// complete; a name also stands for those it begins: "agent" for "agent gpu-a".
	Needs   []string
	Columns []Column
	// Details says that there are columns of what only the details of samples tell.
	Details bool
	// Anyway says that there is something to print also when Nomad cannot be read.
	Anyway bool
	// Pending says that a row still lacks what a source is about to bring.
	Pending func(s *cluster.Snapshot) bool
	Rows    func(s *cluster.Snapshot) []Row
	// each gives the rows one by one to be read by columns, in the order of Rows;
	// nil where they are cheap to make.
	each func(s *cluster.Snapshot, yield func(Cells) bool)
}

// Column is one value of a row. Without a Title it is for programs only.
type Column struct {
	Name  string // snake_case, with the unit
	Title string
	Wide  bool // for people only when they ask for more
	Type  Type
	Words []string // of a text that is one of a few: all that there are
}

// Row holds one value for each column; nil is unknown.
type Row []any

// Find looks a view up by name or alias.
func Find(name string) (*View, bool) {
	for _, v := range Views() {
		if v.Name == name || slices.Contains(v.Aliases, name) {
			return &v, true
		}
	}
	return nil, false
}

// Each gives the rows one by one, to be read by columns, until yield says no.
func (v *View) Each(s *cluster.Snapshot, yield func(Cells) bool) {
	if v.each != nil {
		v.each(s, yield)
		return
	}
	for _, r := range v.Rows(s) {
		if !yield(func(column int) any { return r[column] }) {
			return
		}
	}
}

// Select makes the rows that a filter keeps.
func (v *View) Select(s *cluster.Snapshot, f *Filter) []Row {
	rows := []Row{}
	v.Each(s, func(cells Cells) bool {
		if f.KeepCells(cells) {
			row := make(Row, len(v.Columns))
			for i := range row {
				row[i] = cells(i)
			}
			rows = append(rows, row)
		}
		return true
	})
	return rows
}

// Map is the row by column name.
func (v *View) Map(r Row) map[string]any {
	out := make(map[string]any, len(r))
	for i, c := range v.Columns {
		out[c.Name] = r[i]
	}
	return out
}

func (v *View) wants(source string) bool {
	return slices.ContainsFunc(v.Needs, func(n string) bool {
		return source == n || strings.HasPrefix(source, n+" ") || strings.HasPrefix(source, n+"/")
	})
}

// Beside is the view of a snapshot: where several clusters share the table,
// people see of which each row is.
func (v *View) Beside(s *cluster.Snapshot) *View {
	if s.Members == nil {
		return v
	}
	out := *v
	out.Columns = slices.Clone(v.Columns)
	for i := range out.Columns {
		switch out.Columns[i].Name {
		case "cluster":
			out.Columns[i].Wide = false
		case "region":
			out.Columns[i].Wide = !slices.ContainsFunc(s.Members, func(m *cluster.Snapshot) bool { return s.Label(m.Place) != m.Place.Cluster })
		}
	}
	return &out
}

// Settled says that every source of the view either answered or failed. Of
// several clusters only those are asked whose lists were read: who waits for
// the others does so before.
func (v *View) Settled(s *cluster.Snapshot) bool {
	for _, one := range s.Each() {
		if (s.Members == nil || one.Ready) && !v.settled(one) {
			return false
		}
	}
	return v.Pending == nil || !v.Pending(s)
}

func (v *View) settled(s *cluster.Snapshot) bool {
	// Those of single nodes, and those that say that they begin before anybody asks.
	silent := []string{"agent", "dcgm", "prometheus"}
	for _, n := range v.Needs {
		if !slices.ContainsFunc(s.Sources, func(src cluster.SourceStatus) bool {
			return src.Name == n || strings.HasPrefix(src.Name, n+" ")
		}) && !slices.Contains(silent, n) {
			return false
		}
	}
	for _, src := range s.Sources {
		if v.wants(src.Name) && src.State == cluster.SourceStarting {
			return false
		}
	}
	return true
}

// Missing says which sources of the view did not answer; nil when all did. The
// error is a Fault when the source that the view is of could not be read at all,
// so that there is nothing to show: its first.
func (v *View) Missing(s *cluster.Snapshot) error {
	if s.Members != nil {
		return v.missingOf(s)
	}
	late := v.late(s)
	if len(late) == 0 {
		return nil
	}
	text := strings.Join(late, "; ")
	sealed := v.sealed(s)
	if kind := v.unread(s, sealed); kind != nil && len(v.Rows(s)) == 0 {
		f := &cluster.Fault{Kind: kind, Text: text}
		if s.Vault != nil && v.Needs[0] == "vault" {
			f.Advice = s.Vault.Hint
		}
		return f
	}
	return errors.New(text)
}

// missingOf is Missing of several clusters: each that lacks something is named.
func (v *View) missingOf(s *cluster.Snapshot) error {
	var late []string
	for _, m := range s.Members {
		list := v.late(m)
		if len(list) == 0 && !m.Ready {
			list = []string{"no answer yet"}
		}
		if len(list) > 0 {
			late = append(late, s.Label(m.Place)+": "+strings.Join(list, "; "))
		}
	}
	if len(late) == 0 {
		return nil
	}
	return errors.New(strings.Join(late, "; "))
}

// spares says that the view has all its rows and columns without a source that may
// not be read: who may read jobs of some namespaces, and no nodes, has these jobs.
func (v *View) spares(src *cluster.SourceStatus) bool {
	return src.State == cluster.SourceDenied && src.Name == "nomad/nodes" && slices.Equal(v.Needs, []string{"nomad"})
}

// Spared says what else may not be read, of which nothing is in the view; empty
// when there is nothing.
func (v *View) Spared(s *cluster.Snapshot) string {
	var out []string
	for i := range s.Sources {
		if src := &s.Sources[i]; v.spares(src) {
			text := Failure(*src)
			if s.Members != nil {
				text = s.Label(src.Place) + ": " + text
			}
			out = append(out, text)
		}
	}
	return strings.Join(out, "; ")
}

// mostAlike is how many sources of nodes are told by name: on a large fleet a
// thousand agents may be late.
const mostAlike = 3

// late are the sources of the view that did not answer, with what they say.
func (v *View) late(s *cluster.Snapshot) []string {
	var late []string
	type kind struct {
		group string
		state cluster.SourceState
	}
	alike := map[kind]int{}
	for _, src := range s.Sources {
		switch src.State {
		case cluster.SourceRetrying, cluster.SourceDenied, cluster.SourceStarting:
		default:
			continue
		}
		if !v.wants(src.Name) || v.spares(&src) {
			continue
		}
		group, _, ofNode := strings.Cut(src.Name, " ")
		k := kind{group, src.State}
		if ofNode {
			alike[k]++
		}
		if alike[k] <= mostAlike {
			late = append(late, Failure(src))
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(alike), func(a, b kind) int { return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.state, b.state)) }) {
		if more := alike[k] - mostAlike; more > 0 {
			late = append(late, fmt.Sprintf("%s of %d more nodes: %s", k.group, more, k.state))
		}
	}
	if v.sealed(s) {
		late = append(late, "vault: sealed, its keys cannot be read")
	}
	return late
}

func (v *View) sealed(s *cluster.Snapshot) bool {
	return s.Vault != nil && s.Vault.Sealed && v.wants("vault")
}

// unread is why the first source of the view was never read, nil when it was or may be.
func (v *View) unread(s *cluster.Snapshot, sealed bool) error {
	src := s.Source(v.Needs[0])
	switch {
	case src == nil:
	case src.State == cluster.SourceDenied:
		return cluster.ErrDenied
	case src.State == cluster.SourceRetrying && src.AsOf.IsZero(), sealed && src.Name == "vault":
		return cluster.ErrUnreachable
	}
	return nil
}

// Failure is what is wrong with a source, with its name, once.
func Failure(src cluster.SourceStatus) string {
	why := src.Err
	if why == "" {
		why = "no answer yet"
	}
	name, _, _ := strings.Cut(src.Name, "/")
	return src.Name + ": " + strings.TrimPrefix(why, name+": ")
}

// Failures are those of all sources that have an error, each after a semicolon.
func Failures(s *cluster.Snapshot) string {
	text := ""
	for _, src := range s.Sources {
		if src.Err != "" {
			text += "; " + Failure(src)
		}
	}
	return text
}

// Refused is the error of who may read neither jobs nor nodes: nothing that is
// shown of the scheduler would be true.
func Refused(s *cluster.Snapshot) error {
	jobs, nodes := s.Source("nomad"), s.Source("nomad/nodes")
	if jobs == nil || nodes == nil || jobs.State != cluster.SourceDenied || nodes.State != cluster.SourceDenied {
		return nil
	}
	return &cluster.Fault{
		Kind: cluster.ErrDenied, Text: jobs.Err,
		Advice: "the token may read neither jobs nor nodes, or none was given: set NOMAD_TOKEN or token_file",
	}
}
