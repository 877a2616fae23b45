package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/cluster/lab"
	"stoker/jobs/action"
	"stoker/jobs/pack"
	"stoker/scenarios"
	"stoker/scenarios/library"
	"stoker/tui/cli"
	scenscreen "stoker/tui/screen/scenarios"
	"stoker/tui/settings"
	"stoker/tui/ui"
)

// labKit is what the lab's commands share.
type labKit struct {
	sys  contexts.System
	app  *cli.App
	name string
}

func labCommand(sys contexts.System, app *cli.App) *cobra.Command {
	k := &labKit{sys: sys, app: app}
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "A real cluster on this machine, with simulated GPUs: up, down, status, logs, env, fault",
		Long: `A real cluster on one Linux machine: Vault, Nomad with ACLs, three clients with 20
simulated GPUs, and the agent as a system job. It listens on loopback only; its
context has its name. Everything it starts is stopped by "stoker lab down".`,
		Args: cobra.NoArgs,
	}
	cmd.PersistentFlags().StringVar(&k.name, "name", lab.DefaultName, "name of the lab, its folder and its context; ports derive from it")
	cmd.AddCommand(k.upCommand(), k.downCommand(), k.statusCommand(), k.logsCommand(), k.envCommand(), k.toolsCommand(), k.faultCommand())
	return cmd
}

func (k *labKit) upCommand() *cobra.Command {
	var servers int
	var driver string
	var fleet lab.Fleet
	cmd := &cobra.Command{
		Use: "up", Short: "Bring the lab up, or repair it; twice is harmless", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := k.allowed(cmd, "lab up"); err != nil {
				return err
			}
			l, err := k.up(cmd.Context(), lab.Spec{Servers: servers, Driver: driver, Fleet: fleet}, k.app.Err)
			if err != nil {
				return err
			}
			fmt.Fprintf(k.app.Out, "lab %s is up: stoker --context %s\n", l.Name(), l.Name())
			return nil
		},
	}
	cmd.Flags().IntVar(&servers, "servers", 0, "Nomad servers, 1 or 3 (default: as it was, else 1)")
	cmd.Flags().StringVar(&driver, "driver", lab.DriverAuto, "auto, docker, exec or raw_exec")
	cmd.Flags().IntVar(&fleet.Nodes, "fleet", 0, "simulated nodes with 8 GPUs each, beside the real ones, and jobs that fill them (default: as it was, else none)")
	cmd.Flags().Float64Var(&fleet.Churn, "fleet-churn", 0, "changes a second in the fleet: jobs, counts, nodes and GPUs that come, go and fail")
	return cmd
}

// allowed refuses a change of the lab in read-only mode.
func (k *labKit) allowed(cmd *cobra.Command, what string) error {
	if readOnly, _ := cmd.Flags().GetBool("read-only"); readOnly {
		return &cluster.Fault{Kind: cluster.ErrDenied, Text: what + ": " + action.ErrReadOnly.Error(), Err: action.ErrReadOnly}
	}
	return nil
}

// up finds or builds what a lab needs and brings it up.
func (k *labKit) up(ctx context.Context, spec lab.Spec, progress io.Writer) (*lab.Lab, error) {
	bins, err := findPrograms()
	if err != nil {
		return nil, err
	}
	p := &printer{w: progress}
	nomadBin, vaultBin, err := k.tools(ctx, bins.tools, p.show)
	if err != nil {
		return nil, err
	}
	agent, err := (&pack.Library{}).Find("agent")
	if err != nil {
		return nil, err
	}
	if spec.Fleet.Nodes > 0 {
		if spec.FleetBin, err = lab.FleetTool(ctx, bins.tools, k.cache(), p.show); err != nil {
			return nil, err
		}
	}
	spec.Name, spec.Dir = k.name, filepath.Join(k.sys.StateDir(), k.name)
	spec.NomadBin, spec.VaultBin, spec.PluginBin = nomadBin, vaultBin, bins.plugin
	spec.Chroot = map[string]string{bins.static: taskStoker, bins.workload: taskWorkload}
	spec.Grants, spec.PackVars = grants(), bins.packVars
	spec.Jobs = []lab.Job{{Name: "stoker-agent", HCL: agent.Source, Vars: map[string]string{"binary": bins.stoker}}}
	if spec.Image, err = bins.image(); err != nil {
		return nil, err
	}
	return lab.Up(ctx, spec, p.show)
}

