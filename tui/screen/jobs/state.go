package jobs

import (
	"stoker/cluster"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// state is the one word for a job, the worst first.
type state int

const (
	failed state = iota
	degraded
	waiting
	starting
	running
	complete
	stopped
)

func (s state) String() string {
	return [...]string{"failed", "degraded", "waiting", "starting", "running", "complete", "stopped"}[s]
}

// stateOf says how a job does. d is its newest deployment, bad the number of
// its GPUs that failed under it.
func stateOf(j *cluster.Job, d *cluster.Deployment, bad int) state {
	switch {
	case j.Stopped:
		return stopped
	case j.Waiting != nil:
		return waiting
	case bad > 0:
		return degraded
	case j.Type == "batch" || j.Type == "sysbatch":
		return batchState(j)
	case d != nil && d.JobVersion == j.Version && d.Status == "failed":
		if j.Running > 0 {
			return degraded
		}
		return failed
	}
	return serviceState(j, d)
}

func batchState(j *cluster.Job) state {
	switch {
	case j.Running > 0:
		return running
	case j.Starting > 0:
		return starting
	case j.Status == "dead" && j.Failed+j.Lost > 0:
		return failed
	case j.Status == "dead":
		return complete
	case j.Status == "running": // a periodic or parameterised parent: its children run
		return running
	}
	return starting
}

func serviceState(j *cluster.Job, d *cluster.Deployment) state {
	want, known := wanted(j)
	switch {
	case j.Starting > 0 || d != nil && d.JobVersion == j.Version && d.Status == "running":
		return starting
	case known && want == 0:
		return stopped
	case known && j.Running >= want, !known && j.Running > 0:
		return running
	case j.Running > 0:
		return degraded
	case j.Failed+j.Lost > 0 || j.Status == "dead":
		return failed
	}
	return starting
}

// wanted is how many allocations the job asks for. That is not known before its
// specification was read, nor for a job that runs once on each node.
func wanted(j *cluster.Job) (n int, known bool) {
	if j.Groups == nil || j.Type == "system" || j.Type == "sysbatch" {
		return 0, false
	}
	return j.Desired(), true
}

func stateCell(th *theme.Theme, s state) ui.Cell {
	switch s {
	case failed:
		return ui.In(th.Bad, th.G.Bad+" failed")
	case degraded, waiting:
		return ui.In(th.Warn, th.G.Warn+" "+s.String())
	case starting:
		return ui.In(th.Accent, th.G.Busy+" starting")
	case running:
		return ui.In(th.OK, th.G.OK+" running")
	}
	return ui.In(th.Muted, th.G.Off+" "+s.String())
}
