package wire

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/gpu/proc"
	"stoker/jobs/action"
	"stoker/tui/ui"
)

// kill ends processes of this machine, and leaves the audit line of any other
// change, or does not end them either. host says whether the processes seen here
// have the numbers that the driver gives.
func kill(audit *action.Audit, host bool) func(context.Context, gpu.Process, []gpu.UUID, bool) error {
	return func(_ context.Context, p gpu.Process, on []gpu.UUID, force bool) error {
		what := fmt.Sprintf("end process %d", p.PID)
		if !host {
			return &cluster.Fault{
				Kind: cluster.ErrDenied, Text: what + ": the driver tells its number on the host, and here another process may have that",
				Advice: "run stoker top on the host, or in a container that shares its processes",
			}
		}
		if err := audit.Ready(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		sig, name := syscall.SIGTERM, "SIGTERM"
		if force {
			sig, name = syscall.SIGKILL, "SIGKILL"
		}
		err := proc.Signal("/proc", p.PID, p.Start, sig)
		if errors.Is(err, os.ErrPermission) {
			err = &cluster.Fault{Kind: cluster.ErrDenied, Err: err, Text: fmt.Sprintf("%s: it is of user %s", what, p.User), Advice: "only its user or root may end it"}
		}
		who := fmt.Sprintf("process %d", p.PID)
		e := action.Entry{
			Action: "kill", Target: who + " " + p.Name,
			Touched: []string{fmt.Sprintf("%s: gets %s, is of user %s, holds %s", who, name, p.User, ui.Bytes(p.MemoryBytes))},
		}
		for _, id := range on {
			e.Touched = append(e.Touched, "gpu "+string(id)+": loses the process")
		}
		if p.AllocID != "" {
			e.Touched = append(e.Touched, "alloc "+p.AllocID+": loses a process of task "+p.Task)
		}
		return errors.Join(err, audit.Note(time.Now(), e, err))
	}
}
