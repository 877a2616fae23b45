package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"stoker/cluster"
)

// parsed is what a ParsedJob holds: the job and the text it came from, which
// Nomad keeps beside it so that nomad job inspect can show it.
type parsed struct {
	job    *api.Job
	source *api.JobSubmission
}

// Parse lets Nomad read a job file. A file that reads other files is refused
// by Nomad, since it would read the server's.
func (c *Client) Parse(ctx context.Context, f cluster.JobFile) (cluster.ParsedJob, error) {
	if len(f.JSON) > 0 {
		return c.parseJSON(f)
	}
	vars := variables(f.Vars)
	req := &api.JobsParseRequest{JobHCL: f.HCL, Variables: vars, Canonicalize: true}
	job := new(api.Job)
	_, err := c.api.Raw().Write("/v1/jobs/parse", req, job, c.write(ctx, ""))
	if err != nil {
		return cluster.ParsedJob{}, c.parseFault(f, err)
	}
	return wrap(job, &api.JobSubmission{Source: f.HCL, Format: "hcl2", Variables: vars}), nil
}

func (c *Client) parseFault(f cluster.JobFile, err error) error {
	err = c.fault(err)
	text := err.Error()
	for _, fn := range []string{"file", "fileexists", "filebase64", "templatefile", "abspath"} {
		if strings.Contains(text, `function named "`+fn+`"`) || strings.Contains(text, "filesystem function disabled") {
			return &cluster.Fault{
				Kind: err, Err: err, Text: fmt.Sprintf("%s reads a file, which Nomad does not do for a job parsed on the server", f.Name),
				Advice: "nomad job run -output " + f.Name + " | stoker submit -",
			}
		}
	}
	return err
}

// variables renders the content of a variables file.
func variables(vars map[string]string) string {
	var b strings.Builder
	names := make([]string, 0, len(vars))
	for k := range vars {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		fmt.Fprintf(&b, "%s = %s\n", k, vars[k])
	}
	return b.String()
}

func (c *Client) parseJSON(f cluster.JobFile) (cluster.ParsedJob, error) {
	var doc struct{ Job *api.Job }
	if err := json.Unmarshal(f.JSON, &doc); err != nil {
		return cluster.ParsedJob{}, fmt.Errorf("%s is no job in JSON: %w", f.Name, err)
	}
	job := doc.Job
	if job == nil { // the bare form
		job = new(api.Job)
		if err := json.Unmarshal(f.JSON, job); err != nil {
			return cluster.ParsedJob{}, fmt.Errorf("%s is no job in JSON: %w", f.Name, err)
		}
	}
	if job.ID == nil || *job.ID == "" {
		return cluster.ParsedJob{}, fmt.Errorf("%s holds no job: expected what nomad job run -output prints", f.Name)
	}
	job.Canonicalize()
	return wrap(job, nil), nil
}

func wrap(job *api.Job, source *api.JobSubmission) cluster.ParsedJob {
	id := cluster.JobID{Namespace: api.DefaultNamespace, Name: *job.ID}
	if job.Namespace != nil && *job.Namespace != "" {
		id.Namespace = *job.Namespace
	}
	out := cluster.ParsedJob{ID: id, Body: parsed{job, source}}
	if job.Type != nil {
		out.Type = *job.Type
	}
	return out
}

// Plan asks Nomad what submitting would do, placing nothing.
func (c *Client) Plan(ctx context.Context, j cluster.ParsedJob) (cluster.JobPlan, error) {
	p, ok := j.Body.(parsed)
	if !ok {
		return cluster.JobPlan{}, errors.New("plan: the job was not parsed by this client")
	}
	resp, _, err := c.api.Jobs().PlanOpts(p.job, &api.PlanOptions{Diff: true}, c.write(ctx, j.ID.Namespace))
	if err != nil {
		return cluster.JobPlan{}, c.fault(err)
	}
	out := cluster.JobPlan{
		Job: j, CheckIndex: resp.JobModifyIndex, New: resp.JobModifyIndex == 0, Warnings: resp.Warnings,
		NextPeriodic: resp.NextPeriodicLaunch, GPUs: wants(p.job), Diff: diffLines(resp.Diff),
	}
	if a := resp.Annotations; a != nil {
		for group, d := range a.DesiredTGUpdates {
			out.Changes = append(out.Changes, cluster.GroupChange{
				Group: group, Place: int(d.Place), Update: int(d.InPlaceUpdate), Replace: int(d.DestructiveUpdate),
				Stop: int(d.Stop), Migrate: int(d.Migrate), Ignore: int(d.Ignore), Canary: int(d.Canary),
			})
		}
		slices.SortFunc(out.Changes, func(a, b cluster.GroupChange) int { return strings.Compare(a.Group, b.Group) })
		for _, s := range a.PreemptedAllocs {
			out.Preempts = append(out.Preempts, cluster.AllocID(s.ID))
		}
	}
	for group, m := range resp.FailedTGAllocs {
		f := metricJSON{
			NodesEvaluated: m.NodesEvaluated, NodesFiltered: m.NodesFiltered, NodesExhausted: m.NodesExhausted,
			CoalescedFailures: m.CoalescedFailures, ConstraintFiltered: m.ConstraintFiltered, DimensionExhausted: m.DimensionExhausted,
		}
		out.Failures = append(out.Failures, f.row(group))
	}
	return out, nil
}

