package gpus

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/screen"
	"stoker/tui/screen/parts"
	"stoker/tui/ui"
)

// Killer ends processes of this machine, and keeps a record of it.
type Killer interface {
	// Kill asks a process to end, or with force ends it. Its memory is that on all
	// the devices that it is on. It fails when the process has ended, also where
	// another has its number now.
	Kill(ctx context.Context, p gpu.Process, on []gpu.UUID, force bool) error
}

// end asks before the process under the cursor is ended.
func (t *Top) end() tea.Cmd {
	switch p := t.procs.Selected(); {
	case t.killer == nil:
		return screen.Note(cluster.Warn, "nothing is ended here: read-only")
	case !t.lower:
		return screen.Note(cluster.Info, "choose a process first: tab goes to the processes")
	case p == nil:
		return nil
	case p.Start == 0:
		return screen.Note(cluster.Warn, fmt.Sprintf("process %d cannot be seen from here: end it on its host", p.PID))
	default:
		return screen.Question(t.question(p))
	}
}

func (t *Top) question(p *parts.Process) screen.QuestionMsg {
	victim := p.Process
	victim.MemoryBytes = 0
	var devices []gpu.UUID
	var on []string
	for i := range t.Snap.GPUs {
		g := &t.Snap.GPUs[i]
		list, _ := g.Processes()
		for _, o := range list {
			if o.PID == p.PID && o.Start == p.Start {
				devices, on = append(devices, g.UUID), append(on, parts.Number(g))
				victim.MemoryBytes += o.MemoryBytes
			}
		}
	}
	word := "GPU"
	if len(on) > 1 {
		word = "GPUs"
	}
	holds := fmt.Sprintf("holds %s on %s %s", ui.Bytes(victim.MemoryBytes), word, strings.Join(on, ", "))
	if p.User != "" {
		holds = "user " + p.User + ", " + holds
	}
	q := screen.QuestionMsg{
		Title: fmt.Sprintf("end process %d", p.PID),
		Lines: []string{cmp.Or(p.Command, p.Name), holds},
	}
	if p.AllocID != "" {
		q.Warnings = append(q.Warnings,
			"it is Nomad's task "+p.Task+" of allocation "+cluster.AllocID(p.AllocID).Short()+": Nomad starts it again",
			"Nomad moves it elsewhere with nomad alloc stop "+cluster.AllocID(p.AllocID).Short()+"; only stopping its job ends it for good",
		)
	}
	do := func(force bool, signal string) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			if err := t.killer.Kill(ctx, victim, devices, force); err != nil {
				return "", err
			}
			return fmt.Sprintf("process %d got %s", victim.PID, signal), nil
		}
	}
	q.Choices = []screen.Choice{
		{Text: "ask it to end (SIGTERM)", Do: do(false, "SIGTERM")},
		{Text: "kill it (SIGKILL)", Do: do(true, "SIGKILL")},
	}
	return q
}
