package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stoker/cluster"
	"stoker/jobs/action"
	"stoker/tui/ui"
)

// consent is how a change is confirmed.
type consent struct {
	dryRun  bool
	yes     bool
	confirm string
}

func (c *consent) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "show what would be touched and stop")
	cmd.Flags().BoolVarP(&c.yes, "yes", "y", false, "do not ask")
	cmd.Flags().StringVar(&c.confirm, "confirm", "", "the target's name: needed beside --yes in a context marked production")
}

// changeTimeout bounds one question to the scheduler: a hung server must not
// hang a script.
const changeTimeout = 30 * time.Second

// perform plans a change, shows it, asks, does it and prints what came of it.
func (a *App) perform(ctx context.Context, s *Session, snap *cluster.Snapshot, req action.Request, c consent) (action.Result, error) {
	planCtx, cancel := context.WithTimeout(ctx, changeTimeout)
	p, err := s.Actions.Plan(planCtx, req, snap)
	cancel()
	if errors.Is(err, action.ErrUsage) {
		return action.Result{}, usage("%s", strings.TrimPrefix(err.Error(), action.ErrUsage.Error()+": "))
	}
	if err != nil {
		return action.Result{}, err
	}
	if p.Nothing != "" {
		fmt.Fprintln(a.Out, ui.Clean(p.Nothing))
		return action.Result{Job: p.Request.Job}, nil
	}
	a.showPlan(a.Err, &p)
	if c.dryRun {
		return action.Result{}, nil
	}
	if err := cmp.Or(s.Actions.Allowed(p.ID), p.Refused); err != nil {
		return action.Result{}, refused(&p, err)
	}
	if err := a.ask(ctx, &p, c, s.Context.Production); err != nil {
		return action.Result{}, err
	}
	doCtx, cancel := context.WithTimeout(ctx, changeTimeout*time.Duration(max(1, len(p.Touches))))
	defer cancel()
	res, err := s.Actions.Do(doCtx, p)
	if res.Text != "" {
		fmt.Fprintln(a.Out, ui.Clean(res.Text))
	}
	return res, err
}

// refused is why a change is not even tried.
func refused(p *action.Plan, err error) error {
	out := &cluster.Fault{Kind: cluster.ErrDenied, Text: p.Title + ": " + err.Error(), Err: err}
	var why *cluster.Fault
	if errors.As(err, &why) {
		out.Advice = why.Advice
	}
	return out
}

func (a *App) showPlan(w io.Writer, p *action.Plan) {
	fmt.Fprintln(w, ui.Clean(p.Title))
	for _, t := range p.Touches {
		fmt.Fprintf(w, "  %-6s %s: %s\n", t.Kind, ui.Clean(t.Name), ui.Clean(t.Effect))
	}
	if p.Job != nil {
		for _, d := range p.Job.Diff {
			if p.Job.New && !d.Outline() {
				continue // all of a new job is new: its outline is enough
			}
			fmt.Fprintf(w, "  %c %s%s\n", d.Mark, strings.Repeat("  ", d.Indent), ui.Clean(d.Text))
		}
	}
	for _, warning := range p.Warnings {
		fmt.Fprintln(w, "  warning:", ui.Clean(warning))
	}
}

// ask wants an answer before anything changes. Without a terminal only --yes is one.
func (a *App) ask(ctx context.Context, p *action.Plan, c consent, production bool) error {
	name := ui.Clean(p.Ask) // as it is shown, and can be typed
	if production && (c.yes || !a.Terminal) {
		if c.confirm == p.Ask || c.confirm != "" && c.confirm == name {
			return nil
		}
		return usage("this context is marked production: nothing is done").hint("add --confirm " + name)
	}
	if c.yes {
		return nil
	}
	if !a.Terminal {
		return usage("nothing is done without an answer, and there is no terminal to ask on").hint("add --yes, or --dry-run to look only")
	}
	want, prompt := "y", "go on? [y/N] "
	if p.Ask != "" {
		want = cmp.Or(name, "yes") // a name may be all of characters that are not to be seen
		prompt = fmt.Sprintf("type %s to go on: ", want)
	}
	fmt.Fprint(a.Err, prompt)
	answer, err := a.line(ctx)
	if err != nil {
		return err
	}
	answer = strings.TrimSpace(answer)
	if answer == want || p.Ask == "" && strings.EqualFold(answer, "yes") {
		return nil
	}
	return errors.New("nothing was changed")
}

