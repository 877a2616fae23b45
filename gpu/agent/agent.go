package agent

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"stoker/gpu"
	"stoker/gpu/certs"
	"stoker/gpu/proc"
	"stoker/gpu/source"
)

// Sampler reads the node's devices once. Read may hang; it is never called
// twice at the same time.
type Sampler interface {
	Read(now time.Time) (gpu.Batch, error)
	Close() error
}

// Config says what to serve. Only Sampler must be set.
type Config struct {
	Node     string // the Nomad node's ID
	NodeName string
	// Sampler belongs to the agent: Run closes it.
	Sampler  Sampler
	Interval time.Duration // between readings; 0: 1 s
	ProcRoot string        // where the host's /proc is; "": /proc
	// DockerSocket is the engine's unix socket, to join containers to Nomad
	// tasks; "": containers are joined by their environment, where readable.
	DockerSocket string
	// Commands tells the arguments of processes, too, to everyone who may read
	// the stream: they may hold tokens.
	Commands bool
	// Token gives the bearer token that requests must carry; asked at each
	// request, so it may be replaced on the fly. nil: no token is needed, and
	// unless client certificates are, only loopback is served. A Token that
	// returns "" refuses everyone.
	Token func() string
	// TLS gives the certificate to serve with, and the authorities whose
	// certificates clients must have, where it has any; nil: plain HTTP.
	TLS *certs.Store
	// OpenMetrics serves /metrics and /metrics/dcgm to everyone, for a
	// Prometheus that has neither token nor certificate.
	OpenMetrics bool
	Version     string           // of this program; "": from the build
	Now         func() time.Time // nil: time.Now
	Log         *slog.Logger     // nil: discards
}

// Agent serves one node. Its methods may be called from any goroutine; Run and
// Serve once each.
type Agent struct {
	cfg   Config
	hub   *hub
	meter *meter
	procs *proc.Attributor
	eng   *proc.Engine // nil without a container engine

	mu       sync.Mutex
	status   source.Status // how the sampling goes
	released released      // what was asked for last

	lacks []string // what the log was told of; only publish reads it

	releasing    sync.Mutex    // held while the sampler lets go
	writeTimeout time.Duration // of one frame to one client
	keyEvery     time.Duration
}

const (
	defaultWriteTimeout = 10 * time.Second
	defaultKeyEvery     = 30 * time.Second
	maxStreams          = 64  // clients of one agent; each costs two goroutines and, compressed, about 1 MB
	maxConns            = 192 // streams, scrapes, and whoever has connected and says nothing
)

// New returns an agent that serves nothing yet.
func New(cfg Config) (*Agent, error) {
	if cfg.Sampler == nil {
		return nil, errors.New("gpu agent: no sampler: nothing to serve")
	}
	if cfg.Interval < 0 {
		return nil, errors.New("gpu agent: negative interval")
	}
	cfg.Interval = cmp.Or(cfg.Interval, time.Second)
	cfg.ProcRoot = cmp.Or(cfg.ProcRoot, "/proc")
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Version == "" {
		cfg.Version = buildVersion()
	}
	a := &Agent{cfg: cfg, writeTimeout: defaultWriteTimeout, keyEvery: defaultKeyEvery}
	if cfg.DockerSocket != "" {
		a.eng = proc.NewEngine(cfg.DockerSocket, cfg.Now, cfg.Log)
	}
	a.procs = proc.New(proc.Options{Root: cfg.ProcRoot, Engine: a.eng, Arguments: cfg.Commands, Now: cfg.Now})
	a.hub = newHub(a.keyEvery)
	a.meter = &meter{next: cfg.Sampler, procs: a.procs, now: cfg.Now}
	a.status = source.Status{State: source.StateConnecting, Since: cfg.Now()}
	return a, nil
}

func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}

// Run samples until ctx ends and returns its error. A reading that fails or
// hangs does not end it. It closes the sampler, unless a reading hangs still
// two seconds after ctx ended.
func (a *Agent) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	if a.eng != nil {
		wg.Go(func() { a.eng.Run(ctx) })
	}
	return source.Local(a.meter, a.cfg.Interval, a.cfg.Now).Run(ctx, a.publish, a.setStatus)
}

func (a *Agent) publish(b gpu.Batch) {
	b.Node, b.Source = cmp.Or(a.cfg.Node, b.Node), "agent"
	a.meter.count(b)
	a.reopened(b.At)
	a.hub.publish(b)
	// Once, and again after a new driver was loaded that lacks others.
	if len(b.Lacks) > 0 && !slices.Equal(b.Lacks, a.lacks) {
		a.lacks = b.Lacks
		a.cfg.Log.Warn("the driver's library lacks functions: what they tell is unknown", "functions", strings.Join(b.Lacks, ","))
	}
}

func (a *Agent) setStatus(s source.Status) {
	a.mu.Lock()
	was := a.status
	a.status = s
	a.mu.Unlock()
	if was.State == s.State && was.Err == s.Err {
		return
	}
	if s.State == source.StateLive {
		a.cfg.Log.Info("gpu readings arrive", "was", was.State)
	} else {
		a.cfg.Log.Warn("gpu readings stopped", "state", s.State, "err", s.Err)
	}
}

// fresh returns the last batch, if it is recent enough to be shown as the
// present.
func (a *Agent) fresh() (gpu.Batch, bool) {
	b, ok := a.hub.latest()
	limit := max(3*a.cfg.Interval, 10*time.Second)
	return b, ok && a.cfg.Now().Sub(b.At) <= limit
}
