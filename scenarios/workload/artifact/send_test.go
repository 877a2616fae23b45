package artifact

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// socket gives a short path: unix sockets may not be longer than about 100
// bytes, and test folders are.
func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// sealer listens, hands one connection to talk and closes it. The channel
// ends when that is done.
func sealer(t *testing.T, path string, talk func(*net.UnixConn)) <-chan struct{} {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer l.Close()
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		talk(conn.(*net.UnixConn))
	}()
	return done
}

func limits() Limits { return Limits{Connect: time.Minute, Answer: time.Minute} }

func TestSendStreamsTheArchive(t *testing.T) {
	f, path := sample(), socket(t)
	var want, got bytes.Buffer
	if err := f.Tar(&want); err != nil {
		t.Fatal(err)
	}
	done := sealer(t, path, func(c *net.UnixConn) {
		// Reads to the end: the answer is only due once the writer has
		// closed its side.
		if _, err := io.Copy(&got, c); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(c, `{"ok":true,"digest":"sha256:abc"}`+"\n")
	})
	digest, err := f.Send(t.Context(), "unix:"+path, limits())
	if err != nil || digest != "sha256:abc" {
		t.Fatalf("digest %q, %v", digest, err)
	}
	<-done
	if !bytes.Equal(want.Bytes(), got.Bytes()) {
		t.Error("the sealer received something else")
	}
}

func TestSendWaitsForTheSealer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, path := sample(), socket(t)
		result := make(chan error, 1)
		go func() {
			_, err := f.Send(t.Context(), "unix:"+path, limits())
			result <- err
		}()
		synctest.Wait() // it has found nobody, and will look again
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		time.Sleep(retryEvery) // of the bubble: it looks again
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.Copy(io.Discard, conn)
		_, _ = io.WriteString(conn, `{"ok":true,"digest":"d"}`+"\n")
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

func TestSendFails(t *testing.T) {
	drainThen := func(line string) func(*net.UnixConn) {
		return func(c *net.UnixConn) {
			_, _ = io.Copy(io.Discard, c)
			_, _ = io.WriteString(c, line)
		}
	}
	for _, tt := range []struct {
		name, want string
		talk       func(*net.UnixConn)
	}{
		{"refusal", "permission denied on seal-digits", drainThen(`{"ok":false,"error":"permission denied on seal-digits"}` + "\n")},
		{"refusal without reason", "no reason given", drainThen(`{"ok":false}` + "\n")},
		{"early refusal", "wrong urn", func(c *net.UnixConn) { _, _ = io.WriteString(c, `{"ok":false,"error":"wrong urn"}`+"\n") }},
		{"silence", "without an answer", drainThen("")},
		{"gibberish", "no JSON line", drainThen("done\n")},
		{"no digest", "without a digest", drainThen(`{"ok":true}` + "\n")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, path := sample(), socket(t)
			done := sealer(t, path, tt.talk)
			_, err := f.Send(t.Context(), "unix:"+path, limits())
			<-done
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestSendGivesUp(t *testing.T) {
	f, path := sample(), socket(t)
	_, err := f.Send(t.Context(), "unix:"+path, Limits{Connect: 10 * time.Millisecond, Answer: time.Second})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("no sealer: %v", err)
	}
	if _, err := f.Send(t.Context(), "tcp:1.2.3.4", limits()); err == nil {
		t.Error("another kind of address was accepted")
	}
	if _, err := f.Send(t.Context(), "unix:/"+strings.Repeat("x", 107), limits()); err == nil || !strings.Contains(err.Error(), "relative") {
		t.Errorf("a path that no socket can have: %v", err)
	}
	stopped := errors.New("stopped by a person")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := sealer(t, path, func(c *net.UnixConn) {
		_, _ = io.Copy(io.Discard, c)
		cancel(stopped)                // while the trainer waits for the answer
		_, _ = c.Read(make([]byte, 1)) // until it hangs up
		<-ctx.Done()
	})
	if _, err := f.Send(ctx, "unix:"+path, limits()); !errors.Is(err, stopped) {
		t.Errorf("stopped: %v", err)
	}
	<-done
}
