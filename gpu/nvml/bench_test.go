//go:build cgo

package nvml_test

import (
	"slices"
	"testing"
	"time"

	"stoker/gpu/nvml"
	"stoker/gpu/sim"
)

// BenchmarkRead is one sample of eight GPUs: the calls made to the driver, the
// time and the allocations that they cost above it. The simulated driver
// answers from memory here; a real one adds its own time for each call.
//
//	go test -run '^$' -bench BenchmarkRead -benchmem ./gpu/nvml
func BenchmarkRead(b *testing.B) {
	for name, profile := range map[string]string{"h100": sim.H100, "a100": sim.A100, "l40s": sim.L40S, "h100-mig": sim.H100 + ":3g.40gb,2g.20gb,1g.10gb"} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			if err := sim.Create(dir, sim.Spec{Node: "n1", GPUs: slices.Repeat([]string{profile}, 8)}); err != nil {
				b.Fatal(err)
			}
			at := time.Unix(1772366400, 0)
			lib, err := sim.OpenAt(dir, func() time.Time { return at }) // stands still: nothing is simulated anew
			if err != nil {
				b.Fatal(err)
			}
			r, err := nvml.Open(lib, "n1")
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			now := at
			read := func() {
				if _, err := r.Read(now); err != nil {
					b.Fatal(err)
				}
				now = now.Add(time.Second)
			}
			read()
			before := r.Calls()
			b.ReportAllocs()
			for b.Loop() {
				read()
			}
			b.ReportMetric(float64(r.Calls()-before)/float64(b.N), "calls/op")
		})
	}
}