// tools finds nomad and vault; the first time, both are built, one after the
// other since each uses all cores.
func (k *labKit) tools(ctx context.Context, src string, show func(lab.Progress)) (nomadBin, vaultBin string, err error) {
	cache := k.cache()
	if nomadBin, err = lab.Tools(ctx, lab.Nomad(), src, cache, show); err != nil {
		return "", "", err
	}
	vaultBin, err = lab.Tools(ctx, lab.Vault(), src, cache, show)
	return nomadBin, vaultBin, err
}

// cache is where what the lab builds is kept.
func (k *labKit) cache() string { return filepath.Join(k.sys.CacheDir(), "tools") }

func (k *labKit) toolsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "tools", Short: "Find nomad and vault, or build them once from pinned modules", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			bins, err := findPrograms()
			if err != nil {
				return err
			}
			nomadBin, vaultBin, err := k.tools(cmd.Context(), bins.tools, (&printer{w: k.app.Err}).show)
			if err != nil {
				return err
			}
			fmt.Fprintf(k.app.Out, "nomad %s\nvault %s\n", nomadBin, vaultBin)
			return nil
		},
	}
}

// grants are the rights of the reference jobs, by the names that their packs use.
func grants() []lab.Grant {
	const key, ns = "models", "default"
	return []lab.Grant{
		{Key: key, Verb: lab.VerbSeal, Namespace: ns, Job: "train-digits", Group: "train", Task: "seal"},
		{Key: key, Verb: lab.VerbOpen, Namespace: ns, Job: "digits", Task: "server"},
		{Key: key, Verb: lab.VerbOpen, Namespace: ns, Job: "digits", Task: "open"},
	}
}

// printer writes progress as lines: a part and what it does. A long build says
// how far it is every few seconds and not more often.
type printer struct {
	w    io.Writer
	mu   sync.Mutex
	last map[string]time.Time
	text map[string]string
}

const progressEvery = 10 * time.Second

func (p *printer) show(s lab.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		p.last, p.text = map[string]time.Time{}, map[string]string{}
	}
	now := time.Now()
	if !s.Done && p.text[s.Part] == s.Text && now.Sub(p.last[s.Part]) < progressEvery {
		return
	}
	if !s.Done && s.Expected > 0 && now.Sub(p.last[s.Part]) < progressEvery {
		return
	}
	p.last[s.Part], p.text[s.Part] = now, s.Text
	line := fmt.Sprintf("%6.1fs  %-16s %s", s.Elapsed.Seconds(), s.Part, ui.Clean(s.Text))
	if s.Expected > 0 && !s.Done {
		line += fmt.Sprintf(" (usually about %.0f minutes)", s.Expected.Minutes())
	}
	fmt.Fprintln(p.w, line)
}

func (k *labKit) open() (*lab.Lab, error) {
	l, err := lab.Open(filepath.Join(k.sys.StateDir(), k.name))
	if errors.Is(err, lab.ErrNoLab) {
		advice := k.command("up") + " makes one"
		if others := k.others(); len(others) > 0 {
			advice += "; others are there: --name " + strings.Join(others, ", --name ")
		}
		return nil, &cluster.Fault{Kind: cluster.ErrNotFound, Err: err, Text: fmt.Sprintf("there is no lab called %s", k.name), Advice: advice}
	}
	return l, err
}

// command is how a command is typed for this lab.
func (k *labKit) command(verb string) string {
	if k.name == lab.DefaultName {
		return "stoker lab " + verb
	}
	return "stoker lab " + verb + " --name " + k.name
}

// others are the labs of other names that are there.
func (k *labKit) others() []string {
	files, _ := filepath.Glob(filepath.Join(k.sys.StateDir(), "*", "context.yaml"))
	var out []string
	for _, f := range files {
		out = append(out, filepath.Base(filepath.Dir(f)))
	}
	return out
}

func (k *labKit) downCommand() *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "Stop everything that the lab started and remove it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := k.allowed(cmd, "lab down"); err != nil {
				return err
			}
			l, err := k.open()
			if errors.Is(err, cluster.ErrNotFound) {
				fmt.Fprintf(k.app.Out, "there is no lab called %s\n", k.name)
				return nil
			}
			if err != nil {
				return err
			}
			if err := l.Down(cmd.Context()); err != nil {
				if cmd.Context().Err() != nil {
					fmt.Fprintf(k.app.Err, "the lab is not all down yet: run %s again\n", k.command("down"))
				}
				return err
			}
			fmt.Fprintf(k.app.Out, "lab %s is down\n", k.name)
			return nil
		},
	}
}

