package cluster

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"stoker/gpu"
)

// Tenant is an allocation that was on a GPU at some time.
type Tenant struct {
	Alloc AllocID
	Name  string // job.group[index]; empty while only a process told of it
	Job   JobID
	Task  string
	Since time.Time // when it was given the GPU, or first seen on it
	// Held says that the scheduler had given it the GPU. Otherwise a process of
	// it was seen there.
	Held bool
}

// String is "prod/llm-chat.server[1]", or "alloc 8f3e21ab" where the allocation
// was not read.
func (t *Tenant) String() string {
	if t.Name == "" {
		return "alloc " + t.Alloc.Short()
	}
	return t.Job.Namespace + "/" + t.Name
}

// Tenants names them all.
func Tenants(on []Tenant) string {
	names := make([]string, len(on))
	for i := range on {
		names[i] = on[i].String()
	}
	return strings.Join(names, ", ")
}

// GPUEvent is what happened to a GPU, with the allocations that were on it then.
type GPUEvent struct {
	gpu.Event
	On []Tenant
}

// Level says how loud the event is.
func (e *GPUEvent) Level() Level {
	switch e.Kind {
	case gpu.EventBack, gpu.EventMIG:
		return Info
	case gpu.EventPower:
		return Warn
	case gpu.EventClock:
		if e.Verdict == gpu.VerdictOK {
			return Info
		}
		return Warn
	case gpu.EventECC:
		if e.Verdict == gpu.VerdictFailed {
			return Bad // data was lost, or will be
		}
		return Warn
	case gpu.EventXid:
		if x, known := gpu.LookupXid(e.Xid); !known || x.Verdict != gpu.VerdictFailed {
			return Warn
		}
	}
	return Bad
}

// stay is the time for which the scheduler gave a GPU to an allocation, which
// begins with the tenant's Since.
type stay struct {
	Tenant
	to     time.Time // zero while it lasts
	leaves bool      // it was told to go
}

// tenure is who had one GPU, and who has it.
type tenure struct {
	stays  []stay // the earlier first
	holder *Holder
}

// current is whose the GPU is: while one leaves and the next is already placed,
// it is the next one's.
func (t *tenure) current() *stay {
	var leaving *stay
	for i := len(t.stays) - 1; i >= 0; i-- {
		switch s := &t.stays[i]; {
		case !s.to.IsZero():
		case !s.leaves:
			return s
		case leaving == nil:
			leaving = s
		}
	}
	return leaving
}

func (s *stay) covers(at time.Time) bool {
	return !s.Since.After(at) && (s.to.IsZero() || !s.to.Before(at))
}

// visit is the time in which processes of an allocation were seen on a GPU.
type visit struct {
	alloc       AllocID
	task        string
	first, last time.Time
}

const (
	// endedKept bounds the stays remembered of one GPU after they ended: an
	// agent may tell late of what happened during them.
	endedKept = 8
	// visitsKept bounds the visits remembered of one GPU.
	visitsKept = 16
	// visitLasts is how long after it was seen last a process still counts as
	// there: what hits a GPU often ends the process before the next reading.
	visitLasts = 10 * time.Second
)

func (v *visit) covers(at time.Time) bool {
	return !at.Before(v.first) && at.Sub(v.last) <= visitLasts
}

// seen adds the allocations whose processes a sample shows.
func seen(visits []visit, s *gpu.Sample) []visit {
	for _, p := range s.Processes {
		if p.AllocID == "" {
			continue
		}
		id := AllocID(p.AllocID)
		if i := slices.IndexFunc(visits, func(v visit) bool { return v.alloc == id }); i >= 0 {
			visits[i].last = s.At
			continue
		}
		if len(visits) == visitsKept {
			oldest := slices.MinFunc(visits, func(a, b visit) int { return a.last.Compare(b.last) })
			visits = slices.DeleteFunc(visits, func(v visit) bool { return v.alloc == oldest.alloc })
		}
		visits = append(visits, visit{id, p.Task, s.At, s.At})
	}
	return visits
}

