package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/gpu/agent"
	"stoker/gpu/nvml"
	"stoker/gpu/sim"
	"stoker/secrets"
	"stoker/tui/cli"
)

// dockerSocket is where a container engine answers, when there is one.
const dockerSocket = "/var/run/docker.sock"

// openNVML opens the hardware's library, or simulated GPUs where a folder of them is named.
func openNVML(simDir, node string) (*nvml.Reader, error) {
	var lib nvml.Library
	var err error
	if simDir != "" {
		lib, err = sim.Open(simDir)
	} else {
		lib, err = nvml.Load()
	}
	var reader *nvml.Reader
	if err == nil {
		reader, err = nvml.Open(lib, node)
	}
	if errors.Is(err, nvml.ErrNoDriver) {
		return nil, &cluster.Fault{
			Kind: cluster.ErrUnreachable, Err: err, Text: err.Error(),
			Advice: "run it on a GPU machine; stoker get gpus shows those of a cluster",
		}
	}
	return reader, err
}

type agentOptions struct {
	listen, sim, node, nodeName, tokenFile, procRoot string
	interval                                         time.Duration
	openMetrics                                      bool
}

func agentCommand(sys contexts.System, app *cli.App, redactor *secrets.Redactor) *cobra.Command {
	var o agentOptions
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Serve this machine's GPUs: a stream for stoker, Prometheus text for everyone",
		Long: `Serve this machine's GPUs over HTTP.

  /v1/stream      readings as they come, for stoker
  /metrics        Prometheus, under names of its own
  /metrics/dcgm   Prometheus, under dcgm-exporter's names and labels
  /healthz        whether readings still come

It listens on loopback only, unless --token-file gives the bearer token that
clients must send.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runAgent(cmd.Context(), app, redactor, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:9460", "address to serve on")
	f.DurationVar(&o.interval, "interval", time.Second, "time between two readings, from 100ms")
	f.StringVar(&o.sim, "sim", "", "folder of simulated GPUs, instead of the hardware")
	f.StringVar(&o.node, "node", sys.Getenv("STOKER_NODE_ID"), "ID of the Nomad node that this is")
	f.StringVar(&o.nodeName, "node-name", hostname(), "name of the node, for labels")
	f.StringVar(&o.tokenFile, "token-file", "", "file with the bearer token that clients must send")
	f.BoolVar(&o.openMetrics, "open-metrics", false, "serve the Prometheus pages without the token")
	f.StringVar(&o.procRoot, "proc", "/proc", "where the host's /proc is")
	_ = f.MarkHidden("proc")
	return cmd
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

func runAgent(ctx context.Context, app *cli.App, redactor *secrets.Redactor, o agentOptions) error {
	if o.interval < 100*time.Millisecond {
		return cli.Usage("--interval %s is below 100ms", o.interval)
	}
	reader, err := openNVML(o.sim, o.node)
	if err != nil {
		return err
	}
	cfg := agentConfig(ctx, app, redactor, o)
	cfg.Sampler = reader
	if _, err := os.Stat(dockerSocket); err == nil {
		cfg.DockerSocket = dockerSocket
	}
	a, err := agent.New(cfg)
	if err != nil {
		return errors.Join(err, reader.Close())
	}
	ln, err := a.Listen(ctx, o.listen)
	if err != nil {
		return errors.Join(err, reader.Close())
	}
	fmt.Fprintf(app.Err, "serving GPUs on http://%s\n", ln.Addr())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.Run(ctx) })
	g.Go(func() error { return a.Serve(ctx, ln) })
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// agentConfig is what the flags say. Neither the log nor anything else tells
// the token that clients must send.
func agentConfig(ctx context.Context, app *cli.App, redactor *secrets.Redactor, o agentOptions) agent.Config {
	cfg := agent.Config{
		Node: o.node, NodeName: o.nodeName, Interval: o.interval, ProcRoot: o.procRoot,
		OpenMetrics: o.openMetrics, Version: app.Version, Log: slog.New(redactor.Handler(slog.NewTextHandler(app.Err, nil))),
	}
	if o.tokenFile != "" {
		token := redactor.Watch(contexts.Agents{TokenFile: o.tokenFile}.Token)
		cfg.Token = func() string { // read at each request: it may be replaced
			t, err := token(ctx)
			if err != nil {
				return ""
			}
			return t.Reveal()
		}
	}
	return cfg
}
