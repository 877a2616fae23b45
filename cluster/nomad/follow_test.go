package nomad

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stoker/cluster"
	"stoker/secrets"
)

const jobEvent = `{"Index":%d,"Events":[{"Topic":"Job","Type":"JobRegistered","Index":%d,"Payload":{"Job":{"ID":%q,"Namespace":%q,"ModifyIndex":%d}}}]}`

func registered(index int, namespace, name string) string {
	return fmt.Sprintf(jobEvent, index, index, name, namespace, index)
}

// TestSubscribesBeforeItLists: Nomad forgets events after a hundred others.
func TestSubscribesBeforeItLists(t *testing.T) {
	srv := newServer(t)
	listed := make(chan struct{})
	srv.on("GET /v1/jobs", func(w http.ResponseWriter, r *http.Request) {
		<-listed
		srv.recorded(w, r)
	})
	r := start(t, open(t, srv.URL))
	jobs := srv.next("Job") // else there never is one
	jobs.lines <- registered(400, "default", "meanwhile")
	close(listed)
	s := r.until("the job", func(s *cluster.Snapshot) bool { return len(s.Jobs) == 4 })
	if s.Source("nomad").State != cluster.SourceLive {
		t.Errorf("%+v", s.Source("nomad"))
	}
}

// TestWhatIsListedInPart: what is in other namespaces may hold any GPU.
// TestNodesThatChangedMeanwhile: what happens after the nodes were listed and before
// it is subscribed is no event. Only an index that stayed says that there was nothing.
func TestNodesThatChangedMeanwhile(t *testing.T) {
	srv := newServer(t)
	var first atomic.Bool
	srv.on("GET /v1/nodes", func(w http.ResponseWriter, r *http.Request) {
		index, body := "202", []byte("[]") // the last node went
		if r.URL.Query().Get("per_page") == "" && first.CompareAndSwap(false, true) {
			index, body = "201", file(t, "nodes.json")
		}
		w.Header().Set("X-Nomad-Index", index)
		_, _ = w.Write(body)
	})
	r := start(t, open(t, srv.URL))
	srv.next("Node")
	r.until("no nodes", func(s *cluster.Snapshot) bool { return s.Ready && len(s.Nodes) == 0 })
	if n := lists(srv); n != 2 || slices.Contains(r.states("nomad/nodes"), cluster.SourceRetrying) {
		t.Errorf("listed %d times, and the source was %v", n, r.states("nomad/nodes"))
	}
}

func TestWhatIsListedInPart(t *testing.T) {
	for name, test := range map[string]struct {
		namespace string
		refuse    []string
		claims    bool
	}{
		"all namespaces":       {"", nil, true},
		"all but one":          {"", []string{"*", "hidden"}, false},
		"the context names it": {"default", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			srv := newServer(t)
			srv.on("GET /v1/namespaces", status(http.StatusOK, `[{"Name":"default"},{"Name":"hidden"}]`))
			srv.on("GET /v1/event/stream", srv.refusing(test.refuse...))
			r := start(t, dial(t, Config{Address: srv.URL, Namespace: test.namespace}))
			s := r.until("lists and streams", func(s *cluster.Snapshot) bool { return s.Ready && s.Source("nomad").State == cluster.SourceLive })
			if s.Claims() != test.claims || s.Known&cluster.SetAllocs == 0 {
				t.Errorf("claims %v, known %b, partial %b", s.Claims(), s.Known, s.Partial)
			}
			s = r.until("the tasks", func(s *cluster.Snapshot) bool { return s.Allocs[0].Tasks[0].State != "" })
			if s.Claims() != test.claims {
				t.Errorf("with tasks: claims %v", s.Claims())
			}
		})
	}
}

// silent never greets in these namespaces, as Nomad 1.11 does where it denies.
func (s *server) silent(namespaces ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if slices.Contains(q["topic"], "Job") && slices.Contains(namespaces, q.Get("namespace")) {
			s.stream(w, r, "")
			return
		}
		s.stream(w, r, "{}")
	}
}

// TestDenialIsRemembered: to find it out takes seconds each time. Who looks does
// not wait for it even once.
func TestDenialIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, c := inBubble(t)
		srv.on("GET /v1/namespaces", status(http.StatusOK, `[{"Name":"default"}]`))
		srv.on("GET /v1/event/stream", srv.silent("*"))
		c.wait.relist, c.wait.denial = 20*time.Second, time.Hour
		began := time.Now()
		r := start(t, c)
		if s := r.until("lists", func(s *cluster.Snapshot) bool { return s.Ready }); time.Since(began) >= c.wait.hello || s.Claims() {
			t.Errorf("lists after %s, claims %v", time.Since(began), s.Claims())
		}
		var tried []string
		for len(tried) < 4 {
			tried = append(tried, srv.next("Job").namespace)
		}
		if got := strings.Join(tried, " "); got != "* default default default" {
			t.Errorf("tried %s", got)
		}
		if got := r.states("nomad"); slices.Contains(got, cluster.SourceDenied) || slices.Contains(got, cluster.SourceRetrying) {
			t.Errorf("states %v", got)
		}
	})
}

