package cli

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/cluster/facts"
)

func TestPrinted(t *testing.T) {
	columns := []facts.Column{{Name: "name", Title: "NAME"}, {Name: "n", Title: "N"}, {Name: "as_of", Title: "AGE"}}
	w := printed{read: (&question{view: &facts.View{Columns: columns}, format: "table"}).reading(), key: []int{0}}
	later := noon().Add(time.Minute)
	for i, step := range []struct{ rows, news, gone []facts.Row }{
		{[]facts.Row{{"a", 1, noon()}, {"b", nil, noon()}}, []facts.Row{{"a", 1, noon()}, {"b", nil, noon()}}, nil},
		{[]facts.Row{{"a", 1, later}, {"b", nil, later}}, nil, nil}, // only the age
		{[]facts.Row{{"a", 2, later}, {"b", nil, later}}, []facts.Row{{"a", 2, later}}, nil},
		{[]facts.Row{{"a", 2, later}}, nil, []facts.Row{{"b", nil, later}}},
		{[]facts.Row{{"a", 2, later}}, nil, nil}, // that is told once
		{[]facts.Row{{"a", 2, later}, {"b", 0, later}}, []facts.Row{{"b", 0, later}}, nil},
		{[]facts.Row{{"a", 1, later}, {"b", 0, later}}, []facts.Row{{"a", 1, later}}, nil}, // as it was before is a change too
	} {
		news, gone := w.next(step.rows)
		if diff := cmp.Diff([2][]facts.Row{step.news, step.gone}, [2][]facts.Row{news, gone}); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i+1, diff)
		}
	}
}

// TestReading holds that a row is new to a person when what is shown of it is.
func TestReading(t *testing.T) {
	columns := []facts.Column{
		{Name: "util_percent", Title: "UTIL"},
		{Name: "energy_joules"},
		{Name: "driver", Title: "DRIVER", Wide: true},
		{Name: "created", Title: "CREATED"},
		{Name: "as_of", Title: "AGE", Wide: true},
	}
	row := facts.Row{1.2, uint64(1), "570", noon(), noon()}
	for name, c := range map[string]struct {
		at   int
		to   any
		news []string
	}{
		"a number":          {0, 7.0, formats},
		"less than a digit": {0, 1.3, []string{"json", "yaml", "csv"}},
		"for programs":      {1, uint64(2), []string{"json", "yaml", "csv"}},
		"when asked more":   {2, "580", []string{"wide", "json", "yaml", "csv"}},
		"a time":            {3, noon().Add(time.Millisecond), formats},
		"the age":           {4, noon().Add(time.Hour), nil},
	} {
		next := slices.Clone(row)
		next[c.at] = c.to
		for _, format := range formats {
			read := (&question{view: &facts.View{Columns: columns}, format: format}).reading()
			if got := read(row) != read(next); got != slices.Contains(c.news, format) {
				t.Errorf("%s, %s: news %v", name, format, got)
			}
		}
	}
}

// watched runs a watch of the nodes on a feed of its own, in which the clock
// is the test's, and gives what it printed after each change.
func watched(t *testing.T, format, filter string, changes ...func(*cluster.Feed)) []string {
	t.Helper()
	var said []string
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		feed := cluster.NewFeed(cluster.Place{Cluster: "c"}, time.Now)
		go func() { _ = feed.Run(ctx) }()
		feed.Source(cluster.SourceStatus{Name: "nomad", State: cluster.SourceLive})
		feed.Source(cluster.SourceStatus{Name: "agents", State: cluster.SourceOff})
		feed.Source(cluster.SourceStatus{Name: "devices", State: cluster.SourceOff})
		feed.Scheduler(cluster.Update{Lists: cluster.SetAll, Index: 1, Nodes: []cluster.Node{
			watchedNode("gpu-a", cluster.NodeReady, 1), watchedNode("gpu-b", cluster.NodeReady, 1),
		}})
		time.Sleep(time.Second)
		var out bytes.Buffer
		a := &App{Out: &out, Err: io.Discard, Now: time.Now}
		o := RowOptions{View: "nodes", Format: format, Filter: filter}
		q, err := o.question()
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- a.watch(ctx, &Session{Feed: feed}, q) }()
		for _, change := range append(changes, func(*cluster.Feed) {}) {
			time.Sleep(2 * watchEvery)
			synctest.Wait()
			said = append(said, out.String())
			out.Reset()
			change(feed)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("an interrupted watch ended with %v", err)
		}
		synctest.Wait()
	})
	return said
}

func watchedNode(name string, status cluster.NodeStatus, index uint64) cluster.Node {
	return cluster.Node{Place: cluster.Place{Cluster: "c"}, ID: cluster.NodeID(name), Name: name, Status: status, Eligible: true, ModifyIndex: index}
}

