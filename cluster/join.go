package cluster

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// utilEvery is the time between two points of the fleet's utilisation curve.
const utilEvery = 5 * time.Second

// joins are what was joined for the last snapshot, kept until one of the
// tables that it depends on changes: most snapshots differ in samples only.
type joins struct {
	jobs     []Job
	jobsOf   [3]int // revisions of jobs, allocations, evaluations
	byJob    map[JobID]span
	byNode   map[NodeID][]int
	placesOf int // arrangement of allocations
	rollouts map[JobID]int
	rolledOf int // revision of deployments

	layout   layout
	layoutOf [2]int // revisions of what GPU rows show of nodes, of devices
}

// snapshot joins everything that is held into a new Snapshot.
func (st *state) snapshot() *Snapshot {
	st.rev++
	s := &Snapshot{
		Rev: st.rev, At: st.now(), Place: st.place, of: st.of,
		Artifacts: st.artifacts, Vault: st.vault, EventsDropped: st.dropped, Events: st.newestFirst(),
		Ready: (st.listed|st.refused)&SetAll == SetAll, Known: st.listed &^ st.refused, Partial: st.partial,
	}
	s.Nodes, s.nodes = st.nodes.all()
	s.Allocs, s.allocs = st.allocs.all()
	s.Deployments, _ = st.deployments.all()
	s.Evaluations, s.evals = st.evals.all()
	s.Services, _ = st.services.all()
	s.Pools, _ = st.pools.all()
	s.Namespaces, _ = st.namespaces.all()
	s.Variables, _ = st.variables.all()
	st.joinJobs(s)
	st.joinGPUs(s)
	use := useByJob(s)
	s.Models = st.joinModels(s, use)
	s.Training = st.joinTraining(s, use)
	s.Keys = joinKeys(st.place, st.vault, st.artifacts)
	s.Sources = st.allSources()
	s.clocks = st.clocksApart()
	s.Fleet = sum(s)
	if u := s.Fleet.UtilPercent; u != nil && s.At.Sub(st.utilAt) >= utilEvery {
		st.utilPast, st.utilAt = tail(st.utilPast, *u), s.At
	}
	s.Fleet.Util = st.utilPast
	s.jobAccounts, s.spaceAccounts = st.ledger.copies()
	s.Problems = problems(s)
	return s
}

// allSources are sorted by name: of a large fleet there are thousands, which
// seldom come or go.
func (st *state) allSources() []SourceStatus {
	if st.sourceNames == nil {
		st.sourceNames = slices.Sorted(maps.Keys(st.sources))
	}
	out := make([]SourceStatus, len(st.sourceNames))
	for i, name := range st.sourceNames {
		out[i] = st.sources[name]
	}
	return out
}

// joinJobs puts the jobs into s, and which allocations and deployment are whose.
func (st *state) joinJobs(s *Snapshot) {
	j := &st.joined
	s.Jobs, s.jobs = st.jobs.all()
	st.retell()
	if j.byJob == nil || j.placesOf != st.allocs.places {
		j.byJob, j.byNode = placeAllocs(s.Allocs)
		j.placesOf = st.allocs.places
	}
	s.jobAllocs, s.nodeAllocs = j.byJob, j.byNode
	if of := [3]int{st.jobs.rev, st.allocs.rev, st.evals.rev}; j.jobs == nil || j.jobsOf != of {
		j.jobs, j.jobsOf = countJobs(s, st.heldBy), of
	}
	if j.rollouts == nil || j.rolledOf != st.deployments.rev {
		j.rollouts, j.rolledOf = newestOf(s.Deployments), st.deployments.rev
	}
	s.Jobs, s.rollouts = j.jobs, j.rollouts
}

func placeAllocs(rows []Alloc) (map[JobID]span, map[NodeID][]int) {
	byJob, byNode := map[JobID]span{}, map[NodeID][]int{}
	for i := range rows {
		a := &rows[i]
		byNode[a.Node] = append(byNode[a.Node], i)
		if i == 0 || rows[i-1].Job != a.Job {
			byJob[a.Job] = span{i, i}
		}
		byJob[a.Job] = span{byJob[a.Job].from, i + 1}
	}
	return byJob, byNode
}

func newestOf(rows []Deployment) map[JobID]int {
	out := map[JobID]int{}
	for i := range rows { // the latest change comes first
		d := &rows[i]
		if best, ok := out[d.Job]; !ok || d.JobVersion > rows[best].JobVersion {
			out[d.Job] = i
		}
	}
	return out
}

