package cluster

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"stoker/gpu"
	"stoker/secrets"
)

// maxEvents bounds the ring of events.
const maxEvents = 1000

// state is what the Feed's goroutine owns.
type state struct {
	place Place
	of    Place // what the jobs say of which cluster they are; zero for one cluster alone
	now   func() time.Time
	step  time.Duration // of histories
	held  bool          // nothing is published yet
	rev   uint64

	nodes       *table[NodeID, Node]
	jobs        *table[JobID, Job]
	allocs      *table[AllocID, Alloc]
	deployments *table[DeploymentID, Deployment]
	evals       *table[EvalID, Evaluation]
	services    *table[ServiceID, Service]
	pools       *table[string, NodePool]
	namespaces  *table[string, Namespace]
	variables   *table[VariableID, Variable]
	listed      Set // kinds that were read once
	refused     Set // kinds that may not be read
	partial     Set // kinds of which there may be more than was read
	joined      joins

	nodeRev   int              // counts changes of nodes by which GPUs come, go or move
	touched   map[NodeID]*Node // nodes whose GPU rows are otherwise out of date
	devices   map[gpu.UUID]*device
	deviceRev int // counts devices that came, went or moved
	reports   map[reporter]*report
	models    map[ModelKey]*modelRow
	training  map[JobID]*trainingRow
	artifacts []Artifact
	vault     *secrets.State
	sources   map[string]SourceStatus
	// sourceNames are those of sources, sorted; nil when out of date.
	sourceNames []string
	purged      map[JobID]uint64 // index at which a job was purged, since the last list
	bursts      map[burstOf]burst
	recalled    bool   // what was before the first list is told as events
	recallTo    uint64 // index of that list
	utilPast    []float64
	utilAt      time.Time

	clocks map[NodeID]*clock
	apart  map[NodeID]time.Duration // clocks that differ from ours; nil when out of date

	parts    map[gpu.UUID][]gpu.UUID // MIG instances by their device, as of partsRev
	partsRev int

	tenures map[gpu.UUID]*tenure   // who had each GPU, and who has it
	heldBy  map[JobID]int          // how many GPUs each job holds
	retold  map[JobID]bool         // jobs that are told otherwise than their holders tell of them
	hit     map[gpu.UUID]bool      // GPUs of which there are events
	unnamed map[AllocID][]gpu.UUID // events of these GPUs name an allocation that was not read yet
	ledger  ledger

	events  []Event // oldest first
	dropped int
	recent  []Event // the same, newest first, as snapshots show them; nil when out of date
}

func newState(place Place, now func() time.Time) *state {
	st := &state{
		place: place, now: now, step: historyStep,
		nodes: newTable(func(n *Node) NodeID { return n.ID }, func(n *Node) uint64 { return n.ModifyIndex },
			func(a, b *Node) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) }),
		jobs: newTable(func(j *Job) JobID { return j.ID }, func(j *Job) uint64 { return j.ModifyIndex },
			func(a, b *Job) int { return a.ID.Compare(b.ID) }),
		allocs: newTable(func(a *Alloc) AllocID { return a.ID }, func(a *Alloc) uint64 { return a.ModifyIndex },
			func(a, b *Alloc) int {
				return cmp.Or(a.Job.Compare(b.Job), CompareNames(a.Name, b.Name), b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
			}),
		deployments: newTable(func(d *Deployment) DeploymentID { return d.ID }, func(d *Deployment) uint64 { return d.ModifyIndex },
			func(a, b *Deployment) int {
				return cmp.Or(cmp.Compare(b.ModifyIndex, a.ModifyIndex), cmp.Compare(a.ID, b.ID))
			}),
		evals: newTable(func(e *Evaluation) EvalID { return e.ID }, func(e *Evaluation) uint64 { return e.ModifyIndex },
			func(a, b *Evaluation) int {
				return cmp.Or(cmp.Compare(b.ModifyIndex, a.ModifyIndex), cmp.Compare(a.ID, b.ID))
			}),
		services: newTable(func(s *Service) ServiceID { return s.ID }, func(s *Service) uint64 { return s.ModifyIndex },
			func(a, b *Service) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) }),
		pools: newTable(func(p *NodePool) string { return p.Name }, func(p *NodePool) uint64 { return p.ModifyIndex },
			func(a, b *NodePool) int { return cmp.Compare(a.Name, b.Name) }),
		namespaces: newTable(func(n *Namespace) string { return n.Name }, func(n *Namespace) uint64 { return n.ModifyIndex },
			func(a, b *Namespace) int { return cmp.Compare(a.Name, b.Name) }),
		variables: newTable(func(v *Variable) VariableID { return v.ID }, func(v *Variable) uint64 { return v.ModifyIndex },
			func(a, b *Variable) int {
				return cmp.Or(cmp.Compare(a.ID.Namespace, b.ID.Namespace), cmp.Compare(a.ID.Path, b.ID.Path))
			}),
		devices:  map[gpu.UUID]*device{},
		reports:  map[reporter]*report{},
		models:   map[ModelKey]*modelRow{},
		training: map[JobID]*trainingRow{},
		sources:  map[string]SourceStatus{},
		purged:   map[JobID]uint64{},
		bursts:   map[burstOf]burst{},
		tenures:  map[gpu.UUID]*tenure{},
		heldBy:   map[JobID]int{},
		touched:  map[NodeID]*Node{},
		retold:   map[JobID]bool{},
		hit:      map[gpu.UUID]bool{},
		unnamed:  map[AllocID][]gpu.UUID{},
		clocks:   map[NodeID]*clock{},
		ledger:   newLedger(),
	}
	st.allocs.heard = st.allocMoved
	st.jobs.heard = st.jobMoved
	st.nodes.heard = st.nodeMoved
	return st
}

