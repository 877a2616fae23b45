package nomad

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/charmbracelet/x/exp/golden"
	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
)

// TestRecordedDay plays the lists and the events that a real agent sent while a
// job was updated, its node drained and opened again, and all jobs stopped,
// purged and collected.
func TestRecordedDay(t *testing.T) {
	srv := newServer(t)
	r := start(t, open(t, srv.URL))
	streams := map[string]*stream{"nomad": srv.next("Job"), "nomad/nodes": srv.next("Node")}
	files := map[string]string{"nomad": "events.ndjson", "nomad/nodes": "events-nodes.ndjson"}
	sent := map[string]int{}
	var all strings.Builder
	fmt.Fprintf(&all, "after the lists\n%s\n", picture(r.settled(sent)))
	from := uint64(1)
	for _, upto := range []uint64{206, 213, 217, 231, 241, 251} {
		for source, st := range streams {
			lines, indexes := recordedEvents(t, files[source])
			for i, line := range lines {
				if indexes[i] >= from && indexes[i] <= upto {
					st.lines <- line
					sent[source]++
				}
			}
		}
		fmt.Fprintf(&all, "after event %d\n%s\n", upto, picture(r.settled(sent)))
		from = upto + 1
	}
	golden.RequireEqual(t, []byte(all.String()))
}

// settled waits until all lines that were sent have been folded: each makes
// its source say once that it is live, as do the list and the greeting.
func (r *run) settled(sent map[string]int) *cluster.Snapshot {
	r.t.Helper()
	return r.until("all lines", func(s *cluster.Snapshot) bool {
		for _, source := range []string{"nomad", "nomad/nodes"} {
			live := r.live(source)
			if len(live) < sent[source]+2 || s.Source(source) == nil || s.Source(source).AsOf.Before(live[len(live)-1]) {
				return false
			}
		}
		return true
	})
}

// live is when the source said that it is.
func (r *run) live(source string) (at []time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.said {
		if s.Name == source && s.State == cluster.SourceLive {
			at = append(at, s.AsOf)
		}
	}
	return at
}

func (r *run) states(source string) (out []cluster.SourceState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.said {
		if s.Name == source && (len(out) == 0 || out[len(out)-1] != s.State) {
			out = append(out, s.State)
		}
	}
	return out
}

func TestWhatIsAsked(t *testing.T) {
	srv := newServer(t)
	r := start(t, open(t, srv.URL, "t0k"))
	jobs, nodes := srv.next("Job"), srv.next("Node")
	r.until("the lists", func(s *cluster.Snapshot) bool { return s.Ready })
	if d := cmp.Diff([]string{"Job", "Allocation", "Deployment", "Evaluation", "Service"}, jobs.topics); d != "" {
		t.Error(d)
	}
	if jobs.namespace != "*" {
		t.Errorf("jobs stream in %q", jobs.namespace)
	}
	for _, s := range []*stream{jobs, nodes} { // what was before is in the lists
		if s.index != fromNow {
			t.Errorf("the stream of %v begins at %q", s.topics, s.index)
		}
	}
	if !slices.Equal(nodes.topics, []string{"Node"}) {
		t.Errorf("nodes stream %v", nodes.topics)
	}
	// The nodes are listed while it is subscribed. Afterwards their index is enough.
	for i, want := range []string{"namespace=%2A&resources=true", "namespace=%2A&per_page=1"} {
		if asked := srv.asks("/v1/nodes"); len(asked) != 2 || asked[i].Encode() != want {
			t.Errorf("nodes: asked with %v, want %s", asked, want)
		}
	}
	for _, want := range []struct{ path, query string }{
		{"/v1/jobs", "meta=true&namespace=%2A"},
		{"/v1/job/digits", "namespace=default"},
		{"/v1/job/big", "namespace=default"},
		{"/v1/deployments", "namespace=%2A"},
		{"/v1/evaluations", "namespace=%2A"},
		{"/v1/services", "namespace=%2A"},
		{"/v1/service/digits", "namespace=default"},
	} {
		got := srv.last(want.path)
		if got.query.Encode() != want.query || got.token != "t0k" || srv.count(want.path) != 1 {
			t.Errorf("%s: asked %d times with %q and token %q, want once with %q", want.path, srv.count(want.path), got.query.Encode(), got.token, want.query)
		}
	}
	// First without the story of tasks, which is most of the answer, then with it.
	r.until("tasks", func(s *cluster.Snapshot) bool { return len(s.Allocs) > 0 && s.Allocs[0].Tasks[0].State != "" })
	if got := srv.last("/v1/allocations").query.Encode(); got != "namespace=%2A&resources=true" || srv.count("/v1/allocations") != 2 || srv.asks("/v1/allocations")[0].Get("task_states") != "false" {
		t.Errorf("allocations: %v", srv.asks("/v1/allocations"))
	}
	if srv.count("/v1/job/train") != 0 {
		t.Error("the specification of a dead job was asked for")
	}
}

