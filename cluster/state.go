package cluster

import (
	"cmp"
	"fmt"
	"time"

	"stoker/gpu"
	"stoker/secrets"
)

// maxEvents bounds the ring of events.
const maxEvents = 1000

// state is what the Feed's goroutine owns.
type state struct {
	place Place
	now   func() time.Time
	rev   uint64

	nodes       *table[NodeID, Node]
	jobs        *table[JobID, Job]
	allocs      *table[AllocID, Alloc]
	deployments *table[DeploymentID, Deployment]
	evals       *table[EvalID, Evaluation]
	services    *table[ServiceID, Service]
	listed      Set

	devices   map[gpu.UUID]*device
	models    map[ModelKey]*modelRow
	training  map[JobID]*trainingRow
	artifacts []Artifact
	vault     *secrets.State
	sources   map[string]SourceStatus
	utilPast  []float64
	utilAt    time.Time

	events  []Event // oldest first
	dropped int
}

// device is what the samples say of one GPU.
type device struct {
	gpu.Device
	node   NodeID
	source string
	driver string
	cuda   string
	sample *gpu.Sample
	past   *History
	events []gpu.Event
}

type modelRow struct {
	sample  ModelSample
	latency []float64
	rate    []float64
}

type trainingRow struct {
	sample TrainingSample
	loss   []Point
}

func newState(place Place, now func() time.Time) *state {
	return &state{
		place: place, now: now,
		nodes: newTable(func(n *Node) NodeID { return n.ID }, func(n *Node) uint64 { return n.ModifyIndex },
			func(a, b Node) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) }),
		jobs: newTable(func(j *Job) JobID { return j.ID }, func(j *Job) uint64 { return j.ModifyIndex },
			func(a, b Job) int { return a.ID.Compare(b.ID) }),
		allocs: newTable(func(a *Alloc) AllocID { return a.ID }, func(a *Alloc) uint64 { return a.ModifyIndex },
			func(a, b Alloc) int {
				return cmp.Or(a.Job.Compare(b.Job), cmp.Compare(a.Name, b.Name), b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
			}),
		deployments: newTable(func(d *Deployment) DeploymentID { return d.ID }, func(d *Deployment) uint64 { return d.ModifyIndex },
			func(a, b Deployment) int {
				return cmp.Or(cmp.Compare(b.ModifyIndex, a.ModifyIndex), cmp.Compare(a.ID, b.ID))
			}),
		evals: newTable(func(e *Evaluation) EvalID { return e.ID }, func(e *Evaluation) uint64 { return e.ModifyIndex },
			func(a, b Evaluation) int {
				return cmp.Or(cmp.Compare(b.ModifyIndex, a.ModifyIndex), cmp.Compare(a.ID, b.ID))
			}),
		services: newTable(func(s *Service) ServiceID { return s.ID }, func(s *Service) uint64 { return s.ModifyIndex },
			func(a, b Service) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) }),
		devices:  map[gpu.UUID]*device{},
		models:   map[ModelKey]*modelRow{},
		training: map[JobID]*trainingRow{},
		sources:  map[string]SourceStatus{},
	}
}

// scheduler applies rows of the scheduler and notes what changed as events.
func (st *state) scheduler(u Update) {
	st.applyNodes(u)
	st.applyAllocs(u)
	st.applyDeployments(u)
	fold(st.jobs, u.Lists&SetJobs != 0, u.Index, u.Jobs, u.GoneJobs)
	fold(st.evals, u.Lists&SetEvaluations != 0, u.Index, u.Evaluations, u.GoneEvaluations)
	fold(st.services, u.Lists&SetServices != 0, u.Index, u.Services, u.GoneServices)
	st.listed |= u.Lists
}

func fold[K comparable, V any](t *table[K, V], whole bool, idx uint64, rows []V, gone []K) {
	if whole {
		t.list(rows, idx)
	} else {
		for _, r := range rows {
			t.put(r)
		}
	}
	for _, k := range gone {
		t.drop(k, idx)
	}
}

func (st *state) applyNodes(u Update) {
	for _, n := range u.Nodes {
		old, had, applied := st.nodes.put(n)
		if had && applied {
			st.nodeEvents(&old, &n)
		}
	}
	fold(st.nodes, u.Lists&SetNodes != 0, u.Index, u.Nodes, u.GoneNodes)
}

