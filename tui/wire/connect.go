package wire

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/cluster/nomad"
	"stoker/jobs/action"
	"stoker/jobs/metrics"
	"stoker/jobs/pack"
	"stoker/jobs/registry"
	"stoker/secrets"
	"stoker/secrets/vault"
	"stoker/tui/cli"
)

// closeFor bounds how long closing a session waits for its goroutines.
const closeFor = 2 * time.Second

// Packs is the built-in packs and the user's folder of them.
func Packs(sys contexts.System) *pack.Library {
	return &pack.Library{Dirs: []string{filepath.Join(filepath.Dir(sys.ConfigPath()), "packs")}}
}

// Connect opens a session: it starts all sources and returns at once. The
// redactor learns each token that the session reads. A name that stands for
// several contexts opens one session of all of them, where the caller can have that.
func Connect(ctx context.Context, sys contexts.System, redactor *secrets.Redactor, o cli.ConnectOptions) (*cli.Session, error) {
	list, err := contexts.ResolveAll(sys, o.Context)
	if err != nil {
		return nil, err
	}
	w := &wiring{sys: sys, redactor: redactor, readOnly: o.ReadOnly, early: o.Early, sparing: o.Sparing, regionsEvery: regionsEvery}
	list, unknown := w.regions(ctx, list)
	switch {
	case len(list) > 1 && !o.Several:
		return nil, cli.OneOnly(list)
	case len(list) > 1 || unknown && o.Several:
		return w.several(ctx, list, unknown)
	}
	one, err := w.one(ctx, list[0])
	if err != nil {
		return nil, err
	}
	return one.Session, nil
}

// wiring is what every session is made with.
type wiring struct {
	sys      contexts.System
	redactor *secrets.Redactor
	readOnly bool
	early    bool // see cli.ConnectOptions
	sparing  bool // the same

	regionsEvery time.Duration // between two questions for the regions of a Nomad
}

// opened is a session of one cluster, with the parts that several are joined by.
type opened struct {
	*cli.Session
	place  cluster.Place
	feed   *cluster.Feed
	runner *action.Runner
}

// one opens a session of one cluster.
func (w *wiring) one(ctx context.Context, c contexts.Context, options ...cluster.Option) (*opened, error) {
	c.ReadOnly = c.ReadOnly || w.readOnly
	place := cluster.Place{Cluster: c.Cluster(), Region: c.Nomad.Region}
	if place.Region == "" || place.Region == contexts.EveryRegion {
		place.Region = "global"
	}
	nc, err := OpenNomad(place, c, w.redactor)
	if err != nil {
		return nil, err
	}
	if w.early {
		nc.Early()
	}
	audit := auditFile(w.sys, c.Name, w.redactor)
	calls := &lastCall{}
	vc, err := OpenVault(c, w.redactor, calls.note)
	if err != nil {
		return nil, err
	}
	feed := cluster.NewFeed(place, time.Now, append(options, cluster.Redacting(w.redactor.Clean))...)
	ctx, cancel := context.WithCancel(ctx)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return feed.Run(gctx) })
	gpus := &gpuSources{feed: feed, context: c, nomad: nc, redactor: w.redactor, details: !w.sparing}
	startSources(gctx, g, gpus, vc)
	runner := &action.Runner{Place: place, Scheduler: nc, Rights: nc, Audit: audit, ReadOnly: c.ReadOnly, Production: c.Production, Now: time.Now}
	return &opened{place: place, feed: feed, runner: runner, Session: &cli.Session{
		Context: c,
		Feed:    feed,
		Actions: runner,
		Packs:   Packs(w.sys),
		Logs:    nc.Logs,
		Raw: func(ctx context.Context, ref cluster.Ref) (string, error) {
			raw, err := nc.Raw(ctx, ref)
			return w.redactor.CleanJSON(string(raw)), err
		},
		Past:   gpus.past,
		Look:   gpus.look,
		Rotate: rotate(vc, audit, calls),
		Ping:   func(ctx context.Context) error { return ping(ctx, nc, c) },
		Close: sync.OnceFunc(func() {
			cancel()
			patiently(func() { _ = g.Wait() })
			nc.Close()
			if vc != nil {
				vc.Close()
			}
			_ = audit.Close()
		}),
	}}, nil
}

// patiently waits until wait returns, but not for ever.
func patiently(wait func()) {
	done := make(chan struct{})
	go func() { wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(closeFor):
	}
}

// auditFile is where changes made in a context are noted.
func auditFile(sys contexts.System, context string, redactor *secrets.Redactor) *action.Audit {
	a := action.AuditFile(filepath.Join(sys.StateDir(), "audit.jsonl"), context, who())
	a.Redact = redactor.Clean
	return a
}

// OpenNomad makes the client of a context.
func OpenNomad(place cluster.Place, c contexts.Context, redactor *secrets.Redactor) (*nomad.Client, error) {
	n := c.Nomad
	if n.Region == contexts.EveryRegion { // it is asked which there are
		n.Region = ""
	}
	return nomad.Open(place, nomad.Config{
		Address: n.Address, Region: n.Region, Namespace: n.Namespace, Token: redactor.Watch(n.Token), TokenOrigin: origin(n.TokenOrigin()),
		TLS: nomad.TLS{CACert: n.CACert, CAPath: n.CAPath, ClientCert: n.ClientCert, ClientKey: n.ClientKey, ServerName: n.TLSServerName, SkipVerify: n.SkipVerify},
	}, time.Now)
}

