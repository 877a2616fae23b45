package agent

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Identity is a user of this machine that the agent can go on as.
type Identity struct {
	Name     string
	uid, gid int
	groups   []int // supplementary ones, as the user would have after a login
}

// ErrNotRoot says that only root can become another user.
var ErrNotRoot = errors.New("only root can become another user")

// FindIdentity looks a user up by name, or takes "UID:GID" as it is: a
// container may have no list of users.
func FindIdentity(name string) (Identity, error) {
	id, err := lookUp(name)
	if err == nil && id.uid == 0 {
		return Identity{}, fmt.Errorf("user %s is root: nothing would be given up", name)
	}
	return id, err
}

func lookUp(name string) (Identity, error) {
	id := Identity{Name: name}
	if u, g, ok := strings.Cut(name, ":"); ok {
		err := numbers([]string{u, g}, &id.uid, &id.gid)
		return id, err
	}
	u, err := user.Lookup(name)
	if err != nil {
		return id, err
	}
	groups, err := u.GroupIds()
	if err != nil {
		return id, err
	}
	id.groups = make([]int, len(groups))
	into := []*int{&id.uid, &id.gid}
	for i := range id.groups {
		into = append(into, &id.groups[i])
	}
	err = numbers(append([]string{u.Uid, u.Gid}, groups...), into...)
	return id, err
}

func numbers(texts []string, into ...*int) error {
	for i, t := range texts {
		n, err := strconv.ParseUint(t, 10, 31)
		if err != nil {
			return fmt.Errorf("%q is no number of a user or group", t)
		}
		*into[i] = int(n)
	}
	return nil
}

// Held tells whether this process is that user already.
func (id Identity) Held() bool { return os.Getuid() == id.uid && os.Geteuid() == id.uid }

// listenerVar tells the program that Become starts which descriptor listens.
const listenerVar = "STOKER_AGENT_LISTENER"

// environCapabilities are what reading /proc/PID/environ of another user
// takes: its mode lets only the owner open it, and the kernel then asks for the
// right to trace.
func environCapabilities() []uintptr {
	return []uintptr{unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH}
}

// Become replaces this process, which must be root's, by the same program with
// the same arguments as the user, without any capability (but for those that
// read environments, where readEnviron asks for them) and without a way to gain
// one. It hands ln over, which Inherited finds. It returns only if it fails,
// and the process must end then.
//
// It replaces the process because capabilities belong to a thread, and a Go
// program has many, which no call reaches when C is linked in; after execve
// there is one thread with the rights of the one that called.
func (id Identity) Become(ln net.Listener, readEnviron bool) error {
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	var keep []uintptr
	if readEnviron {
		keep = environCapabilities()
	}
	fd, err := inheritable(ln)
	if err != nil {
		return fmt.Errorf("hand the listener over: %w", err)
	}
	runtime.LockOSThread() // for good: what follows is this thread's alone
	if err := dropBounds(keep); err != nil {
		return err
	}
	if err := id.switchTo(); err != nil {
		return err
	}
	if err := holdOnly(keep); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}
	err = syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), listenerVar+"="+strconv.Itoa(fd)))
	return fmt.Errorf("start again as user %s, who must be able to run this program: %w", id.Name, err)
}

// inheritable gives a descriptor that outlives execve.
func inheritable(ln net.Listener) (int, error) {
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return 0, fmt.Errorf("%T has no descriptor", ln)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	fd, dupErr := -1, error(nil)
	if err := raw.Control(func(f uintptr) { fd, dupErr = unix.Dup(int(f)) }); err != nil {
		return 0, err
	}
	return fd, dupErr
}

// dropBounds takes all other capabilities out of the set that any program this
// one starts could have. In a container that may not, no harm is done: there is
// no way to a new privilege anyway.
func dropBounds(keep []uintptr) error {
	for c := uintptr(0); ; c++ {
		if slices.Contains(keep, c) {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		switch {
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EPERM): // past the last one; or not allowed
			return nil
		case err != nil:
			return fmt.Errorf("bound capabilities: %w", err)
		}
	}
}

func (id Identity) switchTo() error {
	// Else the change of user would clear all capabilities.
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("keep capabilities: %w", err)
	}
	if err := syscall.Setgroups(id.groups); err != nil {
		return fmt.Errorf("take the groups of user %s: %w", id.Name, err)
	}
	if err := syscall.Setresgid(id.gid, id.gid, id.gid); err != nil {
		return fmt.Errorf("take the group of user %s: %w", id.Name, err)
	}
	if err := syscall.Setresuid(id.uid, id.uid, id.uid); err != nil {
		return fmt.Errorf("become user %s: %w", id.Name, err)
	}
	return nil
}

// holdOnly makes keep all the capabilities of this thread, and has them last
// through execve.
func holdOnly(keep []uintptr) error {
	var sets [2]unix.CapUserData
	for _, c := range keep {
		bit := uint32(1) << (c % 32)
		s := &sets[c/32]
		s.Effective, s.Permitted, s.Inheritable = s.Effective|bit, s.Permitted|bit, s.Inheritable|bit
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capset(&header, &sets[0]); err != nil {
		return fmt.Errorf("keep only the capabilities that read environments, which this process must have: %w", err)
	}
	for _, c := range keep {
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, c, 0, 0); err != nil {
			return fmt.Errorf("hand a capability on: %w", err)
		}
	}
	return nil
}

// Inherited gives the listener that Become handed over; nil when there is none.
func Inherited() (net.Listener, error) {
	text := os.Getenv(listenerVar)
	if text == "" {
		return nil, nil
	}
	_ = os.Unsetenv(listenerVar)
	fd, err := strconv.Atoi(text)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("%s=%s names no descriptor", listenerVar, text)
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close() // FileListener has its own
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("take the listener over: %w", err)
	}
	return ln, nil
}
