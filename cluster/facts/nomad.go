package facts

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"stoker/cluster"
)

func deploymentsView() View {
	return View{
		Name: "deployments", Aliases: []string{"deployment"}, Help: "deployments: how the roll-out of each version goes", Needs: []string{"nomad"},
		Columns: columns(
			Column{Name: "namespace", Title: "NAMESPACE"}, Column{Name: "job", Title: "JOB"}, Column{Name: "id", Title: "ID"},
			Column{Name: "job_version", Title: "REV", Type: Int}, Column{Name: "status", Title: "STATUS"},
			Column{Name: "desired", Title: "WANT", Type: Int}, Column{Name: "placed", Title: "PLACED", Type: Int}, Column{Name: "healthy", Title: "HEALTHY", Type: Int},
			Column{Name: "unhealthy", Title: "UNHEALTHY", Type: Int}, Column{Name: "canaries", Title: "CANARIES", Type: Int}, Column{Name: "promoted", Title: "PROMOTED", Type: Bool},
			Column{Name: "groups", Title: "GROUPS", Wide: true}, Column{Name: "created", Title: "CREATED", Wide: true, Type: Time},
			Column{Name: "status_text", Title: "WHAT NOMAD SAYS"},
		),
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for i := range s.Deployments {
				out = append(out, DeploymentRow(s, &s.Deployments[i]))
			}
			return out
		},
	}
}

// DeploymentRow is the row of one deployment in the view deployments.
func DeploymentRow(s *cluster.Snapshot, d *cluster.Deployment) Row {
	sum, promoted := d.Totals()
	groups := make([]string, len(d.Groups))
	for i, g := range d.Groups {
		groups[i] = fmt.Sprintf("%s %d/%d", g.Name, g.Healthy, g.Desired)
	}
	return line(d.Place, "nomad", nomadAsOf(s, d.Place, "nomad"), d.Job.Namespace, d.Job.Name, string(d.ID), d.JobVersion, d.Status,
		sum.Desired, sum.Placed, sum.Healthy, sum.Unhealthy, sum.Canaries, num(promoted), list(groups), d.Created, word(d.StatusText))
}

func evaluationsView() View {
	return View{
		Name: "evaluations", Aliases: []string{"evaluation", "evals", "eval"}, Help: "evaluations: what the scheduler decided, and what it could not place", Needs: []string{"nomad"},
		Columns: columns(
			Column{Name: "namespace", Title: "NAMESPACE"}, Column{Name: "job", Title: "JOB"}, Column{Name: "id", Title: "ID"},
			Column{Name: "type", Title: "TYPE", Wide: true}, Column{Name: "priority", Title: "PRIO", Wide: true, Type: Int},
			Column{Name: "status", Title: "STATUS"}, Column{Name: "triggered_by", Title: "TRIGGERED BY"},
			Column{Name: "unplaced", Title: "UNPLACED", Type: Int},
			Column{Name: "created", Title: "CREATED", Wide: true, Type: Time}, Column{Name: "modified", Title: "CHANGED", Type: Time},
			Column{Name: "failures", Title: "WHY"}, Column{Name: "status_text", Title: "WHAT NOMAD SAYS", Wide: true},
			Column{Name: "deployment_id", Title: "DEPLOYMENT", Wide: true}, Column{Name: "node", Title: "NODE", Wide: true},
			Column{Name: "previous_id"}, Column{Name: "next_id"}, Column{Name: "blocked_id"},
		),
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for i := range s.Evaluations {
				out = append(out, EvaluationRow(s, &s.Evaluations[i]))
			}
			return out
		},
	}
}

// EvaluationRow is the row of one evaluation in the view evaluations.
func EvaluationRow(s *cluster.Snapshot, e *cluster.Evaluation) Row {
	unplaced := 0
	why := make([]string, len(e.Failures))
	for i, f := range e.Failures {
		unplaced += max(f.Unplaced, 1)
		why[i] = failure(&f)
	}
	return line(e.Place, "nomad", nomadAsOf(s, e.Place, "nomad"), e.Job.Namespace, e.Job.Name, string(e.ID), word(e.Type), e.Priority,
		e.Status, word(e.TriggeredBy), unplaced, e.Created, moment(e.Modified), word(strings.Join(why, "; ")), word(e.StatusText),
		word(string(e.Deployment)), nodeName(s, e.Node), word(string(e.Prev)), word(string(e.Next)), word(string(e.Blocked)))
}

