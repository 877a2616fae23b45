package parts

import (
	"cmp"
	"path"
	"strconv"
	"strings"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/gpu"
	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// Process is one process on one GPU.
type Process struct {
	gpu.Process
	GPU   *cluster.GPU
	Owner string // the Nomad task that it belongs to, in words; empty for none
}

// ProcessKey is a process on a GPU for good: numbers are used again.
type ProcessKey struct {
	GPU   gpu.UUID
	PID   int
	Start uint64
}

// Processes is the list of them.
type Processes = screen.List[Process, ProcessKey]

// NewProcesses makes the list.
func NewProcesses(e *screen.Env) Processes {
	th := e.Theme
	type P = Process
	known := func(of func(*P) *float64) func(*P) ui.Key {
		return func(r *P) ui.Key { return ui.ByKnown(of(r)) }
	}
	text := func(of func(*P) string) func(*P) ui.Key {
		return func(r *P) ui.Key { return ui.ByText(of(r)) }
	}
	cols := []ui.Column[P]{
		{Name: "index", Title: "GPU", Min: 4, Max: 8, Cell: func(p *P) ui.Cell { return ui.Txt(Short(p.GPU)) }, By: func(r *P) ui.Key { return ui.By(r.GPU.Index) }},
		{Name: "pid", Title: "PID", Min: 7, Align: ui.Right, Cell: func(p *P) ui.Cell { return ui.Txt(strconv.Itoa(p.PID)) }, By: func(r *P) ui.Key { return ui.By(r.PID) }},
		{Name: "user", Title: "USER", Min: 6, Max: 12, Cell: func(p *P) ui.Cell { return unless(th, p.User) }, By: text(func(p *P) string { return p.User })},
		{Name: "type", Title: "TYPE", Min: 4, Drop: 5, Cell: func(p *P) ui.Cell { return unless(th, p.Type) }},
		{Name: "util_percent", Title: "GPU %", Min: 5, Align: ui.Right, Cell: func(p *P) ui.Cell { return ui.Txt(ui.Percent(p.UtilPercent)) }, By: known(func(p *P) *float64 { return p.UtilPercent }), Desc: true},
		{Name: "memory_used_bytes", Title: "GPU MEM", Min: 9, Align: ui.Right, Cell: func(p *P) ui.Cell { return ui.Txt(ui.BytesOf(Memory(&p.Process))) }, By: func(r *P) ui.Key { return ui.By(r.MemoryBytes) }, Desc: true},
		{Name: "cpu_percent", Title: "CPU %", Min: 6, Max: 8, Align: ui.Right, Drop: 3, Cell: func(p *P) ui.Cell { return ui.Txt(ui.Percent(p.CPUPercent)) }, By: known(func(p *P) *float64 { return p.CPUPercent }), Desc: true},
		{Name: "host_memory_bytes", Title: "HOST MEM", Min: 9, Align: ui.Right, Drop: 4, Cell: func(p *P) ui.Cell { return ui.Txt(ui.BytesOf(p.HostMemoryBytes)) }, By: func(r *P) ui.Key { return ui.ByKnown(r.HostMemoryBytes) }, Desc: true},
		{Name: "task", Title: "NOMAD TASK", Min: 13, Max: 32, Ahead: true, Drop: 2, Cell: func(p *P) ui.Cell { return unless(th, p.Owner) }, By: text(func(p *P) string { return p.Owner })},
		{Name: "command", Title: "COMMAND", Min: 14, Max: 240, Cell: func(p *P) ui.Cell { return ui.In(th.Muted, Command(&p.Process)) }, By: text(func(p *P) string { return Command(&p.Process) })},
	}
	cols = Fade(th, cols, func(p *P) bool { return p.GPU.Stale(e.Now()) })
	key := func(p *P) ProcessKey { return ProcessKey{p.GPU.UUID, p.PID, p.Start} }
	none := func(*cluster.Snapshot) string { return "" }
	return screen.NewList(e, "processes", none, key, cols).
		Facts("processes", func(s *cluster.Snapshot, p *P) facts.Row { return facts.ProcessRow(s, p.GPU, &p.Process) })
}

// ProcessesOf are the processes of devices, in the order of these.
func ProcessesOf(s *cluster.Snapshot, gpus []cluster.GPU) []Process {
	var out []Process
	for i := range gpus {
		list, _ := gpus[i].Processes()
		for _, p := range list {
			out = append(out, Process{Process: p, GPU: &gpus[i], Owner: TaskOf(s, &p)})
		}
	}
	return out
}

// TaskOf is the Nomad task of a process: "llm-chat.server[1] vllm", or with the
// ID where the allocation is not known; empty where it belongs to none.
func TaskOf(s *cluster.Snapshot, p *gpu.Process) string {
	if p.AllocID == "" {
		return ""
	}
	name := cluster.AllocID(p.AllocID).Short()
	if a := s.Alloc(cluster.AllocID(p.AllocID)); a != nil {
		name = a.Name
	}
	if p.Task != "" {
		name += " " + p.Task
	}
	return name
}

// Command is what a process runs, without the folder of the program: that is
// in the way where there is little room.
func Command(p *gpu.Process) string {
	program, rest, more := strings.Cut(cmp.Or(p.Command, p.Name, "process"), " ")
	program = path.Base(program)
	if more {
		program += " " + rest
	}
	return program
}

// Memory is what a process takes of the device; nil is unknown.
func Memory(p *gpu.Process) *uint64 {
	if p.MemoryBytes == 0 {
		return nil
	}
	return &p.MemoryBytes
}

func unless(th *theme.Theme, text string) ui.Cell {
	if text == "" {
		return ui.In(th.Faint, ui.None)
	}
	return ui.Txt(text)
}
