package cluster

import (
	"slices"
	"strings"
	"testing"
)

func TestCompareNames(t *testing.T) {
	want := []string{"", "a", "a.g[0]", "a.g[2]", "a.g[10]", "a.g[x]", "a.h[1]", "b[", "b[3", "b[]"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, CompareNames)
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestAllocsInOrderOfTheirIndex: the eleventh is behind the tenth and not the first.
func TestAllocsInOrderOfTheirIndex(t *testing.T) {
	w := readWorld(t)
	u := Update{Jobs: []Job{job("web", 1)}}
	for _, i := range []string{"10", "2", "0", "1"} {
		a := alloc("a"+i, "web", 2)
		a.Name = "web.g[" + i + "]"
		u.Allocs = append(u.Allocs, a)
	}
	var got []string
	for _, a := range w.update(u).JobAllocs(JobID{Namespace: "default", Name: "web"}) {
		got = append(got, a.Name)
	}
	if got := strings.Join(got, " "); got != "web.g[0] web.g[1] web.g[2] web.g[10]" {
		t.Error(got)
	}
}