// scheduler applies rows of the scheduler and notes what changed as events.
// Jobs and deployments come first: they tell the version of new allocations.
func (st *state) scheduler(u Update) {
	st.nameUpdate(&u)
	st.forgetJobs(&u)
	st.applyDeployments(u)
	st.applyJobs(u)
	st.applyAllocs(u)
	st.applyNodes(u)
	if u.Lists&SetNodes != 0 || len(u.GoneNodes) > 0 {
		st.forgetDevices()
	}
	fold(st.evals, u.Lists&SetEvaluations != 0, u.Index, u.Evaluations, u.GoneEvaluations, nil)
	fold(st.services, u.Lists&SetServices != 0, u.Index, u.Services, u.GoneServices, nil)
	fold(st.pools, u.Lists&SetPools != 0, u.Index, u.Pools, nil, nil)
	fold(st.namespaces, u.Lists&SetNamespaces != 0, u.Index, u.Namespaces, nil, nil)
	fold(st.variables, u.Lists&SetVariables != 0, u.Index, u.Variables, nil, nil)
	st.listed |= u.Lists
	st.refused = st.refused&^u.Lists | u.Refused
	st.partial = st.partial&^u.Lists | u.Partial
}

// forgetJobs drops what belonged to purged jobs, also what comes late: Nomad
// deletes it with the job and makes no event for it.
func (st *state) forgetJobs(u *Update) {
	if u.Lists&SetAllocs != 0 { // it holds what there was then
		anew := u.Index < max(st.allocs.floor, 1)
		maps.DeleteFunc(st.purged, func(_ JobID, at uint64) bool { return anew || at <= u.Index })
	}
	if len(u.GoneJobs) > 0 {
		gone := make(map[JobID]bool, len(u.GoneJobs))
		for _, id := range u.GoneJobs {
			gone[id] = true
			st.purged[id] = max(st.purged[id], u.Index)
			delete(st.training, id)
		}
		st.allocs.dropAll(u.Index, func(a *Alloc) bool { return gone[a.Job] })
		st.deployments.dropAll(u.Index, func(d *Deployment) bool { return gone[d.Job] })
	}
	if len(st.purged) > 0 {
		u.Allocs = slices.DeleteFunc(slices.Clone(u.Allocs), func(a Alloc) bool { return a.ModifyIndex <= st.purged[a.Job] })
		u.Deployments = slices.DeleteFunc(slices.Clone(u.Deployments), func(d Deployment) bool { return d.ModifyIndex <= st.purged[d.Job] })
	}
}

// fold applies rows, whole lists and departures to one table. note hears of
// each row that was applied, with the one that it replaced; old is nil for a new one.
func fold[K comparable, V any](t *table[K, V], whole bool, idx uint64, rows []V, gone []K, note func(old, row *V)) {
	fresh := false
	if whole {
		fresh = t.begin(idx, len(rows))
	}
	for i := range rows {
		if old, applied := t.put(&rows[i], whole); applied && note != nil {
			note(old, &rows[i])
		}
	}
	if whole {
		t.keep(rows, idx, fresh)
	}
	for _, k := range gone {
		t.drop(k, idx)
	}
}

