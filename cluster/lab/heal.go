package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Faults lists what is wrong with the lab, whoever caused it, but for a driver
// that is away. It does not wait for another program that works on the lab.
func (l *Lab) Faults(ctx context.Context) ([]Fault, error) {
	s, err := l.running()
	if err != nil {
		return nil, err
	}
	return (&session{paths: l.paths, state: s}).faults(ctx)
}

// faults lists what is wrong in the order in which it has to be put right.
func (se *session) faults(ctx context.Context) ([]Fault, error) {
	s := se.state
	var list []Fault
	add := func(target, kind string) {
		f := Fault{Target: target, Kind: kind}
		f.Text = f.meaning()
		list = append(list, f)
	}
	if !se.proc(theVault).alive() {
		add(theVault, kindDown)
	} else {
		v := se.vault()
		h, err := v.health(ctx)
		v.close()
		if err == nil && h.Sealed {
			add(theVault, kindSeal)
		}
	}
	for i := range s.Servers {
		if !se.proc(serverName(i)).alive() {
			add(serverName(i), kindDown)
		}
	}
	agents := se.agents()
	for _, n := range s.Nodes {
		if !se.proc(n.Name).alive() {
			add(n.Name, kindDown)
		}
		if slices.ContainsFunc(agents[n.Name], stopped) {
			add(n.Name, kindHang)
		}
	}
	for _, n := range s.Nodes {
		found, err := se.paths.gpuFaults(n)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	switch {
	case s.Fleet.Nodes == 0:
	case !se.proc(theFleet).alive():
		add(theFleet, kindDown)
	default:
		c := se.fleet()
		defer c.close()
		found, err := c.faults(ctx)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

// Clear puts right what Faults lists of a target, a node with its GPUs, or of
// the whole lab when target is "". It gives what it put right.
func (l *Lab) Clear(ctx context.Context, target string) ([]Fault, error) {
	if _, err := l.running(); err != nil {
		return nil, err
	}
	se, err := l.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer se.unlock()
	if target != "" {
		if err := se.state.has(target); err != nil {
			return nil, err
		}
	}
	list, err := se.faults(ctx)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(f Fault) bool {
		return target != "" && f.Target != target && !strings.HasPrefix(f.Target, target+"/")
	})
	for i, f := range list {
		if err := se.heal(ctx, f); err != nil {
			return list[:i], err
		}
	}
	return list, nil
}

func (se *session) heal(ctx context.Context, f Fault) error {
	if f.Target == theFleet {
		return se.fleetUp(ctx)
	}
	if name, _, _ := strings.Cut(f.Target, "/"); se.state.Fleet.has(name) {
		c := se.fleet()
		defer c.close()
		return c.clear(ctx, f.Target)
	}
	switch on := suffers(f.Target); {
	case on == OnVault:
		return se.vaultUp(ctx)
	case on == OnServer:
		return se.serverBack(ctx, se.state.server(f.Target))
	case on == OnGPU:
		return se.clearGPU(f.Target)
	case f.Kind == kindHang:
		return se.signalAgents(f.Target, syscall.SIGCONT)
	}
	i, err := se.state.nodeIndex(f.Target)
	if err != nil {
		return err
	}
	return se.clientUp(ctx, i)
}

// HangAgent lets the stoker agent of a node stand still until Clear.
func (l *Lab) HangAgent(ctx context.Context, name string) error {
	return l.onNode(ctx, name, func(se *session, _ int) error { return se.signalAgents(name, syscall.SIGSTOP) })
}

func (se *session) signalAgents(node string, sig syscall.Signal) error {
	procs := se.agents()[node]
	if len(procs) == 0 {
		return fmt.Errorf("no agent runs on %s", node)
	}
	for _, p := range procs {
		if err := p.signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("agent of %s: %w", node, err)
		}
	}
	return nil
}

// agents are the processes of the job of agents, by node.
func (se *session) agents() map[string][]proc {
	found := map[string][]proc{}
	for p, part := range owned(se.state.Mark) {
		env, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.PID), "environ"))
		if slices.Contains(strings.Split(string(env), "\x00"), "NOMAD_JOB_NAME="+AgentJob) {
			found[part] = append(found[part], p)
		}
	}
	return found
}

// stopped tells whether a process stands still because of a signal.
func stopped(p proc) bool {
	text, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.PID), "stat"))
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(rest, "T")
}
