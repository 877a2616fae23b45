package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stoker/cluster"
	"stoker/jobs/action"
	"stoker/jobs/pack"
	"stoker/tui/ui"
)

func (a *App) packCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "pack", Short: "Job files with variables, built in or your own", Args: exactly(1, "list or show")}
	cmd.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List the packs", Args: exactly(0, "no arguments"),
			RunE: func(*cobra.Command, []string) error { return a.packList() },
		},
		&cobra.Command{
			Use: "show PACK", Short: "Show what a pack does and its variables", Args: exactly(1, "a pack"),
			RunE: func(_ *cobra.Command, args []string) error { return a.packShow(args[0]) },
		},
	)
	return cmd
}

func (a *App) packList() error {
	packs, err := a.Packs().List()
	var lines [][]string
	for _, p := range packs {
		where, title := "built in", p.Title
		if p.Path != "" {
			where = p.Path
		}
		if p.Err != nil {
			title = "broken: " + p.Err.Error()
		}
		lines = append(lines, []string{p.Name, title, where})
	}
	return errors.Join(printTable(a.Out, []string{"PACK", "WHAT IT DOES", "FROM"}, nil, lines), err)
}

func (a *App) packShow(name string) error {
	p, err := a.findPack(name)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "%s: %s\n", p.Name, ui.Clean(p.Title))
	for _, para := range strings.Split(p.Description, "\n") {
		fmt.Fprintln(a.Out, ui.Clean(para))
	}
	var lines [][]string
	for _, v := range p.Variables {
		preset := ui.None
		switch {
		case v.Default != nil:
			preset = fmt.Sprintf("%q", *v.Default)
		case v.Required:
			preset = "(must be set)"
		}
		lines = append(lines, []string{v.Name, v.Type, preset, v.Description})
	}
	return printTable(a.Out, []string{"VARIABLE", "TYPE", "DEFAULT", "MEANING"}, nil, lines)
}

func (a *App) findPack(name string) (pack.Pack, error) {
	p, err := a.Packs().Find(name)
	if errors.Is(err, pack.ErrUnknown) {
		return p, usage("%v", err).hint("stoker pack list, or give the path of a job file")
	}
	return p, err
}

// jobSource finds what PACK|FILE|- means: standard input, a file when there is
// one or the argument looks like a path, else a pack.
func (a *App) jobSource(arg string) (pack.Pack, error) {
	if arg == "-" {
		raw, err := io.ReadAll(a.In)
		if err != nil {
			return pack.Pack{}, fmt.Errorf("standard input: %w", err)
		}
		return fromFile("standard input", raw)
	}
	raw, err := a.ReadFile(arg)
	switch {
	case err == nil:
		return fromFile(arg, raw)
	case !errors.Is(err, fs.ErrNotExist):
		return pack.Pack{}, fmt.Errorf("job file: %w", err)
	case strings.ContainsAny(arg, "/.\\"):
		return pack.Pack{}, usage("there is no file %q", arg).hint("stoker pack list names the packs")
	}
	return a.findPack(arg)
}

func fromFile(path string, raw []byte) (pack.Pack, error) {
	p, err := pack.FromFile(path, raw)
	if err == nil {
		err = p.Err
	}
	if err != nil {
		return p, usage("%v", err)
	}
	return p, nil
}

// jobFile renders PACK|FILE|- with its variables: those given, then the context's.
func (a *App) jobFile(ctx context.Context, s *Session, arg string, settings []string) (cluster.JobFile, error) {
	p, err := a.jobSource(arg)
	if err != nil {
		return cluster.JobFile{}, err
	}
	vars := map[string]string{}
	for _, s := range settings {
		k, v, ok := strings.Cut(s, "=")
		if !ok {
			return cluster.JobFile{}, usage("-v %s: expected name=value", s)
		}
		vars[k] = v
	}
	vars = p.With(s.Context.PackVars, vars)
	f, err := p.Render(vars)
	if lacksDigest(err) {
		if err := registered(ctx, s, p, vars); err != nil {
			return f, err
		}
		f, err = p.Render(vars)
	}
	if err != nil {
		return f, usage("%s: %v", p.Name, err).hint("stoker pack show " + p.Name)
	}
	return f, nil
}

// lacksDigest says that all that is wrong is that the digest of a model was not given.
func lacksDigest(err error) bool {
	if all, ok := err.(interface{ Unwrap() []error }); ok && len(all.Unwrap()) == 1 {
		err = all.Unwrap()[0]
	}
	wrong, ok := err.(*pack.ValueError)
	return ok && wrong.Variable == pack.DigestVariable
}

