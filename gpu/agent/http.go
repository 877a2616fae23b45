package agent

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stoker/gpu/stream"
)

// Handler serves all endpoints. All but /healthz need what authenticates a
// client, where anything does.
func (a *Agent) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", a.serveHealth)
	mux.Handle("GET /v1/stream", a.guard(http.HandlerFunc(a.serveStream)))
	mux.Handle("GET /v1/snapshot", a.guard(http.HandlerFunc(a.serveSnapshot)))
	own, dcgm := a.metricHandler(newCollector(a)), a.metricHandler(newDCGM(a))
	if !a.cfg.OpenMetrics {
		own, dcgm = a.guard(own), a.guard(dcgm)
	}
	mux.Handle("GET /metrics", own)
	mux.Handle("GET /metrics/dcgm", dcgm)
	// Where nothing authenticates, a page in a browser of this machine must not
	// be able to ask for it either.
	mux.Handle("POST /release", a.byAddress(http.NewCrossOriginProtection().Handler(a.guard(http.HandlerFunc(a.serveRelease)))))
	return a.bounded(mux)
}

// byAddress refuses who calls this machine by another name than localhost, where
// nothing authenticates: a page can give its own name this machine's address, and
// then the browser takes both for one site.
func (a *Agent) byAddress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u := url.URL{Host: r.Host}
		if host := u.Hostname(); !a.authenticates() && host != "localhost" && net.ParseIP(host) == nil {
			refuse(w, http.StatusForbidden, "call the agent by its address, or as localhost")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// bounded gives an answer a deadline, so that readers who take nothing do not
// keep their places for ever; the stream sets others as it goes on. So it does
// with a body that was announced: none is needed, and the server waits for its
// end before it lets the connection go.
func (a *Agent) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A writer that knows no deadlines, such as a test's, needs none.
		ctl, by := http.NewResponseController(w), time.Now().Add(a.writeTimeout)
		_ = ctl.SetWriteDeadline(by)
		if r.ContentLength != 0 {
			_ = ctl.SetReadDeadline(by)
		}
		next.ServeHTTP(w, r)
	})
}

func (a *Agent) metricHandler(c prometheus.Collector) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

func refuse(w http.ResponseWriter, code int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": why})
}

func (a *Agent) serveSnapshot(w http.ResponseWriter, _ *http.Request) {
	b, ok := a.hub.latest()
	if !ok {
		refuse(w, http.StatusServiceUnavailable, "nothing read yet: see /healthz")
		return
	}
	out, err := stream.MarshalBatch(b)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(out)
}

func (a *Agent) serveStream(w http.ResponseWriter, r *http.Request) {
	box, ok := a.hub.join(maxStreams)
	if !ok {
		refuse(w, http.StatusServiceUnavailable, "too many streams: close one")
		return
	}
	defer a.hub.leave(box)
	c := &client{agent: a, box: box, ctl: http.NewResponseController(w), out: w, plain: r.FormValue(stream.DetailParam) == stream.DetailNone}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Add("Vary", "Accept-Encoding")
	if wantsGzip(r) {
		w.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is valid
		c.out, c.zip = z, z
	}
	if err := c.run(r.Context().Done()); err != nil && !errors.Is(err, errClientLeft) {
		a.cfg.Log.Info("gpu stream dropped", "client", r.RemoteAddr, "err", err)
	}
}

func wantsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(name, "gzip") && strings.ReplaceAll(params, " ", "") != "q=0" {
			return true
		}
	}
	return false
}

var errClientLeft = errors.New("client left")

// client writes one stream.
type client struct {
	agent *Agent
	box   *mailbox
	ctl   *http.ResponseController
	out   io.Writer
	zip   *gzip.Writer
	seq   uint64 // last reading sent
	plain bool   // it wants no details
}

func (c *client) run(done <-chan struct{}) error {
	h, err := stream.MarshalHeader(stream.Header{
		Node: c.agent.cfg.Node, NodeName: c.agent.cfg.NodeName, IntervalMS: c.agent.cfg.Interval.Milliseconds(),
	})
	if err != nil {
		return err
	}
	if err := c.send(h); err != nil {
		return err
	}
	beats := time.NewTicker(c.agent.cfg.Interval)
	defer beats.Stop()
	quiet := true // nothing was sent since the last beat
	for {
		select {
		case <-done:
			return errClientLeft
		case <-c.box.ready:
			if err := c.sendTick(c.box.take()); err != nil {
				return err
			}
			quiet = false
		case <-beats.C:
			if quiet {
				if err := c.sendBeat(); err != nil {
					return err
				}
			}
			quiet = true
		}
	}
}

func (c *client) sendTick(t *tick) error {
	if t == nil {
		return nil
	}
	l, err := c.agent.hub.line(t, c.seq, c.plain)
	if err != nil {
		return err
	}
	c.seq = t.seq
	return c.send(l)
}

func (c *client) sendBeat() error {
	s := c.agent.samplerState()
	l, err := stream.MarshalFrame(stream.Frame{Kind: stream.KindBeat, At: c.agent.cfg.Now(), Sampler: &s})
	if err != nil {
		return err
	}
	return c.send(l)
}

// send writes one line through to the client. The deadline is by the kernel's
// clock, hence not by the injected one; not every writer has deadlines.
func (c *client) send(l []byte) error {
	_ = c.ctl.SetWriteDeadline(time.Now().Add(c.agent.writeTimeout))
	if _, err := c.out.Write(l); err != nil {
		return err
	}
	if c.zip != nil {
		if err := c.zip.Flush(); err != nil {
			return err
		}
	}
	return c.ctl.Flush()
}
