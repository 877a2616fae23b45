package cluster

// JobState is the one word for a job, the worst first.
type JobState int

// The states.
const (
	JobFailed JobState = iota
	JobDegraded
	JobWaiting
	JobStarting
	JobRunning
	JobComplete
	JobStopped
)

// JobStates are the words of JobState, by its values.
func JobStates() []string {
	return []string{"failed", "degraded", "waiting", "starting", "running", "complete", "stopped"}
}

// String is the word.
func (s JobState) String() string { return JobStates()[s] }

// JobState says how a job does.
func (s *Snapshot) JobState(j *Job) JobState {
	bad := 0
	allocs := s.allocsOf(j.ID)
	for i := range allocs {
		if a := &allocs[i]; !a.Terminal() {
			for _, id := range a.GPUs {
				if g := s.GPU(id); g != nil && g.Holder != nil && g.Holder.Job == j.ID && (g.Failed() || !g.NodeUp) {
					bad++
				}
			}
		}
	}
	return j.State(s.JobDeployment(j.ID), bad)
}

// State says how a job does. d is its newest deployment, bad the number of its
// GPUs that failed under it.
func (j *Job) State(d *Deployment, bad int) JobState {
	switch {
	case j.Stopped:
		return JobStopped
	case j.Waiting != nil:
		return JobWaiting
	case bad > 0:
		return JobDegraded
	case j.Type == "batch" || j.Type == "sysbatch":
		return batchState(j)
	case d != nil && d.JobVersion == j.Version && d.Status == "failed":
		if j.Running > 0 {
			return JobDegraded
		}
		return JobFailed
	}
	return serviceState(j, d)
}

func batchState(j *Job) JobState {
	switch {
	case j.Running > 0:
		return JobRunning
	case j.Starting > 0:
		return JobStarting
	case j.Status == "dead" && j.Failed+j.Lost > 0:
		return JobFailed
	case j.Status == "dead":
		return JobComplete
	case j.Status == "running": // a periodic or parameterised parent: its children run
		return JobRunning
	}
	return JobStarting
}

func serviceState(j *Job, d *Deployment) JobState {
	want, known := j.Wants()
	switch {
	case j.Starting > 0 || d != nil && d.JobVersion == j.Version && d.Status == "running":
		return JobStarting
	case known && want == 0:
		return JobStopped
	case known && j.Running >= want, !known && j.Running > 0:
		return JobRunning
	case j.Running > 0:
		return JobDegraded
	case j.Failed+j.Lost > 0 || j.Status == "dead":
		return JobFailed
	}
	return JobStarting
}

// Wants is how many allocations the job asks for. That is not known before its
// specification was read, nor for a job that runs once on each node.
func (j *Job) Wants() (n int, known bool) {
	if j.Groups == nil || j.Type == "system" || j.Type == "sysbatch" {
		return 0, false
	}
	return j.Desired(), true
}
