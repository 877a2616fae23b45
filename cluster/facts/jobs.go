package facts

import (
	"slices"
	"time"

	"stoker/cluster"
)

func jobsView() View {
	return View{
		Name: "jobs", Aliases: []string{"job"}, Help: "jobs: what runs, what waits, what they hold", Needs: []string{"nomad"},
		Columns: columns(
			Column{Name: "namespace", Title: "NAMESPACE"}, Column{Name: "job", Title: "JOB"}, Column{Name: "type", Title: "TYPE"},
			Column{Name: "kind", Title: "KIND"}, Column{Name: "model", Title: "MODEL"}, Column{Name: "model_version", Title: "VERSION"},
			Column{Name: "status", Title: "STATUS"}, Column{Name: "state", Words: cluster.JobStates()}, Column{Name: "desired", Title: "WANT", Type: Int},
			Column{Name: "running", Title: "RUN", Type: Int}, Column{Name: "starting", Title: "START", Type: Int},
			Column{Name: "failed", Title: "FAILED", Type: Int}, Column{Name: "gpus_held", Title: "GPUS", Type: Int},
			Column{Name: "waiting", Title: "WAITING", Type: Bool}, Column{Name: "waiting_since", Type: Time}, Column{Name: "gpus_wanted", Type: Int},
			Column{Name: "deployment", Title: "DEPLOYMENT", Wide: true}, Column{Name: "priority", Title: "PRIO", Wide: true, Type: Int},
			Column{Name: "job_version", Title: "REV", Wide: true, Type: Int}, Column{Name: "submitted", Title: "SUBMITTED", Type: Time},
		),
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for i := range s.Jobs {
				out = append(out, JobRow(s, &s.Jobs[i]))
			}
			return out
		},
	}
}

// JobRow is the row of one job in the view jobs.
func JobRow(s *cluster.Snapshot, j *cluster.Job) Row {
	status := j.Status
	if j.Stopped {
		status = "stopped"
	}
	var since, wanted, deployment any
	if w := j.Waiting; w != nil {
		since, wanted = w.Since, w.GPUs
	}
	if d := s.JobDeployment(j.ID); d != nil {
		deployment = d.Status
	}
	var desired any
	if n, known := j.Wants(); known {
		desired = n
	}
	return line(j.Place, "nomad", nomadAsOf(s, j.Place, "nomad"), j.ID.Namespace, j.ID.Name, j.Type, word(string(j.Kind)), word(j.Model), word(j.ModelVer),
		status, s.JobState(j).String(), desired, j.Running, j.Starting, j.Failed, j.GPUsHeld, j.Waiting != nil, since, wanted, deployment, j.Priority, j.Version, j.Submitted)
}

func allocsView() View {
	return View{
		Name: "allocs", Aliases: []string{"alloc", "allocations"}, Help: "allocations: where each instance runs", Needs: []string{"nomad"},
		Columns: columns(
			Column{Name: "namespace", Title: "NAMESPACE", Wide: true}, Column{Name: "alloc", Title: "ALLOC"}, Column{Name: "id"},
			Column{Name: "job"}, Column{Name: "group"}, Column{Name: "node", Title: "NODE"},
			Column{Name: "desired", Title: "DESIRED"}, Column{Name: "status", Title: "STATUS"}, Column{Name: "healthy", Title: "HEALTHY", Type: Bool},
			Column{Name: "gpus", Title: "GPUS", Type: Int}, Column{Name: "gpu_uuids"}, Column{Name: "restarts", Title: "RESTARTS", Type: Int},
			Column{Name: "job_version", Title: "REV", Wide: true, Type: Int}, Column{Name: "created", Title: "CREATED", Type: Time},
			Column{Name: "modified", Title: "CHANGED", Wide: true, Type: Time}, Column{Name: "last_event", Title: "LAST EVENT"},
		),
		// What tasks went through is listed last.
		Pending: func(s *cluster.Snapshot) bool {
			return slices.ContainsFunc(s.Allocs, func(a cluster.Alloc) bool { return slices.ContainsFunc(a.Tasks, untold) })
		},
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for i := range s.Allocs {
				out = append(out, AllocRow(s, &s.Allocs[i]))
			}
			return out
		},
	}
}

