package main

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"stoker/gpu"
	"stoker/gpu/stream"
)

// How often a stream has everything, and the details of all GPUs, as the real
// agent's.
const (
	interval    = time.Second
	keyEvery    = 30
	detailEvery = 5
	// queue is how many lines a reader may be behind; one that is slower starts
	// again with a keyframe.
	queue        = 4
	writeTimeout = 10 * time.Second
)

// agent serves the readings of one node, at the address that the scheduler gave
// to its allocation. What it sends is encoded once for all readers.
type agent struct {
	node *node
	http *http.Server

	mu      sync.Mutex
	seq     uint64
	readers map[*reader]bool
	paused  chan struct{} // closed when it goes on; nil while it runs
}

type reader struct {
	lines  chan []byte
	behind bool // it missed a line
	plain  bool // it wants no details
}

// serveAgent lets the agent listen. The caller holds the node's lock.
func (n *node) serveAgent(a *alloc) {
	port, ok := a.ports.Get("http")
	if !ok {
		return
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(port.HostIP, strconv.Itoa(port.Value)))
	if err != nil {
		n.fleet.log.Printf("%s: agent: %v", n.shape.name, err)
		a.after(n, time.Second, func() { a.finish(n, 1) })
		return
	}
	ag := &agent{node: n, readers: map[*reader]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /v1/stream", ag.serveStream)
	mux.HandleFunc("GET /v1/snapshot", ag.serveSnapshot)
	ag.http = &http.Server{Handler: mux, ReadHeaderTimeout: writeTimeout}
	n.agents[a.id] = ag
	go func() { _ = ag.http.Serve(ln) }()
}

// close ends the agent and all its streams.
func (ag *agent) close() {
	ag.pause(false)
	_ = ag.http.Close()
}

// pause lets the agent stand still, or go on.
func (ag *agent) pause(still bool) {
	ag.mu.Lock()
	defer ag.mu.Unlock()
	switch {
	case still && ag.paused == nil:
		ag.paused = make(chan struct{})
	case !still && ag.paused != nil:
		close(ag.paused)
		ag.paused = nil
	}
}

// held waits while the agent stands still.
func (ag *agent) held(ctx context.Context) {
	ag.mu.Lock()
	ch := ag.paused
	ag.mu.Unlock()
	if ch != nil {
		select {
		case <-ch:
		case <-ctx.Done():
		}
	}
}

func (ag *agent) serveStream(w http.ResponseWriter, r *http.Request) {
	ag.held(r.Context())
	header, err := stream.MarshalHeader(stream.Header{Node: ag.node.id, NodeName: ag.node.shape.name, IntervalMS: interval.Milliseconds()})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	rd := ag.join(r.FormValue(stream.DetailParam) == stream.DetailNone)
	defer ag.leave(rd)
	w.Header().Set("Content-Type", "application/x-ndjson")
	ctl := http.NewResponseController(w)
	send := func(line []byte) bool {
		_ = ctl.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, err := w.Write(line)
		return err == nil && ctl.Flush() == nil
	}
	if !send(header) {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case line := <-rd.lines:
			if !send(line) {
				return
			}
		}
	}
}

func (ag *agent) serveSnapshot(w http.ResponseWriter, r *http.Request) {
	ag.held(r.Context())
	ag.node.mu.Lock()
	out, err := stream.MarshalBatch(ag.node.batch(nil))
	ag.node.mu.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(out)
}

// join adds a reader, who gets everything with the next reading.
func (ag *agent) join(plain bool) *reader {
	rd := &reader{lines: make(chan []byte, queue), behind: true, plain: plain}
	ag.mu.Lock()
	defer ag.mu.Unlock()
	ag.readers[rd] = true
	return rd
}

func (ag *agent) leave(rd *reader) {
	ag.mu.Lock()
	defer ag.mu.Unlock()
	delete(ag.readers, rd)
}

// reading counts the readers.
func (ag *agent) reading() int {
	ag.mu.Lock()
	defer ag.mu.Unlock()
	return len(ag.readers)
}

// publish hands the reading of now to the readers. The caller holds the node's lock.
func (ag *agent) publish(now time.Time, events []gpu.Event) {
	ag.mu.Lock()
	defer ag.mu.Unlock()
	if ag.paused != nil {
		return
	}
	ag.seq++
	lines := map[reader][]byte{} // by what the readers want
	for rd := range ag.readers {
		want := reader{behind: rd.behind || ag.seq%keyEvery == 0, plain: rd.plain}
		line := lines[want]
		if line == nil {
			if want.behind {
				line = ag.node.encodeKey(ag.seq, want.plain, events)
			} else {
				line = ag.node.encodeDelta(ag.seq, now, !want.plain && ag.seq%detailEvery == 0, events)
			}
			lines[want] = line
		}
		select {
		case rd.lines <- line:
			rd.behind = false
		default:
			rd.behind = true
		}
	}
}

// batch is the whole reading. It shares memory with the devices, so it is to be
// encoded before the node's lock is let go.
func (n *node) batch(events []gpu.Event) gpu.Batch {
	b := gpu.Batch{Node: n.id, Source: "agent", At: n.read, Driver: driverText, CUDA: cudaText, Events: events}
	for _, d := range n.gpus {
		b.Devices = append(b.Devices, d.device)
		b.Samples = append(b.Samples, d.reading(true))
	}
	return b
}

// sample reads all GPUs of the node and hands the reading on.
func (n *node) sample(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	dt := min(10, now.Sub(n.read).Seconds())
	if n.read.IsZero() {
		dt = interval.Seconds()
	}
	n.read = now
	var events []gpu.Event
	for _, d := range n.gpus {
		d.advance(now, dt)
		if d.judge(now) {
			n.health = true
			n.nudge()
		}
		events = append(events, d.events...)
		d.events = nil
	}
	for _, ag := range n.agents {
		ag.publish(now, events)
	}
}
