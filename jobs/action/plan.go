package action

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"stoker/cluster"
)

func (r *Runner) planSubmit(ctx context.Context, p *Plan, s *cluster.Snapshot) error {
	parsed, err := r.Scheduler.Parse(ctx, p.File)
	if err != nil {
		return fmt.Errorf("parse %s: %w", p.File.Name, err)
	}
	p.Request.Job = parsed.ID
	p.Title = "submit job " + parsed.ID.String()
	jp, err := r.Scheduler.Plan(ctx, parsed)
	if err != nil {
		return fmt.Errorf("plan job %s: %w", parsed.ID, err)
	}
	p.Job = &jp
	if over(s, parsed.ID, &jp) {
		p.Nothing = fmt.Sprintf("job %s has ended and is not changed: nomad does not run it again; change it, or stop it with --purge first", parsed.ID)
		return nil
	}
	for _, c := range jp.Changes {
		if effect := groupEffect(c); effect != "" {
			p.Touches = append(p.Touches, Touch{"group", parsed.ID.Name + "." + c.Group, effect})
		}
		if n := c.Stop + c.Replace; n > 0 {
			p.Danger = true
			p.taken += n
		}
	}
	for _, id := range jp.Preempts {
		t := Touch{"alloc", id.Short(), "is preempted"}
		if a := s.Alloc(id); a != nil {
			t.Name, t.Effect = a.Name, "is preempted on "+a.NodeName // a name may be on several nodes
		}
		p.Touches = append(p.Touches, t)
		p.Danger = true
	}
	if jp.Warnings != "" {
		p.Warnings = append(p.Warnings, strings.Split(strings.TrimSpace(jp.Warnings), "\n")...)
	}
	for _, f := range jp.Failures {
		p.Warnings = append(p.Warnings, FailureText(f))
	}
	return nil
}

// over says that the same batch job has ended: registering it once more starts
// nothing, although Nomad's plan says so.
func over(s *cluster.Snapshot, id cluster.JobID, jp *cluster.JobPlan) bool {
	j := s.Job(id)
	return j != nil && j.Type == "batch" && j.Status == "dead" && !j.Stopped && !jp.New && len(jp.Diff) == 0
}

// FailureText is one line for a task group that the scheduler cannot place.
func FailureText(f cluster.PlacementFailure) string {
	looked := "no nodes to look at"
	if f.Evaluated > 0 {
		looked = count(f.Evaluated, "node") + " looked at"
	}
	text := fmt.Sprintf("group %s: %d not placed; %s", f.Group, max(f.Unplaced, 1), looked)
	var why []string
	for k, n := range f.Constraints {
		why = append(why, fmt.Sprintf("%d filtered: %s", n, k))
	}
	for k, n := range f.Dimensions {
		why = append(why, fmt.Sprintf("%d exhausted: %s", n, k))
	}
	slices.Sort(why)
	return strings.Join(append([]string{text}, why...), ", ")
}

func groupEffect(c cluster.GroupChange) string {
	var parts []string
	for _, x := range []struct {
		n    int
		what string
	}{
		{c.Place, "start"},
		{c.Canary, "start as canary"},
		{c.Update, "update in place"},
		{c.Replace, "replace"},
		{c.Migrate, "move"},
		{c.Stop, "stop"},
		{c.Ignore, "stay as they are"},
	} {
		if x.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", x.n, x.what))
		}
	}
	return strings.Join(parts, ", ")
}

func findJob(s *cluster.Snapshot, id cluster.JobID) (*cluster.Job, error) {
	if j := s.Job(id); j != nil {
		return j, nil
	}
	return nil, fmt.Errorf("%w: no job %s in %s", ErrUsage, id, s.Place.Cluster)
}

func planScale(p *Plan, s *cluster.Snapshot) error {
	job, err := findJob(s, p.Request.Job)
	if err != nil {
		return err
	}
	if job.Status == "dead" {
		return fmt.Errorf("%w: job %s has ended: submit it again to run it", ErrUsage, job.ID)
	}
	if d := s.JobDeployment(job.ID); d != nil && d.Status == "running" {
		return &cluster.Fault{
			Kind: cluster.ErrConflict, Text: fmt.Sprintf("scale job %s: a deployment is running", job.ID),
			Advice: "nomad scales the job when its deployment has ended: wait, or fail the deployment",
		}
	}
	group, err := findGroup(job, p.Group)
	if err != nil {
		return err
	}
	if p.Count < 0 {
		return fmt.Errorf("%w: count %d is negative", ErrUsage, p.Count)
	}
	p.Group = group.Name
	p.Title = fmt.Sprintf("scale %s.%s from %d to %d", job.ID, group.Name, group.Count, p.Count)
	diff := p.Count - group.Count
	gpus := 0
	for _, ask := range group.GPUs {
		gpus += ask.Count
	}
	switch {
	case diff == 0:
		p.Nothing = fmt.Sprintf("%s.%s already has count %d", job.ID, group.Name, p.Count)
	case diff > 0:
		p.Touches = []Touch{{"group", job.ID.Name + "." + group.Name, fmt.Sprintf("starts %d more, takes %s", diff, gpuCount(diff*gpus))}}
		p.Warnings = scarce(s, group, diff)
	default:
		stops := max(placed(s, job.ID, group.Name)-p.Count, 0) // what waits only goes from the list
		effect := fmt.Sprintf("stops %d, frees %s", stops, gpuCount(stops*gpus))
		if stops < -diff {
			effect += fmt.Sprintf(", %d that wait are given up", -diff-stops)
		}
		p.Danger, p.taken = true, stops
		p.Touches = []Touch{{"group", job.ID.Name + "." + group.Name, effect}}
	}
	return nil
}