// untold says that only the task's name is known yet.
func untold(t cluster.Task) bool { return t.State == "" }

// AllocRow is the row of one allocation in the view allocs.
func AllocRow(s *cluster.Snapshot, a *cluster.Alloc) Row {
	var restarts any
	if !slices.ContainsFunc(a.Tasks, untold) {
		n := 0
		for _, t := range a.Tasks {
			n += t.Restarts
		}
		restarts = n
	}
	var uuids []string
	if !a.Terminal() { // else others may hold them
		for _, g := range a.GPUs {
			uuids = append(uuids, string(g))
		}
	}
	return line(a.Place, "nomad", nomadAsOf(s, a.Place, "nomad"), a.Job.Namespace, a.Name, string(a.ID), a.Job.Name, a.Group, word(a.NodeName),
		a.Desired, a.Client, num(a.Healthy), len(uuids), list(uuids), restarts, a.JobVersion, a.Created, a.Modified, word(a.Said()))
}

func modelsView() View {
	return View{
		Name: "models", Aliases: []string{"model"}, Help: "served models: rate, errors, latency, GPU", Needs: []string{"nomad", "agents", "agent", "metrics"},
		Columns: columns(
			Column{Name: "namespace", Title: "NAMESPACE", Wide: true}, Column{Name: "job", Title: "JOB"},
			Column{Name: "model", Title: "MODEL"}, Column{Name: "version", Title: "VERSION"},
			Column{Name: "replicas_ready", Title: "UP", Type: Int}, Column{Name: "replicas_desired", Title: "WANT", Type: Int},
			Column{Name: "requests_per_second", Title: "REQ/S", Type: Float},
			Column{Name: "error_ratio", Title: "ERR %", Type: Float}, Column{Name: "rejected_ratio", Title: "4XX %", Wide: true, Type: Float},
			Column{Name: "latency_p50_seconds", Title: "P50", Type: Float}, Column{Name: "latency_p50_bound"}, Column{Name: "latency_p95_seconds", Title: "P95", Type: Float}, Column{Name: "latency_p95_bound"},
			Column{Name: "latency_p99_seconds", Title: "P99", Type: Float}, Column{Name: "latency_p99_bound"},
			Column{Name: "in_flight", Title: "IN FLIGHT", Wide: true, Type: Float}, Column{Name: "requests_total", Title: "SERVED", Wide: true, Type: Float},
			Column{Name: "queue", Title: "QUEUE", Wide: true, Type: Float}, Column{Name: "ttft_p95_seconds", Title: "TTFT P95", Wide: true, Type: Float}, Column{Name: "ttft_p95_bound"},
			Column{Name: "tokens_per_second", Title: "TOK/S", Wide: true, Type: Float}, Column{Name: "kv_cache_ratio", Title: "KV", Wide: true, Type: Float},
			Column{Name: "gpus", Title: "GPUS", Type: Int}, Column{Name: "gpu_util_percent", Title: "GPU UTIL", Type: Float},
			Column{Name: "accuracy", Title: "ACCURACY", Wide: true, Type: Float}, Column{Name: "window_seconds", Type: Float},
		),
		// A rate takes two scrapes.
		Pending: func(s *cluster.Snapshot) bool {
			return slices.ContainsFunc(s.Models, func(m cluster.Model) bool { return m.Running > 0 && m.Requests == nil })
		},
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for i := range s.Models {
				out = append(out, ModelRow(&s.Models[i]))
			}
			return out
		},
	}
}

