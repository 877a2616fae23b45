package agent

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"stoker/gpu"
)

// What drivers and other programs make up does not make the agent grow.
func TestMemoryIsBounded(t *testing.T) {
	a := newAgent(t, Config{})
	b := node(1, time.Now())
	for i := range mostXids + 100 {
		b.Events = append(b.Events, gpu.Event{UUID: "GPU-0", Kind: gpu.EventXid, Xid: uint64(i)})
	}
	a.publish(b)
	a.publish(b)
	if n := len(a.meter.xids); n != mostXids {
		t.Errorf("%d kinds of Xid are counted, want %d", n, mostXids)
	}
	if n := a.meter.xids[xidKey{"GPU-0", 0}]; n != 2 {
		t.Errorf("the first is counted %d times", n)
	}
	if n := len(a.hub.recent); n != recentEvents {
		t.Errorf("%d events are kept, want %d", n, recentEvents)
	}

	procs := newAttributor(t.TempDir(), nil, time.Now)
	for i := range 3 * mostUsers {
		id := strconv.Itoa(3_000_000_000 + i)
		if got := procs.userName(id); got != id {
			t.Fatalf("user %s is called %s", id, got)
		}
		if n := len(procs.users); n > mostUsers {
			t.Fatalf("%d users are remembered", n)
		}
	}

	long := strings.Repeat("t", longestTask+1)
	if own := parseEnviron(fmt.Appendf(nil, "NOMAD_ALLOC_ID=%s\x00NOMAD_TASK_NAME=%s\x00", allocA, long)); own != (owner{}) {
		t.Errorf("from an environment: a task name of %d bytes", len(own.task))
	}
	labels := map[string]string{"com.hashicorp.nomad.alloc_id": allocA, "com.hashicorp.nomad.task_name": long}
	if own := taskOf("/x", labels); own != (owner{}) {
		t.Errorf("from a label: a task name of %d bytes", len(own.task))
	}
}