// placed counts the allocations of a group that are there to stay.
func placed(s *cluster.Snapshot, id cluster.JobID, group string) int {
	n := 0
	for _, a := range s.JobAllocs(id) {
		if a.Group == group && !a.Terminal() && a.Stays() {
			n++
		}
	}
	return n
}

// scarce says which GPUs more of a group would wait for. What is free in all is
// the most that can be had: where it lies, only the scheduler knows.
func scarce(s *cluster.Snapshot, group cluster.Group, more int) []string {
	if !s.Fleet.Claims {
		return nil
	}
	var out []string
	for _, ask := range group.GPUs {
		free := 0
		for i := range s.GPUs {
			if g := &s.GPUs[i]; g.Free() && ask.Takes(g.Model) {
				free++
			}
		}
		if want := more * ask.Count; free < want {
			out = append(out, fmt.Sprintf("it will wait: it wants %d more of %s, and %d can be had now", want, ask.Name, free))
		}
	}
	return out
}

func findGroup(job *cluster.Job, name string) (cluster.Group, error) {
	var names []string
	for _, g := range job.Groups {
		if g.Name == name || name == "" && len(job.Groups) == 1 {
			return g, nil
		}
		names = append(names, g.Name)
	}
	if name == "" {
		return cluster.Group{}, fmt.Errorf("%w: job %s has the groups %s: name one", ErrUsage, job.ID, strings.Join(names, ", "))
	}
	return cluster.Group{}, fmt.Errorf("%w: job %s has no group %q (it has %s)", ErrUsage, job.ID, name, strings.Join(names, ", "))
}

func planRestart(p *Plan, s *cluster.Snapshot) error {
	job, err := findJob(s, p.Request.Job)
	if err != nil {
		return err
	}
	p.Title = "restart job " + job.ID.String()
	for _, a := range s.JobAllocs(job.ID) {
		if a.Client == "running" && a.Stays() {
			p.allocs = append(p.allocs, a.ID)
			p.Touches = append(p.Touches, Touch{"alloc", a.Name, "restarts on " + a.NodeName})
		}
	}
	if len(p.allocs) == 0 {
		p.Nothing = fmt.Sprintf("job %s has no running allocation", job.ID)
	}
	return nil
}

func planStop(p *Plan, s *cluster.Snapshot) error {
	job, err := findJob(s, p.Request.Job)
	if err != nil {
		return err
	}
	p.Title = "stop job " + job.ID.String()
	if p.Purge {
		p.Title = "stop and forget job " + job.ID.String()
	}
	for _, a := range s.JobAllocs(job.ID) {
		if !a.Terminal() && a.Stays() {
			p.Touches = append(p.Touches, Touch{"alloc", a.Name, stopEffect(&a)})
		}
	}
	if job.Stopped && len(p.Touches) == 0 && !p.Purge {
		p.Nothing = fmt.Sprintf("job %s is already stopped", job.ID)
	}
	if len(p.Touches) == 0 && p.Nothing == "" {
		p.Touches = []Touch{{"job", job.ID.String(), "has nothing running"}}
	}
	return nil
}

func stopEffect(a *cluster.Alloc) string {
	text := "stops on " + a.NodeName
	if len(a.GPUs) > 0 {
		text += ", frees " + gpuCount(len(a.GPUs))
	}
	return text
}

func findNode(s *cluster.Snapshot, id cluster.NodeID) (*cluster.Node, error) {
	if n := s.Node(id); n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("%w: no node %s in %s", ErrUsage, id.Short(), s.Place.Cluster)
}

// DrainDeadline is what nomad node drain uses when none is given.
const DrainDeadline = time.Hour

