package facts

import (
	"fmt"
	"slices"
	"strings"

	"stoker/cluster"
	"stoker/gpu"
)

func gpusView() View {
	middle := make([]Column, len(gpuColumns))
	for i := range gpuColumns {
		middle[i] = gpuColumns[i].Column
	}
	return View{
		Name: "gpus", Aliases: []string{"gpu"}, Help: "every GPU, joined to the allocation that holds it", Needs: gpuSources(), Details: true,
		Columns: columns(middle...),
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for i := range s.GPUs {
				out = append(out, GPURow(&s.GPUs[i]))
			}
			return out
		},
		each: func(s *cluster.Snapshot, yield func(Cells) bool) {
			for i := range s.GPUs {
				if !yield(GPUCells(&s.GPUs[i])) {
					return
				}
			}
		},
	}
}

func processesView() View {
	return View{
		Name: "processes", Aliases: []string{"process"}, Help: "every process with a context on a GPU", Needs: gpuSources(),
		Columns: columns(
			Column{Name: "node", Title: "NODE"},
			Column{Name: "index", Title: "GPU", Type: Int},
			Column{Name: "uuid"},
			Column{Name: "pid", Title: "PID", Type: Int},
			Column{Name: "user", Title: "USER"},
			Column{Name: "type", Title: "TYPE"},
			Column{Name: "util_percent", Title: "UTIL", Type: Float},
			Column{Name: "memory_used_bytes", Title: "GPU MEM", Type: Int},
			Column{Name: "cpu_percent", Title: "CPU", Type: Float},
			Column{Name: "host_memory_bytes", Title: "HOST MEM", Type: Int},
			Column{Name: "job", Title: "JOB", Wide: true},
			Column{Name: "alloc", Title: "ALLOC"},
			Column{Name: "alloc_id", Title: "ALLOC ID", Wide: true},
			Column{Name: "task", Title: "TASK"},
			Column{Name: "name"},
			Column{Name: "command", Title: "COMMAND"},
		),
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for i := range s.GPUs {
				g := &s.GPUs[i]
				list, _ := g.Processes()
				for j := range list {
					out = append(out, ProcessRow(s, g, &list[j]))
				}
			}
			return out
		},
	}
}

// ProcessRow is the row of one process on one GPU in the view processes.
func ProcessRow(s *cluster.Snapshot, g *cluster.GPU, p *gpu.Process) Row {
	job, alloc := any(nil), any(nil)
	if a := s.Alloc(cluster.AllocID(p.AllocID)); a != nil {
		job, alloc = a.Job.String(), a.Name
	}
	if alloc == nil && p.AllocID != "" { // without a scheduler nobody tells its name
		alloc = cluster.AllocID(p.AllocID).Short()
	}
	memory := any(nil) // 0 is unknown
	if p.MemoryBytes > 0 {
		memory = p.MemoryBytes
	}
	command := p.Command
	if command == "" {
		command = p.Name
	}
	return line(g.Place, g.Source, g.AsOf(), g.NodeName, g.Index, string(g.UUID), p.PID, word(p.User), word(p.Type),
		num(p.UtilPercent), memory, num(p.CPUPercent), num(p.HostMemoryBytes), job, alloc, word(p.AllocID), word(p.Task), word(p.Name), word(command))
}

// Lacks says what the driver's libraries cannot tell; empty when they have all.
func Lacks(s *cluster.Snapshot) string {
	var names []string
	for i := range s.GPUs {
		for _, n := range s.GPUs[i].Lacks {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	what := "it tells"
	if len(names) > 1 {
		what = "they tell"
	}
	return fmt.Sprintf("this driver's library lacks %s: what %s is unknown", strings.Join(names, ", "), what)
}
