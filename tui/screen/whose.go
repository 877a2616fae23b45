package screen

import (
	"slices"

	"stoker/cluster"
	"stoker/tui/ui"
)

// Whose is a column that says of which cluster a row is. It is there by itself
// where several share the table, and never so narrow that two look the same.
func Whose[R any](e *Env, snap func() *cluster.Snapshot, place func(*R) cluster.Place) ui.Column[R] {
	label := func(r *R) string { return snap().Label(place(r)) }
	return ui.Column[R]{
		Title: "CLUSTER", Min: 7, Max: mostLabel, When: func() bool { return snap().Members != nil },
		Least: func() int { return apart(labels(snap())) },
		Cell:  func(r *R) ui.Cell { return ui.In(e.Theme.Muted, label(r)) },
		By:    func(r *R) ui.Key { return ui.ByText(label(r)) },
	}
}

// mostLabel is how many cells the name of a cluster may take from other columns,
// unless it needs more to be told from the others.
const mostLabel = 24

// labels are what the clusters that are shown together are called.
func labels(s *cluster.Snapshot) []string {
	var out []string
	for _, one := range s.Members {
		out = append(out, ui.Clean(s.Label(one.Place)))
	}
	return out
}

// apart is how many cells different names want at the least: all of the longest,
// or where that is much, as many as leave each another than the others when cut.
func apart(names []string) int {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	longest := 0
	for _, n := range names {
		longest = max(longest, ui.Width(n))
	}
	w := min(longest, mostLabel)
	for ; w < longest; w++ {
		cut := make(map[string]bool, len(names))
		for _, n := range names {
			cut[ui.Fit(n, w)] = true
		}
		if len(cut) == len(names) {
			break
		}
	}
	return w
}
