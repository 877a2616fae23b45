package cluster

import (
	"slices"
	"strings"
	"time"
)

// Merge makes one Snapshot of the latest of several clusters, whose Feeds are
// Named. The rows lie cluster by cluster, in the order of the members; events
// and problems are mixed. A cluster that does not answer has the rows that it
// had last, and none if it never answered: its sources and problems say so.
func Merge(members ...*Snapshot) *Snapshot { return new(merger).merge(members) }

// merger merges again and again: of what changed in no member since the last
// time, the rows stay as they are.
type merger struct {
	rev uint64

	nodes       joint[Node]
	gpus        joint[GPU]
	jobs        joint[Job]
	allocs      joint[Alloc]
	deployments joint[Deployment]
	evals       joint[Evaluation]
	services    joint[Service]
	pools       joint[NodePool]
	namespaces  joint[Namespace]
	variables   joint[Variable]
	models      joint[Model]
	training    joint[Training]
	keys        joint[Key]
	artifacts   joint[Artifact]
	events      joint[Event]
	sources     joint[SourceStatus]

	utilPast []float64
	utilAt   time.Time
}

func (m *merger) merge(members []*Snapshot) *Snapshot {
	m.rev++
	s := &Snapshot{Rev: m.rev, Members: slices.Clone(members), Place: together(members)}
	s.Nodes = m.nodes.of(members, func(s *Snapshot) []Node { return s.Nodes })
	s.GPUs = m.gpus.of(members, func(s *Snapshot) []GPU { return s.GPUs })
	s.Jobs = m.jobs.of(members, func(s *Snapshot) []Job { return s.Jobs })
	s.Allocs = m.allocs.of(members, func(s *Snapshot) []Alloc { return s.Allocs })
	s.Deployments = m.deployments.of(members, func(s *Snapshot) []Deployment { return s.Deployments })
	s.Evaluations = m.evals.of(members, func(s *Snapshot) []Evaluation { return s.Evaluations })
	s.Services = m.services.of(members, func(s *Snapshot) []Service { return s.Services })
	s.Pools = m.pools.of(members, func(s *Snapshot) []NodePool { return s.Pools })
	s.Namespaces = m.namespaces.of(members, func(s *Snapshot) []Namespace { return s.Namespaces })
	s.Variables = m.variables.of(members, func(s *Snapshot) []Variable { return s.Variables })
	s.Models = m.models.of(members, func(s *Snapshot) []Model { return s.Models })
	s.Training = m.training.of(members, func(s *Snapshot) []Training { return s.Training })
	s.Keys = m.keys.of(members, func(s *Snapshot) []Key { return s.Keys })
	s.Artifacts = m.artifacts.of(members, func(s *Snapshot) []Artifact { return s.Artifacts })
	s.Sources = m.sources.of(members, func(s *Snapshot) []SourceStatus { return s.Sources })
	m.events.arrange = latestFirst
	s.Events = m.events.of(members, func(s *Snapshot) []Event { return s.Events })
	known := false
	s.Known = ^Set(0)
	for _, one := range members {
		if one.At.After(s.At) {
			s.At = one.At
		}
		s.EventsDropped += one.EventsDropped
		s.Ready = s.Ready || one.Ready
		s.Fleet.add(one)
		if len(one.Nodes)+len(one.Jobs) > 0 || one.Ready { // else it has no rows of which some could be missing
			s.Known &= one.Known
			s.Partial |= one.Partial
			known = true
		}
		for _, p := range one.Problems {
			p.Subject = s.Label(p.Place) + ": " + p.Subject
			s.Problems = append(s.Problems, p)
		}
	}
	if !known {
		s.Known = 0
	}
	worstFirst(s.Problems)
	if u := s.Fleet.UtilPercent; u != nil && s.At.Sub(m.utilAt) >= utilEvery {
		m.utilPast, m.utilAt = tail(m.utilPast, *u), s.At
	}
	s.Fleet.Util = m.utilPast
	return s
}

// joint are the rows of one kind, of all members.
type joint[V any] struct {
	parts   [][]V
	rows    []V
	arrange func(rows []V) // nil leaves them cluster by cluster
}

