package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"stoker/cluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// heard is what a Source emitted, in order, behind a lock.
type heard struct {
	mu       sync.Mutex
	models   [][]cluster.ModelSample
	training [][]cluster.TrainingSample
	status   []cluster.SourceStatus
	changed  chan struct{}
}

func listen() *heard { return &heard{changed: make(chan struct{}, 1)} }

func (h *heard) note(add func()) {
	h.mu.Lock()
	add()
	h.mu.Unlock()
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// run starts a Source and stops it at the end of the test.
func (h *heard) run(t *testing.T, s Source, endpoints func() []Endpoint) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- s.Run(
			ctx, endpoints,
			func(rows []cluster.ModelSample) { h.note(func() { h.models = append(h.models, rows) }) },
			func(rows []cluster.TrainingSample) { h.note(func() { h.training = append(h.training, rows) }) },
			func(st cluster.SourceStatus) { h.note(func() { h.status = append(h.status, st) }) },
		)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("run ended with %v", err)
		}
	})
}

// until waits for a state of what was heard.
func (h *heard) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		h.mu.Lock()
		ok := is()
		h.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-h.changed:
		case <-deadline:
			h.mu.Lock()
			defer h.mu.Unlock()
			t.Fatalf("no %s; last status %+v", what, h.status[max(len(h.status)-1, 0):])
		}
	}
}

func (h *heard) lastModels() []cluster.ModelSample {
	if len(h.models) == 0 {
		return nil
	}
	return h.models[len(h.models)-1]
}

func (h *heard) lastStatus() cluster.SourceStatus {
	if len(h.status) == 0 {
		return cluster.SourceStatus{}
	}
	return h.status[len(h.status)-1]
}

func server(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

func pages(texts ...string) http.HandlerFunc {
	var n atomic.Int64
	return func(w http.ResponseWriter, _ *http.Request) {
		i := min(int(n.Add(1)), len(texts)) - 1
		_, _ = fmt.Fprint(w, texts[i])
	}
}

func at(url, job, alloc string) Endpoint {
	e := endpoint(job, alloc)
	e.URL = url + "/metrics"
	return e
}

func TestRun(t *testing.T) {
	model := at(server(t, pages(file(t, "serve-1.txt"), file(t, "serve-2.txt"))), "digits", "a")
	train := at(server(t, pages(file(t, "training-1.txt"), file(t, "training-2.txt"))), "train", "b")
	h := listen()
	var gone atomic.Bool
	h.run(t, Source{Interval: 20 * time.Millisecond, Place: cluster.Place{Cluster: "c"}}, func() []Endpoint {
		if gone.Load() {
			return nil
		}
		return []Endpoint{model, train}
	})
	h.until(t, "model row with a rate", func() bool {
		rows := h.lastModels()
		return len(rows) == 1 && rows[0].Requests != nil && *rows[0].RequestsServed == 223 && rows[0].Cluster == "c"
	})
	h.until(t, "training row", func() bool {
		return len(h.training) > 0 && *h.training[len(h.training)-1][0].Step == 239
	})
	h.until(t, "live status", func() bool { return h.lastStatus().State == cluster.SourceLive && !h.lastStatus().AsOf.IsZero() })
	gone.Store(true)
	h.until(t, "empty list after the endpoints left", func() bool { return len(h.models) > 0 && len(h.lastModels()) == 0 })
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

// A hundred endpoints that accept and never answer take no time from one that
// does. The time is that of a bubble, so what the machine takes is no part of it.
func TestDeadEndpointsDelayNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := pages(file(t, "serve-1.txt"), file(t, "serve-2.txt"))
		network := newPipes()
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Host == "live" {
				answer(w, r)
				return
			}
			<-r.Context().Done()
		})}
		go func() { _ = srv.Serve(network) }()
		t.Cleanup(func() { _ = srv.Close() })
		var list []Endpoint
		for i := range 100 {
			list = append(list, at("http://dead", "dead", fmt.Sprint("dead", i)))
		}
		list = append(list, at("http://live", "digits", "live"))
		h := listen()
		const interval = 20 * time.Millisecond
		h.run(t, Source{Interval: interval, Dial: network.Dial}, func() []Endpoint { return list })
		begun := time.Now()
		h.until(t, "ten rows of the live one", func() bool { return len(h.models) >= 10 })
		if took := time.Since(begun); took > 10*interval {
			t.Errorf("ten rounds of %s took %s", interval, took)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		for i, rows := range h.models {
			if len(rows) != 1 || rows[0].RequestsServed == nil {
				t.Errorf("round %d: %+v", i, rows)
			}
		}
	})
}

