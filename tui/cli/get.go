package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/gpu"
	"stoker/tui/ui"
)

type getOptions struct {
	format string
	watch  bool
	filter string
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
not answer, what is known is printed, a warning goes to stderr and the exit code is 5.`,
		Example: `  stoker get gpus -o json
  stoker get gpus --filter 'util_percent < 5 && held_by != nil'
  stoker get jobs -w`,
		ValidArgs: names,
		Args:      exactly(1, "what to get: "+strings.Join(names, ", ")),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.get(cmd.Context(), *conn, args[0], o)
		},
	}
	cmd.Flags().StringVarP(&o.format, "output", "o", "table", strings.Join(formats, ", "))
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "go on: print what changes, until interrupted")
	cmd.Flags().StringVar(&o.filter, "filter", "", "an expression over the JSON names, or plain words (!word excludes)")
	return cmd
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

func (a *App) get(ctx context.Context, conn ConnectOptions, name string, o getOptions) error {
	v, ok := facts.Find(name)
	if !ok {
		return usage("there is no %q to get", name).hint("one of " + viewNames())
	}
	if !slices.Contains(formats, o.format) {
		return usage("unknown output format %q", o.format).hint("one of " + strings.Join(formats, ", "))
	}
	f, err := facts.CompileFilter(o.filter, v)
	if err != nil {
		return err
	}
	conn.Several = true
	s, err := a.Connect(ctx, conn)
	if err != nil {
		return err
	}
	defer s.Close()
	v = v.Beside(s.Feed.Latest())
	settled := v.Settled
	_, noNomad := s.ready(ctx)
	if noNomad != nil {
		if !v.Anyway || ctx.Err() != nil {
			return noNomad
		}
		settled = answered
	}
	if o.watch {
		return a.watch(ctx, s, v, f, o.format)
	}
	snap, _ := s.Wait(ctx, settleFor, settled)
	if v.Name == "history" && s.Past != nil {
		snap = a.past(ctx, s, v, f, snap)
	}
	if err := write(a.Out, o.format, v.Columns, v.Select(snap, f), a.Now()); err != nil {
		return err
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
func (a *App) past(ctx context.Context, s *Session, v *facts.View, f *facts.Filter, snap *cluster.Snapshot) *cluster.Snapshot {
	ids := map[gpu.UUID]bool{}
	column := slices.IndexFunc(v.Columns, func(c facts.Column) bool { return c.Name == "uuid" })
	for _, row := range v.Select(snap, f) {
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
	View, Format, Filter string
	Ready                func(*cluster.Snapshot) bool // all is there that is to be printed
	Patience             time.Duration                // for it, beside the usual one
}

// Check says what is wrong with the options, before anything is read.
func (o *OnceOptions) Check() error {
	_, _, err := o.rows()
	return err
}

func (o *OnceOptions) rows() (*facts.View, *facts.Filter, error) {
	v, ok := facts.Find(o.View)
	if !ok {
		return nil, nil, usage("there is no %q to print", o.View)
	}
	if !slices.Contains(formats, o.Format) {
		return nil, nil, usage("unknown output format %q", o.Format).hint("one of " + strings.Join(formats, ", "))
	}
	f, err := facts.CompileFilter(o.Filter, v)
	return v, f, err
}

// Once prints the rows of a session that is this machine alone, once they came.
func (a *App) Once(ctx context.Context, s *Session, o OnceOptions) error {
	v, f, err := o.rows()
	if err != nil {
		return err
	}
	snap, ok := s.Wait(ctx, settleFor+o.Patience, o.Ready)
	if err := write(a.Out, o.Format, v.Columns, v.Select(snap, f), a.Now()); err != nil {
		return err
	}
	if !ok {
		return &partial{errors.New("no reading came in time" + facts.Failures(snap))}
	}
	return nil
}

// watchEvery bounds how often a watch prints: a person or a log reads it.
const watchEvery = time.Second

// watch prints all rows, then those that are new or changed: as lines for a
// person, as one array a line for a program.
func (a *App) watch(ctx context.Context, s *Session, v *facts.View, f *facts.Filter, format string) error {
	latest, _ := s.Wait(ctx, settleFor, v.Settled)
	ch, stop := s.Feed.Subscribe()
	defer stop()
	seen := map[string]bool{}
	head := true
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if latest != nil {
			rows := changed(v.Select(latest, f), seen, reading(v.Columns, format))
			latest = nil
			if len(rows) > 0 {
				if err := a.writeChanged(v, rows, format, head); err != nil {
					return err
				}
				head = false
			}
		}
		select {
		case <-ctx.Done():
			return nil // interrupting a watch is how it ends
		case <-tick.C:
		}
		select {
		case next, open := <-ch:
			if !open {
				return nil
			}
			latest = next
		default:
		}
	}
}

// changed returns the rows that read differently from last time, and remembers them.
func changed(rows []facts.Row, seen map[string]bool, read func(facts.Row) string) []facts.Row {
	var out []facts.Row
	now := map[string]bool{}
	for _, r := range rows {
		key := read(r)
		now[key] = true
		if !seen[key] {
			out = append(out, r)
		}
	}
	clear(seen)
	for k := range now {
		seen[k] = true
	}
	return out
}

// reading is how a row reads in a format: the text that is shown, with times as
// they are instead of ages, and without as_of, which is last.
func reading(columns []facts.Column, format string) func(facts.Row) string {
	if format != "table" && format != "wide" { // all is printed, as it is
		return func(r facts.Row) string { return fmt.Sprintln(r[:len(r)-1]...) }
	}
	index := shown(columns[:len(columns)-1], format == "wide")
	return func(r facts.Row) string {
		var b strings.Builder
		for _, i := range index {
			if at, ok := r[i].(time.Time); ok {
				fmt.Fprintln(&b, at)
			} else {
				fmt.Fprintln(&b, bound(columns, r, i)+ui.Value(columns[i].Name, r[i], time.Time{}))
			}
		}
		return b.String()
	}
}

func (a *App) writeChanged(v *facts.View, rows []facts.Row, format string, head bool) error {
	switch format {
	case "json":
		objects := make([]object, len(rows))
		for i, r := range rows {
			objects[i] = object{v.Columns, r}
		}
		raw, err := json.Marshal(objects)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(a.Out, string(raw))
		return err
	case "csv":
		return writeCSV(a.Out, v.Columns, rows, head)
	case "yaml":
		return writeYAML(a.Out, v.Columns, rows)
	}
	return writeTable(a.Out, v.Columns, rows, format == "wide", head, a.Now())
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
