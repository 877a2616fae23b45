package wire

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/gpu/certs"
	"stoker/gpu/source"
)

// nodeReaders follows the snapshots for the nodes that one kind of reader is to
// read, and tells the feed how that goes.
type nodeReaders struct {
	feed    *cluster.Feed
	group   string // name of the source that says whether there are any
	each    string // what the name of a node's source begins with
	pick    func(*cluster.Snapshot) []source.Endpoint
	changed chan struct{}
	looked  looked
	many    many
	// of says which node each name is, of those that are read: a machine that was
	// set up anew has the name of its earlier self.
	of atomic.Pointer[map[string]string]
}

// looked remembers the nodes of the GPUs that somebody opened last.
type looked struct {
	mu    sync.Mutex
	nodes []cluster.NodeID
}

// mostLooked bounds how many nodes are read in detail because of that.
const mostLooked = 8

func (l *looked) at(node cluster.NodeID) (news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.nodes, node)
	if i >= 0 {
		l.nodes = slices.Delete(l.nodes, i, i+1)
	}
	l.nodes = append(l.nodes, node)
	l.nodes = l.nodes[max(len(l.nodes)-mostLooked, 0):]
	return i < 0
}

func (l *looked) has(node cluster.NodeID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.nodes, node)
}

// look says that somebody looks at the GPUs of a node.
func (a *nodeReaders) look(node cluster.NodeID) {
	if a.looked.at(node) {
		a.change()
	}
}

func (a *nodeReaders) change() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// fewAgents is up to how many agents are read in all detail. Of more, those are
// whose GPUs somebody looks at: details are nine tenths of what an agent says.
const fewAgents = 64

// many says that there are more agents than a few. It goes on saying so until
// there are clearly fewer: with each change all of them are asked anew.
type many struct{ atomic.Bool }

func (m *many) are(agents int) bool {
	switch {
	case agents > fewAgents:
		m.Store(true)
	case agents <= fewAgents*3/4:
		m.Store(false)
	}
	return m.Load()
}

// sparing asks the agents of a large fleet for no details, but of nodes that wanted names.
func sparing(agents []source.Endpoint, many bool, wanted func(cluster.NodeID) bool) []source.Endpoint {
	if many {
		for i := range agents {
			agents[i].Plain = !wanted(cluster.NodeID(agents[i].Node))
		}
	}
	return agents
}

func (a *nodeReaders) endpoints() []source.Endpoint { return a.pick(a.feed.Latest()) }

// agentEndpoints picks the agents that are trusted: registered by the
// configured job in the configured namespace, on nodes that are up. Of two on one
// node it is the newer: the other is about to end, and its end must not be taken
// for that of the node's agent.
func agentEndpoints(s *cluster.Snapshot, trust contexts.Agents) []source.Endpoint {
	var out []source.Endpoint
	newest := map[cluster.NodeID]*cluster.Service{}
	for i := range s.Services {
		svc := &s.Services[i]
		if svc.Name != "stoker-agent" || svc.Namespace != trust.Namespace || svc.Job != trust.Job {
			continue
		}
		if was := newest[svc.Node]; was == nil || was.ModifyIndex <= svc.ModifyIndex {
			newest[svc.Node] = svc
		}
	}
	for i := range s.Services {
		svc := &s.Services[i]
		n := s.Node(svc.Node)
		if newest[svc.Node] != svc || n == nil || n.Status == cluster.NodeDown {
			continue
		}
		out = append(out, source.Endpoint{Node: string(svc.Node), NodeName: n.Name, URL: agentScheme(svc, trust) + "://" + net.JoinHostPort(svc.Address, strconv.Itoa(svc.Port))})
	}
	return out
}

// tagTLS is the tag under which the agent's pack registers an agent that serves TLS.
const tagTLS = "tls"

// agentScheme lets a registration ask for TLS, and never against it: where the
// context demands it, whoever registers a service cannot have the token sent in
// plain text.
func agentScheme(svc *cluster.Service, trust contexts.Agents) string {
	if trust.Encrypted() || slices.Contains(svc.Tags, tagTLS) {
		return "https"
	}
	return "http"
}

// tlsOf gives the TLS settings for a source, from the context's files as they
// are at each connect. Files that cannot be used are the state of the source,
// not the end of the session.
func tlsOf(files certs.Files, serverName string, skipVerify bool) func() (*tls.Config, error) {
	store, err := certs.New(files, nil)
	return func() (*tls.Config, error) {
		if err != nil {
			return nil, err
		}
		conf, err := store.Client(serverName)
		if err == nil {
			conf.InsecureSkipVerify = skipVerify
		}
		return conf, err
	}
}

// deviceEndpoints picks the nodes of which Nomad itself must tell: those with
// GPUs and no agent, or none that answers.
func deviceEndpoints(s *cluster.Snapshot, trust contexts.Agents) []source.Endpoint {
	var out []source.Endpoint
	begins := map[cluster.NodeID]bool{} // agents that nobody has begun to read yet
	for _, e := range agentEndpoints(s, trust) {
		begins[cluster.NodeID(e.Node)] = s.Source(cluster.OfNode("agent")+e.NodeName) == nil
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if !s.Ready || n.Status != cluster.NodeReady || len(n.Devices) == 0 {
			continue
		}
		if begins[n.ID] || agentTells(s, n) {
			continue
		}
		out = append(out, source.Endpoint{Node: string(n.ID), NodeName: n.Name})
	}
	return out
}