func (st *state) nodeEvents(old, n *Node) {
	note := func(level Level, text string) {
		st.event(Event{At: st.now(), Level: level, Kind: "node", Subject: n.Name, Text: text, Node: n.ID})
	}
	if old.Status != n.Status {
		level := Info
		if n.Status == NodeDown || n.Status == NodeDisconnected {
			level = Bad
		}
		note(level, string(n.Status))
	}
	if old.Draining != n.Draining {
		note(Info, map[bool]string{true: "drain started", false: "drain ended"}[n.Draining])
	}
	if old.Eligible != n.Eligible {
		note(Info, map[bool]string{true: "eligible for work", false: "not eligible for work"}[n.Eligible])
	}
	was := map[gpu.UUID]bool{}
	for _, d := range old.Devices {
		was[d.UUID] = d.Healthy
	}
	for i, d := range n.Devices {
		if healthy, known := was[d.UUID]; known && healthy != d.Healthy {
			e := Event{At: st.now(), Kind: "gpu", Subject: fmt.Sprintf("%s/%d", n.Name, i), Text: "healthy again: open to the scheduler", Node: n.ID}
			if !d.Healthy {
				e.Level, e.Text = Bad, "unhealthy, closed to the scheduler: "+d.HealthText
			}
			st.event(e)
		}
	}
}

func (st *state) applyAllocs(u Update) {
	for _, a := range u.Allocs {
		old, had, applied := st.allocs.put(a)
		if applied && (had || u.Lists&SetAllocs == 0) && old.Client != a.Client {
			level, text := Info, a.Client+" on "+a.NodeName
			if a.Client == "failed" || a.Client == "lost" {
				level = Bad
				text += lastWord(&a)
			}
			st.event(Event{At: st.now(), Level: level, Kind: "alloc", Subject: a.Name, Text: text, Job: a.Job, Node: a.Node})
		}
	}
	fold(st.allocs, u.Lists&SetAllocs != 0, u.Index, u.Allocs, u.GoneAllocs)
}

// lastWord is what the failed task said last.
func lastWord(a *Alloc) string {
	for _, t := range a.Tasks {
		if t.Failed && len(t.Events) > 0 {
			for i := len(t.Events) - 1; i >= 0; i-- {
				if e := t.Events[i]; e.Type != "Not Restarting" && e.Text != "" {
					return fmt.Sprintf(": task %s: %s", t.Name, e.Text)
				}
			}
		}
	}
	return ""
}

func (st *state) applyDeployments(u Update) {
	for _, d := range u.Deployments {
		old, had, applied := st.deployments.put(d)
		if applied && (had || u.Lists&SetDeployments == 0) && old.Status != d.Status {
			level := Info
			if d.Status == "failed" {
				level = Bad
			}
			st.event(Event{At: st.now(), Level: level, Kind: "deployment", Subject: d.Job.String(),
				Text: fmt.Sprintf("version %d: %s", d.JobVersion, cmp.Or(d.StatusText, d.Status)), Job: d.Job})
		}
	}
	fold(st.deployments, u.Lists&SetDeployments != 0, u.Index, u.Deployments, u.GoneDeployments)
}

func (st *state) event(e Event) {
	e.Place = st.place
	st.events = append(st.events, e)
	if over := len(st.events) - maxEvents; over > 0 {
		st.dropped += over
		st.events = append([]Event(nil), st.events[over:]...)
	}
}

// batch takes one node's samples. Sources are ranked: a better one is not
// overwritten by a lesser one while it is fresh.
func (st *state) batch(b gpu.Batch) {
	samples := map[gpu.UUID]*gpu.Sample{}
	for i := range b.Samples {
		samples[b.Samples[i].UUID] = &b.Samples[i]
	}
	for _, d := range b.Devices {
		dev := st.devices[d.UUID]
		if dev == nil {
			dev = &device{}
			st.devices[d.UUID] = dev
		}
		if dev.sample != nil && rank(b.Source) < rank(dev.source) && b.At.Sub(dev.sample.At) < freshFor {
			continue
		}
		s := samples[d.UUID]
		if dev.sample != nil && s != nil && s.At.Before(dev.sample.At) {
			continue // late: a newer reading is already here
		}
		dev.Device, dev.node, dev.source, dev.driver, dev.cuda = d, NodeID(b.Node), b.Source, b.Driver, b.CUDA
		if s != nil && (dev.sample == nil || s.At.After(dev.sample.At)) {
			dev.sample, dev.past = s, dev.past.with(*s, d)
		}
	}
	for _, e := range b.Events {
		st.gpuEvent(NodeID(b.Node), e)
	}
}

