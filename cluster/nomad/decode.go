package nomad

import (
	"slices"
	"strings"
	"time"
	"unique"

	"stoker/cluster"
)

// The JSON structs of this package are what stoker reads of Nomad's answers. The
// same names occur in list stubs, in whole objects and in event payloads.

// one is the text itself, kept once: thousands of rows name the same things.
func one[T ~string](text string) T { return T(unique.Make(text).Value()) }

func shared(in map[string]string) map[string]string {
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[unique.Make(k).Value()] = unique.Make(v).Value()
	}
	return out
}

type deploymentJSON struct {
	ID, Namespace, JobID, Status, StatusDescription string
	JobVersion, ModifyIndex                         uint64
	CreateTime                                      int64
	TaskGroups                                      map[string]*struct {
		DesiredTotal, PlacedAllocs, HealthyAllocs, UnhealthyAllocs, DesiredCanaries int
		Promoted                                                                    bool
	}
}

func (d *deploymentJSON) row(place cluster.Place) cluster.Deployment {
	out := cluster.Deployment{
		Place: place, ID: cluster.DeploymentID(d.ID), Job: cluster.JobID{Namespace: d.Namespace, Name: d.JobID},
		JobVersion: d.JobVersion, Created: nanos(d.CreateTime), Status: d.Status, StatusText: d.StatusDescription, ModifyIndex: d.ModifyIndex,
	}
	for name, g := range d.TaskGroups {
		out.Groups = append(out.Groups, cluster.DeploymentGroup{
			Name: name, Desired: g.DesiredTotal, Placed: g.PlacedAllocs, Healthy: g.HealthyAllocs,
			Unhealthy: g.UnhealthyAllocs, Canaries: g.DesiredCanaries, Promoted: g.Promoted,
		})
	}
	slices.SortFunc(out.Groups, func(a, b cluster.DeploymentGroup) int { return strings.Compare(a.Name, b.Name) })
	return out
}

type metricJSON struct {
	NodesEvaluated, NodesFiltered, NodesInPool, NodesExhausted, CoalescedFailures int
	NodesAvailable, ConstraintFiltered, DimensionExhausted                        map[string]int
	QuotaExhausted                                                                []string
}

func (m *metricJSON) row(group string) cluster.PlacementFailure {
	return cluster.PlacementFailure{
		Group: group, Unplaced: m.CoalescedFailures + 1, Evaluated: m.NodesEvaluated, Filtered: m.NodesFiltered,
		Exhausted: m.NodesExhausted, InPool: m.NodesInPool, Available: m.NodesAvailable,
		Constraints: m.ConstraintFiltered, Dimensions: m.DimensionExhausted, Quota: m.QuotaExhausted,
	}
}

type evalJSON struct {
	ID, Namespace, JobID, Type, Status, StatusDescription, TriggeredBy string
	NodeID, DeploymentID, NextEval, PreviousEval, BlockedEval          string
	Priority                                                           int
	CreateTime, ModifyTime                                             int64
	WaitUntil                                                          time.Time
	ModifyIndex                                                        uint64
	FailedTGAllocs                                                     map[string]*metricJSON
}

func (e *evalJSON) row(place cluster.Place) cluster.Evaluation {
	out := cluster.Evaluation{
		Place: place, ID: cluster.EvalID(e.ID), Job: cluster.JobID{Namespace: e.Namespace, Name: e.JobID},
		Type: e.Type, Priority: e.Priority, Status: e.Status, StatusText: e.StatusDescription, TriggeredBy: e.TriggeredBy,
		Node: cluster.NodeID(e.NodeID), Deployment: cluster.DeploymentID(e.DeploymentID),
		Next: cluster.EvalID(e.NextEval), Prev: cluster.EvalID(e.PreviousEval), Blocked: cluster.EvalID(e.BlockedEval),
		Created: nanos(e.CreateTime), Modified: nanos(e.ModifyTime), WaitUntil: e.WaitUntil, ModifyIndex: e.ModifyIndex,
	}
	for group, m := range e.FailedTGAllocs {
		out.Failures = append(out.Failures, m.row(group))
	}
	slices.SortFunc(out.Failures, func(a, b cluster.PlacementFailure) int { return strings.Compare(a.Group, b.Group) })
	return out
}

type serviceJSON struct {
	ID, ServiceName, Namespace, NodeID, JobID, AllocID, Address string
	Port                                                        int
	Tags                                                        []string
	ModifyIndex                                                 uint64
}

func (s *serviceJSON) row(place cluster.Place) cluster.Service {
	return cluster.Service{
		Place: place, ID: cluster.ServiceID(s.ID), Name: s.ServiceName, Namespace: s.Namespace, Job: s.JobID,
		Alloc: cluster.AllocID(s.AllocID), Node: cluster.NodeID(s.NodeID), Address: s.Address, Port: s.Port,
		Tags: s.Tags, ModifyIndex: s.ModifyIndex,
	}
}

func nanos(ns int64) time.Time {
	if ns <= 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

type poolJSON struct {
	Name, Description      string
	Meta                   map[string]string
	SchedulerConfiguration *struct{ SchedulerAlgorithm string }
	ModifyIndex            uint64
}

func (p *poolJSON) row(place cluster.Place) cluster.NodePool {
	out := cluster.NodePool{Place: place, Name: p.Name, Description: p.Description, Meta: p.Meta, ModifyIndex: p.ModifyIndex}
	if p.SchedulerConfiguration != nil {
		out.Scheduler = p.SchedulerConfiguration.SchedulerAlgorithm
	}
	return out
}

type namespaceJSON struct {
	Name, Description, Quota string
	Meta                     map[string]string
	NodePoolConfiguration    *struct{ Default string }
	ModifyIndex              uint64
}

func (n *namespaceJSON) row(place cluster.Place) cluster.Namespace {
	out := cluster.Namespace{Place: place, Name: n.Name, Description: n.Description, Quota: n.Quota, Meta: n.Meta, ModifyIndex: n.ModifyIndex}
	if n.NodePoolConfiguration != nil {
		out.Pool = n.NodePoolConfiguration.Default
	}
	return out
}

// variableJSON is what the list of variables tells: not what they hold.
type variableJSON struct {
	Namespace, Path        string
	CreateTime, ModifyTime int64
	Lock                   *struct{ ID string }
	ModifyIndex            uint64
}

// row is of a list that tells of all locks, or of none.
func (v *variableJSON) row(place cluster.Place, locks bool) cluster.Variable {
	out := cluster.Variable{
		Place: place, ID: cluster.VariableID{Namespace: v.Namespace, Path: v.Path}, Created: nanos(v.CreateTime), Modified: nanos(v.ModifyTime),
		ModifyIndex: v.ModifyIndex,
	}
	if locked := v.Lock != nil && v.Lock.ID != ""; locked || locks {
		out.Locked = &locked
	}
	return out
}
