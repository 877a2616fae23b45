package wire

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"time"

	"github.com/charmbracelet/x/term"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/jobs/pack"
	"stoker/scenarios"
	"stoker/secrets"
	"stoker/secrets/vault"
	"stoker/tui"
	"stoker/tui/cli"
	"stoker/tui/settings"
)

// The exit codes, the same for every command.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitUnreachable = 3
	ExitDenied      = 4
	ExitPartly      = 5
	ExitInterrupted = 130 // as a shell says it of a program that ctrl+c ended
)

// ExitCode maps an error to its exit code.
func ExitCode(err error) int {
	var child *exec.ExitError
	switch {
	case err == nil:
		return ExitDone
	case cli.IsUsage(err), errors.Is(err, contexts.ErrUnknown), errors.Is(err, contexts.ErrConfig), errors.Is(err, contexts.ErrAddress):
		return ExitUsage
	case errors.Is(err, cluster.ErrUnreachable), errors.Is(err, vault.ErrUnreachable), errors.Is(err, vault.ErrSealed):
		return ExitUnreachable
	case errors.Is(err, cluster.ErrDenied), errors.Is(err, vault.ErrDenied):
		return ExitDenied
	case errors.Is(err, scenarios.ErrFailed):
		return ExitFailed
	case cli.IsPartial(err), errors.Is(err, scenarios.ErrInconclusive), errors.Is(err, scenarios.ErrLeft):
		return ExitPartly
	case errors.As(err, &child) && child.ExitCode() > 0:
		return child.ExitCode()
	}
	return ExitFailed
}

// program wires the commands to this machine. It connects to nothing.
func program(sys contexts.System, version string, redactor *secrets.Redactor) *cli.App {
	app := &cli.App{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Terminal: term.IsTerminal(os.Stdin.Fd()) && term.IsTerminal(os.Stdout.Fd()),
		Now:      time.Now, Version: version, ReadFile: os.ReadFile, Redact: redactor.Clean,
		Packs:    func() *pack.Library { return Packs(sys) },
		Contexts: func() ([]contexts.Context, string, error) { return contexts.All(sys) },
		UI:       func() (contexts.UI, error) { return contexts.ReadUI(sys) },
		Connect: func(ctx context.Context, o cli.ConnectOptions) (*cli.Session, error) {
			return Connect(ctx, sys, redactor, o)
		},
		Screen: func(ctx context.Context, s *cli.Session, o cli.ScreenOptions) error {
			o.User = settings.NewFiles(sys)
			runs := newRecorder()
			screens := func(s *cli.Session) tui.Config { return screenConfig(s, o, runs, redactor.Clean) }
			if s.Local {
				return show(ctx, screens(s))
			}
			w := &sites{sys: sys, redactor: redactor, readOnly: o.ReadOnly, screens: screens}
			defer w.close()
			return show(ctx, w.config(s))
		},
	}
	app.Extra = extra(sys, app, redactor)
	return app
}

func system() contexts.System {
	home, err := os.UserHomeDir()
	if err != nil {
		home = os.TempDir()
	}
	return contexts.System{Getenv: os.Getenv, Home: home}
}