// freshFor is how long the reading of a better source stands against a lesser one.
const freshFor = 10 * time.Second

func rank(source string) int {
	switch source {
	case "agent":
		return 3
	case "nvml":
		return 2
	case "nomad":
		return 1
	}
	return 0
}

func (st *state) gpuEvent(node NodeID, e gpu.Event) {
	dev := st.devices[e.UUID]
	if dev == nil {
		return
	}
	for _, old := range dev.events {
		if old.At.Equal(e.At) && old.Kind == e.Kind && old.Xid == e.Xid {
			return // a keyframe repeats what a delta already brought
		}
	}
	dev.events = append(dev.events[:len(dev.events):len(dev.events)], e)
	if over := len(dev.events) - historyLen; over > 0 {
		dev.events = dev.events[over:]
	}
	name := string(node)
	if n, ok := st.nodes.rows[node]; ok {
		name = n.Name
	}
	level := Bad
	if e.Kind == gpu.EventBack {
		level = Info
	}
	st.event(Event{At: e.At, Level: level, Kind: "gpu", Subject: fmt.Sprintf("%s/%d", name, dev.Index), Text: e.Text, Node: node})
}

// curveLen bounds a kept curve; when it is full every second point goes.
const curveLen = 240

func (st *state) modelSamples(rows []ModelSample) {
	seen := map[ModelKey]bool{}
	for _, s := range rows {
		seen[s.Key] = true
		row := st.models[s.Key]
		if row == nil {
			row = &modelRow{}
			st.models[s.Key] = row
		}
		row.sample = s
		if s.P95 != nil {
			row.latency = tail(row.latency, s.P95.Seconds)
		}
		if s.Requests != nil {
			row.rate = tail(row.rate, *s.Requests)
		}
	}
	for k := range st.models {
		if !seen[k] {
			delete(st.models, k)
		}
	}
}

func tail(points []float64, v float64) []float64 {
	if len(points) >= historyLen {
		points = points[len(points)-historyLen+1:]
	}
	return append(points[:len(points):len(points)], v)
}

func (st *state) trainingSamples(rows []TrainingSample) {
	for _, s := range rows {
		row := st.training[s.Job]
		if row == nil || s.Step != nil && row.sample.Step != nil && *s.Step < *row.sample.Step && s.Alloc != row.sample.Alloc {
			row = &trainingRow{} // a new run starts a new curve
			st.training[s.Job] = row
		}
		row.sample = s
		if s.Step != nil && s.Loss != nil {
			row.loss = curve(row.loss, Point{*s.Step, *s.Loss})
		}
	}
}

func curve(points []Point, p Point) []Point {
	if n := len(points); n > 0 && points[n-1].Step >= p.Step {
		return points
	}
	out := make([]Point, 0, len(points)+1)
	if len(points) >= curveLen {
		for i := 0; i < len(points); i += 2 {
			out = append(out, points[i])
		}
	} else {
		out = append(out, points...)
	}
	return append(out, p)
}

func (st *state) vaultState(v secrets.State) {
	if st.vault != nil && st.vault.Sealed != v.Sealed && v.Err == "" {
		e := Event{At: st.now(), Kind: "vault", Subject: "vault", Text: "open"}
		if v.Sealed {
			e.Level, e.Text = Bad, "sealed: no key can be used"
		}
		st.event(e)
	}
	if v.Err != "" && st.vault != nil { // keep what was known, with the error beside it
		kept := *st.vault
		kept.Err = v.Err
		v = kept
	}
	st.vault = &v
}

func (st *state) source(s SourceStatus) {
	s.Place = st.place
	old, had := st.sources[s.Name]
	if s.AsOf.IsZero() {
		s.AsOf = old.AsOf
	}
	if had && old.State == s.State {
		s.Since = old.Since
	} else if s.Since.IsZero() {
		s.Since = st.now()
	}
	if had && old.State != s.State && (s.State == SourceRetrying || old.State == SourceRetrying && s.State == SourceLive) {
		e := Event{At: st.now(), Kind: "source", Subject: s.Name, Text: "answers again"}
		if s.State == SourceRetrying {
			e.Level, e.Text = Warn, s.Err
		}
		st.event(e)
	}
	st.sources[s.Name] = s
}
