package wire

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/gpu/source"
	"stoker/jobs/action"
	"stoker/tui/cli"
)

type topOptions struct {
	sim      string
	once     bool
	format   string
	interval time.Duration
}

func topCommand(sys contexts.System, app *cli.App) *cobra.Command {
	var o topOptions
	cmd := &cobra.Command{
		Use: "top", Short: "This machine's GPUs, live; needs no cluster",
		Long: `This machine's GPUs, live, read through NVML. It needs no cluster.

With --once it reads once and prints, as stoker get gpus does.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.interval < 100*time.Millisecond {
				return cli.Usage("-d %s is below 100ms", o.interval)
			}
			if !o.once && !app.Terminal {
				return cli.Usage("the screen needs a terminal: add --once to read once")
			}
			return top(cmd.Context(), app, o)
		},
	}
	cmd.Flags().StringVar(&o.sim, "sim", "", "folder of simulated GPUs, instead of the hardware")
	cmd.Flags().BoolVar(&o.once, "once", false, "read once, print and end")
	cmd.Flags().StringVarP(&o.format, "output", "o", "table", "with --once: table, wide, json, yaml or csv")
	cmd.Flags().DurationVarP(&o.interval, "delay", "d", time.Second, "time between two readings, from 100ms")
	return cmd
}

// localNode is the one node of a cluster that is this machine alone.
const localNode cluster.NodeID = "local"

// top feeds this machine's readings to the same Feed that a cluster's go to, as
// the one node of a cluster called local: every line above is the same.
func top(ctx context.Context, app *cli.App, o topOptions) error {
	reader, err := openNVML(o.sim, string(localNode))
	if err != nil {
		return err
	}
	place := cluster.Place{Cluster: "local"}
	feed := cluster.NewFeed(place, time.Now)
	ctx, cancel := context.WithCancel(ctx)
	g, gctx := errgroup.WithContext(ctx)
	defer func() { cancel(); _ = g.Wait() }()
	g.Go(func() error { return feed.Run(gctx) })
	node := cluster.Node{Place: place, ID: localNode, Name: hostname(), Status: cluster.NodeReady, Eligible: true, ModifyIndex: 1}
	feed.Scheduler(cluster.Update{Lists: cluster.SetAll, Index: 1, Nodes: []cluster.Node{node}})
	feed.Source(cluster.SourceStatus{Name: "nvml", State: cluster.SourceStarting})
	local := source.Local(reader, o.interval, time.Now)
	g.Go(func() error {
		return local.Run(gctx, feed.GPUs, func(s source.Status) { feed.Source(localStatus(s)) })
	})
	s := &cli.Session{
		Context: contexts.Context{Name: "local", Configured: true}, Feed: feed, Local: true,
		Actions: &action.Runner{ReadOnly: true, Now: time.Now},
		Ping:    func(context.Context) error { return nil },
		Logs: func(context.Context, cluster.LogRequest, func(cluster.LogLine)) error {
			return errors.New("there are no jobs here")
		},
		Close: cancel,
	}
	if o.once {
		return app.Once(ctx, s, "gpus", o.format)
	}
	return app.Screen(ctx, s, cli.ScreenOptions{Start: "gpus"})
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
