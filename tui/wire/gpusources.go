package wire

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/cluster/nomad"
	"stoker/gpu"
	"stoker/gpu/certs"
	"stoker/gpu/source"
	"stoker/secrets"
)

// gpuSources starts the readers of GPUs. Who waits for an answer must know of
// whom: what is configured says at once that it begins.
type gpuSources struct {
	feed     *cluster.Feed
	context  contexts.Context
	nomad    *nomad.Client
	redactor *secrets.Redactor
	// past loads what was before this program watched; nil where nobody knows.
	past func(ctx context.Context, id gpu.UUID) error
	// details of all agents' GPUs are read, and not only of a few.
	details bool
	// look says that somebody looks at a GPU.
	look func(id gpu.UUID)
}

// pastFor is how far back the past of a GPU is asked for: what a chart shows.
const (
	pastFor  = 10 * time.Minute
	pastStep = 5 * time.Second
)

func (s *gpuSources) start(ctx context.Context, g *errgroup.Group) {
	s.agents(ctx, g)
	s.devices(ctx, g)
	s.dcgm(ctx, g)
	s.prometheus(ctx, g)
}

// token reveals a token at the last moment; the redactor learns it.
func (s *gpuSources) token(from func(context.Context) (secrets.Secret, error)) func(context.Context) (string, error) {
	watched := s.redactor.Watch(from)
	return func(ctx context.Context) (string, error) {
		t, err := watched(ctx)
		return t.Reveal(), err
	}
}

func (s *gpuSources) readers(group, each string, pick func(*cluster.Snapshot) []source.Endpoint) *nodeReaders {
	return &nodeReaders{feed: s.feed, group: group, each: each, changed: make(chan struct{}, 1), pick: pick}
}

func (s *gpuSources) agents(ctx context.Context, g *errgroup.Group) {
	agents := s.readers("agents", cluster.OfNode("agent"), nil)
	agents.pick = func(snap *cluster.Snapshot) []source.Endpoint {
		all := agentEndpoints(snap, s.context.Agents)
		if s.details {
			return all
		}
		return sparing(all, agents.many.are(len(all)), agents.looked.has)
	}
	s.look = func(id gpu.UUID) {
		if g := s.feed.Latest().GPU(id); g != nil {
			agents.look(g.Node)
		}
	}
	g.Go(func() error { return agents.follow(ctx) })
	src := source.Agents(source.Config{Endpoints: agents.endpoints, Changed: agents.changed, TLS: tlsOf(certs.Files{Cert: s.context.Agents.ClientCert, Key: s.context.Agents.ClientKey, CA: s.context.Agents.CACert}, s.context.Agents.TLSServerName, false), Token: s.token(s.context.Agents.Token)})
	g.Go(func() error { return src.Run(ctx, s.feed.GPUs, agents.status) })
}

func (s *gpuSources) devices(ctx context.Context, g *errgroup.Group) {
	devices := s.readers("devices", cluster.OfNode("nomad"), func(snap *cluster.Snapshot) []source.Endpoint { return deviceEndpoints(snap, s.context.Agents) })
	g.Go(func() error { return devices.follow(ctx) })
	src := source.Poll(source.PollConfig{
		Source: "nomad", Endpoints: devices.endpoints, Changed: devices.changed,
		Read: func(ctx context.Context, e source.Endpoint) (gpu.Batch, error) {
			return s.nomad.DeviceStats(ctx, cluster.NodeID(e.Node))
		},
		Denied: func(err error) bool { return errors.Is(err, cluster.ErrDenied) },
		// Nomad goes on telling the last numbers of a plugin that ended.
		Still: "the readings of all devices stand still: has the device plugin ended?",
	})
	g.Go(func() error { return src.Run(ctx, s.feed.GPUs, devices.status) })
}

