package nomad

import (
	"fmt"
	"slices"
)

// stages add up what the tasks of one allocation need, as Nomad does: those
// that prepare, those that work and those that end it are not there at once, and
// the most of the three counts.
type stages struct {
	before, main, after need
	kept                int // MHz of cores that a task keeps for itself, counted at any time
}

type need struct{ cpu, memory int } // MHz, MB

func (n *need) add(cpu, memory int) { n.cpu, n.memory = n.cpu+cpu, n.memory+memory }

// add counts a task; l is nil for one of the main tasks.
func (s *stages) add(l *lifecycleJSON, cpu, memory int) {
	switch {
	case l == nil || l.Hook == "" || l.Hook == "poststart":
		s.main.add(cpu, memory)
	case l.Hook == "prestart":
		s.before.add(cpu, memory)
		if l.Sidecar {
			s.main.add(cpu, memory)
		}
	case l.Hook == "poststop":
		s.after.add(cpu, memory)
	}
}

func (s *stages) most() (cpu, memory int) {
	return s.kept + max(s.before.cpu, s.main.cpu, s.after.cpu), max(s.before.memory, s.main.memory, s.after.memory)
}

// beyond names what the group asks for that cluster.Group does not hold.
func (tg *groupJSON) beyond() []string {
	var out []string
	for _, n := range tg.Networks {
		if n.Mode != "" && n.Mode != "host" && n.Mode != "none" {
			out = append(out, "the network mode "+n.Mode)
		}
		for _, p := range append(n.ReservedPorts[:len(n.ReservedPorts):len(n.ReservedPorts)], n.DynamicPorts...) {
			if p.HostNetwork != "" && p.HostNetwork != "default" {
				out = append(out, "the host network "+p.HostNetwork)
			}
		}
	}
	for _, v := range tg.Volumes {
		switch {
		case v == nil:
		case v.Type != "host":
			out = append(out, fmt.Sprintf("the %s volume %s", v.Type, v.Source))
		case v.PerAlloc:
			out = append(out, "the host volume "+v.Source+" of each allocation")
		case v.Sticky || v.AccessMode != "":
			out = append(out, "the claims on the host volume "+v.Source)
		}
	}
	for _, t := range tg.Tasks {
		if t.Resources == nil {
			continue
		}
		if t.Resources.Cores > 0 {
			out = append(out, "whole cores")
		}
		if n := t.Resources.NUMA; n != nil && n.Affinity != "" && n.Affinity != "none" {
			out = append(out, "NUMA affinity")
		}
		for _, d := range t.Resources.Devices {
			if !isGPU(d.Name) {
				out = append(out, "the device "+d.Name)
			}
		}
	}
	return distinct(out)
}

// distinct is the list sorted and without repeats; nil where it is empty.
func distinct(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
