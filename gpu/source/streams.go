package source

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// streams asks for one thing over one connection and leaves the reading of it to
// the caller. net/http's own transport has two goroutines and their buffers for
// each connection, to use it again; a stream lasts as long as its connection, and
// a terminal has a thousand.
type streams struct {
	dial, dialTLS func(ctx context.Context, network, addr string) (net.Conn, error)
}

const (
	readBuffer = 1 << 10
	// maxHeader is how long an answer's header may be, in bytes.
	maxHeader = 32 << 10
)

var errHeader = fmt.Errorf("answered with a header of over %d bytes", maxHeader)

// RoundTrip sends the request over a new connection, which is closed when the
// request's context ends or the answer's body is closed.
func (s *streams) RoundTrip(req *http.Request) (*http.Response, error) {
	conn, err := s.connect(req)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(req.Context(), func() { conn.Close() })
	head := &io.LimitedReader{R: conn, N: maxHeader}
	resp, err := exchange(conn, head, req)
	if err != nil {
		stop()
		conn.Close()
		if cause := context.Cause(req.Context()); cause != nil {
			err = cause // that the connection is closed is only how it shows
		} else if head.N <= 0 {
			err = errHeader
		}
		return nil, err
	}
	head.N = 1<<63 - 1 // a stream has no end
	resp.Body = &streamBody{ReadCloser: resp.Body, conn: conn, stop: stop}
	return resp, nil
}

func (s *streams) connect(req *http.Request) (net.Conn, error) {
	host, port := req.URL.Hostname(), req.URL.Port()
	switch req.URL.Scheme {
	case "http":
		return s.dial(req.Context(), "tcp", net.JoinHostPort(host, orPort(port, "80")))
	case "https":
		conn, err := s.dialTLS(req.Context(), "tcp", net.JoinHostPort(host, orPort(port, "443")))
		if e, ok := errors.AsType[tls.RecordHeaderError](err); ok && string(e.RecordHeader[:]) == "HTTP/" {
			return nil, http.ErrSchemeMismatch
		}
		return conn, err
	}
	return nil, fmt.Errorf("unsupported protocol scheme %q", req.URL.Scheme)
}

func orPort(port, or string) string {
	if port == "" {
		return or
	}
	return port
}

func exchange(w io.Writer, r io.Reader, req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Close = true
	if err := req.Write(w); err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReaderSize(r, readBuffer), req)
}

// streamBody ends its connection when it is closed.
type streamBody struct {
	io.ReadCloser
	conn net.Conn
	stop func() bool
}

// Close does not read what may still come, as an http.Response's own body does:
// a stream has no end.
func (b *streamBody) Close() error {
	b.stop()
	return b.conn.Close()
}
