package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"stoker/cluster/contexts"
	"stoker/gpu/agent"
	"stoker/secrets"
	"stoker/tui/cli"
	"stoker/tui/export"
)

func exportCommand(app *cli.App, redactor *secrets.Redactor) *cobra.Command {
	var listen, tokenFile string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Serve who holds the GPUs, and what jobs use, for Prometheus",
		Long: `Serve who holds each GPU, and what jobs and namespaces use, for Prometheus.

  /metrics    jobs, namespaces, nodes, and stoker_gpu_holder_info to join them to the agents' GPUs
  /healthz    whether Nomad answers

It goes on until it is interrupted. Energy and hours are counted since it began.
It listens on loopback only, unless --token-file gives the bearer token that
clients must send.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			name, _ := cmd.Flags().GetString("context")
			token := exportToken(cmd.Context(), redactor, tokenFile, app.Err)
			return runExport(cmd.Context(), app, cli.ConnectOptions{Context: name, ReadOnly: true, Several: true}, listen, token)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:9461", "address to serve on")
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "file with the bearer token that clients must send")
	return cmd
}

// exportToken reads the token at each request, since it may be replaced; nil
// where no file is named. It warns of a file that has none yet.
func exportToken(ctx context.Context, redactor *secrets.Redactor, file string, warn io.Writer) func() string {
	if file == "" {
		return nil
	}
	source := redactor.Watch(contexts.Agents{TokenFile: file}.Token)
	token := func() string {
		t, err := source(ctx)
		if err != nil {
			return ""
		}
		return t.Reveal()
	}
	if token() == "" {
		fmt.Fprintf(warn, "stoker: there is no token in %s: no client is let in until there is one\n", file)
	}
	return token
}

// runExport serves until ctx ends, which is no error. A cluster that was named
// may be down: the pages say so. One that nobody named must answer.
func runExport(ctx context.Context, app *cli.App, conn cli.ConnectOptions, listen string, token func() string) error {
	ln, err := agent.Listen(ctx, listen, token != nil)
	if err != nil {
		return err
	}
	defer ln.Close()
	s, err := app.Connect(ctx, conn)
	if err != nil {
		return err
	}
	defer s.Close()
	if !s.Context.Configured {
		if err := s.Ping(ctx); err != nil {
			return err
		}
	}
	fmt.Fprintf(app.Err, "serving %s on http://%s/metrics\n", s.Context.Name, ln.Addr())
	e := &export.Exporter{Latest: s.Feed.Latest, Now: app.Now, Version: app.Version}
	if token != nil {
		e.Admits = func(r *http.Request) bool { return agent.HasToken(r, token()) }
	}
	if err := agent.ServeUntil(ctx, e.Server(), ln); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