func planDrain(p *Plan, s *cluster.Snapshot) error {
	if p.Deadline < 0 { // to Nomad, that means to stop all at once
		return fmt.Errorf("%w: deadline %s is negative", ErrUsage, p.Deadline)
	}
	if p.Deadline == 0 {
		p.Deadline = DrainDeadline
	}
	node, err := findNode(s, p.Node)
	if err != nil {
		return err
	}
	p.Title, p.NodeName = "drain node "+node.Name, node.Name
	if node.Draining {
		p.Nothing = "node " + node.Name + " is draining already"
		return nil
	}
	p.Touches = []Touch{{"node", node.Name, "takes no new work; stops the rest in " + span(p.Deadline)}}
	moving := map[string]int{} // GPUs by what their jobs ask for
	for _, a := range s.NodeAllocs(node.ID) {
		switch {
		case !a.Stays(): // it goes anyway
		case system(s, &a):
			p.Touches = append(p.Touches, Touch{"alloc", a.Name, "stops last: it is a system job"})
		case len(a.GPUs) > 0:
			p.Touches = append(p.Touches, Touch{"alloc", a.Name, "moves away, with " + heldGPUs(s, &a)})
			for _, id := range a.GPUs {
				if g := s.GPU(id); g != nil {
					moving[asked(s, &a, g.Model)]++
				}
			}
		default:
			p.Touches = append(p.Touches, Touch{"alloc", a.Name, "moves away"})
		}
	}
	p.Warnings = homeless(s, node.ID, moving)
	if !node.Eligible && len(p.Touches) == 1 {
		p.Touches, p.Nothing = nil, "node "+node.Name+" takes no new work already, and nothing runs on it"
	}
	return nil
}

func system(s *cluster.Snapshot, a *cluster.Alloc) bool {
	j := s.Job(a.Job)
	return j != nil && (j.Type == "system" || j.Type == "sysbatch")
}

// heldGPUs counts what an allocation holds, and names what has failed of it.
func heldGPUs(s *cluster.Snapshot, a *cluster.Alloc) string {
	var failed []string
	for _, id := range a.GPUs {
		if g := s.GPU(id); g != nil && g.Failed() {
			failed = append(failed, fmt.Sprint(g.Index))
		}
	}
	text := gpuCount(len(a.GPUs))
	switch len(failed) {
	case 0:
		return text
	case 1:
		return text + "; GPU " + failed[0] + " has failed"
	}
	return text + "; GPUs " + strings.Join(failed, ", ") + " have failed"
}

// asked is the device that the job of an allocation asks for where it was given
// a GPU of this model; a job that is not known is taken to want the same again.
func asked(s *cluster.Snapshot, a *cluster.Alloc, model string) string {
	if j := s.Job(a.Job); j != nil {
		for _, g := range j.Groups {
			for _, ask := range g.GPUs {
				if g.Name == a.Group && ask.Takes(model) {
					return ask.Name
				}
			}
		}
	}
	return "nvidia/gpu/" + model
}

// homeless says for which asks other nodes have too few free GPUs for those
// that move.
func homeless(s *cluster.Snapshot, from cluster.NodeID, moving map[string]int) []string {
	if !s.Fleet.Claims {
		return nil
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(moving)) {
		free, ask := 0, cluster.GPUAsk{Name: name}
		for i := range s.GPUs {
			if g := &s.GPUs[i]; g.Free() && g.Node != from && ask.Takes(g.Model) {
				free++
			}
		}
		if n := moving[name]; free < n {
			out = append(out, fmt.Sprintf("what moves asks for %d of %s, and other nodes have %d free: what finds no place waits", n, name, free))
		}
	}
	return out
}

func planIneligible(p *Plan, s *cluster.Snapshot) error {
	node, err := findNode(s, p.Node)
	if err != nil {
		return err
	}
	p.Title, p.NodeName = "make node "+node.Name+" ineligible", node.Name
	if !node.Eligible {
		p.Nothing = "node " + node.Name + " takes no new work already"
		return nil
	}
	p.Touches = []Touch{{"node", node.Name, "takes no new work"}}
	for _, a := range s.NodeAllocs(node.ID) {
		switch {
		case !a.Stays() || system(s, &a):
		case len(a.GPUs) > 0:
			p.Touches = append(p.Touches, Touch{"alloc", a.Name, "stays, with " + heldGPUs(s, &a)})
		default:
			p.Touches = append(p.Touches, Touch{"alloc", a.Name, "stays"})
		}
	}
	return nil
}

// span is a duration without the zeros at its end: 1h, not 1h0m0s.
func span(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"0s", "0m"} {
		if short := strings.TrimSuffix(text, zero); strings.HasSuffix(short, "m") || strings.HasSuffix(short, "h") {
			text = short
		}
	}
	return text
}

func planUndrain(p *Plan, s *cluster.Snapshot) error {
	node, err := findNode(s, p.Node)
	if err != nil {
		return err
	}
	p.Title, p.NodeName = "end the drain of node "+node.Name, node.Name
	if !node.Draining {
		p.Title = "make node " + node.Name + " eligible"
	}
	if !node.Draining && node.Eligible {
		p.Nothing = "node " + node.Name + " takes work already"
		return nil
	}
	p.Touches = []Touch{{"node", node.Name, "takes work again"}}
	return nil
}

func gpuCount(n int) string { return count(n, "GPU") }

func count(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}
