//go:build !unix

package source

import (
	"net"
	"sync"
)

func idle(conn net.Conn, _ *sync.Pool) net.Conn { return conn }
