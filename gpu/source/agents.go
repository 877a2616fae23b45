package source

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"stoker/gpu"
	"stoker/gpu/stream"
)

// Config says which agents to read and how to reach them. Only Endpoints must be set.
type Config struct {
	// Endpoints lists the agents; it is asked at the start and at each change.
	Endpoints func() []Endpoint
	// Changed says that Endpoints would answer differently; nil: never.
	Changed <-chan struct{}
	// Dial opens connections to nodes; nil dials directly.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Token gives the bearer token; it is asked at each connect, so a renewed
	// one is used without a restart. nil or "": none is sent.
	Token func(ctx context.Context) (string, error)
	// TLS gives the settings for endpoints whose URL begins with https; it is
	// asked at each connect. nil: the system's authorities, no certificate.
	TLS  func() (*tls.Config, error)
	Now  func() time.Time // nil: time.Now
	Rand func() float64   // in [0,1), called from many goroutines; nil: math/rand
	// Gzip asks for compressed streams: for thin lines, since it costs both ends work.
	Gzip   bool
	Timing Timing
}

// Timing holds the delays; a zero field means the default.
type Timing struct {
	BackoffMin time.Duration // first wait after a break; 500 ms
	BackoffMax time.Duration // 30 s
	// Silence is how long a stream may be without a single byte before it counts
	// as broken; default 5 intervals of the agent, at least 10 s.
	Silence time.Duration
	// Frozen is how long readings may stand still; default 3 intervals, at least 3 s.
	Frozen time.Duration
	// Spread is the time over which first connects are spread; default half a
	// millisecond for each endpoint, at most 1 s.
	Spread time.Duration
	// Connecting is how many connects may be under way at once; 128.
	Connecting int
}

// AgentSource keeps one stream open to each agent.
type AgentSource struct {
	cfg    Config
	client *http.Client
	slots  chan struct{}
	lines  stream.Lines
}

// Agents returns a reader of agents' streams; Run starts it.
func Agents(cfg Config) *AgentSource {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Float64
	}
	t := &cfg.Timing
	t.BackoffMin = orDefault(t.BackoffMin, 500*time.Millisecond)
	t.BackoffMax = orDefault(t.BackoffMax, 30*time.Second)
	t.Connecting = orDefault(t.Connecting, 128)
	return &AgentSource{
		cfg:    cfg,
		slots:  make(chan struct{}, t.Connecting),
		client: newClient(cfg.Dial, cfg.TLS),
	}
}

func orDefault[T time.Duration | int](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

func newClient(dial func(context.Context, string, string) (net.Conn, error), settings func() (*tls.Config, error)) *http.Client {
	if dial == nil {
		dial = (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	}
	lent := &sync.Pool{}
	idling := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return idle(conn, lent), nil
	}
	return &http.Client{
		// A redirect would carry the token to an address that nobody vouched for.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		// Nodes are reached through dial, never through a proxy from the environment.
		Transport: &streams{dial: idling, dialTLS: dialTLS(idling, settings)},
	}
}

// Run reads until ctx ends and returns its error. Failures of agents are told
// to status and retried for ever; status may be nil. When Run has returned, all
// connections are closed and neither function is called again.
func (a *AgentSource) Run(ctx context.Context, emit func(gpu.Batch), status func(Status)) error {
	out := &sink{emit: emit, status: status}
	s := &supervisor{
		endpoints: a.cfg.Endpoints, changed: a.cfg.Changed, rand: a.cfg.Rand, spreadOver: a.cfg.Timing.Spread,
		open: func(e Endpoint) reader { return newNodeStream(a, e, out) },
	}
	return s.run(ctx)
}
