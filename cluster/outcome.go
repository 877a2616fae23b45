package cluster

import (
	"fmt"
	"strings"
	"time"
)

// Outcome says how far a job has come: what a script that submitted it waits for.
type Outcome struct {
	Done bool // it will not get further by waiting
	Good bool // Done, and as wanted
	Text string
}

// Outcome of a job's latest version: a service is done when its deployment
// succeeded or failed, or without one when all run; a batch job when the last
// allocation of each place has ended.
func (s *Snapshot) Outcome(id JobID) Outcome {
	j := s.Job(id)
	if j == nil {
		return Outcome{Text: "not seen yet"}
	}
	if j.Stopped {
		return Outcome{Done: true, Text: "was stopped"}
	}
	if j.Type == "batch" || j.Type == "sysbatch" {
		return s.batchOutcome(j)
	}
	if d := s.JobDeployment(id); d != nil && d.JobVersion == j.Version {
		switch d.Status {
		case "successful":
			return Outcome{true, true, fmt.Sprintf("healthy, %s running", count(j.Running, "allocation"))}
		case "failed", "cancelled":
			return Outcome{Done: true, Text: strings.TrimSpace("deployment " + d.Status + ": " + d.StatusText + s.whyFailed(j))}
		}
		return Outcome{Text: "deployment " + d.Status}
	}
	if j.Waiting != nil {
		return Outcome{Text: fmt.Sprintf("waiting: %s not placed", count(j.Waiting.Missing, "allocation"))}
	}
	return s.steadyOutcome(j)
}

// steadyAfter is Nomad's own min_healthy_time: an allocation without a verdict
// of a deployment counts when it ran for so long.
const steadyAfter = 10 * time.Second

// steadyOutcome is for jobs without a deployment of their version: those that
// have none by their nature, and those whose deployment was forgotten long ago.
func (s *Snapshot) steadyOutcome(j *Job) Outcome {
	var running, coming, old int
	rows := s.allocsOf(j.ID)
	for i := range rows {
		a := &rows[i]
		switch {
		case a.Terminal():
		case a.JobVersion != j.Version:
			old++
		case s.steady(a):
			running++
		default:
			coming++
		}
	}
	everywhere := j.Type == "system" // one on each node, however many these are
	switch {
	case coming > 0 || old > 0 || j.Groups == nil && !everywhere:
	case everywhere && running == 0 || !everywhere && running < j.Desired():
	default:
		return Outcome{true, true, fmt.Sprintf("%s running", count(running, "allocation"))}
	}
	return Outcome{Text: "starting"}
}

func (s *Snapshot) steady(a *Alloc) bool {
	if a.Client != "running" {
		return false
	}
	if a.Healthy != nil {
		return *a.Healthy
	}
	since := a.Modified
	for _, t := range a.Tasks {
		if t.Started.After(since) {
			since = t.Started
		}
	}
	return s.At.Sub(since) >= steadyAfter
}

// slot is one place of a batch job: what is placed there again replaces what failed.
type slot struct {
	name string
	node NodeID // set where each node has its own
}

func (s *Snapshot) batchOutcome(j *Job) Outcome {
	last := map[slot]*Alloc{}
	rows := s.allocsOf(j.ID)
	for i := range rows {
		a := &rows[i]
		if a.JobVersion != j.Version {
			continue
		}
		at := slot{name: a.Name}
		if j.Type == "sysbatch" {
			at.node = a.Node
		}
		if was := last[at]; was == nil || a.Created.After(was.Created) {
			last[at] = a
		}
	}
	var ended, failed, live int
	for _, a := range last {
		switch a.Client {
		case "complete":
			ended++
		case "failed", "lost":
			failed++
		default:
			live++
		}
	}
	switch {
	case live > 0:
		return Outcome{Text: "running"}
	case j.Waiting != nil:
		return Outcome{Text: fmt.Sprintf("waiting: %s not placed", count(j.Waiting.Missing, "allocation"))}
	case j.Status == "dead" && failed > 0:
		return Outcome{Done: true, Text: "failed" + s.whyFailed(j)}
	case j.Status == "dead" && ended > 0 && (j.Type == "sysbatch" || ended >= j.Desired()):
		return Outcome{true, true, "complete"}
	}
	return Outcome{Text: "starting"}
}

// whyFailed is the last word of the job's newest failed allocation.
func (s *Snapshot) whyFailed(j *Job) string {
	var newest *Alloc
	rows := s.allocsOf(j.ID)
	for i := range rows {
		a := &rows[i]
		if a.JobVersion == j.Version && a.Client == "failed" && (newest == nil || a.Modified.After(newest.Modified)) {
			newest = a
		}
	}
	if newest == nil {
		return ""
	}
	return "; " + newest.Name + lastWord(newest)
}
