package facts

import (
	"cmp"
	"fmt"
	"slices"

	"stoker/cluster"
)

// gpuSources tell of GPUs and of who holds them.
func gpuSources() []string {
	return []string{"nomad", "agents", "agent", "devices", "dcgm", "prometheus"}
}

// usageColumns are those that a job and a namespace share.
func usageColumns() []Column {
	return []Column{
		{Name: "gpus", Title: "GPUS", Type: Int},
		{Name: "gpus_reporting", Type: Int},
		{Name: "gpus_idle", Title: "IDLE", Type: Int},
		{Name: "idle_since", Title: "IDLE FOR", Wide: true, Type: Time},
		{Name: "util_percent", Title: "UTIL", Type: Float},
		{Name: "power_watts", Title: "POWER", Type: Float},
		{Name: "gpus_with_power", Type: Int},
		{Name: "since", Title: "WATCHED", Type: Time},
		{Name: "energy_joules", Title: "ENERGY", Type: Float},
		{Name: "energy_basis", Title: "COUNTED BY", Wide: true},
		{Name: "energy_complete", Title: "ALL OF IT", Wide: true, Type: Bool},
		{Name: "held_gpu_seconds", Title: "GPU HOURS", Type: Float},
		{Name: "busy_gpu_seconds", Title: "OF WORK", Type: Float},
		{Name: "efficiency_ratio", Title: "EFFICIENCY", Type: Float},
	}
}

func usageValues(u *cluster.Usage) []any {
	a := &u.Account
	// Before the second reading nothing was counted: that is not none.
	held, busy, complete, idle := any(nil), any(nil), any(nil), any(nil)
	if a.HeldSeconds > 0 {
		held, busy = a.HeldSeconds, a.BusySeconds
	}
	if !a.Since.IsZero() {
		complete = a.DarkSeconds == 0
	}
	if u.Reporting > 0 {
		idle = u.Idle
	}
	return []any{
		u.GPUs, u.Reporting, idle, u.IdleSince, num(u.UtilPercent), num(u.PowerWatts), u.PowerReporting,
		a.Since, num(a.Joules()), word(a.Basis()), complete, held, busy, num(a.Efficiency()),
	}
}

// uncounted says that a job's GPUs are read, and nothing was counted yet: that
// takes two readings.
func uncounted(s *cluster.Snapshot) bool {
	return slices.ContainsFunc(s.JobUsage(), func(u cluster.Usage) bool {
		return u.Reporting > 0 && (u.Account.HeldSeconds == 0 || u.PowerReporting > 0 && u.Account.Joules() == nil)
	})
}

func usageView() View {
	return View{
		Pending: uncounted,
		Name:    "usage", Help: "what each job uses of its GPUs: power, energy, efficiency", Needs: gpuSources(),
		Columns: columns(append([]Column{{Name: "namespace", Title: "NAMESPACE"}, {Name: "job", Title: "JOB"}}, usageColumns()...)...),
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for _, u := range s.JobUsage() {
				out = append(out, UsageRow(&u))
			}
			return out
		},
	}
}

// UsageRow is the row of one job in the view usage.
func UsageRow(u *cluster.Usage) Row {
	return line(u.Place, u.Source, u.AsOf, append([]any{u.Job.Namespace, u.Job.Name}, usageValues(u)...)...)
}

func idleView() View {
	return View{
		Name: "idle", Help: "GPUs held without work, and worked on without being held", Needs: gpuSources(),
		Columns: columns(
			Column{Name: "state", Title: "STATE", Words: cluster.WasteStates()}, Column{Name: "since", Title: "SEEN FOR", Type: Time},
			Column{Name: "node", Title: "NODE"}, Column{Name: "index", Title: "GPU", Type: Int}, Column{Name: "uuid", Title: "UUID", Wide: true},
			Column{Name: "model", Title: "MODEL"}, Column{Name: "util_percent", Title: "UTIL", Wide: true, Type: Float},
			Column{Name: "power_watts", Title: "POWER", Type: Float}, Column{Name: "memory_used_bytes", Title: "MEM USED", Type: Int},
			Column{Name: "held_by", Title: "HELD BY"}, Column{Name: "held_by_alloc"}, Column{Name: "held_by_job"},
			Column{Name: "users", Title: "USERS"}, Column{Name: "processes", Title: "PROCESSES"},
		),
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for _, w := range s.Waste() {
				out = append(out, WasteRow(&w))
			}
			return out
		},
	}
}

// WasteRow is the row of one GPU in the view idle.
func WasteRow(w *cluster.Waste) Row {
	var heldBy, alloc, job, procs any
	if h := w.Holder; h != nil {
		heldBy, alloc, job = h.Job.Namespace+"/"+h.Name, string(h.Alloc), h.Job.String()
	}
	if all, known := w.Processes(); known {
		names := make([]string, len(all))
		for i, p := range all {
			names[i] = fmt.Sprintf("%s (%d)", cmp.Or(p.Name, "process"), p.PID)
		}
		procs = list(names)
	}
	return line(w.Place, w.Source, w.AsOf(), w.What, w.Since, w.NodeName, w.Index, string(w.UUID), w.Model,
		num(w.Util()), num(w.Sample.PowerWatts), num(w.Sample.MemoryUsedBytes), heldBy, alloc, job, list(w.Users()), procs)
}

func historyView() View {
	return View{
		Name: "history", Help: "the last ten minutes of each GPU, a point every five seconds", Needs: gpuSources(),
		Columns: columns(
			Column{Name: "node", Title: "NODE"}, Column{Name: "index", Title: "GPU", Type: Int}, Column{Name: "uuid", Title: "UUID", Wide: true},
			Column{Name: "time", Title: "AGE", Type: Time}, Column{Name: "util_percent", Title: "UTIL", Type: Float}, Column{Name: "memory_percent", Title: "MEM", Type: Float},
			Column{Name: "power_percent", Title: "POWER", Type: Float}, Column{Name: "temperature_celsius", Title: "TEMP", Type: Float},
		),
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for i := range s.GPUs {
				g := &s.GPUs[i]
				moments := g.History.Moments()
				out = slices.Grow(out, len(moments))
				for _, m := range moments {
					out = append(out, line(g.Place, g.Source, g.AsOf(), g.NodeName, g.Index, string(g.UUID),
						m.At, num(m.UtilPercent), num(m.MemoryPercent), num(m.PowerPercent), num(m.TempCelsius)))
				}
			}
			return out
		},
	}
}
