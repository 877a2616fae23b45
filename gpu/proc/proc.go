package proc

import (
	"os"
	"os/user"
	"time"

	"stoker/gpu"
)

// Options says where to look and how much to tell.
type Options struct {
	Root string // where the host's /proc is; "": /proc
	// Engine is asked for the labels of containers; nil: these are joined by
	// their environment, where readable.
	Engine *Engine
	// Arguments keeps those of commands. Without, a command is its program, and
	// the script or module that an interpreter runs.
	Arguments bool
	Now       func() time.Time // nil: time.Now
}

// Attributor says of processes who they are. It serves one goroutine, the one
// that samples.
type Attributor struct {
	root      string
	eng       *Engine
	arguments bool
	now       func() time.Time
	known     map[int]*process
	users     map[string]string
	turn      uint64
}

// process is what is remembered of one, so that a process that stays costs one
// small read a sample.
type process struct {
	start   uint64 // its start time as in /proc/PID/stat: tells a reused PID
	name    string
	command string
	user    string
	told    time.Time // when name, command and user were read
	ticks   uint64    // of processor time, at the last reading
	at      time.Time // of the last reading
	owner   owner
	box     string    // container ID whose label is awaited
	again   time.Time // when to look for an owner again; zero: never
	lastUse uint64
}

type owner struct{ allocID, task string }

const (
	// retryOwner spaces the looks at a process without a task: in cgroups v1 a
	// task is moved into its group a moment after it began.
	retryOwner = 10 * time.Second
	// retell spaces the looks at what a process calls itself: exec and a server
	// that has started its workers change that.
	retell = 10 * time.Second
	// ancestors is how far up an environment is looked for: a launcher that
	// cleans the environment of its workers is still their parent.
	ancestors = 4
	// environMax bounds what is read of an environment.
	environMax = 1 << 20
	mostUsers  = 1024 // whose names are remembered
	// longestTask is the longest name of a task that is taken from an
	// environment or a label, which anyone may write; Nomad's own are shorter.
	longestTask = 256
)

// New returns an Attributor that knows nobody yet.
func New(o Options) *Attributor {
	if o.Root == "" {
		o.Root = "/proc"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Attributor{
		root: o.Root, eng: o.Engine, arguments: o.Arguments, now: o.Now,
		known: map[int]*process{}, users: map[string]string{},
	}
}

// Fill replaces the process lists of samples by ones that say more. What cannot
// be learnt stays as the sampler left it.
func (a *Attributor) Fill(samples []gpu.Sample) {
	a.turn++
	now := a.now()
	seen := map[int]gpu.Process{} // one process may be on several devices
	for i := range samples {
		if len(samples[i].Processes) == 0 {
			continue
		}
		list := make([]gpu.Process, len(samples[i].Processes))
		for j, p := range samples[i].Processes {
			told, ok := seen[p.PID]
			if !ok {
				told = a.look(p.PID, now)
				seen[p.PID] = told
			}
			list[j] = merge(p, told)
		}
		samples[i].Processes = list
	}
	for pid, p := range a.known {
		if p.lastUse != a.turn {
			delete(a.known, pid)
		}
	}
}

// merge adds what was learnt to what the sampler says.
func merge(p, told gpu.Process) gpu.Process {
	keep := func(to *string, found string) {
		if found != "" {
			*to = found
		}
	}
	keep(&p.Name, told.Name)
	keep(&p.Command, told.Command)
	keep(&p.User, told.User)
	if told.AllocID != "" {
		p.AllocID, p.Task = told.AllocID, told.Task
	}
	if told.Start != 0 {
		p.Start, p.CPUPercent, p.HostMemoryBytes = told.Start, told.CPUPercent, told.HostMemoryBytes
	}
	return p
}

// look is what is known of one process; nothing where it has ended or is
// hidden.
func (a *Attributor) look(pid int, now time.Time) gpu.Process {
	st, err := readStat(a.root, pid)
	if err != nil {
		delete(a.known, pid)
		return gpu.Process{}
	}
	info := a.known[pid]
	if info == nil || info.start != st.start {
		info = &process{start: st.start}
		a.known[pid] = info
		a.findOwner(pid, info)
	} else if info.box != "" || (!info.again.IsZero() && !now.Before(info.again)) {
		a.findOwner(pid, info)
	}
	if info.told.IsZero() || now.Sub(info.told) >= retell {
		info.name, info.user, info.told = comm(a.root, pid), a.userName(uid(a.root, pid)), now
		info.command = command(arguments(a.root, pid), a.arguments)
	}
	out := gpu.Process{
		Name: info.name, Command: info.command, User: info.user, Start: st.start, HostMemoryBytes: &st.memory,
		AllocID: info.owner.allocID, Task: info.owner.task, CPUPercent: info.busy(st.ticks, now),
	}
	info.lastUse = a.turn
	return out
}

// busy is the share of one core since the last reading; nil at the first.
func (p *process) busy(ticks uint64, now time.Time) *float64 {
	was, at := p.ticks, p.at
	p.ticks, p.at = ticks, now
	took := now.Sub(at).Seconds()
	if at.IsZero() || took <= 0 || ticks < was {
		return nil
	}
	percent := 100 * float64(ticks-was) / ticksPerSecond / took
	return &percent
}

// findOwner asks the cgroup first, since a process cannot choose that, then
// the container engine, and only then the environment, which it can.
func (a *Attributor) findOwner(pid int, info *process) {
	info.box, info.again = "", time.Time{}
	group, _ := os.ReadFile(file(a.root, pid, "cgroup"))
	own, box := parseCgroup(group)
	if own.allocID == "" && box != "" && a.eng != nil {
		found, done := a.eng.lookup(box)
		if !done {
			info.box = box // asked: look again at the next sample
			return
		}
		own = found
	}
	if own.allocID == "" {
		own = a.fromEnviron(pid)
	}
	info.owner = own
	if own.allocID == "" {
		info.again = a.now().Add(retryOwner)
	}
}

// userName is a user's name, or the number where this host (or the container
// that this runs in) does not know it.
func (a *Attributor) userName(id string) string {
	if name, ok := a.users[id]; ok || id == "" {
		return name
	}
	name := id
	if u, err := user.LookupId(id); err == nil {
		name = u.Username
	}
	if len(a.users) >= mostUsers {
		clear(a.users) // containers may have a user of their own each
	}
	a.users[id] = name
	return name
}
