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
	"stoker/cluster/explain"
	"stoker/tui/encode"
	"stoker/tui/ui"
)

type explainOptions struct {
	namespace string
	group     string
	format    string
}

func (a *App) explainCommand(conn *ConnectOptions) *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain JOB",
		Short: "Say why a job waits: a verdict for each node, and the smallest changes that would let it run",
		Long: `Say why a job waits, or that it does not wait.

For each node it says what keeps an allocation of the job away: who holds the
GPUs, which constraint, which port; equal verdicts are counted together, the
nearest to fitting first. The changes that it names were tried on the same
figures and do let the job run. Nomad's own counts are compared, and where they
differ it says so.`,
		Example: `  stoker explain finetune-7b
  stoker explain train/finetune-7b --group worker -o json`,
		Args: exactly(1, "a job"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(explainFormats(), o.format) {
				return usage("unknown output format %q", o.format).hint("one of " + strings.Join(explainFormats(), ", "))
			}
			name := args[0]
			if o.namespace != "" {
				name = o.namespace + "/" + strings.TrimPrefix(name, o.namespace+"/")
			}
			among := *conn
			among.Several = true
			return a.withJob(cmd.Context(), among, name, func(s *Session, _ *cluster.Snapshot, j *cluster.Job) error {
				return a.explain(cmd.Context(), s, j.ID, o)
			})
		},
	}
	cmd.Flags().StringVarP(&o.namespace, "namespace", "n", "", "the job's namespace")
	cmd.Flags().StringVar(&o.group, "group", "", "this task group only")
	cmd.Flags().StringVarP(&o.format, "output", "o", "table", strings.Join(explainFormats(), ", "))
	return cmd
}

func explainFormats() []string { return []string{"table", "json"} }

func (a *App) explain(ctx context.Context, s *Session, id cluster.JobID, o explainOptions) error {
	var e *explain.Explanation
	var err error
	// What a list of nodes does not tell is read after it.
	_, whole := s.Wait(ctx, settleFor, func(snap *cluster.Snapshot) bool {
		e, err = explain.Job(snap, id)
		return err != nil || !unread(e)
	})
	if err != nil {
		return err
	}
	if o.group != "" {
		j := s.Feed.Latest().Job(id)
		if j == nil || !slices.ContainsFunc(j.Groups, func(g cluster.Group) bool { return g.Name == o.group }) {
			return usage("job %s has no task group %q", id, o.group)
		}
		e.Groups = slices.DeleteFunc(e.Groups, func(g explain.Group) bool { return g.Name != o.group })
	}
	if o.format == "json" {
		err = a.explainJSON(e)
	} else {
		err = a.explainTable(e)
	}
	if err == nil && !whole {
		return &partial{errors.New("the answer is incomplete: not all that the job asks of its nodes could be read")}
	}
	return err
}

func unread(e *explain.Explanation) bool {
	for i := range e.Groups {
		for k := range e.Groups[i].Nodes {
			if e.Groups[i].Nodes[k].First() == explain.Unread {
				return true
			}
		}
	}
	return false
}

func (a *App) explainTable(e *explain.Explanation) error {
	var b strings.Builder
	in := ""
	if e.Job.Of != (cluster.Place{}) {
		in = " in " + e.Place.Cluster
	}
	fmt.Fprintf(&b, "%s%s  %s\n", e.Job, in, e.Summary)
	for _, n := range e.Notes {
		fmt.Fprintf(&b, "  %s\n", n)
	}
	for i := range e.Groups {
		g := &e.Groups[i]
		fmt.Fprintf(&b, "\n%s.%s  wants %s\n", e.Job.Name, g.Name, g.Asks)
		if len(g.Nodes) > 0 {
			fmt.Fprintf(&b, "%d of %s can take one.\n\n", g.Fitting, ui.Count(len(g.Nodes), "node"))
		}
		var table strings.Builder
		if err := printTable(&table, []string{"NODES", "", "VERDICT"}, []bool{true}, verdictLines(e, g)); err != nil {
			return err
		}
		if len(g.Verdicts) > 0 {
			b.WriteString(table.String())
		}
		if len(g.Changes) > 0 {
			b.WriteString("\nIt would run, if you\n")
		}
		for k := range g.Changes {
			fmt.Fprintf(&b, "  %d. %s\n", k+1, changeText(g, &g.Changes[k]))
		}
		fmt.Fprintf(&b, "\n%s\n", g.Check.Text)
		for _, d := range g.Check.Differ {
			fmt.Fprintf(&b, "  %s\n", d)
		}
		if len(g.Unchecked) > 0 {
			fmt.Fprintf(&b, "Not checked: %s.\n", strings.Join(g.Unchecked, ", "))
		}
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(a.Out, strings.TrimRight(ui.Clean(strings.TrimSuffix(line, "\n")), " ")); err != nil {
			return err
		}
	}
	return nil
}

// mostHolders bounds of how many jobs a line says what they hold.
const mostHolders = 3

func verdictLines(e *explain.Explanation, g *explain.Group) [][]string {
	var out [][]string
	for i := range g.Verdicts {
		v := &g.Verdicts[i]
		text := v.Text
		if by := g.By(v, e.AsOf, mostHolders); by != "" {
			text += "; " + by
		}
		out = append(out, []string{ui.Int(len(v.Nodes)), g.Names(v, 2), text})
	}
	return out
}