func TestStatusNamesWhoDoesNotAnswer(t *testing.T) {
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := refusing.Addr().String()
	if err := refusing.Close(); err != nil {
		t.Fatal(err)
	}
	live := at(server(t, pages(file(t, "serve-1.txt"))), "digits", "a")
	dead := at("http://"+address, "broken", "b")
	h := listen()
	h.run(t, Source{Interval: 10 * time.Millisecond}, func() []Endpoint { return []Endpoint{live, dead} })
	h.until(t, "retrying status", func() bool { return h.lastStatus().State == cluster.SourceRetrying })
	h.mu.Lock()
	defer h.mu.Unlock()
	st := h.lastStatus()
	want := "1 of 2 endpoints do not answer: default/broken at " + address + "/metrics: connect: connection refused"
	if st.Name != "metrics" || st.Err != want || st.Retry.IsZero() {
		t.Errorf("status %+v, want error %q", st, want)
	}
	for _, s := range h.status[:min(failures-1, len(h.status))] {
		if s.State != cluster.SourceLive {
			t.Errorf("status %+v before %d failures", s, failures)
		}
	}
}

func TestFetchRefuses(t *testing.T) {
	secret := server(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, "404 Not Found"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, secret, http.StatusFound) }, "302 Found"},
		{"no metrics", pages("<html>"), "read metrics"},
		{"too long", func(w http.ResponseWriter, _ *http.Request) {
			line := strings.Repeat("x", 1000) + " 1\n"
			for range maxPage/len(line) + 2 {
				_, _ = w.Write([]byte(line))
			}
		}, "more than 8 MiB"},
	}
	client := newClient(nil)
	t.Cleanup(client.CloseIdleConnections)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := fetch(context.Background(), client, server(t, tt.handler))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestEndpoints(t *testing.T) {
	service := func(job, alloc, address string, port int, tags ...string) cluster.Service {
		return cluster.Service{ID: cluster.ServiceID(job + alloc), Namespace: "default", Job: job, Alloc: cluster.AllocID(alloc), Address: address, Port: port, Tags: tags}
	}
	job := cluster.Job{ID: cluster.JobID{Namespace: "default", Name: "chat"}, Model: "chat", ModelVer: "7"}
	s := snapshot(t, cluster.Update{
		Lists: cluster.SetAll,
		Jobs:  []cluster.Job{job},
		Allocs: []cluster.Alloc{
			{ID: "a2", Job: job.ID, Client: "running"},
			{ID: "a9", Job: job.ID, Client: "complete"},
		},
		Services: []cluster.Service{
			service("chat", "a2", "10.0.0.2", 8000, "web", "stoker.metrics=/metrics"),
			service("chat", "a1", "::1", 8000, "stoker.metrics=/v1/metrics?x=1"),
			service("chat", "a9", "10.0.0.9", 8000, "stoker.metrics=/metrics"),
			service("chat", "a3", "10.0.0.3", 8000),
			service("chat", "a4", "10.0.0.4", 8000, "stoker.metrics=metrics"),
			service("chat", "a5", "x@10.0.0.5", 8000, "stoker.metrics=/metrics"),
			service("other", "a6", "10.0.0.6", 9000, "stoker.metrics=/m"),
		},
	})
	want := []Endpoint{
		{URL: "http://[::1]:8000/v1/metrics?x=1", Job: job.ID, Alloc: "a1", Model: "chat", Version: "7"},
		{URL: "http://10.0.0.2:8000/metrics", Job: job.ID, Alloc: "a2", Model: "chat", Version: "7"},
		{URL: "http://10.0.0.6:9000/m", Job: cluster.JobID{Namespace: "default", Name: "other"}, Alloc: "a6"},
	}
	if diff := cmp.Diff(want, Endpoints(s)); diff != "" {
		t.Error(diff)
	}
}

// snapshot folds an update as the program does.
func snapshot(t *testing.T, u cluster.Update) *cluster.Snapshot {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	feed := cluster.NewFeed(cluster.Place{}, time.Now)
	snapshots, stop := feed.Subscribe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = feed.Run(ctx)
	}()
	feed.Scheduler(u)
	s := <-snapshots
	stop()
	cancel()
	<-done
	return s
}
