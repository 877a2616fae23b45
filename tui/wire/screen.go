package wire

import (
	"context"
	"os"
	"time"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/scenarios/library"
	"stoker/tui"
	"stoker/tui/cli"
	"stoker/tui/screen"
	scenscreen "stoker/tui/screen/scenarios"
)

// newRecorder keeps what a scenario says, for its screen, with the shipped ones.
func newRecorder() *scenscreen.Recorder {
	var files []scenscreen.File
	for _, name := range library.Names() {
		if sc, err := library.Find(name); err == nil {
			files = append(files, scenscreen.File{Name: name, Text: sc.Description})
		}
	}
	return scenscreen.NewRecorder(files)
}

// showScreens opens the screens on this process's terminal. They stay with the
// session: somebody else uses it, too.
func showScreens(ctx context.Context, s *cli.Session, o cli.ScreenOptions, runs *scenscreen.Recorder, redact func(string) string) error {
	return show(ctx, screenConfig(s, o, runs, redact))
}

func show(ctx context.Context, cfg tui.Config) error {
	if os.Getenv("GOGC") == "" {
		c := &collector{}
		cfg.Touched = c.touched
		go c.run(cfg.Feed)
	}
	return tui.Run(ctx, cfg)
}

// screenConfig is what the screens have of a session.
func screenConfig(s *cli.Session, o cli.ScreenOptions, runs *scenscreen.Recorder, redact func(string) string) tui.Config {
	cfg := tui.Config{
		Context: s.Context.Name, Namespace: s.Context.Nomad.Namespace, Production: s.Context.Production,
		ReadOnly: s.Context.ReadOnly, Feed: s.Feed, Runner: s.Actions, Logs: logSource(s.Logs), Raw: s.Raw,
		PackVars: s.Context.PackVars, Local: s.Local, Runs: runs,
		Past: s.Past, Look: s.Look,
		Theme: o.Theme, ASCII: o.ASCII, Mouse: o.Mouse, Start: screen.Name(o.Start), Now: time.Now, Redact: redact,
		In: os.Stdin, Out: os.Stdout, Env: os.Environ(),
	}
	if o.User != nil {
		cfg.User, cfg.Typed = o.User, o.User.History()
	}
	if s.Context.Named {
		cfg.CommandContext = s.Context.Name
	}
	if s.Packs != nil {
		cfg.Packs = s.Packs.List
	}
	if s.Kill != nil {
		cfg.Killer = killer(s.Kill)
	}
	if s.Rotate != nil {
		cfg.Keys = rotator(s.Rotate)
	}
	return cfg
}

// logSource lets a function be what the screens read logs from.
type logSource func(ctx context.Context, req cluster.LogRequest, emit func(cluster.LogLine)) error

// Logs reads one log.
func (f logSource) Logs(ctx context.Context, req cluster.LogRequest, emit func(cluster.LogLine)) error {
	return f(ctx, req, emit)
}

// rotator lets a function be what the screen of keys rotates with.
type rotator func(ctx context.Context, key string) error

// RotateKey makes a new version of a key.
func (f rotator) RotateKey(ctx context.Context, key string) error { return f(ctx, key) }

// killer lets a function be what the screen of one machine ends processes with.
type killer func(ctx context.Context, p gpu.Process, on []gpu.UUID, force bool) error

// Kill ends a process.
func (f killer) Kill(ctx context.Context, p gpu.Process, on []gpu.UUID, force bool) error {
	return f(ctx, p, on, force)
}
