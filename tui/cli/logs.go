package cli

import (
	"context"
	"fmt"
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
// following, allocations that come later join in.
func (a *App) logs(ctx context.Context, s *Session, snap *cluster.Snapshot, j *cluster.Job, o logOptions) error {
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	started := map[string]bool{}
	start := func(snap *cluster.Snapshot) {
		for _, src := range logSources(snap, j.ID, o) {
			key := string(src.req.Alloc) + src.req.Task + fmt.Sprint(src.req.Stderr)
			if started[key] {
				continue
			}
			started[key] = true
			g.Go(func() error {
				return s.Logs(gctx, src.req, func(l cluster.LogLine) {
					mu.Lock()
					defer mu.Unlock()
					fmt.Fprintf(a.Out, "%s  %s\n", ui.Clean(src.label), ui.Clean(l.Text))
				})
			})
		}
	}
	start(snap)
	if len(started) == 0 && !o.follow {
		fmt.Fprintf(a.Err, "no task of job %s has started\n", j.ID)
	}
	if o.follow {
		g.Go(func() error {
			ch, stop := s.Feed.Subscribe()
			defer stop()
			for {
				select {
				case <-gctx.Done():
					return nil
				case next, open := <-ch:
					if !open {
						return nil
					}
					start(next)
				}
			}
		})
	}
	return g.Wait()
}

type logSource struct {
	req   cluster.LogRequest
	label string
}

// logSources lists the logs that exist: of tasks that have started.
func logSources(s *cluster.Snapshot, job cluster.JobID, o logOptions) []logSource {
	var out []logSource
	for _, al := range s.JobAllocs(job) {
		if o.alloc != "" && !hasPrefix(string(al.ID), o.alloc) {
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

func hasPrefix(s, prefix string) bool { return len(s) >= len(prefix) && s[:len(prefix)] == prefix }
