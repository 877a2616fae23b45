package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// maxPage bounds a scrape: the largest servers send some hundred KiB.
	maxPage    = 8 << 20
	minTimeout = time.Second
)

func newClient(dial func(ctx context.Context, network, addr string) (net.Conn, error)) *http.Client {
	if dial == nil {
		dial = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	}
	return &http.Client{
		// Whoever may register a service chooses the address; a redirect would
		// let them choose any other from this machine's point of view.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil, // nodes are reached through Dial alone
			DialContext:            dial,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 32 << 10,
		},
	}
}

// fetch reads one page.
func fetch(ctx context.Context, client *http.Client, address string) (page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return page{}, fmt.Errorf("scrape %s: %w", address, err)
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	req.Header.Set("User-Agent", "stoker")
	resp, err := client.Do(req)
	if err != nil {
		return page{}, fmt.Errorf("scrape %s: %w", address, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return page{}, fmt.Errorf("scrape %s: it answered %s", address, resp.Status)
	}
	body := &io.LimitedReader{R: resp.Body, N: maxPage + 1}
	p, err := parsePage(body)
	switch {
	case body.N <= 0:
		return page{}, fmt.Errorf("scrape %s: more than %d MiB of metrics", address, maxPage>>20)
	case err != nil:
		return page{}, fmt.Errorf("scrape %s: %w", address, err)
	}
	return p, nil
}

// short is the cause without the address, which stands beside it already.
func short(err error) string {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "no answer in time"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err.Error()
	}
	if inner := errors.Unwrap(err); inner != nil {
		return inner.Error()
	}
	return err.Error()
}
