package wire

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/secrets"
	"stoker/tui"
	"stoker/tui/cli"
)

// sites lets the screens go over to other clusters: it opens the sessions, and
// closes what is open at the end.
type sites struct {
	sys      contexts.System
	redactor *secrets.Redactor
	readOnly bool
	screens  func(*cli.Session) tui.Config

	mu     sync.Mutex
	opened []*cli.Session
}

// askFor bounds how long a cluster has to say that it is there.
const askFor = 3 * time.Second

// List are the named contexts.
func (w *sites) List() ([]tui.Site, error) {
	all, _, err := contexts.All(w.sys)
	var out []tui.Site
	for _, c := range all {
		out = append(out, tui.Site{
			Name: c.Name, Address: cmp.Or(c.Nomad.Address, w.sys.Getenv("NOMAD_ADDR"), contexts.DefaultNomad),
			Production: c.Production, ReadOnly: c.ReadOnly || w.readOnly,
		})
	}
	return out, err
}

// Ask asks the Nomad of a context for its leader.
func (w *sites) Ask(ctx context.Context, name string) error {
	c, err := contexts.Resolve(w.sys, name)
	if err != nil {
		return err
	}
	nc, err := OpenNomad(cluster.Place{Cluster: name}, c, w.redactor)
	if err != nil {
		return err
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	err = nc.Ping(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return errors.New("no answer from " + c.Nomad.Address)
	}
	return errors.New(strings.TrimPrefix(err.Error(), "cannot reach nomad at "))
}

// Open begins a session.
func (w *sites) Open(ctx context.Context, names string) (tui.Config, error) {
	s, err := Connect(ctx, w.sys, w.redactor, cli.ConnectOptions{Context: names, ReadOnly: w.readOnly, Several: true, Early: true, Sparing: true})
	if err != nil {
		return tui.Config{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened = append(w.opened, s)
	return w.config(s), nil
}

// config is what the screens have of a session that they can leave.
func (w *sites) config(s *cli.Session) tui.Config {
	cfg := w.screens(s)
	cfg.Sites = w
	cfg.Close = func() {
		s.Close()
		w.left(s)
	}
	return cfg
}

// left lets go of a session that was closed: what it saw last is no longer needed.
func (w *sites) left(s *cli.Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened = slices.DeleteFunc(w.opened, func(o *cli.Session) bool { return o == s })
}

// close closes every session that was opened here; it waits for those that are
// closing already.
func (w *sites) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.opened {
		s.Close()
	}
}
