package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes; a training stopped by a signal ends with 128 + its number.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// command is one subcommand in the environment that it runs in.
type command struct {
	getenv func(string) string
	stdout io.Writer
	stderr io.Writer
}

// errUsage marks an error as the caller's: wrong flags.
var errUsage = errors.New("usage")

// errStopped is the cause of a context that a signal ended.
type errStopped struct{ signal syscall.Signal }

func (e errStopped) Error() string { return "stopped by " + e.signal.String() }

func main() {
	ctx, stop := signals()
	code := run(ctx, os.Args[1:], command{getenv: os.Getenv, stdout: os.Stdout, stderr: os.Stderr})
	stop()
	os.Exit(code)
}

// signals ends the context at SIGINT or SIGTERM, naming the signal; a second
// one ends the process at once.
func signals() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		if s, ok := (<-caught).(syscall.Signal); ok {
			signal.Reset(syscall.SIGINT, syscall.SIGTERM)
			cancel(errStopped{s})
		}
	}()
	return ctx, func() { cancel(nil) }
}

const usage = `usage: workload train|serve|drive|images [flags]
       workload COMMAND -h lists the flags of a command
`

func run(ctx context.Context, args []string, c command) int {
	if len(args) == 0 {
		fmt.Fprint(c.stderr, usage)
		return exitUsage
	}
	var err error
	switch name, rest := args[0], args[1:]; name {
	case "train":
		err = c.train(ctx, rest)
	case "serve":
		err = c.serve(ctx, rest)
	case "drive":
		err = c.drive(ctx, rest)
	case "images":
		err = c.images(rest)
	case "help", "-h", "-help", "--help":
		fmt.Fprint(c.stdout, usage)
	default:
		err = fmt.Errorf("%w: no command %q\n%s", errUsage, name, usage)
	}
	return c.exit(err)
}

func (c command) exit(err error) int {
	var stopped errStopped
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return exitDone
	case errors.As(err, &stopped):
		fmt.Fprintf(c.stderr, "workload: %v\n", err)
		return 128 + int(stopped.signal)
	case errors.Is(err, errUsage):
		fmt.Fprintf(c.stderr, "workload: %v\n", err)
		return exitUsage
	default:
		fmt.Fprintf(c.stderr, "workload: %v\n", err)
		return exitFailed
	}
}

// parse reads the flags; none may be left over. Help goes to stdout; an error
// is told once, by exit.
func (c command) parse(f *flag.FlagSet, args []string) error {
	f.SetOutput(io.Discard)
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		f.SetOutput(c.stdout)
		fmt.Fprintf(c.stdout, "usage: workload %s [flags]\n", f.Name())
		f.PrintDefaults()
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w (workload %s -h lists the flags)", errUsage, err, f.Name())
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%w: unexpected argument %q", errUsage, f.Arg(0))
	}
	return nil
}

// env reads a variable that stands in for a flag.
func (c command) env(name, otherwise string) string {
	if v := c.getenv(name); v != "" {
		return v
	}
	return otherwise
}
