package export

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stoker/cluster"
)

// Exporter serves one cluster.
type Exporter struct {
	Latest  func() *cluster.Snapshot
	Now     func() time.Time
	Version string
	// Token gives the bearer token that clients must send, and is asked at each
	// request. With none ("") nobody gets in; a nil Token lets everybody in.
	Token func() string
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

// health answers 200 only while it is known who holds the GPUs.
func (e *Exporter) health(w http.ResponseWriter, _ *http.Request) {
	s := e.Latest()
	if s.Known&cluster.SetAllocs == 0 || !e.current(s, "nomad") {
		why := "nomad does not answer"
		if src := s.Source("nomad"); src != nil && src.State == cluster.SourceDenied {
			why = "nomad refuses the token"
		}
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// current says that a source of Nomad's rows answers, or did a moment ago.
func (e *Exporter) current(s *cluster.Snapshot, source string) bool {
	src := s.Source(source)
	return src != nil && !src.AsOf.IsZero() &&
		(src.State == cluster.SourceLive || src.State == cluster.SourceRetrying && e.Now().Sub(src.AsOf) < staleAfter)
}

// guard lets only requests with the token through.
func (e *Exporter) guard(next http.Handler) http.Handler {
	if e.Token == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want := e.Token()
		got, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		// Hashes, so that the time taken tells nothing, the length included.
		g, x := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
		if want == "" || !isBearer || subtle.ConstantTimeCompare(g[:], x[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="stoker export"`)
			http.Error(w, "bearer token needed", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Serve answers on ln until ctx ends, then closes it and returns ctx's error.
func (e *Exporter) Serve(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler: e.Handler(), ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve the exporter: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		_ = srv.Close()
	}
	<-served
	return ctx.Err()
}
