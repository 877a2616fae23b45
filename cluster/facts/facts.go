package facts

import (
	"errors"
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

// Settled says that every source of the view either answered or failed.
func (v *View) Settled(s *cluster.Snapshot) bool {
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
	return v.Pending == nil || !v.Pending(s)
}

// Missing says which sources of the view did not answer; nil when all did. The
// error is a Fault when the source that the view is of could not be read at all,
// so that there is nothing to show: its first.
func (v *View) Missing(s *cluster.Snapshot) error {
	var late []string
	for _, src := range s.Sources {
		if !v.wants(src.Name) {
			continue
		}
		switch src.State {
		case cluster.SourceRetrying, cluster.SourceDenied, cluster.SourceStarting:
			late = append(late, Failure(src))
		}
	}
	sealed := s.Vault != nil && s.Vault.Sealed && v.wants("vault")
	if sealed {
		late = append(late, "vault: sealed, its keys cannot be read")
	}
	if len(late) == 0 {
		return nil
	}
	text := strings.Join(late, "; ")
	if kind := v.unread(s, sealed); kind != nil && len(v.Rows(s)) == 0 {
		f := &cluster.Fault{Kind: kind, Text: text}
		if s.Vault != nil && v.Needs[0] == "vault" {
			f.Advice = s.Vault.Hint
		}
		return f
	}
	return errors.New(text)
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
