package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/cluster/facts"
	"stoker/gpu"
	"stoker/gpu/proc"
	"stoker/gpu/source"
	"stoker/jobs/action"
	"stoker/secrets"
	"stoker/tui/cli"
	"stoker/tui/ui"
)

type topOptions struct {
	sim      string
	once     bool
	readOnly bool
	rows     cli.OnceOptions
	screen   cli.ScreenOptions
	interval seconds
}

// seconds is a flag that takes a number of seconds, or a duration.
type seconds time.Duration

// Set implements pflag.Value.
func (s *seconds) Set(text string) error {
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		n *= float64(time.Second)
		if !(math.Abs(n) < math.MaxInt64) { // also what is no number
			return errors.New("no length of time")
		}
		*s = seconds(n)
		return nil
	}
	d, err := time.ParseDuration(text)
	*s = seconds(d)
	return err
}

func (s *seconds) String() string { return time.Duration(*s).String() }

// Type implements pflag.Value.
func (s *seconds) Type() string { return "seconds" }

func topCommand(sys contexts.System, app *cli.App, redactor *secrets.Redactor) *cobra.Command {
	o := topOptions{interval: seconds(time.Second), screen: cli.ScreenOptions{Start: "gpus"}}
	cmd := &cobra.Command{
		Use: "top [gpus|processes]", Short: "This machine's GPUs and the processes on them, live; needs no cluster",
		Long: `This machine's GPUs, their last minutes and the processes on them, live, read through
NVML. It needs no cluster.

With --once it prints the GPUs, or the processes, as stoker get does. It reads twice
for that, -d apart: rates and shares are between two readings.`,
		Example: `  stoker top -d 0.5
  stoker top --once -o json
  stoker top processes --once -o csv`,
		ValidArgs: []string{"gpus", "processes"},
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && !slices.Contains(cmd.ValidArgs, args[0]) {
				return cli.Usage("stoker top takes gpus or processes, with --once")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.rows.View = "gpus"
			if len(args) > 0 {
				o.rows.View = args[0]
			}
			interval := time.Duration(o.interval)
			switch {
			case interval < 100*time.Millisecond:
				return cli.Usage("-d %s is below 100ms", interval)
			case len(args) > 0 && !o.once:
				return cli.Usage("the screen shows GPUs and processes: %s is for --once", args[0])
			case !o.once && !app.Terminal:
				return cli.Usage("the screen needs a terminal: add --once to print once")
			}
			o.readOnly, _ = cmd.Flags().GetBool("read-only")
			o.screen.ASCII, _ = cmd.Flags().GetBool("ascii")
			return top(cmd.Context(), sys, app, redactor, o)
		},
	}
	cmd.Flags().StringVar(&o.sim, "sim", "", "folder of simulated GPUs, instead of the hardware")
	cmd.Flags().BoolVar(&o.once, "once", false, "print once and end")
	o.rows.Flags(cmd.Flags(), "with --once: ")
	o.screen.Flags(cmd.Flags())
	cmd.Flags().VarP(&o.interval, "delay", "d", "time between two readings, from 0.1")
	return cmd
}

// calmest is the longest that a reading of this machine waits to be shown: the
// shortest time between two that can be asked for.
const calmest = 100 * time.Millisecond

// firstReading is how long the first snapshot waits for a driver that is slow.
const firstReading = 200 * time.Millisecond

// localNode is the one node of a cluster that is this machine alone.
const localNode cluster.NodeID = "local"

