package artifact

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const (
	retryEvery = 200 * time.Millisecond
	// answerLimit bounds the one line that the sealer answers.
	answerLimit = 64 << 10
	// pathLimit is that of Linux. Waiting would not make a longer path work.
	pathLimit = 107
)

// Limits says how long Send waits. Both are positive.
type Limits struct {
	Connect time.Duration // for the sealer's socket to exist and accept
	Answer  time.Duration // for the whole exchange after that
}

// answer is the sealer's one line.
type answer struct {
	OK     bool   `json:"ok"`
	Digest string `json:"digest"`
	Error  string `json:"error"`
}

// Send streams the folder as a tar archive, built in memory, to the sealer
// that listens at target ("unix:PATH"), and returns the digest under which it
// was sealed. The sealer may still be starting: a missing socket is tried
// again until limits.Connect has passed.
func (f *Folder) Send(ctx context.Context, target string, limits Limits) (digest string, err error) {
	path, err := SocketPath(target)
	if err != nil {
		return "", err
	}
	var packed bytes.Buffer
	if err := f.Tar(&packed); err != nil {
		return "", err
	}
	conn, err := connect(ctx, path, limits.Connect)
	if err != nil {
		return "", fmt.Errorf("send model: no sealer at %s within %s (is the seal task running and the socket shared?): %w", path, limits.Connect, err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, limits.Answer)
	defer cancel()
	// Of the same context that names the cause below: one derived from it may
	// learn of its end only after the connection was closed.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	a, err := exchange(conn, &packed)
	switch {
	case err != nil:
		return "", fmt.Errorf("send model: %w", errors.Join(context.Cause(ctx), err))
	case !a.OK:
		return "", fmt.Errorf("the sealer refused the model: %s", oneOf(a.Error, "no reason given"))
	case a.Digest == "":
		return "", errors.New("the sealer answered ok without a digest")
	}
	return a.Digest, nil
}

// SocketPath takes the path from "unix:PATH".
func SocketPath(target string) (string, error) {
	path, ok := strings.CutPrefix(target, "unix:")
	if !ok || path == "" {
		return "", fmt.Errorf("%q is not a sealer's address, want unix:PATH", target)
	}
	if len(path) > pathLimit {
		return "", fmt.Errorf("the socket path %s is longer than the %d bytes that the system takes, give it relative to the working folder", path, pathLimit)
	}
	return path, nil
}

func connect(ctx context.Context, path string, wait time.Duration) (*net.UnixConn, error) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "unix", path)
		if err == nil {
			return conn.(*net.UnixConn), nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-deadline.C:
			return nil, err
		case <-time.After(retryEvery):
		}
	}
}

// exchange writes the archive, closes the write side, which is its end mark,
// and reads the answer.
func exchange(conn *net.UnixConn, packed io.Reader) (answer, error) {
	_, sent := io.Copy(conn, packed)
	if sent == nil {
		sent = conn.CloseWrite()
	}
	// A sealer that refuses early stops reading, which fails our write; what
	// it says tells more than "broken pipe".
	line, err := bufio.NewReader(io.LimitReader(conn, answerLimit)).ReadBytes('\n')
	if len(bytes.TrimSpace(line)) == 0 {
		if errors.Is(err, io.EOF) {
			err = errors.New("the sealer closed the connection without an answer")
		}
		return answer{}, errors.Join(sent, err)
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		return answer{}, fmt.Errorf("the sealer's answer is no JSON line: %w", err)
	}
	if sent != nil && a.OK {
		return answer{}, fmt.Errorf("the sealer accepted an incomplete model: %w", sent)
	}
	return a, nil
}

func oneOf(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
