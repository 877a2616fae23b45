package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/jobs/action"
	"stoker/jobs/pack"
	"stoker/tui/screen"
	"stoker/tui/screen/gpus"
	"stoker/tui/screen/keyring"
	"stoker/tui/screen/scenarios"
)

// Feed brings the snapshots; *cluster.Feed is one.
type Feed interface {
	Latest() *cluster.Snapshot
	Subscribe() (snapshots <-chan *cluster.Snapshot, stop func())
}

// Runner plans and does actions; *action.Runner is one.
type Runner interface {
	Allowed(id action.ID) error
	Plan(ctx context.Context, req action.Request, s *cluster.Snapshot) (action.Plan, error)
	Do(ctx context.Context, p action.Plan) (action.Result, error)
}

// Config is what the program is made of.
type Config struct {
	Context    string // the named context, or several with commas between them
	Namespace  string // "*" is all that may be read
	Production bool   // the context is marked so: the header says it
	ReadOnly   bool   // no action is offered, and none is done

	Sites Sites  // what can be switched to; nil: nothing
	Close func() // ends the session; nil: nobody need

	Feed   Feed
	Runner Runner           // nil: nothing can be changed
	Logs   screen.LogSource // nil: no logs
	// Raw reads one thing as Nomad tells it, without secrets; nil: it cannot be read.
	Raw func(ctx context.Context, ref cluster.Ref) (string, error)

	Packs    func() ([]pack.Pack, error) // nil: no form to submit from
	PackVars map[string]string           // what the context says for packs
	// CommandContext is what a command that is to be pasted elsewhere must give
	// with --context; empty when the environment alone says which cluster it is.
	CommandContext string
	Keys           keyring.Rotator                              // nil: keys are only shown
	Runs           scenarios.Source                             // the scenario that runs beside the screen, and the files there are
	Local          bool                                         // this machine alone: only its GPUs are shown
	Past           func(ctx context.Context, id gpu.UUID) error // loads what a GPU did before; nil: nobody knows
	Look           func(id gpu.UUID)                            // has the details of a GPU read; nil: they are
	Killer         gpus.Killer                                  // ends processes of this machine; nil: they are only shown

	User  UserFiles   // what the user wrote; nil: nothing
	ASCII bool        // nothing but ASCII is drawn, whatever the locale says
	Mouse bool        // the mouse is followed; the terminal's own selection then needs shift
	Typed Past        // what was typed in sessions before; nil: nothing is kept
	Theme string      // one of theme.Names, or the user's own; empty: as the user's files say
	Start screen.Name // the first screen; empty is the fleet
	Now   func() time.Time
	// Touched is told of each key and click: somebody is there; nil: nobody need know.
	Touched func()
	// Redact takes secrets out of what servers answered; nil leaves it as it is.
	Redact func(text string) string

	In  io.Reader // the terminal
	Out io.Writer
	Env []string // as os.Environ gives it
}

// How often the renderer looks for a new frame: a key waits for the next look,
// so a lower rate would be felt. On a machine of its own stoker top is beside
// the work that it watches, and takes half of that.
const (
	fps      = 120
	localFPS = 60
)

// Run shows the program until the user quits or ctx ends; both are no error.
func Run(ctx context.Context, cfg Config) error { return run(ctx, cfg) }

func run(ctx context.Context, cfg Config, more ...tea.ProgramOption) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	snapshots, stop := cfg.Feed.Subscribe()
	m, err := newModel(ctx, cfg, snapshots, stop)
	if err != nil {
		stop()
		return err
	}
	defer func() { m.leaveSite() }()
	rate := fps
	if cfg.Local {
		rate = localFPS
	}
	var p *tea.Program
	// Without its own handler of signals, which may wait for ever to tell of one to
	// a program that ctx ends at the same time: who calls Run ends ctx at a signal.
	m.link = newLink(cfg.Out, func(lost bool) { p.Send(linkMsg{lost}) })
	defer m.link.close(linkLast)
	p = tea.NewProgram(m, append([]tea.ProgramOption{
		tea.WithFPS(rate), tea.WithInput(cfg.In), tea.WithOutput(m.link.writer()), tea.WithEnvironment(cfg.Env), tea.WithFilter(m.leaving),
		tea.WithoutSignalHandler(),
	}, more...)...)
	// Not tea.WithContext: it ends the program without waiting for the goroutine
	// that reads the terminal, which the caller may close next.
	quit := context.AfterFunc(ctx, p.Quit)
	defer quit()
	_, err = p.Run()
	switch {
	case err == nil, errors.Is(err, tea.ErrInterrupted):
		return nil
	case errors.Is(err, tea.ErrProgramPanic):
		return fmt.Errorf("the screen stopped: %w", err)
	case ctx.Err() != nil:
		return nil
	}
	return fmt.Errorf("run the screen: %w", err)
}

// leaving sees the program's end come: pictures that are on their way to a slow
// terminal would only hold it up.
func (m *model) leaving(_ tea.Model, msg tea.Msg) tea.Msg {
	switch msg.(type) {
	case tea.QuitMsg, tea.InterruptMsg:
		m.link.leave()
	}
	return msg
}
