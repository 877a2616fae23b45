// Command stoker runs AI models on bare-metal GPU machines under Nomad: live
// GPU and model metrics, jobs and keys, on a screen and as a command line.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"stoker/tui/wire"
)

// version is set when a release is built.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := wire.Run(ctx, version, os.Args[1:])
	interrupted := ctx.Err() != nil
	stop()
	os.Exit(report(err, interrupted))
}

// report prints an error with what to do about it and returns the exit code.
func report(err error, interrupted bool) int {
	if err == nil {
		return wire.ExitDone
	}
	if interrupted && errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "stoker: interrupted")
		return wire.ExitInterrupted
	}
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) && err.Error() == "" {
		return exit.ExitCode() // a wrapped command said it all
	}
	fmt.Fprintln(os.Stderr, "stoker:", err)
	var hinter interface{ Hint() string }
	if errors.As(err, &hinter) && hinter.Hint() != "" {
		fmt.Fprintln(os.Stderr, "hint:", hinter.Hint())
	}
	return wire.ExitCode(err)
}
