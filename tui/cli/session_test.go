package cli

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/cluster/facts"
)

var errRefused = errors.New("connection refused")

// TestSomeReady: nobody waits for a cluster that fails, and not for long for one
// that says nothing.
func TestSomeReady(t *testing.T) {
	refused := func(context.Context) error { return errRefused }
	silent := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	answers := func(context.Context) error { return nil }
	for name, c := range map[string]struct {
		pings map[string]func(context.Context) error
		took  time.Duration
		rows  int
		lacks string
		err   string
	}{
		"both answer":      {map[string]func(context.Context) error{"a": answers, "b": answers}, 0, 2, "", ""},
		"one refuses":      {map[string]func(context.Context) error{"a": answers, "b": refused}, 0, 1, "b: nomad: connection refused", ""},
		"one says nothing": {map[string]func(context.Context) error{"a": silent, "b": answers}, settleFor, 1, "a: no answer yet", ""},
		"both refuse":      {map[string]func(context.Context) error{"b": refused}, 0, 0, "", "b: connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var members []*Session
				var feeds []*cluster.Feed
				for _, name := range []string{"a", "b"} {
					ping := c.pings[name]
					if ping == nil {
						continue
					}
					place := cluster.Place{Cluster: name, Region: "global"}
					feed := cluster.NewFeed(place, time.Now, cluster.Named())
					go func() { _ = feed.Run(ctx) }()
					switch ping(canceled()) {
					case errRefused:
						feed.Source(cluster.SourceStatus{Name: "nomad", State: cluster.SourceRetrying, Err: errRefused.Error()})
					case nil:
						feed.Scheduler(cluster.Update{Lists: cluster.SetAll, Index: 1, Jobs: []cluster.Job{{Place: place, ID: cluster.JobID{Namespace: "default", Name: "x"}, ModifyIndex: 1}}})
					}
					feeds = append(feeds, feed)
					members = append(members, &Session{Context: contexts.Context{Name: name}, Feed: feed, Ping: ping})
				}
				union := cluster.NewUnion(time.Now, feeds...)
				go func() { _ = union.Run(ctx) }()
				s := &Session{Feed: union, Members: func() []*Session { return members }}
				began := time.Now()
				snap, err := s.ready(ctx)
				if took := time.Since(began); took.Round(time.Second) != c.took {
					t.Errorf("it took %s, want %s", took, c.took)
				}
				if err != nil || c.err != "" {
					if err == nil || err.Error() != c.err {
						t.Errorf("%v, want %s", err, c.err)
					}
					return
				}
				v, _ := facts.Find("jobs")
				lacks := ""
				if err := v.Missing(snap); err != nil {
					lacks = err.Error()
				}
				if n := len(v.Rows(snap)); n != c.rows || lacks != c.lacks {
					t.Errorf("%d rows, lacks %q; want %d, %q", n, lacks, c.rows, c.lacks)
				}
			})
		})
	}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
