package wire

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// site is a Nomad for the scripts: it answers with what Nomad 1.11.3 answered
// for one node with two GPUs, and notes what it was asked. The bodies are those
// that the tests of cluster/nomad read.
type site struct {
	*httptest.Server
	bodies  string // folder of the recorded bodies
	metrics string // port of the model server

	mu    sync.Mutex
	asked []string // method, path and body
	late  string   // port of an agent that does not answer, "" for none
	deny  string   // what begins with it is refused
}

func newSite(bodies string) (*site, func(), error) {
	text, err := os.ReadFile(filepath.Join(bodies, "..", "..", "..", "jobs", "metrics", "testdata", "serve-1.txt"))
	if err != nil {
		return nil, nil, err
	}
	served := strings.ReplaceAll(string(text), `version="1"`, `version="1.0"`)
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, served)
	}))
	s := &site{bodies: bodies, metrics: port(model.URL)}
	s.Server = httptest.NewServer(s)
	return s, func() {
		for _, srv := range []*httptest.Server{s.Server, model} {
			srv.CloseClientConnections()
			srv.Close()
		}
	}, nil
}

func port(url string) string { return url[strings.LastIndexByte(url, ':')+1:] }

// nobody is a port on which nobody listens.
func nobody() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return port(l.Addr().String()), nil
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.asked = append(s.asked, fmt.Sprintf("%s %s %s", r.Method, r.URL.RequestURI(), body))
	deny, late := s.deny, s.late
	s.mu.Unlock()
	if deny != "" && strings.HasPrefix(r.URL.Path, deny) && r.URL.Path != "/v1/status/leader" {
		http.Error(w, "Permission denied", http.StatusForbidden)
		return
	}
	if r.URL.Path == "/v1/event/stream" {
		_, _ = io.WriteString(w, "{}\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return
	}
	code, text := s.answer(r.Method+" "+r.URL.Path, string(body), late)
	if code == http.StatusNotFound { // a server that repeats what it was sent
		text += ", token " + r.Header.Get("X-Nomad-Token")
	}
	w.Header().Set("X-Nomad-Index", "201")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text)
}

// answer is the body for a request.
func (s *site) answer(what, body, late string) (int, string) {
	files := map[string]string{
		"GET /v1/nodes": "nodes", "GET /v1/jobs": "jobs", "GET /v1/allocations": "allocations", "GET /v1/deployments": "deployments",
		"GET /v1/evaluations": "evaluations", "GET /v1/services": "services", "GET /v1/job/digits": "job-digits", "GET /v1/job/big": "job-big",
		"GET /v1/service/digits": "service-digits", "PUT /v1/job/digits/plan": "plan",
		"GET /v1/client/stats": "client-stats",
	}
	switch what {
	case "GET /v1/status/leader":
		return http.StatusOK, `"127.0.0.1:4647"`
	case "GET /v1/regions":
		return http.StatusOK, `["east","west"]`
	case "GET /v1/vars":
		return http.StatusOK, `[]`
	case "GET /v1/services":
		if late != "" {
			return http.StatusOK, `[{"Namespace":"default","Services":[{"ServiceName":"stoker-agent"}]}]`
		}
	case "GET /v1/service/stoker-agent":
		return http.StatusOK, strings.NewReplacer(`"ServiceName":"digits"`, `"ServiceName":"stoker-agent"`,
			`"JobID":"digits"`, `"JobID":"stoker-agent"`, "38700", late).Replace(s.recorded("service-digits"))
	case "PUT /v1/jobs/parse":
		if strings.Contains(body, "file(") {
			return http.StatusBadRequest, `Failed to parse job: input.hcl:4,15-20: Error in function call; Call to function "file" failed: filesystem function disabled., and 1 other diagnostic(s)`
		}
		return http.StatusOK, s.recorded("parsed")
	case "DELETE /v1/job/digits", "PUT /v1/jobs":
		return http.StatusOK, `{"EvalID":"5f0bd745-312b-b061-d6d9-9d152877c45d"}`
	}
	if name, ok := files[what]; ok {
		return http.StatusOK, strings.NewReplacer("38700", s.metrics, readAt, ahead).Replace(s.recorded(name))
	}
	return http.StatusNotFound, "not found: " + what
}

// readAt is when the readings were taken that are recorded. They are dated ahead,
// which makes them as old as when they came: of old ones nothing is added up.
const (
	readAt = "2026-03-01T12:00:00.28Z"
	ahead  = "2126-03-01T12:00:00.28Z"
)

func (s *site) recorded(name string) string {
	raw, err := os.ReadFile(filepath.Join(s.bodies, name+".json"))
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(raw))
}

// requests are those that hold all the texts.
func (s *site) requests(texts ...string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.asked), func(a string) bool {
		return slices.ContainsFunc(texts, func(t string) bool { return !strings.Contains(a, t) })
	})
}

func recordedBodies(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", "cluster", "nomad", "testdata"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
