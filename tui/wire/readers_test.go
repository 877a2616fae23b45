package wire

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/gpu/source"
)

// Nomad is asked of the nodes that no agent tells of, and of no others: each
// question goes through a server to the node.
func TestDeviceEndpoints(t *testing.T) {
	node := func(name string, status cluster.NodeStatus, gpus int) cluster.Node {
		return cluster.Node{ID: cluster.NodeID("id-" + name), Name: name, Status: status, Devices: make([]cluster.NodeDevice, gpus)}
	}
	s := &cluster.Snapshot{
		Ready: true,
		Nodes: []cluster.Node{
			node("bare", cluster.NodeReady, 8), node("read", cluster.NodeReady, 8), node("begins", cluster.NodeReady, 8), node("late", cluster.NodeReady, 8),
			node("down", cluster.NodeDown, 8), node("plain", cluster.NodeReady, 0),
		},
		Sources: []cluster.SourceStatus{
			{Name: "agent begins", State: cluster.SourceStarting}, {Name: "agent late", State: cluster.SourceRetrying}, {Name: "agent read", State: cluster.SourceLive},
		},
	}
	var got []string
	for _, e := range deviceEndpoints(s, contexts.Agents{Namespace: "default", Job: "agent"}) {
		got = append(got, e.Node+" "+e.NodeName)
	}
	if d := cmp.Diff([]string{"id-bare bare", "id-late late"}, got); d != "" {
		t.Error(d)
	}
	s.Ready = false // whether there are agents is not known yet
	if got := deviceEndpoints(s, contexts.Agents{Namespace: "default", Job: "agent"}); got != nil {
		t.Errorf("%v", got)
	}
}

// A registration may ask for TLS; only the context can demand it, and then no
// registration, whoever made it, gets a token in plain text.
func TestAgentScheme(t *testing.T) {
	for name, tc := range map[string]struct {
		agents       contexts.Agents
		plain, asked string // of a service without and with the tag
	}{
		"as registered": {contexts.Agents{}, "http", "https"},
		"tls":           {contexts.Agents{TLS: true}, "https", "https"},
		"ca_cert":       {contexts.Agents{CACert: "ca.pem"}, "https", "https"},
		"client_cert":   {contexts.Agents{ClientCert: "c.pem", ClientKey: "k.pem"}, "https", "https"},
		"server name":   {contexts.Agents{TLSServerName: "agent.gpu"}, "https", "https"},
	} {
		t.Run(name, func(t *testing.T) {
			plain := agentScheme(&cluster.Service{Tags: []string{"notls"}}, tc.agents)
			asked := agentScheme(&cluster.Service{Tags: []string{"x", "tls"}}, tc.agents)
			if plain != tc.plain || asked != tc.asked {
				t.Errorf("%s without the tag, %s with it", plain, asked)
			}
		})
	}
}

// TestFewDetails: of a large fleet, only the agents of nodes that somebody looks
// at are asked for all that they know.
func TestFewDetails(t *testing.T) {
	agents := func(n int) (out []source.Endpoint) {
		for i := range n {
			out = append(out, source.Endpoint{Node: fmt.Sprint("n", i)})
		}
		return out
	}
	plain := func(list []source.Endpoint) (n int) {
		for _, e := range list {
			if e.Plain {
				n++
			}
		}
		return n
	}
	r := nodeReaders{changed: make(chan struct{}, 1)}
	if got := plain(sparing(agents(fewAgents), r.many.are(fewAgents), r.looked.has)); got != 0 {
		t.Errorf("%d of few are asked for less", got)
	}
	r.look("n7")
	<-r.changed
	r.look("n7") // again: nothing changes
	select {
	case <-r.changed:
		t.Error("the readers are told for nothing")
	default:
	}
	list := sparing(agents(1000), r.many.are(1000), r.looked.has)
	if plain(list) != 999 || list[7].Plain {
		t.Errorf("%d of 1000 are asked for less", plain(list))
	}
	for i := range 20 {
		r.look(cluster.NodeID(fmt.Sprint("n", i)))
	}
	if got := plain(sparing(agents(1000), r.many.are(1000), r.looked.has)); got != 1000-mostLooked {
		t.Errorf("%d of 1000 are asked for less", got)
	}
}