// TestAllAtOnce: who prints once has all of the allocations when it has any.
func TestAllAtOnce(t *testing.T) {
	srv := newServer(t)
	c := open(t, srv.URL)
	c.early = false
	r := start(t, c)
	srv.next("Job")
	s := r.until("the lists", func(s *cluster.Snapshot) bool { return len(s.Allocs) > 0 })
	for i := range s.Allocs {
		for _, task := range s.Allocs[i].Tasks {
			if task.State == "" {
				t.Errorf("what became of task %s of %s is not known", task.Name, s.Allocs[i].Name)
			}
		}
	}
	r.settled(nil)
	if asked := srv.asks("/v1/allocations"); len(asked) != 1 || asked[0].Has("task_states") {
		t.Errorf("allocations: %v", asked)
	}
}

func TestHeartbeatsKeepASourceLive(t *testing.T) {
	srv := newServer(t)
	r := start(t, open(t, srv.URL))
	jobs := srv.next("Job")
	before := r.settled(nil)
	jobs.lines <- "{}"
	after := r.settled(map[string]int{"nomad": 1})
	if !after.Source("nomad").AsOf.After(before.Source("nomad").AsOf) {
		t.Error("a heartbeat did not make the source younger")
	}
	if d := cmp.Diff(picture(before), picture(after)); d != "" {
		t.Error("a heartbeat changed rows", d)
	}
}

func TestSilentStreamListsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, c := inBubble(t)
		r := start(t, c)
		srv.next("Node") // greeted, then nothing more: not even heartbeats
		began := time.Now()
		srv.next("Node")
		if took := time.Since(began); took < c.wait.silent || took > c.wait.silent+c.wait.lastRetry {
			t.Errorf("listed again after %s, want %s and a pause", took, c.wait.silent)
		}
		if got := r.states("nomad/nodes"); !slices.Contains(got, cluster.SourceRetrying) {
			t.Errorf("states %v", got)
		}
		synctest.Wait() // the list follows the stream
		if n := lists(srv); n != 2 {
			t.Errorf("listed %d times", n)
		}
	})
}

// lists is how often all nodes were asked for.
func lists(s *server) (n int) {
	for _, q := range s.asks("/v1/nodes") {
		if q.Get("resources") == "true" {
			n++
		}
	}
	return n
}

func TestBrokenStreamListsAgain(t *testing.T) {
	for name, breakIt := range map[string]func(*stream){
		"closed":  func(s *stream) { close(s.lines) },
		"garbage": func(s *stream) { s.lines <- `{"Events": [}` },
	} {
		t.Run(name, func(t *testing.T) {
			srv := newServer(t)
			r := start(t, open(t, srv.URL))
			jobs := srv.next("Job")
			r.until("the lists", func(s *cluster.Snapshot) bool { return s.Ready })
			srv.on("GET /v1/allocations", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Nomad-Index", "300")
				_, _ = w.Write([]byte("[]"))
			})
			breakIt(jobs)
			again := srv.next("Job")
			s := r.until("the new list", func(s *cluster.Snapshot) bool { return len(s.Allocs) == 0 })
			if len(s.Jobs) != 3 {
				t.Errorf("%d jobs after listing again", len(s.Jobs))
			}
			r.until("live again", func(s *cluster.Snapshot) bool { return s.Source("nomad").State == cluster.SourceLive })
			want := []cluster.SourceState{cluster.SourceStarting, cluster.SourceLive, cluster.SourceRetrying, cluster.SourceLive}
			if d := cmp.Diff(want, r.states("nomad")); d != "" {
				t.Error(d)
			}
			// A stream that begins before the list repeats what is gone meanwhile.
			lines, indexes := recordedEvents(t, "events.ndjson")
			again.lines <- lines[slices.Index(indexes, 203)]
			again.lines <- `{"Index":301,"Events":[{"Topic":"Allocation","Type":"PlanResult","Index":301,"Payload":{"Allocation":{"ID":"new","JobID":"digits","Namespace":"default","ModifyIndex":301,"ClientStatus":"pending"}}}]}`
			s = r.until("the new allocation", func(s *cluster.Snapshot) bool { return s.Alloc("new") != nil })
			if len(s.Allocs) != 1 {
				t.Errorf("an old event revived what the list did not hold:\n%s", picture(s))
			}
		})
	}
}

