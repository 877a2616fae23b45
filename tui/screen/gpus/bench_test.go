package gpus

import (
	"slices"
	"testing"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/keys"
	"stoker/tui/screen/fixture"
)

// moving is a fleet of 8,000 GPUs in two snapshots: from one to the other a
// tenth of them was read again, as when ten snapshots come a second.
func moving() [2]*cluster.Snapshot {
	one := fixture.Big(1000)
	two := *one
	two.Rev++
	two.GPUs = slices.Clone(one.GPUs)
	for i := 0; i < len(two.GPUs); i += 10 {
		s := *two.GPUs[i].Sample
		s.UtilPercent = fixture.Float(float64(i % 100))
		two.GPUs[i].Sample = &s
	}
	return [2]*cluster.Snapshot{one, &two}
}

func BenchmarkSnapshot(b *testing.B) {
	both := moving()
	for name, set := range map[string]struct{ filter, order string }{
		"plain": {}, "words": {filter: "node-00"}, "expression": {filter: "util_percent > 50 && held_by != nil"},
		"order": {order: "util_percent"}, "both": {"util_percent > 50 && held_by != nil", "temperature_celsius"}, "plain column": {order: "memory_temperature_celsius"},
	} {
		b.Run(name, func(b *testing.B) {
			m := New(fixture.Env(b))
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
}

func BenchmarkKey(b *testing.B) {
	both := moving()
	m := New(fixture.Env(b))
	m.SetSize(200, 45)
	m.SetSnapshot(both[0])
	b.Run("down", func(b *testing.B) {
		for b.Loop() {
			m.Update(fixture.Key(keys.Down))
			_ = m.View()
		}
	})
	b.Run("sort", func(b *testing.B) {
		for b.Loop() {
			m.Update(fixture.Key(keys.Sort))
			_ = m.View()
		}
	})
}

// TestSameSaysWhenSomethingChanged: else filters would be wrong.
func TestSameSaysWhenSomethingChanged(t *testing.T) {
	base := fixture.Lab().GPUs[0]
	for name, change := range map[string]func(*cluster.GPU){
		"reading": func(g *cluster.GPU) { s := *g.Sample; g.Sample = &s },
		"holder":  func(g *cluster.GPU) { g.Holder = nil },
		"other":   func(g *cluster.GPU) { h := *g.Holder; h.Task = "x"; g.Holder = &h },
		"node":    func(g *cluster.GPU) { h := *g.Host; h.NodeUp = false; g.Host = &h },
		"health":  func(g *cluster.GPU) { g.Health.Verdict = gpu.VerdictFailed },
	} {
		now := base
		change(&now)
		if same(&base, &now) {
			t.Error(name)
		}
	}
	if now := base; !same(&base, &now) {
		t.Error("nothing changed")
	}
}
