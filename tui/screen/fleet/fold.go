package fleet

import (
	"fmt"
	"strings"

	"stoker/cluster"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// foldFrom is how many lines of one kind become one: on a large fleet a rack
// that loses its power must not hide the rest.
const foldFrom = 4

// fold puts lines about alike things into one, at the place of the first. Enter
// on it leads to the list of them.
func fold(in []problem) []problem {
	type alike struct {
		kind  cluster.ProblemKind
		level cluster.Level
		cause string
		later bool
	}
	like := func(p *problem) alike { return alike{p.Kind, p.Level, p.Cause, p.Later} }
	members := map[alike][]problem{}
	for i := range in {
		if p := &in[i]; p.Kind != "" {
			members[like(p)] = append(members[like(p)], *p)
		}
	}
	out := in[:0:0]
	for i := range in {
		k := like(&in[i])
		switch all := members[k]; {
		case len(all) < foldFrom:
			out = append(out, in[i])
		case all[0].id == in[i].id:
			out = append(out, together(all))
		}
	}
	return out
}

// together makes one line of many.
func together(all []problem) problem {
	p := problem{Problem: all[0].Problem, many: len(all), id: problemID{level: all[0].Level, kind: all[0].Kind, cause: all[0].Cause}}
	names := make([]string, 0, len(all))
	things, gpus := 0, 0
	for i := range all {
		names = append(names, nameIn(&all[i]))
		things += 1 + len(all[i].more)
		gpus += all[i].GPUs
		if all[i].Since.After(p.Since) {
			p.Since = all[i].Since
		}
	}
	p.Subject, p.Text, p.filter = wordsFor(&p, len(all), things, gpus)
	p.Text += ": " + some(names)
	return p
}

// wordsFor says what many lines have in common, and the filter that keeps what
// they are about on the screen that they lead to.
func wordsFor(p *problem, lines, things, gpus int) (subject, text, filter string) {
	devices, jobs := ui.Count(things, "GPU"), ui.Count(lines, "job")
	switch p.Kind {
	case cluster.GPUFailed:
		return devices, p.Cause, `state == "failed"`
	case cluster.GPUWorn:
		if p.Later {
			return devices, p.Cause, `state == "watch"`
		}
		return devices, p.Cause, `state == "degraded"`
	case cluster.GPURogue:
		return devices, "busy, but the scheduler gave them to nobody", `state == "rogue"`
	case cluster.GPUIdle:
		return jobs, "hold " + devices + " without using them", `state == "idle"`
	case cluster.NodeLost:
		text = p.Cause
		if gpus > 0 {
			text += ", jobs held " + ui.Count(gpus, "GPU") + " on them"
		}
		return ui.Count(lines, "node"), text, fmt.Sprintf("status == %q", p.Cause)
	case cluster.ClockApart:
		return ui.Count(lines, "clock"), p.Cause + " of this machine's", "clock_ahead_seconds != nil"
	case cluster.JobWaits:
		text = "wait"
		if gpus > 0 {
			text += " for " + ui.Count(gpus, "GPU")
		}
		return jobs, text, "waiting == true"
	case cluster.RolloutFailed:
		return jobs, "their deployments failed", `deployment == "failed"`
	case cluster.AllocsFailed:
		return jobs, "allocations failed", "failed > 0"
	case cluster.KeyStale:
		return ui.Count(lines, "key"), "old versions still open artifacts; rewrap them", "artifacts_stale > 0"
	case cluster.TokenEnds:
		text = "end within an hour"
		if p.Level == cluster.Bad {
			text = "have ended"
		}
		return ui.Count(lines, "token"), text, `expires_at != nil || name == "vault"`
	case cluster.VaultSealed:
		return ui.Count(lines, "vault"), "sealed", `name == "vault"`
	}
	return ui.Count(lines, p.Cause), "no answer", `state == "retrying" || state == "denied"`
}

// wayOf is the screen that lists what problems of a kind are about.
func wayOf(k cluster.ProblemKind) screen.Name {
	switch k {
	case cluster.GPUFailed, cluster.GPUWorn, cluster.GPURogue, cluster.GPUIdle:
		return screen.GPUs
	case cluster.NodeLost, cluster.ClockApart:
		return screen.Nodes
	case cluster.JobWaits, cluster.RolloutFailed, cluster.AllocsFailed:
		return screen.Jobs
	case cluster.KeyStale:
		return screen.Keys
	}
	return screen.Sources
}

// nameIn is what a line is about, without the words that many of them share.
func nameIn(p *problem) string {
	if p.Holder != (cluster.JobID{}) {
		return p.Holder.String()
	}
	name := p.Subject
	for _, word := range []string{"job ", "key ", "clock of ", "token of "} {
		name = strings.Replace(name, word, "", 1)
	}
	if p.Cause != "" {
		name = strings.Replace(name, p.Cause+" ", "", 1)
	}
	return name
}

// some names the first of many.
func some(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %s more", ui.Int(len(names)-most))
}
