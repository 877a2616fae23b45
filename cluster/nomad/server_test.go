package nomad

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stoker/cluster"
	"stoker/secrets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The bodies in testdata were answered by Nomad 1.11.3 with one node of two
// simulated GPUs, and cut down to the fields that somebody might read.

const patience = time.Minute // more than a slow machine needs; a test that passes never waits for it

// server answers with recorded bodies and hands out event streams.
type server struct {
	*httptest.Server
	t       *testing.T
	streams chan *stream
	kept    []*stream // that next came across
	pipes   *pipes    // nil where there is a network

	mu     sync.Mutex
	asked  []request
	answer map[string]http.HandlerFunc // by method and path; instead of what was recorded
}

type request struct {
	method, path string
	query        url.Values
	token        string
	body         string
}

// stream is one open event stream.
type stream struct {
	topics    []string
	namespace string
	index     string
	lines     chan string
	done      <-chan struct{}
}

func newServer(t *testing.T) *server {
	s := &server{t: t, streams: make(chan *stream, 16), answer: map[string]http.HandlerFunc{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// pipes are connections within this process, for a server in a bubble.
type pipes struct {
	conns  chan net.Conn
	closed context.Context
	close  context.CancelFunc
}

func newPipes() *pipes {
	ctx, cancel := context.WithCancel(context.Background())
	return &pipes{make(chan net.Conn), ctx, cancel}
}

func (p *pipes) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed.Done():
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed.Done():
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.close(); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4646} }

// inBubble makes a server and a client that meet without a network, so that in
// a bubble the timings of the client can be tested: there time passes only while
// both wait, whatever the machine takes.
func inBubble(t *testing.T) (*server, *Client) {
	t.Helper()
	s := &server{t: t, streams: make(chan *stream, 16), answer: map[string]http.HandlerFunc{}}
	network := newPipes()
	s.pipes = network
	s.Server = &httptest.Server{Listener: network, Config: &http.Server{Handler: s}} //nolint:gosec // nobody is slow here
	s.Start()
	t.Cleanup(s.Close)
	return s, dial(t, Config{Address: s.URL, Dial: network.Dial})
}

func (s *server) on(route string, h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer[route] = h
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := new(strings.Builder)
	if _, err := bufio.NewReader(r.Body).WriteTo(body); err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	s.asked = append(s.asked, request{r.Method, r.URL.Path, r.URL.Query(), r.Header.Get("X-Nomad-Token"), body.String()})
	h := s.answer[r.Method+" "+r.URL.Path]
	s.mu.Unlock()
	switch {
	case h != nil:
		r.Body = http.NoBody
		h(w, r)
	case r.URL.Path == "/v1/event/stream":
		s.stream(w, r, `{}`)
	default:
		s.recorded(w, r)
	}
}

// recorded lists what was recorded, and at which index.
func (s *server) recorded(w http.ResponseWriter, r *http.Request) {
	files := map[string]struct {
		name  string
		index string
	}{
		"/v1/nodes": {"nodes.json", "201"}, "/v1/jobs": {"jobs.json", "201"}, "/v1/allocations": {"allocations.json", "201"},
		"/v1/deployments": {"deployments.json", "192"}, "/v1/evaluations": {"evaluations.json", "199"}, "/v1/services": {"services.json", "188"},
		"/v1/job/digits": {"job-digits.json", "192"}, "/v1/job/big": {"job-big.json", "197"}, "/v1/service/digits": {"service-digits.json", "188"},
		"/v1/client/stats": {"client-stats.json", "201"},
	}
	f, ok := files[r.URL.Path]
	if !ok || r.Method != http.MethodGet {
		http.Error(w, "job not found", http.StatusNotFound)
		return
	}
	w.Header().Set("X-Nomad-Index", f.index)
	body := file(s.t, f.name)
	if r.URL.Query().Get("task_states") == "false" {
		var rows []map[string]any
		if err := json.Unmarshal(body, &rows); err != nil {
			s.t.Error(err)
		}
		for _, row := range rows {
			delete(row, "TaskStates")
		}
		body, _ = json.Marshal(rows)
	}
	_, _ = w.Write(body)
}

// stream begins with a greeting, then sends what the test puts into lines; it
// breaks when they are closed.
func (s *server) stream(w http.ResponseWriter, r *http.Request, greeting string) {
	st := &stream{
		topics: r.URL.Query()["topic"], namespace: r.URL.Query().Get("namespace"), index: r.URL.Query().Get("index"),
		lines: make(chan string, 100), done: r.Context().Done(),
	}
	w.WriteHeader(http.StatusOK)
	send := func(text string) {
		_, _ = fmt.Fprintln(w, text)
		w.(http.Flusher).Flush()
	}
	if greeting == "" {
		w.(http.Flusher).Flush()
	} else {
		send(greeting)
	}
	select {
	case s.streams <- st:
	case <-r.Context().Done(): // nobody asks for it
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case line, open := <-st.lines:
			if !open {
				return
			}
			send(line)
		}
	}
}

// refusing opens streams of jobs, but not of these namespaces.
func (s *server) refusing(namespaces ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if slices.Contains(q["topic"], "Job") && slices.Contains(namespaces, q.Get("namespace")) {
			http.Error(w, "Permission denied", http.StatusForbidden)
			return
		}
		s.stream(w, r, "{}")
	}
}

