package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// agentGrace is how long an agent may take to end before it is killed.
const agentGrace = 5 * time.Second

// Down ends every job and process of the lab, then removes its mounts, cgroups,
// containers and its folder, models included. It may be called again after a
// failure: the folder stays until everything else is gone. When ctx ends,
// processes are killed at once, but what is in a docker engine may be left.
func (l *Lab) Down(ctx context.Context) error {
	se, err := l.begin(ctx)
	if err != nil {
		return err
	}
	defer se.unlock()
	if err := se.takeDown(ctx); err != nil {
		return fmt.Errorf("take down lab %s: %w", l.name, err)
	}
	return nil
}

func (se *session) takeDown(ctx context.Context) error {
	se.stopJobs(ctx)
	allocs := se.allAllocs()
	var agents []func(context.Context) error
	for part, p := range se.state.Procs {
		if part != "vault" {
			agents = append(agents, func(ctx context.Context) error { return p.stop(ctx, agentGrace) })
		}
	}
	err := together(ctx, agents...)
	// A client may have placed something between the list and its end.
	for id := range se.allAllocs() {
		allocs[id] = true
	}
	err = errors.Join(err,
		se.proc("vault").stop(ctx, agentGrace),
		se.killRest(ctx, allocs),
		se.removeDocker(ctx, allocs),
		unmountBelow(se.paths.dir),
		removeCgroups(allocs))
	if err != nil {
		return err
	}
	return removeDir(se.paths)
}

// stopJobs lets tasks end in their own way where Nomad can still tell them to.
// What does not is killed afterwards, so errors are of no interest.
func (se *session) stopJobs(ctx context.Context) {
	n := se.nomad()
	defer n.close()
	_ = n.stopJobs(ctx, 15*time.Second)
}

func (se *session) killRest(ctx context.Context, allocs map[string]bool) error {
	dirs := cgroupDirs(allocs)
	return killAll(ctx, func() []proc {
		procs := taskProcs(dirs)
		for p := range owned(se.state.Mark) {
			procs = append(procs, p)
		}
		return procs
	})
}

// removeDir removes the lab's folder, the state file last: without it Down could
// not be called again. It refuses while anything is mounted below, since it
// would remove files that are not the lab's.
func removeDir(p paths) error {
	if left := mountsBelow(p.dir); len(left) > 0 {
		return fmt.Errorf("%s is still mounted: unmount it and call again", left[0])
	}
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return fmt.Errorf("remove the lab's folder: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if e.Name() != filepath.Base(p.state()) {
			errs = append(errs, os.RemoveAll(filepath.Join(p.dir, e.Name())))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove the lab's folder: %w", err)
	}
	if err := os.RemoveAll(p.dir); err != nil {
		return fmt.Errorf("remove the lab's folder: %w", err)
	}
	return nil
}
