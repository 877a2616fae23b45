package cli

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"stoker/cluster/contexts"
	"stoker/jobs/pack"
	"stoker/tui/settings"
)

// App is what main wires for the commands. Every function connects only when it is called.
type App struct {
	In       io.Reader
	Out, Err io.Writer
	Terminal bool // In and Out are a terminal: a person can be asked
	Now      func() time.Time
	Version  string
	ReadFile func(path string) ([]byte, error)
	// Redact takes secrets out of what servers answered; nil leaves it as it is.
	Redact func(text string) string

	Contexts func() ([]contexts.Context, string, error)
	UI       func() (contexts.UI, error) // what the user saved: views and the like
	Connect  func(ctx context.Context, o ConnectOptions) (*Session, error)
	Screen   func(ctx context.Context, s *Session, o ScreenOptions) error
	Packs    func() *pack.Library

	// Extra are commands that need more of the machine than a cluster: main
	// makes them, so that this package knows neither lab nor agent nor keys.
	Extra []*cobra.Command
}

// ConnectOptions are the global flags that concern the cluster.
type ConnectOptions struct {
	Context  string // a name, names with commas between them, or contexts.Every
	ReadOnly bool
	Several  bool // the command can show several clusters; otherwise Connect refuses them
	Early    bool // what the first picture needs is read first: without it all is there when anything is
	Sparing  bool // of a large fleet only the details of GPUs that somebody looks at are read
}

// ScreenOptions are the global flags that concern the screen.
type ScreenOptions struct {
	Theme string
	Start string          // screen to open first
	ASCII bool            // nothing but ASCII
	Mouse bool            // the mouse is followed
	User  *settings.Files // what the user wrote, and typed; nil: nothing
	// ReadOnly refuses every change, in whatever context the screen goes to.
	ReadOnly bool
}

// Flags adds the flags about how a screen looks.
func (o *ScreenOptions) Flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Theme, "theme", "", "auto, dark, light, colour-blind, 16, none, or one of your own")
	flags.BoolVar(&o.Mouse, "mouse", false, "follow the mouse; the terminal's own selection then needs shift")
}

// Root builds the whole command tree.
func (a *App) Root() *cobra.Command {
	var conn ConnectOptions
	var screen ScreenOptions
	root := &cobra.Command{
		Use:   "stoker",
		Short: "Run AI models on your own GPU machines: Nomad, NVML and Vault in one terminal",
		Long: `stoker shows a fleet of GPU machines live and runs inference and training jobs on it.

Without a command it opens the screen. Which cluster: --context, else STOKER_CONTEXT,
else NOMAD_ADDR and VAULT_ADDR as in the official tools, else the current one of the
config file. "stoker lab up" makes a whole cluster on this machine to try it on.

Exit codes: 0 done, 1 failed, 2 usage, 3 unreachable, 4 denied, 5 partly done, 130 interrupted.`,
		Version:       a.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("unknown command %q", args[0]).hint("stoker --help lists the commands")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !a.Terminal {
				return usage("the screen needs a terminal").hint("in a script use stoker get, submit, run and the like: stoker --help")
			}
			return a.openScreen(cmd.Context(), conn, screen)
		},
	}
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetIn(a.In)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%v", err).hint(cmd.CommandPath() + " --help")
	})
	flags := root.PersistentFlags()
	flags.StringVar(&conn.Context, "context", "", "named cluster from the config file or a lab; several with commas between them, or all, are shown together")
	flags.BoolVar(&conn.ReadOnly, "read-only", false, "refuse every change")
	flags.BoolVar(&screen.ASCII, "ascii", false, "print and draw nothing but ASCII; what else names hold is shown as ?, formats for programs keep it")
	screen.Flags(root.Flags())
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) {
		if screen.ASCII && forPeople(cmd) {
			a.Out, a.Err = asciiWriter{a.Out}, asciiWriter{a.Err}
		}
	}
	root.Flags().StringVar(&screen.Start, "screen", "", "screen to open first, for example gpus")
	root.AddCommand(
		a.getCommand(&conn), a.contextsCommand(), a.packCommand(), a.planCommand(&conn), a.submitCommand(&conn),
		a.logsCommand(&conn), a.scaleCommand(&conn), a.restartCommand(&conn), a.stopCommand(&conn), a.drainCommand(&conn), a.ineligibleCommand(&conn), a.explainCommand(&conn),
		a.doctorCommand(&conn), a.xidCommand(),
	)
	root.AddCommand(a.Extra...)
	strict(root)
	return root
}

// openScreen starts the screen. A cluster that was named may be down: the
// screen says so and waits. One that nobody named must answer.
func (a *App) openScreen(ctx context.Context, conn ConnectOptions, o ScreenOptions) error {
	conn.Several, conn.Early, conn.Sparing, o.ReadOnly = true, true, true, conn.ReadOnly
	s, err := a.Connect(ctx, conn)
	if err != nil {
		return err
	}
	defer s.Close()
	if !s.Context.Configured {
		if err := s.Ping(ctx); err != nil {
			return err
		}
	}
	return a.Screen(ctx, s, o)
}