// failure says in Nomad's counts why a group was not placed.
func failure(f *cluster.PlacementFailure) string {
	text := fmt.Sprintf("%s: %d of %d nodes filtered, %d exhausted", f.Group, f.Filtered, f.Evaluated, f.Exhausted)
	if f.Evaluated == 0 {
		text = f.Group + ": no nodes to look at"
	}
	for _, counts := range []map[string]int{f.Constraints, f.Dimensions} {
		for _, what := range slices.Sorted(maps.Keys(counts)) {
			text += fmt.Sprintf(", %s (%d)", what, counts[what])
		}
	}
	for _, q := range f.Quota {
		text += ", quota " + q
	}
	return text
}

// nodeName is a node's name, its ID where that is not known, and unknown for none.
func nodeName(s *cluster.Snapshot, id cluster.NodeID) any {
	if n := s.Node(id); n != nil {
		return n.Name
	}
	return word(string(id))
}

func servicesView() View {
	return View{
		Name: "services", Aliases: []string{"service"}, Help: "services: where each instance listens", Needs: []string{"nomad"},
		Columns: columns(
			Column{Name: "namespace", Title: "NAMESPACE"}, Column{Name: "service", Title: "SERVICE"}, Column{Name: "job", Title: "JOB"},
			Column{Name: "address", Title: "ADDRESS"}, Column{Name: "port", Title: "PORT", Type: Int}, Column{Name: "node", Title: "NODE"},
			Column{Name: "alloc", Title: "ALLOC"}, Column{Name: "tags", Title: "TAGS"},
			Column{Name: "alloc_id", Title: "ALLOC ID", Wide: true}, Column{Name: "id", Title: "ID", Wide: true},
		),
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for i := range s.Services {
				out = append(out, ServiceRow(s, &s.Services[i]))
			}
			return out
		},
	}
}

// ServiceRow is the row of one instance of a service in the view services.
func ServiceRow(s *cluster.Snapshot, v *cluster.Service) Row {
	var alloc any
	if a := s.Alloc(v.Alloc); a != nil {
		alloc = a.Name
	}
	return line(v.Place, "nomad", nomadAsOf(s, v.Place, "nomad"), v.Namespace, v.Name, word(v.Job), word(v.Address), v.Port,
		nodeName(s, v.Node), alloc, list(v.Tags), word(string(v.Alloc)), string(v.ID))
}

func poolsView() View {
	return View{
		Name: "pools", Aliases: []string{"pool", "node-pools", "node_pools"}, Help: "node pools: their nodes, GPUs and jobs", Needs: []string{"pools", "nomad"},
		Columns: columns(
			Column{Name: "pool", Title: "POOL"}, Column{Name: "nodes", Title: "NODES", Type: Int}, Column{Name: "nodes_open", Title: "OPEN", Type: Int},
			Column{Name: "gpus", Title: "GPUS", Type: Int}, Column{Name: "gpus_held", Title: "HELD", Type: Int}, Column{Name: "gpus_free", Title: "FREE", Type: Int}, Column{Name: "gpus_failed", Title: "FAILED", Type: Int},
			Column{Name: "jobs", Title: "JOBS", Type: Int}, Column{Name: "jobs_waiting", Title: "WAITING", Type: Int},
			Column{Name: "scheduler", Title: "SCHEDULER", Wide: true}, Column{Name: "description", Title: "DESCRIPTION"}, Column{Name: "meta", Title: "META", Wide: true},
		),
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for _, p := range s.TallyPools() {
				out = append(out, PoolRow(s, &p))
			}
			return out
		},
	}
}

