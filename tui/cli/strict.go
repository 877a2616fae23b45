package cli

import (
	"github.com/spf13/cobra"
)

// strict makes every mistake in what was typed a usage error, for all commands
// below cmd: cobra answers some with an error of no kind, and an unknown
// subcommand with the help text and success, which a script would take as done.
func strict(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
	if cmd.HasSubCommands() && !cmd.Runnable() {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return usage("unknown command %q for %q", args[0], cmd.CommandPath()).hint(cmd.CommandPath() + " --help")
		}
		cmd.Args = cobra.ArbitraryArgs
		return
	}
	check := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		var err error
		if check != nil {
			err = check(cmd, args)
		}
		if err == nil {
			err = cmd.ValidateRequiredFlags()
		}
		if err != nil && !IsUsage(err) {
			return usage("%v", err).hint(cmd.CommandPath() + " --help")
		}
		return err
	}
}
