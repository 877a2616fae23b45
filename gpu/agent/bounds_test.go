package agent

import (
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
}