// TestSilenceOfWhoMay: a server that hangs is silent, too.
func TestSilenceOfWhoMay(t *testing.T) {
	for name, prepare := range map[string]func(*server){
		"a management token": func(s *server) {
			s.on("GET /v1/acl/token/self", status(http.StatusOK, `{"Type":"management"}`))
		},
		"nothing answers": func(s *server) {
			s.on("GET /v1/allocations", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, c := inBubble(t)
				prepare(srv)
				srv.on("GET /v1/event/stream", srv.silent("*"))
				r := start(t, c)
				s := r.until("the end of patience", func(s *cluster.Snapshot) bool {
					return s.Source("nomad") != nil && s.Source("nomad").Err != ""
				})
				if got := s.Source("nomad"); got.State != cluster.SourceRetrying {
					t.Errorf("%s: %s", got.State, got.Err)
				}
			})
		})
	}
}

// TestStreamThatNeverLasts: one that greets and breaks is no reason to try at once.
func TestStreamThatNeverLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, c := inBubble(t)
		c.wait.firstRetry, c.wait.lastRetry = 100*time.Millisecond, 10*time.Second
		r := start(t, c)
		began := time.Now()
		for i := range 6 {
			st := srv.next("Job")
			if i > 0 { // the first breaks before all is listed
				synctest.Wait()
			}
			close(st.lines)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, said := range r.said {
			if strings.Contains(said.Err, "canceled") {
				t.Errorf("says %q", said.Err)
			}
		}
		if took := time.Since(began); took < 1500*time.Millisecond {
			t.Errorf("tried six times in %s", took)
		}
	})
}

func TestJobsThatDidNotChangeAreNotReadAgain(t *testing.T) {
	srv := newServer(t)
	c := open(t, srv.URL)
	r := start(t, c)
	jobs := srv.next("Job")
	r.until("the jobs", func(s *cluster.Snapshot) bool { return s.Ready })
	srv.on("GET /v1/jobs", func(w http.ResponseWriter, _ *http.Request) {
		list := strings.ReplaceAll(string(file(t, "jobs.json")), `"ModifyIndex":197`, `"ModifyIndex":297`)
		w.Header().Set("X-Nomad-Index", "300")
		_, _ = w.Write([]byte(list))
	})
	close(jobs.lines)
	srv.next("Job")
	r.until("the list again", func(s *cluster.Snapshot) bool {
		return s.Source("nomad").State == cluster.SourceLive && srv.count("/v1/jobs") == 2 && srv.count("/v1/allocations") >= 3
	})
	r.until("what changed", func(*cluster.Snapshot) bool { return srv.count("/v1/job/big") == 2 })
	if n := srv.count("/v1/job/digits"); n != 1 {
		t.Errorf("the job that did not change was read %d times", n)
	}
	if s := r.feed.Latest(); len(s.Job(cluster.JobID{Namespace: "default", Name: "digits"}).Groups) == 0 {
		t.Error("its specification is lost")
	}
}

// TestJobThatMayOnlyBeListed is one line less, not the end of the list.
func TestJobThatMayOnlyBeListed(t *testing.T) {
	srv := newServer(t)
	srv.on("GET /v1/job/big", status(http.StatusForbidden, "Permission denied"))
	r := start(t, open(t, srv.URL))
	s := r.until("the lists", func(s *cluster.Snapshot) bool { return s.Ready && s.Source("nomad").State == cluster.SourceLive })
	if j := s.Job(cluster.JobID{Namespace: "default", Name: "big"}); len(s.Jobs) != 3 || j == nil || j.Groups != nil {
		t.Errorf("%d jobs, %+v", len(s.Jobs), j)
	}
}

