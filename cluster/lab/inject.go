package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"stoker/gpu"
)

// FaultKind is one thing that a lab can be made to suffer.
type FaultKind struct {
	Name string // "xid", "kill", "seal", …
	On   Suffers
	Text string // what happens, in a few words
}

// Suffers says what a kind of fault is for, as a person types it.
type Suffers string

// What can suffer.
const (
	OnGPU    Suffers = "NODE/GPU"
	OnNode   Suffers = "NODE"
	OnVault  Suffers = "vault"
	OnServer Suffers = "SERVER"
)

const (
	kindXid   = "xid"
	kindDown  = "down"
	kindSeal  = "seal"
	kindHang  = "agent-hang"
	theVault  = "vault"
	theLeader = "leader" // the server that leads, whichever it is
)

// FaultKinds lists all kinds of fault.
func FaultKinds() []FaultKind {
	kinds := gpuKinds()
	return append(kinds, []FaultKind{
		{"kill", OnNode, "its Nomad client dies and the tasks go on, as when the network is cut"},
		{"crash", OnNode, "its Nomad client and its tasks die, as when the power is cut"},
		{"stop", OnNode, "its Nomad client ends in good order and the tasks go on"},
		{kindHang, OnNode, "its stoker agent stands still"},
		{kindSeal, OnVault, "Vault is sealed: no key can be used"},
		{kindDown, OnServer, "the Nomad server dies; the target leader is the one that leads"},
	}...)
}

// Fault is one thing that is wrong with a lab.
type Fault struct {
	Target string // "gpu-a/3", "gpu-a", "vault", "server-1" or "leader"
	Kind   string // of FaultKinds; "down" too for a node or a Vault that does not run
	Xid    uint64 // for the kind "xid"
	Text   string // what it means; meaningless in what is to be injected
}

// String is the fault as a person types it.
func (f Fault) String() string { return f.Target + " " + f.What() }

// What is the fault without its target: "xid 79".
func (f Fault) What() string {
	if f.Xid != 0 {
		return fmt.Sprintf("%s %d", f.Kind, f.Xid)
	}
	return f.Kind
}

// FaultError says what is wrong with a fault that somebody asked for.
type FaultError struct{ Text string }

func (e *FaultError) Error() string { return e.Text }

func noFault(format string, args ...any) error { return &FaultError{fmt.Sprintf(format, args...)} }

// ErrNotRunning says that no part of the lab runs, so that nothing can happen to it.
var ErrNotRunning = errors.New("it does not run")

// ParseFault reads a fault as a person types it: a target, a kind and, for an
// Xid, its number. Whether the lab has such a target only Inject knows.
func ParseFault(words ...string) (Fault, error) {
	if len(words) < 2 {
		return Fault{}, noFault("say what suffers and what it suffers, such as gpu-a/3 lost")
	}
	f := Fault{Target: words[0], Kind: words[1]}
	on := suffers(f.Target)
	rest := words[2:]
	switch {
	case f.Kind == kindXid && len(rest) == 0:
		return f, noFault("say which Xid, such as %s xid 79", f.Target)
	case f.Kind == kindXid:
		n, err := strconv.ParseUint(rest[0], 10, 32)
		if err != nil || n == 0 {
			return f, noFault("%q is no number of an Xid", rest[0])
		}
		f.Xid, rest = n, rest[1:]
	}
	if len(rest) > 0 {
		return f, noFault("%s takes nothing more, and not %q", f, rest[0])
	}
	var fits []string
	for _, k := range FaultKinds() {
		switch {
		case k.On == on && k.Name == f.Kind:
			return f, nil
		case k.On == on:
			fits = append(fits, k.Name)
		case k.Name == f.Kind:
			return f, noFault("%s is a fault of %s", f.Kind, k.On.example(f.Target))
		}
	}
	return f, noFault("there is no fault %q for %s: it may suffer %s", f.Kind, f.Target, strings.Join(fits, ", "))
}