func TestListsAgainInTime(t *testing.T) {
	srv := newServer(t)
	c := open(t, srv.URL)
	c.wait.relist = 30 * time.Millisecond
	r := start(t, c)
	for range 3 {
		srv.next("Node")
	}
	if got := r.states("nomad/nodes"); slices.Contains(got, cluster.SourceRetrying) {
		t.Errorf("listing again is no failure: %v", got)
	}
}

func TestDeniedClassAlone(t *testing.T) {
	srv := newServer(t)
	srv.on("GET /v1/nodes", status(http.StatusForbidden, "Permission denied"))
	r := start(t, open(t, srv.URL))
	s := r.until("both classes", func(s *cluster.Snapshot) bool {
		return s.Ready && s.Source("nomad/nodes").State == cluster.SourceDenied && s.Source("nomad").State == cluster.SourceLive
	})
	if len(s.Jobs) != 3 || len(s.Nodes) != 0 || !strings.Contains(s.Source("nomad/nodes").Err, "denied") {
		t.Errorf("%d jobs, %d nodes, nodes: %+v", len(s.Jobs), len(s.Nodes), s.Source("nomad/nodes"))
	}
	if s.Source("nomad/nodes").Retry.IsZero() {
		t.Error("no word on when it is tried again")
	}
	srv.on("GET /v1/nodes", nil) // the right was granted
	r.until("nodes", func(s *cluster.Snapshot) bool {
		return len(s.Nodes) == 1 && s.Source("nomad/nodes").State == cluster.SourceLive
	})
}

// TestNamespaceByNamespace: Nomad refuses a stream over all namespaces when one
// is denied. Before 1.11 it said so; since then it accepts and stays silent.
func TestNamespaceByNamespace(t *testing.T) {
	for name, refuse := range map[string]func(*server, http.ResponseWriter, *http.Request){
		"forbidden": func(_ *server, w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "Permission denied", http.StatusForbidden)
		},
		"silent": func(s *server, w http.ResponseWriter, r *http.Request) { s.stream(w, r, "") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, c := inBubble(t)
				srv.on("GET /v1/namespaces", status(http.StatusOK, `[{"Name":"default"},{"Name":"hidden"},{"Name":"prod"}]`))
				srv.on("GET /v1/allocations", func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Query().Get("namespace") == "hidden" {
						http.Error(w, "Permission denied", http.StatusForbidden)
						return
					}
					srv.recorded(w, r)
				})
				srv.on("GET /v1/event/stream", func(w http.ResponseWriter, r *http.Request) {
					if ns := r.URL.Query().Get("namespace"); r.URL.Query().Get("topic") == "Job" && (ns == "*" || ns == "hidden") {
						refuse(srv, w, r)
						return
					}
					srv.stream(w, r, "{}")
				})
				r := start(t, c)
				open := map[string]*stream{}
				for len(open) < 2 {
					if st := srv.next("Job"); st.namespace == "default" || st.namespace == "prod" {
						open[st.namespace] = st
					}
				}
				open["prod"].lines <- `{"Index":400,"Events":[{"Topic":"Job","Type":"JobRegistered","Index":400,"Payload":{"Job":{"ID":"x","Namespace":"prod","ModifyIndex":400}}}]}`
				open["default"].lines <- `{"Index":401,"Events":[{"Topic":"Job","Type":"JobRegistered","Index":401,"Payload":{"Job":{"ID":"y","Namespace":"default","ModifyIndex":401}}}]}`
				r.until("both jobs", func(s *cluster.Snapshot) bool { return len(s.Jobs) == 5 })
				if got := r.states("nomad"); slices.Contains(got, cluster.SourceDenied) || slices.Contains(got, cluster.SourceRetrying) {
					t.Errorf("states %v", got)
				}
			})
		})
	}
}

