package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"stoker/secrets"
	"stoker/tui/ui"
)

// Main runs the program with its arguments until it ends or is interrupted,
// says on standard error what went wrong, and returns the exit code.
func Main(version string, args []string) int {
	redactor := secrets.NewRedactor() // the only one: it learns every token that is read
	profiled, err := profile(os.Getenv(profileVar))
	if err != nil {
		return Report(os.Stderr, err, false, redactor.Clean)
	}
	ctx, stop := signal.NotifyContext(context.Background(), endings()...)
	root := program(system(), version, redactor).Root()
	root.SetArgs(args)
	err = root.ExecuteContext(ctx)
	interrupted := ctx.Err() != nil
	stop()
	if perr := profiled(); perr != nil {
		fmt.Fprintln(os.Stderr, "stoker: profile:", perr)
	}
	return Report(os.Stderr, err, interrupted, redactor.Clean)
}

// endings are the signals that end the program in order: also a terminal that
// goes away, unless who started it wants it to outlive that (nohup).
func endings() []os.Signal {
	out := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		out = append(out, syscall.SIGHUP)
	}
	return out
}

// Report prints an error with what to do about it, without secrets, and returns
// the exit code.
func Report(w io.Writer, err error, interrupted bool, redact func(string) string) int {
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
	fmt.Fprintln(w, "stoker:", safe(err.Error(), redact))
	var hinter interface{ Hint() string }
	if errors.As(err, &hinter) && hinter.Hint() != "" {
		fmt.Fprintln(w, "hint:", safe(hinter.Hint(), redact))
	}
	return ExitCode(err)
}

// safe makes an error's text fit for a terminal: what a server answered may
// hold control characters, and a token is never shown.
func safe(text string, redact func(string) string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = redact(ui.Clean(l))
	}
	return strings.Join(lines, "\n")
}
