package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// ErrExposed says that an address other machines can reach was asked for
// without anything that authenticates them.
var ErrExposed = errors.New("refusing to serve GPU data to other machines without authentication")

// Listen opens addr ("127.0.0.1:9460") for TCP. Unless authenticated, every
// address that its host stands for must be loopback, else the error is
// ErrExposed and nothing was opened.
func Listen(ctx context.Context, addr string, authenticated bool) (net.Listener, error) {
	if !authenticated {
		if err := loopbackOnly(ctx, addr); err != nil {
			return nil, err
		}
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for the gpu agent: %w", err)
	}
	return ln, nil
}

func loopbackOnly(ctx context.Context, addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen address %q: %w", addr, err)
	}
	if host == "" {
		return exposed(addr)
	}
	ips, err := new(net.Resolver).LookupNetIP(ctx, "ip", host)
	if err != nil {
		return fmt.Errorf("listen address %q: %w", addr, err)
	}
	for _, ip := range ips {
		if !ip.Unmap().IsLoopback() {
			return exposed(addr)
		}
	}
	return nil
}

func exposed(addr string) error {
	return fmt.Errorf("%w: give --token-file or, for an agent, --client-ca, or listen on 127.0.0.1 instead of %s", ErrExposed, addr)
}

// Listen opens addr for this agent: anything but loopback only if it
// authenticates its clients.
func (a *Agent) Listen(ctx context.Context, addr string) (net.Listener, error) {
	return Listen(ctx, addr, a.authenticates())
}

// Serve answers requests on ln until ctx ends, then closes ln and all streams
// and returns ctx's error. It refuses a listener that Listen would not have opened.
func (a *Agent) Serve(ctx context.Context, ln net.Listener) error {
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		if !a.authenticates() {
			ln.Close()
			return exposed(ln.Addr().String())
		}
		if a.cfg.TLS == nil {
			a.cfg.Log.Warn("the token and all readings go over the network in plain text: serve with a certificate", "address", ln.Addr().String())
		}
	}
	ln = atMost(ln, maxConns)
	if a.cfg.TLS != nil {
		conf, err := a.cfg.TLS.Server()
		if err != nil {
			ln.Close()
			return err
		}
		ln = tls.NewListener(ln, conf)
	}
	srv := &http.Server{
		Handler:           a.Handler(),
		BaseContext:       func(net.Listener) context.Context { return ctx }, // ends the streams
		ReadHeaderTimeout: 5 * time.Second,                                   // of the TLS handshake too
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(a.cfg.Log.Handler(), slog.LevelInfo), // why a handshake failed
	}
	return ServeUntil(ctx, srv, ln)
}

// ServeUntil answers on ln until ctx ends, then gives what is under way two
// seconds, closes ln and returns ctx's error.
func ServeUntil(ctx context.Context, srv *http.Server, ln net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve on %s: %w", ln.Addr(), err)
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

// limited bounds how many connections are open at once; more wait in the
// kernel's queue. Otherwise whoever reaches the port could make the agent grow.
type limited struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func atMost(ln net.Listener, n int) net.Listener {
	return &limited{Listener: ln, slots: make(chan struct{}, n), closed: make(chan struct{})}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &slot{Conn: c, free: sync.OnceFunc(func() { <-l.slots })}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// slot gives its place back when it is closed, however often that is.
type slot struct {
	net.Conn
	free func()
}

func (s *slot) Close() error {
	defer s.free()
	return s.Conn.Close()
}