// TestManyStayMany: at the border, one agent more or less must not change what
// all of them are asked for.
func TestManyStayMany(t *testing.T) {
	var m many
	for _, step := range []struct {
		agents int
		want   bool
	}{{fewAgents, false}, {fewAgents + 1, true}, {fewAgents, true}, {fewAgents * 3 / 4, false}, {fewAgents, false}} {
		if got := m.are(step.agents); got != step.want {
			t.Errorf("%d agents: many %v", step.agents, got)
		}
	}
}

// TestMachineSetUpAnew: its earlier self has the same name, and its end says
// nothing of the new one.
func TestMachineSetUpAnew(t *testing.T) {
	feed := cluster.NewFeed(cluster.Place{}, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = feed.Run(ctx) }()
	feed.Scheduler(cluster.Update{
		Lists: cluster.SetAll, Index: 1,
		Nodes: []cluster.Node{{ID: "old", Name: "gpu-a", Status: cluster.NodeDown}, {ID: "new", Name: "gpu-a", Status: cluster.NodeReady}},
	})
	await(t, feed, func(s *cluster.Snapshot) bool { return len(s.Nodes) == 2 })
	r := nodeReaders{feed: feed, each: "agent "}
	r.name([]source.Endpoint{{Node: "new", NodeName: "gpu-a"}})
	r.status(source.Status{Node: "new", State: source.StateLive})
	r.status(source.Status{Node: "old", State: source.StateDown, Err: "no route to host"})
	r.status(source.Status{Node: "old", State: source.StateGone})
	feed.Source(cluster.SourceStatus{Name: "last", State: cluster.SourceLive})
	s := await(t, feed, func(s *cluster.Snapshot) bool { return s.Source("last") != nil })
	if got := s.Source("agent gpu-a"); got == nil || got.State != cluster.SourceLive {
		t.Errorf("%+v", got)
	}
	r.status(source.Status{Node: "new", State: source.StateGone})
	await(t, feed, func(s *cluster.Snapshot) bool { return s.Source("agent gpu-a") == nil })
}

// TestOneAgentOfANode: while an agent is replaced, both are registered.
func TestOneAgentOfANode(t *testing.T) {
	agent := func(id cluster.ServiceID, port int, index uint64) cluster.Service {
		return cluster.Service{ID: id, Name: "stoker-agent", Namespace: "default", Job: "agent", Node: "a", Address: "10.0.0.1", Port: port, ModifyIndex: index}
	}
	trust := contexts.Agents{Namespace: "default", Job: "agent"}
	for name, services := range map[string][]cluster.Service{
		"new first": {agent("2", 2002, 9), agent("1", 2001, 5)},
		"old first": {agent("1", 2001, 5), agent("2", 2002, 9)},
	} {
		feed := cluster.NewFeed(cluster.Place{}, time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = feed.Run(ctx) }()
		feed.Scheduler(cluster.Update{
			Lists: cluster.SetAll, Index: 1,
			Nodes:    []cluster.Node{{ID: "a", Name: "gpu-a", Status: cluster.NodeReady}},
			Services: services,
		})
		s := await(t, feed, func(s *cluster.Snapshot) bool { return len(s.Services) == 2 })
		cancel()
		if got := agentEndpoints(s, trust); len(got) != 1 || got[0].URL != "http://10.0.0.1:2002" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestAgentsComeFirst: what agents there are is told by the same lists as what
// nodes there are. Nomad is not asked of a thousand nodes whose agents are about
// to be read.
func TestAgentsComeFirst(t *testing.T) {
	feed := cluster.NewFeed(cluster.Place{}, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = feed.Run(ctx) }()
	device := []cluster.NodeDevice{{UUID: "GPU-1", Healthy: true}}
	feed.Scheduler(cluster.Update{
		Lists: cluster.SetAll, Index: 1,
		Nodes: []cluster.Node{{ID: "a", Name: "gpu-a", Status: cluster.NodeReady, Devices: device}, {ID: "b", Name: "gpu-b", Status: cluster.NodeReady, Devices: device}},
		Services: []cluster.Service{
			{ID: "1", Name: "stoker-agent", Namespace: "default", Job: "agent", Node: "a"},
			{ID: "2", Name: "stoker-agent", Namespace: "elsewhere", Job: "agent", Node: "b"},
		},
	})
	s := await(t, feed, func(s *cluster.Snapshot) bool { return len(s.Nodes) == 2 })
	got := deviceEndpoints(s, contexts.Agents{Namespace: "default", Job: "agent"})
	if len(got) != 1 || got[0].Node != "b" {
		t.Errorf("%+v", got)
	}
}