func origin(file, variable string) cluster.TokenOrigin {
	return cluster.TokenOrigin{File: file, Variable: variable}
}

// OpenVault makes the client of a context; nil where no Vault is configured.
func OpenVault(c contexts.Context, redactor *secrets.Redactor, onCall func(vault.Call)) (*vault.Client, error) {
	v := c.Vault
	if v.Address == "" {
		return nil, nil
	}
	return vault.Open(vault.Config{
		Address: v.Address, Namespace: v.Namespace, CACert: v.CACert, CAPath: v.CAPath, ClientCert: v.ClientCert,
		ClientKey: v.ClientKey, TLSServerName: v.TLSServerName, Insecure: v.SkipVerify, Mount: v.Transit, Token: redactor.Watch(v.Token), OnCall: onCall,
	})
}

// rotate changes Vault and not the scheduler, so it is no action of jobs/action;
// it leaves the same audit line, or is not done either.
func rotate(vc *vault.Client, audit *action.Audit, calls *lastCall) func(ctx context.Context, key string) error {
	if vc == nil {
		return nil
	}
	return func(ctx context.Context, key string) error {
		if err := audit.Ready(); err != nil {
			return fmt.Errorf("rotate key %s: %w", key, err)
		}
		err := vc.RotateKey(ctx, key)
		e := action.Entry{
			Action: "rotate", Target: "key " + key, Touched: []string{"key " + key + ": gets a new version"},
			VaultRequestID: calls.of("/rotate"),
		}
		return errors.Join(err, audit.Note(time.Now(), e, err))
	}
}

// lastCall remembers Vault's name for its latest answer at each path, so that an
// audit line can be found again in Vault's own log.
type lastCall struct {
	mu  sync.Mutex
	ids map[string]string
}

func (l *lastCall) note(c vault.Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ids == nil {
		l.ids = map[string]string{}
	}
	l.ids[c.Path] = c.RequestID
}

// of is the ID of the answer at the path with this end.
func (l *lastCall) of(suffix string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for path, id := range l.ids {
		if strings.HasSuffix(path, suffix) {
			delete(l.ids, path) // used once
			return id
		}
	}
	return ""
}

func ping(ctx context.Context, nc *nomad.Client, c contexts.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := nc.Ping(ctx)
	var f *cluster.Fault
	if errors.As(err, &f) && errors.Is(err, cluster.ErrUnreachable) && !c.Configured {
		f.Advice = "no cluster is configured: set NOMAD_ADDR, name a context with --context, or run stoker lab up"
	}
	return err
}

func who() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + host
}

// startSources runs every source of facts into the feed until ctx ends. None
// of them ends the others: each reports its own state.
func startSources(ctx context.Context, g *errgroup.Group, gpus *gpuSources, vc *vault.Client) {
	feed, nc := gpus.feed, gpus.nomad
	g.Go(func() error { return nc.Run(ctx, feed.Scheduler, feed.Source) })

	gpus.start(ctx, g)

	// Who waits for an answer must know of whom: both say nothing before their first.
	for _, name := range []string{"metrics", "registry"} {
		feed.Source(cluster.SourceStatus{Name: name, State: cluster.SourceStarting})
	}
	scraper := metrics.Source{Place: feed.Latest().Place, Now: time.Now}
	g.Go(func() error {
		endpoints := func() []metrics.Endpoint { return metrics.Endpoints(feed.Latest()) }
		return scraper.Run(ctx, endpoints, feed.Models, feed.Training, feed.Source)
	})
	reg := &registry.Registry{Place: feed.Latest().Place, Vars: nc, Status: feed.Source}
	g.Go(func() error { return reg.Run(ctx, feed.Artifacts) })

	if vc == nil {
		feed.Source(cluster.SourceStatus{Name: "vault", State: cluster.SourceOff})
		return
	}
	feed.Source(cluster.SourceStatus{Name: "vault", State: cluster.SourceStarting})
	g.Go(func() error {
		return vc.Run(ctx, func(s secrets.State) {
			feed.Vault(s)
			st := vaultStatus(s)
			st.Token = origin(gpus.context.Vault.TokenOrigin())
			feed.Source(st)
		})
	})
}

func vaultStatus(s secrets.State) cluster.SourceStatus {
	out := cluster.SourceStatus{Name: "vault", State: cluster.SourceLive, AsOf: s.At}
	switch {
	case s.Err != "":
		out.State, out.Err, out.Retry = cluster.SourceRetrying, s.Err, s.Retry
	case len(s.Denied) > 0 && !s.Sealed:
		out.State = cluster.SourceDenied
		out.Err = fmt.Sprintf("may not %s %s", s.Denied[0].Capability, s.Denied[0].Path)
		if s.Denied[0].Capability == "" {
			out.Err = s.Denied[0].Reason
		}
	}
	return out
}
