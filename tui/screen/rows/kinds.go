package rows

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/jobs/action"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// named is what a kind of thing is called within a place.
type named struct {
	cluster.Place
	name string
}

// id is a column of IDs, cut as Nomad's own tools print them.
func id[R any](e *screen.Env, drop int, of func(*R) string) ui.Column[R] {
	return ui.Column[R]{Name: "id", Title: "ID", Min: 8, Drop: drop, Cell: func(r *R) ui.Cell {
		text := of(r)
		return ui.In(e.Theme.Muted, text[:min(len(text), 8)])
	}}
}

// job is a column of jobs with their namespaces.
func job[R any](width int, of func(*R) cluster.JobID) ui.Column[R] {
	return ui.Column[R]{
		Name: "job", Title: "JOB", Min: width, Max: 48, Ahead: true, Cell: func(r *R) ui.Cell { return ui.Txt(of(r).String()) },
		By: func(r *R) ui.Key { return screen.ByJob(of(r)) },
	}
}

func state[R any](e *screen.Env, width, most int, of func(*theme.Theme, *R) ui.Cell) ui.Column[R] {
	return ui.Column[R]{Name: "status", Title: "STATE", Min: width, Max: most, Cell: func(r *R) ui.Cell { return of(e.Theme, r) }}
}

// count is a column of numbers that fade when they are 0.
func count[R any](e *screen.Env, name, title string, drop int, st theme.Style, of func(*R) int) ui.Column[R] {
	return ui.Column[R]{
		Name: name, Title: title, Min: max(len(title), 4), Align: ui.Right, Drop: drop, Desc: true,
		Cell: func(r *R) ui.Cell {
			if of(r) == 0 {
				return ui.In(e.Theme.Faint, "0")
			}
			return ui.In(st, ui.Int(of(r)))
		},
		By: func(r *R) ui.Key { return ui.By(of(r)) },
	}
}

// NewAllocs makes the screen of allocations.
func NewAllocs(e *screen.Env) screen.Screen {
	type R = cluster.Alloc
	return New(e, Kind[R, cluster.AllocID]{
		Things: "allocations", View: "allocs",
		List:  func(s *cluster.Snapshot) []R { return s.Allocs },
		Key:   func(a *R) cluster.AllocID { return a.ID },
		Row:   facts.AllocRow,
		About: func(_ *cluster.Snapshot, a *R) screen.Subject { return screen.AllocSubject(a) },
		Same: func(old, now *R) bool {
			return old.ModifyIndex == now.ModifyIndex && cluster.Same(old.Tasks, now.Tasks)
		},
		Columns: func(e *screen.Env) []ui.Column[R] {
			return []ui.Column[R]{
				{Name: "alloc", Title: "ALLOCATION", Min: 30, Max: 52, Ahead: true, Cell: func(a *R) ui.Cell { return ui.Txt(a.Job.Namespace + "/" + a.Name) }, By: func(a *R) ui.Key { return screen.ByAlloc(a.Job.Namespace + "\x00" + a.Name) }},
				id(e, 4, func(a *R) string { return string(a.ID) }),
				state(e, 10, 12, screen.AllocState),
				{Name: "node", Min: 10, Max: 24},
				count(e, "gpus", "GPUS", 2, e.Theme.Text, func(a *R) int { return len(a.GPUs) }),
				{Name: "restarts", Min: 8, Drop: 3},
				{Name: "healthy", Min: 7, Drop: 6},
				{Name: "job_version", Min: 4, Drop: 8},
				{Name: "created", Title: "AGE", Min: 4, Drop: 1},
				{Name: "last_event", Min: 20, Max: 90, Drop: 5},
			}
		},
		Name: func(a *R) string { return a.Job.Namespace + "/" + a.Name }, State: screen.AllocState, More: allocParts,
		Status: func(a *R) string { return a.Client },
		Find:   func(_ *cluster.Snapshot, t screen.Target) (cluster.AllocID, bool) { return t.Alloc, t.Alloc != "" },
		Keys:   []keys.ID{keys.Logs},
		Do: func(k keys.ID, a *R) tea.Cmd {
			if k != keys.Logs {
				return nil
			}
			return screen.Open(screen.Jobs, screen.Target{Job: a.Job, Alloc: a.ID, Logs: true})
		},
	})
}

