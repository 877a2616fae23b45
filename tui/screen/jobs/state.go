package jobs

import (
	"stoker/cluster"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// state is the one word for a job, the worst first.
type state = cluster.JobState

const (
	failed   = cluster.JobFailed
	degraded = cluster.JobDegraded
	waiting  = cluster.JobWaiting
	starting = cluster.JobStarting
	running  = cluster.JobRunning
	complete = cluster.JobComplete
	stopped  = cluster.JobStopped
)

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
