package cluster

import (
	"cmp"
	"slices"
	"time"

	"stoker/gpu"
)

// utilEvery is the time between two points of the fleet's utilisation curve.
const utilEvery = 5 * time.Second

// snapshot joins everything that is held into a new Snapshot.
func (st *state) snapshot() *Snapshot {
	st.rev++
	s := &Snapshot{
		Rev: st.rev, At: st.now(), Place: st.place,
		Nodes: st.nodes.all(), Allocs: st.allocs.all(), Deployments: st.deployments.all(),
		Evaluations: st.evals.all(), Services: st.services.all(),
		Artifacts: st.artifacts, Vault: st.vault, EventsDropped: st.dropped,
		Ready: st.listed == SetAll,
	}
	s.nodes, s.allocs = st.nodes.at, st.allocs.at
	s.Jobs = joinJobs(st.jobs.all(), s.Allocs, s.Evaluations)
	st.jobs.all()
	s.jobs = st.jobs.at
	s.GPUs = st.joinGPUs(s)
	s.gpus = make(map[gpu.UUID]int, len(s.GPUs))
	for i := range s.GPUs {
		s.gpus[s.GPUs[i].UUID] = i
	}
	s.Models = st.joinModels(s)
	s.Training = st.joinTraining(s)
	s.Keys = joinKeys(st.vault, st.artifacts)
	s.Events = slices.Clone(st.events)
	slices.Reverse(s.Events)
	for _, src := range st.sources {
		s.Sources = append(s.Sources, src)
	}
	slices.SortFunc(s.Sources, func(a, b SourceStatus) int { return cmp.Compare(a.Name, b.Name) })
	s.Fleet = sum(s)
	if u := s.Fleet.UtilPercent; u != nil && s.At.Sub(st.utilAt) >= utilEvery {
		st.utilPast, st.utilAt = tail(st.utilPast, *u), s.At
	}
	s.Fleet.Util = st.utilPast
	s.Problems = problems(s)
	return s
}

// joinJobs counts each job's allocations and says why it waits, if it does.
func joinJobs(jobs []Job, allocs []Alloc, evals []Evaluation) []Job {
	out := slices.Clone(jobs)
	at := make(map[JobID]int, len(out))
	for i := range out {
		at[out[i].ID] = i
	}
	for i := range allocs {
		a := &allocs[i]
		j, ok := at[a.Job]
		if !ok {
			continue
		}
		job := &out[j]
		switch {
		case a.Client == "running":
			job.Running++
		case a.Client == "pending" && a.Desired == "run":
			job.Starting++
		case a.Client == "failed" && a.JobVersion == job.Version:
			job.Failed++
		case a.Client == "lost" && a.JobVersion == job.Version:
			job.Lost++
		}
		if !a.Terminal() {
			job.GPUsHeld += len(a.GPUs)
		}
	}
	failures := map[JobID]*Evaluation{}
	for i := range evals { // newest first: the first seen is the latest
		e := &evals[i]
		if len(e.Failures) > 0 && failures[e.Job] == nil {
			failures[e.Job] = e
		}
	}
	for i := range evals {
		e := &evals[i]
		j, ok := at[e.Job]
		if !ok || e.Status != "blocked" || out[j].Stopped || out[j].Waiting != nil {
			continue
		}
		out[j].Waiting = waiting(&out[j], e, failures[e.Job])
	}
	return out
}

func waiting(job *Job, blocked, account *Evaluation) *Waiting {
	w := &Waiting{Eval: blocked.ID, Since: blocked.Created}
	if account != nil {
		w.Groups = account.Failures
	}
	for _, f := range w.Groups {
		w.Missing += f.Unplaced
		for _, g := range job.Groups {
			if g.Name != f.Group {
				continue
			}
			for _, ask := range g.GPUs {
				w.GPUs += f.Unplaced * ask.Count
			}
		}
	}
	return w
}

