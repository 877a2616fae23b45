package seal_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stoker/secrets/seal"
)

// socket gives a short path: a unix socket's may have about a hundred bytes.
func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "seal")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

type served struct {
	receipt seal.Receipt
	err     error
}

func serve(t *testing.T, ctx context.Context, path, dst string, keys *localKeys) chan served {
	t.Helper()
	l, err := seal.Listen(path)
	must(t, err)
	done := make(chan served, 1)
	go func() {
		r, err := seal.Serve(ctx, l, func(r io.Reader) (seal.Receipt, error) {
			return seal.SealTar(ctx, r, dst, mustURN(t, "m:1"), "models", keys, small())
		})
		done <- served{r, err}
	}()
	return done
}

func wait(t *testing.T, done chan served) served {
	t.Helper()
	select {
	case s := <-done:
		return s
	case <-time.After(20 * time.Second):
		t.Fatal("Serve did not end")
		return served{}
	}
}

// send is what a trainer does with a model.
func send(path string, model []byte) (reply seal.Reply, err error) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return reply, err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write(model); err != nil {
		return reply, err
	}
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		return reply, err
	}
	return reply, json.NewDecoder(conn).Decode(&reply)
}

func TestTransfer(t *testing.T) {
	path, dst, out, keys := socket(t), filepath.Join(t.TempDir(), "m"), t.TempDir(), newLocalKeys("models")
	stale, err := net.Listen("unix", path) // of a killed seal task
	must(t, err)
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	must(t, stale.Close())

	done := serve(t, t.Context(), path, dst, keys)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("socket: %v, %v", info.Mode(), err)
	}
	reply, err := send(path, tarOf(t, usual()))
	must(t, err)
	got, digest := wait(t, done), reply.Digest
	if got.err != nil || !reply.OK || got.receipt.Digest != digest || got.receipt.Files != len(usual()) {
		t.Errorf("served %+v, sent %s", got, digest)
	}
	_, err = seal.Open(t.Context(), dst, out, mustURN(t, "m:1"), digest, keys, small())
	must(t, err)
	sameModel(t, usual(), contentOf(t, out))
	if _, err := send(path, tarOf(t, usual())); err == nil {
		t.Error("a second model was taken")
	}
}

// The protocol as a trainer in another language speaks it.
func TestTransferOnTheWire(t *testing.T) {
	whole := tarOf(t, usual())
	for _, c := range []struct {
		name   string
		send   []byte
		prefix string
	}{
		{"whole", whole, `{"ok":true,"digest":"sha256:`},
		{"broken off", whole[:len(whole)-2000], `{"ok":false,"error":"seal urn:stoker:model:m:1: `},
		{"nothing", nil, `{"ok":false,"error":"`},
		{"refused early, sent on", append(bytes.Repeat([]byte("not a tar "), 100), make([]byte, 8<<20)...), `{"ok":false,"error":"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, parent := socket(t), t.TempDir()
			done := serve(t, t.Context(), path, filepath.Join(parent, "m"), newLocalKeys("models"))
			conn, err := net.Dial("unix", path)
			must(t, err)
			defer func() { _ = conn.Close() }()
			_, err = conn.Write(c.send)
			must(t, err)
			must(t, conn.(*net.UnixConn).CloseWrite())
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, c.prefix) {
				t.Errorf("answer %q, %v", line, err)
			}
			if got := wait(t, done); (got.err == nil) != strings.Contains(line, "true") {
				t.Errorf("served %+v", got)
			}
			if !strings.Contains(line, "true") {
				empty(t, parent)
			}
		})
	}
}

func TestTransferCancelled(t *testing.T) {
	for _, connected := range []bool{false, true} {
		path, parent := socket(t), t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		done := serve(t, ctx, path, filepath.Join(parent, "m"), newLocalKeys("models"))
		if connected {
			conn, err := net.Dial("unix", path)
			must(t, err)
			defer func() { _ = conn.Close() }()
			_, err = conn.Write(tarOf(t, usual())[:5000])
			must(t, err)
		}
		cancel()
		if got := wait(t, done); !errors.Is(got.err, context.Canceled) {
			t.Errorf("connected=%t: %v", connected, got.err)
		}
		empty(t, parent)
	}
}

func TestSendIsToldWhy(t *testing.T) {
	path := socket(t)
	l, err := seal.Listen(path)
	must(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := seal.Serve(t.Context(), l, func(io.Reader) (seal.Receipt, error) {
			return seal.Receipt{}, errors.New("the key is gone")
		})
		done <- err
	}()
	reply, err := send(path, tarOf(t, usual()))
	if err != nil || reply != (seal.Reply{Error: "the key is gone"}) {
		t.Errorf("got %+v, %v", reply, err)
	}
	if err := <-done; err == nil {
		t.Error("Serve hid the failure")
	}
}
