package main

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/nomad/nomad/structs"
)

// How a client paces itself. Nomad's own waits 200 ms too before it sends what
// its allocations did, so that what happens together is told together.
const (
	syncEvery = 200 * time.Millisecond
	retryLow  = time.Second
	retryMore = 2 * time.Second
)

// node is one simulated client.
type node struct {
	fleet  *fleet
	index  int
	shape  shape
	id     string
	secret string
	addr   netip.Addr
	wake   chan struct{} // something is to be told

	mu       sync.Mutex
	gpus     []*device
	allocs   map[string]*alloc
	dirty    map[string]bool        // allocations to be told of
	services map[string]*registered // by ID
	health   bool                   // of a GPU has changed: register again
	agents   map[string]*agent      // by allocation
	stop     context.CancelFunc     // ends its life; nil while it is down
	done     chan struct{}          // closed when its life has ended
	ready    bool                   // it has registered and the servers know it
	read     time.Time              // when the GPUs were read last
	hung     bool                   // its agents stand still
}

func newNode(f *fleet, i int) *node {
	n := &node{
		fleet: f, index: i, shape: shapeOf(i, f.conf.nodes), wake: make(chan struct{}, 1), addr: f.conf.address(i),
		allocs: map[string]*alloc{}, dirty: map[string]bool{}, services: map[string]*registered{}, agents: map[string]*agent{},
	}
	n.id, n.secret = f.identity.uuid("node", n.shape.name), f.identity.uuid("secret", n.shape.name)
	for k := range gpusPerNode {
		n.gpus = append(n.gpus, newDevice(f.identity, n.shape, k, time.Now()))
	}
	return n
}

// start lets the node live until kill, or until ctx ends.
func (n *node) start(ctx context.Context) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stop != nil {
		return
	}
	ctx, n.stop = context.WithCancel(ctx)
	n.done = make(chan struct{})
	go n.live(ctx, n.done)
}

// kill ends the client at once: no more heartbeats. With tasks its allocations
// end too, untold.
func (n *node) kill(tasks bool) {
	n.mu.Lock()
	stop, done := n.stop, n.done
	n.stop, n.ready = nil, false
	n.mu.Unlock()
	if stop != nil {
		stop()
		<-done
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.services {
		s.told = false // the servers drop what was registered on a node that is down
	}
	if tasks {
		for id, a := range n.allocs {
			a.end(n)
			delete(n.allocs, id)
		}
		clear(n.dirty)
	}
}

func (n *node) live(ctx context.Context, done chan struct{}) {
	defer close(done)
	l := newLink(n.fleet.servers, n.index, n.fleet.back, n.fleet.serveLogs)
	// The watcher waits for an answer for minutes: only the end of the connection ends it.
	context.AfterFunc(ctx, l.close)
	var wg sync.WaitGroup
	defer wg.Wait()
	if !n.fleet.admit(ctx) {
		return
	}
	ttl, ok := n.registerUntil(ctx, l)
	n.fleet.admitted()
	if !ok {
		return
	}
	n.mu.Lock()
	n.ready = true
	n.mu.Unlock()
	wg.Go(func() { n.watch(ctx, l) })
	wg.Go(func() { n.speak(ctx, l) })
	n.beats(ctx, l, ttl)
}

// registerUntil registers and says ready, again and again until both worked.
func (n *node) registerUntil(ctx context.Context, l *link) (time.Duration, bool) {
	for {
		err := n.register(l)
		var ttl time.Duration
		if err == nil {
			ttl, err = n.heartbeat(l)
		}
		if err == nil {
			return ttl, true
		}
		n.fleet.complain(ctx, n, "register", err)
		if !pause(ctx, retry()) {
			return 0, false
		}
	}
}

func retry() time.Duration { return retryLow + rand.N(retryMore) }

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (n *node) write() structs.WriteRequest {
	return structs.WriteRequest{Region: region, AuthToken: n.secret}
}

// register shows the secret inside and none outside: a node that is new has none
// that the servers could know.
func (n *node) register(l *link) error {
	req := structs.NodeRegisterRequest{Node: n.registration(), WriteRequest: structs.WriteRequest{Region: region}}
	var resp structs.NodeUpdateResponse
	return l.call("Node.Register", &req, &resp)
}

func (n *node) heartbeat(l *link) (ttl time.Duration, err error) {
	req := structs.NodeUpdateStatusRequest{NodeID: n.id, Status: structs.NodeStatusReady, WriteRequest: n.write()}
	var resp structs.NodeUpdateResponse
	if err := l.call("Node.UpdateStatus", &req, &resp); err != nil {
		return 0, err
	}
	return resp.HeartbeatTTL, nil
}

// speak tells the servers what happens: what allocations did, which services are
// there, and that the health of a GPU has changed.
func (n *node) speak(ctx context.Context, l *link) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		}
		if !pause(ctx, syncEvery) {
			return
		}
		if err := n.tell(l); err != nil {
			n.fleet.complain(ctx, n, "report", err)
			n.nudge()
			if !pause(ctx, retry()) {
				return
			}
		}
	}
}