// allocParts are the tasks with what happened to them.
func allocParts(_ *cluster.Snapshot, a *cluster.Alloc) []Part {
	var out []Part
	for _, t := range a.Tasks {
		p := Part{Title: "task " + ui.Clean(t.Name)}
		p.Lines = append(p.Lines, fmt.Sprintf("%s, %s", t.State, ui.Count(t.Restarts, "restart")))
		for _, ev := range slices.Backward(t.Events) {
			p.Lines = append(p.Lines, ev.At.UTC().Format("2006-01-02 15:04:05 MST")+"  "+ev.Type+"  "+ev.Text)
		}
		out = append(out, p)
	}
	if len(a.Ports) > 0 {
		p := Part{Title: "ports"}
		for _, port := range a.Ports {
			p.Lines = append(p.Lines, fmt.Sprintf("%s  %s:%d", port.Label, port.Host, port.Port))
		}
		out = append(out, p)
	}
	return out
}

// NewDeployments makes the screen of deployments.
func NewDeployments(e *screen.Env) screen.Screen {
	type R = cluster.Deployment
	return New(e, Kind[R, cluster.DeploymentID]{
		Things: "deployments", View: "deployments", Newest: true,
		List:  func(s *cluster.Snapshot) []R { return s.Deployments },
		Key:   func(d *R) cluster.DeploymentID { return d.ID },
		Row:   facts.DeploymentRow,
		About: func(_ *cluster.Snapshot, d *R) screen.Subject { return screen.DeploymentSubject(d) },
		Same:  func(old, now *R) bool { return old.ModifyIndex == now.ModifyIndex },
		Columns: func(e *screen.Env) []ui.Column[R] {
			return []ui.Column[R]{
				job(20, func(d *R) cluster.JobID { return d.Job }),
				id(e, 4, func(d *R) string { return string(d.ID) }),
				{Name: "job_version", Min: 4, Drop: 5},
				state(e, 12, 20, screen.DeploymentState),
				{Name: "desired", Min: 4},
				{Name: "healthy", Min: 7},
				{Name: "unhealthy", Min: 9, Drop: 3},
				{Name: "canaries", Min: 8, Drop: 6},
				{Name: "promoted", Min: 8, Drop: 7},
				{Name: "created", Title: "AGE", Min: 4, Drop: 2},
				{Name: "status_text", Min: 24, Max: 90, Drop: 1},
			}
		},
		Name: func(d *R) string { return d.Job.String() + ", deployment " + d.ID.Short() }, State: screen.DeploymentState,
		Status: func(d *R) string { return d.Status },
		More: func(_ *cluster.Snapshot, d *R) []Part {
			p := Part{Title: "task groups"}
			for _, g := range d.Groups {
				text := fmt.Sprintf("%s  %d wanted, %d placed, %d healthy, %d unhealthy", g.Name, g.Desired, g.Placed, g.Healthy, g.Unhealthy)
				if g.Canaries > 0 {
					text += fmt.Sprintf(", %d of them canaries, promoted: %t", g.Canaries, g.Promoted)
				}
				p.Lines = append(p.Lines, text)
			}
			return []Part{p}
		},
		Find: func(_ *cluster.Snapshot, t screen.Target) (cluster.DeploymentID, bool) {
			return t.Deployment, t.Deployment != ""
		},
		Keys:   []keys.ID{keys.Restart, keys.Stop}, // of its job: a rollout that failed leads to one of them
		Change: func(k keys.ID, d *R) action.Request { return action.Request{ID: action.ID(k), Job: d.Job} },
	})
}