// changeText says of how many allocations it is true, where it is not of all.
func changeText(g *explain.Group, c *explain.Change) string {
	if c.Room < g.Missing {
		return fmt.Sprintf("%s (for %d of the %d)", c.Text, c.Room, g.Missing)
	}
	return c.Text
}

// The JSON of explain: one object for each task group that waits; of a job that
// does not wait, one without a group.
type explainJSON struct {
	Job       string       `json:"job"`
	Waits     bool         `json:"waits"`
	Since     *time.Time   `json:"since"`
	Summary   string       `json:"summary"`
	Notes     []string     `json:"notes"`
	Group     *string      `json:"group"`
	Asks      *string      `json:"asks"`
	Missing   *int         `json:"missing"`
	Fitting   *int         `json:"nodes_fitting"`
	Nodes     []nodeWhy    `json:"nodes"`
	Changes   []changeJSON `json:"changes"`
	Nomad     *nomadJSON   `json:"nomad"`
	Unchecked []string     `json:"unchecked"`
	Cluster   string       `json:"cluster"`
	Source    string       `json:"source"`
	AsOf      time.Time    `json:"as_of"`
}

type nodeWhy struct {
	Node    string       `json:"node"`
	ID      string       `json:"id"`
	Verdict string       `json:"verdict"`
	Kind    explain.Kind `json:"kind"`
	Reasons []reasonJSON `json:"reasons"`
}

type reasonJSON struct {
	Kind    explain.Kind `json:"kind"`
	Text    string       `json:"text"`
	About   string       `json:"about"`
	Want    *int         `json:"want"`
	Free    *int         `json:"free"`
	Total   *int         `json:"total"`
	Failed  *int         `json:"failed"`
	Holders []holderJSON `json:"holders"`
}

type holderJSON struct {
	Job    string            `json:"job"`
	Allocs []cluster.AllocID `json:"allocs"`
	Amount int               `json:"amount"`
	Batch  bool              `json:"batch"`
	Since  *time.Time        `json:"since"`
}

type changeJSON struct {
	Text string   `json:"text"`
	Do   []string `json:"do"`
	Node string   `json:"node"`
	Lets int      `json:"lets_run"`
}

type nomadJSON struct {
	Agrees     *bool      `json:"agrees"`
	Text       string     `json:"text"`
	Differ     []string   `json:"differ"`
	Evaluation *string    `json:"evaluation"`
	At         *time.Time `json:"at"`
}

func (a *App) explainJSON(e *explain.Explanation) error {
	base := explainJSON{
		Job: e.Job.String(), Waits: e.Waits, Since: instant(e.Since), Summary: e.Summary, Notes: list(e.Notes), Nodes: []nodeWhy{}, Changes: []changeJSON{},
		Unchecked: []string{}, Cluster: e.Cluster, Source: "nomad", AsOf: e.AsOf.UTC(),
	}
	out := []explainJSON{}
	for i := range e.Groups {
		out = append(out, groupJSON(base, &e.Groups[i]))
	}
	if len(out) == 0 {
		out = append(out, base)
	}
	raw, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Out, "%s\n", encode.Harmless(raw))
	return err
}

func groupJSON(row explainJSON, g *explain.Group) explainJSON {
	row.Group, row.Asks, row.Missing, row.Unchecked = &g.Name, &g.Asks, &g.Missing, list(g.Unchecked)
	if g.Nodes != nil {
		row.Fitting = &g.Fitting
	}
	verdict := make([]string, len(g.Nodes))
	for i := range g.Verdicts {
		for _, n := range g.Verdicts[i].Nodes {
			verdict[n] = g.Verdicts[i].Text
		}
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		why := nodeWhy{Node: n.Name, ID: string(n.ID), Verdict: verdict[i], Kind: n.First(), Reasons: []reasonJSON{}}
		for k := range n.Reasons {
			why.Reasons = append(why.Reasons, reasonOf(&n.Reasons[k]))
		}
		row.Nodes = append(row.Nodes, why)
	}
	for i := range g.Changes {
		c := &g.Changes[i]
		change := changeJSON{Text: c.Text, Node: c.Node, Lets: c.Room}
		for _, s := range c.Steps {
			change.Do = append(change.Do, string(s.Do))
		}
		row.Changes = append(row.Changes, change)
	}
	row.Nomad = &nomadJSON{Text: g.Check.Text, Differ: list(g.Check.Differ), At: instant(g.Check.At)}
	if g.Check.Known {
		row.Nomad.Agrees = &g.Check.Agrees
	}
	if id := string(g.Check.Eval); id != "" {
		row.Nomad.Evaluation = &id
	}
	return row
}

// reasonOf leaves out figures that do not belong to the kind.
func reasonOf(r *explain.Reason) reasonJSON {
	out := reasonJSON{Kind: r.Kind, Text: r.Text(), About: r.What, Holders: []holderJSON{}}
	switch r.Kind {
	case explain.GPUs, explain.CPU, explain.Memory, explain.Disk, explain.Devices:
		out.Want, out.Free, out.Total = &r.Want, &r.Free, &r.Total
	}
	if r.Kind == explain.GPUs || r.Kind == explain.Devices {
		out.Failed = &r.Failed
	}
	for _, h := range r.Holders {
		out.Holders = append(out.Holders, holderJSON{h.Job.String(), h.Allocs, h.Amount, h.Batch, instant(h.Since)})
	}
	return out
}

func list(in []string) []string {
	if in == nil {
		return []string{}
	}
	return in
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
