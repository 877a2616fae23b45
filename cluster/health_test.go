package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestManySourcesBreakAtOnce: a network that breaks takes thousands of agents
// with it, and what happened before must stay to be seen.
func TestManySourcesBreakAtOnce(t *testing.T) {
	now := start()
	st := newState(Place{}, func() time.Time { return now })
	st.event(Event{At: now, Kind: "node", Subject: "gpu-a", Text: "down"})
	all := func(state SourceState) {
		for i := range 2 * maxEvents {
			now = now.Add(time.Millisecond)
			st.source(SourceStatus{Name: fmt.Sprintf("agent n%d", i), State: state, Err: "no route to host"})
		}
	}
	all(SourceLive)
	st.source(SourceStatus{Name: "nomad", State: SourceLive})
	all(SourceRetrying)
	all(SourceLive)
	st.source(SourceStatus{Name: "nomad", State: SourceRetrying, Err: "connection refused"})
	var told []string
	for _, e := range st.newestFirst() {
		told = append(told, e.Subject+" "+e.Text)
	}
	want := []string{
		"nomad connection refused",
		"agent 1997 more within a minute: answers again", "agent n2 answers again", "agent n1 answers again", "agent n0 answers again",
		"agent 1997 more within a minute: no route to host", "agent n2 no route to host", "agent n1 no route to host", "agent n0 no route to host",
		"gpu-a down",
	}
	if got := strings.Join(told, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("told\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	now = now.Add(2 * time.Minute)
	st.source(SourceStatus{Name: "agent n7", State: SourceRetrying, Err: "again"})
	if e := st.newestFirst()[0]; e.Subject != "agent n7" {
		t.Errorf("after a while it is told as %+v", e)
	}
}
