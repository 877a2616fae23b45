package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/gpu"
	"stoker/tui/settings"
	"stoker/tui/ui"
)

type getOptions struct {
	RowOptions
	watch bool
	saved string // a view of the config file
}

func (a *App) getCommand(conn *ConnectOptions) *cobra.Command {
	var o getOptions
	var names, lines []string
	for _, v := range facts.Views() {
		names = append(names, v.Name)
		lines = append(lines, fmt.Sprintf("  %-10s %s", v.Name, v.Help))
	}
	cmd := &cobra.Command{
		Use:   "get " + strings.Join(names, "|"),
		Short: "Print what the screens show, as a table or for programs",
		Long: "Print what the screens show.\n\n" + strings.Join(lines, "\n") + `

A number that nobody reported is – in a table and null in JSON. When a source did
not answer, what is known is printed, a warning goes to stderr and the exit code is 5.
What the token may not read, and the rows do not need, is a note on stderr and no failure.`,
		Example: `  stoker get gpus -o json
  stoker get gpus --filter 'util < 5 && held' --columns node,index,util,held_by --sort -power,node
  stoker get --view idle -o csv
  stoker get jobs -w`,
		ValidArgs: names,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.saved != "" {
				return exactly(0, "no arguments with --view, which says what to get")(cmd, args)
			}
			return exactly(1, "what to get: "+strings.Join(names, ", "))(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.saved != "" {
				if err := a.saved(&o); err != nil {
					return err
				}
			} else {
				o.View = args[0]
			}
			return a.get(cmd.Context(), *conn, o)
		},
	}
	o.RowOptions.Flags(cmd.Flags(), "")
	cmd.Flags().StringVar(&o.saved, "view", "", "a view that is saved in the config file; the other flags win over what it says")
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "go on: print what changes, until interrupted")
	return cmd
}

// saved takes from a saved view what no flag says.
func (a *App) saved(o *getOptions) error {
	user, err := a.UI()
	if err != nil {
		return err
	}
	view, ok := user.Views[o.saved]
	if !ok {
		names := slices.Sorted(maps.Keys(user.Views))
		return usage("there is no saved view %q", o.saved).hint("saved in the config file: " + cmp.Or(strings.Join(names, ", "), "none"))
	}
	if err := settings.CheckView(user, o.saved); err != nil {
		return err
	}
	o.View, o.Filter = view.Screen, cmp.Or(o.Filter, view.Filter)
	if len(o.Columns) == 0 {
		o.Columns = view.Columns
	}
	if len(o.Sort) == 0 && view.Order != "" {
		o.Sort = strings.Split(view.Order, ",")
	}
	return nil
}

func viewNames() string {
	var names []string
	for _, v := range facts.Views() {
		names = append(names, v.Name)
	}
	return strings.Join(names, ", ")
}

// exactly is cobra.ExactArgs with an error that says what is missing.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usage("%s takes %s", cmd.CommandPath(), what).hint(cmd.CommandPath() + " --help")
		}
		return nil
	}
}

func (a *App) get(ctx context.Context, conn ConnectOptions, o getOptions) error {
	q, err := o.question()
	if err != nil {
		return err
	}
	conn.Several, conn.Sparing = true, !q.view.Details
	s, err := a.Connect(ctx, conn)
	if err != nil {
		return err
	}
	defer s.Close()
	q.view = q.view.Beside(s.Feed.Latest())
	v := q.view
	settled := v.Settled
	_, noNomad := s.ready(ctx)
	if noNomad != nil {
		if !v.Anyway || ctx.Err() != nil {
			return noNomad
		}
		settled = answered
	}
	if o.watch {
		return a.watch(ctx, s, q)
	}
	snap, _ := s.Wait(ctx, patience(s.Feed.Latest()), settled)
	if v.Name == "history" && s.Past != nil {
		snap = a.past(ctx, s, q, snap)
	}
	rows := q.rows(snap)
	if err := q.filter.Mistake(); err != nil && len(rows) == 0 {
		return err
	}
	if err := q.write(a.Out, rows, a.Now()); err != nil {
		return err
	}
	if what := v.Spared(snap); what != "" {
		fmt.Fprintln(a.Err, "stoker: note: not all may be read:", ui.Clean(what))
	}
	late := v.Missing(snap)
	var unread *cluster.Fault
	switch {
	case late == nil || noNomad != nil && v.Name == "sources":
		return noNomad
	case errors.As(late, &unread):
		return unread
	}
	return &partial{fmt.Errorf("the answer is incomplete: %w", late)}
}

// mostPasts bounds of how many GPUs one answer has the past.
const mostPasts = 64

// past waits for what the GPUs of the answer did before now. A past that cannot
// be had is warned of.
func (a *App) past(ctx context.Context, s *Session, q *question, snap *cluster.Snapshot) *cluster.Snapshot {
	ids := map[gpu.UUID]bool{}
	column, _ := q.view.Field("uuid")
	for _, row := range q.rows(snap) {
		if id, ok := row[column].(string); ok && len(ids) < mostPasts {
			ids[gpu.UUID(id)] = true
		}
	}
	for id := range ids {
		if err := s.Past(ctx, id); err != nil {
			fmt.Fprintln(a.Err, "stoker: warning:", ui.Clean(err.Error()))
			return snap
		}
	}
	// What was told last is in the next snapshot but one at the latest.
	rev := s.Feed.Latest().Rev
	snap, _ = s.Wait(ctx, settleFor, func(s *cluster.Snapshot) bool { return s.Rev > rev+1 })
	return snap
}

// answered says that no source is still waited for, of those that there are
// without Nomad.
func answered(s *cluster.Snapshot) bool {
	return !slices.ContainsFunc(s.Each(), func(s *cluster.Snapshot) bool { return s.Source("nomad") == nil }) && !slices.ContainsFunc(s.Sources, func(src cluster.SourceStatus) bool { return src.State == cluster.SourceStarting })
}

// OnceOptions say what Once prints.
type OnceOptions struct {
	RowOptions
	Ready    func(*cluster.Snapshot) bool // all is there that is to be printed
	Patience time.Duration                // for it, beside the usual one
}

// Once prints the rows of a session that is this machine alone, once they came.
func (a *App) Once(ctx context.Context, s *Session, o OnceOptions) error {
	q, err := o.question()
	if err != nil {
		return err
	}
	snap, ok := s.Wait(ctx, settleFor+o.Patience, o.Ready)
	if err := q.write(a.Out, q.rows(snap), a.Now()); err != nil {
		return err
	}
	if !ok {
		return &partial{errors.New("no reading came in time" + facts.Failures(snap))}
	}
	return nil
}

func (a *App) contextsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "contexts",
		Short: "List the clusters that can be named with --context",
		Args:  exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			all, current, err := a.Contexts()
			if err != nil {
				return err
			}
			for _, c := range all {
				mark := " "
				if c.Name == current {
					mark = "*"
				}
				fmt.Fprintf(a.Out, "%s %-16s nomad %s", mark, c.Name, c.Nomad.Address)
				if regions := c.Nomad.Regions; len(regions) > 0 || c.Nomad.Region != "" {
					fmt.Fprintf(a.Out, "  region %s", cmp.Or(c.Nomad.Region, strings.Join(regions, ",")))
				}
				if c.Vault.Address != "" {
					fmt.Fprintf(a.Out, "  vault %s", c.Vault.Address)
				}
				fmt.Fprintln(a.Out)
			}
			if len(all) == 0 {
				fmt.Fprintln(a.Err, "no context is defined: stoker lab up makes one called lab")
			}
			return nil
		},
	}
}
