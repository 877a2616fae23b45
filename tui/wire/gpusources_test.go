package wire

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/gpu"
	"stoker/secrets"
)

func TestDCGMEndpoints(t *testing.T) {
	node := func(name string, status cluster.NodeStatus, gpus int) cluster.Node {
		return cluster.Node{ID: cluster.NodeID("id-" + name), Name: name, Address: "10.0.0." + strconv.Itoa(len(name)), Status: status, Devices: make([]cluster.NodeDevice, gpus)}
	}
	feed := cluster.NewFeed(cluster.Place{Cluster: "lab"}, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = feed.Run(ctx) }()
	service := func(node, name, namespace, job string) cluster.Service {
		return cluster.Service{ID: cluster.ServiceID(node + name + namespace + job), Name: name, Namespace: namespace, Job: job, Node: cluster.NodeID("id-" + node), Address: "10.1.1.1", Port: 20000}
	}
	bare := node("nobody", cluster.NodeReady, 8)
	bare.Address = ""
	feed.Source(cluster.SourceStatus{Name: "agent read", State: cluster.SourceLive})
	feed.Scheduler(cluster.Update{
		Lists: cluster.SetAll, Index: 1,
		Nodes: []cluster.Node{node("a", cluster.NodeReady, 8), node("bb", cluster.NodeReady, 8), node("read", cluster.NodeReady, 8), node("down", cluster.NodeDown, 8), node("plain", cluster.NodeReady, 0), bare},
		Services: []cluster.Service{
			service("bb", "dcgm", "system", "exporter"), service("plain", "dcgm", "system", "exporter"), service("read", "dcgm", "system", "exporter"),
			service("down", "dcgm", "system", "exporter"), service("a", "dcgm", "default", "exporter"), service("a", "dcgm", "system", "impostor"), service("a", "other", "system", "exporter"),
		},
	})
	s := await(t, feed, func(s *cluster.Snapshot) bool { return len(s.Nodes) == 6 && len(s.Services) == 7 })
	for name, c := range map[string]struct {
		dcgm contexts.DCGM
		want []string
	}{
		"by port":    {contexts.DCGM{Port: 9400, Scheme: "http", Path: "/metrics"}, []string{"a http://10.0.0.1:9400/metrics", "bb http://10.0.0.2:9400/metrics"}},
		"by service": {contexts.DCGM{Service: "dcgm", Namespace: "system", Job: "exporter", Scheme: "https", Path: "/m"}, []string{"bb https://10.1.1.1:20000/m", "plain https://10.1.1.1:20000/m"}},
		"by both":    {contexts.DCGM{Service: "dcgm", Namespace: "system", Job: "exporter", Port: 9400, Scheme: "http", Path: "/"}, []string{"a http://10.0.0.1:9400/", "bb http://10.1.1.1:20000/", "plain http://10.1.1.1:20000/"}},
		"any job":    {contexts.DCGM{Service: "dcgm", Namespace: "default", Scheme: "http", Path: "/"}, []string{"a http://10.1.1.1:20000/"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, e := range dcgmEndpoints(s, c.dcgm) {
				if e.Node != "id-"+e.NodeName {
					t.Errorf("%+v", e)
				}
				got = append(got, e.NodeName+" "+e.URL)
			}
			slices.Sort(got)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	if got := dcgmEndpoints(&cluster.Snapshot{Nodes: s.Nodes}, contexts.DCGM{Port: 9400}); got != nil {
		t.Errorf("whether there are agents is not known yet: %v", got)
	}
}

// await is the first snapshot that is as the test wants it.
func await(t *testing.T, feed *cluster.Feed, is func(*cluster.Snapshot) bool) *cluster.Snapshot {
	t.Helper()
	ch, stop := feed.Subscribe()
	defer stop()
	limit := time.After(time.Minute)
	for {
		select {
		case s := <-ch:
			if is(s) {
				return s
			}
		case <-limit:
			t.Fatalf("not in time: %+v", feed.Latest().Sources)
		}
	}
}

func TestNodeOfASeries(t *testing.T) {
	feed := cluster.NewFeed(cluster.Place{Cluster: "lab"}, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = feed.Run(ctx) }()
	feed.Scheduler(cluster.Update{Lists: cluster.SetAll, Index: 1, Nodes: []cluster.Node{
		{ID: "id-a", Name: "gpu-a", Address: "10.0.0.1", Status: cluster.NodeReady, Devices: []cluster.NodeDevice{{UUID: "GPU-1", Healthy: true}}},
		{ID: "id-old", Name: "gpu-b", Address: "10.0.0.2", Status: cluster.NodeDown},
		{ID: "id-b", Name: "gpu-b", Address: "10.0.0.2", Status: cluster.NodeReady},
	}})
	s := await(t, feed, func(s *cluster.Snapshot) bool { return len(s.Nodes) == 3 })
	for name, c := range map[string]struct {
		id     gpu.UUID
		labels map[string]string
		want   cluster.NodeID
	}{
		"by UUID, before its labels": {"GPU-1", map[string]string{"Hostname": "gpu-b"}, "id-a"},
		"by host":                    {"GPU-2", map[string]string{"Hostname": "gpu-b"}, "id-b"},
		"by host with its domain":    {"GPU-2", map[string]string{"hostname": "gpu-a.example.net"}, "id-a"},
		"by what was scraped":        {"GPU-2", map[string]string{"instance": "10.0.0.2:9400"}, "id-b"},
		"by the node's ID":           {"GPU-2", map[string]string{"node": "id-old"}, "id-old"},
		"an address is no domain":    {"GPU-2", map[string]string{"instance": "10.9.9.9:9400"}, ""},
		"by nothing":                 {"GPU-2", map[string]string{"Hostname": ""}, ""},
		"of another cluster":         {"GPU-2", map[string]string{"Hostname": "else"}, ""},
	} {
		if got := nodeOf(s, c.id, c.labels); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestMixedFleet: four nodes, and of each another source tells.
func TestMixedFleet(t *testing.T) {
	exporter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-dcgm",modelName="H100"} 30`+"\n")
	}))
	defer exporter.Close()
	_, port, _ := net.SplitHostPort(exporter.Listener.Addr().String())
	number, _ := strconv.Atoi(port)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("a token that nobody gave")
		}
		var result []string
		now := float64(time.Now().UnixMilli()) / 1000
		if strings.HasSuffix(r.URL.Path, "/query_range") {
			fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"DCGM_FI_DEV_GPU_UTIL"},"values":[[%f,"11"],[%f,"22"]]}]}}`, now-120, now-60)
			return
		}
		for i, id := range []string{"agent", "nomad", "dcgm", "prometheus"} { // it knows them all
			if strings.HasPrefix(r.FormValue("query"), "timestamp(") {
				result = append(result, fmt.Sprintf(`{"metric":{"UUID":"GPU-%s","gpu":"0","modelName":"H100"},"value":[%f,"%f"]}`, id, now, now))
			} else {
				result = append(result, fmt.Sprintf(`{"metric":{"__name__":"DCGM_FI_DEV_GPU_UTIL","UUID":"GPU-%s"},"value":[%f,"4%d"]}`, id, now, i))
			}
		}
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[%s]}}`, strings.Join(result, ","))
	}))
	defer server.Close()

	feed := cluster.NewFeed(cluster.Place{Cluster: "lab"}, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	var g errgroup.Group
	defer func() { cancel(); _ = g.Wait() }()
	g.Go(func() error { return feed.Run(ctx) })
	sources := gpuSources{feed: feed, redactor: secrets.NewRedactor(), context: contexts.Context{
		DCGM: contexts.DCGM{Port: number, Scheme: "http", Path: "/metrics"}, Prometheus: contexts.Prometheus{URL: server.URL},
	}}
	sources.dcgm(ctx, &g)
	sources.prometheus(ctx, &g)

	var nodes []cluster.Node
	for _, name := range []string{"agent", "nomad", "dcgm", "prometheus"} {
		n := cluster.Node{ID: cluster.NodeID("id-" + name), Name: "on-" + name, Status: cluster.NodeReady, Devices: []cluster.NodeDevice{{UUID: gpu.UUID("GPU-" + name), Model: "H100", Healthy: true}}}
		if name == "dcgm" {
			n.Address = "127.0.0.1" // only there is an exporter
		}
		nodes = append(nodes, n)
	}
	feed.Scheduler(cluster.Update{Lists: cluster.SetAll, Index: 1, Nodes: nodes})
	for i, name := range []string{"agent", "nomad"} {
		util, id := float64(10*(i+1)), gpu.UUID("GPU-"+name)
		feed.GPUs(gpu.Batch{Node: "id-" + name, Source: name, At: time.Now(), Devices: []gpu.Device{{UUID: id, Index: 0}}, Samples: []gpu.Sample{{UUID: id, At: time.Now(), UtilPercent: &util}}})
	}
	want := map[string]string{"on-agent": "agent 10", "on-nomad": "nomad 20", "on-dcgm": "dcgm 30", "on-prometheus": "prometheus 43"}
	s := await(t, feed, func(s *cluster.Snapshot) bool {
		got := map[string]string{}
		for i := range s.GPUs {
			if g := &s.GPUs[i]; g.Sample != nil && g.Util() != nil {
				got[g.NodeName] = fmt.Sprint(g.Source, " ", *g.Util())
			}
		}
		live := s.Source("prometheus")
		return live != nil && live.State == cluster.SourceLive && cmp.Equal(want, got)
	})
	if d := s.Source("dcgm on-dcgm"); d == nil || d.State != cluster.SourceLive {
		t.Errorf("%+v", d)
	}
	// Prometheus knows what a GPU did before, whoever tells what it does now.
	if err := sources.past(ctx, "GPU-agent"); err != nil {
		t.Fatal(err)
	}
	await(t, feed, func(s *cluster.Snapshot) bool {
		h := s.GPU("GPU-agent").History
		return slices.Equal(h.Util(), []uint8{11, 22, 10})
	})
}

// TestNotConfigured: what no context names is off, and says so.
func TestNotConfigured(t *testing.T) {
	feed := cluster.NewFeed(cluster.Place{Cluster: "lab"}, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	var g errgroup.Group
	defer func() { cancel(); _ = g.Wait() }()
	g.Go(func() error { return feed.Run(ctx) })
	sources := gpuSources{feed: feed, redactor: secrets.NewRedactor()}
	sources.dcgm(ctx, &g)
	sources.prometheus(ctx, &g)
	if sources.past != nil {
		t.Error("somebody knows the past")
	}
	await(t, feed, func(s *cluster.Snapshot) bool {
		d, p := s.Source("dcgm"), s.Source("prometheus")
		return d != nil && p != nil && d.State == cluster.SourceOff && p.State == cluster.SourceOff
	})
}
