package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/cluster/facts"
	"stoker/gpu"
	"stoker/jobs/action"
	"stoker/jobs/pack"
	"stoker/tui/ui"
)

// Feed brings snapshots; *cluster.Feed does, and of several clusters *cluster.Union.
type Feed interface {
	Latest() *cluster.Snapshot
	Subscribe() (snapshots <-chan *cluster.Snapshot, stop func())
}

// Runner plans and does changes; *action.Runner does, and for several clusters
// *action.Router.
type Runner interface {
	Allowed(id action.ID) error
	Plan(ctx context.Context, req action.Request, s *cluster.Snapshot) (action.Plan, error)
	Do(ctx context.Context, p action.Plan) (action.Result, error)
}

// Session is one cluster in use, or several: its feed is running until Close.
type Session struct {
	Context contexts.Context // read-only where it is so by a flag, too
	Feed    Feed
	Actions Runner
	// Members are the sessions of which a session of several clusters is made;
	// nil for one. What one cluster only can have is nil of several.
	Members func() []*Session
	Packs   *pack.Library
	Local   bool // this machine alone: no scheduler behind it
	Logs    func(ctx context.Context, req cluster.LogRequest, emit func(cluster.LogLine)) error
	// Raw reads one thing as Nomad tells it: JSON, with secrets masked; nil where there is no Nomad.
	Raw func(ctx context.Context, ref cluster.Ref) (string, error)
	// Rotate makes a new version of a Transit key, with its audit line; nil without a Vault.
	Rotate func(ctx context.Context, key string) error
	// Kill ends a process of this machine, which is on some devices; force does
	// not ask it. nil where the processes are another machine's.
	Kill func(ctx context.Context, p gpu.Process, on []gpu.UUID, force bool) error
	// Past loads what a GPU did before this program watched it; nil where nobody knows.
	Past func(ctx context.Context, id gpu.UUID) error
	// Look says that somebody opened a GPU, so that its details are read; nil
	// where they are anyway.
	Look  func(id gpu.UUID)
	Ping  func(ctx context.Context) error // whether Nomad answers, as an error with a kind
	Close func()
}

// OneOnly refuses several clusters to a command that is about one.
func OneOnly(list []contexts.Context) error {
	var names []string
	for _, c := range list {
		names = append(names, c.Name)
	}
	return usage("this wants one cluster, and %s are %s", strings.Join(names, ", "), ui.Count(len(list), "cluster")).hint("name one with --context; stoker get, explain, export and the screen show several")
}

// Wait returns the first snapshot for which done holds, or the latest when
// patience ends; ok says which.
func (s *Session) Wait(ctx context.Context, patience time.Duration, done func(*cluster.Snapshot) bool) (snap *cluster.Snapshot, ok bool) {
	ch, stop := s.Feed.Subscribe()
	defer stop()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	snap = s.Feed.Latest()
	for !done(snap) {
		select {
		case next, open := <-ch:
			if !open {
				return snap, false
			}
			snap = next
		case <-timer.C:
			return snap, false
		case <-ctx.Done():
			return snap, false
		}
	}
	return snap, true
}

// readyFor is how long line mode waits for the lists of Nomad, and settleFor
// how long after that for slower sources.
const (
	readyFor  = 20 * time.Second
	settleFor = 4 * time.Second
)

// patience is how long slower sources are waited for: a large fleet has thousands.
func patience(s *cluster.Snapshot) time.Duration {
	return settleFor + time.Duration(len(s.Nodes))*4*time.Millisecond
}

// ready connects and waits for the first complete lists.
func (a *App) ready(ctx context.Context, o ConnectOptions) (*Session, *cluster.Snapshot, error) {
	s, err := a.Connect(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	snap, err := s.ready(ctx)
	if err != nil {
		s.Close()
		return nil, nil, err
	}
	return s, snap, nil
}

// ready waits for the first complete lists of Nomad.
func (s *Session) ready(ctx context.Context) (*cluster.Snapshot, error) {
	if s.Members != nil {
		return s.someReady(ctx)
	}
	if err := s.Ping(ctx); err != nil {
		return nil, err
	}
	snap, ok := s.Wait(ctx, readyFor, func(s *cluster.Snapshot) bool { return s.Ready })
	if !ok {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &cluster.Fault{Kind: cluster.ErrUnreachable, Text: "nomad answers, but its lists could not be read" + facts.Failures(snap)}
	}
	return snap, facts.Refused(snap)
}

// someReady waits for the lists of each of several clusters. One that fails, or
// takes much longer than the first, is left out: what is read later says so. The
// error is that of all, where none could be read.
func (s *Session) someReady(ctx context.Context) (*cluster.Snapshot, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	members := s.Members()
	answers := make(chan error, len(members))
	for _, m := range members {
		go func() {
			_, err := m.ready(ctx)
			if err != nil {
				err = fmt.Errorf("%s: %w", m.Context.Name, err)
			}
			answers <- err
		}()
	}
	var errs []error
	var patience <-chan time.Time
	ready := 0
	for late := false; !late && ready+len(errs) < len(members); {
		select {
		case err := <-answers:
			if err != nil {
				errs = append(errs, err)
				continue
			}
			if ready++; patience == nil {
				patience = time.After(settleFor)
			}
		case <-patience:
			late = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if ready == 0 {
		return nil, errors.Join(errs...)
	}
	known := ready + len(errs)
	snap, _ := s.Wait(ctx, settleFor, func(s *cluster.Snapshot) bool { // it has a moment later what they have
		n := 0
		for _, m := range s.Members {
			if src := m.Source("nomad"); m.Ready || src != nil && (src.State == cluster.SourceRetrying || src.State == cluster.SourceDenied) {
				n++
			}
		}
		return n >= known
	})
	return snap, nil
}
