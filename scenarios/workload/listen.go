package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"stoker/gpu/sim/load"
	"stoker/scenarios/workload/gpuload"
)

// graceful is how long requests under way may take after a stop.
const graceful = 10 * time.Second

// endpoint is a listening HTTP server; failed receives why it stopped by
// itself.
type endpoint struct {
	server *http.Server
	addr   net.Addr
	failed chan error
}

func listen(addr string, h http.Handler) (*endpoint, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	e := &endpoint{
		addr: l.Addr(), failed: make(chan error, 1),
		server: &http.Server{
			Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
			IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		},
	}
	go func() {
		if err := e.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			e.failed <- err
		}
	}()
	return e, nil
}

// close answers what is under way, then ends.
func (e *endpoint) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), graceful)
	defer cancel()
	if err := e.server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests still under way after %s: %w", graceful, err), e.server.Close())
	}
	return nil
}

// reportLoad tells the simulated GPUs of this task, if any, what read says.
func (c command) reportLoad(read func() (float64, uint64)) (*gpuload.Group, error) {
	opened, err := load.FromEnv(c.getenv)
	if err != nil {
		return nil, err
	}
	reporters := make([]gpuload.Reporter, len(opened))
	for i, r := range opened {
		reporters[i] = r
	}
	return gpuload.Start(reporters, read, func(err error) { fmt.Fprintf(c.stderr, "workload: %v\n", err) }), nil
}