// ModelRow is the row of one served model in the view models.
func ModelRow(m *cluster.Model) Row {
	v50, b50 := quantile(m.P50)
	v95, b95 := quantile(m.P95)
	v99, b99 := quantile(m.P99)
	ttft, ttftBound := quantile(m.TTFT95)
	var accuracy, source, window any
	if m.Artifact != nil {
		if a, ok := m.Artifact.Evaluation["accuracy"]; ok {
			accuracy = a
		}
	}
	if m.Reports {
		source, window = "metrics", m.Window.Seconds()
	}
	text, _ := source.(string)
	return line(m.Place, text, m.At, m.Key.Job.Namespace, m.Key.Job.Name, word(m.Key.Model), word(m.Key.Version), m.Replicas, m.Desired,
		num(m.Requests), num(m.ErrorRatio), num(m.RejectedRatio), v50, b50, v95, b95, v99, b99,
		num(m.InFlight), num(m.RequestsServed), num(m.Queue), ttft, ttftBound, num(m.TokensPerSec), num(m.KVCacheRatio), m.GPUs, num(m.GPUUtil), accuracy, window)
}

// quantile is a latency and how the buckets bound it: "<", "≥" or unknown for exact.
func quantile(q *cluster.Quantile) (seconds, bound any) {
	if q == nil {
		return nil, nil
	}
	return q.Seconds, word(q.Bound)
}

func trainingView() View {
	return View{
		Name: "training", Help: "training jobs: step, loss, speed, GPU", Needs: []string{"nomad", "agents", "agent", "metrics"},
		Columns: columns(
			Column{Name: "namespace", Title: "NAMESPACE", Wide: true}, Column{Name: "job", Title: "JOB"}, Column{Name: "model", Title: "MODEL"},
			Column{Name: "version", Title: "VERSION"}, Column{Name: "status", Title: "STATUS"},
			Column{Name: "step", Title: "STEP", Type: Float}, Column{Name: "planned_steps", Title: "OF", Type: Float},
			Column{Name: "epoch", Title: "EPOCH", Wide: true, Type: Float},
			Column{Name: "loss", Title: "LOSS", Type: Float}, Column{Name: "accuracy", Title: "ACCURACY", Type: Float},
			Column{Name: "learning_rate", Title: "RATE", Wide: true, Type: Float},
			Column{Name: "samples_per_second", Title: "SAMPLES/S", Type: Float},
			Column{Name: "gpus", Title: "GPUS", Type: Int}, Column{Name: "gpu_util_percent", Title: "GPU UTIL", Type: Float},
		),
		Pending: func(s *cluster.Snapshot) bool {
			return slices.ContainsFunc(s.Training, func(t cluster.Training) bool { return t.Status == "running" && t.SamplesPerSec == nil })
		},
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for i := range s.Training {
				out = append(out, TrainingRow(&s.Training[i]))
			}
			return out
		},
	}
}

// TrainingRow is the row of one training job in the view training.
func TrainingRow(t *cluster.Training) Row {
	source := ""
	if t.Reports {
		source = "metrics"
	}
	return line(t.Place, source, t.At, t.Job.Namespace, t.Job.Name, word(t.Model), word(t.Version), t.Status,
		num(t.Step), num(t.PlannedSteps), num(t.Epoch), num(t.TrainingSample.Loss), num(t.Accuracy), num(t.LearningRate),
		num(t.SamplesPerSec), t.GPUs, num(t.GPUUtil))
}

func keysView() View {
	return View{
		Name: "keys", Aliases: []string{"key"}, Help: "Vault Transit keys and what they still open", Needs: []string{"vault", "registry"}, Anyway: true,
		Columns: columns(
			Column{Name: "key", Title: "KEY"}, Column{Name: "type", Title: "TYPE"}, Column{Name: "derived", Title: "DERIVED", Type: Bool},
			Column{Name: "latest_version", Title: "VERSION", Type: Int}, Column{Name: "min_decryption_version", Title: "OPENS FROM", Type: Int},
			Column{Name: "latest_created", Title: "ROTATED", Type: Time},
			Column{Name: "exportable", Title: "EXPORTABLE", Type: Bool}, Column{Name: "deletion_allowed", Title: "DELETABLE", Wide: true, Type: Bool},
			Column{Name: "artifacts", Title: "ARTIFACTS", Type: Int}, Column{Name: "artifacts_stale", Title: "STALE", Type: Int},
			Column{Name: "used_by", Title: "USED BY"},
		),
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for i := range s.Keys {
				out = append(out, KeyRow(s, &s.Keys[i]))
			}
			return out
		},
	}
}