// PoolRow is the row of one node pool in the view pools.
func PoolRow(s *cluster.Snapshot, p *cluster.PoolTally) Row {
	one := s.Of(p.Place)
	var nodes, open, gpus, held, free, failed, jobs, waiting any // unknown while they may not be read
	if one.Known&cluster.SetNodes != 0 {
		nodes, open, gpus, failed = p.Nodes, p.Open, p.GPUs, p.Failed
	}
	if one.Known&cluster.SetNodes != 0 && one.Claims() {
		held, free = p.Held, p.Free
	}
	if one.Known&cluster.SetJobs != 0 {
		jobs, waiting = p.Jobs, p.Waiting
	}
	return line(p.Place, "nomad", nomadAsOf(s, p.Place, "pools"), p.Name, nodes, open, gpus, held, free, failed, jobs, waiting,
		word(p.Scheduler), word(p.Description), pairs(p.Meta))
}

// pairs are names with their values, joined.
func pairs(m map[string]string) any {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return list(out)
}

func namespacesView() View {
	return View{
		Pending: uncounted,
		Name:    "namespaces", Aliases: []string{"namespace"}, Help: "namespaces: their jobs, and what these use of their GPUs", Needs: append(gpuSources(), "namespaces"),
		Columns: columns(append(append([]Column{{Name: "namespace", Title: "NAMESPACE"}}, usageColumns()...),
			Column{Name: "jobs", Title: "JOBS", Type: Int}, Column{Name: "jobs_waiting", Title: "WAITING", Type: Int}, Column{Name: "allocs_running", Title: "RUN", Type: Int},
			Column{Name: "quota", Title: "QUOTA", Wide: true}, Column{Name: "pool", Title: "POOL", Wide: true},
			Column{Name: "description", Title: "DESCRIPTION", Wide: true}, Column{Name: "meta", Title: "META", Wide: true},
		)...),
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for _, n := range s.TallyNamespaces() {
				out = append(out, NamespaceRow(s, &n))
			}
			return out
		},
	}
}

// NamespaceRow is the row of one namespace in the view namespaces.
func NamespaceRow(s *cluster.Snapshot, n *cluster.NamespaceTally) Row {
	one := s.Of(n.Usage.Place)
	values := append([]any{n.Job.Namespace}, usageValues(&n.Usage)...)
	// Of a namespace that can be seen its jobs may still be closed to the token.
	told := func(set cluster.Set) bool { return one.Known&set != 0 && (one.Partial&set == 0 || n.Jobs > 0) }
	if !told(cluster.SetAllocs) && n.GPUs == 0 {
		values[1], values[2] = nil, nil // nobody knows what it holds
	}
	var jobs, waiting, running any
	if told(cluster.SetJobs) {
		jobs, waiting = n.Jobs, n.Waiting
	}
	if told(cluster.SetAllocs) {
		running = n.Running
	}
	var quota, pool, description, meta any
	if n.Namespace != nil {
		quota, pool, description, meta = word(n.Quota), word(n.Pool), word(n.Description), pairs(n.Meta)
	}
	source, asOf := n.Source, n.AsOf
	if source == "" && asOf.IsZero() { // it holds no GPU: what is known comes from Nomad
		source, asOf = "nomad", nomadAsOf(s, n.Usage.Place, "namespaces")
	}
	return line(n.Usage.Place, source, asOf, append(values, jobs, waiting, running, quota, pool, description, meta)...)
}

func variablesView() View {
	return View{
		Name: "variables", Aliases: []string{"variable", "vars", "var"}, Help: "Nomad variables by name; what they hold is never read", Needs: []string{"variables"},
		Columns: columns(
			Column{Name: "namespace", Title: "NAMESPACE"}, Column{Name: "path", Title: "PATH"},
			Column{Name: "modified", Title: "CHANGED", Type: Time}, Column{Name: "created", Title: "CREATED", Type: Time}, Column{Name: "locked", Title: "LOCKED", Type: Bool},
		),
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for i := range s.Variables {
				out = append(out, VariableRow(s, &s.Variables[i]))
			}
			return out
		},
	}
}

// VariableRow is the row of one variable in the view variables.
func VariableRow(s *cluster.Snapshot, v *cluster.Variable) Row {
	return line(v.Place, "nomad", nomadAsOf(s, v.Place, "variables"), v.ID.Namespace, v.ID.Path, v.Modified, v.Created, num(v.Locked))
}
