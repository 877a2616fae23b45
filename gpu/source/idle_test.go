//go:build unix

package source

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// TestIdleConn: what comes over connections that share what they read into is
// whole, and so is how they end.
func TestIdleConn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const conns, each = 8, 100 << 10
	lent := &sync.Pool{}
	var wg sync.WaitGroup
	for range conns {
		sent := make([]byte, each)
		_, _ = rand.Read(sent)
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		peer, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer peer.Close()
			for part := range bytes.SplitSeq(sent, []byte{0}) { // of all sizes, as bytes are random
				_, _ = peer.Write(append(part, 0))
			}
		})
		wg.Go(func() {
			got, err := io.ReadAll(idle(conn, lent))
			if err != nil || !bytes.Equal(got, append(sent, 0)) {
				t.Errorf("%d bytes of %d, %v", len(got), each+1, err)
			}
		})
	}
	wg.Wait()
}

// TestIdleConnIsClosed: a read that waits ends when the connection is closed, and
// when its time is over.
func TestIdleConnIsClosed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	plain, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn := idle(plain, &sync.Pool{})
	if err := conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var late net.Error
	if _, err := conn.Read(make([]byte, 1)); !errors.As(err, &late) || !late.Timeout() {
		t.Errorf("after its time: %v", err)
	}
	_ = conn.SetReadDeadline(time.Time{})
	ended := make(chan error)
	go func() { _, err := conn.Read(make([]byte, 1)); ended <- err }()
	conn.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after it was closed: %v", err)
	}
}
