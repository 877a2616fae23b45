package tui

import (
	"time"

	"stoker/cluster"
	"stoker/jobs/action"
)

// snapshotMsg comes from waitSnapshot; ok is false when the Feed has ended, and
// from says of which session it is.
type snapshotMsg struct {
	snap *cluster.Snapshot
	ok   bool
	from <-chan *cluster.Snapshot
}

// tickMsg comes once a second; the active screen redraws its ages.
type tickMsg struct{ now time.Time }

// planReadyMsg is the reply to ask; dropped when id is not the pending one.
type planReadyMsg struct {
	id   int
	plan action.Plan
	err  error
}

// doneMsg is the reply to a change that was confirmed. It is always shown.
type doneMsg struct {
	id    int
	title string
	text  string
	made  cluster.JobID // the job that was submitted; zero for other changes
	err   error
}

// linkMsg says that the terminal took all that was written: what changed since
// may be drawn, and all of it when something was lost on the way.
type linkMsg struct{ lost bool }
