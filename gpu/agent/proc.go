package agent

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"stoker/gpu"
)

// attributor says of a process who it is and which Nomad task it belongs to.
// It serves the sampling goroutine only.
type attributor struct {
	root  string
	eng   *engine
	now   func() time.Time
	known map[int]*process
	users map[string]string
	turn  uint64
}

// process is what is remembered of one, so that a process that stays costs one
// small read a sample.
type process struct {
	start   string // its start time as in /proc/PID/stat: tells a reused PID
	name    string
	user    string
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

func newAttributor(root string, eng *engine, now func() time.Time) *attributor {
	return &attributor{root: root, eng: eng, now: now, known: map[int]*process{}, users: map[string]string{}}
}

// fill replaces the process lists of samples by ones that say more. What cannot
// be learnt stays as the sampler left it.
func (a *attributor) fill(samples []gpu.Sample) {
	a.turn++
	for i := range samples {
		if len(samples[i].Processes) == 0 {
			continue
		}
		list := make([]gpu.Process, len(samples[i].Processes))
		for j, p := range samples[i].Processes {
			list[j] = a.one(p)
		}
		samples[i].Processes = list
	}
	for pid, p := range a.known {
		if p.lastUse != a.turn {
			delete(a.known, pid)
		}
	}
}

func (a *attributor) one(p gpu.Process) gpu.Process {
	info, err := a.look(p.PID)
	if err != nil {
		return p
	}
	info.lastUse = a.turn
	p.Name, p.User = orKeep(info.name, p.Name), orKeep(info.user, p.User)
	if info.owner.allocID != "" {
		p.AllocID, p.Task = info.owner.allocID, info.owner.task
	}
	return p
}

func orKeep(found, kept string) string {
	if found != "" {
		return found
	}
	return kept
}

func (a *attributor) look(pid int) (*process, error) {
	start, _, err := a.stat(pid)
	if err != nil {
		delete(a.known, pid)
		return nil, err
	}
	info := a.known[pid]
	if info == nil || info.start != start {
		info = &process{start: start, name: a.comm(pid), user: a.user(pid)}
		a.known[pid] = info
		a.findOwner(pid, info)
		return info, nil
	}
	if info.box != "" || (!info.again.IsZero() && !a.now().Before(info.again)) {
		a.findOwner(pid, info)
	}
	return info, nil
}

// findOwner asks the cgroup first, since a process cannot choose that, then
// the container engine, and only then the environment, which it can.
func (a *attributor) findOwner(pid int, info *process) {
	info.box, info.again = "", time.Time{}
	group, _ := os.ReadFile(a.file(pid, "cgroup"))
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

func (a *attributor) file(pid int, name string) string {
	return filepath.Join(a.root, strconv.Itoa(pid), name)
}

// stat returns the start time and the parent. The name in parentheses may hold
// anything, so fields are counted from its end.
func (a *attributor) stat(pid int) (start string, parent int, err error) {
	raw, err := os.ReadFile(a.file(pid, "stat"))
	if err != nil {
		return "", 0, err
	}
	fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:])
	const parentAt, startAt = 1, 19 // after "PID (name)": state is 0
	if len(fields) <= startAt {
		return "", 0, fmt.Errorf("process %d: stat is too short", pid)
	}
	parent, err = strconv.Atoi(string(fields[parentAt]))
	return string(fields[startAt]), parent, err
}

func (a *attributor) comm(pid int) string {
	raw, _ := os.ReadFile(a.file(pid, "comm"))
	return strings.TrimSpace(string(raw))
}

// user returns the effective user's name, or the number where this host (or
// the agent's container) does not know it.
func (a *attributor) user(pid int) string {
	raw, _ := os.ReadFile(a.file(pid, "status"))
	for line := range strings.Lines(string(raw)) {
		ids, ok := strings.CutPrefix(line, "Uid:")
		if !ok {
			continue
		}
		if f := strings.Fields(ids); len(f) > 1 {
			return a.userName(f[1])
		}
	}
	return ""
}

func (a *attributor) userName(id string) string {
	if name, ok := a.users[id]; ok {
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

// fromEnviron reads Nomad's variables of a process or of its nearest ancestor
// that has them. That needs the same user or root. Nothing else of the
// environment, which may hold secrets, is kept.
func (a *attributor) fromEnviron(pid int) owner {
	for range ancestors {
		if own := parseEnviron(readUpTo(a.file(pid, "environ"), environMax)); own.allocID != "" {
			return own
		}
		_, parent, err := a.stat(pid)
		if err != nil || parent <= 1 {
			break
		}
		pid = parent
	}
	return owner{}
}

func readUpTo(name string, most int64) []byte {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	raw, _ := io.ReadAll(io.LimitReader(f, most)) // what was read before an error is still good
	return raw
}

func parseEnviron(raw []byte) owner {
	var own owner
	for v := range bytes.SplitSeq(raw, []byte{0}) {
		if s, ok := bytes.CutPrefix(v, []byte("NOMAD_ALLOC_ID=")); ok && isUUID(string(s)) {
			own.allocID = string(s)
		}
		if s, ok := bytes.CutPrefix(v, []byte("NOMAD_TASK_NAME=")); ok {
			own.task = string(s)
		}
	}
	if own.allocID == "" || len(own.task) > longestTask {
		return owner{}
	}
	return own
}

// parseCgroup finds a Nomad task or a container in /proc/PID/cgroup. Nomad's
// own drivers make, for v2, nomad.slice/share.slice/ALLOC.TASK.scope (or
// reserve.slice, or another parent by configuration), for v1 nomad/ALLOC.TASK
// in all hierarchies but cpuset. Any path element of that form counts, so that
// groups within, other parents and cgroup namespaces do no harm.
func parseCgroup(raw []byte) (own owner, container string) {
	for line := range strings.Lines(string(raw)) {
		parts := strings.SplitN(strings.TrimRight(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for elem := range strings.SplitSeq(parts[2], "/") {
			if o, ok := taskElement(elem); ok {
				return o, ""
			}
			if id, ok := containerElement(elem); ok {
				container = id
			}
		}
	}
	return owner{}, container
}

func taskElement(elem string) (owner, bool) {
	const n = 36 // of a UUID
	if len(elem) < n+2 || elem[n] != '.' || !isUUID(elem[:n]) {
		return owner{}, false
	}
	task := strings.TrimSuffix(elem[n+1:], ".scope")
	return owner{allocID: elem[:n], task: task}, task != ""
}

// containerElement knows "ID", "docker-ID.scope", "libpod-ID.scope" and the like.
func containerElement(elem string) (string, bool) {
	elem = strings.TrimSuffix(elem, ".scope")
	id := elem[strings.LastIndexByte(elem, '-')+1:]
	if len(id) != 64 || strings.Trim(id, "0123456789abcdef") != "" {
		return "", false
	}
	return id, true
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)):
			return false
		}
	}
	return true
}