func TestAllNamespacesDenied(t *testing.T) {
	srv := newServer(t)
	srv.on("GET /v1/namespaces", status(http.StatusOK, `[{"Name":"default"}]`))
	srv.on("GET /v1/event/stream", status(http.StatusForbidden, "Permission denied"))
	r := start(t, open(t, srv.URL))
	s := r.until("denied", func(s *cluster.Snapshot) bool {
		return s.Ready && s.Source("nomad").State == cluster.SourceDenied
	})
	if len(s.Jobs) != 3 {
		t.Error("what the lists told was thrown away")
	}
}

func TestUnreachableKeepsData(t *testing.T) {
	srv := newServer(t)
	r := start(t, open(t, srv.URL))
	r.until("the lists", func(s *cluster.Snapshot) bool { return s.Ready })
	srv.CloseClientConnections()
	srv.Close()
	s := r.until("retrying", func(s *cluster.Snapshot) bool {
		return s.Source("nomad").State == cluster.SourceRetrying && strings.Contains(s.Source("nomad").Err, "connection refused")
	})
	if len(s.Jobs) != 3 || len(s.Nodes) != 1 || s.Source("nomad").AsOf.IsZero() {
		t.Errorf("the last data did not stay:\n%s", picture(s))
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	srv := newServer(t)
	c := open(t, srv.URL)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, func(cluster.Update) {}, func(cluster.SourceStatus) {}) }()
	jobs, nodes := srv.next("Job"), srv.next("Node")
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("Run did not end")
	}
	for _, st := range []*stream{jobs, nodes} { // and hung up
		select {
		case <-st.done:
		case <-time.After(patience):
			t.Fatal("a stream stayed open")
		}
	}
}

func TestEventsThatTellDepartures(t *testing.T) {
	c := open(t, "http://127.0.0.1:1")
	for name, test := range map[string]struct {
		event string
		want  cluster.Update
	}{
		"job stopped": {
			`{"Type":"JobDeregistered","Index":9,"Payload":{"Job":{"ID":"a","Namespace":"n","Stop":true,"Status":"dead","ModifyIndex":9}}}`,
			cluster.Update{Jobs: []cluster.Job{{Place: place(), ID: cluster.JobID{Namespace: "n", Name: "a"}, Stopped: true, Status: "dead", ModifyIndex: 9}}},
		},
		"job purged": {
			`{"Type":"JobDeregistered","Index":9,"Payload":{"Deleted":true,"Job":{"ID":"a","Namespace":"n","Status":"dead","ModifyIndex":7}}}`,
			cluster.Update{GoneJobs: []cluster.JobID{{Namespace: "n", Name: "a"}}},
		},
		"job purged, by a server that does not say so": {
			`{"Type":"JobBatchDeregistered","Index":9,"Payload":{"Job":{"ID":"a","Namespace":"n","Status":"dead","ModifyIndex":7}}}`,
			cluster.Update{GoneJobs: []cluster.JobID{{Namespace: "n", Name: "a"}}},
		},
		"node": {
			`{"Type":"NodeDeregistration","Index":9,"Payload":{"Node":{"ID":"n1","ModifyIndex":7}}}`,
			cluster.Update{GoneNodes: []cluster.NodeID{"n1"}},
		},
		"service": {
			`{"Type":"ServiceDeregistration","Index":9,"Payload":{"Service":{"ID":"s1","ModifyIndex":7}}}`,
			cluster.Update{GoneServices: []cluster.ServiceID{"s1"}},
		},
		"of no concern": {`{"Type":"NodePoolUpserted","Index":9,"Payload":{"NodePool":{"Name":"p"}}}`, cluster.Update{}},
	} {
		t.Run(name, func(t *testing.T) {
			var got cluster.Update
			s := &subscription{lines: bufio.NewReader(strings.NewReader(`{"Index":9,"Events":[` + test.event + `]}`))}
			line, err := s.next()
			if err != nil {
				t.Fatal(err)
			}
			got = c.update(&line)
			if _, err := s.next(); err == nil {
				t.Error("the end of the stream is an error")
			}
			test.want.Index = 9
			if d := cmp.Diff(test.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
