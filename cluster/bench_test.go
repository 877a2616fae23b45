package cluster

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"stoker/gpu"
)

// size is a fleet to measure with.
type size struct {
	name                              string
	nodes, perNode, jobs, allocs, cpu int // cpu: allocations of a job that hold no GPU, per 10
}

func sizes() []size {
	return []size{
		{"lab_20_gpus", 3, 8, 8, 20, 2},
		{"1000_nodes_8000_gpus_10000_allocs", 1000, 8, 500, 10000, 2},
	}
}

func fleet(z size) (Update, []gpu.Batch) {
	u := Update{Lists: SetAll, Index: 1000}
	for n := range z.nodes {
		row := node(fmt.Sprintf("%08x-1b1b-4c4c-8d8d-000000000000", n), fmt.Sprintf("gpu-%04d", n), 10)
		for g := range z.perNode {
			row.Devices = append(row.Devices, NodeDevice{UUID: uuid(n, g), Model: "NVIDIA H100 80GB HBM3", PCI: fmt.Sprintf("0000:%02x:00.0", g), Healthy: true})
		}
		u.Nodes = append(u.Nodes, row)
	}
	for j := range z.jobs {
		u.Jobs = append(u.Jobs, job(fmt.Sprintf("job-%04d", j), 20, func(r *Job) { r.Kind = []Kind{KindInference, KindTraining, ""}[j%3] }))
		u.Deployments = append(u.Deployments, Deployment{ID: DeploymentID(fmt.Sprint(j)), Job: u.Jobs[j].ID, Status: "successful", ModifyIndex: uint64(j + 1)})
		u.Evaluations = append(u.Evaluations, Evaluation{ID: EvalID(fmt.Sprint(j)), Job: u.Jobs[j].ID, Status: "complete", ModifyIndex: uint64(j + 1)})
	}
	card := 0
	for a := range z.allocs {
		n := a % z.nodes
		row := alloc(fmt.Sprintf("%08x-aaaa-4bbb-8ccc-dddddddddddd", a), fmt.Sprintf("job-%04d", a%z.jobs), 30)
		row.Name, row.Node = fmt.Sprintf("%s.g[%d]", row.Job.Name, a/z.jobs), u.Nodes[n].ID
		if a%10 >= z.cpu && card < z.nodes*z.perNode {
			holding(uuid(card/z.perNode, card%z.perNode))(&row)
			card++
		}
		u.Allocs = append(u.Allocs, row)
	}
	var batches []gpu.Batch
	for n := range z.nodes {
		batches = append(batches, readings(z, u.Nodes[n], n, start()))
	}
	return u, batches
}

func uuid(n, g int) gpu.UUID {
	return gpu.UUID(fmt.Sprintf("GPU-%08x-1111-2222-3333-%012x", n, g))
}

func readings(z size, row Node, n int, at time.Time) gpu.Batch {
	var samples []gpu.Sample
	for g := range z.perNode {
		s := sample(uuid(n, g), at, float64((n*7+g*13)%100))
		watts, limit, temp, used := 400.0, 700.0, 61.0, uint64(40<<30)
		s.PowerWatts, s.PowerLimitWatts, s.TempCelsius, s.MemoryUsedBytes = &watts, &limit, &temp, &used
		samples = append(samples, s)
	}
	return reading(string(row.ID), at, samples...)
}

func loaded(z size) (*state, Update, []gpu.Batch) {
	st := newState(Place{"lab", "global"}, func() time.Time { return start().Add(time.Hour) })
	u, batches := fleet(z)
	st.scheduler(u)
	for _, b := range batches {
		st.batch(b)
	}
	st.snapshot()
	return st, u, batches
}

// BenchmarkSnapshot measures one publication: after a second in which all GPUs
// reported, after one allocation changed, and the first of all.
func BenchmarkSnapshot(b *testing.B) {
	for _, z := range sizes() {
		b.Run(z.name+"/samples", func(b *testing.B) {
			st, _, _ := loaded(z)
			b.ReportAllocs()
			for b.Loop() {
				st.snapshot()
			}
		})
		b.Run(z.name+"/alloc", func(b *testing.B) {
			st, u, _ := loaded(z)
			row := u.Allocs[len(u.Allocs)/2]
			b.ReportAllocs()
			for b.Loop() {
				row.ModifyIndex++
				st.scheduler(Update{Allocs: []Alloc{row}})
				st.snapshot()
			}
		})
		b.Run(z.name+"/first", func(b *testing.B) {
			u, batches := fleet(z)
			b.ReportAllocs()
			for b.Loop() {
				st := newState(Place{}, start)
				st.scheduler(u)
				for _, r := range batches {
					st.batch(r)
				}
				st.snapshot()
			}
		})
	}
}

// BenchmarkMerge measures what a snapshot of one cluster costs beside another
// of the same size: after samples, and after one allocation changed.
func BenchmarkMerge(b *testing.B) {
	for _, z := range sizes() {
		st, u, _ := loaded(z)
		other, _, _ := loaded(z)
		still := other.snapshot()
		was, sampled := st.snapshot(), st.snapshot()
		row := u.Allocs[len(u.Allocs)/2]
		row.ModifyIndex++
		st.scheduler(Update{Allocs: []Alloc{row}})
		changed := st.snapshot()
		for name, next := range map[string]*Snapshot{"samples": sampled, "alloc": changed} {
			b.Run("2x_"+z.name+"/"+name, func(b *testing.B) {
				var m merger
				turn := [2][]*Snapshot{{was, still}, {next, still}}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					m.merge(turn[i%2])
				}
			})
		}
	}
}

// BenchmarkFold measures a second of samples of all GPUs, and one whole list.
func BenchmarkFold(b *testing.B) {
	for _, z := range sizes() {
		b.Run(z.name+"/samples", func(b *testing.B) {
			st, _, batches := loaded(z)
			at := start()
			b.ReportAllocs()
			for b.Loop() {
				at = at.Add(time.Second)
				for _, r := range batches {
					r.At, r.Samples = at, slices.Clone(r.Samples)
					for i := range r.Samples {
						r.Samples[i].At = at
					}
					st.batch(r)
				}
			}
		})
		b.Run(z.name+"/list", func(b *testing.B) {
			st, u, _ := loaded(z)
			b.ReportAllocs()
			for b.Loop() {
				u.Index++
				st.scheduler(u)
			}
		})
	}
}

// BenchmarkLookups measures what a screen asks of every row of a table.
func BenchmarkLookups(b *testing.B) {
	for _, z := range sizes() {
		b.Run(z.name, func(b *testing.B) {
			st, _, _ := loaded(z)
			s := st.snapshot()
			b.ReportAllocs()
			for b.Loop() {
				for i := range s.Nodes {
					_, _ = s.NodeGPUs(s.Nodes[i].ID), s.NodeAllocs(s.Nodes[i].ID)
				}
				for i := range s.Jobs {
					_, _, _ = s.JobDeployment(s.Jobs[i].ID), s.JobAllocs(s.Jobs[i].ID), s.Outcome(s.Jobs[i].ID)
				}
			}
		})
	}
}

// BenchmarkProblems is what the list of problems costs each snapshot.
func BenchmarkProblems(b *testing.B) {
	z := sizes()[1]
	u, batches := fleet(z)
	for i := range u.Nodes {
		if i%100 == 7 {
			u.Nodes[i].Status = NodeDown
		}
	}
	st := newState(Place{"lab", "global"}, start)
	st.scheduler(u)
	for i := range batches {
		st.batch(batches[i])
	}
	s := st.snapshot()
	b.ReportAllocs()
	for b.Loop() {
		_ = problems(s)
	}
}
