package source

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// HTTP says how a server is asked. The zero value asks without a token and
// trusts the authorities of this host.
type HTTP struct {
	// Dial opens connections; nil dials directly.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Token gives the bearer token; it is asked before each request. nil or "":
	// none is sent.
	Token func(ctx context.Context) (string, error)
	// TLS gives the settings for https; it is asked at each connect, so renewed
	// files are used without a restart. nil: the authorities of the system.
	TLS func() (*tls.Config, error)
}

// asker asks servers over connections that it keeps.
type asker struct {
	cfg    HTTP
	client *http.Client
}

// do sends a request and gives the body of a good answer.
func (a *asker) do(req *http.Request) (io.ReadCloser, error) {
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
	resp, err := a.client.Do(req)
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

func newAsker(cfg HTTP) *asker {
	dial := cfg.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	}
	return &asker{cfg: cfg, client: &http.Client{
		// A redirect would carry the token to an address that nobody vouched for.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil, // reached through Dial alone
			DialContext:            dial,
			DialTLSContext:         dialTLS(dial, cfg.TLS),
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 32 << 10,
		},
	}}
}

// close lets idle connections go.
func (a *asker) close() { a.client.CloseIdleConnections() }

// isDenied tells a refused token.
func isDenied(err error) bool { return errors.Is(err, errDenied) }