// wants counts the GPUs that all allocations of a job ask for together.
func wants(job *api.Job) int {
	n := 0
	for _, tg := range job.TaskGroups {
		count := 1
		if tg.Count != nil {
			count = *tg.Count
		}
		for _, t := range tg.Tasks {
			if t.Resources == nil {
				continue
			}
			for _, d := range t.Resources.Devices {
				if isGPU(d.Name) && d.Count != nil {
					n += count * int(*d.Count)
				}
			}
		}
	}
	return n
}

// Submit registers the job if it did not change since checkIndex.
func (c *Client) Submit(ctx context.Context, j cluster.ParsedJob, checkIndex uint64) (cluster.Submitted, error) {
	p, ok := j.Body.(parsed)
	if !ok {
		return cluster.Submitted{}, errors.New("submit: the job was not parsed by this client")
	}
	opts := &api.RegisterOptions{EnforceIndex: true, ModifyIndex: checkIndex, Submission: p.source}
	resp, _, err := c.api.Jobs().RegisterOpts(p.job, opts, c.write(ctx, j.ID.Namespace))
	if err != nil {
		return cluster.Submitted{}, c.fault(err)
	}
	return cluster.Submitted{Eval: cluster.EvalID(resp.EvalID), Warnings: resp.Warnings}, nil
}

// Scale sets the count of one task group.
func (c *Client) Scale(ctx context.Context, id cluster.JobID, group string, count int) (cluster.Submitted, error) {
	resp, _, err := c.api.Jobs().Scale(id.Name, group, &count, "stoker scale", false, nil, c.write(ctx, id.Namespace))
	if err != nil {
		return cluster.Submitted{}, c.fault(err)
	}
	return cluster.Submitted{Eval: cluster.EvalID(resp.EvalID), Warnings: resp.Warnings}, nil
}

// Stop stops a job; purge also makes Nomad forget it.
func (c *Client) Stop(ctx context.Context, id cluster.JobID, purge bool) (cluster.Submitted, error) {
	eval, _, err := c.api.Jobs().DeregisterOpts(id.Name, &api.DeregisterOptions{Purge: purge}, c.write(ctx, id.Namespace))
	return cluster.Submitted{Eval: cluster.EvalID(eval)}, c.fault(err)
}

// RestartAlloc restarts all running tasks of one allocation where it is.
func (c *Client) RestartAlloc(ctx context.Context, id cluster.AllocID) error {
	return c.fault(c.api.Allocations().Restart(&api.Allocation{ID: string(id)}, "", c.query(ctx, c.namespace)))
}

// Drain moves all work off a node, system jobs last; what is there at the deadline
// is stopped.
func (c *Client) Drain(ctx context.Context, id cluster.NodeID, deadline time.Duration) (cluster.Submitted, error) {
	return c.drain(ctx, id, &api.DrainOptions{DrainSpec: &api.DrainSpec{Deadline: deadline}})
}

// Undrain ends a drain and makes the node eligible again.
func (c *Client) Undrain(ctx context.Context, id cluster.NodeID) (cluster.Submitted, error) {
	return c.drain(ctx, id, &api.DrainOptions{MarkEligible: true})
}

// Ineligible keeps new work away from a node and leaves what runs there.
func (c *Client) Ineligible(ctx context.Context, id cluster.NodeID) (cluster.Submitted, error) {
	resp, err := c.api.Nodes().ToggleEligibility(string(id), false, c.write(ctx, ""))
	if err != nil {
		return cluster.Submitted{}, c.fault(err)
	}
	return evaluated(resp.EvalIDs), nil
}

func evaluated(ids []string) (out cluster.Submitted) {
	if len(ids) > 0 {
		out.Eval = cluster.EvalID(ids[0])
	}
	return out
}

func (c *Client) drain(ctx context.Context, id cluster.NodeID, opts *api.DrainOptions) (cluster.Submitted, error) {
	resp, err := c.api.Nodes().UpdateDrainOpts(string(id), opts, c.write(ctx, ""))
	if err != nil {
		return cluster.Submitted{}, c.fault(err)
	}
	return evaluated(resp.EvalIDs), nil
}
