package explain

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"stoker/cluster"
)

// account is the evaluation in which Nomad tells what it counted.
type account struct{ *cluster.Evaluation }

// accountOf is Nomad's latest account of a job; nil when there is none.
func accountOf(s *cluster.Snapshot, id cluster.JobID) *account {
	j := s.Job(id)
	if j == nil || j.Waiting == nil {
		return nil
	}
	for i := range s.Evaluations { // the latest change comes first
		if e := &s.Evaluations[i]; e.Job == id && len(e.Failures) > 0 {
			return &account{e}
		}
	}
	return nil
}

func (a *account) of(group string) *cluster.PlacementFailure {
	if a == nil {
		return nil
	}
	for i := range a.Failures {
		if a.Failures[i].Group == group {
			return &a.Failures[i]
		}
	}
	return nil
}

// situation says what the job does, and whether there is more to explain.
func (e *Explanation) situation(s *cluster.Snapshot, j *cluster.Job) (waits bool) {
	if j.Waiting != nil && !j.Stopped {
		e.waiting(s, j)
		return true
	}
	live, done, bad := 0, 0, 0
	for _, a := range s.JobAllocs(j.ID) {
		switch {
		case !a.Terminal():
			live++
		case a.Client == "complete":
			done++
		default:
			bad++
		}
	}
	switch {
	case j.Stopped:
		e.Summary = "It does not wait: it was stopped" + ending(live) + "."
	case j.Parameterized && j.Parent == "":
		e.Summary = "It is never placed itself: it is parameterised, and each dispatch starts a child of it" + e.children(s, j) + "."
	case j.Periodic && j.Parent == "":
		e.Summary = "It is never placed itself: it is periodic, and starts a child at its times" + e.children(s, j) + "."
	case j.Status == "dead":
		e.Summary = fmt.Sprintf("It does not wait: it is over, with %s complete and %d failed or lost.", count(done, "allocation"), bad)
	default:
		return e.under(s, j, live)
	}
	return false
}

func ending(live int) string {
	if live == 0 {
		return ""
	}
	return ", and " + count(live, "allocation") + " still ends"
}

func (e *Explanation) children(s *cluster.Snapshot, j *cluster.Job) string {
	all, waits := 0, []string{}
	for i := range s.Jobs {
		if c := &s.Jobs[i]; c.Parent == j.ID.Name && c.ID.Namespace == j.ID.Namespace && c.Place == j.Place {
			all++
			if c.Waiting != nil {
				waits = append(waits, c.ID.Name)
			}
		}
	}
	switch {
	case all == 0:
		return "; there is none now"
	case len(waits) > 0:
		return fmt.Sprintf("; of its %d, these wait: %s", all, names(waits, 3))
	}
	return fmt.Sprintf("; none of its %d waits", all)
}

// waiting is a job with an evaluation that is blocked.
func (e *Explanation) waiting(s *cluster.Snapshot, j *cluster.Job) {
	w := j.Waiting
	e.Since = w.Since
	e.Summary = "It waits"
	if !w.Since.IsZero() {
		e.Summary += " " + Long(s.At.Sub(w.Since))
	}
	missing := max(w.Missing, 1)
	e.Summary += fmt.Sprintf(": %s without a node", count(missing, "allocation"))
	if live := j.Running + j.Starting; live > 0 {
		e.Summary += fmt.Sprintf(", %d placed", live)
	}
	e.Summary += "."
	if ev := s.Evaluation(w.Eval); ev != nil && ev.TriggeredBy == "max-plan-attempts" {
		e.Notes = append(e.Notes, "Nomad's plans for it were refused too often, since others took the places meanwhile: it is tried again when something becomes free.")
	}
	e.rollout(s, j)
}

// under is a job that is under way.
func (e *Explanation) under(s *cluster.Snapshot, j *cluster.Job, live int) (waits bool) {
	e.rollout(s, j)
	if next := pending(s, j.ID); next != nil {
		switch {
		case next.WaitUntil.After(s.At):
			e.Summary = fmt.Sprintf("It waits for a time: Nomad tries again in %s (%s).", Long(next.WaitUntil.Sub(s.At)), cmp.Or(next.StatusText, next.TriggeredBy))
		default:
			e.Summary = fmt.Sprintf("Nomad has not looked for a node yet: its evaluation %s is pending since %s.", next.ID.Short(), Long(s.At.Sub(next.Created)))
		}
		e.failed(s, j)
		return false
	}
	if j.Groups == nil || j.Type == "system" || j.Type == "sysbatch" {
		e.Summary = fmt.Sprintf("It does not wait: %s placed%s.", count(live, "allocation"), starting(j))
		e.failed(s, j)
		return false
	}
	short, want := 0, j.Desired()
	for i := range j.Groups {
		var g Group
		g.tally(s, j, &j.Groups[i], nil)
		short += g.Missing
	}
	switch {
	case want == 0:
		e.Summary = "It does not wait: it asks for no allocation (count 0)."
	case short == 0:
		e.Summary = fmt.Sprintf("It does not wait: %d of %s placed%s.", min(live, want), count(want, "allocation"), starting(j))
		e.failed(s, j)
	default:
		e.Summary = fmt.Sprintf("%s of %d has no node, and no evaluation waits for one.", count(short, "allocation"), want)
		e.Notes = append(e.Notes, "Nomad looks again when the job is evaluated: "+evalCommand(j.ID))
		e.failed(s, j)
		return true
	}
	return false
}

// starting says what the tasks of a job that starts say.
func starting(j *cluster.Job) string {
	if j.Starting == 0 {
		return ""
	}
	return fmt.Sprintf(", of which %d only starts", j.Starting)
}

// failed adds what the latest allocation that failed said, and what one that
// starts says.
func (e *Explanation) failed(s *cluster.Snapshot, j *cluster.Job) {
	for _, a := range s.JobAllocs(j.ID) { // the newest first
		if a.Client != "failed" && a.Client != "pending" || a.JobVersion != j.Version {
			continue
		}
		if said := a.Said(); said != "" {
			e.Notes = append(e.Notes, fmt.Sprintf("%s on %s is %s: %s", strings.TrimPrefix(a.Name, j.ID.Name+"."), a.NodeName, a.Client, said))
		}
		return
	}
}

// rollout notes a deployment that waits for somebody or was given up.
func (e *Explanation) rollout(s *cluster.Snapshot, j *cluster.Job) {
	d := s.JobDeployment(j.ID)
	if d == nil || d.JobVersion != j.Version {
		return
	}
	note := ""
	switch d.Status {
	case "failed":
		note = "its deployment failed: " + cmp.Or(d.StatusText, "no reason is told")
	case "paused":
		note = "its deployment is paused: nothing more is placed for it until it is resumed"
	case "blocked", "pending":
		note = "its deployment waits for other regions"
	case "running":
		for _, g := range d.Groups {
			if g.Canaries > 0 && !g.Promoted {
				note = "it waits to be promoted: until then only its canaries are placed"
			}
		}
	}
	if note != "" {
		e.Notes = append(e.Notes, fmt.Sprintf("version %d: ", d.JobVersion)+note)
	}
}

// pending is an evaluation of the job that nobody took up yet.
func pending(s *cluster.Snapshot, id cluster.JobID) *cluster.Evaluation {
	for i := range s.Evaluations {
		if e := &s.Evaluations[i]; e.Job == id && e.Status == "pending" {
			return e
		}
	}
	return nil
}

// since is how long ago something was, "some time" when that is not known.
func since(at, now time.Time) string {
	if at.IsZero() {
		return "some time"
	}
	return Long(now.Sub(at))
}
