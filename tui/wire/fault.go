package wire

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"stoker/cluster"
	"stoker/cluster/lab"
	"stoker/tui/cli"
)

func (k *labKit) faultCommand() *cobra.Command {
	var f lab.Fault
	cmd := &cobra.Command{
		Use:   "fault TARGET KIND",
		Short: "Let a GPU, a node, Vault or a server of the lab fail; list and clear what fails",
		Long: `Let the lab suffer what real clusters do. A fault lasts until it is cleared; GPU
faults outlast "stoker lab up". Targets are gpu-a/3 (a GPU), gpu-a (its node), vault,
server-1, and leader for the server that leads.

` + faultKinds(),
		Example: `  stoker lab fault gpu-a/3 xid 79
  stoker lab fault gpu-b kill
  stoker lab fault vault seal
  stoker lab fault list
  stoker lab fault clear gpu-a/3`,
		Args: func(_ *cobra.Command, args []string) (err error) {
			f, err = lab.ParseFault(args...)
			return err
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := k.allowed(cmd, "lab fault"); err != nil {
				return err
			}
			l, err := k.open()
			if err != nil {
				return err
			}
			done, err := l.Inject(cmd.Context(), f)
			if err != nil {
				return k.faultError(err)
			}
			fmt.Fprintf(k.app.Out, "%s: %s\n", done, done.Text)
			return nil
		},
	}
	cmd.AddCommand(k.faultListCommand(), k.faultClearCommand())
	return cmd
}

// faultKinds is the table of kinds in the help.
func faultKinds() string {
	var b strings.Builder
	for _, k := range lab.FaultKinds() {
		name := k.Name
		if name == "xid" {
			name += " N"
		}
		fmt.Fprintf(&b, "  %-8s  %-13s  %s\n", k.On, name, k.Text)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// faultError gives what the lab says of a fault the exit code that it deserves.
func (k *labKit) faultError(err error) error {
	var typed *lab.FaultError
	switch {
	case errors.As(err, &typed):
		return cli.Usage("%s", typed.Text)
	case errors.Is(err, lab.ErrNotRunning):
		return &cluster.Fault{
			Kind: cluster.ErrUnreachable, Err: err, Text: fmt.Sprintf("lab %s does not run", k.name),
			Advice: k.command("up") + " starts it again",
		}
	}
	return err
}

func (k *labKit) faultListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List what is wrong with the lab", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := k.open()
			if err != nil {
				return err
			}
			faults, err := l.Faults(cmd.Context())
			if err != nil {
				return k.faultError(err)
			}
			if len(faults) == 0 {
				fmt.Fprintf(k.app.Out, "nothing is wrong with lab %s\n", k.name)
				return nil
			}
			var lines [][]string
			for _, f := range faults {
				lines = append(lines, []string{f.Target, f.What(), f.Text})
			}
			return cli.Table(k.app.Out, []string{"TARGET", "FAULT", "WHAT IT MEANS"}, lines)
		},
	}
}

func (k *labKit) faultClearCommand() *cobra.Command {
	return &cobra.Command{
		Use: "clear [TARGET]", Short: "Put right what is wrong with a target, or with the whole lab",
		Long: `Put right what "stoker lab fault list" lists: GPUs are reset, agents go on, nodes and
servers start, Vault is unsealed. A node is cleared with its GPUs. Verdicts of GPUs
improve after 30 seconds of quiet.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := k.allowed(cmd, "lab fault clear"); err != nil {
				return err
			}
			l, err := k.open()
			if err != nil {
				return err
			}
			target := strings.Join(args, "")
			cleared, err := l.Clear(cmd.Context(), target)
			for _, f := range cleared {
				fmt.Fprintf(k.app.Out, "cleared %s\n", f)
			}
			if err != nil {
				return k.faultError(err)
			}
			if len(cleared) == 0 {
				if target == "" {
					target = "lab " + k.name
				}
				fmt.Fprintf(k.app.Out, "nothing is wrong with %s\n", target)
			}
			return nil
		},
	}
}