func (j *joint[V]) of(members []*Snapshot, rows func(*Snapshot) []V) []V {
	parts := make([][]V, len(members))
	for i, m := range members {
		parts[i] = rows(m)
	}
	if slices.EqualFunc(parts, j.parts, Same) {
		return j.rows
	}
	j.parts, j.rows = parts, slices.Concat(parts...)
	if j.arrange != nil {
		j.arrange(j.rows)
	}
	return j.rows
}

func latestFirst(rows []Event) {
	slices.SortStableFunc(rows, func(a, b Event) int { return b.At.Compare(a.At) })
}

// together names several clusters, "lab+eu", or the regions of one, and their
// region if they share one.
func together(members []*Snapshot) Place {
	var clusters, regions []string
	for _, m := range members {
		if !slices.Contains(clusters, m.Place.Cluster) {
			clusters = append(clusters, m.Place.Cluster)
		}
		if !slices.Contains(regions, m.Place.Region) {
			regions = append(regions, m.Place.Region)
		}
	}
	p := Place{Cluster: strings.Join(clusters, "+")}
	if len(clusters) == 1 || len(regions) == 1 {
		p.Region = strings.Join(regions, "+")
	}
	return p
}

// Label is what a place is called beside the others that are shown: by its
// cluster, unless several regions of that are.
func (s *Snapshot) Label(p Place) string {
	for _, m := range s.Members {
		if m.Place.Cluster == p.Cluster && m.Place.Region != p.Region {
			return p.Cluster + "/" + p.Region
		}
	}
	return p.Cluster
}

// Of is the snapshot of one cluster: the member of that place, or s itself
// where it is of one cluster.
func (s *Snapshot) Of(p Place) *Snapshot {
	for _, m := range s.Members {
		if m.Place == p {
			return m
		}
	}
	return s
}

// Each are the snapshots of single clusters: the members, or s itself.
func (s *Snapshot) Each() []*Snapshot {
	if s.Members == nil {
		return []*Snapshot{s}
	}
	return s.Members
}

// among finds what one of the members has.
func among[V any](s *Snapshot, find func(*Snapshot) *V) *V {
	if s.Members == nil {
		return find(s)
	}
	for _, m := range s.Members {
		if v := find(m); v != nil {
			return v
		}
	}
	return nil
}

// rowsAmong finds the rows that one of the members has.
func rowsAmong[V any](s *Snapshot, find func(*Snapshot) []V) []V {
	if s.Members == nil {
		return find(s)
	}
	for _, m := range s.Members {
		if rows := find(m); len(rows) > 0 {
			return rows
		}
	}
	return nil
}

// rowsOfAll puts the rows of all members one after the other.
func rowsOfAll[V any](s *Snapshot, rows func(*Snapshot) []V) []V {
	if s.Members == nil {
		return rows(s)
	}
	var out []V
	for _, m := range s.Members {
		out = append(out, rows(m)...)
	}
	return out
}

// add adds another cluster's fleet up. What is held is known where each cluster
// that has nodes tells it.
func (f *Fleet) add(s *Snapshot) {
	o := &s.Fleet
	if len(s.Nodes) > 0 {
		f.Claims = o.Claims && (f.Claims || f.Nodes == 0)
	}
	f.Nodes += o.Nodes
	f.NodesReady += o.NodesReady
	f.GPUs += o.GPUs
	f.Held += o.Held
	f.Free += o.Free
	f.Failed += o.Failed
	f.Idle += o.Idle
	f.Closed += o.Closed
	f.Rogue += o.Rogue
	f.Down += o.Down
	f.Pending += o.Pending
	f.PendingJobs += o.PendingJobs
	f.MemoryUsed = plus(f.MemoryUsed, o.MemoryUsed)
	f.MemoryTotal += o.MemoryTotal
	f.PowerWatts = plus(f.PowerWatts, o.PowerWatts)
	f.PowerLimitWatts = plus(f.PowerLimitWatts, o.PowerLimitWatts)
	if t := o.HottestCelsius; t != nil && (f.HottestCelsius == nil || *t > *f.HottestCelsius) {
		f.HottestCelsius, f.Hottest = t, o.Hottest
	}
	if o.UtilPercent != nil {
		sum := *o.UtilPercent * float64(o.Reporting)
		if f.UtilPercent != nil {
			sum += *f.UtilPercent * float64(f.Reporting)
		}
		mean := sum / float64(f.Reporting+o.Reporting)
		f.UtilPercent = &mean
	}
	f.Reporting += o.Reporting
}
