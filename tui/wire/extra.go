package wire

import (
	"github.com/spf13/cobra"

	"stoker/cluster/contexts"
	"stoker/tui/cli"
)

// extra are the commands that work on a machine, on keys or on scenarios.
func extra(sys contexts.System, app *cli.App) []*cobra.Command {
	k := newSealKit(sys, app)
	return []*cobra.Command{
		labCommand(sys, app), demoCommand(sys, app), agentCommand(sys, app), topCommand(sys, app),
		runCommand(app), k.sealCommand(), k.openCommand(), k.verifyCommand(), k.rewrapCommand(), k.wipeCommand(),
	}
}
