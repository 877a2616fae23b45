package wire

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/cluster/contexts"
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
	for _, e := range deviceEndpoints(s) {
		got = append(got, e.Node+" "+e.NodeName)
	}
	if d := cmp.Diff([]string{"id-bare bare", "id-late late"}, got); d != "" {
		t.Error(d)
	}
	s.Ready = false // whether there are agents is not known yet
	if got := deviceEndpoints(s); got != nil {
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