// applyNodes keeps the detail where a row comes without one, as in a list, or
// with an older one.
func (st *state) applyNodes(u Update) {
	rows := slices.Clone(u.Nodes)
	for i := range rows {
		if old := st.nodes.rows[rows[i].ID]; old != nil && old.Detail.newerThan(rows[i].Detail) {
			rows[i].Detail = old.Detail
		}
	}
	fold(st.nodes, u.Lists&SetNodes != 0, u.Index, rows, u.GoneNodes, st.nodeEvents)
	// A stream begins with what happened before the list, and is not read again
	// for the detail: an event that brings no newer row may bring the row's detail.
	for i := range rows {
		n, detail := st.nodes.rows[rows[i].ID], rows[i].Detail
		if n != nil && detail.newerThan(n.Detail) && detail.ModifyIndex >= n.ModifyIndex {
			st.nodes.amend(n.ID, func(n *Node) { n.Detail = detail })
		}
	}
	for id, detail := range u.Details {
		if n := st.nodes.rows[id]; n != nil && !n.Detail.newerThan(detail) {
			st.nodes.amend(id, func(n *Node) { n.Detail = detail })
		}
	}
}

// newerThan says that another detail, which was read apart, comes too late.
func (d *NodeDetail) newerThan(other *NodeDetail) bool {
	return d != nil && (other == nil || d.ModifyIndex > other.ModifyIndex)
}

// forgetDevices drops what is kept of the devices of nodes that are gone.
func (st *state) forgetDevices() {
	away := func(id NodeID) bool { return st.nodes.rows[id] == nil }
	known := make(map[gpu.UUID]bool, len(st.devices))
	for id, d := range st.devices {
		if away(d.node) {
			delete(st.devices, id)
			st.deviceRev++
			continue
		}
		known[id] = true
	}
	for _, n := range st.nodes.rows {
		for i := range n.Devices {
			known[n.Devices[i].UUID] = true
		}
	}
	maps.DeleteFunc(st.tenures, func(id gpu.UUID, t *tenure) bool { return t.holder == nil && !known[id] })
	maps.DeleteFunc(st.hit, func(id gpu.UUID, _ bool) bool { return !known[id] })
	maps.DeleteFunc(st.reports, func(r reporter, _ *report) bool { return away(r.node) })
	maps.DeleteFunc(st.clocks, func(id NodeID, _ *clock) bool { return away(id) })
	st.apart = nil
}

// nodeMoved notes what the rows of GPUs depend on: each allocation that a client
// reports comes with its whole node, on which nothing else changed.
func (st *state) nodeMoved(old, n *Node) {
	switch {
	case old == nil || n == nil || old.Name != n.Name || old.Pool != n.Pool || old.Alone != n.Alone || !sameDevices(old, n):
		st.nodeRev++
	case old.Status == n.Status && old.Open() == n.Open() && slices.Equal(old.Devices, n.Devices):
	case st.joined.layout.shared: // it may have devices from now on that another had
		st.nodeRev++
	default:
		st.touched[n.ID] = n
	}
}

// sameDevices says that two nodes offer the same devices, in whatever state.
func sameDevices(a, b *Node) bool {
	return slices.EqualFunc(a.Devices, b.Devices, func(a, b NodeDevice) bool { return a.UUID == b.UUID && a.Model == b.Model && a.PCI == b.PCI })
}

func (st *state) nodeEvents(old, n *Node) {
	if old == nil {
		return
	}
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
			e := Event{
				At: st.now(), Kind: "gpu", Subject: fmt.Sprintf("%s/%d", n.Name, st.gpuIndex(d.UUID, i)), Text: "healthy again: open to the scheduler",
				Node: n.ID, GPU: d.UUID, On: st.onGPU(d.UUID, st.now()),
			}
			if !d.Healthy {
				e.Level, e.Text = Bad, "unhealthy, closed to the scheduler: "+d.HealthText
			}
			st.event(e)
		}
	}
}

// applyJobs keeps the specification where a row comes without one: a list of
// jobs says only what they are called and how they are. What was submitted at
// the same time is the same version.
func (st *state) applyJobs(u Update) {
	rows := slices.Clone(u.Jobs)
	for i := range rows {
		j := &rows[i]
		if old := st.jobs.rows[j.ID]; old != nil && j.Version == UnknownVersion && old.Submitted.Equal(j.Submitted) {
			j.Version = old.Version
		}
		if old := st.jobs.rows[j.ID]; old != nil && j.Groups == nil && old.Version == j.Version {
			j.Groups = old.Groups
		}
	}
	fold(st.jobs, u.Lists&SetJobs != 0, u.Index, rows, u.GoneJobs, nil)
}

