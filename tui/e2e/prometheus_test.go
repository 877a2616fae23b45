package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"stoker/gpu/certs/certtest"
)

// TestPrometheus: a Prometheus that scrapes the agents of the lab has a series
// for each GPU; so has one that shows certificate and token to an agent that
// wants both. promtool finds nothing wrong with the agent's page.
func TestPrometheus(t *testing.T) {
	w := need(t)
	for _, tool := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing: make setup installs it", tool)
		}
	}
	p := &prometheus{t: t, dir: t.TempDir()}
	p.start(p.labJob(w) + p.securedJob(w))

	eventually(t, func() error { // once for each node and GPU
		return p.expect(`count by (node) (stoker_gpu_power_watts{job="stoker"})`, "4", "8", "8")
	})
	eventually(t, func() error { return p.expect(`count(stoker_gpu_power_watts{job="secured"})`, "8") })
	eventually(t, func() error { return p.expect(`count(DCGM_FI_DEV_POWER_USAGE{job="dcgm"})`, "8") })
	// Readings are joined to what a GPU is by its UUID.
	eventually(t, func() error {
		return p.expect(`count by (model) (stoker_gpu_utilization_ratio{job="secured"} * on (uuid) group_left (model) stoker_gpu_info{job="secured"})`, "8")
	})
	eventually(t, func() error { return p.expect(`min(stoker_agent_sampler_up)`, "1") })
}

type prometheus struct {
	t       *testing.T
	dir     string
	address string
}

// put writes a file and returns its path.
func (p *prometheus) put(name, text string) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// labJob scrapes the agents that Nomad knows. Debian's Prometheus is built
// without Nomad's discovery, so they are listed.
func (p *prometheus) labJob(w *world) string {
	p.t.Helper()
	var agents []struct {
		Address string
		Port    int
		NodeID  string
	}
	eventually(p.t, func() error {
		out, err := w.official("service", "info", "-json", "stoker-agent")
		if err != nil {
			return err
		}
		return json.Unmarshal([]byte(out), &agents)
	})
	var job strings.Builder
	job.WriteString("- job_name: stoker\n  static_configs:\n")
	for _, a := range agents {
		fmt.Fprintf(&job, "    - {targets: [%q], labels: {node: %q}}\n", net.JoinHostPort(a.Address, strconv.Itoa(a.Port)), a.NodeID)
	}
	return job.String()
}

// securedJob scrapes an agent of its own, on the simulated GPUs of a node of
// the lab, which wants a certificate and a token; its page must be clean.
func (p *prometheus) securedJob(w *world) string {
	p.t.Helper()
	ca := certtest.New(p.t)
	server, reader := ca.Issue(p.t, time.Hour, "127.0.0.1"), ca.Issue(p.t, time.Hour)
	token := p.put("agent.token", "sesame")
	agent := begin(p.t, "agent", "--listen", "127.0.0.1:0", "--sim", filepath.Join(w.labDir(), "gpu-a", "sim"), "--node-name", "gpu-a",
		"--token-file", token, "--tls-cert", server.Cert, "--tls-key", server.Key, "--client-ca", ca.File)
	var found []string
	eventually(p.t, func() error {
		if found = regexp.MustCompile(`serving GPUs on https://(\S+)`).FindStringSubmatch(agent.err.String()); found == nil {
			return fmt.Errorf("no address:\n%s", agent.err.String())
		}
		return nil
	})
	eventually(p.t, func() error { return clean(found[1], token, ca.File, reader) })
	var jobs strings.Builder
	for name, path := range map[string]string{"secured": "/metrics", "dcgm": "/metrics/dcgm"} {
		fmt.Fprintf(&jobs, `- job_name: %s
  scheme: https
  metrics_path: %s
  authorization: {credentials_file: %s}
  tls_config: {ca_file: %s, cert_file: %s, key_file: %s}
  static_configs: [{targets: [%q]}]
`, name, path, token, ca.File, reader.Cert, reader.Key, found[1])
	}
	return jobs.String()
}

// clean gives an agent's page to promtool.
func clean(address, token, ca string, reader certtest.Pair) error {
	secret, err := os.ReadFile(token)
	if err != nil {
		return err
	}
	curl := exec.Command("curl", "--silent", "--show-error", "--fail", "--max-time", "20", "--cacert", ca, "--cert", reader.Cert, "--key", reader.Key,
		"--header", "Authorization: Bearer "+string(secret), "https://"+address+"/metrics")
	page, err := curl.Output()
	if err != nil {
		return fmt.Errorf("curl: %w", err)
	}
	if !bytes.Contains(page, []byte("stoker_gpu_power_watts{")) {
		return fmt.Errorf("no readings yet:\n%s", page)
	}
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = bytes.NewReader(page)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		return fmt.Errorf("promtool check metrics: %w\n%s", err, out)
	}
	return nil
}

// start runs Debian's Prometheus with scrape jobs until the test ends.
func (p *prometheus) start(jobs string) {
	p.t.Helper()
	config := p.put("prometheus.yml", "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"+jobs)
	if out, err := exec.Command("promtool", "check", "config", config).CombinedOutput(); err != nil {
		p.t.Fatalf("promtool check config: %v\n%s", err, out)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0") // it does not say which port it took
	if err != nil {
		p.t.Fatal(err)
	}
	p.address = ln.Addr().String()
	ln.Close()
	cmd := exec.Command("prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(p.dir, "data"), "--web.listen-address="+p.address)
	var log printed
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if p.t.Failed() {
			p.t.Logf("prometheus:\n%s", log.String())
		}
	})
}

// expect asks for an instant vector and compares its values, in any order.
func (p *prometheus) expect(query string, want ...string) error {
	client := http.Client{Timeout: 20 * time.Second}
	resp, err := client.Get("http://" + p.address + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]any // time and text
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s: HTTP %d: %w", query, resp.StatusCode, err)
	}
	left := append([]string(nil), want...)
	for _, r := range answer.Data.Result {
		for i, w := range left {
			if r.Value[1] == w {
				left = append(left[:i], left[i+1:]...)
				break
			}
		}
	}
	if len(left) > 0 || len(answer.Data.Result) != len(want) {
		return fmt.Errorf("%s gives %v, want %v", query, answer.Data.Result, want)
	}
	return nil
}
