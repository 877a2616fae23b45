package wire

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/gpu/agent"
	"stoker/gpu/certs"
	"stoker/gpu/nvml"
	"stoker/gpu/sim"
	"stoker/secrets"
	"stoker/tui/cli"
)

// dockerSocket is where a container engine answers, when there is one.
const dockerSocket = "/var/run/docker.sock"

// openNVML opens the hardware's library, or simulated GPUs where a folder of them is named.
func openNVML(simDir, node string, options ...nvml.Option) (*nvml.Reader, error) {
	var lib nvml.Library
	var err error
	if simDir != "" {
		lib, err = sim.Open(simDir)
	} else {
		lib, err = nvml.Load()
	}
	var reader *nvml.Reader
	if err == nil {
		reader, err = nvml.Open(lib, node, options...)
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
	tlsCert, tlsKey, clientCA, user, remember        string
	interval                                         time.Duration
	openMetrics, readEnviron, commands               bool
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
  /healthz        whether readings still come, and which GPU hangs
  /release        POST: let the driver go for a minute, or for ?for=90s

It listens on loopback only, unless --token-file gives the bearer token that
clients must send, or --client-ca the authority whose certificates they must
have; with both, clients need both. Files are read again when they change.

Started as root it goes on as --user once it listens.`,
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
	f.StringVar(&o.tlsCert, "tls-cert", "", "file with the certificate to serve TLS with")
	f.StringVar(&o.tlsKey, "tls-key", "", "file with its key")
	f.StringVar(&o.clientCA, "client-ca", "", "file with the authority that must have signed clients' certificates")
	f.BoolVar(&o.openMetrics, "open-metrics", false, "serve the Prometheus pages to everyone")
	f.StringVar(&o.user, "user", "", "user to go on as, when started as root")
	f.BoolVar(&o.readEnviron, "read-environ", false, "with --user: keep the right to read other users' environments and files, to join more containers to their tasks")
	f.BoolVar(&o.commands, "commands", false, "tell the arguments of GPU processes, too: they may hold tokens")
	f.StringVar(&o.remember, "remember", "", "file in which to keep which GPUs this node has: one that is missing after a restart has failed")
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

func (o agentOptions) check() error {
	switch {
	case o.interval < 100*time.Millisecond:
		return cli.Usage("--interval %s is below 100ms", o.interval)
	case (o.tlsCert == "") != (o.tlsKey == ""):
		return cli.Usage("--tls-cert and --tls-key go together")
	case o.clientCA != "" && o.tlsCert == "":
		return cli.Usage("--client-ca needs --tls-cert and --tls-key: clients show certificates over TLS only")
	case o.readEnviron && o.user == "":
		return cli.Usage("--read-environ is for --user: without it nothing is given up")
	}
	return nil
}

func runAgent(ctx context.Context, app *cli.App, redactor *secrets.Redactor, o agentOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	known, err := remembered(o.remember)
	if err != nil {
		return unreadable(err)
	}
	reader, err := openNVML(o.sim, o.node, nvml.Expect(known))
	if err != nil {
		return err
	}
	a, ln, err := listenAgent(ctx, app, redactor, o, reader)
	if err != nil {
		return errors.Join(err, reader.Close())
	}
	scheme := "http"
	if o.tlsCert != "" {
		scheme = "https"
	}
	fmt.Fprintf(app.Err, "serving GPUs on %s://%s\n", scheme, ln.Addr())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.Run(ctx) })
	g.Go(func() error { return a.Serve(ctx, ln) })
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// listenAgent makes the agent and its listener. Where another user is to go on,
// it does not return: the program begins anew as that user, and comes here again.
func listenAgent(ctx context.Context, app *cli.App, redactor *secrets.Redactor, o agentOptions, reader *nvml.Reader) (*agent.Agent, net.Listener, error) {
	cfg, err := agentConfig(ctx, app, redactor, o)
	if err != nil {
		return nil, nil, err
	}
	cfg.Sampler = reader
	if o.remember != "" {
		cfg.Sampler = &remembering{Reader: reader, path: o.remember, error: func(err error) {
			cfg.Log.Warn("the GPUs of this node are not remembered", "err", err)
		}}
	}
	a, err := agent.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	ln, err := agent.Inherited()
	if ln == nil && err == nil {
		ln, err = a.Listen(ctx, o.listen)
	}
	if err != nil || o.user == "" {
		return a, ln, err
	}
	id, err := agent.FindIdentity(o.user)
	if err != nil {
		ln.Close()
		return nil, nil, cli.Usage("--user %s: %v", o.user, err)
	}
	if id.Held() {
		return a, ln, nil
	}
	// Opened as root, NVML has made the device files that were missing. It is
	// closed now, since what it has open would outlive the change of user.
	err = errors.Join(reader.Close(), id.Become(ln, o.readEnviron))
	ln.Close()
	if errors.Is(err, agent.ErrNotRoot) {
		return nil, nil, &cluster.Fault{
			Kind: cluster.ErrDenied, Err: err, Text: fmt.Sprintf("--user %s: %v", o.user, err),
			Advice: "start it as root, or as that user without --user",
		}
	}
	return nil, nil, fmt.Errorf("--user %s: %w", o.user, err)
}

// agentConfig is what the flags say. Neither the log nor anything else tells
// the token that clients must send.
func agentConfig(ctx context.Context, app *cli.App, redactor *secrets.Redactor, o agentOptions) (agent.Config, error) {
	cfg := agent.Config{
		Node: o.node, NodeName: o.nodeName, Interval: o.interval, ProcRoot: o.procRoot,
		OpenMetrics: o.openMetrics, Commands: o.commands, Version: app.Version, Log: slog.New(redactor.Handler(slog.NewTextHandler(app.Err, nil))),
	}
	const mayWrite = 2
	if err := syscall.Access(dockerSocket, mayWrite); err == nil {
		cfg.DockerSocket = dockerSocket
	} else if !errors.Is(err, fs.ErrNotExist) {
		cfg.Log.Info("containers are not joined to their tasks by their labels", "socket", dockerSocket, "err", err)
	}
	if o.tokenFile != "" {
		token := redactor.Watch(contexts.Agents{TokenFile: o.tokenFile}.Token)
		switch t, err := token(ctx); {
		case err != nil:
			return agent.Config{}, unreadable(err)
		case t.Empty():
			cfg.Log.Warn("the token file is missing or empty: no client is let in until it holds a token", "file", o.tokenFile)
		}
		cfg.Token = func() string { // read at each request: it may be replaced
			t, err := token(ctx)
			if err != nil {
				return ""
			}
			return t.Reveal()
		}
	}
	if o.tlsCert == "" {
		return cfg, nil
	}
	store, err := certs.New(certs.Files{Cert: o.tlsCert, Key: o.tlsKey, CA: o.clientCA}, func(err error) {
		cfg.Log.Warn("the TLS files cannot be used as they are now: the ones before go on counting", "err", err)
	})
	if err == nil {
		_, err = store.Server() // better now than at the first client
	}
	if err != nil {
		return agent.Config{}, unreadable(err)
	}
	cfg.TLS = store
	return cfg, nil
}

// unreadable says who must be able to read a file that the agent cannot.
func unreadable(err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return &cluster.Fault{
		Kind: cluster.ErrDenied, Err: err, Text: err.Error(),
		Advice: "files that are read again when they change must be readable by the user that the agent runs as",
	}
}