// TestNamespacesAreWatchedOn: one question that fails is no reason to look no more.
func TestNamespacesAreWatchedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, c := inBubble(t)
		c.wait.relist = time.Hour
		spaces := newBlocking(`[{"Name":"default"}]`)
		srv.on("GET /v1/namespaces", spaces.ServeHTTP)
		srv.on("GET /v1/event/stream", func(w http.ResponseWriter, r *http.Request) { beating(srv, w, r) })
		r := start(t, c)
		if st := srv.next("Job"); st.namespace != "default" {
			t.Fatalf("follows %s", st.namespace)
		}
		r.until("all", func(s *cluster.Snapshot) bool { return s.Ready })
		time.Sleep(2 * c.wait.again)
		srv.on("GET /v1/namespaces", status(http.StatusInternalServerError, "No cluster leader"))
		spaces.change(`[{"Name":"default"}]`)
		time.Sleep(10 * c.wait.again)
		srv.on("GET /v1/namespaces", spaces.ServeHTTP)
		spaces.change(`[{"Name":"default"},{"Name":"prod"}]`)
		began := time.Now()
		for srv.next("Job").namespace != "prod" { //nolint:revive // the others are of no concern
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("followed after %s", took)
		}
	})
}

// beating refuses jobs of all namespaces at once; other streams say that they live.
func beating(s *server, w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if slices.Contains(q["topic"], "Job") && q.Get("namespace") == "*" {
		http.Error(w, "Permission denied", http.StatusForbidden)
		return
	}
	s.stream(w, r, "{}")
}

// TestBetterTokenIsTaken: it need not wait until the old one ends.
func TestBetterTokenIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := inBubble(t)
		srv.on("GET /v1/acl/token/self", func(w http.ResponseWriter, r *http.Request) {
			kind := map[string]string{"old": "client", "new": "management"}[r.Header.Get("X-Nomad-Token")]
			_, _ = fmt.Fprintf(w, `{"Type":%q}`, kind)
		})
		srv.on("GET /v1/acl/policies", status(http.StatusOK, `[]`))
		srv.on("GET /v1/namespaces", status(http.StatusOK, `[{"Name":"default"}]`))
		srv.on("GET /v1/event/stream", func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Nomad-Token") == "old" {
				srv.refusing("*")(w, r)
				return
			}
			srv.stream(w, r, "{}")
		})
		token := "old"
		c := dial(t, Config{Address: srv.URL, Dial: srv.pipes.Dial, Token: func(context.Context) (secrets.Secret, error) { return secrets.New(token), nil }})
		c.wait.token = 10 * time.Second
		r := start(t, c)
		r.until("a part", func(s *cluster.Snapshot) bool { return s.Ready && s.Source("nomad/token") != nil })
		if !c.Lacks("default", []string{"submit-job"}) || r.feed.Latest().Claims() {
			t.Error("the old token may do that")
		}
		token = "new"
		r.until("all", func(s *cluster.Snapshot) bool { return s.Claims() })
		if c.Lacks("default", []string{"submit-job"}) {
			t.Error("the new token is not asked")
		}
	})
}

// TestTokenThatEnded: what is not answered does not make it younger.
func TestTokenThatEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, c := inBubble(t)
		c.wait.token = time.Second
		srv.on("GET /v1/acl/token/self", status(http.StatusOK, `{"Type":"client","ExpirationTime":"2026-03-01T10:00:00Z"}`))
		srv.on("GET /v1/acl/policies", status(http.StatusOK, `[]`))
		r := start(t, c)
		r.until("its end", func(s *cluster.Snapshot) bool {
			return s.Source("nomad/token") != nil && c.Lacks("", []string{"submit-job"})
		})
		for _, answer := range []http.HandlerFunc{status(http.StatusForbidden, "ACL token expired"), status(http.StatusInternalServerError, "No cluster leader")} {
			srv.on("GET /v1/acl/token/self", answer)
			time.Sleep(5 * time.Second)
			if s := r.feed.Latest(); s.Source("nomad/token").Expires.IsZero() || !c.Lacks("", []string{"submit-job"}) {
				t.Errorf("%+v", s.Source("nomad/token"))
			}
		}
	})
}

// TestLocksAreToldToFew: Nomad leaves them out of the lists of all but management tokens.
func TestLocksAreToldToFew(t *testing.T) {
	for kind, want := range map[string]string{"management": "false", "client": "unknown"} {
		t.Run(kind, func(t *testing.T) {
			srv := newServer(t)
			srv.on("GET /v1/acl/token/self", status(http.StatusOK, `{"Type":"`+kind+`"}`))
			srv.on("GET /v1/acl/policies", status(http.StatusOK, `[]`))
			srv.on("GET /v1/vars", status(http.StatusOK, `[{"Namespace":"default","Path":"a"}]`))
			r := start(t, open(t, srv.URL))
			s := r.until("it", func(s *cluster.Snapshot) bool { return len(s.Variables) == 1 })
			got := "unknown"
			if l := s.Variables[0].Locked; l != nil {
				got = fmt.Sprint(*l)
			}
			if got != want {
				t.Errorf("locked: %s, want %s", got, want)
			}
		})
	}
}
