package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"stoker/cluster"
	"stoker/tui/ui"
)

type logOptions struct {
	follow bool
	stderr bool
	task   string
	alloc  string
	tail   int64
}

func (a *App) logsCommand(conn *ConnectOptions) *cobra.Command {
	var o logOptions
	cmd := &cobra.Command{
		Use: "logs JOB", Short: "Print the logs of all allocations of a job, each line with where it came from",
		Args: exactly(1, "a job"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withJob(cmd.Context(), *conn, args[0], func(s *Session, snap *cluster.Snapshot, j *cluster.Job) error {
				return a.logs(cmd.Context(), s, snap, j, o)
			})
		},
	}
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on with new lines and new allocations, until interrupted")
	cmd.Flags().BoolVar(&o.stderr, "stderr", false, "standard error only")
	cmd.Flags().StringVar(&o.task, "task", "", "this task only")
	cmd.Flags().StringVar(&o.alloc, "alloc", "", "this allocation only (a prefix of its ID is enough)")
	cmd.Flags().Int64Var(&o.tail, "tail-bytes", 0, "begin this many bytes before the end of each log (0 is all)")
	return cmd
}

// logs reads every log of the job at once and prints whole lines. When
// following, allocations that come later join in. A log that cannot be read, of
// a node that is down for one, does not end the others.
func (a *App) logs(ctx context.Context, s *Session, snap *cluster.Snapshot, j *cluster.Job, o logOptions) error {
	if err := unknownLog(snap, j.ID, o); err != nil {
		if !o.follow { // it may come later
			return err
		}
		fmt.Fprintf(a.Err, "%s yet; %s\n", ui.Clean(err.Error()), ui.Clean(err.Hint()))
	}
	g, gctx := errgroup.WithContext(ctx)
	r := &logReader{out: a.Out, warn: a.Err, read: s.Logs, started: map[cluster.LogRequest]bool{}}
	start := func(snap *cluster.Snapshot) {
		for _, src := range logSources(snap, j.ID, o) {
			if r.begin(src) {
				g.Go(func() error { return r.follow(gctx, src) })
			}
		}
	}
	start(snap)
	if len(r.started) == 0 && !o.follow {
		fmt.Fprintf(a.Err, "no task of job %s has started\n", j.ID)
	}
	if o.follow {
		g.Go(func() error {
			ch, stop := s.Feed.Subscribe()
			defer stop()
			for {
				select {
				case <-gctx.Done():
					return gctx.Err()
				case next, open := <-ch:
					if !open {
						return nil
					}
					start(next)
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return r.verdict()
}

// logReader prints the lines of several logs and remembers which could not be read.
type logReader struct {
	out, warn io.Writer
	read      func(ctx context.Context, req cluster.LogRequest, emit func(cluster.LogLine)) error
	started   map[cluster.LogRequest]bool

	mu     sync.Mutex // for what follows, and so that lines stay whole
	whole  int
	failed []error
}

// begin says whether the log is one that was not begun yet.
func (r *logReader) begin(src logSource) bool {
	if r.started[src.req] {
		return false
	}
	r.started[src.req] = true
	return true
}

// follow reads one log to its end. Its error is one that the others would have too.
func (r *logReader) follow(ctx context.Context, src logSource) error {
	label := ui.Clean(src.label)
	err := r.read(ctx, src.req, func(l cluster.LogLine) {
		r.mu.Lock()
		defer r.mu.Unlock()
		fmt.Fprintf(r.out, "%s  %s\n", label, ui.Clean(l.Text))
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, cluster.ErrDenied):
		return err
	case err != nil:
		fmt.Fprintf(r.warn, "stoker: no log of %s: %s\n", label, ui.Clean(err.Error()))
		r.failed = append(r.failed, err)
	default:
		r.whole++
	}
	return nil
}

func (r *logReader) verdict() error {
	switch {
	case len(r.failed) == 0:
		return nil
	case r.whole == 0:
		return r.failed[0]
	}
	return &partial{fmt.Errorf("%s could not be read", ui.Count(len(r.failed), "log"))}
}

type logSource struct {
	req   cluster.LogRequest
	label string
}

// logSources lists the logs that exist: of tasks that have started.
func logSources(s *cluster.Snapshot, job cluster.JobID, o logOptions) []logSource {
	var out []logSource
	for _, al := range s.JobAllocs(job) {
		if !strings.HasPrefix(string(al.ID), o.alloc) {
			continue
		}
		for _, t := range al.Tasks {
			if t.Started.IsZero() || o.task != "" && t.Name != o.task {
				continue
			}
			for _, stderr := range []bool{false, true} {
				if o.stderr && !stderr {
					continue
				}
				out = append(out, logSource{
					req:   cluster.LogRequest{Alloc: al.ID, Task: t.Name, Stderr: stderr, Tail: o.tail, Follow: o.follow},
					label: fmt.Sprintf("%s/%s %s", al.Name, t.Name, al.ID.Short()),
				})
			}
		}
	}
	return out
}

// unknownLog says which of the allocation and the task that were asked for the
// job does not have, and what it has. Without any allocation nothing is known.
func unknownLog(s *cluster.Snapshot, job cluster.JobID, o logOptions) *usageError {
	var allocs, tasks []string
	matches := false
	for _, al := range s.JobAllocs(job) {
		allocs = append(allocs, al.ID.Short())
		if !strings.HasPrefix(string(al.ID), o.alloc) {
			continue
		}
		matches = true
		for _, t := range al.Tasks {
			tasks = append(tasks, t.Name)
		}
	}
	slices.Sort(tasks)
	tasks = slices.Compact(tasks)
	switch {
	case o.alloc != "" && !matches:
		return usage("job %s has no allocation %s", job, o.alloc).hint("its allocations: " + cmp.Or(strings.Join(allocs, ", "), "none"))
	case o.task != "" && len(tasks) > 0 && !slices.Contains(tasks, o.task):
		return usage("job %s has no task %s", job, o.task).hint("its tasks: " + strings.Join(tasks, ", "))
	}
	return nil
}
