package proc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Engine learns from a container engine which Nomad task a container is. It
// asks in a goroutine of its own: an engine that hangs must not hold up samples.
type Engine struct {
	client *http.Client
	now    func() time.Time
	log    *slog.Logger
	asks   chan string

	mu    sync.Mutex
	known map[string]answer
	fails uint64
}

type answer struct {
	owner   owner
	done    bool      // false: asked, not answered yet
	expires time.Time // zero: true for the container's life
}

const (
	askTimeout  = 2 * time.Second
	forgetAfter = time.Minute // of "not a Nomad task" and of failures
	mostKnown   = 1024
)

// NewEngine speaks to the engine behind a unix socket, once it runs.
func NewEngine(socket string, now func() time.Time, log *slog.Logger) *Engine {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &Engine{
		client: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}},
		now:    now, log: log,
		asks:  make(chan string, 64),
		known: map[string]answer{},
	}
}

// lookup returns the task of a container; false: it is being asked, try later.
func (e *Engine) lookup(id string) (owner, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	a, ok := e.known[id]
	if ok && !a.done {
		return owner{}, false
	}
	if ok && (a.expires.IsZero() || e.now().Before(a.expires)) {
		return a.owner, true
	}
	if len(e.known) >= mostKnown {
		clear(e.known) // containers that ended are never told: begin anew
	}
	select {
	case e.asks <- id:
		e.known[id] = answer{}
	default: // full: the next sample asks again
	}
	return owner{}, false
}

// Run asks, until ctx ends.
func (e *Engine) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-e.asks:
			own, err := e.inspect(ctx, id)
			e.learn(id, own, err)
		}
	}
}

func (e *Engine) learn(id string, own owner, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := answer{owner: own, done: true}
	if own.allocID == "" {
		a.expires = e.now().Add(forgetAfter)
	}
	if err != nil {
		e.fails++
		e.log.Warn("container not joined to its task", "container", id[:12], "err", err)
	}
	e.known[id] = a
}

// Failures is how many questions had no answer.
func (e *Engine) Failures() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fails
}

// inspect reads a container's labels. Only name and labels are decoded: the
// answer also holds the environment, and with it secrets.
func (e *Engine) inspect(ctx context.Context, id string) (owner, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/containers/"+id+"/json", nil)
	if err != nil {
		return owner{}, err
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return owner{}, fmt.Errorf("ask the container engine: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return owner{}, nil // ended in the meantime, or another engine's
	}
	if resp.StatusCode != http.StatusOK {
		return owner{}, fmt.Errorf("ask the container engine: HTTP %d", resp.StatusCode)
	}
	var c struct {
		Name   string
		Config struct{ Labels map[string]string }
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 4<<20)).Decode(&c); err != nil {
		return owner{}, fmt.Errorf("read the container engine's answer: %w", err)
	}
	return taskOf(c.Name, c.Config.Labels), nil
}

// taskOf reads Nomad's labels. The task's name is a label only where Nomad was
// told so, but Nomad names every container TASK-ALLOC.
func taskOf(name string, labels map[string]string) owner {
	own := owner{allocID: labels["com.hashicorp.nomad.alloc_id"]}
	if !isUUID(own.allocID) {
		return owner{}
	}
	own.task = labels["com.hashicorp.nomad.task_name"]
	if own.task == "" {
		own.task, _ = strings.CutSuffix(strings.TrimPrefix(name, "/"), "-"+own.allocID)
	}
	if len(own.task) > longestTask {
		return owner{}
	}
	return own
}
