package nomad

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
)

// blocking answers blocking queries: at once, or when the list changes.
type blocking struct {
	mu      sync.Mutex
	now     string
	index   int
	changed chan struct{}
}

func newBlocking(now string) *blocking {
	return &blocking{now: now, index: 7, changed: make(chan struct{})}
}

func (b *blocking) change(now string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now, b.index = now, b.index+1
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *blocking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	changed, index := b.changed, fmt.Sprint(b.index)
	b.mu.Unlock()
	if r.URL.Query().Get("index") == index {
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	w.Header().Set("X-Nomad-Index", fmt.Sprint(b.index))
	_, _ = w.Write([]byte(b.now))
}

func TestWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, c := inBubble(t)
		spaces := newBlocking(`[{"Name":"default","Quota":"q","NodePoolConfiguration":{"Default":"gpu"}}]`)
		srv.on("GET /v1/namespaces", spaces.ServeHTTP)
		srv.on("GET /v1/node/pools", status(http.StatusForbidden, "Permission denied"))
		srv.on("GET /v1/vars", status(http.StatusOK, `[{"Namespace":"default","Path":"a/b","CreateTime":1,"ModifyTime":2000000000,"Lock":{"ID":"x"},"ModifyIndex":3}]`))
		r := start(t, c)
		s := r.until("all", func(s *cluster.Snapshot) bool {
			return len(s.Namespaces) == 1 && len(s.Variables) == 1 && s.Source("pools") != nil && s.Source("pools").State == cluster.SourceDenied
		})
		if d := cmp.Diff([]cluster.Namespace{{Place: place(), Name: "default", Quota: "q", Pool: "gpu"}}, s.Namespaces); d != "" {
			t.Error(d)
		}
		if v := s.Variables[0]; v.ID != (cluster.VariableID{Namespace: "default", Path: "a/b"}) || v.Locked == nil || !*v.Locked || v.Modified.Unix() != 2 {
			t.Errorf("%+v", v)
		}
		if s.Known&cluster.SetPools != 0 || s.Known&cluster.SetNamespaces == 0 {
			t.Errorf("known %b", s.Known)
		}
		time.Sleep(2 * c.wait.again) // both have asked again, and wait
		spaces.change(`[{"Name":"default"},{"Name":"prod"}]`)
		r.until("the new one", func(s *cluster.Snapshot) bool { return len(s.Namespaces) == 2 })
		if q := srv.last("/v1/namespaces").query; q.Get("wait") == "" {
			t.Errorf("asked %v", q)
		}
	})
}

func TestOldServerKnowsNoPools(t *testing.T) {
	srv := newServer(t)
	r := start(t, open(t, srv.URL))
	r.until("off", func(s *cluster.Snapshot) bool {
		return s.Ready && s.Source("pools") != nil && s.Source("pools").State == cluster.SourceOff
	})
}

func TestTokenThatEnds(t *testing.T) {
	srv := newServer(t)
	srv.on("GET /v1/acl/token/self", status(http.StatusOK, `{"ExpirationTime":"2026-03-01T10:00:00Z"}`))
	c := open(t, srv.URL)
	c.origin = cluster.TokenOrigin{File: "/run/token"}
	r := start(t, c)
	s := r.until("its end", func(s *cluster.Snapshot) bool { return s.Source("nomad/token") != nil })
	if got := s.Source("nomad/token"); got.Expires.Hour() != 10 || got.Token.File != "/run/token" {
		t.Errorf("%+v", got)
	}
}

// TestNodesAreReadWhole: a list does not tell what a node is made of.
func TestNodesAreReadWhole(t *testing.T) {
	srv := newServer(t)
	id := "63a3e7e4-3e7b-c52e-efb8-54f0a5b0161c"
	srv.on("GET /v1/node/"+id, status(http.StatusOK, `{"ID":"`+id+`","ModifyIndex":200,"Attributes":{"kernel.name":"linux"},"Meta":{"rack":"r7"}}`))
	c := open(t, srv.URL)
	r := start(t, c)
	s := r.until("the rack", func(s *cluster.Snapshot) bool { return len(s.Nodes) == 1 && s.Nodes[0].Detail != nil })
	if rack, known := s.Nodes[0].Meta("rack"); rack != "r7" || !known || len(s.Nodes[0].Devices) != 2 {
		t.Errorf("%+v", s.Nodes[0])
	}
}

// TestNewNamespaceIsFollowed: who may not read all namespaces has a stream for
// each, and one more when there is one more.
func TestNewNamespaceIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, c := inBubble(t)
		spaces := newBlocking(`[{"Name":"default"}]`)
		srv.on("GET /v1/namespaces", spaces.ServeHTTP)
		srv.on("GET /v1/event/stream", srv.refusing("*"))
		c.wait.lastRetry = time.Hour
		r := start(t, c)
		if st := srv.next("Job"); st.namespace != "default" {
			t.Fatalf("follows %s", st.namespace)
		}
		time.Sleep(2 * c.wait.again)
		spaces.change(`[{"Name":"default"},{"Name":"prod"}]`)
		var found []string
		for len(found) < 2 {
			found = append(found, srv.next("Job").namespace)
		}
		slices.Sort(found)
		if got := strings.Join(found, " "); got != "default prod" {
			t.Errorf("follows %s", got)
		}
		if got := r.states("nomad"); slices.Contains(got, cluster.SourceRetrying) {
			t.Errorf("states %v", got)
		}
	})
}
