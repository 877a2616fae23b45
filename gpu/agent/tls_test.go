package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"stoker/gpu/certs"
	"stoker/gpu/certs/certtest"
	"stoker/gpu/source"
)

func store(t *testing.T, ca string, pair certtest.Pair) *certs.Store {
	t.Helper()
	s, err := certs.New(certs.Files{Cert: pair.Cert, Key: pair.Key, CA: ca}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAgentToSourceOverTLS lets readers and agents meet that are set up
// differently; who is turned away is told what to set.
func TestAgentToSourceOverTLS(t *testing.T) {
	ca, stranger := certtest.New(t), certtest.New(t)
	token := func(s string) func() string { return func() string { return s } }
	here, elsewhere, old := ca.Issue(t, time.Hour, "127.0.0.1"), ca.Issue(t, time.Hour, "gpu-1"), ca.Issue(t, -time.Minute, "127.0.0.1")
	user := ca.Issue(t, time.Hour)
	for name, tc := range map[string]struct {
		cert     certtest.Pair // the agent's; none: plain HTTP
		clientCA string
		token    func() string

		plain   bool // how it is called
		trusts  string
		shows   certtest.Pair
		as      string
		bearer  string
		state   string
		advises string
	}{
		"TLS alone":         {cert: here, trusts: ca.File, state: source.StateLive},
		"TLS and token":     {cert: here, token: token("sesame"), trusts: ca.File, bearer: "sesame", state: source.StateLive},
		"mutual":            {cert: here, clientCA: ca.File, trusts: ca.File, shows: user, state: source.StateLive},
		"mutual and token":  {cert: here, clientCA: ca.File, token: token("sesame"), trusts: ca.File, shows: user, bearer: "sesame", state: source.StateLive},
		"another name":      {cert: elsewhere, trusts: ca.File, as: "gpu-1", state: source.StateLive},
		"no token":          {cert: here, clientCA: ca.File, token: token("sesame"), trusts: ca.File, shows: user, state: source.StateDenied, advises: "token"},
		"no certificate":    {cert: here, clientCA: ca.File, token: token("sesame"), trusts: ca.File, bearer: "sesame", state: source.StateDenied, advises: "agents.client_cert"},
		"strange client":    {cert: here, clientCA: stranger.File, trusts: ca.File, shows: user, state: source.StateDown, advises: "agents.client_cert must be signed by its --client-ca"},
		"unknown authority": {cert: here, trusts: stranger.File, state: source.StateDown, advises: "set agents.ca_cert"},
		"system's own":      {cert: here, state: source.StateDown, advises: "set agents.ca_cert"},
		"wrong name":        {cert: elsewhere, trusts: ca.File, state: source.StateDown, advises: "set agents.tls_server_name"},
		"expired":           {cert: old, trusts: ca.File, state: source.StateDown, advises: "renew the agent's certificate"},
		"agent is plain":    {trusts: ca.File, state: source.StateDown, advises: "start it with --tls-cert"},
		"reader is plain":   {cert: here, plain: true, state: source.StateDown, advises: "set agents.tls"},
		"broken settings":   {cert: here, trusts: "/nope/ca.pem", state: source.StateDown, advises: "TLS settings of this context: TLS file: stat /nope/ca.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Interval: 10 * time.Millisecond, Token: tc.token}
			if tc.cert.Cert != "" {
				cfg.TLS = store(t, tc.clientCA, tc.cert)
			}
			_, url := running(t, cfg)
			if !tc.plain {
				url = strings.Replace(url, "http:", "https:", 1)
			}
			mine := store(t, tc.trusts, tc.shows)
			var c collect
			c.start(t, source.Config{
				Endpoints: func() []source.Endpoint { return []source.Endpoint{{Node: "node-1", URL: url}} },
				Token:     func(context.Context) (string, error) { return tc.bearer, nil },
				TLS:       func() (*tls.Config, error) { return mine.Client(tc.as) },
			})
			eventually(t, "an outcome", func() bool {
				_, st, _ := c.last()
				return st.State == source.StateLive || st.Err != ""
			})
			if _, st, _ := c.last(); st.State != tc.state || !strings.Contains(st.Err, tc.advises) {
				t.Errorf("%s: %q, want %s with %q", st.State, st.Err, tc.state, tc.advises)
			}
		})
	}
}

// A certificate that is renewed on disk serves the next connection, on both
// ends, and who has it alone needs no restart.
func TestRenewedCertificates(t *testing.T) {
	ca, next := certtest.New(t), certtest.New(t)
	server := ca.Issue(t, time.Hour, "127.0.0.1")
	a, url := running(t, Config{TLS: store(t, "", server)})
	url = strings.Replace(url, "http:", "https:", 1) + "/healthz"
	get := func(trust string) error {
		conf, err := store(t, trust, certtest.Pair{}).Client("")
		if err != nil {
			t.Fatal(err)
		}
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}, Timeout: time.Minute}
		resp, err := c.Get(url)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := get(ca.File); err != nil {
		t.Fatal(err)
	}
	server.Replace(t, next.Issue(t, 2*time.Hour, "127.0.0.1"))
	if err := get(next.File); err != nil {
		t.Errorf("after the renewal: %v", err)
	}
	if err := get(ca.File); err == nil {
		t.Error("the old certificate is served still")
	}
	ends := series(scrape(t, a, "/metrics")["stoker_agent_certificate_expiry_timestamp_seconds"])[""]
	if left := time.Until(time.Unix(int64(ends), 0)); left < time.Hour {
		t.Errorf("it ends in %s, by the metric", left)
	}
}