// registered fills in the digest of the model that a pack serves.
func registered(ctx context.Context, s *Session, p pack.Pack, vars map[string]string) error {
	snap, _ := s.Wait(ctx, settleFor, func(s *cluster.Snapshot) bool {
		reg := s.Source("registry")
		return reg != nil && reg.State != cluster.SourceStarting
	})
	digest, ok := p.Registered(vars, snap.Artifacts)
	if !ok {
		return usage("no version %q of model %q is registered", p.Value("version", vars), p.Value("model", vars)).
			hint("stoker get keys lists what is, under USED BY; or give -v digest=…")
	}
	vars[pack.DigestVariable] = digest
	return nil
}

func (a *App) planCommand(conn *ConnectOptions) *cobra.Command {
	var settings []string
	cmd := &cobra.Command{
		Use: "plan PACK|FILE|-", Short: "Show what submitting would do; changes nothing",
		Args: exactly(1, "a pack, a job file or -"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, snap, err := a.ready(cmd.Context(), *conn)
			if err != nil {
				return err
			}
			defer s.Close()
			f, err := a.jobFile(cmd.Context(), s, args[0], settings)
			if err != nil {
				return err
			}
			p, err := s.Actions.Plan(cmd.Context(), action.Request{ID: action.Submit, File: f}, snap)
			if err != nil {
				return err
			}
			a.showPlan(a.Out, &p)
			fmt.Fprintf(a.Out, "check index %d, %s\n", p.Job.CheckIndex, ui.Count(p.Job.GPUs, "GPU"))
			if len(p.Job.Failures) > 0 {
				return &partial{errors.New("not all of it can be placed now")}
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVarP(&settings, "var", "v", nil, "a variable as name=value; may be repeated")
	return cmd
}

type submitOptions struct {
	settings []string
	wait     bool
	timeout  time.Duration
	consent  consent
}

func (a *App) submitCommand(conn *ConnectOptions) *cobra.Command {
	var o submitOptions
	cmd := &cobra.Command{
		Use: "submit PACK|FILE|-", Short: "Plan a job, show the plan, then run exactly what was planned",
		Example: `  stoker submit train-digits -v version=v2
  stoker submit my-job.nomad.hcl --yes --wait
  nomad job run -output my-job.nomad.hcl | stoker submit - --yes`,
		Args: exactly(1, "a pack, a job file or -"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, snap, err := a.ready(cmd.Context(), *conn)
			if err != nil {
				return err
			}
			defer s.Close()
			f, err := a.jobFile(cmd.Context(), s, args[0], o.settings)
			if err != nil {
				return err
			}
			res, err := a.perform(cmd.Context(), s, snap, action.Request{ID: action.Submit, File: f}, o.consent)
			if err != nil || !o.wait || o.consent.dryRun {
				return err
			}
			return a.waitForJob(cmd.Context(), s, res, o.timeout)
		},
	}
	cmd.Flags().StringArrayVarP(&o.settings, "var", "v", nil, "a variable as name=value; may be repeated")
	cmd.Flags().BoolVar(&o.wait, "wait", false, "wait until a service is healthy or a batch job has ended")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long --wait waits")
	o.consent.flags(cmd)
	return cmd
}

// waitForJob waits for the outcome of a submit and says it by its error. A
// snapshot from before the submit would tell how the job ended last time, which
// is the answer only where there was nothing to submit.
func (a *App) waitForJob(ctx context.Context, s *Session, res action.Result, timeout time.Duration) error {
	id := res.Job
	outcome := cluster.Outcome{Text: "not seen yet"}
	told := ""
	_, ok := s.Wait(ctx, timeout, func(snap *cluster.Snapshot) bool {
		if res.Eval != "" && snap.Evaluation(res.Eval) == nil {
			return false
		}
		if outcome = snap.Outcome(id); !outcome.Done && outcome.Text != told {
			told = outcome.Text
			fmt.Fprintf(a.Err, "job %s: %s\n", id, ui.Clean(told))
		}
		return outcome.Done
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !ok:
		return &partial{fmt.Errorf("job %s: %s after %s", id, outcome.Text, timeout)}
	case !outcome.Good:
		return &cluster.Fault{Text: fmt.Sprintf("job %s: %s", id, outcome.Text), Advice: "stoker logs " + id.String() + " shows what its tasks said"}
	}
	fmt.Fprintf(a.Out, "job %s: %s\n", id, ui.Clean(outcome.Text))
	return nil
}
