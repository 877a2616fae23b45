package serve

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stoker/scenarios/workload/artifact"
	"stoker/scenarios/workload/digits"
	"stoker/scenarios/workload/nn"
)

// maxBody bounds a request: 1 MiB holds some thousand images.
const maxBody = 1 << 20

//go:embed openapi.json
var openAPI []byte

// Options are the choices of a server.
type Options struct {
	Name    string // to serve under; the model's own when empty
	Version string // likewise
	// Delay is added to the service time of each request, to show a slow model.
	Delay time.Duration
	Now   func() time.Time
	// Worked is told of each request that reached the network: the time
	// measured, and the delay added to it.
	Worked func(compute, delay time.Duration)
}

// Server serves one model. Its methods may be called from any goroutine.
type Server struct {
	opts     Options
	registry *prometheus.Registry
	model    atomic.Pointer[served]
	stopping atomic.Bool
}

// served is a loaded model; it does not change.
type served struct {
	name, version string
	net           nn.Net
	min, max      float64 // of the values that it was trained on
	metrics       *metrics
}

// New makes a server that is alive but not ready: it has no model yet.
func New(opts Options) *Server {
	return &Server{opts: opts, registry: prometheus.NewRegistry()}
}

// Load makes the server ready with a checked folder. It is called once.
func (s *Server) Load(f artifact.Folder) error {
	m := &served{
		name: s.opts.Name, version: s.opts.Version,
		net: f.Model.Net, min: f.Baseline.Min, max: f.Baseline.Max,
	}
	if m.name == "" {
		m.name = f.Model.Name
	}
	if m.version == "" {
		m.version = f.Model.Version
	}
	var err error
	if m.metrics, err = newMetrics(s.registry, m.name, m.version); err != nil {
		return fmt.Errorf("serve %s: %w", m.name, err)
	}
	s.model.Store(m)
	return nil
}

// Serving is the name and version served; ok is false before Load.
func (s *Server) Serving() (name, version string, ok bool) {
	m := s.model.Load()
	if m == nil {
		return "", "", false
	}
	return m.name, m.version, true
}

// Stop makes the server call itself not ready; requests under way and those
// that still come are answered.
func (s *Server) Stop() { s.stopping.Store(true) }

func (s *Server) ready() *served {
	if s.stopping.Load() {
		return nil
	}
	return s.model.Load()
}

// Handler routes all endpoints.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	get := func(path string, h http.HandlerFunc) { mux.Handle(path, method(http.MethodGet, h)) }
	get("/metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}).ServeHTTP)
	get("/openapi.json", func(w http.ResponseWriter, _ *http.Request) { send(w, http.StatusOK, "application/json", openAPI) })
	get("/v2", s.serverMetadata)
	get("/v2/health/live", func(w http.ResponseWriter, _ *http.Request) {
		sendJSON(w, http.StatusOK, map[string]bool{"live": true})
	})
	get("/v2/health/ready", s.serverReady)
	for _, path := range []string{"/v2/models/{model}", "/v2/models/{model}/versions/{version}"} {
		get(path, s.modelMetadata)
		get(path+"/ready", s.modelReady)
		mux.Handle(path+"/infer", method(http.MethodPost, s.infer))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(http.StatusNotFound, "no such path: %s (see /openapi.json)", r.URL.Path).send(w)
	})
	return mux
}

func method(want string, h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != want && (want != http.MethodGet || r.Method != http.MethodHead) {
			w.Header().Set("Allow", want)
			refuse(http.StatusMethodNotAllowed, "%s does not take %s, use %s", r.URL.Path, r.Method, want).send(w)
			return
		}
		h(w, r)
	})
}

func (s *Server) serverMetadata(w http.ResponseWriter, _ *http.Request) {
	version := ""
	if m := s.model.Load(); m != nil {
		version = m.version
	}
	sendJSON(w, http.StatusOK, map[string]any{"name": "stoker-workload", "version": version, "extensions": []string{}})
}

