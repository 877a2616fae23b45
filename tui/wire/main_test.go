package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/jobs/action"
	"stoker/scenarios"
	"stoker/secrets"
	"stoker/secrets/vault"
	"stoker/tui/cli"
)

func TestReport(t *testing.T) {
	unreachable := &cluster.Fault{Kind: cluster.ErrUnreachable, Text: "cannot reach nomad", Advice: "set NOMAD_ADDR"}
	readOnly := &cluster.Fault{Kind: cluster.ErrDenied, Text: "stop: read-only", Err: action.ErrReadOnly}
	for _, tt := range []struct {
		name        string
		err         error
		interrupted bool
		code        int
		says        string
	}{
		{"done", nil, false, 0, ""},
		{"failed", errors.New("it broke"), false, 1, "stoker: it broke\n"},
		{"usage", cli.Usage("no such thing"), false, 2, "stoker: no such thing\n"},
		{"unknown context", fmt.Errorf("%w: x", contexts.ErrUnknown), false, 2, "stoker: no such context: x\n"},
		{"unreachable", fmt.Errorf("list: %w", unreachable), false, 3, "stoker: list: cannot reach nomad\nhint: set NOMAD_ADDR\n"},
		{"vault sealed", fmt.Errorf("open: %w", vault.ErrSealed), false, 3, "stoker: open: " + vault.ErrSealed.Error() + "\n"},
		{"vault unreachable", vault.ErrUnreachable, false, 3, "stoker: " + vault.ErrUnreachable.Error() + "\n"},
		{"vault denied", vault.ErrDenied, false, 4, "stoker: " + vault.ErrDenied.Error() + "\n"},
		{"read-only", readOnly, false, 4, "stoker: stop: read-only\n"},
		{"not found", &cluster.Fault{Kind: cluster.ErrNotFound, Text: "gone"}, false, 1, "stoker: gone\n"},
		{"partly", cli.Partial(errors.New("some")), false, 5, "stoker: some\n"},
		{"inconclusive", fmt.Errorf("x: %w", scenarios.ErrInconclusive), false, 5, "stoker: x: inconclusive\n"},
		{"left over", fmt.Errorf("x: %w", scenarios.ErrLeft), false, 5, "stoker: x: " + scenarios.ErrLeft.Error() + "\n"},
		{"failed and left over", errors.Join(scenarios.ErrLeft, scenarios.ErrFailed), false, 1, "stoker: " + scenarios.ErrLeft.Error() + "\nfailed\n"},
		{"failed since denied", errors.Join(scenarios.ErrFailed, readOnly), false, 4, "stoker: failed\nstop: read-only\n"},
		{"interrupted", fmt.Errorf("get: %w", context.Canceled), true, 130, "stoker: interrupted\n"},
		{"cancelled, but by nobody", context.Canceled, false, 1, "stoker: context canceled\n"},
		{"interrupted, but for another reason", errors.New("it broke"), true, 1, "stoker: it broke\n"},
		{"the wrapped command's own", &childError{code: 7}, false, 7, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if code := Report(&b, tt.err, tt.interrupted, secrets.NewRedactor().Clean); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if diff := cmp.Diff(tt.says, b.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestReportIsRedacted: the last line a program says shows no token either.
func TestReportIsRedacted(t *testing.T) {
	redactor := secrets.NewRedactor(secrets.New("correct-horse"))
	var b bytes.Buffer
	Report(&b, &cluster.Fault{Text: "no correct-\x07horse", Advice: "not hvs.CAESIJ_x-9aBcDeF either"}, false, redactor.Clean)
	if got := b.String(); got != "stoker: no [redacted]\nhint: not [redacted] either\n" {
		t.Errorf("got %q", got)
	}
}

// TestAgentLog: the log of an agent does not tell its token, also not one that
// was put in the place of another.
func TestAgentLog(t *testing.T) {
	var b bytes.Buffer
	app, redactor := lonely(t, &b), secrets.NewRedactor()
	path := filepath.Join(t.TempDir(), "token")
	cfg, err := agentConfig(t.Context(), app, redactor, agentOptions{tokenFile: path})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.String(); !strings.Contains(got, "no client is let in") || !strings.Contains(got, path) {
		t.Errorf("without a token the log says:\n%s", got)
	}
	for _, token := range []string{"correct-horse", "battery-staple"} {
		if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := cfg.Token(); got != token {
			t.Errorf("clients must send %q, want %q", got, token)
		}
		cfg.Log.Warn("refused "+token, "err", errors.New("bad "+token))
	}
	if got := b.String(); strings.Contains(got, "horse") || strings.Contains(got, "staple") || strings.Count(got, "[redacted]") != 4 {
		t.Errorf("the log:\n%s", got)
	}
}

// TestScreensAreRedacted: the messages of the screen show no token either.
func TestScreensAreRedacted(t *testing.T) {
	redactor := secrets.NewRedactor(secrets.New("correct-horse"))
	cfg := screenConfig(&cli.Session{Actions: &action.Runner{}}, cli.ScreenOptions{}, newRecorder(), redactor.Clean)
	if cfg.Redact == nil || cfg.Redact("no correct-horse") != "no [redacted]" {
		t.Error("the screens are not given the redactor")
	}
}

// lonely is the program on a machine without any configuration, which must not connect.
func lonely(t *testing.T, out io.Writer) *cli.App {
	t.Helper()
	app := program(contexts.System{Getenv: func(string) string { return "" }, Home: t.TempDir()}, "v0.0.0-test", secrets.NewRedactor())
	app.Out, app.Err, app.In, app.Terminal = out, out, strings.NewReader(""), false
	app.Connect = func(context.Context, cli.ConnectOptions) (*cli.Session, error) {
		t.Error("it connects")
		return nil, errors.New("not now")
	}
	return app
}

// commandsBelow is every command but those that cobra brings along.
func commandsBelow(cmd *cobra.Command) []*cobra.Command {
	out := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		if sub.Name() != "help" && sub.Name() != "completion" {
			out = append(out, commandsBelow(sub)...)
		}
	}
	return out
}

// TestHelp: the help of every command comes without a cluster, says what the
// command is for, and has a line for each flag.
func TestHelp(t *testing.T) {
	for _, cmd := range commandsBelow(lonely(t, io.Discard).Root()) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			var b bytes.Buffer
			root := lonely(t, &b).Root()
			root.SetArgs(append(strings.Fields(cmd.CommandPath())[1:], "--help"))
			if err := root.ExecuteContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
				t.Errorf("short help %q: a phrase without a full stop", cmd.Short)
			}
			if !strings.Contains(b.String(), "Usage:\n  "+cmd.CommandPath()) {
				t.Errorf("the help names no usage:\n%s", b.String())
			}
			if strings.Contains(b.String(), "\x1b") {
				t.Errorf("the help has escape sequences:\n%q", b.String())
			}
		})
	}
}