// joinGPUs makes one row per device: what nodes offer, what samples say, and
// which live allocation the scheduler gave it to.
func (st *state) joinGPUs(s *Snapshot) []GPU {
	rows := map[gpu.UUID]*GPU{}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		for j, d := range n.Devices {
			rows[d.UUID] = &GPU{
				Place: st.place, Node: n.ID, NodeName: n.Name, NodeUp: n.Status == NodeReady,
				Device: gpu.Device{UUID: d.UUID, Index: j, Model: d.Model, PCI: d.PCI},
				Known:  true, Schedulable: d.Healthy,
			}
			if !d.Healthy {
				rows[d.UUID].Health = gpu.Health{Verdict: gpu.VerdictFailed, Reason: d.HealthText}
			}
		}
	}
	for id, d := range st.devices {
		row := rows[id]
		if row == nil {
			n, ok := st.nodes.rows[d.node]
			if !ok {
				continue // the node left
			}
			row = &GPU{Place: st.place, Node: n.ID, NodeName: n.Name, NodeUp: n.Status == NodeReady}
			rows[id] = row
		}
		row.Device = d.Device
		row.Sample, row.Source, row.Driver, row.CUDA, row.History, row.Events = d.sample, d.source, d.driver, d.cuda, d.past, d.events
		if d.sample != nil && (d.sample.Health.Verdict != gpu.VerdictUnknown) && row.Health.Verdict != gpu.VerdictFailed {
			row.Health = d.sample.Health
		}
	}
	for i := range s.Allocs {
		a := &s.Allocs[i]
		if a.Terminal() {
			continue
		}
		for _, t := range a.Tasks {
			for _, id := range t.GPUs {
				if row := rows[id]; row != nil {
					row.Holder = holder(s, a, t.Name)
				}
			}
		}
	}
	out := make([]GPU, 0, len(rows))
	for _, r := range rows {
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b GPU) int {
		return cmp.Or(cmp.Compare(a.NodeName, b.NodeName), cmp.Compare(a.Node, b.Node), cmp.Compare(a.Index, b.Index), cmp.Compare(a.UUID, b.UUID))
	})
	return out
}

func holder(s *Snapshot, a *Alloc, task string) *Holder {
	h := &Holder{Alloc: a.ID, Name: a.Name, Job: a.Job, Task: task, Since: a.Created}
	if j := s.Job(a.Job); j != nil {
		h.Kind, h.Model = j.Kind, j.Model
	}
	return h
}

// joinModels makes one row per model version that is served: those that report,
// and inference jobs that run but do not report yet.
func (st *state) joinModels(s *Snapshot) []Model {
	var out []Model
	reported := map[JobID]bool{}
	for key, row := range st.models {
		m := Model{ModelSample: row.sample, Reports: true, Latency: row.latency, Rate: row.rate}
		st.joinModelJob(s, &m)
		reported[key.Job] = true
		out = append(out, m)
	}
	for i := range s.Jobs {
		j := &s.Jobs[i]
		if j.Kind != KindInference || j.Stopped || reported[j.ID] {
			continue
		}
		m := Model{ModelSample: ModelSample{Place: st.place, Key: ModelKey{Job: j.ID, Model: j.Model, Version: j.ModelVer}}}
		st.joinModelJob(s, &m)
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Model) int {
		return cmp.Or(a.Key.Job.Compare(b.Key.Job), cmp.Compare(a.Key.Model, b.Key.Model), cmp.Compare(a.Key.Version, b.Key.Version))
	})
	return out
}

func (st *state) joinModelJob(s *Snapshot, m *Model) {
	if j := s.Job(m.Key.Job); j != nil {
		m.Desired, m.Running = j.Desired(), j.Running
	}
	m.GPUs, m.GPUUtil = jobUtil(s, m.Key.Job)
	for i := range st.artifacts {
		if a := &st.artifacts[i]; a.Model == m.Key.Model && a.Version == m.Key.Version {
			m.Artifact = a
		}
	}
}

func (st *state) joinTraining(s *Snapshot) []Training {
	var out []Training
	for i := range s.Jobs {
		j := &s.Jobs[i]
		row := st.training[j.ID]
		if j.Kind != KindTraining && row == nil {
			continue
		}
		t := Training{TrainingSample: TrainingSample{Place: st.place, Job: j.ID, Model: j.Model, Version: j.ModelVer}}
		if row != nil {
			t.TrainingSample, t.Loss, t.Reports = row.sample, row.loss, true
		}
		t.Status, t.Ended = trainingStatus(s, j)
		t.GPUs, t.GPUUtil = jobUtil(s, j.ID)
		out = append(out, t)
	}
	return out // jobs are sorted already
}

func trainingStatus(s *Snapshot, j *Job) (status string, ended time.Time) {
	switch {
	case j.Running > 0:
		return "running", ended
	case j.Waiting != nil:
		return "waiting", ended
	case j.Starting > 0:
		return "starting", ended
	}
	status = j.Status
	for _, a := range s.JobAllocs(j.ID) {
		if a.Terminal() {
			return a.Client, a.Modified
		}
	}
	return status, ended
}

// jobUtil is the mean utilisation over a job's GPUs that report.
func jobUtil(s *Snapshot, id JobID) (n int, util *float64) {
	var total float64
	var reporting int
	for i := range s.GPUs {
		g := &s.GPUs[i]
		if g.Holder == nil || g.Holder.Job != id {
			continue
		}
		n++
		if u := g.Util(); u != nil {
			total += *u
			reporting++
		}
	}
	if reporting == 0 {
		return n, nil
	}
	mean := total / float64(reporting)
	return n, &mean
}
