package main

import (
	"context"
	"log"
	"math/rand/v2"
	"net"
	"net/rpc"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/hashicorp/nomad/client/lib/numalib"
	"github.com/hashicorp/nomad/nomad/structs"
)

// registering is how many nodes register at once: the servers write each to disk.
const registering = 64

// slots is how many parts a second is cut into, so that a thousand nodes are not
// read all at once.
const slots = 50

// fleet is all the nodes.
type fleet struct {
	conf     config
	identity identity
	servers  []net.Addr
	topology *numalib.Topology
	back     *rpc.Server
	log      *log.Logger
	nodes    []*node
	gate     chan struct{}
	wanted   int
	order    chan struct{} // closed when the jobs are to be submitted
	ordered  sync.Once

	mu    sync.Mutex
	said  map[string]time.Time // complaints, so that a thousand nodes do not say the same thing
	ended context.Context
}

func newFleet(ctx context.Context, c config, id identity, servers []net.Addr, logger *log.Logger) (*fleet, error) {
	f := &fleet{
		conf: c, identity: id, servers: servers, topology: topology(), log: logger, ended: ctx,
		gate: make(chan struct{}, registering), order: make(chan struct{}), wanted: wanted(c.nodes, c.allocs), said: map[string]time.Time{},
	}
	var err error
	if f.back, err = newCalls(f); err != nil {
		return nil, err
	}
	for i := range c.nodes {
		f.nodes = append(f.nodes, newNode(f, i))
	}
	return f, nil
}

// run lets all nodes live until the context ends.
func (f *fleet) run(ctx context.Context) {
	for _, n := range f.nodes {
		n.start(ctx)
	}
	tick := time.NewTicker(interval / slots)
	defer tick.Stop()
	for slot := 0; ; slot = (slot + 1) % slots {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for i := slot; i < len(f.nodes); i += slots {
				f.nodes[i].sample(now.UTC())
			}
		}
	}
}

// admit waits for the node's turn to register.
func (f *fleet) admit(ctx context.Context) bool {
	select {
	case f.gate <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *fleet) admitted() { <-f.gate }

// complain logs what went wrong, the same thing once in ten seconds.
func (f *fleet) complain(ctx context.Context, n *node, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	key := what + text
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.said[key]) < 10*time.Second {
		return
	}
	if len(f.said) > 1000 {
		clear(f.said)
	}
	f.said[key] = time.Now()
	f.log.Printf("%s: %s: %s", n.shape.name, what, text)
}

// node finds a node by its name; nil when there is none.
func (f *fleet) node(name string) *node {
	for _, n := range f.nodes {
		if n.shape.name == name {
			return n
		}
	}
	return nil
}

func isNotFound(err error) bool { return strings.Contains(err.Error(), "not found") }

// work waits for the order, submits the jobs and lets them change.
func (f *fleet) work(ctx context.Context, servers []*api.Client) error {
	select {
	case <-f.order:
	case <-ctx.Done():
		return nil
	}
	jobs := asks(len(f.nodes), f.conf.allocs)
	if err := submit(ctx, servers[0], jobs, f.log.Printf); err != nil {
		return err
	}
	// The same changes in the same order, each time.
	seed := f.identity.number("churn")
	c := &churn{fleet: f, api: servers, jobs: jobs, runs: map[string]int{}, rand: rand.New(rand.NewPCG(seed, seed))}
	c.run(ctx, f.conf.churn)
	return nil
}

// counts is how the fleet is, as the lab is told.
type counts struct {
	Nodes   int `json:"nodes"`
	Ready   int `json:"ready"`  // nodes that the servers know
	Wanted  int `json:"wanted"` // allocations that its jobs make where all is well
	Allocs  int `json:"allocs"`
	Running int `json:"running"`
	Held    int `json:"held"` // GPUs
	Agents  int `json:"agents"`
	Readers int `json:"readers"` // streams of agents that are read
}

func (f *fleet) count() counts {
	c := counts{Nodes: len(f.nodes), Wanted: f.wanted}
	for _, n := range f.nodes {
		n.mu.Lock()
		if n.ready {
			c.Ready++
		}
		for _, a := range n.allocs {
			c.Allocs++
			if a.status == structs.AllocClientStatusRunning {
				c.Running++
			}
		}
		for _, d := range n.gpus {
			if d.holder != nil {
				c.Held++
			}
		}
		for _, ag := range n.agents {
			c.Agents++
			c.Readers += ag.reading()
		}
		n.mu.Unlock()
	}
	return c
}
