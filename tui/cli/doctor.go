package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/tui/ui"
)

// finding is one line of the doctor's report.
type finding struct {
	state  string // ok, warn, fail; off is a source that is not asked
	what   string
	text   string
	advice string
}

func (a *App) doctorCommand(conn *ConnectOptions) *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Check what stoker needs of this machine and of the cluster",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context(), *conn) },
	}
}

func (a *App) doctor(ctx context.Context, conn ConnectOptions) error {
	all, _, err := a.Contexts()
	a.report(finding{"", "config", ui.Count(len(all), "context"), ""}, err)
	if err != nil {
		return err
	}
	s, err := a.Connect(ctx, conn)
	if err != nil {
		a.report(finding{what: "context"}, err)
		return err
	}
	defer s.Close()
	a.report(finding{what: "context", text: fmt.Sprintf("%s: nomad %s, vault %s", s.Context.Name, s.Context.Nomad.Address, orNone(s.Context.Vault.Address))}, nil)
	noNomad := s.Ping(ctx)
	if noNomad != nil { // Vault is looked at all the same
		a.report(finding{what: "nomad"}, noNomad)
		snap, _ := s.Wait(ctx, settleFor, answered)
		_ = a.sources(snap, func(name string) bool { return !strings.HasPrefix(name, "nomad") && !cluster.OfNomad(name) })
		return noNomad
	}
	snap, _ := s.Wait(ctx, settleFor+time.Second, func(s *cluster.Snapshot) bool {
		return answered(s) && s.Ready && s.Source("agents") != nil
	})
	return a.examine(snap)
}

// examine reports on the sources and on what the snapshot shows.
func (a *App) examine(s *cluster.Snapshot) error {
	bad := a.sources(s, func(string) bool { return true })
	for _, p := range s.Problems {
		if p.Source == "" {
			a.report(finding{state: "warn", what: p.Subject, text: p.Text}, nil)
		}
	}
	if err := facts.Refused(s); err != nil {
		return err
	}
	f := s.Fleet
	held := ui.None
	if f.Claims {
		held = ui.Int(f.Held)
	}
	a.report(finding{what: "fleet", text: fmt.Sprintf("%d of %s ready, %s, %s held, %d failed",
		f.NodesReady, ui.Count(f.Nodes, "node"), ui.Count(f.GPUs, "GPU"), held, f.Failed)}, nil)
	return bad
}

// sources reports on each source of facts that is asked for by name.
func (a *App) sources(s *cluster.Snapshot, of func(name string) bool) error {
	bad := 0
	for _, src := range s.Sources {
		if !of(src.Name) {
			continue
		}
		f := finding{what: "source " + src.Name, text: string(src.State)}
		switch src.State {
		case cluster.SourceLive:
		case cluster.SourceOff:
			f.state, f.text = "off", "not configured, or none there"
			if src.Name == "agents" {
				f.state, f.text = "warn", "off"
				f.advice = "no trusted agent is registered: stoker submit agent runs it on every node"
				if s.Known&cluster.SetServices == 0 {
					f.advice = "services may not be read, so whether agents are registered is not known: the token wants read-job"
				}
			}
		default:
			bad++
			a.report(f, errors.New(src.Err))
			continue
		}
		a.report(f, nil)
	}
	if bad > 0 {
		return &partial{fmt.Errorf("%s failed", ui.Count(bad, "check"))}
	}
	return nil
}

func (a *App) report(f finding, err error) {
	if f.state == "" {
		f.state = "ok"
	}
	if err != nil {
		f.state, f.text = "fail", err.Error()
		var h interface{ Hint() string }
		if errors.As(err, &h) {
			f.advice = h.Hint()
		}
	}
	fmt.Fprintf(a.Out, "%-5s %-22s %s\n", f.state, ui.Clean(f.what), a.safe(strings.TrimSpace(f.text)))
	if f.advice != "" {
		fmt.Fprintf(a.Out, "      %-22s hint: %s\n", "", a.safe(f.advice))
	}
}

// safe makes text fit to be printed.
func (a *App) safe(text string) string {
	text = ui.Clean(text)
	if a.Redact != nil {
		text = a.Redact(text)
	}
	return text
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
