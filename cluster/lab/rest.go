package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// rest speaks JSON to Nomad, Vault or a Docker engine.
type rest struct {
	base   string // scheme and host, no slash at the end
	header string // the header for the token; none when empty
	token  string
	client *http.Client
}

// A proxy from the environment has no business with loopback.
func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConns: 8, IdleConnTimeout: 10 * time.Second}}
}

func newUnixClient(socket string) *http.Client {
	var d net.Dialer
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", socket)
		},
		IdleConnTimeout: 10 * time.Second,
	}}
}

func (r rest) close() { r.client.CloseIdleConnections() }

// restError is an answer other than 2xx.
type restError struct {
	Method, Path string
	Status       int
	Text         string
}

func (e *restError) Error() string {
	return fmt.Sprintf("%s %s: status %d: %s", e.Method, e.Path, e.Status, e.Text)
}

func statusOf(err error) int {
	var e *restError
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// do sends in as JSON unless nil and decodes the answer into out unless nil. Each
// call has ten seconds: everything is on this machine.
func (r rest) do(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, body)
	if err != nil {
		return err
	}
	if r.header != "" && r.token != "" {
		req.Header.Set(r.header, r.token)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode/100 != 2 {
		return &restError{method, path, resp.StatusCode, strings.TrimSpace(string(text))}
	}
	if out == nil || len(text) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

func (r rest) get(ctx context.Context, path string, out any) error {
	return r.do(ctx, http.MethodGet, path, nil, out)
}

func (r rest) put(ctx context.Context, path string, in, out any) error {
	return r.do(ctx, http.MethodPut, path, in, out)
}

// until calls try every 100 ms until it returns nil, and gives its last error
// when the limit or ctx ends, or at once when gone says why there is no hope.
func until(ctx context.Context, what string, limit time.Duration, gone func() error, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		last := try(ctx)
		if last == nil {
			return nil
		}
		if gone != nil {
			if err := gone(); err != nil {
				return fmt.Errorf("wait for %s: %w", what, err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (last: %w)", what, ctx.Err(), last)
		case <-tick.C:
		}
	}
}