// NewEvaluations makes the screen of evaluations.
func NewEvaluations(e *screen.Env) screen.Screen {
	type R = cluster.Evaluation
	return New(e, Kind[R, cluster.EvalID]{
		Things: "evaluations", View: "evaluations", Newest: true,
		List:  func(s *cluster.Snapshot) []R { return s.Evaluations },
		Key:   func(ev *R) cluster.EvalID { return ev.ID },
		Row:   facts.EvaluationRow,
		About: func(_ *cluster.Snapshot, ev *R) screen.Subject { return screen.EvalSubject(ev) },
		Same:  func(old, now *R) bool { return old.ModifyIndex == now.ModifyIndex },
		Columns: func(e *screen.Env) []ui.Column[R] {
			return []ui.Column[R]{
				job(20, func(ev *R) cluster.JobID { return ev.Job }),
				id(e, 3, func(ev *R) string { return string(ev.ID) }),
				state(e, 10, 12, screen.EvalState),
				{Name: "triggered_by", Min: 14, Max: 20, Drop: 2},
				count(e, "unplaced", "UNPLACED", 4, e.Theme.Warn, func(ev *R) int {
					n := 0
					for _, f := range ev.Failures {
						n += max(f.Unplaced, 1)
					}
					return n
				}),
				{Name: "modified", Min: 7},
				{Name: "failures", Min: 24, Max: 110, Drop: 1},
			}
		},
		Name: func(ev *R) string { return ev.Job.String() + ", evaluation " + ev.ID.Short() }, State: screen.EvalState,
		Status: func(ev *R) string { return ev.Status },
		Within: func(s *cluster.Snapshot, t screen.Target) func(*R) bool {
			of := screen.EvalsOf(s, t.Deployment)
			return func(ev *R) bool {
				if t.Deployment != "" {
					return of[ev.ID]
				}
				about := screen.EvalSubject(ev)
				return about.Is(&t)
			}
		},
		Find: func(s *cluster.Snapshot, t screen.Target) (cluster.EvalID, bool) { return t.Eval, t.Eval != "" },
	})
}

// NewServices makes the screen of services.
func NewServices(e *screen.Env) screen.Screen {
	type R = cluster.Service
	return New(e, Kind[R, named]{
		Things: "services", View: "services",
		List:  func(s *cluster.Snapshot) []R { return s.Services },
		Key:   func(v *R) named { return named{v.Place, string(v.ID)} },
		Row:   facts.ServiceRow,
		About: screen.ServiceSubject,
		Columns: func(*screen.Env) []ui.Column[R] {
			return []ui.Column[R]{
				{
					Name: "service", Title: "SERVICE", Min: 16, Max: 40, Ahead: true, Cell: func(v *R) ui.Cell { return ui.Txt(v.Namespace + "/" + v.Name) },
					By: func(v *R) ui.Key { return ui.ByText(v.Namespace + "\x00" + v.Name) },
				},
				{Name: "job", Min: 12, Max: 36, Drop: 2},
				{Name: "address", Min: 12, Max: 24},
				{Name: "port", Min: 6},
				{Name: "node", Min: 8, Max: 24, Drop: 1},
				{Name: "alloc", Min: 16, Max: 40, Drop: 4},
				{Name: "tags", Min: 16, Max: 60, Drop: 3},
			}
		},
		Name: func(v *R) string { return v.Namespace + "/" + v.Name },
		Find: func(s *cluster.Snapshot, t screen.Target) (named, bool) {
			for i := range s.Services {
				if v := &s.Services[i]; v.ID == t.Service && v.ID != "" {
					return named{v.Place, string(v.ID)}, true
				}
			}
			return named{}, false
		},
	})
}

