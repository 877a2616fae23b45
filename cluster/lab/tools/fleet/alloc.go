package main

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/nomad/nomad/structs"

	"stoker/gpu"
)

// What a job may say of how its simulated tasks behave, in its meta.
const (
	metaSeconds = "fleet.seconds" // how long a task runs before it exits; for ever without
	metaExit    = "fleet.exit"    // with which code
	metaLoad    = "fleet.load"    // what it does with its GPUs: one of the loads
)

// alloc is an allocation on its node. The node's lock guards it.
type alloc struct {
	id, namespace, job, group string
	index                     uint64 // AllocModifyIndex of what is known of it
	tasks                     []string
	gpus                      []gpu.UUID
	task                      string // which of the tasks has the GPUs
	load                      string
	runs                      time.Duration // 0: for ever
	exit                      int
	healthyAfter              time.Duration
	deployed                  string // the deployment that waits for its health
	services                  []*structs.Service
	ports                     structs.AllocatedPorts
	networks                  structs.Networks

	status string // ClientStatus
	states map[string]*structs.TaskState
	health *structs.AllocDeploymentStatus
	timers []*time.Timer
}

// take makes what the servers say of an allocation true. The caller holds the lock.
func (n *node) take(in *structs.Allocation) {
	a := n.allocs[in.ID]
	if a == nil {
		a = newAlloc(in)
		n.allocs[in.ID] = a
		switch {
		case in.ClientTerminalStatus():
			return
		case in.ServerTerminalStatus():
			a.status = structs.AllocClientStatusComplete
			n.dirty[a.id] = true
			n.nudge()
			return
		case in.ClientStatus == structs.AllocClientStatusRunning:
			a.resume(n, in)
			return
		}
		a.begin(n)
		return
	}
	a.index = in.AllocModifyIndex
	if in.ServerTerminalStatus() {
		a.halt(n)
		return
	}
	// The job has changed in a way that needs no new allocation.
	a.read(in)
	if a.status == structs.AllocClientStatusRunning {
		n.offer(a)
		a.awaitHealth(n)
	}
}

func newAlloc(in *structs.Allocation) *alloc {
	a := &alloc{
		id: in.ID, namespace: in.Namespace, job: in.JobID, group: in.TaskGroup, index: in.AllocModifyIndex, status: in.ClientStatus,
		states: map[string]*structs.TaskState{},
	}
	a.read(in)
	return a
}

// read takes what a change of the job may change.
func (a *alloc) read(in *structs.Allocation) {
	a.deployed = ""
	if in.DeploymentID != "" && !in.DeploymentStatus.HasHealth() {
		a.deployed = in.DeploymentID
	}
	if in.Job == nil {
		return
	}
	meta := in.Job.Meta
	seconds, _ := strconv.ParseFloat(meta[metaSeconds], 64)
	a.runs = time.Duration(seconds * float64(time.Second))
	a.exit, _ = strconv.Atoi(meta[metaExit])
	a.load = meta[metaLoad]
	if a.load == "" {
		a.load = loadOfKind(meta["stoker.kind"])
	}
	tg := in.Job.LookupTaskGroup(in.TaskGroup)
	if tg == nil {
		return
	}
	if tg.Update != nil {
		a.healthyAfter = tg.Update.MinHealthyTime
	}
	a.tasks, a.services = nil, slices.Clone(tg.Services)
	for _, t := range tg.Tasks {
		a.tasks = append(a.tasks, t.Name)
		a.services = append(a.services, t.Services...)
	}
	if r := in.AllocatedResources; r != nil {
		a.ports, a.networks, a.gpus = r.Shared.Ports, r.Shared.Networks, nil
		for name, t := range r.Tasks {
			for _, d := range t.Devices {
				for _, id := range d.DeviceIDs {
					a.gpus, a.task = append(a.gpus, gpu.UUID(id)), name
				}
			}
		}
	}
}

// update is what the servers are told: only what they cannot know.
func (a *alloc) update(node string) *structs.Allocation {
	u := &structs.Allocation{ID: a.id, NodeID: node, ClientStatus: a.status, TaskStates: map[string]*structs.TaskState{}, DeploymentStatus: a.health}
	for name, s := range a.states {
		u.TaskStates[name] = s.Copy()
	}
	switch a.status {
	case structs.AllocClientStatusRunning:
		u.ClientDescription = "Tasks are running"
	case structs.AllocClientStatusComplete:
		u.ClientDescription = "All tasks have completed"
	case structs.AllocClientStatusFailed:
		u.ClientDescription = "Failed tasks"
	case structs.AllocClientStatusPending:
		u.ClientDescription = "No tasks have started"
	}
	return u
}

// after runs do on the node after a while, unless the allocation ends before.
func (a *alloc) after(n *node, d time.Duration, do func()) {
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if !slices.Contains(a.timers, t) {
			return // it was too late to stop it
		}
		a.timers = slices.DeleteFunc(a.timers, func(other *time.Timer) bool { return other == t })
		do()
	})
	a.timers = append(a.timers, t)
}

