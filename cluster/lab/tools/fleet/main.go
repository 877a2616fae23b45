package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// config is what the lab says of the fleet.
type config struct {
	nodes    int
	allocs   int     // a node, roughly
	churn    float64 // changes a second
	servers  string  // rpc addresses
	http     string
	token    string // file
	network  string // the first two numbers of the nodes' addresses
	socket   string
	agentJob string
}

// address is that of the i-th node, on loopback like all of the lab.
func (c config) address(i int) netip.Addr {
	base := netip.MustParseAddr(c.network + ".0.0").As4()
	return netip.AddrFrom4([4]byte{base[0], base[1], byte((i + 1) >> 8), byte(i + 1)})
}

func main() {
	var c config
	flag.IntVar(&c.nodes, "nodes", 100, "how many nodes")
	flag.IntVar(&c.allocs, "allocs", 10, "how many allocations a node, those of the agents included")
	flag.Float64Var(&c.churn, "churn", 0, "changes a second: jobs that end and begin, nodes and GPUs that fail")
	flag.StringVar(&c.servers, "servers", "", "addresses of the servers' RPC, with commas")
	flag.StringVar(&c.http, "http", "", "URLs of the servers' HTTP API, with commas")
	flag.StringVar(&c.token, "token-file", "", "file with Nomad's management token")
	flag.StringVar(&c.network, "network", "127.64", "the first two numbers of the nodes' addresses")
	flag.StringVar(&c.socket, "socket", "", "unix socket on which to take orders")
	flag.StringVar(&c.agentJob, "agent-job", "stoker-agent", "job whose allocations serve their node's GPUs")
	flag.Parse()
	logger := log.New(os.Stderr, "", log.LstdFlags|log.LUTC)
	if err := run(c, logger); err != nil {
		logger.Fatal(err)
	}
}

func run(c config, logger *log.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	token, err := os.ReadFile(c.token)
	if err != nil {
		return err
	}
	if c.nodes < 1 || c.nodes > 16000 {
		return fmt.Errorf("%d nodes: 1 to 16000", c.nodes)
	}
	if _, err := netip.ParseAddr(c.network + ".0.1"); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	var servers []net.Addr
	for s := range strings.SplitSeq(c.servers, ",") {
		addr, err := net.ResolveTCPAddr("tcp", s)
		if err != nil {
			return fmt.Errorf("servers: %w", err)
		}
		servers = append(servers, addr)
	}
	f, err := newFleet(ctx, c, identity{[]byte(strings.TrimSpace(string(token)))}, servers, logger)
	if err != nil {
		return err
	}
	web, err := clients(c, strings.TrimSpace(string(token)))
	if err != nil {
		return err
	}
	if err := f.control(ctx); err != nil {
		return fmt.Errorf("take orders: %w", err)
	}
	go func() {
		if err := f.work(ctx, web); err != nil {
			logger.Print(err)
		}
	}()
	f.run(ctx)
	return nil
}