// allocMoved keeps the stays: the table of allocations tells of each change.
func (st *state) allocMoved(old, now *Alloc) {
	last := now
	if last == nil {
		last = old
	}
	ended := endOf(last)
	if now == nil && ended.IsZero() { // it is no longer there, and nobody said since when
		ended = st.now()
	}
	for i := range last.Tasks {
		t := &last.Tasks[i]
		for _, id := range t.GPUs {
			st.keepStay(id, stay{tenant(last, t.Name), ended, !last.Stays()})
		}
	}
	if now == nil {
		return
	}
	if old != nil {
		st.letGo(old, now)
	}
	for _, id := range st.unnamed[now.ID] {
		named := stay{Tenant: tenant(now, "")}
		named.Held, named.to = false, named.Since.Add(-1) // it covers nothing: only its name is new
		st.amend(id, named)
	}
	delete(st.unnamed, now.ID)
}

// letGo ends the stays on GPUs that an allocation is no longer said to have.
func (st *state) letGo(old, now *Alloc) {
	for i := range old.Tasks {
		t := &old.Tasks[i]
		for _, id := range t.GPUs {
			if !now.has(id) {
				st.keepStay(id, stay{tenant(old, t.Name), st.now(), true})
			}
		}
	}
}

func (a *Alloc) has(id gpu.UUID) bool {
	return slices.ContainsFunc(a.Tasks, func(t Task) bool { return slices.Contains(t.GPUs, id) })
}

func tenant(a *Alloc, task string) Tenant {
	return Tenant{Alloc: a.ID, Name: a.Name, Job: a.Job, Task: task, Since: a.Created, Held: true}
}

// endOf is when an allocation left its GPUs, zero while it has them: by the
// clock of its node where that says so, as the events of its GPUs are.
func endOf(a *Alloc) (at time.Time) {
	if !a.Terminal() {
		return at
	}
	for i := range a.Tasks {
		if t := &a.Tasks[i]; len(t.GPUs) > 0 && t.Finished.After(at) {
			at = t.Finished
		}
	}
	if at.IsZero() {
		at = a.Modified
	}
	if at.Before(a.Created) {
		return a.Created
	}
	return at
}

// keepStay notes what the scheduler says of one allocation and one GPU.
func (st *state) keepStay(id gpu.UUID, s stay) {
	t := st.tenure(id)
	list := t.stays
	i := slices.IndexFunc(list, func(o stay) bool { return o.Alloc == s.Alloc })
	switch {
	case i >= 0 && list[i] == s:
		return
	case i >= 0:
		list[i] = s
	default:
		list = append(list, s)
	}
	slices.SortStableFunc(list, func(a, b stay) int { return a.Since.Compare(b.Since) })
	over := -endedKept
	for i := range list {
		if !list[i].to.IsZero() {
			over++
		}
	}
	t.stays = slices.DeleteFunc(list, func(o stay) bool {
		if o.to.IsZero() || over <= 0 {
			return false
		}
		over--
		return true
	})
	st.hold(t)
	st.amend(id, s)
	if d := st.devices[id]; d != nil && d.Parent != "" {
		st.amend(d.Parent, s)
	}
}

// tenure is that of a GPU, which is made when somebody asks for it first.
func (st *state) tenure(id gpu.UUID) *tenure {
	t := st.tenures[id]
	if t == nil {
		t = &tenure{}
		st.tenures[id] = t
	}
	return t
}

// hold sets who holds a GPU, as its stays have it, and what its job is.
func (st *state) hold(t *tenure) {
	was := t.holder
	var now *Holder
	if s := t.current(); s != nil {
		now = &Holder{Alloc: s.Alloc, Name: s.Name, Job: s.Job, Task: s.Task, Since: s.Since}
		if j := st.jobs.rows[s.Job]; j != nil {
			now.Kind, now.Model = j.Kind, j.Model
		}
	}
	t.holder = now
	if was != nil {
		if st.heldBy[was.Job]--; st.heldBy[was.Job] == 0 {
			delete(st.heldBy, was.Job)
		}
	}
	if now != nil {
		st.heldBy[now.Job]++
	}
}

// jobMoved notes jobs of which holders say something that has changed.
func (st *state) jobMoved(old, now *Job) {
	if now != nil && (old == nil || old.Kind != now.Kind || old.Model != now.Model) && st.heldBy[now.ID] > 0 {
		st.retold[now.ID] = true
	}
}