// beats sends heartbeats.
func (n *node) beats(ctx context.Context, l *link, ttl time.Duration) {
	// Those that registered together need not beat together.
	for next := rand.N(max(ttl, time.Second)); pause(ctx, next); {
		next = n.beat(ctx, l)
	}
}

// beat sends one heartbeat and gives the time to the next.
func (n *node) beat(ctx context.Context, l *link) time.Duration {
	ttl, err := n.heartbeat(l)
	switch {
	case err == nil:
		return ttl
	case strings.Contains(err.Error(), "node not found"):
		if ttl, ok := n.registerUntil(ctx, l); ok {
			return ttl
		}
	}
	n.fleet.complain(ctx, n, "heartbeat", err)
	return retry()
}

// nudge makes speak tell what there is to tell.
func (n *node) nudge() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *node) tell(l *link) error {
	n.mu.Lock()
	again := n.health
	n.health = false
	n.mu.Unlock()
	if again {
		if err := n.register(l); err != nil {
			n.mu.Lock()
			n.health = true
			n.mu.Unlock()
			return err
		}
	}
	if err := n.tellAllocs(l); err != nil {
		return err
	}
	return n.tellServices(l)
}

// tellAllocs sends what the allocations that changed are now.
func (n *node) tellAllocs(l *link) error {
	n.mu.Lock()
	var updates []*structs.Allocation
	for id := range n.dirty {
		if a := n.allocs[id]; a != nil {
			updates = append(updates, a.update(n.id))
		}
	}
	clear(n.dirty)
	n.mu.Unlock()
	if len(updates) == 0 {
		return nil
	}
	var resp structs.GenericResponse
	err := l.call("Node.UpdateAlloc", &structs.AllocUpdateRequest{Alloc: updates, WriteRequest: n.write()}, &resp)
	if err != nil {
		n.mu.Lock()
		for _, u := range updates {
			n.dirty[u.ID] = true
		}
		n.mu.Unlock()
	}
	return err
}

// watch follows what the servers want to run here.
func (n *node) watch(ctx context.Context, l *link) {
	var index uint64
	for ctx.Err() == nil {
		next, err := n.follow(l, index)
		if err != nil {
			n.fleet.complain(ctx, n, "watch", err)
			if !pause(ctx, retry()) {
				return
			}
			continue
		}
		index = max(index, next)
	}
}

// follow waits until something is newer than index, and takes it.
func (n *node) follow(l *link, index uint64) (uint64, error) {
	req := structs.NodeSpecificRequest{
		NodeID: n.id, SecretID: n.secret,
		QueryOptions: structs.QueryOptions{Region: region, AuthToken: n.secret, MinQueryIndex: index, AllowStale: index > 0},
	}
	var resp structs.NodeClientAllocsResponse
	if err := l.call("Node.GetClientAllocs", &req, &resp); err != nil {
		return 0, err
	}
	if resp.Index <= index {
		return index, nil
	}
	var pull []string
	var newest uint64
	n.mu.Lock()
	for id, modified := range resp.Allocs {
		if a := n.allocs[id]; a == nil || modified > a.index {
			pull, newest = append(pull, id), max(newest, modified)
		}
	}
	n.mu.Unlock()
	var pulled structs.AllocsGetResponse
	if len(pull) > 0 {
		get := structs.AllocsGetRequest{AllocIDs: pull, QueryOptions: structs.QueryOptions{
			Region: region, AuthToken: n.secret, AllowStale: true, MinQueryIndex: newest - 1,
		}}
		if err := l.call("Alloc.GetAllocs", &get, &pulled); err != nil {
			return 0, err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, a := range n.allocs {
		if _, wanted := resp.Allocs[id]; !wanted {
			a.end(n)
			delete(n.allocs, id)
		}
	}
	for _, a := range pulled.Allocs {
		n.take(a)
	}
	return resp.Index, nil
}
