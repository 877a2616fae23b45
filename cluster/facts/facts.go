package facts

import (
	"fmt"
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
	// Pending says that a row still lacks what a source is about to bring.
	Pending func(s *cluster.Snapshot) bool
	Rows    func(s *cluster.Snapshot) []Row
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
	for _, n := range v.Needs {
		if !slices.ContainsFunc(s.Sources, func(src cluster.SourceStatus) bool {
			return src.Name == n || strings.HasPrefix(src.Name, n+" ") || n == "agent"
		}) {
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

// Missing says which sources of the view did not answer; nil when all did.
func (v *View) Missing(s *cluster.Snapshot) error {
	var late []string
	for _, src := range s.Sources {
		if !v.wants(src.Name) {
			continue
		}
		switch src.State {
		case cluster.SourceRetrying, cluster.SourceDenied, cluster.SourceStarting:
			why := src.Err
			if why == "" {
				why = "no answer yet"
			}
			late = append(late, src.Name+": "+why)
		}
	}
	if s.Vault != nil && s.Vault.Sealed && v.wants("vault") {
		late = append(late, "vault: sealed, its keys cannot be read")
	}
	if len(late) == 0 {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(late, "; "))
}