// retell lets holders say of their jobs what is said of them now.
func (st *state) retell() {
	if len(st.retold) == 0 {
		return
	}
	for _, t := range st.tenures {
		if t.holder != nil && st.retold[t.holder.Job] {
			st.hold(t)
		}
	}
	clear(st.retold)
}

// onGPU lists who was on a device at a time: those whom the scheduler had given
// it or one of its MIG instances, and those whose processes were seen there.
func (st *state) onGPU(id gpu.UUID, at time.Time) []Tenant {
	out := st.onDevice(nil, id, at)
	for _, part := range st.partsOf(id) {
		out = st.onDevice(out, part, at)
	}
	inOrder(out)
	return out
}

// partsOf lists the MIG instances of a device.
func (st *state) partsOf(id gpu.UUID) []gpu.UUID {
	if st.parts == nil || st.partsRev != st.deviceRev {
		st.parts, st.partsRev = map[gpu.UUID][]gpu.UUID{}, st.deviceRev
		for part, d := range st.devices {
			if d.Parent != "" {
				st.parts[d.Parent] = append(st.parts[d.Parent], part)
			}
		}
	}
	return st.parts[id]
}

func (st *state) onDevice(out []Tenant, id gpu.UUID, at time.Time) []Tenant {
	has := func(a AllocID) bool { return slices.ContainsFunc(out, func(t Tenant) bool { return t.Alloc == a }) }
	for _, s := range st.staysOn(id) {
		if s.covers(at) && !has(s.Alloc) {
			out = append(out, s.Tenant)
		}
	}
	d := st.devices[id]
	if d == nil {
		return out
	}
	for _, v := range d.visits {
		if !v.covers(at) || has(v.alloc) {
			continue
		}
		t := Tenant{Alloc: v.alloc, Task: v.task, Since: v.first}
		if a := st.allocs.rows[v.alloc]; a != nil {
			t.Name, t.Job = a.Name, a.Job
		}
		out = append(out, t)
	}
	return out
}

func (st *state) staysOn(id gpu.UUID) []stay {
	if t := st.tenures[id]; t != nil {
		return t.stays
	}
	return nil
}

func inOrder(on []Tenant) {
	slices.SortFunc(on, func(a, b Tenant) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Alloc, b.Alloc)) })
}

// noteHit remembers of which GPU an event is, and whom it names without a name.
func (st *state) noteHit(e *Event) {
	if e.GPU == "" {
		return
	}
	st.hit[e.GPU] = true
	for i := range e.On {
		if t := &e.On[i]; t.Name == "" && len(st.unnamed) < maxEvents && !slices.Contains(st.unnamed[t.Alloc], e.GPU) {
			st.unnamed[t.Alloc] = append(st.unnamed[t.Alloc], e.GPU)
		}
	}
}

// amend corrects who was on a GPU when something happened to it: the scheduler
// may tell of an allocation, or of its end, later than the agent of the event.
func (st *state) amend(id gpu.UUID, s stay) {
	if !st.hit[id] {
		return
	}
	if d := st.devices[id]; d != nil {
		d.events = slices.Clone(d.events) // snapshots share them
		for i := range d.events {
			d.events[i].On, _ = amended(d.events[i].On, s, d.events[i].At)
		}
	}
	for i := range st.events {
		e := &st.events[i]
		if e.GPU != id {
			continue
		}
		if on, changed := amended(e.On, s, e.At); changed {
			e.On, st.recent = on, nil
		}
	}
}

func amended(on []Tenant, s stay, at time.Time) (out []Tenant, changed bool) {
	i := slices.IndexFunc(on, func(t Tenant) bool { return t.Alloc == s.Alloc })
	covers := s.covers(at)
	switch {
	case covers && i < 0:
		out = append(slices.Clone(on), s.Tenant)
	case covers && on[i] != s.Tenant:
		out = slices.Clone(on)
		out[i] = s.Tenant
	case !covers && i >= 0 && on[i].Held && s.Held:
		out = slices.Delete(slices.Clone(on), i, i+1)
	case !covers && i >= 0 && on[i].Name == "":
		out = slices.Clone(on)
		out[i].Name, out[i].Job = s.Name, s.Job
	default:
		return on, false
	}
	inOrder(out)
	return out, true
}
