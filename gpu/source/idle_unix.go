//go:build unix

package source

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
)

// idleConn is a connection that needs no memory while nothing comes. What it is
// read into is borrowed once there is something, is large enough for all of a
// frame, and is given back as soon as that is handed on.
type idleConn struct {
	net.Conn
	raw  syscall.RawConn
	lent *sync.Pool // of *[lentBytes]byte
	look func(fd uintptr) bool

	buf  *[lentBytes]byte
	rest []byte // of buf: what is not handed on yet
	err  error  // of the last read
}

// lentBytes is room for a frame of a node with eight GPUs that are busy.
const lentBytes = 8 << 10

// idle makes conn need no memory while nothing comes. Not all connections can.
func idle(conn net.Conn, lent *sync.Pool) net.Conn {
	has, ok := conn.(syscall.Conn)
	if !ok {
		return conn
	}
	raw, err := has.SyscallConn()
	if err != nil {
		return conn
	}
	c := &idleConn{Conn: conn, raw: raw, lent: lent}
	c.look = c.read
	return c
}

// Read reads what has come, waiting for something.
func (c *idleConn) Read(p []byte) (int, error) {
	if c.buf == nil {
		if err := c.raw.Read(c.look); err != nil {
			return 0, err
		}
		if c.err != nil {
			return 0, c.err
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	if len(c.rest) == 0 {
		c.giveBack()
	}
	return n, nil
}

// read is asked to read as often as something may have come, and says whether
// something had.
func (c *idleConn) read(fd uintptr) bool {
	c.buf, _ = c.lent.Get().(*[lentBytes]byte)
	if c.buf == nil {
		c.buf = new([lentBytes]byte)
	}
	n, err := syscall.Read(int(fd), c.buf[:])
	for errors.Is(err, syscall.EINTR) {
		n, err = syscall.Read(int(fd), c.buf[:])
	}
	switch c.err = nil; {
	case n > 0:
		c.rest = c.buf[:n]
		return true
	case err == nil:
		c.err = io.EOF
	case !errors.Is(err, syscall.EAGAIN):
		c.err = &net.OpError{Op: "read", Net: "tcp", Addr: c.RemoteAddr(), Err: err}
	}
	c.giveBack()
	return c.err != nil
}

func (c *idleConn) giveBack() {
	c.lent.Put(c.buf)
	c.buf, c.rest = nil, nil
}