// line reads what is typed. An interrupt ends it at once: the reader that then
// still waits ends with the program.
func (a *App) line(ctx context.Context) (string, error) {
	type typed struct {
		text string
		err  error
	}
	got := make(chan typed, 1)
	go func() {
		text, err := bufio.NewReader(a.In).ReadString('\n')
		got <- typed{text, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(a.Err) // the prompt's line is open
		return "", ctx.Err()
	case t := <-got:
		if t.err != nil && !errors.Is(t.err, io.EOF) {
			return "", t.err
		}
		return t.text, nil
	}
}

// withJob finds a job by name, or by namespace/name, and runs f.
func (a *App) withJob(ctx context.Context, conn ConnectOptions, name string, f func(*Session, *cluster.Snapshot, *cluster.Job) error) error {
	s, snap, err := a.ready(ctx, conn)
	if err != nil {
		return err
	}
	defer s.Close()
	job, err := findJob(snap, name)
	if err != nil {
		return err
	}
	return f(s, snap, job)
}

func findJob(s *cluster.Snapshot, name string) (*cluster.Job, error) {
	var exact, short []*cluster.Job
	for i := range s.Jobs {
		j := &s.Jobs[i]
		if j.ID.String() == name {
			exact = append(exact, j)
		}
		if j.ID.Name == name {
			short = append(short, j)
		}
	}
	found := exact
	if len(found) == 0 {
		found = short
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, usage("there is no job %q", name).hint("stoker get jobs lists them")
	}
	if found[0].Place != found[1].Place {
		return nil, usage("several clusters have a job %q", name).hint("name one of them with --context")
	}
	return nil, usage("several namespaces have a job %q", name).hint("write namespace/" + name)
}

// findNode finds a node by its name, else by the beginning of its ID.
func findNode(s *cluster.Snapshot, name string) (*cluster.Node, error) {
	var named, begin []*cluster.Node
	for i := range s.Nodes {
		n := &s.Nodes[i]
		switch {
		case n.Name == name || string(n.ID) == name:
			named = append(named, n)
		case len(name) >= 4 && strings.HasPrefix(string(n.ID), name):
			begin = append(begin, n)
		}
	}
	found := named
	if len(found) == 0 {
		found = begin
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		if src := s.Source("nomad/nodes"); src != nil && src.State == cluster.SourceDenied {
			return nil, &cluster.Fault{Kind: cluster.ErrDenied, Text: fmt.Sprintf("no node %s can be found: %s", name, src.Err), Advice: "the token lacks node:read: nomad acl token self names its policies"}
		}
		return nil, usage("there is no node %q", name).hint("stoker get nodes lists them")
	}
	return nil, usage("%q means %d nodes", name, len(found)).hint("use a longer part of the ID: stoker get nodes -o wide")
}

func (a *App) scaleCommand(conn *ConnectOptions) *cobra.Command {
	var c consent
	var group string
	cmd := &cobra.Command{
		Use: "scale JOB COUNT", Short: "Change how many allocations a task group has",
		Args: exactly(2, "a job and a count"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var count int
			if _, err := fmt.Sscanf(args[1], "%d", &count); err != nil || fmt.Sprint(count) != args[1] {
				return usage("%q is no count", args[1])
			}
			return a.withJob(cmd.Context(), *conn, args[0], func(s *Session, snap *cluster.Snapshot, j *cluster.Job) error {
				_, err := a.perform(cmd.Context(), s, snap, action.Request{ID: action.Scale, Job: j.ID, Group: group, Count: count}, c)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&group, "group", "", "task group, when the job has several")
	c.flags(cmd)
	return cmd
}

func (a *App) restartCommand(conn *ConnectOptions) *cobra.Command {
	var c consent
	cmd := &cobra.Command{
		Use: "restart JOB", Short: "Restart the tasks of every allocation, one allocation at a time",
		Args: exactly(1, "a job"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withJob(cmd.Context(), *conn, args[0], func(s *Session, snap *cluster.Snapshot, j *cluster.Job) error {
				_, err := a.perform(cmd.Context(), s, snap, action.Request{ID: action.Restart, Job: j.ID}, c)
				return err
			})
		},
	}
	c.flags(cmd)
	return cmd
}

func (a *App) stopCommand(conn *ConnectOptions) *cobra.Command {
	var c consent
	var purge bool
	cmd := &cobra.Command{
		Use: "stop JOB", Short: "Stop a job and free what it holds",
		Args: exactly(1, "a job"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withJob(cmd.Context(), *conn, args[0], func(s *Session, snap *cluster.Snapshot, j *cluster.Job) error {
				_, err := a.perform(cmd.Context(), s, snap, action.Request{ID: action.Stop, Job: j.ID, Purge: purge}, c)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "make Nomad forget the job as well")
	c.flags(cmd)
	return cmd
}

func (a *App) drainCommand(conn *ConnectOptions) *cobra.Command {
	req := action.Request{ID: action.Drain}
	cmd := a.nodeCommand(conn, &req, "end the drain and let the node take work again")
	cmd.Use, cmd.Short = "drain NODE", "Move all work off a node and keep new work away; --off ends it"
	cmd.Flags().DurationVar(&req.Deadline, "deadline", action.DrainDeadline, "after this, what is still there is stopped; 0 is the default")
	return cmd
}

func (a *App) ineligibleCommand(conn *ConnectOptions) *cobra.Command {
	cmd := a.nodeCommand(conn, &action.Request{ID: action.Ineligible}, "let the node take work again")
	cmd.Use, cmd.Short = "ineligible NODE", "Keep new work away from a node and leave what runs there; --off ends it"
	return cmd
}

// nodeCommand is a change of one node that --off takes back.
func (a *App) nodeCommand(conn *ConnectOptions, req *action.Request, offHelp string) *cobra.Command {
	var c consent
	var off bool
	cmd := &cobra.Command{
		Args: exactly(1, "a node"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, snap, err := a.ready(cmd.Context(), *conn)
			if err != nil {
				return err
			}
			defer s.Close()
			n, err := findNode(snap, args[0])
			if err != nil {
				return err
			}
			if req.Node = n.ID; off {
				req.ID = action.Undrain
			}
			_, err = a.perform(cmd.Context(), s, snap, *req, c)
			return err
		},
	}
	cmd.Flags().BoolVar(&off, "off", false, offHelp)
	c.flags(cmd)
	return cmd
}
