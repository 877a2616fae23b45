package cluster

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// TestTableKeepsItsOrder: few rows that come, go and change places among many
// leave the table as if it had been sorted anew.
func TestTableKeepsItsOrder(t *testing.T) {
	order := func(a, b *NodePool) int {
		return cmp.Or(cmp.Compare(a.Description, b.Description), cmp.Compare(a.Name, b.Name))
	}
	tab := newTable(func(p *NodePool) string { return p.Name }, func(p *NodePool) uint64 { return p.ModifyIndex }, order)
	r := rand.New(rand.NewPCG(1, 2))
	idx := uint64(0)
	put := func() {
		idx++
		tab.put(&NodePool{Name: fmt.Sprint(r.IntN(100)), Description: fmt.Sprint(r.IntN(9)), ModifyIndex: idx}, false)
	}
	for range 300 {
		put()
	}
	for range 200 {
		for range r.IntN(6) {
			put()
		}
		if r.IntN(2) == 0 {
			idx++
			tab.drop(fmt.Sprint(r.IntN(100)), idx)
		}
		want := make([]NodePool, 0, len(tab.rows))
		for _, p := range tab.rows {
			want = append(want, *p)
		}
		slices.SortFunc(want, func(a, b NodePool) int { return order(&a, &b) })
		got, at := tab.all()
		if d := gocmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		for i := range got {
			if at[got[i].Name] != i || len(at) != len(got) {
				t.Fatalf("%s is at %d, said to be at %d", got[i].Name, i, at[got[i].Name])
			}
		}
	}
}