func (st *state) applyAllocs(u Update) {
	rows := slices.Clone(u.Allocs)
	for i := range rows {
		st.completeAlloc(&rows[i])
	}
	whole := u.Lists&SetAllocs != 0
	if whole && st.listed&SetAllocs == 0 {
		st.recallTo = u.Index
	}
	fold(st.allocs, whole, u.Index, rows, u.GoneAllocs, func(old, a *Alloc) {
		if old == nil && whole || old != nil && old.Client == a.Client {
			return
		}
		st.allocEvent(a, st.now())
	})
	if whole && !st.recalled && !slices.ContainsFunc(rows, untold) {
		st.recalled = true
		st.recall(rows)
	}
}

func (st *state) allocEvent(a *Alloc, at time.Time) {
	level, text := Info, a.Client+" on "+a.NodeName
	switch a.Client {
	case "failed":
		level = Bad
		text += lastWord(a)
	case "lost": // its node is: what it said last is not why
		level = Bad
	}
	st.event(Event{At: at, Level: level, Kind: "alloc", Subject: a.Name, Text: text, Job: a.Job, Node: a.Node})
}

// recallFor is how far back the first list is told as events, so that who comes
// at three at night sees what happened before.
const recallFor = 24 * time.Hour

func (st *state) recall(rows []Alloc) {
	recent := make([]*Alloc, 0, len(rows))
	for i := range rows {
		a := &rows[i]
		told := st.recallTo > 0 && a.ModifyIndex > st.recallTo // by its event
		if !told && st.now().Sub(a.Modified) <= recallFor {
			recent = append(recent, a)
		}
	}
	slices.SortFunc(recent, func(a, b *Alloc) int { return a.Modified.Compare(b.Modified) })
	if over := len(recent) - maxEvents; over > 0 {
		st.dropped += over
		recent = recent[over:]
	}
	for _, a := range recent {
		st.allocEvent(a, a.Modified)
	}
	slices.SortStableFunc(st.events, func(a, b Event) int { return a.At.Compare(b.At) })
}

// untold says that it is not known yet what the tasks went through: the first
// list leaves it out, and why one failed is among it.
func untold(a Alloc) bool {
	return slices.ContainsFunc(a.Tasks, func(t Task) bool { return t.State == "" })
}

// completeAlloc fills in what one way of learning of an allocation leaves out:
// lists do not name the deployment, and events not the version of the job. As
// long as the evaluation is the same, so are both.
func (st *state) completeAlloc(a *Alloc) {
	old := st.allocs.rows[a.ID]
	same := old != nil && old.Eval == a.Eval
	if a.Deployment == "" && same {
		a.Deployment = old.Deployment
	}
	if a.JobVersion != UnknownVersion {
		return
	}
	a.JobVersion = 0
	if same {
		a.JobVersion = old.JobVersion
	} else if d := st.deployments.rows[a.Deployment]; d != nil {
		a.JobVersion = d.JobVersion
	} else if j := st.jobs.rows[a.Job]; j != nil && j.Version != UnknownVersion {
		a.JobVersion = j.Version
	}
}

// lastWord is what the failed task said last.
func lastWord(a *Alloc) string {
	if said := a.Said(); said != "" {
		return ": task " + said
	}
	return ""
}

func (st *state) applyDeployments(u Update) {
	whole := u.Lists&SetDeployments != 0
	fold(st.deployments, whole, u.Index, u.Deployments, u.GoneDeployments, func(old, d *Deployment) {
		if old == nil && whole || old != nil && old.Status == d.Status {
			return
		}
		level := Info
		if d.Status == "failed" {
			level = Bad
		}
		st.event(Event{
			At: st.now(), Level: level, Kind: "deployment", Subject: d.Job.String(),
			Text: fmt.Sprintf("version %d: %s", d.JobVersion, cmp.Or(d.StatusText, d.Status)), Job: d.Job,
		})
	})
}

// event notes what happened, in order of time: an agent may tell late of what
// its devices went through.
func (st *state) event(e Event) {
	e.Place = st.place
	st.noteHit(&e)
	st.recent = nil
	st.events = append(st.events, e)
	for i := len(st.events) - 1; i > 0 && st.events[i-1].At.After(e.At); i-- {
		st.events[i-1], st.events[i] = st.events[i], st.events[i-1]
	}
	if over := len(st.events) - maxEvents; over > 0 {
		st.dropped += over
		st.events = st.events[over:]
	}
}

func (st *state) newestFirst() []Event {
	if st.recent == nil {
		st.recent = slices.Clone(st.events)
		slices.Reverse(st.recent)
	}
	return st.recent
}
