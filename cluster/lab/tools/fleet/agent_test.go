package main

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/nomad/structs"

	"stoker/gpu"
	"stoker/gpu/stream"
)

// newTestNode is a node of a fleet that speaks to no server, with an agent.
func newTestNode(t *testing.T) (*node, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	conf := config{nodes: 1, allocs: 10, network: "127.64", agentJob: "stoker-agent"}
	f, err := newFleet(t.Context(), conf, identity{[]byte("test")}, nil, log.New(io.Discard, "", 0))
	if err != nil {
		t.Fatal(err)
	}
	n := f.nodes[0]
	n.mu.Lock()
	defer n.mu.Unlock()
	a := &alloc{id: "a1", job: "stoker-agent", group: "agent", states: map[string]*structs.TaskState{}, tasks: []string{"agent"}}
	a.ports = structs.AllocatedPorts{{Label: "http", Value: port, HostIP: "127.0.0.1"}}
	n.allocs[a.id] = a
	n.offer(a)
	t.Cleanup(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		a.end(n)
	})
	return n, "http://" + ln.Addr().String()
}

// read opens the node's stream and gives what a reader of it makes of each frame.
func read(t *testing.T, url string) <-chan gpu.Batch {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	dec, err := stream.NewDecoder(resp.Body, &stream.Lines{})
	if err != nil {
		t.Fatal(err)
	}
	if h := dec.Header(); h.NodeName != "gpu-0001" || h.Interval() != time.Second {
		t.Errorf("header %+v", h)
	}
	out := make(chan gpu.Batch, 100)
	go func() {
		defer close(out)
		defer resp.Body.Close()
		var folder stream.Folder
		for {
			f, err := dec.Next()
			if err != nil {
				return
			}
			if b, ok := folder.Fold(f); ok {
				out <- b
			}
		}
	}()
	return out
}

func next(t *testing.T, ch <-chan gpu.Batch) gpu.Batch {
	t.Helper()
	select {
	case b, ok := <-ch:
		if !ok {
			t.Fatal("the stream has ended")
		}
		return b
	case <-time.After(10 * time.Second):
		t.Fatal("no reading came")
	}
	panic("unreachable")
}

// TestStream: a reader gets all GPUs, then what changes, and what a fault does.
func TestStream(t *testing.T) {
	n, url := newTestNode(t)
	ch := read(t, url)
	for n.agents["a1"].reading() == 0 {
		time.Sleep(time.Millisecond)
	}
	now := time.Now().UTC()
	n.sample(now)
	first := next(t, ch)
	if len(first.Devices) != gpusPerNode || len(first.Samples) != gpusPerNode || first.Node != n.id {
		t.Fatalf("%d devices, %d samples of %s", len(first.Devices), len(first.Samples), first.Node)
	}
	if u := *first.Samples[0].UtilPercent; u != 0 {
		t.Errorf("a free GPU has util %v", u)
	}

	n.mu.Lock()
	held := &alloc{id: "a2", load: loadTrain, task: "trainer", gpus: []gpu.UUID{n.gpus[2].device.UUID}}
	n.occupy(held)
	n.mu.Unlock()
	var b gpu.Batch
	for i := range 10 {
		n.sample(now.Add(time.Duration(i+1) * time.Second))
		b = next(t, ch)
	}
	busy := b.Samples[2]
	if *busy.UtilPercent == 0 && *b.Samples[1].UtilPercent != 0 {
		t.Errorf("util %v of what trains, %v of what is free", *busy.UtilPercent, *b.Samples[1].UtilPercent)
	}
	if len(busy.Processes) != 1 || busy.Processes[0].AllocID != "a2" || busy.Processes[0].Task != "trainer" {
		t.Errorf("processes %+v", busy.Processes)
	}
	if !b.At.Equal(now.Add(10*time.Second)) || !busy.At.Equal(b.At) || *busy.EnergyJoules <= *first.Samples[2].EnergyJoules {
		t.Errorf("the reading stands still: %v, %v J", b.At, *busy.EnergyJoules)
	}
	if busy.Detail == nil || len(busy.Detail.NVLinks) != 18 {
		t.Error("no details")
	}

	if err := n.fleet.inject(fault{Target: "gpu-0001/5", Kind: faultXid, Xid: 79}); err != nil {
		t.Fatal(err)
	}
	n.sample(now.Add(11 * time.Second))
	sick := next(t, ch)
	if sick.Samples[5].Health.Verdict != gpu.VerdictFailed || len(sick.Events) != 1 || sick.Events[0].Xid != 79 {
		t.Errorf("after Xid 79: %+v, events %+v", sick.Samples[5].Health, sick.Events)
	}
	if d := n.deviceGroup().Instances[5]; d.Healthy || d.HealthDescription == "" {
		t.Errorf("to the scheduler the GPU is %+v", d)
	}
	if got := n.fleet.faults(); len(got) != 2 { // the node itself was never started
		t.Errorf("faults %+v", got)
	}
}