// example says what a fault would fit, by a target that it does not fit.
func (on Suffers) example(target string) string {
	node, _, _ := strings.Cut(target, "/")
	if suffers(node) != OnNode {
		node = "gpu-a"
	}
	switch on {
	case OnGPU:
		return "one GPU, such as " + node + "/0"
	case OnNode:
		return "a whole node, such as " + node
	case OnServer:
		return "a Nomad server: server-1, or leader"
	}
	return string(on)
}

// suffers tells what a target is by its form.
func suffers(target string) Suffers {
	switch {
	case strings.Contains(target, "/"):
		return OnGPU
	case target == theVault:
		return OnVault
	case target == theLeader || strings.HasPrefix(target, "server-"):
		return OnServer
	}
	return OnNode
}

// Inject lets a fault happen, and gives it back with what it means and, for the
// leader, with the name of the server.
func (l *Lab) Inject(ctx context.Context, f Fault) (Fault, error) {
	f, err := ParseFault(strings.Fields(f.String())...)
	if err != nil {
		return f, err
	}
	s, err := l.running()
	if err != nil {
		return f, err
	}
	if f.Target == theLeader {
		i, err := l.Leader(ctx)
		if err != nil {
			return f, err
		}
		f.Target = serverName(i)
	}
	if err := s.has(f.Target); err != nil {
		return f, err
	}
	f.Text = f.meaning()
	if name, _, _ := strings.Cut(f.Target, "/"); s.Fleet.has(name) {
		c := newFleetAPI(l.paths)
		defer c.close()
		return f, c.inject(ctx, f)
	}
	switch f.Kind {
	case "kill":
		return f, l.KillNode(ctx, f.Target)
	case "crash":
		return f, l.CrashNode(ctx, f.Target)
	case "stop":
		return f, l.StopNode(ctx, f.Target)
	case kindHang:
		return f, l.HangAgent(ctx, f.Target)
	case kindSeal:
		return f, l.SealVault(ctx)
	case kindDown:
		return f, l.StopServer(ctx, s.server(f.Target))
	}
	return f, l.injectGPU(s, f)
}

// meaning says in words what a fault is.
func (f Fault) meaning() string {
	if f.Kind == kindXid {
		x, _ := gpu.LookupXid(f.Xid)
		return x.Name
	}
	for _, k := range FaultKinds() {
		if k.Name == f.Kind && k.On == suffers(f.Target) {
			return k.Text
		}
	}
	return "it does not run"
}

// running is the state of a lab of which something runs.
func (l *Lab) running() (*state, error) {
	s, err := loadState(l.paths.dir)
	if err != nil {
		return nil, err
	}
	for _, p := range s.Procs {
		if p.alive() {
			return s, nil
		}
	}
	return nil, fmt.Errorf("lab %s: %w", l.name, ErrNotRunning)
}

// has says why a target is not one of the lab; nil when it is.
func (s *state) has(target string) error {
	name, _, _ := strings.Cut(target, "/")
	if s.Fleet.has(name) || target == theFleet && s.Fleet.Nodes > 0 {
		return nil // what it has of GPUs, it says itself
	}
	switch suffers(target) {
	case OnVault:
		return nil
	case OnServer:
		if s.server(target) >= 0 {
			return nil
		}
	case OnGPU:
		if i, err := s.nodeIndex(name); err == nil {
			_, err := s.Nodes[i].gpuOf(target)
			return err
		}
	default:
		if _, err := s.nodeIndex(name); err == nil {
			return nil
		}
	}
	parts := []string{theVault}
	for i := range s.Servers {
		parts = append(parts, serverName(i))
	}
	for _, n := range s.Nodes {
		parts = append(parts, n.Name)
	}
	if s.Fleet.Nodes > 0 {
		parts = append(parts, fleetNode(0)+" to "+fleetNode(s.Fleet.Nodes-1))
	}
	return noFault("lab %s has no %s: it has %s", s.Name, name, strings.Join(parts, ", "))
}

// server is the number of a server that is named, counted from 0; -1 when there is none.
func (s *state) server(name string) int {
	names := make([]string, s.Servers)
	for i := range names {
		names[i] = serverName(i)
	}
	return slices.Index(names, name)
}
