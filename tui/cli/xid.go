package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/gpu"
	"stoker/tui/ui"
)

func (a *App) xidCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "xid [NUMBER...]", Short: "What an Xid of NVIDIA's driver means and what to do; needs no cluster",
		Long: `What an Xid, an error number of NVIDIA's driver, means, whose fault it usually is,
and what to do. Without a number it lists the catalogue. It needs no cluster.

The facts are from NVIDIA's public Xid catalogue:
https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html`,
		Example: `  stoker xid 79
  stoker xid -o json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error { return a.xid(args, format) },
	}
	cmd.Flags().StringVarP(&format, "output", "o", "table", strings.Join(formats, ", "))
	return cmd
}

func (a *App) xid(args []string, format string) error {
	if !slices.Contains(formats, format) {
		return usage("unknown output format %q", format).hint("one of " + strings.Join(formats, ", "))
	}
	xids := gpu.Xids()
	if len(args) > 0 {
		xids = nil
	}
	for _, arg := range args {
		n, err := strconv.ParseUint(arg, 10, 64)
		if err != nil {
			return usage("%q is not the number of an Xid", arg).hint("stoker xid lists them")
		}
		x, ok := gpu.LookupXid(n)
		if !ok {
			return &cluster.Fault{Kind: cluster.ErrNotFound, Text: fmt.Sprintf("Xid %d is %s", n, x.Name), Advice: x.Advice}
		}
		xids = append(xids, x)
	}
	if len(args) == 1 && format == "table" {
		return a.oneXid(xids[0])
	}
	var rows []facts.Row
	for _, x := range xids {
		rows = append(rows, facts.Row{
			x.Number, x.Name, filled(string(x.Fault)), string(x.Action), string(x.Verdict), x.UntilReset,
			x.Advice, x.Meaning, filled(x.Immediate), filled(x.Later),
		})
	}
	return write(a.Out, format, xidColumns(), rows, a.Now())
}

// xidColumns is documented in docs/line-mode.md: names stay, columns may be added.
func xidColumns() []facts.Column {
	return []facts.Column{
		{Name: "xid", Title: "XID"},
		{Name: "name", Title: "NAME"},
		{Name: "fault", Title: "FAULT"},
		{Name: "action", Title: "ACTION"},
		{Name: "verdict", Title: "VERDICT"},
		{Name: "until_reset", Title: "UNTIL RESET", Wide: true},
		{Name: "advice", Title: "ADVICE", Wide: true},
		{Name: "meaning"},
		{Name: "nvidia_immediate"},
		{Name: "nvidia_later"},
	}
}

// filled is a text that is unknown when empty.
func filled(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// oneXid prints an entry for a person who has just met it.
func (a *App) oneXid(x gpu.Xid) error {
	verdict := string(x.Verdict)
	if x.UntilReset {
		verdict += " until the GPU was reset"
	}
	lines := [][2]string{
		{"means", x.Meaning},
		{"fault", cmp.Or(string(x.Fault), ui.None)},
		{"action", string(x.Action)},
		{"do now", x.Advice},
		{"verdict", verdict},
		{"NVIDIA", strings.Join(slices.DeleteFunc([]string{x.Immediate, x.Later}, func(s string) bool { return s == "" }), ", then ")},
	}
	if _, err := fmt.Fprintln(a.Out, x); err != nil {
		return err
	}
	for _, l := range lines {
		if l[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(a.Out, "  %-8s %s\n", l[0], l[1]); err != nil {
			return err
		}
	}
	return nil
}
