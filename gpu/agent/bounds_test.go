package agent

import (
	"bytes"
	"log/slog"
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
}

// What a library lacks is told once, and a driver that is away is no library
// that lacks nothing.
func TestWhatIsLackedIsToldOnce(t *testing.T) {
	var log bytes.Buffer
	a := newAgent(t, Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for _, lacks := range [][]string{nil, {"nvmlF"}, nil, {"nvmlF"}, {"nvmlF", "nvmlG"}} {
		b := node(1, time.Now())
		b.Lacks = lacks
		a.publish(b)
	}
	if n := strings.Count(log.String(), "lacks functions"); n != 2 {
		t.Errorf("told %d times, want 2:\n%s", n, &log)
	}
}
