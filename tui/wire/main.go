package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Main runs the program with its arguments until it ends or is interrupted,
// says on standard error what went wrong, and returns the exit code.
func Main(version string, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := Run(ctx, version, args)
	interrupted := ctx.Err() != nil
	stop()
	return Report(os.Stderr, err, interrupted)
}

// Report prints an error with what to do about it and returns the exit code.
func Report(w io.Writer, err error, interrupted bool) int {
	if err == nil {
		return ExitDone
	}
	if interrupted && errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "stoker: interrupted")
		return ExitInterrupted
	}
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) && err.Error() == "" {
		return exit.ExitCode() // a wrapped command said it all
	}
	fmt.Fprintln(w, "stoker:", err)
	var hinter interface{ Hint() string }
	if errors.As(err, &hinter) && hinter.Hint() != "" {
		fmt.Fprintln(w, "hint:", hinter.Hint())
	}
	return ExitCode(err)
}