func (s *Server) serverReady(w http.ResponseWriter, _ *http.Request) {
	if s.ready() == nil {
		notReady().send(w)
		return
	}
	sendJSON(w, http.StatusOK, map[string]bool{"ready": true})
}

func (s *Server) modelMetadata(w http.ResponseWriter, r *http.Request) {
	m, p := s.find(r)
	if p != nil {
		p.send(w)
		return
	}
	sendJSON(w, http.StatusOK, map[string]any{
		"name": m.name, "versions": []string{m.version}, "platform": "stoker_mlp",
		"inputs": []tensorMetadata{{inputName, "FP32", []int{-1, digits.Pixels}}},
		"outputs": []tensorMetadata{
			{labelName, "INT64", []int{-1}},
			{scoresName, "FP32", []int{-1, digits.Classes}},
		},
	})
}

func (s *Server) modelReady(w http.ResponseWriter, r *http.Request) {
	m, p := s.find(r)
	if p == nil && s.stopping.Load() {
		p = notReady()
	}
	if p != nil {
		p.send(w)
		return
	}
	sendJSON(w, http.StatusOK, map[string]any{"name": m.name, "ready": true})
}

// find gives the model that the path names.
func (s *Server) find(r *http.Request) (*served, *problem) {
	m := s.model.Load()
	if m == nil {
		return nil, notReady()
	}
	name, version := r.PathValue("model"), r.PathValue("version")
	if name != m.name {
		return nil, refuse(http.StatusNotFound, "no model %q here, this server has %q", name, m.name).because("unknown_model")
	}
	if version != "" && version != m.version {
		return nil, refuse(http.StatusNotFound, "no version %q of model %q here, this server has %q", version, name, m.version).because("unknown_model")
	}
	return m, nil
}

func (s *Server) infer(w http.ResponseWriter, r *http.Request) {
	m, p := s.find(r)
	if p != nil {
		if loaded := s.model.Load(); loaded != nil {
			loaded.metrics.rejected(p.reason)
		}
		p.send(w)
		return
	}
	start := s.opts.Now()
	m.metrics.inFlight.Inc()
	defer m.metrics.inFlight.Dec()
	code, done := http.StatusOK, r.Context()
	answer, compute, p := s.answer(m, w, r)
	switch {
	case p != nil:
		code = p.Status
		m.metrics.rejected(p.reason)
		p.send(w)
	case !wait(done, s.opts.Delay):
		code = statusClientGone
	default:
		s.opts.Worked(compute, s.opts.Delay)
		sendJSON(w, code, answer)
	}
	m.metrics.request(code, s.opts.Now().Sub(start))
}

// statusClientGone is nginx's number for a client that hung up; nobody
// receives it, it is only counted.
const statusClientGone = 499

// wait returns false when the client went away first.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// answer reads the request, asks the network and measures how long that took.
func (s *Server) answer(m *served, w http.ResponseWriter, r *http.Request) (inferResponse, time.Duration, *problem) {
	req, p := readRequest(w, r)
	if p != nil {
		return inferResponse{}, 0, p
	}
	start := s.opts.Now()
	images, p := m.images(req)
	if p != nil {
		return inferResponse{}, 0, p
	}
	wanted, p := req.wanted()
	if p != nil {
		return inferResponse{}, 0, p
	}
	labels, scores := make([]int64, 0, len(images)), make([]float32, 0, len(images)*digits.Classes)
	for _, img := range images {
		probabilities := m.net.Predict(img)
		label, top := nn.Best(probabilities)
		m.metrics.predicted(label, top)
		labels = append(labels, int64(label))
		for _, v := range probabilities {
			scores = append(scores, float32(v))
		}
	}
	out := inferResponse{ModelName: m.name, ModelVersion: m.version, ID: req.ID}
	for _, name := range wanted {
		switch name {
		case labelName:
			out.Outputs = append(out.Outputs, outputTensor{labelName, "INT64", []int{len(images)}, labels})
		case scoresName:
			out.Outputs = append(out.Outputs, outputTensor{scoresName, "FP32", []int{len(images), digits.Classes}, scores})
		}
	}
	return out, s.opts.Now().Sub(start), nil
}