func TestWatch(t *testing.T) {
	goesDown := func(f *cluster.Feed) {
		f.Scheduler(cluster.Update{Index: 2, Nodes: []cluster.Node{watchedNode("gpu-b", cluster.NodeDown, 2)}})
	}
	same := func(f *cluster.Feed) { // another event about the node, which says nothing new
		f.Scheduler(cluster.Update{Index: 3, Nodes: []cluster.Node{watchedNode("gpu-b", cluster.NodeDown, 3)}})
	}
	goes := func(f *cluster.Feed) {
		f.Scheduler(cluster.Update{Index: 4, GoneNodes: []cluster.NodeID{"gpu-b"}})
	}
	names := map[string]func(string) []string{
		"csv": func(s string) (out []string) {
			rows, err := csv.NewReader(strings.NewReader(s)).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				out = append(out, r[2]+" "+r[5])
			}
			return out
		},
		"json": func(s string) (out []string) {
			for line := range strings.Lines(s) { // each answer is one line
				var rows []struct {
					Node, Status string
					Gone         bool
				}
				if err := json.Unmarshal([]byte(line), &rows); err != nil {
					t.Fatalf("%v in %q", err, line)
				}
				for _, r := range rows {
					if r.Gone {
						r.Status += " gone"
					}
					out = append(out, r.Node+" "+r.Status)
				}
			}
			return out
		},
		"table": func(s string) (out []string) {
			for line := range strings.Lines(s) {
				words := strings.Fields(line)
				if words[0] != "-" {
					words = words[:2]
				}
				out = append(out, strings.Join(words, " "))
			}
			return out
		},
	}
	for format, want := range map[string][][]string{
		"csv":   {{"node status", "gpu-a ready", "gpu-b ready"}, {"gpu-b down"}, nil, nil},
		"json":  {{"gpu-a ready", "gpu-b ready"}, {"gpu-b down"}, nil, {"gpu-b down gone"}},
		"table": {{"NODE POOL", "gpu-a ready", "gpu-b ready"}, {"gpu-b down"}, nil, {"- gpu-b gone"}},
	} {
		t.Run(format, func(t *testing.T) {
			var got [][]string
			for _, text := range watched(t, format, "", goesDown, same, goes) {
				got = append(got, names[format](text))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWatchFilters(t *testing.T) {
	said := watched(t, "csv", "gpu-a", func(f *cluster.Feed) {
		f.Scheduler(cluster.Update{Index: 2, Nodes: []cluster.Node{watchedNode("gpu-b", cluster.NodeDown, 2)}})
	})
	if strings.Contains(said[0], "gpu-b") || said[1] != "" {
		t.Errorf("rows that the filter drops were printed: %q", said)
	}
	goes := func(f *cluster.Feed) {
		f.Scheduler(cluster.Update{Index: 3, GoneNodes: []cluster.NodeID{"gpu-b", "gpu-a"}})
	}
	said = watched(t, "table", "status=ready", func(f *cluster.Feed) {
		f.Scheduler(cluster.Update{Index: 2, Nodes: []cluster.Node{watchedNode("gpu-b", cluster.NodeDown, 2)}})
	}, goes)
	if said[1] != "- gpu-b no longer matches the filter\n" || said[2] != "- gpu-a gone\n" {
		t.Errorf("what the filter drops: %q", said[1:])
	}
}

// TestWatchSaysWhatIsLate: once when sources go, once when others go too, and
// once when all are back.
func TestWatchSaysWhatIsLate(t *testing.T) {
	v, _ := facts.Find("nodes")
	l := lateness{view: v}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	say := func(states ...cluster.SourceState) string {
		s := &cluster.Snapshot{Ready: true, Known: cluster.SetAll}
		for i, name := range []string{"agents", "nomad", "nomad/nodes"} {
			src := cluster.SourceStatus{Name: name, State: states[i], AsOf: at}
			if src.State != cluster.SourceLive {
				at = at.Add(time.Second)
				src.Err = "connection refused " + at.String() // which differs from time to time
			}
			s.Sources = append(s.Sources, src)
		}
		return l.news(s)
	}
	const live, lost = cluster.SourceLive, cluster.SourceRetrying
	for i, step := range []struct {
		states []cluster.SourceState
		want   string
	}{
		{[]cluster.SourceState{live, live, live}, ""},
		{[]cluster.SourceState{live, live, lost}, "incomplete: nomad/nodes"},
		{[]cluster.SourceState{live, live, lost}, ""},
		{[]cluster.SourceState{lost, live, lost}, "agents"},
		{[]cluster.SourceState{live, live, live}, "all is read again"},
		{[]cluster.SourceState{live, live, live}, ""},
	} {
		if got := say(step.states...); (got == "") != (step.want == "") || !strings.Contains(got, step.want) {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
	}
}
