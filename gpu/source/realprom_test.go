package source

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stoker/gpu"
)

// ownPage is a page of stoker's agent, with one GPU.
const ownPage = `# TYPE stoker_gpu_info gauge
stoker_gpu_info{uuid="GPU-eeee",gpu="0",model="NVIDIA A100",pci="0000:1b:00.0",parent="",driver="550.54",cuda="12.4"} 1
# TYPE stoker_gpu_utilization_ratio gauge
stoker_gpu_utilization_ratio{uuid="GPU-eeee",gpu="0"} 0.5
# TYPE stoker_gpu_health gauge
stoker_gpu_health{uuid="GPU-eeee",gpu="0",verdict="ok"} 1
stoker_gpu_health{uuid="GPU-eeee",gpu="0",verdict="failed"} 0
# TYPE stoker_gpu_xid_errors_total counter
stoker_gpu_xid_errors_total{uuid="GPU-eeee",gpu="0",xid="31"} 2
`

// TestRealPrometheus lets Prometheus itself scrape pages of both generations and
// of the agent, and reads them from it: that the queries mean what they should
// is for it to say. Without the program on the machine there is nothing to see.
func TestRealPrometheus(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("no prometheus on this machine")
	}
	pages := map[string]string{
		"/old": file(t, "dcgm-3.txt"), "/own": ownPage,
		"/new": strings.NewReplacer("GPU-aaaa0000", "GPU-dddd0000", "GPU-bbbb1111", "GPU-dddd1111").Replace(file(t, "dcgm-4.9.txt")),
	}
	exporters := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, pages[r.URL.Path]) }))
	defer exporters.Close()
	url := runPrometheus(t, program, exporters.Listener.Addr().String(), "/old", "/new", "/own")

	src := Prometheus(PrometheusConfig{URL: url, Match: map[string]string{"site": "here"}, Node: func(_ gpu.UUID, labels map[string]string) string {
		return label(labels, "node", "Hostname", "hostname")
	}})
	defer src.asker.close()
	var batches []gpu.Batch
	eventually(t, "all GPUs", func() bool {
		b, err := src.read(t.Context(), Endpoint{})
		if err != nil {
			return false
		}
		batches = src.split(b)
		return len(b.Samples) == 5 && len(batches) == 3
	})
	slices.SortFunc(batches, func(a, b gpu.Batch) int { return strings.Compare(a.Node, b.Node) })
	for i, want := range []struct {
		node, model string
		util        float64
	}{{"gpu-7", "NVIDIA H100 80GB HBM3", 97}, {"gpu-8", "NVIDIA H200", 97}, {"id-of-gpu-9", "NVIDIA A100", 50}} {
		b := batches[i]
		s := b.Samples[0]
		if b.Node != want.node || b.Devices[0].Model != want.model || s.UtilPercent == nil || near1(*s.UtilPercent, want.util) || s.Health.Verdict == gpu.VerdictUnknown {
			t.Errorf("%+v", b)
		}
		if age := b.At.Sub(s.At); age < 0 || age > time.Minute {
			t.Errorf("%s: a sample that is %s old", b.Node, age)
		}
	}
	if d := batches[0].Samples[0].Detail; d == nil || d.GPM == nil || len(d.NVLinks) != 1 || d.ThrottleSeconds["sw_power_cap"] == 0 {
		t.Errorf("details: %+v", d)
	}
	for _, id := range []gpu.UUID{"GPU-aaaa0000", "GPU-dddd0000", "GPU-eeee"} {
		past, err := src.Past(t.Context(), id, time.Now().Add(-time.Minute), time.Now(), time.Second)
		if err != nil || len(past) == 0 || past[len(past)-1].UtilPercent == nil {
			t.Errorf("the past of %s: %v %v", id, past, err)
		}
	}
}

func near1(a, b float64) bool { return a-b > 1e-9 || b-a > 1e-9 }

// runPrometheus runs it until the test ends, and returns where it answers.
func runPrometheus(t *testing.T, program, target string, paths ...string) (url string) {
	t.Helper()
	dir := t.TempDir()
	config := "global: {scrape_interval: 1s}\nscrape_configs:\n"
	for i, path := range paths {
		config += fmt.Sprintf("- job_name: j%d\n  metrics_path: %s\n  static_configs: [{targets: [%q], labels: {site: here", i, path, target)
		if path == "/own" {
			config += ", node: id-of-gpu-9"
		}
		config += "}}]\n"
	}
	configFile := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(configFile, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	cmd := exec.Command(program, "--config.file="+configFile, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return "http://" + addr
}