// top feeds this machine's readings to the same Feed that a cluster's go to, as
// the one node of a cluster called local: every line above is the same.
func top(ctx context.Context, sys contexts.System, app *cli.App, redactor *secrets.Redactor, o topOptions) error {
	if err := o.rows.Check(); err != nil {
		return err
	}
	reader, err := openNVML(o.sim, string(localNode))
	if err != nil {
		return err
	}
	place := cluster.Place{Cluster: "local"}
	interval := time.Duration(o.interval)
	feed := cluster.NewFeed(place, time.Now, cluster.HistoryStep(interval), cluster.Calm(calmest), cluster.Held())
	ctx, cancel := context.WithCancel(ctx)
	g, gctx := errgroup.WithContext(ctx)
	defer func() { cancel(); _ = g.Wait() }()
	g.Go(func() error { return feed.Run(gctx) })
	node := cluster.Node{Place: place, ID: localNode, Name: hostname(), Status: cluster.NodeReady, Eligible: true, Alone: true, ModifyIndex: 1}
	feed.Scheduler(cluster.Update{Lists: cluster.SetAll, Index: 1, Nodes: []cluster.Node{node}})
	feed.Source(cluster.SourceStatus{Name: "nvml", State: cluster.SourceStarting})
	procs := proc.Options{Arguments: true} // as ps tells everyone here
	if _, err := os.Stat(dockerSocket); err == nil {
		procs.Engine = proc.NewEngine(dockerSocket, time.Now, slog.New(slog.DiscardHandler))
		g.Go(func() error { procs.Engine.Run(gctx); return nil })
	}
	local := source.Local(&attributed{reader, proc.New(procs)}, interval, time.Now)
	release := sync.OnceFunc(feed.Release)
	g.Go(func() error {
		emit := func(b gpu.Batch) { feed.GPUs(b); release() }
		return local.Run(gctx, emit, func(s source.Status) { feed.Source(localStatus(s)) })
	})
	patience := time.AfterFunc(firstReading, release)
	defer patience.Stop()
	audit := auditFile(sys, "local", redactor)
	defer func() { _ = audit.Close() }()
	s := &cli.Session{
		Context: contexts.Context{Name: "local", Configured: true, ReadOnly: o.readOnly}, Feed: feed, Local: true,
		Actions: &action.Runner{ReadOnly: o.readOnly, Now: time.Now},
		Ping:    func(context.Context) error { return nil },
		Logs: func(context.Context, cluster.LogRequest, func(cluster.LogLine)) error {
			return errors.New("there are no jobs here")
		},
		Kill:  kill(audit, o.sim != "" || proc.SeesHost("/proc")),
		Close: cancel,
	}
	if !o.once {
		return app.Screen(ctx, s, o.screen)
	}
	o.rows.Ready, o.rows.Patience = secondReading(), interval+hungFor
	err = app.Once(ctx, s, o.rows)
	warnLacks(app.Err, feed.Latest())
	return err
}

// warnLacks says why some of what was printed is unknown, if it is for that.
func warnLacks(w io.Writer, s *cluster.Snapshot) {
	if text := facts.Lacks(s); text != "" {
		fmt.Fprintln(w, "stoker:", ui.Clean(text))
	}
}

// hungFor is how much later two readings come when a GPU hangs: the reader waits
// for it once, 1.5 s, and the rest is room.
const hungFor = 4 * time.Second

// secondReading holds from the second reading on that came, or when there is
// nothing to read.
func secondReading() func(*cluster.Snapshot) bool {
	var first time.Time
	return func(s *cluster.Snapshot) bool {
		src := s.Source("nvml")
		if src == nil || src.State != cluster.SourceLive {
			return false
		}
		var last time.Time
		for i := range s.GPUs {
			if at := s.GPUs[i].AsOf(); at.After(last) {
				last = at
			}
		}
		if first.IsZero() {
			first = last
		}
		return len(s.GPUs) == 0 || last.After(first)
	}
}

// attributed is a sampler whose processes say who they are.
type attributed struct {
	source.Sampler
	procs *proc.Attributor
}

// Read reads, and fills in whose the processes are.
func (a *attributed) Read(now time.Time) (gpu.Batch, error) {
	b, err := a.Sampler.Read(now)
	b.Samples = slices.Clone(b.Samples) // the sampler may have kept its own
	a.procs.Fill(b.Samples)
	return b, err
}

func localStatus(s source.Status) cluster.SourceStatus {
	out := cluster.SourceStatus{Name: "nvml", State: cluster.SourceLive, Since: s.Since, AsOf: s.AsOf, Err: s.Err}
	switch s.State {
	case source.StateLive:
	case source.StateConnecting:
		out.State = cluster.SourceStarting
	default:
		out.State = cluster.SourceRetrying
	}
	return out
}