func (a *alloc) stopTimers() {
	for _, t := range a.timers {
		t.Stop()
	}
	a.timers = nil
}

// say adds an event to the history of each task.
func (a *alloc) say(n *node, kind string, change func(*structs.TaskEvent)) {
	for _, name := range a.tasks {
		s := a.states[name]
		if s == nil {
			s = &structs.TaskState{State: structs.TaskStatePending}
			a.states[name] = s
		}
		e := structs.NewTaskEvent(kind)
		if change != nil {
			change(e)
		}
		e.PopulateEventDisplayMessage()
		s.Events = append(s.Events, e)
		if len(s.Events) > 10 {
			s.Events = s.Events[1:] // as Nomad's client does
		}
	}
	n.dirty[a.id] = true
	n.nudge()
}

// begin starts an allocation that is new.
func (a *alloc) begin(n *node) {
	a.status = structs.AllocClientStatusPending
	a.say(n, structs.TaskReceived, nil)
	a.say(n, structs.TaskSetup, func(e *structs.TaskEvent) { e.SetMessage(structs.TaskBuildingTaskDir) })
	a.after(n, 20*time.Millisecond+rand.N(syncEvery), func() { a.run(n) })
}

func (a *alloc) run(n *node) {
	now := time.Now().UTC()
	a.status = structs.AllocClientStatusRunning
	a.say(n, structs.TaskStarted, nil)
	for _, s := range a.states {
		s.State, s.StartedAt = structs.TaskStateRunning, now
	}
	n.occupy(a)
	n.offer(a)
	a.awaitHealth(n)
	if a.runs > 0 {
		a.after(n, a.runs, func() { a.finish(n, a.exit) })
	}
}

// resume goes on with what ran before this program was started again.
func (a *alloc) resume(n *node, in *structs.Allocation) {
	began := time.Now()
	for name, s := range in.TaskStates {
		a.states[name] = s.Copy()
		began = s.StartedAt
	}
	n.occupy(a)
	n.offer(a)
	a.awaitHealth(n)
	if a.runs > 0 {
		a.after(n, max(time.Second, a.runs-time.Since(began)), func() { a.finish(n, a.exit) })
	}
}

func (a *alloc) awaitHealth(n *node) {
	if a.deployed == "" {
		return
	}
	a.deployed = ""
	a.after(n, a.healthyAfter, func() {
		healthy := true
		a.health = &structs.AllocDeploymentStatus{Healthy: &healthy, Timestamp: time.Now().UTC()}
		n.dirty[a.id] = true
		n.nudge()
	})
}

// finish ends the tasks as if they had exited.
func (a *alloc) finish(n *node, code int) {
	a.say(n, structs.TaskTerminated, func(e *structs.TaskEvent) { e.SetExitCode(code) })
	if code != 0 {
		a.say(n, structs.TaskNotRestarting, func(e *structs.TaskEvent) {
			e.SetRestartReason("Policy allows no restarts").SetFailsTask()
		})
	}
	a.dead(n, code != 0)
}

// halt ends the tasks because the servers want it.
func (a *alloc) halt(n *node) {
	if a.status == structs.AllocClientStatusComplete || a.status == structs.AllocClientStatusFailed {
		return
	}
	a.stopTimers()
	a.say(n, structs.TaskKilling, func(e *structs.TaskEvent) { e.SetKillTimeout(5*time.Second, 30*time.Second) })
	a.after(n, 100*time.Millisecond+rand.N(400*time.Millisecond), func() {
		a.say(n, structs.TaskTerminated, func(e *structs.TaskEvent) { e.SetExitCode(130).SetSignal(2) })
		a.say(n, structs.TaskKilled, nil)
		a.dead(n, false)
	})
}

func (a *alloc) dead(n *node, failed bool) {
	now := time.Now().UTC()
	a.status = structs.AllocClientStatusComplete
	if failed {
		a.status = structs.AllocClientStatusFailed
	}
	for _, s := range a.states {
		s.State, s.Failed, s.FinishedAt = structs.TaskStateDead, failed, now
	}
	a.end(n)
	n.dirty[a.id] = true
	n.nudge()
}

// end takes back what the allocation has on its node, and tells nobody.
func (a *alloc) end(n *node) {
	a.stopTimers()
	n.release(a)
	n.withdraw(a)
}

// occupy gives the allocation its GPUs.
func (n *node) occupy(a *alloc) {
	for _, d := range n.gpus {
		if slices.Contains(a.gpus, d.device.UUID) {
			d.hold(a)
		}
	}
}

func (n *node) release(a *alloc) {
	for _, d := range n.gpus {
		if d.holder == a {
			d.hold(nil)
		}
	}
}
