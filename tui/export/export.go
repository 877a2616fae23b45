package export

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stoker/cluster"
)

// Exporter serves one cluster, or several: then each series says of which it is.
type Exporter struct {
	Latest  func() *cluster.Snapshot
	Now     func() time.Time
	Version string
	// Admits tells who may read the metrics; nil lets everybody.
	Admits func(*http.Request) bool
}

// Handler serves /metrics, and /healthz without a token.
func (e *Exporter) Handler() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(newCollector(e))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", e.guard(promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4})))
	mux.HandleFunc("GET /healthz", e.health)
	return mux
}

// health answers 200 only while it is known who holds the GPUs, in each cluster.
func (e *Exporter) health(w http.ResponseWriter, _ *http.Request) {
	s := e.Latest()
	var ill []string
	for _, one := range s.Each() {
		why := e.unwell(one)
		if why != "" && s.Members != nil {
			why = s.Label(one.Place) + ": " + why
		}
		if why != "" {
			ill = append(ill, why)
		}
	}
	if len(ill) > 0 {
		http.Error(w, strings.Join(ill, "; "), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// unwell says why it is not known who holds a cluster's GPUs; empty when it is.
func (e *Exporter) unwell(s *cluster.Snapshot) string {
	if s.Known&cluster.SetAllocs != 0 && e.current(s, "nomad") {
		return ""
	}
	if src := s.Source("nomad"); src != nil && src.State == cluster.SourceDenied {
		return "nomad refuses the token"
	}
	return "nomad does not answer"
}

// current says that a source of Nomad's rows answers, or did a moment ago.
func (e *Exporter) current(s *cluster.Snapshot, source string) bool {
	src := s.Source(source)
	return src != nil && !src.AsOf.IsZero() &&
		(src.State == cluster.SourceLive || src.State == cluster.SourceRetrying && e.Now().Sub(src.AsOf) < staleAfter)
}

// guard lets only those through who are admitted.
func (e *Exporter) guard(next http.Handler) http.Handler {
	if e.Admits == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !e.Admits(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="stoker export"`)
			http.Error(w, "bearer token needed", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Server answers for the exporter, and bounds how long who asks may take.
func (e *Exporter) Server() *http.Server {
	return &http.Server{
		Handler: e.Handler(), ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
}
