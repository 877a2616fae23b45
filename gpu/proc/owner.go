package proc

import (
	"bytes"
	"io"
	"os"
	"strings"
)

// fromEnviron reads Nomad's variables of a process or of its nearest ancestor
// that has them. That needs the same user or root. Nothing else of the
// environment, which may hold secrets, is kept.
func (a *Attributor) fromEnviron(pid int) owner {
	for range ancestors {
		if own := parseEnviron(readUpTo(file(a.root, pid, "environ"), environMax)); own.allocID != "" {
			return own
		}
		st, err := readStat(a.root, pid)
		if err != nil || st.parent <= 1 {
			break
		}
		pid = st.parent
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
