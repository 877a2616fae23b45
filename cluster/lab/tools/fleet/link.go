package main

import (
	"io"
	"net"
	"net/rpc"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/nomad/helper/pool"
	"github.com/hashicorp/nomad/nomad/structs"
	"github.com/hashicorp/yamux"
)

// region is the only one of a lab.
const region = "global"

// link is one node's connection to the servers, kept open and used both ways, as
// a client's: the servers ask back over it.
type link struct {
	pool    *pool.ConnPool
	servers []net.Addr
	at      atomic.Int64
}

// newLink connects when first used, to the server with that number.
func newLink(servers []net.Addr, first int, back *rpc.Server, logs func(net.Conn)) *link {
	l := &link{servers: servers, pool: pool.NewPool(hclog.NewNullLogger(), 0, 3, nil, yamux.DefaultConfig())}
	l.at.Store(int64(first))
	conns := make(chan *pool.Conn, 4)
	l.pool.SetConnListener(conns)
	go func() {
		for c := range conns {
			go acceptCalls(c, back, logs)
		}
	}()
	return l
}

// call asks a server; after an error the next call asks the next server.
func (l *link) call(method string, args, reply any) error {
	at := l.at.Load()
	err := l.pool.RPC(region, l.servers[int(at)%len(l.servers)], method, args, reply)
	if err != nil {
		l.at.CompareAndSwap(at, at+1)
	}
	return err
}

// close ends the connection and what waits for an answer on it.
func (l *link) close() { _ = l.pool.Shutdown() }

// acceptCalls answers what the servers ask over a connection.
func acceptCalls(c *pool.Conn, back *rpc.Server, logs func(net.Conn)) {
	for {
		s, err := c.AcceptStream()
		if err != nil {
			if c.IsClosed() {
				return
			}
			continue
		}
		go answer(s, back, logs)
	}
}

func answer(s net.Conn, back *rpc.Server, logs func(net.Conn)) {
	defer s.Close()
	kind := make([]byte, 1)
	if _, err := io.ReadFull(s, kind); err != nil {
		return
	}
	switch pool.RPCType(kind[0]) {
	case pool.RpcNomad:
		c := pool.NewServerCodec(s)
		for back.ServeRequest(c) == nil {
		}
	case pool.RpcStreaming:
		var header structs.StreamingRpcHeader
		if codec.NewDecoder(s, structs.MsgpackHandle).Decode(&header) != nil {
			return
		}
		var ack structs.StreamingRpcAck
		if header.Method != "FileSystem.Logs" {
			ack.Error = "a simulated node has no " + header.Method
		}
		if codec.NewEncoder(s, structs.MsgpackHandle).Encode(ack) == nil && ack.Error == "" {
			logs(s)
		}
	}
}