// next waits for the next stream that has the topic, and keeps the others for
// whoever asks for them.
func (s *server) next(topic string) *stream {
	s.t.Helper()
	has := func(st *stream) bool { return slices.Contains(st.topics, topic) }
	if i := slices.IndexFunc(s.kept, has); i >= 0 {
		st := s.kept[i]
		s.kept = slices.Delete(s.kept, i, i+1)
		return st
	}
	deadline := time.After(patience)
	for {
		select {
		case st := <-s.streams:
			if has(st) {
				return st
			}
			s.kept = append(s.kept, st)
		case <-deadline:
			s.t.Fatalf("no stream of topic %s was opened", topic)
		}
	}
}

// count is how often a path was asked for.
func (s *server) count(path string) int { return len(s.asks(path)) }

// asks are the queries of all requests for a path, the first first.
func (s *server) asks(path string) (out []url.Values) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.asked {
		if r.path == path {
			out = append(out, r.query)
		}
	}
	return out
}

// last is the last request for a path.
func (s *server) last(path string) request {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range slices.Backward(s.asked) {
		if r.path == path {
			return r
		}
	}
	s.t.Fatalf("%s was never asked for", path)
	return request{}
}

func file(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// recordedEvents is the recorded lines of a stream by index.
func recordedEvents(t *testing.T, name string) (lines []string, indexes []uint64) {
	t.Helper()
	for line := range strings.Lines(string(file(t, name))) {
		var e struct{ Index uint64 }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		lines, indexes = append(lines, strings.TrimSpace(line)), append(indexes, e.Index)
	}
	return lines, indexes
}

func status(code int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = w.Write([]byte(text))
	}
}

func place() cluster.Place { return cluster.Place{Cluster: "c", Region: "r"} }

// clock moves on by a second each time it is read.
func clock() func() time.Time {
	var n atomic.Int64
	return func() time.Time {
		return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n.Add(1)) * time.Second)
	}
}

func open(t *testing.T, address string, tokens ...string) *Client {
	t.Helper()
	cfg := Config{Address: address}
	if len(tokens) > 0 {
		var n atomic.Int64
		cfg.Token = func(context.Context) (secrets.Secret, error) {
			return secrets.New(tokens[min(int(n.Add(1)), len(tokens))-1]), nil
		}
	}
	return dial(t, cfg)
}

func dial(t *testing.T, cfg Config) *Client {
	t.Helper()
	c, err := Open(place(), cfg, clock())
	if err != nil {
		t.Fatal(err)
	}
	c.wait.firstRetry, c.wait.lastRetry = 5*time.Millisecond, 20*time.Millisecond
	c.Early() // as the screen has it
	return c
}

// run is a Client that runs into a Feed, with all that it says of its sources.
type run struct {
	t    *testing.T
	feed *cluster.Feed
	mu   sync.Mutex
	said []cluster.SourceStatus
}

func start(t *testing.T, c *Client) *run {
	t.Helper()
	r := &run{t: t, feed: cluster.NewFeed(place(), time.Now)}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = r.feed.Run(ctx) })
	all.Go(func() {
		_ = c.Run(ctx, r.feed.Scheduler, func(s cluster.SourceStatus) {
			r.mu.Lock()
			r.said = append(r.said, s)
			r.mu.Unlock()
			r.feed.Source(s)
		})
	})
	t.Cleanup(func() { cancel(); all.Wait() })
	return r
}

// until waits for a snapshot for which ok holds.
func (r *run) until(what string, ok func(*cluster.Snapshot) bool) *cluster.Snapshot {
	r.t.Helper()
	ch, stop := r.feed.Subscribe()
	defer stop()
	deadline := time.After(patience)
	for {
		select {
		case s := <-ch:
			if ok(s) {
				return s
			}
		case <-deadline:
			r.t.Fatalf("never came: %s; last was\n%s\nsources %+v", what, picture(r.feed.Latest()), r.feed.Latest().Sources)
		}
	}
}

// picture is what matters of a snapshot here, one line each.
func picture(s *cluster.Snapshot) string {
	var b strings.Builder
	for _, n := range s.Nodes {
		fmt.Fprintf(&b, "node %s %s eligible=%v draining=%v gpus=%d\n", n.Name, n.Status, n.Eligible, n.Draining, len(n.Devices))
	}
	for _, j := range s.Jobs {
		fmt.Fprintf(&b, "job %s v%d %s running=%d gpus=%d waiting=%v: %s\n", j.ID, j.Version, j.Status, j.Running, j.GPUsHeld, j.Waiting != nil, s.Outcome(j.ID).Text)
	}
	for _, a := range s.Allocs {
		fmt.Fprintf(&b, "alloc %s %s v%d %s/%s deployment=%s\n", a.ID.Short(), a.Name, a.JobVersion, a.Desired, a.Client, a.Deployment.Short())
	}
	for _, g := range s.GPUs {
		if g.Holder != nil {
			fmt.Fprintf(&b, "gpu %s/%d held by %s of %s\n", g.NodeName, g.Index, g.Holder.Task, g.Holder.Alloc.Short())
		}
	}
	for _, v := range s.Services {
		fmt.Fprintf(&b, "service %s of %s at %s:%d\n", v.Name, v.Job, v.Address, v.Port)
	}
	return b.String()
}
