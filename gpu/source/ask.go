package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// HTTP says how a server is asked. The zero value asks without a token and
// trusts the authorities of this host.
type HTTP struct {
	// Dial opens connections; nil dials directly.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Token gives the bearer token; it is asked before each request. nil or "":
	// none is sent.
	Token                 func(ctx context.Context) (string, error)
	CACert                string // file of authorities, PEM
	ClientCert, ClientKey string // files, PEM
	ServerName            string
	SkipVerify            bool
}

// asker asks servers over connections that it keeps.
type asker struct {
	cfg    HTTP
	mu     sync.Mutex
	client *http.Client // nil until the files could be read
}

// do sends a request and gives the body of a good answer.
func (a *asker) do(req *http.Request) (io.ReadCloser, error) {
	client, err := a.open()
	if err != nil {
		return nil, err
	}
	if a.cfg.Token != nil {
		token, err := a.cfg.Token(req.Context())
		if err != nil {
			return nil, fmt.Errorf("no token for it: %w", err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
	}
	req.Header.Set("User-Agent", "stoker")
	resp, err := client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return resp.Body, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		err = fmt.Errorf("%w (HTTP %d)", errDenied, resp.StatusCode)
	default:
		err = fmt.Errorf("answered HTTP %d", resp.StatusCode)
		// Prometheus says in the body what it does not like of a query.
		if told := decodeVector(io.LimitReader(resp.Body, 64<<10), func(series) {}); errors.Is(told, errTold) {
			err = fmt.Errorf("%w: %w", err, told)
		}
	}
	resp.Body.Close()
	return nil, err
}

// open makes the client. Files that cannot be read are tried again the next time.
func (a *asker) open() (*http.Client, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.client != nil {
		return a.client, nil
	}
	t := &tls.Config{ServerName: a.cfg.ServerName, InsecureSkipVerify: a.cfg.SkipVerify, MinVersion: tls.VersionTLS12} //nolint:gosec // asked for
	if a.cfg.CACert != "" {
		pem, err := os.ReadFile(a.cfg.CACert)
		if err != nil {
			return nil, fmt.Errorf("ca_cert: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_cert: %s holds no certificate", a.cfg.CACert)
		}
	}
	if a.cfg.ClientCert != "" {
		pair, err := tls.LoadX509KeyPair(a.cfg.ClientCert, a.cfg.ClientKey)
		if err != nil {
			return nil, fmt.Errorf("client_cert: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	dial := a.cfg.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	}
	a.client = &http.Client{
		// A redirect would carry the token to an address that nobody vouched for.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil, // reached through Dial alone
			DialContext:            dial,
			TLSClientConfig:        t,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 32 << 10,
		},
	}
	return a.client, nil
}

// close lets idle connections go.
func (a *asker) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.client != nil {
		a.client.CloseIdleConnections()
	}
}

// isDenied tells a refused token.
func isDenied(err error) bool { return errors.Is(err, errDenied) }