// agentTells says that an agent of the node answers, or is about to.
func agentTells(s *cluster.Snapshot, n *cluster.Node) bool {
	agent := s.Source(cluster.OfNode("agent") + n.Name)
	return agent != nil && (agent.State == cluster.SourceLive || agent.State == cluster.SourceStarting)
}

// dcgmEndpoints picks the nodes whose dcgm-exporter is read, those of which an
// agent tells left out: nodes with GPUs, at the port of the context, and nodes on
// which the trusted service is, at the service's own.
func dcgmEndpoints(s *cluster.Snapshot, c contexts.DCGM) []source.Endpoint {
	if !s.Ready {
		return nil
	}
	at := func(n *cluster.Node, host string, port int) source.Endpoint {
		return source.Endpoint{Node: string(n.ID), NodeName: n.Name, URL: c.Scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port)) + c.Path}
	}
	var out []source.Endpoint
	served := map[cluster.NodeID]bool{}
	for i := range s.Services {
		svc := &s.Services[i]
		if c.Service == "" || svc.Name != c.Service || svc.Namespace != c.Namespace || c.Job != "" && svc.Job != c.Job {
			continue
		}
		n := s.Node(svc.Node)
		if n == nil || n.Status != cluster.NodeReady || served[n.ID] || agentTells(s, n) {
			continue
		}
		served[n.ID] = true
		out = append(out, at(n, svc.Address, svc.Port))
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if c.Port == 0 || n.Status != cluster.NodeReady || n.Address == "" || len(n.Devices) == 0 || served[n.ID] || agentTells(s, n) {
			continue
		}
		out = append(out, at(n, n.Address, c.Port))
	}
	return out
}

// follow tells the reader when its set of nodes changes, and the feed whether
// there are any.
func (a *nodeReaders) follow(ctx context.Context) error {
	ch, stop := a.feed.Subscribe()
	defer stop()
	var last []source.Endpoint
	var seen parts
	told := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s, open := <-ch:
			if !open {
				return nil
			}
			if !s.Ready || told && seen.of(s) {
				continue
			}
			seen = parts{s.Nodes, s.Services, s.Sources}
			now := a.pick(s)
			if told && slices.Equal(now, last) {
				continue
			}
			a.name(now)
			a.retire(last, now)
			last, told = now, true
			st := cluster.SourceStatus{Name: a.group, State: cluster.SourceLive, AsOf: s.At}
			if len(now) == 0 {
				st.State = cluster.SourceOff
			}
			a.feed.Source(st)
			a.change()
		}
	}
}

// parts is what of a snapshot says whom to read. It holds on to no more.
type parts struct {
	nodes    []cluster.Node
	services []cluster.Service
	sources  []cluster.SourceStatus
}

// of tells that s says the same: most snapshots have new readings and nothing else.
func (p *parts) of(s *cluster.Snapshot) bool {
	return cluster.Same(p.nodes, s.Nodes) && cluster.Same(p.services, s.Services) &&
		slices.EqualFunc(p.sources, s.Sources, func(a, b cluster.SourceStatus) bool { return a.State == b.State && a.Name == b.Name })
}

// name notes whose the names are from now on.
func (a *nodeReaders) name(list []source.Endpoint) {
	of := make(map[string]string, len(list))
	for _, e := range list {
		of[e.NodeName] = e.Node
	}
	a.of.Store(&of)
}

// retire forgets the sources of nodes that left, and announces new ones, so
// that a reader of the snapshot knows whom to wait for.
func (a *nodeReaders) retire(before, now []source.Endpoint) {
	names := map[string]bool{}
	for _, e := range now {
		names[e.NodeName] = true
	}
	known := map[string]bool{}
	for _, e := range before {
		known[e.NodeName] = true
		if !names[e.NodeName] {
			a.feed.Forget(a.each + e.NodeName)
		}
	}
	for _, e := range now {
		if !known[e.NodeName] {
			a.feed.Source(cluster.SourceStatus{Name: a.each + e.NodeName, State: cluster.SourceStarting})
		}
	}
}

// status translates the reader's words for one endpoint.
func (a *nodeReaders) status(s source.Status) {
	n := a.feed.Latest().Node(cluster.NodeID(s.Node))
	if n == nil {
		return
	}
	if of := a.of.Load(); of != nil {
		if node, read := (*of)[n.Name]; read && node != s.Node {
			return // what becomes of its earlier self
		}
	}
	name := a.each + n.Name
	if s.State == source.StateGone {
		a.feed.Forget(name)
		return
	}
	a.feed.Source(cluster.SourceStatus{Name: name, State: stateOf(s.State), Since: s.Since, AsOf: s.AsOf, Err: s.Err})
}

// stateOf is what a reader's state is called in a snapshot.
func stateOf(state string) cluster.SourceState {
	switch state {
	case source.StateConnecting:
		return cluster.SourceStarting
	case source.StateLive:
		return cluster.SourceLive
	case source.StateDenied:
		return cluster.SourceDenied
	}
	return cluster.SourceRetrying // down, frozen
}