func (s *gpuSources) dcgm(ctx context.Context, g *errgroup.Group) {
	c := s.context.DCGM
	if !c.Configured() {
		s.feed.Source(cluster.SourceStatus{Name: "dcgm", State: cluster.SourceOff})
		return
	}
	s.feed.Source(cluster.SourceStatus{Name: "dcgm", State: cluster.SourceStarting})
	exporters := s.readers("dcgm", cluster.OfNode("dcgm"), func(snap *cluster.Snapshot) []source.Endpoint { return dcgmEndpoints(snap, c) })
	g.Go(func() error { return exporters.follow(ctx) })
	src := source.DCGM(source.DCGMConfig{
		HTTP:      source.HTTP{Token: s.token(c.Token), TLS: tlsOf(certs.Files{Cert: c.ClientCert, Key: c.ClientKey, CA: c.CACert}, "", c.SkipVerify)},
		Endpoints: exporters.endpoints, Changed: exporters.changed,
	})
	g.Go(func() error { return src.Run(ctx, s.feed.GPUs, exporters.status) })
}

func (s *gpuSources) prometheus(ctx context.Context, g *errgroup.Group) {
	c := s.context.Prometheus
	if c.URL == "" {
		s.feed.Source(cluster.SourceStatus{Name: "prometheus", State: cluster.SourceOff})
		return
	}
	s.feed.Source(cluster.SourceStatus{Name: "prometheus", State: cluster.SourceStarting})
	src := source.Prometheus(source.PrometheusConfig{
		HTTP: source.HTTP{Token: s.token(c.Token), TLS: tlsOf(certs.Files{Cert: c.ClientCert, Key: c.ClientKey, CA: c.CACert}, c.TLSServerName, c.SkipVerify)},
		URL:  c.URL, Match: c.Match,
		Node: func(id gpu.UUID, labels map[string]string) string { return string(nodeOf(s.feed.Latest(), id, labels)) },
	})
	s.past = func(ctx context.Context, id gpu.UUID) error {
		now := time.Now()
		samples, err := src.Past(ctx, id, now.Add(-pastFor), now, pastStep)
		if err == nil {
			s.feed.Past(id, samples)
		}
		return err
	}
	g.Go(func() error {
		// Before the nodes are known, no series is of any of them.
		if err := whenReady(ctx, s.feed); err != nil {
			return err
		}
		return src.Run(ctx, s.feed.GPUs, func(st source.Status) {
			s.feed.Source(cluster.SourceStatus{Name: "prometheus", State: stateOf(st.State), Since: st.Since, AsOf: st.AsOf, Err: st.Err})
		})
	})
}

// whenReady waits for a snapshot that knows the nodes.
func whenReady(ctx context.Context, feed *cluster.Feed) error {
	ch, stop := feed.Subscribe()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s, open := <-ch:
			if !open {
				return context.Canceled
			}
			if s.Ready {
				return nil
			}
		}
	}
}

// nodeOf is the node that a series is of: the one that offers the GPU; else, for
// GPUs that Nomad does not know, the one that the labels name or that has the
// address of what was scraped. "" is none.
func nodeOf(s *cluster.Snapshot, id gpu.UUID, labels map[string]string) cluster.NodeID {
	if g := s.GPU(id); g != nil && g.Known {
		return g.Node
	}
	names := map[string]bool{}
	for _, l := range []string{"node", "Hostname", "hostname", "instance"} {
		name := labels[l]
		if host, _, err := net.SplitHostPort(name); err == nil {
			name = host
		}
		short, _, _ := strings.Cut(name, ".")
		if net.ParseIP(name) != nil {
			short = name
		}
		names[name], names[short] = true, true
	}
	delete(names, "")
	found := cluster.NodeID("")
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if !names[string(n.ID)] && !names[n.Name] && !names[n.Address] {
			continue
		}
		if n.Status == cluster.NodeReady {
			return n.ID // its earlier self may still be listed, down
		}
		found = n.ID
	}
	return found
}
