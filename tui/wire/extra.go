package wire

import (
	"github.com/spf13/cobra"

	"stoker/cluster/contexts"
	"stoker/secrets"
	"stoker/tui/cli"
)

// extra are the commands that work on a machine, on keys or on scenarios.
func extra(sys contexts.System, app *cli.App, redactor *secrets.Redactor) []*cobra.Command {
	k := newSealKit(sys, app, redactor)
	return []*cobra.Command{
		labCommand(sys, app), demoCommand(sys, app), agentCommand(sys, app, redactor), exportCommand(app, redactor), topCommand(sys, app, redactor),
		runCommand(app), k.sealCommand(), k.openCommand(), k.verifyCommand(), k.rewrapCommand(), k.wipeCommand(),
	}
}
