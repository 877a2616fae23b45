package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"stoker/scenarios"
	"stoker/scenarios/library"
	"stoker/tui/cli"
	"stoker/tui/ui"
)

// demoScenario is the one that stoker demo runs.
const demoScenario = "first-deploy"

type runOptions struct {
	settings []string
	reports  []string
	check    bool
	observe  func(scenarios.Event) // besides what is printed; may be nil
}

func runCommand(app *cli.App) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use: "run SCENARIO", Short: "Run a scenario: operations, load and assertions, with a report and an exit code",
		Long: `Run a scenario: a YAML file, or one that is shipped (` + strings.Join(library.Names(), ", ") + `).

Every step is shown as it happens. What the scenario submitted is stopped at its
end, also when a step fails or when it is interrupted; a second interrupt gives
the cleanup up. Exit codes: 0 passed, 1 failed, 5 inconclusive, 130 interrupted.`,
		Example: `  stoker --context lab run scenarios/library/first-deploy.yaml --report junit=report.xml
  stoker run first-deploy -v seconds=60`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return cli.Usage("stoker run takes a scenario: a file, or one of %s", strings.Join(library.Names(), ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			sc, err := loadScenario(app, args[0])
			if err != nil {
				return err
			}
			if o.check {
				fmt.Fprintf(app.Out, "%s: %s, no mistakes found\n", sc.Name, ui.Count(len(sc.Steps), "step"))
				return nil
			}
			if _, err := o.vars(); err != nil {
				return err
			}
			name, _ := cmd.Flags().GetString("context")
			readOnly, _ := cmd.Flags().GetBool("read-only")
			// The session must outlive an interrupt: the cleanup needs it.
			s, err := app.Connect(context.WithoutCancel(cmd.Context()), cli.ConnectOptions{Context: name, ReadOnly: readOnly})
			if err != nil {
				return err
			}
			defer s.Close()
			if err := s.Ping(cmd.Context()); err != nil {
				return err
			}
			return runScenario(cmd.Context(), app, s, sc, o)
		},
	}
	cmd.Flags().StringArrayVarP(&o.settings, "var", "v", nil, "a variable of the scenario as name=value; may be repeated")
	cmd.Flags().StringArrayVar(&o.reports, "report", nil, "write a report: junit=FILE or json=FILE; may be repeated")
	cmd.Flags().BoolVar(&o.check, "check", false, "only look for mistakes in the file; needs no cluster")
	return cmd
}

// vars are the given variables by name.
func (o runOptions) vars() (map[string]string, error) {
	vars := map[string]string{}
	for _, setting := range o.settings {
		k, v, ok := strings.Cut(setting, "=")
		if !ok {
			return nil, cli.Usage("-v %s: expected name=value", setting)
		}
		vars[k] = v
	}
	return vars, nil
}

// loadScenario reads a file, or finds a shipped scenario by name. The error names
// all mistakes in it, those about packs too.
func loadScenario(app *cli.App, arg string) (*scenarios.Scenario, error) {
	raw, err := app.ReadFile(arg)
	var sc *scenarios.Scenario
	switch {
	case err == nil:
		sc, err = scenarios.Parse(arg, raw)
	case errors.Is(err, os.ErrNotExist) && !strings.ContainsAny(arg, "/."):
		sc, err = library.Find(arg)
	default:
		err = fmt.Errorf("scenario: %w", err)
	}
	if sc != nil {
		err = errors.Join(err, sc.Check(app.Packs()))
	}
	if err != nil {
		return nil, cli.Usage("%v", err)
	}
	return sc, nil
}

// runScenario plays a scenario, prints it, writes the reports and gives its
// verdict as an error.
func runScenario(ctx context.Context, app *cli.App, s *cli.Session, sc *scenarios.Scenario, o runOptions) error {
	vars, err := o.vars()
	if err != nil {
		return err
	}
	runID := scenarios.NewRunID(time.Now())
	if _, err := sc.Resolve(runID, vars); err != nil {
		return cli.Usage("%v", err)
	}
	reports, err := openReports(o.reports)
	if err != nil {
		return err
	}
	abandon, stop := secondInterrupt()
	defer stop()
	defer outlivePipe()()
	observe := o.observe
	if observe == nil {
		observe = printerFor(app).Observe
	}
	rep := scenarios.Run(ctx, sc, scenarios.Env{
		Feed: s.Feed, Actions: s.Actions, Packs: app.Packs(), PackVars: s.Context.PackVars, Vars: vars,
		Programs: programsBeside(), Abandon: abandon, Now: time.Now, RunID: runID, Redact: app.Redact,
	}, observe)
	err = rep.Err()
	for _, r := range reports {
		err = errors.Join(err, r.write(&rep))
	}
	return err
}

// programsBeside are the programs of run steps that lie beside this one.
func programsBeside() map[string]string {
	bins, err := findPrograms()
	if err != nil {
		return nil
	}
	return map[string]string{"workload": bins.workload, "stoker": bins.stoker}
}

func printerFor(app *cli.App) *scenarios.Printer {
	var width func() int
	if f, ok := app.Out.(*os.File); ok && app.Terminal {
		width = func() int {
			w, _, err := term.GetSize(f.Fd())
			if err != nil || w <= 0 {
				return 80
			}
			return w
		}
	}
	return scenarios.NewPrinter(app.Out, width)
}

// outlivePipe keeps the program alive when nobody reads what it prints any more:
// what a scenario changed must be taken back.
func outlivePipe() (stop func()) {
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	return func() { signal.Stop(broken) }
}

// secondInterrupt closes its channel at the second signal; the first ends the
// program's context.
func secondInterrupt() (abandon <-chan struct{}, stop func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endings()...)
	done, out := make(chan struct{}), make(chan struct{})
	go func() {
		for range 2 {
			select {
			case <-done:
				return
			case <-signals:
			}
		}
		close(out)
	}()
	return out, func() { signal.Stop(signals); close(done) }
}

// report is one file to write.
type report struct {
	format, path string
	file         *os.File
}

// openReports opens the files before anything runs: a report that cannot be
// written should be known at once.
func openReports(specs []string) ([]report, error) {
	var out []report
	for _, spec := range specs {
		format, path, ok := strings.Cut(spec, "=")
		if !ok || path == "" || format != "junit" && format != "json" {
			return nil, cli.Usage("--report %s: expected junit=FILE or json=FILE", spec)
		}
		f, err := os.Create(filepath.Clean(path))
		if err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		out = append(out, report{format, path, f})
	}
	return out, nil
}

func (r report) write(rep *scenarios.Report) error {
	var write func(io.Writer) error = rep.JUnit
	if r.format == "json" {
		write = rep.JSON
	}
	if err := errors.Join(write(r.file), r.file.Close()); err != nil {
		return fmt.Errorf("report %s: %w", r.path, err)
	}
	return nil
}