// KeyRow is the row of one Transit key in the view keys.
func KeyRow(s *cluster.Snapshot, k *cluster.Key) Row {
	s = s.Of(k.Place)
	var latest time.Time
	for _, v := range k.Versions {
		if v.Version == k.Latest {
			latest = v.Created
		}
	}
	var used []string
	for _, a := range k.Artifacts {
		used = append(used, a.Model+":"+a.Version)
	}
	var asOf time.Time
	if s.Vault != nil {
		asOf = s.Vault.KeysAt
	}
	var artifacts, stale any // unknown while the registry was not read
	if reg := s.Source("registry"); reg != nil && !reg.AsOf.IsZero() {
		artifacts, stale = len(k.Artifacts), k.Stale
	}
	return line(k.Place, "vault", asOf, k.Name, k.Type, k.Derived, k.Latest, k.MinDecryption, latest,
		k.Exportable, k.DeletionAllowed, artifacts, stale, list(used))
}

func eventsView() View {
	return View{
		Name: "events", Aliases: []string{"event"}, Help: "what happened to allocations in 24 h, and all since this command started", Needs: []string{"nomad", "agents", "agent"},
		Columns: columns(
			Column{Name: "time", Title: "AGE", Type: Time}, Column{Name: "level", Title: "LEVEL", Words: levels()},
			Column{Name: "kind", Title: "KIND"}, Column{Name: "subject", Title: "SUBJECT"}, Column{Name: "text", Title: "WHAT"},
			Column{Name: "gpu_uuid", Title: "GPU", Wide: true}, Column{Name: "hit", Title: "WHO WAS ON IT"}, Column{Name: "alloc_ids"}, Column{Name: "jobs"},
		),
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for i := range s.Events {
				out = append(out, EventRow(&s.Events[i]))
			}
			return out
		},
	}
}

// EventRow is the row of one event in the view events.
func EventRow(e *cluster.Event) Row {
	var allocs, jobs []string
	if e.Job != (cluster.JobID{}) {
		jobs = append(jobs, e.Job.String())
	}
	for i := range e.On {
		t := &e.On[i]
		allocs = append(allocs, string(t.Alloc))
		if t.Job != (cluster.JobID{}) && !slices.Contains(jobs, t.Job.String()) {
			jobs = append(jobs, t.Job.String())
		}
	}
	return line(e.Place, e.Kind, e.At, e.At, levels()[e.Level], e.Kind, e.Subject, e.Text,
		word(string(e.GPU)), word(cluster.Tenants(e.On)), list(allocs), list(jobs))
}

// levels are the words of levels, by their values.
func levels() []string { return []string{"info", "warn", "bad"} }

func sourcesView() View {
	return View{
		Name: "sources", Aliases: []string{"source"}, Help: "where facts come from, and whether it answers", Needs: []string{"nomad", "agents", "agent", "dcgm", "prometheus", "vault", "metrics", "registry"}, Anyway: true,
		Columns: columns(
			Column{Name: "name", Title: "SOURCE"}, Column{Name: "state", Title: "STATE", Words: words(cluster.SourceStates())}, Column{Name: "since", Title: "SINCE", Type: Time},
			Column{Name: "last", Title: "LAST", Type: Time}, Column{Name: "retry_at", Type: Time}, Column{Name: "error", Title: "ERROR"}, Column{Name: "expires_at", Type: Time},
		),
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for i := range s.Sources {
				out = append(out, SourceRow(&s.Sources[i]))
			}
			return out
		},
	}
}

// SourceRow is the row of one source in the view sources.
func SourceRow(src *cluster.SourceStatus) Row {
	return line(src.Place, src.Name, src.AsOf, src.Name, string(src.State), src.Since, src.AsOf, src.Retry, word(src.Err), src.Expires)
}