// TestEncoding: the lines that are put together by hand say what package
// stream's say.
func TestEncoding(t *testing.T) {
	n, _ := newTestNode(t)
	n.mu.Lock()
	n.occupy(&alloc{id: "a2", load: loadTrain, task: "trainer", gpus: []gpu.UUID{n.gpus[2].device.UUID, n.gpus[3].device.UUID}})
	n.gpus[0].heat = 99
	n.mu.Unlock()
	for _, f := range []fault{{"gpu-0001/5", faultXid, 94}, {"gpu-0001/6", faultLost, 0}, {"gpu-0001/3", faultECC, 0}} {
		if err := n.fleet.inject(f); err != nil {
			t.Fatal(err)
		}
	}
	events := []gpu.Event{{UUID: "GPU-1", At: time.Unix(1, 0).UTC(), Kind: gpu.EventXid, Xid: 94, Text: "x"}}
	for i, now := 0, time.Now().UTC(); i < 3; i++ {
		now = now.Add(time.Second)
		n.sample(now)
		for _, details := range []bool{false, true} {
			n.encodeKey(1, false, nil)
			want := stream.Frame{Kind: stream.KindDelta, Seq: 7, At: now, SameDetail: !details, Events: events}
			for _, d := range n.gpus {
				want.Samples = append(want.Samples, d.reading(details))
			}
			line, err := stream.MarshalFrame(want)
			if err != nil {
				t.Fatal(err)
			}
			got := n.encodeDelta(7, now, details, events)
			if diff := cmp.Diff(decoded(t, line), decoded(t, got)); diff != "" {
				t.Fatalf("-stream's +by hand\n%s", diff)
			}
		}
	}
}

// decoded is what a reader makes of a line.
func decoded(t *testing.T, line []byte) stream.Frame {
	t.Helper()
	header, err := stream.MarshalHeader(stream.Header{})
	if err != nil {
		t.Fatal(err)
	}
	dec, err := stream.NewDecoder(bytes.NewReader(append(header, line...)), &stream.Lines{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := dec.Next()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestSlowReader: who does not read is not waited for, and starts again with everything.
func TestSlowReader(t *testing.T) {
	n, _ := newTestNode(t)
	ag := n.agents["a1"]
	slow, quick := ag.join(false), ag.join(true)
	now := time.Now().UTC()
	for i := range 3 * queue {
		n.sample(now.Add(time.Duration(i) * time.Second))
		<-quick.lines
	}
	for range queue {
		<-slow.lines
	}
	if !slow.behind || quick.behind {
		t.Fatal("the slow reader has missed nothing, or the quick one something")
	}
	n.sample(now.Add(time.Hour))
	if line := string(<-slow.lines); !strings.HasPrefix(line, `{"kind":"key",`) || !strings.Contains(line, `"detail"`) {
		t.Errorf("after a gap comes %.40s", line)
	}
	if line := string(<-quick.lines); !strings.HasPrefix(line, `{"kind":"delta",`) || strings.Contains(line, `"detail"`) {
		t.Errorf("without one comes %.40s", line)
	}
}

// TestHang: an agent that stands still says nothing, and goes on when it may.
func TestHang(t *testing.T) {
	n, url := newTestNode(t)
	ch := read(t, url)
	for n.agents["a1"].reading() == 0 {
		time.Sleep(time.Millisecond)
	}
	now := time.Now().UTC()
	n.sample(now)
	next(t, ch)
	n.hang(true)
	n.sample(now.Add(time.Second))
	select {
	case b := <-ch:
		t.Errorf("a hung agent told of %v", b.At)
	case <-time.After(50 * time.Millisecond):
	}
	n.hang(false)
	n.sample(now.Add(2 * time.Second))
	if b := next(t, ch); !b.At.Equal(now.Add(2 * time.Second)) {
		t.Errorf("it goes on with %v", b.At)
	}
}

// TestRecovery: a GPU whose fault is cleared is well half a minute later, and the
// scheduler is told.
func TestRecovery(t *testing.T) {
	n, _ := newTestNode(t)
	now := time.Now().UTC()
	tick := func(seconds int) {
		for range seconds {
			now = now.Add(time.Second)
			n.sample(now)
		}
	}
	for _, f := range []fault{{"gpu-0001/1", faultXid, 79}, {"gpu-0001/2", faultXid, 48}, {"gpu-0001/3", faultECC, 0}, {"gpu-0001/4", faultLost, 0}, {"gpu-0001/5", faultXid, 13}} {
		tick(5)
		if err := n.fleet.inject(f); err != nil {
			t.Fatal(err)
		}
		tick(60)
		_, i, _ := n.fleet.find(f.Target)
		if v := n.gpus[i].record.Health.Verdict; v == gpu.VerdictOK {
			t.Errorf("%+v leaves the GPU %s", f, v)
		}
		n.health = false
		failed, _ := n.gpus[i].failed()
		if err := n.fleet.clear(f.Target); err != nil {
			t.Fatal(err)
		}
		tick(40)
		if h := n.gpus[i].record.Health; h.Verdict != gpu.VerdictOK {
			t.Errorf("after %+v was cleared the GPU is %+v", f, h)
		}
		if failed && !n.health {
			t.Errorf("%+v: the scheduler is not told that the GPU is well", f)
		}
	}
}

// BenchmarkSample is what one node's reading costs each second, with one reader
// who wants no details, as stoker's screen of a fleet.
func BenchmarkSample(b *testing.B) {
	f, err := newFleet(b.Context(), config{nodes: 1, allocs: 10, network: "127.64"}, identity{[]byte("test")}, nil, log.New(io.Discard, "", 0))
	if err != nil {
		b.Fatal(err)
	}
	n := f.nodes[0]
	ag := &agent{node: n, readers: map[*reader]bool{}}
	n.agents["a1"] = ag
	rd := ag.join(true)
	now := time.Now().UTC()
	var bytes int
	for i := 0; b.Loop(); i++ {
		n.sample(now.Add(time.Duration(i) * time.Second))
		bytes += len(<-rd.lines)
	}
	b.ReportMetric(float64(bytes)/float64(b.N), "B/reading")
}
