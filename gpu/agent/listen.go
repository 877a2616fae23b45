package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// ErrExposed says that an address other machines can reach was asked for
// without a token.
var ErrExposed = errors.New("refusing to serve GPU data to other machines without a token")

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
	return fmt.Errorf("%w: configure one, or listen on 127.0.0.1 instead of %s", ErrExposed, addr)
}

// Listen opens addr for this agent: anything but loopback only if it has a token.
func (a *Agent) Listen(ctx context.Context, addr string) (net.Listener, error) {
	return Listen(ctx, addr, a.cfg.Token != nil)
}

// Serve answers requests on ln until ctx ends, then closes ln and all streams
// and returns ctx's error. It refuses a listener that Listen would not have opened.
func (a *Agent) Serve(ctx context.Context, ln net.Listener) error {
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok && a.cfg.Token == nil && !tcp.IP.IsLoopback() {
		ln.Close()
		return exposed(ln.Addr().String())
	}
	srv := &http.Server{
		Handler:           a.Handler(),
		BaseContext:       func(net.Listener) context.Context { return ctx }, // ends the streams
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve the gpu agent: %w", err)
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