func (k *labKit) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Say whether each part runs; exit 5 when one does not", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := k.open()
			if err != nil {
				return err
			}
			st, err := l.Status(cmd.Context())
			if err != nil {
				return err
			}
			fmt.Fprintf(k.app.Out, "lab %s in %s, tasks run with %s\n", st.Name, st.Dir, st.Driver)
			var lines [][]string
			for _, p := range st.Parts {
				lines = append(lines, []string{p.Name, p.Kind, p.State, fmt.Sprint(p.PID), fmt.Sprint(p.GPUs), p.Addr})
			}
			if err := cli.Table(k.app.Out, []string{"PART", "KIND", "STATE", "PID", "GPUS", "ADDRESS"}, lines); err != nil {
				return err
			}
			if !st.Healthy() {
				return cli.Partial(fmt.Errorf("not every part is up; %s repairs it", k.command("up")))
			}
			return nil
		},
	}
}

func (k *labKit) logsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "logs PART", Short: "Print the log of a part: vault, server-1, gpu-a, …",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return cli.Usage("stoker lab logs takes one part: %s", k.parts())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := k.open()
			if err != nil {
				return err
			}
			f, err := os.Open(l.Logs(args[0]))
			if errors.Is(err, os.ErrNotExist) {
				return cli.Usage("the lab has no part called %q: it has %s", args[0], k.parts())
			}
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.Copy(k.app.Out, f)
			return err
		},
	}
}

// parts names what has a log.
func (k *labKit) parts() string {
	l, err := k.open()
	if err != nil {
		return err.Error()
	}
	logs, _ := filepath.Glob(l.Logs("*"))
	for i, path := range logs {
		logs[i] = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	return strings.Join(logs, ", ")
}

func (k *labKit) envCommand() *cobra.Command {
	return &cobra.Command{
		Use: "env", Short: "Print exports for the official nomad and vault commands: eval \"$(stoker lab env)\"", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			l, err := k.open()
			if err != nil {
				return err
			}
			env, err := l.Env()
			if err != nil {
				return err
			}
			for _, line := range env {
				fmt.Fprintln(k.app.Out, "export", line)
			}
			return nil
		},
	}
}

// demoCommand brings the lab up and runs the first scenario on it: in the open
// screen on a terminal, as plain lines otherwise.
func demoCommand(sys contexts.System, app *cli.App) *cobra.Command {
	k := &labKit{sys: sys, app: app, name: lab.DefaultName}
	cmd := &cobra.Command{
		Use: "demo", Short: "Bring a lab up and run the first scenario on it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := k.allowed(cmd, "demo"); err != nil {
				return err
			}
			ctx := cmd.Context()
			l, err := k.up(ctx, lab.Spec{Driver: lab.DriverAuto}, app.Err)
			if err != nil {
				return err
			}
			sc, err := library.Find(demoScenario)
			if err != nil {
				return err
			}
			s, err := app.Connect(context.WithoutCancel(ctx), cli.ConnectOptions{Context: l.Name()})
			if err != nil {
				return err
			}
			defer s.Close()
			if !app.Terminal {
				return runScenario(ctx, app, s, sc, runOptions{})
			}
			o := cli.ScreenOptions{User: settings.NewFiles(sys)}
			o.ASCII, _ = cmd.Flags().GetBool("ascii")
			return screenWithScenario(ctx, app, s, o, sc, newRecorder())
		},
	}
	cmd.Flags().StringVar(&k.name, "name", lab.DefaultName, "name of the lab")
	return cmd
}

// screenWithScenario shows the fleet while the scenario runs in the background;
// leaving the screen ends it, and waits for its cleanup.
func screenWithScenario(ctx context.Context, app *cli.App, s *cli.Session, o cli.ScreenOptions, sc *scenarios.Scenario, runs *scenscreen.Recorder) error {
	runs.Expect(sc)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		// How it went stands on the screen; closing that ends the scenario,
		// which is no failure.
		if err := runScenario(gctx, app, s, sc, runOptions{observe: runs.Observe}); ctx.Err() == nil {
			return err
		}
		return nil
	})
	err := showScreens(ctx, s, o, runs, app.Redact)
	cancel()
	if runs.Run().State == scenscreen.Running {
		fmt.Fprintln(app.Err, "stoker: the scenario is taken back, which may take a minute")
	}
	return errors.Join(err, g.Wait())
}