// With certificates alone other machines may connect, and all but /healthz
// needs one.
func TestMutualTLSGuards(t *testing.T) {
	ca := certtest.New(t)
	cfg := Config{TLS: store(t, ca.File, ca.Issue(t, time.Hour, "127.0.0.1"))}
	a := newAgent(t, cfg)
	ln, err := a.Listen(t.Context(), "0.0.0.0:0")
	if err != nil {
		t.Fatalf("other machines, with client certificates: %v", err)
	}
	ln.Close()
	if ln, err := newAgent(t, Config{TLS: store(t, "", ca.Issue(t, time.Hour))}).Listen(t.Context(), "0.0.0.0:0"); err == nil {
		ln.Close()
		t.Error("TLS without authentication opens the agent to other machines")
	}
	for path, want := range map[string]int{"/healthz": 503, "/metrics": 403, "/metrics/dcgm": 403, "/v1/snapshot": 403, "/v1/stream": 403} {
		if code, _ := ask(a, http.MethodGet, path); code != want {
			t.Errorf("%s without a certificate: %d, want %d", path, code, want)
		}
	}
	if code, _ := ask(a, http.MethodPost, "/release"); code != http.StatusForbidden {
		t.Errorf("release without a certificate: %d", code)
	}
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.TLS = &tls.ConnectionState{} // came over TLS, and nobody vouches for the client
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("with an unverified connection: %d", w.Code)
	}
}

// Whoever announces a body and does not send it does not keep the connection,
// with or without a token.
func TestABodyThatDoesNotCome(t *testing.T) {
	a := newAgent(t, Config{Token: func() string { return "secret" }})
	a.writeTimeout = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	ln, err := a.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = a.Serve(ctx, ln) })
	defer wg.Wait()
	defer cancel()
	for _, what := range []string{"POST /release", "GET /metrics", "GET /v1/stream", "POST /nothing"} {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, what+" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection stays", what)
		}
	}
}

// Connections above the limit wait; they do not make the agent grow.
func TestConnectionsAreBounded(t *testing.T) {
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := atMost(raw, 2)
	accepted := make(chan net.Conn)
	ended := make(chan error)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- c
		}
	}()
	for range 3 {
		c, err := net.Dial("tcp", raw.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first, second := <-accepted, <-accepted
	if n := len(ln.(*limited).slots); n != 2 {
		t.Fatalf("%d places taken", n)
	}
	select {
	case <-accepted:
		t.Error("a third one is served")
	default:
	}
	first.Close()
	first.Close() // gives its place back once
	third := <-accepted
	second.Close()
	third.Close()
	if n := len(ln.(*limited).slots); n > 1 { // the next Accept holds one
		t.Errorf("%d places taken when all have gone", n)
	}
	ln.Close()
	if err := <-ended; err == nil {
		t.Error("it goes on")
	}
	full := atMost(raw, 0)
	full.Close()
	if _, err := full.Accept(); err == nil {
		t.Error("closed while it waited for a place, it goes on")
	}
}