// NewPools makes the screen of node pools.
func NewPools(e *screen.Env) screen.Screen {
	type R = cluster.PoolTally
	return New(e, Kind[R, named]{
		Things: "node pools", View: "pools",
		List:  (*cluster.Snapshot).TallyPools,
		Key:   func(p *R) named { return named{p.Place, p.Name} },
		Row:   facts.PoolRow,
		About: func(_ *cluster.Snapshot, p *R) screen.Subject { return screen.PoolSubject(&p.NodePool) },
		Columns: func(*screen.Env) []ui.Column[R] {
			return []ui.Column[R]{
				{Name: "pool", Min: 12, Max: 32, Ahead: true},
				{Name: "nodes", Min: 5},
				{Name: "nodes_open", Min: 5, Drop: 3},
				{Name: "gpus", Min: 5},
				{Name: "gpus_held", Min: 5},
				{Name: "gpus_free", Min: 5},
				{Name: "gpus_failed", Min: 6},
				{Name: "jobs", Min: 5, Drop: 2},
				{Name: "jobs_waiting", Min: 7},
				{Name: "scheduler", Min: 9, Max: 12, Drop: 4},
				{Name: "description", Min: 16, Max: 80, Drop: 1},
			}
		},
		Name: func(p *R) string { return "node pool " + p.Name },
		Find: func(s *cluster.Snapshot, t screen.Target) (named, bool) {
			return named{placed(s, t), t.Pool}, t.Pool != ""
		},
	})
}

// NewNamespaces makes the screen of namespaces.
func NewNamespaces(e *screen.Env) screen.Screen {
	type R = cluster.NamespaceTally
	return New(e, Kind[R, named]{
		Things: "namespaces", View: "namespaces",
		List: (*cluster.Snapshot).TallyNamespaces,
		Key:  func(n *R) named { return named{n.Usage.Place, n.Job.Namespace} },
		Row:  facts.NamespaceRow,
		About: func(_ *cluster.Snapshot, n *R) screen.Subject {
			return screen.NamespaceSubject(n.Usage.Place, n.Job.Namespace)
		},
		Columns: func(*screen.Env) []ui.Column[R] {
			return []ui.Column[R]{
				{Name: "namespace", Min: 14, Max: 32, Ahead: true},
				{Name: "jobs", Min: 5},
				{Name: "jobs_waiting", Min: 7},
				{Name: "allocs_running", Min: 5},
				{Name: "gpus", Min: 5},
				{Name: "gpus_idle", Min: 4, Drop: 2},
				{Name: "util_percent", Min: 5},
				{Name: "power_watts", Min: 8, Drop: 3},
				{Name: "quota", Min: 6, Max: 20, Drop: 5},
				{Name: "pool", Min: 8, Max: 20, Drop: 4},
				{Name: "description", Min: 12, Max: 80, Drop: 1},
			}
		},
		Name: func(n *R) string { return "namespace " + n.Job.Namespace },
		Find: func(s *cluster.Snapshot, t screen.Target) (named, bool) {
			return named{placed(s, t), t.Namespace}, t.Namespace != ""
		},
	})
}

// NewVariables makes the screen of variables: their names only.
func NewVariables(e *screen.Env) screen.Screen {
	type R = cluster.Variable
	type key struct {
		cluster.Place
		cluster.VariableID
	}
	return New(e, Kind[R, key]{
		Things: "variables", View: "variables",
		List:  func(s *cluster.Snapshot) []R { return s.Variables },
		Key:   func(v *R) key { return key{v.Place, v.ID} },
		Row:   facts.VariableRow,
		About: func(_ *cluster.Snapshot, v *R) screen.Subject { return screen.VariableSubject(v) },
		Same:  func(old, now *R) bool { return old.ModifyIndex == now.ModifyIndex },
		Columns: func(*screen.Env) []ui.Column[R] {
			return []ui.Column[R]{
				{Name: "namespace", Min: 12, Max: 28},
				{Name: "path", Min: 24, Max: 90, Ahead: true},
				{Name: "modified", Title: "CHANGED", Min: 7},
				{Name: "created", Title: "AGE", Min: 4, Drop: 1},
				{Name: "locked", Min: 6, Drop: 2},
			}
		},
		Name: func(v *R) string { return "variable " + v.ID.Namespace + " " + strings.TrimPrefix(v.ID.Path, "/") },
		Find: func(s *cluster.Snapshot, t screen.Target) (key, bool) {
			return key{placed(s, t), t.Variable}, t.Variable != cluster.VariableID{}
		},
	})
}

// placed is where a target is: that of the snapshot where it does not say.
func placed(s *cluster.Snapshot, t screen.Target) cluster.Place {
	if t.Of == (cluster.Place{}) {
		return s.Place
	}
	return t.Of
}
