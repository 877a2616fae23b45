package seal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"time"
)

// Reply is the one line of JSON that answers a transferred model.
type Reply struct {
	OK     bool   `json:"ok"`
	Digest string `json:"digest,omitempty"`
	Error  string `json:"error,omitempty"`
}

// drainTime is how long a refused sender may go on before it is cut off: it
// reads the answer only when it has finished writing.
const drainTime = 10 * time.Second

// Listen makes the unix socket that Serve accepts from, in place of one that a
// killed seal task left.
func Listen(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSocket {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("listen for a model: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for a model: %w", err)
	}
	// Trainer and seal task run as different users, and the folder is their
	// allocation's. Whoever can reach the socket can only have something sealed:
	// it gives out a digest, no plaintext and no key.
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(fmt.Errorf("listen for a model: %w", err), l.Close())
	}
	return l, nil
}

// Serve takes one model from one connection: a tar stream until the peer closes
// its writing side, which seal reads to its end; the answer is one Reply. It
// closes l. A second connection is refused, so that nobody can replace a model
// that was taken.
func Serve(ctx context.Context, l net.Listener, seal func(io.Reader) (Receipt, error)) (Receipt, error) {
	conn, err := accept(ctx, l)
	if err != nil {
		return Receipt{}, fmt.Errorf("wait for a model: %w", err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends a blocked read
	defer stop()

	receipt, err := seal(conn)
	if err != nil && ctx.Err() != nil {
		return Receipt{}, ctx.Err()
	}
	reply := Reply{OK: err == nil, Digest: receipt.Digest}
	if err != nil {
		reply = Reply{Error: err.Error()}
	}
	line, jsonErr := json.Marshal(reply)
	if jsonErr != nil {
		return Receipt{}, errors.Join(err, jsonErr)
	}
	_, writeErr := conn.Write(append(line, '\n'))
	if err != nil {
		_ = conn.SetReadDeadline(time.Now().Add(drainTime))
		_, _ = io.Copy(io.Discard, conn)
		return Receipt{}, err
	}
	if writeErr != nil {
		// The model is sealed; only the sender does not know.
		return receipt, fmt.Errorf("answer the sender: %w", writeErr)
	}
	return receipt, nil
}

func accept(ctx context.Context, l net.Listener) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	conn, err := l.Accept()
	_ = l.Close()
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return conn, err
}
