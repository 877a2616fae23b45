package rows

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"stoker/cluster"
	"stoker/tui/keys"
	"stoker/tui/screen/fixture"
)

// moving is 10,000 allocations in two snapshots, of which a hundredth differ.
func moving() [2]*cluster.Snapshot {
	one := *fixture.Lab()
	model := one.Allocs[3]
	one.Allocs = nil
	for i := range 10_000 {
		a := model
		a.ID, a.Name = cluster.AllocID(fmt.Sprintf("%08x-0000-4000-8000-000000000000", i)), fmt.Sprintf("job-%04d.g[%d]", i/8, i%8)
		a.Job.Name = fmt.Sprintf("job-%04d", i/8)
		a.Created = a.Created.Add(time.Duration(i) * time.Second)
		one.Allocs = append(one.Allocs, a)
	}
	two := one
	two.Allocs = slices.Clone(one.Allocs)
	for i := 0; i < len(two.Allocs); i += 100 {
		two.Allocs[i].Client, two.Allocs[i].ModifyIndex = "failed", 7_000_000
	}
	return [2]*cluster.Snapshot{&one, &two}
}

func BenchmarkSnapshot(b *testing.B) {
	both := moving()
	for name, set := range map[string]struct{ filter, order string }{
		"plain": {}, "words": {filter: "job-00"}, "expression": {filter: `status == "running" && gpus > 0`}, "order": {order: "created"},
		"both": {`status == "running" && gpus > 0`, "last_event"},
	} {
		b.Run(name, func(b *testing.B) {
			m := NewAllocs(fixture.Env(b)).(*Model[cluster.Alloc, cluster.AllocID])
			m.SetSize(200, 45)
			m.SetSnapshot(both[0])
			if err := m.SetFilter(set.filter); err != nil {
				b.Fatal(err)
			}
			if err := m.OrderBy(set.order, true); err != nil {
				b.Fatal(err)
			}
			for i := 0; b.Loop(); i++ {
				m.SetSnapshot(both[i%2])
				_ = m.View()
			}
		})
	}
	b.Run("key", func(b *testing.B) {
		m := NewAllocs(fixture.Env(b))
		m.SetSize(200, 45)
		m.SetSnapshot(both[0])
		for b.Loop() {
			m.Update(fixture.Key(keys.Down))
			_ = m.View()
		}
	})
}
