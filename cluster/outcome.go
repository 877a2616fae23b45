package cluster

import (
	"fmt"
	"strings"
)

// Outcome says how far a job has come: what a script that submitted it waits for.
type Outcome struct {
	Done bool // it will not get further by waiting
	Good bool // Done, and as wanted
	Text string
}

// Outcome of a job's latest version: a service is done when its deployment
// succeeded or failed, a batch job when all allocations have ended.
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
	if j.Type == "system" && j.Running > 0 && j.Starting == 0 {
		return Outcome{true, true, fmt.Sprintf("%s running", count(j.Running, "allocation"))}
	}
	if j.Waiting != nil {
		return Outcome{Text: fmt.Sprintf("waiting: %s not placed", count(j.Waiting.Missing, "allocation"))}
	}
	return Outcome{Text: "starting"}
}

func (s *Snapshot) batchOutcome(j *Job) Outcome {
	var ended, failed, live int
	for i := range s.Allocs {
		a := &s.Allocs[i]
		if a.Job != j.ID || a.JobVersion != j.Version {
			continue
		}
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
	case j.Status == "dead" && ended >= j.Desired() && ended > 0:
		return Outcome{true, true, "complete"}
	case j.Status == "dead" && failed > 0:
		return Outcome{Done: true, Text: "failed" + s.whyFailed(j)}
	}
	return Outcome{Text: "starting"}
}

// whyFailed is the last word of the job's newest failed allocation.
func (s *Snapshot) whyFailed(j *Job) string {
	var newest *Alloc
	for i := range s.Allocs {
		a := &s.Allocs[i]
		if a.Job == j.ID && a.JobVersion == j.Version && a.Client == "failed" && (newest == nil || a.Modified.After(newest.Modified)) {
			newest = a
		}
	}
	if newest == nil {
		return ""
	}
	return "; " + newest.Name + lastWord(newest)
}