// learnVersions takes the version of a job whose source does not tell it from
// its newest allocation.
func learnVersions(s *Snapshot, jobs []Job) {
	for i := range jobs {
		j := &jobs[i]
		if j.Version != UnknownVersion {
			continue
		}
		j.Version = 0
		rows := s.allocsOf(j.ID)
		for k := range rows {
			j.Version = max(j.Version, rows[k].JobVersion)
		}
	}
}

// countJobs counts each job's allocations and says why it waits, if it does.
func countJobs(s *Snapshot, held map[JobID]int) []Job {
	out := slices.Clone(s.Jobs)
	learnVersions(s, out)
	j, ok := 0, false
	for i := range s.Allocs {
		a := &s.Allocs[i]
		if i == 0 || a.Job != s.Allocs[i-1].Job { // they are in order of jobs
			j, ok = s.jobs[a.Job]
		}
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
	}
	for i := range out { // not by allocation: while one leaves, the next may have its device already
		out[i].GPUsHeld = held[out[i].ID]
	}
	evals := s.Evaluations
	failures := map[JobID]*Evaluation{}
	for i := range evals { // newest first: the first seen is the latest
		e := &evals[i]
		if len(e.Failures) > 0 && failures[e.Job] == nil {
			failures[e.Job] = e
		}
	}
	for i := range evals {
		e := &evals[i]
		j, ok := s.jobs[e.Job]
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

// joinModels makes one row per model version that is served: those that report,
// and inference jobs that run but do not report yet.
func (st *state) joinModels(s *Snapshot, use map[JobID]*gpuUse) []Model {
	var out []Model
	reported := map[JobID]bool{}
	for key, row := range st.models {
		m := Model{ModelSample: row.sample, Reports: true, Latency: row.latency, Rate: row.rate}
		st.joinModelJob(s, use, &m)
		reported[key.Job] = true
		out = append(out, m)
	}
	for i := range s.Jobs {
		j := &s.Jobs[i]
		if j.Kind != KindInference || j.Stopped || reported[j.ID] {
			continue
		}
		m := Model{ModelSample: ModelSample{Place: st.place, Key: ModelKey{Job: j.ID, Model: j.Model, Version: j.ModelVer}}}
		st.joinModelJob(s, use, &m)
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Model) int {
		return cmp.Or(a.Key.Job.Compare(b.Key.Job), cmp.Compare(a.Key.Model, b.Key.Model), cmp.Compare(a.Key.Version, b.Key.Version))
	})
	return out
}

func (st *state) joinModelJob(s *Snapshot, use map[JobID]*gpuUse, m *Model) {
	if j := s.Job(m.Key.Job); j != nil {
		m.Desired, m.Running = j.Desired(), j.Running
	}
	m.GPUs, m.GPUUtil = use[m.Key.Job].figures()
	for i := range st.artifacts {
		if a := &st.artifacts[i]; a.Model == m.Key.Model && a.Version == m.Key.Version {
			m.Artifact = a
		}
	}
}

func (st *state) joinTraining(s *Snapshot, use map[JobID]*gpuUse) []Training {
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
		t.GPUs, t.GPUUtil = use[j.ID].figures()
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
	var newest *Alloc
	rows := s.allocsOf(j.ID)
	for i := range rows {
		if a := &rows[i]; a.Terminal() && (newest == nil || a.Created.After(newest.Created)) {
			newest = a
		}
	}
	switch {
	case newest == nil:
		return status, ended
	case newest.Client == "complete" && !newest.Stays():
		return "stopped", newest.Modified // by someone, before it was done
	}
	return newest.Client, newest.Modified
}

// gpuUse is what the GPUs of one job do together.
type gpuUse struct {
	gpus, reporting int
	util            float64 // percent, summed over those reporting
}

func useByJob(s *Snapshot) map[JobID]*gpuUse {
	out := make(map[JobID]*gpuUse, len(s.Jobs))
	var job JobID // of the last GPU: those of a node have few holders
	var u *gpuUse
	for i := range s.GPUs {
		g := &s.GPUs[i]
		if g.Holder == nil {
			continue
		}
		if u == nil || g.Holder.Job != job {
			job = g.Holder.Job
			if u = out[job]; u == nil {
				u = &gpuUse{}
				out[job] = u
			}
		}
		u.gpus++
		if now := g.Live(s.At); now != nil && now.UtilPercent != nil {
			u.util += *now.UtilPercent
			u.reporting++
		}
	}
	return out
}

// figures are the number of GPUs and their mean utilisation; nil when none reports.
func (u *gpuUse) figures() (gpus int, util *float64) {
	if u == nil {
		return 0, nil
	}
	if u.reporting == 0 {
		return u.gpus, nil
	}
	mean := u.util / float64(u.reporting)
	return u.gpus, &mean
}
